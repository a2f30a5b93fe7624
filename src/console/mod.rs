//! The console that operators live in.
//!
//! `update(&mut Model, Msg) -> Option<Cmd>` decides, `view(&Model, &mut Frame)` draws; neither waits
//! for anything. What takes time is done by the worker, in a thread of its own.

mod cmd;
mod dialog;
mod fleet;
mod glyphs;
mod keymap;
mod logs;
mod model;
mod msg;
mod past;
mod program;
mod request;
mod screen;
mod sent;
mod terminal;
mod theme;
mod update;
mod view;
mod worker;
mod world;

pub use cmd::Leave;
pub use program::{Interrupter, Mailbox, Options, RunError, mailbox, run};
