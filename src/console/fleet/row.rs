//! An app as the console knows it: what its row says, and what we conclude from it. Both are kept
//! apart.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use chrono_tz::Tz;

use super::rate;
use crate::console::pipeline::WorksOn;
use crate::manager::coming::{Calendar, coming};
use crate::manager::schedule::jitter;
use crate::model::explain::State;
use crate::model::reasons::{Facts, Keeper};
use crate::model::{
    Anomaly, AppId, AppPath, AppRow, CmdFlag, Concern, Counted, Failover, FatalFlag, Labels, LastCommand,
    LastResult, Movement, Part, Planned, Revision, RunId, RunStatus, Samples, Schedule, Timestamp, Timing,
    Usage,
};

/// An app as it is shown: what the screens need and nothing else.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::console) struct Row {
    pub(in crate::console) id: AppId,
    pub(in crate::console) path: AppPath,
    /// What it is doing, as its row says by itself.
    said: State,
    /// What it is doing at this moment.
    pub(in crate::console) state: State,
    pub(in crate::console) status: RunStatus,
    pub(in crate::console) disabled: bool,
    /// Which queues and actors a service works on, as far as its tags and command say.
    pub(in crate::console) works_on: Option<Box<WorksOn>>,
    /// Nothing is done to it without its number being typed.
    pub(in crate::console) protected: bool,
    /// Who looks after it.
    pub(in crate::console) owner: Option<Box<str>>,
    /// Words by which it is found.
    pub(in crate::console) tags: BTreeSet<Part>,
    pub(in crate::console) fatal: Option<(FatalFlag, Box<str>, Timestamp)>,
    /// What that is about, where it is no failure to start.
    anomaly: Option<Anomaly>,
    /// Nothing starts until ENABLE: it could not be started, or was given up.
    pub(in crate::console) awaits_enable: bool,
    pub(in crate::console) stopped_by: Option<Box<str>>,
    pub(in crate::console) waiting_for: Option<Box<str>>,
    /// Since when it flaps, as the manager says.
    pub(in crate::console) flaps_since: Option<Timestamp>,
    /// Failures in a row.
    pub(in crate::console) failures: u32,
    pub(in crate::console) task_size: Option<u64>,
    pub(in crate::console) percent: Option<u8>,
    pub(in crate::console) solved: u64,
    pub(in crate::console) failed: u64,
    pub(in crate::console) eta: Option<Timestamp>,
    /// How its counters move in the current or last run.
    pub(in crate::console) movement: Option<Movement>,
    /// What its processes use, and used at most.
    pub(in crate::console) usage: Option<Box<Usage>>,
    /// The most that they may use: memory in MiB, and the CPU in percent.
    pub(in crate::console) limits: (Option<u32>, Option<u32>),
    pub(in crate::console) next_run: Option<Timestamp>,
    pub(in crate::console) last_run: Option<Timestamp>,
    /// How its latest run that is over ended.
    pub(in crate::console) result: Option<Box<LastResult>>,
    pub(in crate::console) run: Option<RunId>,
    pub(in crate::console) pid: Option<u32>,
    pub(in crate::console) manager: Option<Arc<str>>,
    pub(in crate::console) command: Option<Box<LastCommand>>,
    pub(in crate::console) message: Option<Box<str>>,
    pub(in crate::console) cron: Option<crate::model::Cron>,
    /// The zone of the calendar, and by how much its times are put off.
    zone: Tz,
    jitter: TimeDelta,
    pub(in crate::console) interval: Option<Duration>,
    /// What starts it.
    pub(in crate::console) timing: Timing,
    /// The length of the pause that its next time ends.
    pause: Option<Duration>,
    /// Which managers may run it, and what happens when its own is lost.
    pub(in crate::console) pool: Option<Part>,
    pub(in crate::console) failover: Failover,
    fault: Option<Box<str>>,
    pub(in crate::console) revision: Revision,
    /// How long its good runs take as a rule, where that was asked.
    pub(in crate::console) usual: Usual,
    /// What we conclude.
    pub(in crate::console) trouble: Option<Trouble>,
    /// What it counted in the last minutes.
    pub(in crate::console) samples: Option<Box<Samples>>,
    /// How fast it is, as the sums have it.
    pub(super) pace: Pace,
}

/// How fast an app is, as far as that can be said.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) enum Pace {
    /// It does not run, stands still, is unknown, or has just begun: it has no ETA either.
    #[default]
    Unsettled,
    /// It counts nothing.
    Uncounted,
    /// Items in a thousand seconds.
    Known(Counted),
}

impl Pace {
    pub(super) fn is_settled(self) -> bool {
        self != Self::Unsettled
    }

    pub(super) fn speed(self) -> Option<Counted> {
        match self {
            Self::Unsettled | Self::Uncounted => None,
            Self::Known(speed) => Some(speed),
        }
    }
}

/// How long the good runs of an app take as a rule.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::console) enum Usual {
    #[default]
    Unasked,
    /// It has had none.
    Unknown,
    Takes(TimeDelta),
}

/// What is concluded of an app at a moment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Judged {
    pub(super) state: State,
    pub(super) trouble: Option<Trouble>,
    pub(super) pace: Pace,
}

/// Why an app may need a person, the worst first. Only the first of them stands in its row; the
/// others are conclusions of the console.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::console) enum Trouble {
    /// It could not be started, and waits for ENABLE.
    Fatal,
    /// It failed too often, and waits for ENABLE.
    GivenUp,
    /// It runs as far as anybody knows, but its manager does not live.
    Unknown,
    /// It runs, and its counters stand still.
    Stalled,
    /// It uses more memory or time of the CPU than it may.
    OverLimit,
    /// It was due a while ago and does not run.
    Late,
    /// It ended badly three times within ten minutes.
    Flapping,
    /// Its last run ended badly; it goes on.
    Failed,
}

impl Trouble {
    pub(in crate::console) const ALL: [Self; 8] = [
        Self::Fatal,
        Self::GivenUp,
        Self::Unknown,
        Self::Stalled,
        Self::OverLimit,
        Self::Late,
        Self::Flapping,
        Self::Failed,
    ];

    /// The word for people and for `is:`.
    pub(in crate::console) const fn word(self) -> &'static str {
        match self {
            Self::Fatal => "FATAL",
            Self::GivenUp => "GIVEN UP",
            Self::Unknown => "UNKNOWN",
            Self::Stalled => "STALLED",
            Self::OverLimit => "OVER LIMIT",
            Self::Late => "LATE",
            Self::Flapping => "FLAPPING",
            Self::Failed => "FAILED",
        }
    }
}

/// A run has just begun when less than this share of it is done: 2 %.
const EARLY_SHARE: u64 = 50;

impl Row {
    /// The row as the database has it; `path` and `manager` share their texts with other rows.
    pub(super) fn new(row: AppRow, path: AppPath, manager: Option<Arc<str>>) -> Self {
        let (said, awaits_enable) = (State::of_row(&row), row.awaits_enable());
        let result = LastResult::of(&row).map(Box::new);
        let AppRow {
            app,
            next_run,
            planned,
            state,
            fault,
            progress,
            samples,
            movement,
            usage,
            command,
            revision,
            ..
        } = row;
        let flapping = state.concern.filter(|conclusion| conclusion.is(Concern::Flapping));
        let (jitter, timing) = (jitter(&app.schedule, app.id), app.schedule.timing());
        let always = timing == Timing::Always;
        let works_on = WorksOn::of(&app).map(Box::new);
        let Schedule { interval, cron, time_zone: zone, .. } = app.schedule;
        Self {
            id: app.id,
            path,
            said,
            state: said,
            status: state.status,
            disabled: app.disabled,
            works_on,
            protected: app.policy.protected,
            owner: app.owner.map(Into::into),
            tags: app.tags,
            anomaly: state.fatal.as_ref().and_then(|fatal| fatal.cause.known()),
            fatal: state.fatal.map(|fatal| (fatal.flag, fatal.message.into(), fatal.time)),
            awaits_enable,
            stopped_by: state.stopped_by.map(Into::into),
            waiting_for: state.waiting_for.map(Into::into),
            flaps_since: flapping.map(|conclusion| conclusion.since),
            failures: state.failures,
            // What runs always is never done.
            task_size: progress.task_size.filter(|size| *size > 0 && !always),
            percent: progress.known_percent().filter(|_| !always),
            solved: progress.solved,
            failed: progress.failed,
            eta: progress.eta.filter(|_| !always),
            movement: movement.map(|movement| *movement),
            usage,
            limits: (app.policy.max_memory, app.policy.max_cpu),
            next_run,
            last_run: state.last_run,
            result,
            run: state.run,
            pid: state.pid,
            manager,
            command: command.map(Box::new),
            message: progress.message.map(Into::into),
            cron,
            zone,
            jitter,
            interval: interval.map(crate::model::Minutes::duration),
            timing,
            pause: planned.and_then(Planned::pause),
            pool: app.policy.pool,
            failover: app.policy.failover,
            fault: fault.map(|fault| fault.message.into()),
            revision,
            usual: Usual::default(),
            trouble: None,
            samples,
            pace: Pace::default(),
        }
    }

    /// What people have written on it, by which it can be selected.
    pub(in crate::console) fn labels(&self) -> Labels<'_> {
        Labels { owner: self.owner.as_deref(), tags: &self.tags }
    }

    /// Whether it is started again whenever it ends.
    pub(in crate::console) fn is_always(&self) -> bool {
        self.timing == Timing::Always
    }

    pub(in crate::console) fn is_running(&self) -> bool {
        self.said.is_running()
    }

    /// When it is to run next.
    pub(in crate::console) fn coming(&self, now: Timestamp) -> Option<Timestamp> {
        let calendar = self.cron.as_ref().map(|cron| Calendar::new(cron, self.zone, self.jitter));
        coming(self.next_run, self.is_running(), calendar, now)
    }

    /// What its reasons are made of.
    pub(in crate::console) fn facts<'a>(&'a self, keeper: Keeper<'a>, now: Timestamp) -> Facts<'a> {
        Facts {
            state: self.state,
            status: self.status,
            fault: self.fault.as_deref(),
            fatal: self.fatal.as_ref().map(|(flag, message, time)| (*flag, &**message, *time)),
            anomaly: self.anomaly,
            awaits_enable: self.awaits_enable,
            disabled: self.disabled,
            stopped_by: self.stopped_by.as_deref(),
            waiting_for: self.waiting_for.as_deref(),
            failures: self.failures,
            last_run: self.last_run,
            pid: self.pid,
            moved: self.movement.map(|movement| movement.last),
            flaps_since: self.flaps_since,
            next: self.coming(now),
            timing: self.timing,
            pause: self.pause,
            keeper,
        }
    }

    /// Whether the latest command has no verdict yet.
    pub(in crate::console) fn is_pending(&self) -> bool {
        self.command.as_ref().is_some_and(|command| command.flag == CmdFlag::Pending)
    }

    /// It has just begun: what it has done says little of how long it will take.
    pub(in crate::console) fn has_just_begun(&self) -> bool {
        let size = self.task_size.unwrap_or(0);
        self.is_running() && self.done() < size.div_ceil(EARLY_SHARE)
    }

    /// More is solved than there was to do. Items that failed may have been counted as solved before, or as more work.
    pub(in crate::console) fn has_outgrown(&self) -> bool {
        self.task_size.is_some_and(|size| self.solved > size)
    }

    /// Whether it keeps failing: an alert says so, beside which it needs no row of its own.
    pub(in crate::console) fn is_flagged(&self) -> bool {
        self.trouble == Some(Trouble::Failed) && self.fatal.is_some()
    }

    /// Whether it has a flag for how its runs ended, or did not begin. A stall and a broken limit are no end yet.
    pub(in crate::console) fn is_flagged_for_ends(&self) -> bool {
        self.fatal.is_some() && !matches!(self.anomaly, Some(Anomaly::Stalled | Anomaly::OverLimit))
    }

    /// Items done and given up in this run.
    pub(in crate::console) fn done(&self) -> u64 {
        self.solved.saturating_add(self.failed)
    }

    /// How much is done, of 100.
    pub(in crate::console) fn progress(&self) -> Option<u8> {
        self.percent.filter(|_| self.last_run.is_some())
    }

    /// The memory of its processes, in bytes; `None` where none is known to run.
    pub(in crate::console) fn memory(&self) -> Option<u64> {
        self.usage.as_ref().filter(|_| self.is_running() && self.state != State::Unknown)?.memory
    }

    /// The time of its processes on the CPU, in percent of one core.
    pub(in crate::console) fn cpu(&self) -> Option<f64> {
        self.usage.as_ref().filter(|_| self.is_running() && self.state != State::Unknown)?.cpu
    }

    /// When its counters moved last, while it runs.
    pub(in crate::console) fn moved(&self) -> Option<Timestamp> {
        self.movement.filter(|_| self.is_running()).map(|movement| movement.last)
    }

    /// For how long what runs always has lived; `None` while it does not, and for other apps.
    pub(in crate::console) fn uptime(&self, now: Timestamp) -> Option<TimeDelta> {
        let lives = self.is_always() && self.is_running() && self.state != State::Unknown;
        self.last_run.filter(|_| lives).map(|began| (now - began).max(TimeDelta::zero()))
    }

    /// For how long its counters stand still, where the manager says that they do.
    pub(in crate::console) fn stalled(&self, now: Timestamp) -> Option<TimeDelta> {
        self.movement.filter(|_| self.state == State::Stalled).map(|movement| movement.silence(now))
    }

    /// By how much it is late, once that is more than its grace.
    pub(in crate::console) fn lateness(&self, now: Timestamp) -> Option<TimeDelta> {
        self.said.lateness(self.next_run.filter(|_| !self.is_always()), self.interval, now)
    }

    /// Concludes again what depends on the time. `is_heard`: the lease of its manager holds.
    pub(super) fn judged(&self, now: Timestamp, is_heard: bool) -> Judged {
        let (state, trouble) = self.judge(now, is_heard);
        let pace = if state == State::Running && rate::is_settled(self, now) {
            rate::speed(self, now).map_or(Pace::Uncounted, Pace::Known)
        } else {
            Pace::Unsettled
        };
        Judged { state, trouble, pace }
    }

    pub(super) fn conclude(&mut self, judged: Judged) {
        let Judged { state, trouble, pace } = judged;
        (self.state, self.trouble, self.pace) = (state, trouble, pace);
    }

    /// What it is doing at this moment, and whether that needs a person. `is_heard`: the lease of its manager holds.
    fn judge(&self, now: Timestamp, is_heard: bool) -> (State, Option<Trouble>) {
        let state = match self.lateness(now) {
            Some(_) => State::Late,
            None if is_heard => self.said,
            None => self.said.unheard(),
        };
        let flapping = self.flaps_since.map(|_| Trouble::Flapping);
        let trouble = match state {
            State::Fatal => Some(Trouble::Fatal),
            State::GivenUp => Some(Trouble::GivenUp),
            State::Unknown => Some(Trouble::Unknown),
            State::Stalled => Some(Trouble::Stalled),
            State::Late => Some(Trouble::Late),
            State::Failed => Some(flapping.unwrap_or(Trouble::Failed)),
            State::Running if self.anomaly == Some(Anomaly::OverLimit) => Some(Trouble::OverLimit),
            // A flag is seen until a good run or ENABLE clears it.
            State::Running | State::Waiting if self.fatal.is_some() => {
                Some(flapping.unwrap_or(Trouble::Failed))
            }
            State::Running
            | State::Waiting
            | State::Idle
            | State::Stopped
            | State::Disabled
            | State::SetAside => flapping,
        };
        (state, trouble)
    }
}
