//! The manager's ports: what it is told and what it wants done.

use std::time::Duration;

use super::peers::Fate;
use crate::model::{
    AppId, AppPath, Change, Closing, Command, FleetTrouble, Limits, Program, Refusal, Registered, Report,
    RunId, StopCause, StopSignal, Timestamp, Trigger, UsageLimits,
};

/// Something happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// Time passed.
    Tick,
    /// A command without a verdict was found in the ledger. Repeating one that is known is
    /// harmless.
    Command(Command),
    /// The process of a run exists.
    Started {
        /// Which run.
        run: RunId,
        /// Its main process.
        pid: u32,
        /// When it began.
        at: Timestamp,
    },
    /// A run is over, or never came to be.
    Ended {
        /// Which run.
        run: RunId,
        /// How.
        closing: Closing,
    },
    /// A run of [`Effect::Adopt`] has neither a run directory nor a process on this host, and was looked for long
    /// enough.
    NotFound {
        /// Which run.
        run: RunId,
    },
    /// An app told of its progress.
    Reported {
        /// Which run.
        run: RunId,
        /// All that it reported so far.
        report: Report,
    },
    /// The processes of runs were looked at.
    Used(Vec<Sample>),
    /// The store refused to open a run.
    RunRefused {
        /// Which run.
        run: RunId,
        /// Why.
        refusal: Refusal,
    },
    /// Rows of the apps table were added or changed, by whomever.
    AppsChanged(Vec<Registered>),
    /// Rows of the apps table were deleted, and others with the same keys are there: they come with
    /// [`Event::AppsChanged`] after it.
    AppsReplaced(Vec<AppId>),
    /// Rows of the apps table were deleted. What runs of them is ended.
    AppsRemoved(Vec<AppId>),
    /// Apps have changed their manager: what is known of them is over. Those that are this one's again
    /// come with [`Event::AppsChanged`] after it.
    AppsLost(Vec<AppId>),
    /// The concurrency limits were changed.
    LimitsChanged(Limits),
    /// There is trouble of the fleet. Who watches for it may say so as often as it looks.
    FleetTrouble {
        /// What it is.
        trouble: FleetTrouble,
        /// What happened and what to do next, for people.
        message: String,
    },
    /// There is no such trouble of the fleet, or no more. Who watches for it says so at its first look too: the alert
    /// may be open since an earlier manager.
    FleetTroubleOver(FleetTrouble),
    /// How the managers of the database are, all of them.
    ManagersSeen(Vec<(String, Fate)>),
    /// A notification says by now that the app could not be started: it waits for a person.
    AlertDelivered {
        /// Which app.
        app: AppId,
    },
}

/// What all processes of a run use together.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample {
    /// Which run.
    pub run: RunId,
    /// Resident memory, in bytes.
    pub memory: u64,
    /// Time on the CPU since the sample before, in percent of one core.
    pub cpu: f64,
    /// Whether pages that several of its processes share were counted once. Otherwise they count for each.
    pub is_exact: bool,
    /// The limits that the kernel holds: the run cannot break them.
    pub held: UsageLimits,
}

/// Something that is to be done outside.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Start the process of a run.
    Start {
        /// Which run.
        run: RunId,
        /// What and how.
        launch: Box<Launch>,
    },
    /// Ask the run's processes to end, and kill them after the grace time.
    Stop {
        /// Which run.
        run: RunId,
        /// Who wants it.
        cause: StopCause,
        /// Time between its stop signal and KILL.
        grace: Duration,
    },
    /// The run outlived its grace time and its shim does not seem to act: kill its processes.
    Kill {
        /// Which run.
        run: RunId,
    },
    /// Watch a run that somebody else started on this host.
    Adopt {
        /// Which run.
        run: RunId,
    },
    /// Count the memory of a run exactly: the sample breaks its limit, and pages may have been counted twice.
    Measure {
        /// Which run.
        run: RunId,
    },
    /// The end of the run is on record: its run directory is not needed any more.
    Forget {
        /// Which run.
        run: RunId,
        /// Whose.
        app: AppId,
        /// The logs of so many runs of the app are kept.
        log_keep: u32,
        /// It ended badly: its log is the last to go.
        has_failed: bool,
    },
}

impl Effect {
    /// Whether it must not happen before the changes of its step are on record. A signal must not
    /// wait for a database.
    #[must_use]
    pub fn waits_for_commit(&self) -> bool {
        match self {
            Self::Start { .. } | Self::Forget { .. } => true,
            Self::Stop { .. } | Self::Kill { .. } | Self::Adopt { .. } | Self::Measure { .. } => false,
        }
    }
}

/// How a process is to be started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Launch {
    /// The app.
    pub app: AppId,
    /// Its names.
    pub path: AppPath,
    /// The program, its directory and environment.
    pub program: Program,
    /// Arguments of the command that asked for the run, as JSON.
    pub args: Option<String>,
    /// When the run was due.
    pub due: Option<Timestamp>,
    /// Why it was begun.
    pub trigger: Trigger,
    /// 1 for the first try.
    pub attempt: u32,
    /// What asks it to end.
    pub stop_signal: StopSignal,
    /// Time between that and KILL.
    pub stop_grace: Duration,
    /// The output takes at most so many bytes on disk.
    pub log_limit: u64,
    /// The zone of times without an offset that it reports.
    pub time_zone: chrono_tz::Tz,
    /// How often the app has changed its manager.
    pub epoch: u64,
    /// Whether the run must end when the manager cannot renew its lease.
    pub is_fenced: bool,
    /// After which time its shim ends it by itself.
    pub ends_after: Option<Duration>,
    /// What the kernel is to hold it to, where it can.
    pub limits: UsageLimits,
}

/// What follows from an event. The changes are one transaction.
#[must_use]
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Step {
    /// What is to be written.
    pub changes: Vec<Change>,
    /// What is to be done, in this order.
    pub effects: Vec<Effect>,
}

impl Step {
    /// Whether nothing follows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.effects.is_empty()
    }
}
