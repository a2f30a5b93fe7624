//! A thread that writes the file, so that the screen waits for no disk.

use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use super::file::{self, Entry};
use super::{Model, Seen};
use crate::process::clock;

/// What is seen is kept so often, if it has changed.
const EVERY: Duration = Duration::from_secs(5);

/// The end of the console waits so long for the last writing.
const LAST: Duration = Duration::from_millis(300);

/// Keeps what is seen of one database.
#[derive(Debug)]
pub(in crate::console) struct Keeper {
    entries: Sender<Entry>,
    /// Something for each entry that was written.
    written: Receiver<()>,
    last: Option<Seen>,
    next: Duration,
}

/// What was kept of the last console.
#[derive(Debug)]
pub(in crate::console) struct Kept {
    pub(in crate::console) seen: Seen,
    /// In seconds.
    pub(in crate::console) age: i64,
}

/// What was kept cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("{}: {error}; what was seen last is not shown again", path.display())]
pub(in crate::console) struct Unreadable {
    path: PathBuf,
    error: std::io::Error,
}

impl Keeper {
    /// Reads what was kept, and begins to keep. What cannot be read is told and not shown.
    pub(in crate::console) fn open(
        path: PathBuf,
        database: String,
    ) -> (Option<Self>, Result<Option<Kept>, Unreadable>) {
        let kept = file::read(&path, &database)
            .map(|entry| {
                entry.map(|entry| Kept { age: clock::wall().timestamp() - entry.saved, seen: entry.seen })
            })
            .map_err(|error| Unreadable { path: path.clone(), error });
        let (entries, inbox) = channel::<Entry>();
        let (done, written) = channel();
        let thread = std::thread::Builder::new().name("dcm-memory".to_owned()).spawn(move || {
            for entry in inbox {
                if let Err(error) = file::write(&path, &database, entry) {
                    tracing::warn!(%error, path = %path.display(), "what is seen cannot be kept");
                }
                let _ = done.send(());
            }
        });
        let next = clock::boot_time() + EVERY;
        let keeper = thread.is_ok().then_some(Self { entries, written, last: None, next });
        (keeper, kept)
    }

    /// Time passed.
    pub(in crate::console) fn tick(&mut self, model: &Model) {
        if clock::boot_time() >= self.next {
            self.next = clock::boot_time() + EVERY;
            self.keep(model);
        }
    }

    fn keep(&mut self, model: &Model) -> bool {
        let seen = Seen::of(model);
        if self.last.as_ref() == Some(&seen) {
            return false;
        }
        self.last = Some(seen.clone());
        self.entries.send(Entry { saved: clock::wall().timestamp(), seen }).is_ok()
    }

    /// The console is left.
    pub(in crate::console) fn close(mut self, model: &Model) {
        // Marks are as old as the last look at them: the entry is written though nothing has changed.
        self.last = None;
        while self.written.try_recv().is_ok() {}
        if self.keep(model) {
            drop(self.entries);
            while self.written.recv_timeout(LAST).is_ok() {}
        }
    }
}
