//! Pictures of the screen: as text, as text with colours, as SVG.

mod svg;
mod text;

pub use svg::svg;
pub use text::{ansi, plain};
