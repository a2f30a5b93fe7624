//! The end of a run: what is left of it is killed, and how it ended is put on record.

use std::collections::BTreeMap;
use std::fs::File;
use std::time::Duration;

use nix::poll::{PollTimeout, poll};

use super::start::begun;
use super::{LEFTOVER_GRACE, Main, Notice, RunDir, Shim, Spec, boot_time, clock, journal, ring, tree};
use crate::model::{Closing, Exit, Leftovers, Timestamp};
use crate::process::record::{EndingRecord, ExitRecord, Fact, HeldLimits, Identity, OutOfMemoryRecord};
use crate::process::unix::out_of_memory;

/// How long the last output is waited for when no process is left: it is in the pipe already.
const DRAIN: Duration = Duration::from_secs(2);

/// How long a process may outlive a main process that ended by itself before it counts as a leftover:
/// helpers such as Python's resource tracker notice that end and follow.
const FOLLOWS_WITHIN: Duration = Duration::from_millis(100);

/// How often what is left is looked at, at first. The end of a child is told by a signal, that of
/// another's child is not.
const LOOK_FIRST: Duration = Duration::from_millis(20);

/// How often it is looked at later: each pause is twice the one before.
const LOOK_MAX: Duration = Duration::from_secs(1);

/// The main process has ended; others of the run may live.
pub(super) struct Ended {
    exit: Option<Exit>,
    /// What speaks for the kernel having killed it.
    out_of_memory: Option<OutOfMemoryRecord>,
    at: Timestamp,
    /// When the processes that are left are looked at again.
    pub(super) look_at: Duration,
    look_every: Duration,
    /// When the processes that are left are asked to end; `None`: they were.
    ask_at: Option<Duration>,
    /// When they are killed, if no stop says otherwise.
    pub(super) kill_at: Duration,
    /// The processes that dcm ended.
    leftovers: BTreeMap<Identity, String>,
    /// Since when no process is left.
    pub(super) emptied: Option<Duration>,
}

impl Shim {
    /// `exit`: how, where that can be known.
    pub(super) fn main_ended(&mut self, exit: Option<Exit>) {
        if self.ended.is_some() {
            return;
        }
        let now = boot_time();
        self.heed_passed_on(exit);
        let by_stop = self.deadline_of_stop(now);
        let is_killed = exit == Some(Exit::KILLED) && self.stop.is_none();
        let evidence = || out_of_memory::evidence(self.cgroup.as_deref(), self.kills_before);
        let out_of_memory = is_killed.then(evidence).flatten();
        self.ended = Some(Ended {
            exit,
            out_of_memory,
            at: clock::wall(),
            look_at: now,
            look_every: LOOK_FIRST,
            ask_at: by_stop.is_none().then_some(now + FOLLOWS_WITHIN),
            kill_at: by_stop.unwrap_or(now + FOLLOWS_WITHIN + LEFTOVER_GRACE),
            leftovers: BTreeMap::new(),
            emptied: None,
        });
        if by_stop.is_some() {
            // Those that the main process started during the stop.
            self.ask_all_to_end();
        }
    }

    /// A process has ended: that may have been the last one.
    pub(super) fn look_soon(&mut self) {
        if let Some(ended) = &mut self.ended {
            ended.look_at = Duration::ZERO;
        }
    }

    /// Whether no process is left and all output is taken.
    pub(super) fn is_over(&mut self, now: Duration) -> bool {
        let Some(emptied) = self.look_at_what_is_left(now) else { return false };
        let is_quiet = !self.output.pump(&mut self.reports, clock::now());
        let Some(ended) = &mut self.ended else { return false };
        ended.look_at = now;
        is_quiet || now > emptied + DRAIN
    }

    /// Since when no process is left; those that are left are asked to end or killed in time.
    fn look_at_what_is_left(&mut self, now: Duration) -> Option<Duration> {
        let kill_at = self.kill_at();
        let ended = self.ended.as_mut()?;
        let is_time = |at: Option<Duration>| at.is_some_and(|at| at <= now);
        if ended.emptied.is_some() || !is_time([Some(ended.look_at), kill_at].into_iter().flatten().min()) {
            return ended.emptied;
        }
        let left = self.processes();
        // Processes of another user may be hidden, and hold the lock all the same.
        let is_empty = left.as_ref().is_ok_and(Vec::is_empty) && self.is_held().is_ok_and(|is_held| !is_held);
        let left = left.unwrap_or_default();
        let ended = self.ended.as_mut()?;
        if is_empty {
            ended.emptied = Some(now);
            return ended.emptied;
        }
        let (is_to_ask, is_to_kill) = (is_time(ended.ask_at), is_time(kill_at));
        if is_to_ask || is_to_kill {
            ended.ask_at = None;
            ended.look_every = LOOK_FIRST;
            ended.leftovers.extend(left.into_iter().map(|process| (process, tree::name_of(process))));
        }
        let asked = ended.ask_at.unwrap_or(Duration::MAX);
        ended.look_at = (now + ended.look_every).min(asked);
        ended.look_every = (ended.look_every * 2).min(LOOK_MAX);
        if is_to_ask {
            self.ask_all_to_end();
        }
        if is_to_kill {
            self.kill(now);
        }
        None
    }

    /// Writes down how the run ended, and tells.
    pub(super) fn conclude(mut self) -> Closing {
        let leftovers = self.ended.as_mut().map(|ended| std::mem::take(&mut ended.leftovers));
        let leftovers = Leftovers::named(leftovers.into_iter().flatten().map(|(_, name)| name));
        self.output.finish(&mut self.reports, clock::wall());
        if leftovers.count > 0 {
            self.output.remark(&leftovers.to_string(), clock::wall());
        }
        let (exit, ended) = self.ended.as_ref().map_or((None, clock::wall()), |ended| (ended.exit, ended.at));
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
        let out_of_memory = self.ended.as_ref().and_then(|ended| ended.out_of_memory);
        let record =
            ExitRecord { out_of_memory, ..ExitRecord::new(ending, self.started, ended, report, leftovers) };
        let gives_up = self.foreground.is_some();
        let (Main::Child(process) | Main::Adopted(process, _)) = self.main;
        let app = Fact::App { process, started: self.started };
        let earlier = begun(self.started, self.cgroup.clone(), HeldLimits::default())
            .into_iter()
            .chain([app])
            .collect();
        put_on_record(&self.dir, &self.spec, &mut self.journal, earlier, &record, gives_up);
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
    earlier: Vec<Fact>,
    record: &ExitRecord,
    gives_up: bool,
) {
    let fact = Fact::Exit(record.clone());
    let is_removed = super::super::is_removed(journal);
    // Somebody removed the run directory: it is made again, for the next look at it.
    let facts: Vec<_> = earlier.into_iter().chain([fact.clone()]).collect();
    if !is_removed || journal::write_again(spec, &facts).is_err() {
        while journal::append_forever(journal, dir, &fact).is_err() && !gives_up && dir.path().exists() {
            let _ = poll(&mut [], PollTimeout::from(1000_u16));
        }
    }
    ring(&spec.doorbell, &spec.run);
}
