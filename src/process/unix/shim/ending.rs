//! The end of a run: what is left of it is killed, and how it ended is put on record.

use std::fs::File;
use std::time::Duration;

use nix::poll::{PollTimeout, poll};
use nix::sys::signal::Signal;

use super::{
    KILL_AGAIN, LEFTOVER_GRACE, LOOK_EVERY, Notice, RunDir, Shim, Spec, boot_time, clock, journal, ring, tree,
};
use crate::model::{Closing, Exit, Timestamp};
use crate::process::record::{EndingRecord, ExitRecord, Fact};

/// How long the last output is waited for when the app has ended: it is in the pipe already.
const DRAIN: Duration = Duration::from_secs(2);

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
        self.ended = Some(Ended {
            exit,
            at: clock::wall(),
            mono: now,
            look_at: now,
            kill_at: now + grace,
            leftovers: 0,
            is_empty: false,
        });
        let left = self.processes();
        if !left.is_empty() {
            tree::signal_all(&left, Signal::SIGTERM);
            tree::signal_all(&left, Signal::SIGCONT);
            if let Some(ended) = &mut self.ended {
                ended.leftovers = u32::try_from(left.len()).unwrap_or(u32::MAX);
            }
        }
    }

    /// Whether no process is left and all output is taken.
    pub(super) fn is_over(&mut self, now: Duration) -> bool {
        if !self.is_empty(now) {
            return false;
        }
        let is_quiet = !self.output.pump(&mut self.reports, clock::wall());
        let Some(ended) = &mut self.ended else { return false };
        if is_quiet || now > ended.mono + DRAIN {
            return true;
        }
        ended.look_at = now;
        false
    }

    fn is_empty(&mut self, now: Duration) -> bool {
        if self.ended.as_ref().is_some_and(|ended| ended.is_empty) {
            return true;
        }
        let left = self.processes();
        let Some(ended) = &mut self.ended else { return false };
        ended.is_empty = left.is_empty();
        ended.look_at = now + LOOK_EVERY;
        if !left.is_empty() && now >= ended.kill_at {
            ended.kill_at = now + KILL_AGAIN;
            self.kill_all();
        }
        left.is_empty()
    }

    /// Writes down how the run ended, and tells.
    pub(super) fn conclude(mut self) -> Closing {
        self.output.finish(&mut self.reports, clock::wall());
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
        let gives_up = self.foreground.is_some();
        put_on_record(&self.dir, &self.spec, &mut self.journal, &record, gives_up);
        let closing = Closing::from(record);
        self.notify(Notice::Ended(closing.clone()));
        closing
    }
}

/// Writes the exit record; on a full disk until there is room. Meanwhile the run counts as running,
/// which is better than an end that nobody knows.
pub(super) fn put_on_record(
    dir: &RunDir,
    spec: &Spec,
    journal: &mut File,
    record: &ExitRecord,
    gives_up: bool,
) {
    let fact = Fact::Exit(record.clone());
    while journal::append_forever(journal, dir, &fact).is_err() && !gives_up && dir.path().exists() {
        let _ = poll(&mut [], PollTimeout::from(1000_u16));
    }
    ring(&spec.doorbell, &spec.run);
}
