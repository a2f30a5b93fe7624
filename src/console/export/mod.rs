//! What is shown, as a file: the screen as a picture, the view as data.

mod file;
mod rows;
mod svg;
mod text;

pub(super) use file::{Format, write};
pub use svg::svg;
pub use text::{ansi, plain};
