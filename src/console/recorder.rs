//! The last messages that a console took in, for the report of a fault.

use std::collections::VecDeque;
use std::fmt::{self, Write as _};
use std::path::{Path, PathBuf};

use super::msg::Msg;
use super::terminal::Panic;
use crate::process::clock;

/// So many are kept.
const KEPT: usize = 200;

/// So much of each.
const LENGTH: usize = 120;

/// The messages, oldest first.
#[derive(Debug, Default)]
pub(super) struct Recorder(VecDeque<String>);

impl Recorder {
    pub(super) fn note(&mut self, msg: &Msg) {
        let mut text = Short(String::new());
        // It fails when there is no more room, so that a long message costs no more than a short one.
        let _ = write!(text, "{} {msg:?}", clock::wall().format("%H:%M:%S%.3f"));
        if self.0.len() == KEPT {
            self.0.pop_front();
        }
        self.0.push_back(text.0);
    }

    /// Writes what is known of a panic to a file of its own; `None` when that cannot be.
    pub(super) fn report(&self, panic: &Panic, folder: &Path) -> Option<PathBuf> {
        let Panic { message, place, thread, backtrace } = panic;
        let now = clock::wall();
        let mut text = format!(
            "dcm {} console, {now}\nthread {thread} panicked at {place}: {message}\n\nlast messages:\n",
            env!("CARGO_PKG_VERSION")
        );
        for line in &self.0 {
            text.push_str(line);
            text.push('\n');
        }
        let _ = write!(text, "\n{backtrace}\n");
        let path = folder.join(format!("console-{}.report", now.format("%Y%m%d-%H%M%S-%3f")));
        std::fs::create_dir_all(folder).and_then(|()| std::fs::write(&path, text)).ok().map(|()| path)
    }
}

struct Short(String);

impl fmt::Write for Short {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = LENGTH.saturating_sub(self.0.chars().count());
        self.0.extend(text.chars().take(room));
        if self.0.chars().count() < LENGTH { Ok(()) } else { Err(fmt::Error) }
    }
}
