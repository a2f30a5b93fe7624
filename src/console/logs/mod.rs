//! Logs as they are read on the screen: lines taken apart once, tracebacks folded, searched and
//! chosen by level, in a ring of limited size.

mod buffer;
mod fold;
mod join;
mod line;

pub(super) use buffer::{LogBuffer, Search};
pub(super) use join::{Coming, Joiner};
pub(super) use line::{LINE_MAX, Level, LogLine, Source};
