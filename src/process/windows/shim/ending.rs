//! The end of a run: what is left of it is killed, and how it ended is put on record.

use std::fs::File;
use std::time::Duration;

use super::{
    KILL_AGAIN, LEFTOVER_GRACE, LOOK_EVERY, Notice, RunDir, Shim, boot_time, clock, console, journal, ring,
};
use crate::model::{Closing, Exit, Timestamp};
use crate::process::log_writer::Stream;
use crate::process::record::{EndingRecord, ExitRecord, Fact, Spec};

/// How long the last output is waited for when the app has ended: it is in the pipe already.
const DRAIN: Duration = Duration::from_secs(2);

/// How long to wait before the exit record is tried to be written once more.
const WRITE_AGAIN: Duration = Duration::from_secs(1);

/// The main process has ended; others of the run may live.
pub(super) struct Ended {
    exit: Option<Exit>,
    at: Timestamp,
    mono: Duration,
    /// When the processes that are left are looked at again.
    pub(super) look_at: Duration,
    /// When they are killed.
    kill_at: Duration,
    leftovers: u32,
    is_empty: bool,
}

impl Shim {
    /// `exit`: how, where that can be known.
    pub(super) fn main_ended(&mut self, exit: Option<Exit>) {
        if self.ended.is_some() {
            return;
        }
        let now = boot_time();
        let kill_at = self.stop.as_ref().and_then(|stop| stop.kill_at);
        let grace = kill_at.map_or(LEFTOVER_GRACE, |at| at.saturating_sub(now).min(LEFTOVER_GRACE));
        let left = self.job.count();
        if left > 0 {
            console::ask_to_end(self.main.pid);
        }
        self.ended = Some(Ended {
            exit,
            at: clock::wall(),
            mono: now,
            look_at: now,
            kill_at: now + grace,
            leftovers: u32::try_from(left).unwrap_or(u32::MAX),
            is_empty: false,
        });
    }

    /// Whether no process is left and all output is taken.
    pub(super) fn is_over(&mut self, now: Duration) -> bool {
        let is_closed = self.out.is_closed && self.err.is_closed;
        let Some(ended) = &mut self.ended else { return false };
        if !ended.is_empty {
            ended.is_empty = self.job.count() == 0;
            ended.look_at = now + LOOK_EVERY;
            if !ended.is_empty && now >= ended.kill_at {
                ended.kill_at = now + KILL_AGAIN;
                self.job.terminate();
            }
        }
        if !ended.is_empty {
            return false;
        }
        let drained_at = ended.mono + DRAIN;
        // Killing what was left may have taken longer than that.
        ended.look_at = drained_at.max(now);
        is_closed || now >= drained_at
    }

    /// Writes down how the run ended, and tells.
    pub(super) fn conclude(mut self) {
        let now = clock::wall();
        let Self { out, err, intake, reports, .. } = &mut self;
        for (source, stream) in [(out, Stream::Out), (err, Stream::Err)] {
            source.splitter.finish(|line| intake.take(stream, line, reports, now));
        }
        intake.flush(now);
        let (exit, ended, leftovers) = self
            .ended
            .as_ref()
            .map_or((None, clock::wall(), 0), |ended| (ended.exit, ended.at, ended.leftovers));
        let ending = match (&self.stop, exit) {
            (Some(stop), exit) => EndingRecord::Stopped {
                cause: stop.cause.clone(),
                exit: exit.map(Into::into),
                killed: stop.killed,
            },
            (None, Some(exit)) => EndingRecord::Exited(exit.into()),
            (None, None) => EndingRecord::Unknown,
        };
        let report = self.reports.all.clone().into();
        let record = ExitRecord { ending, started: Some(self.started), ended, report, leftovers };
        put_on_record(&self.dir, &self.spec, self.journal, &record, self.foreground.is_some());
        if let Some(foreground) = &mut self.foreground {
            (foreground.notice)(Notice::Ended(Closing::from(record)));
        }
    }
}

/// Writes the exit record; on a full disk until there is room. Meanwhile the run counts as running,
/// which is better than an end that nobody knows.
pub(super) fn put_on_record(
    dir: &RunDir,
    spec: &Spec,
    mut journal: File,
    record: &ExitRecord,
    gives_up: bool,
) {
    let fact = Fact::Exit(record.clone());
    while journal::append_forever(&mut journal, dir, &fact).is_err() && !gives_up && dir.path().exists() {
        std::thread::park_timeout(WRITE_AGAIN);
    }
    // Whoever hears the bell removes the directory, which must not be in use then.
    drop(journal);
    ring(&spec.doorbell, &spec.run);
}
