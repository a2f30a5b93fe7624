//! What is shown, as a file: the screen as a picture, the view as data.

mod file;
pub(super) mod rows;
mod svg;
mod text;

pub(super) use file::{Format, picture, write};
pub(super) use rows::Purpose;
pub use svg::svg;
pub use text::{ansi, plain};
