//! An app as the console knows it: what its row says, and what we conclude from it. Both are kept
//! apart.

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use chrono_tz::Tz;

use super::pulse::Pulse;
use crate::manager::coming::{Calendar, coming};
use crate::manager::schedule::jitter;
use crate::model::{
    AppId, AppPath, AppRow, CmdFlag, FatalFlag, LastCommand, Revision, RunId, RunStatus, Schedule, Timestamp,
};

/// An app as it is shown: what the screens need and nothing else.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::console) struct Row {
    pub(in crate::console) id: AppId,
    pub(in crate::console) path: AppPath,
    pub(in crate::console) condition: Condition,
    pub(in crate::console) disabled: bool,
    /// Nothing is done to it without its number being typed.
    pub(in crate::console) protected: bool,
    pub(in crate::console) fatal: Option<(FatalFlag, Box<str>, Timestamp)>,
    pub(in crate::console) stopped_by: Option<Box<str>>,
    pub(in crate::console) waiting_for: Option<Box<str>>,
    /// Failures in a row.
    pub(in crate::console) failures: u32,
    pub(in crate::console) task_size: Option<u64>,
    pub(in crate::console) percent: Option<u8>,
    pub(in crate::console) solved: u64,
    pub(in crate::console) failed: u64,
    pub(in crate::console) eta: Option<Timestamp>,
    pub(in crate::console) next_run: Option<Timestamp>,
    pub(in crate::console) last_run: Option<Timestamp>,
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
    pub(in crate::console) revision: Revision,
    /// How its counters move.
    pub(in crate::console) pulse: Pulse,
    /// How long its good runs take as a rule, where that was asked.
    pub(in crate::console) usual: Usual,
    /// What we conclude.
    pub(in crate::console) trouble: Option<Trouble>,
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

/// What an app is doing, as its row says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::console) enum Condition {
    Idle,
    Running,
    Waiting,
    Stopped,
    Fatal,
}

/// Why an app may need a person, the worst first. Only the first of them stands in its row; the
/// others are conclusions of the console.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::console) enum Trouble {
    /// Given up until a person says ENABLE.
    Fatal,
    /// It runs as far as anybody knows, but its manager does not live.
    Unknown,
    /// It runs, and its counters stand still.
    Stalled,
    /// It was due a while ago and does not run.
    Late,
    /// It ended badly three times within ten minutes.
    Flapping,
}

impl Trouble {
    pub(in crate::console) const ALL: [Self; 5] =
        [Self::Fatal, Self::Unknown, Self::Stalled, Self::Late, Self::Flapping];

    /// The word for people and for `is:`.
    pub(in crate::console) const fn word(self) -> &'static str {
        match self {
            Self::Fatal => "FATAL",
            Self::Unknown => "UNKNOWN",
            Self::Stalled => "STALLED",
            Self::Late => "LATE",
            Self::Flapping => "FLAPPING",
        }
    }
}

impl Condition {
    pub(in crate::console) const ALL: [Self; 5] =
        [Self::Idle, Self::Running, Self::Waiting, Self::Stopped, Self::Fatal];

    pub(in crate::console) const fn word(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::Stopped => "stopped",
            Self::Fatal => "fatal",
        }
    }
}

/// The shortest grace before an app is called late.
const GRACE_MIN: Duration = Duration::from_secs(30);

/// The share of the interval that an app may be late.
const GRACE_SHARE: u32 = 20;

/// A run has just begun when less than this share of it is done: 2 %.
const EARLY_SHARE: u64 = 50;

impl Row {
    /// The row as the database has it; `path` and `manager` share their texts with other rows.
    pub(super) fn new(row: AppRow, path: AppPath, manager: Option<Arc<str>>) -> Self {
        let AppRow { app, next_run, state, progress, command, revision, .. } = row;
        let condition = match (state.status, state.fatal.is_some(), state.waiting_for.is_some()) {
            (RunStatus::Running, ..) => Condition::Running,
            (_, true, _) => Condition::Fatal,
            (_, _, true) => Condition::Waiting,
            (RunStatus::Stopped, ..) => Condition::Stopped,
            (RunStatus::NotRunning, ..) => Condition::Idle,
        };
        let jitter = jitter(&app.schedule, app.id);
        let Schedule { interval, cron, time_zone: zone, .. } = app.schedule;
        Self {
            id: app.id,
            path,
            condition,
            disabled: app.disabled,
            protected: app.policy.protected,
            fatal: state.fatal.map(|fatal| (fatal.flag, fatal.message.into(), fatal.time)),
            stopped_by: state.stopped_by.map(Into::into),
            waiting_for: state.waiting_for.map(Into::into),
            failures: state.failures,
            task_size: progress.task_size.filter(|size| *size > 0),
            percent: progress.percent,
            solved: progress.solved,
            failed: progress.failed,
            eta: progress.eta,
            next_run,
            last_run: state.last_run,
            run: state.run,
            pid: state.pid,
            manager,
            command: command.map(Box::new),
            message: progress.message.map(Into::into),
            cron,
            zone,
            jitter,
            interval: interval.map(crate::model::Minutes::duration),
            revision,
            pulse: Pulse::default(),
            usual: Usual::default(),
            trouble: None,
        }
    }

    pub(in crate::console) fn is_running(&self) -> bool {
        self.condition == Condition::Running
    }

    /// When it is to run next.
    pub(in crate::console) fn coming(&self, now: Timestamp) -> Option<Timestamp> {
        let calendar = self.cron.as_ref().map(|cron| Calendar::new(cron, self.zone, self.jitter));
        coming(self.next_run, self.is_running(), calendar, now)
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

    /// More is done than there was to do.
    pub(in crate::console) fn has_outgrown(&self) -> bool {
        self.task_size.is_some_and(|size| self.done() > size)
    }

    /// Items a thousand seconds, for the sums: that of an app which stands still does not count.
    pub(super) fn speed(&self) -> u64 {
        let stands = matches!(self.trouble, Some(Trouble::Stalled | Trouble::Unknown));
        if self.is_running() && !stands { self.pulse.speed() } else { 0 }
    }

    /// Items done and given up in this run.
    pub(in crate::console) fn done(&self) -> u64 {
        self.solved.saturating_add(self.failed)
    }

    /// How much is done, of 100.
    pub(in crate::console) fn progress(&self) -> Option<u8> {
        self.percent.filter(|_| self.last_run.is_some())
    }

    /// By how much it is late, once that is more than its grace.
    pub(in crate::console) fn lateness(&self, now: Timestamp) -> Option<TimeDelta> {
        // Asked of every app each second: what rules most of them out comes first.
        let due = self.next_run.filter(|due| *due < now)?;
        let is_due = !self.disabled && self.fatal.is_none() && self.stopped_by.is_none();
        let is_resting = matches!(self.condition, Condition::Idle);
        let late = now - due;
        let grace = self.interval.map_or(GRACE_MIN, |interval| (interval / GRACE_SHARE).max(GRACE_MIN));
        (is_due && is_resting && late.to_std().is_ok_and(|late| late > grace)).then_some(late)
    }

    /// What is wrong with it. `is_seen`: its manager lives.
    pub(super) fn judge(&self, now: Timestamp, is_seen: bool) -> Option<Trouble> {
        if self.fatal.is_some() {
            return Some(Trouble::Fatal);
        }
        if self.is_running() && !is_seen {
            return Some(Trouble::Unknown);
        }
        if self.is_running() && self.pulse.stalled(now).is_some() {
            return Some(Trouble::Stalled);
        }
        if self.lateness(now).is_some() {
            return Some(Trouble::Late);
        }
        self.pulse.is_flapping(now).then_some(Trouble::Flapping)
    }
}
