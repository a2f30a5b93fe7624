//! An app as the console knows it: what its row says, and what we conclude from it. Both are kept
//! apart.

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use chrono_tz::Tz;

use super::pulse::Pulse;
use crate::manager::coming::{Calendar, coming};
use crate::manager::schedule::jitter;
use crate::model::explain::State;
use crate::model::{
    AppId, AppPath, AppRow, CmdFlag, FatalFlag, LastCommand, Revision, RunId, RunStatus, Schedule, Timestamp,
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
    /// Nothing is done to it without its number being typed.
    pub(in crate::console) protected: bool,
    pub(in crate::console) fatal: Option<(FatalFlag, Box<str>, Timestamp)>,
    /// Nothing starts until ENABLE: it could not be started, or was given up.
    pub(in crate::console) awaits_enable: bool,
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
    /// It was due a while ago and does not run.
    Late,
    /// It ended badly three times within ten minutes.
    Flapping,
    /// Its last run ended badly; it goes on.
    Failed,
}

impl Trouble {
    pub(in crate::console) const ALL: [Self; 7] =
        [Self::Fatal, Self::GivenUp, Self::Unknown, Self::Stalled, Self::Late, Self::Flapping, Self::Failed];

    /// The word for people and for `is:`.
    pub(in crate::console) const fn word(self) -> &'static str {
        match self {
            Self::Fatal => "FATAL",
            Self::GivenUp => "GIVEN UP",
            Self::Unknown => "UNKNOWN",
            Self::Stalled => "STALLED",
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
        let AppRow { app, next_run, state, progress, command, revision, .. } = row;
        let jitter = jitter(&app.schedule, app.id);
        let Schedule { interval, cron, time_zone: zone, .. } = app.schedule;
        Self {
            id: app.id,
            path,
            said,
            state: said,
            status: state.status,
            disabled: app.disabled,
            protected: app.policy.protected,
            fatal: state.fatal.map(|fatal| (fatal.flag, fatal.message.into(), fatal.time)),
            awaits_enable,
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
        self.said == State::Running
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
        self.said.lateness(self.next_run, self.interval, now)
    }

    /// What it is doing at this moment, and whether that needs a person. `is_heard`: the lease of its manager holds.
    pub(super) fn judge(&self, now: Timestamp, is_heard: bool) -> (State, Option<Trouble>) {
        let state = if self.is_running() {
            State::running(is_heard, self.pulse.stalled(now).is_some())
        } else {
            self.lateness(now).map_or(self.said, |_| State::Late)
        };
        let flapping = self.pulse.is_flapping(now).then_some(Trouble::Flapping);
        let trouble = match state {
            State::Fatal => Some(Trouble::Fatal),
            State::GivenUp => Some(Trouble::GivenUp),
            State::Unknown => Some(Trouble::Unknown),
            State::Stalled => Some(Trouble::Stalled),
            State::Late => Some(Trouble::Late),
            State::Failed => Some(flapping.unwrap_or(Trouble::Failed)),
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
