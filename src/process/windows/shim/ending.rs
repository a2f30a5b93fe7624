//! The end of a run: what is left of it is killed, and how it ended is put on record.

use std::fs::File;
use std::time::Duration;

use super::{
    KILL_AGAIN, LEFTOVER_GRACE, LOOK_EVERY, Notice, RunDir, Shim, boot_time, clock, console, journal, ring,
};
use crate::model::{Closing, Exit, Leftovers, Timestamp};
use crate::process::record::{EndingRecord, ExitRecord, Fact, Spec};

/// How long the last output is waited for when the app has ended: it is in the pipe already.
const DRAIN: Duration = Duration::from_secs(2);

/// How long to wait before the exit record is tried to be written once more.
const WRITE_AGAIN: Duration = Duration::from_secs(1);

/// The main process has ended; others of the run may live.
pub(super) struct Ended {
    exit: Option<Exit>,
    at: Timestamp,
    /// Since when no process is left.
    emptied_at: Option<Duration>,
    /// When the processes that are left are looked at again.
    pub(super) look_at: Duration,
    /// When they are killed.
    pub(super) kill_at: Duration,
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
        // What cannot be seen now is looked at again before the run is over.
        let left = self.job.count().unwrap_or(0);
        // During a stop the others have the rest of its time, and were asked with the main process.
        let kill_at = match &mut self.stop {
            Some(stop) => {
                let grace = Duration::from_millis(self.spec.grace_ms);
                *stop.kill_at.get_or_insert((stop.begun + grace).max(now + LEFTOVER_GRACE))
            }
            None => now + LEFTOVER_GRACE,
        };
        if left > 0 && self.stop.is_none() {
            console::ask_to_end(self.main.pid);
        }
        self.ended = Some(Ended {
            exit,
            at: clock::wall(),
            emptied_at: None,
            look_at: now,
            kill_at,
            leftovers: if self.stop.is_none() { count(left) } else { 0 },
            is_empty: false,
        });
    }

    /// Whether no process is left and all output is taken.
    pub(super) fn is_over(&mut self, now: Duration) -> bool {
        let is_closed = self.out.is_closed && self.err.is_closed;
        let Some(ended) = &mut self.ended else { return false };
        if !ended.is_empty {
            ended.is_empty = self.job.count().is_ok_and(|count| count == 0);
            ended.look_at = now + LOOK_EVERY;
            if !ended.is_empty && now >= ended.kill_at {
                ended.kill_at = now + KILL_AGAIN;
                ended.leftovers = ended.leftovers.max(count(self.job.count().unwrap_or(0)));
                if let Some(stop) = &mut self.stop {
                    stop.killed = true;
                }
                self.job.terminate();
            }
        }
        if !ended.is_empty {
            return false;
        }
        let drained_at = ended.emptied_at.get_or_insert(now).saturating_add(DRAIN);
        ended.look_at = drained_at.max(now);
        is_closed || now >= drained_at
    }

    /// Writes down how the run ended, and tells.
    pub(super) fn conclude(mut self) {
        let now = clock::wall();
        let (exit, ended, leftovers) = self
            .ended
            .as_ref()
            .map_or((None, clock::wall(), 0), |ended| (ended.exit, ended.at, ended.leftovers));
        let Self { out, err, intake, reports, .. } = &mut self;
        for source in [out, err] {
            source.inlet.finish(intake, reports, now);
        }
        if leftovers > 0 {
            intake.remark(&Leftovers::counted(leftovers).to_string(), now);
        }
        intake.flush(now);
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
        let record = ExitRecord::new(ending, self.started, ended, report, Leftovers::counted(leftovers));
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

fn count(processes: usize) -> u32 {
    u32::try_from(processes).unwrap_or(u32::MAX)
}
