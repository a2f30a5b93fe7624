//! The console that operators live in.
//!
//! `update(&mut Model, Msg) -> Option<Cmd>` decides, `view(&Model, &mut Frame)` draws; neither waits
//! for anything. What takes time is done by the worker, in a thread of its own.

mod batch;
pub(crate) mod cells;
mod clipboard;
mod cmd;
mod dialog;
pub mod export;
mod filter;
mod fleet;
mod glyphs;
mod input;
mod keymap;
mod logs;
mod memory;
mod model;
mod msg;
mod past;
pub(crate) mod pipeline;
pub mod plain;
mod program;
mod recorder;
mod rehearsal;
mod request;
mod sample;
mod screen;
mod serve;
mod shell;
mod terminal;
#[cfg(test)]
mod testing;
mod theme;
mod unknown_name;
mod update;
mod view;
mod worker;
mod world;

pub use cmd::Leave;
pub use dialog::confirm::{Caution, Consent};
pub use glyphs::GlyphSet;
pub use keymap::{Cyrillic, KeyChoice, KeyFault, Keymap, Preset};
pub use program::{Interrupter, Look, Mailbox, Options, RunError, mailbox, run};
pub use rehearsal::Rehearsal;
pub use sample::sample;
pub use terminal::{Abilities, ColourChoice, Colours, Questions};
pub use theme::Palette;
pub use unknown_name::UnknownName;
pub use world::ReadOnly;
