//! The terminal: what is written to it, by whom, and that it is given back.
//!
//! ratatui's own backend repaints a list that scrolls by one line nearly as a whole, and writes the
//! 16 colours in a form that simple terminals do not know. `src/ARCHITECTURE.md` has the measurement.

mod colour;
mod cursor;
mod encoder;
mod guard;
mod keys;
mod pen;
mod probe;
mod screen;
mod scroll;
#[cfg(test)]
mod tests;
mod writer;

pub(super) use colour::rgb_of;
pub use colour::{ColourChoice, Colours};
pub(super) use cursor::cursor_of;
pub use encoder::Abilities;
pub(super) use guard::{Guard, Panic};
pub(super) use keys::{Answer, Heard, Keys};
pub(super) use pen::Pen;
pub(super) use probe::Probe;
pub use probe::Questions;
pub(super) use screen::Screen;
pub(super) use writer::Writer;
