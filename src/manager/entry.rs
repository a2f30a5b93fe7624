//! What the manager knows of one app.
//!
//! ```text
//!              due / START                started
//!   Resting ───────────────► Starting ─────────────► Running ──┐
//!   ▲  ▲ │ no slot    ▲          │                      │      │ STOP, RESTART,
//!   │  │ └──► Waiting ┘          │ could not start      │      │ DISABLE, max_runtime
//!   │  └────────────────────────-┘            ended     │      ▼
//!   └───────────────────────────────────────────────────┴── Stopping
//! ```

use std::time::Duration;

use chrono::TimeDelta;

use super::desk::Desk;
use super::event::{Launch, Step};
use super::plan::{Account, Plan, Times};
use super::stall::Counting;
use super::suspicion::Record;
use super::usage::AppUse;
use crate::model::{
    App, AppRow, AppState, AppUpdate, Change, Command, Concern, Conclusion, Failover, Fatal, Now, Reason,
    Report, RunId, RunStatus, Timestamp, Trigger, known_pid,
};

/// At most so many commands of one app wait behind the one that is being carried out; a person
/// does not send more, and a program that does is told so.
pub(super) const QUEUE_MAX: usize = 16;

/// One app: its definition, what it is doing, and what the database was told last.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) app: App,
    pub(super) phase: Phase,
    pub(super) plan: Plan,
    /// Failures in a row.
    pub(super) failures: u32,
    /// Crashes that the back-off counts: since the last good run, or the last that lived long.
    pub(super) crashes: u32,
    /// What is wrong with it: it could not be started, or keeps failing.
    pub(super) fatal: Option<Box<Fatal>>,
    /// How its runs ended; kept apart for the size of an entry.
    pub(super) record: Option<Box<Record>>,
    pub(super) last_run: Option<(RunId, Timestamp)>,
    /// Commands behind the one that is being carried out, oldest first.
    pub(super) queue: Vec<Command>,
    /// A `next_run` that the app or a person wrote into the row while a run went on.
    pub(super) asked: Option<Timestamp>,
    /// Why nothing new begins, while what goes on may end: the row is gone, or cannot be obeyed.
    pub(super) set_aside: Option<SetAside>,
    /// What it reported and could not be read.
    pub(super) bad_report: BadReports,
    /// How the counters of the run under way move; `None` until they do.
    pub(super) counting: Option<Box<Counting>>,
    /// What its processes use, and the alert about that; `None` until they were looked at.
    pub(super) usage: Option<Box<AppUse>>,
    /// How often the app has changed its manager.
    pub(super) epoch: u64,
    written: Written,
}

/// The rows of a fleet are read before the entries are made of them. An entry that fits into the memory that its row has
/// left takes it; a larger one would leave all that memory unused between the entries, 7 MB with 10,000 apps.
const _: () = assert!(size_of::<Entry>() <= size_of::<AppRow>());

/// What is wrong with the row of an app of which nothing new begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SetAside {
    /// It was deleted.
    Gone,
    /// It cannot be obeyed.
    Faulty,
}

/// Whether an alert about reports that cannot be read is open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum BadReports {
    None,
    /// It is, and this was the run under way at the last of them.
    During(Box<Option<RunId>>),
}

/// What the database was told last.
#[derive(Debug)]
struct Written {
    state: AppState,
    times: Times,
    asked: Option<Timestamp>,
    disabled: bool,
    sequence: u64,
}

/// What an app is doing. Each variant holds what that needs, timeouts included. Most apps of a fleet rest, so what the
/// others need is kept apart.
#[derive(Debug)]
pub(super) enum Phase {
    Resting(Rest),
    Waiting(Box<Waiting>),
    Starting(Box<Starting>),
    Running(Box<Running>),
    Stopping(Stopping),
}

/// Why no run is under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Rest {
    /// The last run ended by itself, or there was none.
    Ready,
    /// The last run crashed; the next one is planned after a back-off.
    Crashed,
    /// A person stopped it.
    Stopped { by: String },
}

/// A run that is due, but a limit leaves no room for it.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) cause: Cause,
    pub(super) rest: Rest,
    /// Which limit, for people.
    pub(super) limit: String,
    /// When it will be so late that an alert is opened; `None` for one that a person asked for, and once it is.
    pub(super) alert_at: Option<(Duration, Timestamp)>,
    /// When it will be late, and since when that is then; `None` for one that a person asked for, and once it is late.
    pub(super) late_at: Option<(Duration, Timestamp)>,
    pub(super) late_since: Option<Timestamp>,
}

/// A run on record whose process is not known yet.
#[derive(Debug)]
pub(super) struct Starting {
    pub(super) run: RunId,
    pub(super) cause: Cause,
    /// The run before and how the app rested since, in case this one is refused.
    pub(super) previous: Option<(RunId, Timestamp)>,
    pub(super) rest: Rest,
}

/// A run with a process.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) run: RunId,
    pub(super) pid: u32,
    pub(super) trigger: Trigger,
    /// Whether it was begun without arguments, so that it can be compared with other runs.
    pub(super) is_comparable: bool,
    /// How the app rested before: a foreground run changes nothing about that.
    pub(super) rest: Rest,
    /// When `max_runtime` is over.
    pub(super) ends_by: Option<Duration>,
    /// When a run of an app that runs always has lived for so long that the trouble before it is over; `None` where there was
    /// none.
    pub(super) proven_at: Option<Duration>,
    /// By how much the wall clock was set while it went on.
    pub(super) clock_set: TimeDelta,
    /// All that it reported so far.
    pub(super) told: Box<Report>,
}

/// A run that is being ended.
#[derive(Debug)]
pub(super) struct Stopping {
    pub(super) running: Box<Running>,
    pub(super) purpose: Purpose,
    /// When the run has outlived its grace time and more must be done.
    pub(super) overdue_at: Duration,
}

/// Why a run is being ended, and so what follows.
#[derive(Debug)]
pub(super) enum Purpose {
    /// STOP, RESTART or DISABLE.
    Command(Box<Command>),
    /// It took longer than `max_runtime`, or somebody else is ending it.
    Other,
}

/// Why a run is begun.
#[derive(Debug, Clone)]
pub(super) struct Cause {
    pub(super) due: Option<Timestamp>,
    pub(super) trigger: Trigger,
    /// The START or RESTART that asked for it.
    pub(super) command: Option<Box<Command>>,
}

impl Entry {
    /// Takes up a row. What the row says of runs is settled by `restore`.
    pub(super) fn new(row: AppRow, now: Now) -> Self {
        let (counting, record) = (Counting::restored(&row, now), Record::restored(&row, now));
        let usage = AppUse::restored(&row);
        let AppRow { app, next_run, planned, slot, state, asked_next_run, sequence, epoch, fault, .. } = row;
        let times = Times { next_run, planned, slot };
        let rest = match (state.status, &state.stopped_by) {
            (_, Some(by)) => Rest::Stopped { by: by.clone() },
            (RunStatus::Stopped, None) => Rest::Crashed,
            (RunStatus::NotRunning | RunStatus::Running, None) => Rest::Ready,
        };
        Self {
            plan: Plan::restored(&app, times, state.last_run, now.wall),
            phase: Phase::Resting(rest),
            failures: state.failures,
            // At most this many; the next run that lives long or ends well resets it.
            crashes: state.failures,
            fatal: state.fatal.clone().filter(|fatal| !fatal.is_passing()),
            record,
            last_run: state.run.zip(state.last_run),
            queue: Vec::new(),
            asked: asked_next_run,
            set_aside: fault.map(|_| SetAside::Faulty),
            bad_report: BadReports::None,
            counting,
            usage,
            epoch,
            written: Written { times, asked: asked_next_run, disabled: app.disabled, sequence, state },
            app,
        }
    }

    /// All commands that have no verdict yet.
    pub(super) fn take_commands(&mut self) -> Vec<Command> {
        let under_way = match &mut self.phase {
            Phase::Waiting(waiting) => waiting.cause.command.take(),
            Phase::Starting(starting) => starting.cause.command.take(),
            Phase::Stopping(Stopping { purpose, .. }) => match std::mem::replace(purpose, Purpose::Other) {
                Purpose::Command(command) => Some(command),
                Purpose::Other => None,
            },
            Phase::Resting(_) | Phase::Running(_) => None,
        };
        under_way.map(|command| *command).into_iter().chain(std::mem::take(&mut self.queue)).collect()
    }

    /// The run under way.
    pub(super) fn run(&self) -> Option<RunId> {
        match &self.phase {
            Phase::Resting(_) | Phase::Waiting(_) => None,
            Phase::Starting(starting) => Some(starting.run),
            Phase::Running(running) => Some(running.run),
            Phase::Stopping(stopping) => Some(stopping.running.run),
        }
    }

    /// Whether START and the schedule must leave the app alone.
    pub(super) fn is_barred(&self) -> bool {
        self.is_unscheduled() || self.set_aside.is_some()
    }

    /// The reason that the ledger gives for that.
    pub(super) fn barred_reason(&self) -> Reason {
        match self.set_aside {
            Some(SetAside::Gone) => Reason::NoSuchApp,
            Some(SetAside::Faulty) => Reason::SetAside(None),
            None if self.app.disabled => Reason::Disabled,
            None => Reason::GivenUp,
        }
    }

    /// Whether the schedule does not apply until a person says so. An invalid row keeps its times.
    pub(super) fn is_unscheduled(&self) -> bool {
        self.app.disabled || self.awaits_enable()
    }

    /// Whether it could not be started or was given up.
    pub(super) fn awaits_enable(&self) -> bool {
        self.fatal.as_ref().is_some_and(|fatal| fatal.bars(&self.app.policy))
    }

    /// When the schedule wants the app to be looked at; `None` while it must not or cannot start.
    pub(super) fn due(&self) -> Option<Timestamp> {
        match &self.phase {
            Phase::Resting(Rest::Ready | Rest::Crashed) if !self.is_barred() => self.plan.wake(),
            Phase::Resting(_)
            | Phase::Waiting(_)
            | Phase::Starting(_)
            | Phase::Running(_)
            | Phase::Stopping(_) => None,
        }
    }

    /// When something times out, or is to be looked at.
    pub(super) fn timeout(&self) -> Option<Duration> {
        let flaps_until = self.flapping().map(|flapping| flapping.until);
        self.timeout_of_phase().into_iter().chain(flaps_until).min()
    }

    fn timeout_of_phase(&self) -> Option<Duration> {
        match &self.phase {
            Phase::Resting(_) | Phase::Starting(_) => None,
            Phase::Waiting(waiting) => {
                waiting.late_at.into_iter().chain(waiting.alert_at).map(|(at, _)| at).min()
            }
            Phase::Running(running) => {
                let look_at = self.counting.as_ref().and_then(|counting| counting.look_at());
                running.ends_by.into_iter().chain(running.proven_at).chain(look_at).min()
            }
            Phase::Stopping(stopping) => Some(stopping.overdue_at),
        }
    }

    /// Whether a read of the row with this number shows all that was written so far.
    pub(super) fn is_current(&self, sequence: u64) -> bool {
        sequence >= self.written.sequence
    }

    /// A row that was read shows this time in `next_run`; nothing of ours is on the way.
    pub(super) fn shown_next_run(&self) -> Option<Timestamp> {
        self.written.times.next_run
    }

    /// Takes note of what somebody else wrote into the row.
    pub(super) fn note_foreign(&mut self, row: &AppRow) {
        self.written.times = Times { next_run: row.next_run, planned: row.planned, slot: row.slot };
        self.written.asked = row.asked_next_run;
        self.written.disabled = row.app.disabled;
        if row.sequence > self.written.sequence {
            // Something of an earlier entry for this row was still on its way: the next update
            // comes after that and shows everything again.
            self.written.sequence = row.sequence;
            self.written.state = row.state.clone();
        }
    }

    /// The row was faulty, or is another one, and shows this state.
    pub(super) fn note_new_row(&mut self, state: &AppState) {
        self.written.state = state.clone();
    }

    /// By command. It is written though the row may seem to say so already: somebody may have
    /// edited it meanwhile, and the verdict must be true.
    pub(super) fn set_disabled(&mut self, disabled: bool) {
        self.app.disabled = disabled;
        self.written.disabled = !disabled;
    }

    /// The app reported when it wants to run next. The row shows that with the report.
    pub(super) fn wish(&mut self, time: Timestamp) {
        self.asked = Some(time);
        self.written.asked = Some(time);
    }

    /// Decides about the times of the app, and notes those that it leaves out.
    pub(super) fn plan<T>(
        &mut self,
        desk: &Desk,
        step: &mut Step,
        decide: impl FnOnce(&mut Plan, &mut Account<'_>) -> T,
    ) -> T {
        let mut account = Account::new(&self.app, desk.now.wall);
        let decided = decide(&mut self.plan, &mut account);
        step.changes.extend(account.skips.into_iter().map(Change::Skipped));
        decided
    }

    /// A run that waits for room.
    fn waits_since(&self) -> Option<Timestamp> {
        match &self.phase {
            Phase::Waiting(waiting) => waiting.cause.due,
            Phase::Resting(_) | Phase::Starting(_) | Phase::Running(_) | Phase::Stopping(_) => None,
        }
    }

    /// What is concluded beyond the phase: the first that holds.
    fn concern(&self) -> Option<Conclusion> {
        let stalled = self.counting.as_ref().and_then(|counting| counting.stalled_since());
        let late = if let Phase::Waiting(waiting) = &self.phase { waiting.late_since } else { None };
        let flapping = self.flapping().map(|flapping| flapping.since);
        let suspect = self.suspected().map(|suspected| suspected.since);
        let over_limit = self.broken_limit().map(|broken| broken.since);
        let all = [
            (Concern::Stalled, stalled),
            (Concern::OverLimit, over_limit),
            (Concern::Late, late),
            (Concern::Flapping, flapping),
            (Concern::Suspect, suspect),
        ];
        all.into_iter()
            .find_map(|(concern, since)| since.map(|since| Conclusion { concern: concern.into(), since }))
    }

    /// The flag that the row is to show. What is unexpected without being a failure shows it as well.
    fn shown_fatal(&self) -> Option<Box<Fatal>> {
        let suspect = || self.suspected().map(|suspected| Box::new(suspected.fatal()));
        let stalled = || self.counting.as_ref().and_then(|counting| counting.fatal()).map(Box::new);
        let over_limit = || self.usage.as_ref().and_then(|usage| usage.fatal()).map(Box::new);
        self.fatal.clone().or_else(suspect).or_else(stalled).or_else(over_limit)
    }

    /// What the row is to show.
    fn state(&self, manager: &str) -> AppState {
        let (status, pid, stopped_by, waiting_for) = match &self.phase {
            Phase::Resting(rest) => (rest.status(), None, rest.by(), None),
            Phase::Waiting(waiting) => {
                (waiting.rest.status(), None, waiting.rest.by(), Some(waiting.limit.clone()))
            }
            Phase::Starting(starting) => {
                (RunStatus::Running, None, starting.rest.by_after(starting.cause.trigger), None)
            }
            Phase::Running(running) | Phase::Stopping(Stopping { running, .. }) => {
                (RunStatus::Running, known_pid(running.pid), running.rest.by_after(running.trigger), None)
            }
        };
        AppState {
            status,
            run: self.last_run.map(|(run, _)| run),
            pid,
            last_run: self.last_run.map(|(_, at)| at),
            stopped_by,
            failures: self.failures,
            suspects: self.suspected().map_or(0, |suspected| suspected.count),
            baseline: self.baseline().cloned(),
            fatal: self.shown_fatal(),
            waiting_for,
            concern: self.concern().map(Box::new),
            manager: Some(manager.to_owned()),
        }
    }

    /// The update that brings the row up to date; `None` when it is.
    pub(super) fn publish(&mut self, manager: &str) -> Option<AppUpdate> {
        let mut state = self.state(manager);
        let times = self.plan.shown(&self.app, self.waits_since());
        let asked_taken = self.written.asked.filter(|_| self.asked.is_none());
        let disabled = (self.app.disabled != self.written.disabled).then_some(self.app.disabled);
        let is_new_to_all = self.written.state.manager.is_none();
        if is_new_to_all && state.run.is_none() {
            // An app that never ran here belongs to nobody yet.
            state.manager = None;
        }
        if state == self.written.state
            && times == self.written.times
            && disabled.is_none()
            && asked_taken.is_none()
        {
            return None;
        }
        self.written.sequence += 1;
        self.written.state = state.clone();
        self.written.times = times;
        self.written.asked = self.asked;
        self.written.disabled = self.app.disabled;
        Some(AppUpdate {
            app: self.app.id,
            sequence: self.written.sequence,
            state,
            next_run: times.next_run,
            planned: times.planned,
            slot: times.slot,
            asked_taken,
            disabled,
        })
    }

    /// Whether the row shows this concern by now.
    pub(super) fn shows(&self, concern: Concern) -> bool {
        self.written.state.is(concern)
    }

    /// How a process for this app is started.
    pub(super) fn launch(&self, cause: &Cause, attempt: u32) -> Box<Launch> {
        Box::new(Launch {
            app: self.app.id,
            path: self.app.path.clone(),
            program: self.app.program.clone(),
            args: cause.command.as_ref().and_then(|command| command.args.clone()),
            due: cause.due,
            trigger: cause.trigger,
            attempt,
            stop_signal: self.app.policy.stop_signal,
            stop_grace: self.app.policy.stop_grace,
            log_limit: self.app.policy.log_limit,
            time_zone: self.app.schedule.time_zone,
            epoch: self.epoch,
            is_fenced: self.app.policy.failover == Failover::Exclusive,
            // The manager does that, by the setting of the moment.
            ends_after: None,
            limits: self.app.policy.usage_limits(),
        })
    }
}

impl Rest {
    fn status(&self) -> RunStatus {
        match self {
            Self::Ready => RunStatus::NotRunning,
            Self::Crashed | Self::Stopped { .. } => RunStatus::Stopped,
        }
    }

    /// Whose STOP is still in force when a run is over: that before a foreground run.
    fn by_after(&self, trigger: Trigger) -> Option<String> {
        self.by().filter(|_| trigger == Trigger::RunApp)
    }

    fn by(&self) -> Option<String> {
        match self {
            Self::Ready | Self::Crashed => None,
            Self::Stopped { by } => Some(by.clone()),
        }
    }
}
