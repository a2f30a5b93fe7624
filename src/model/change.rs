//! What the manager wants written. A step's changes are one transaction, and each change may be
//! written twice with the effect of once: a commit whose answer was lost is simply repeated.

use std::collections::BTreeMap;

use super::vocabulary::words;
use super::{
    Alert, AlertEnd, AlertKind, AppId, AppState, Closing, CommandId, FleetAlertChange, Planned, Report,
    Revision, RunId, Timestamp, Trigger, Usage, Verdict,
};

/// One thing to be written.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// A run begins: its row, and RUNNING with fresh counters in the app's row. The store refuses
    /// it when the app has an open run already, is disabled or gone.
    RunOpened(RunOpening),
    /// The process of a run exists.
    RunStarted {
        /// Which run.
        run: RunId,
        /// Whose.
        app: AppId,
        /// Its main process.
        pid: u32,
        /// When it began.
        at: Timestamp,
    },
    /// A run is over. What is closed once is never changed again.
    RunClosed {
        /// Which run.
        run: RunId,
        /// Whose.
        app: AppId,
        /// How.
        closing: Closing,
    },
    /// Nothing of a run that another program began is on this host. Its row is closed as unknown if it is open and
    /// names one of these owners, or none; a run of another host may live, and stays. Whether it was closed is
    /// seen by the row of the app.
    RunNotFound {
        /// Which run.
        run: RunId,
        /// Whose.
        app: AppId,
        /// The names by which runs of this host are on record.
        owners: [String; 2],
        /// When the search for it ended.
        at: Timestamp,
    },
    /// The columns of an app that belong to the manager.
    App(AppUpdate),
    /// What a running app reported, or what was worked out from its counters.
    Progress {
        /// Whose.
        app: AppId,
        /// Of which run: a late report of an older run changes nothing.
        run: RunId,
        /// The columns to write; `None` leaves a column as it is.
        report: Report,
    },
    /// What the processes of a run use.
    Used {
        /// Whose.
        app: AppId,
        /// Of which run: a late sample of an older run changes nothing.
        run: RunId,
        /// All of it; what is `None` is not known.
        usage: Usage,
    },
    /// The verdict on a command.
    CommandSettled {
        /// Which.
        id: CommandId,
        /// For which app, if its row names one.
        app: Option<AppId>,
        /// The verdict; the first one stays.
        verdict: Verdict,
        /// When it fell.
        at: Timestamp,
    },
    /// An alert is opened.
    AlertOpened(Alert),
    /// More of what an open alert of the app is about; nothing if none is open.
    AlertRepeated(Alert),
    /// The alerts of an app are over.
    AlertsClosed {
        /// Which app.
        app: AppId,
        /// Those of these kinds.
        kinds: &'static [AlertKind],
        /// Since when.
        at: Timestamp,
        /// Why.
        end: AlertEnd,
    },
    /// An alert about the fleet.
    FleetAlert(FleetAlertChange),
    /// Times that were due and did not become runs.
    Skipped(Skip),
    /// Fills in the key of a row that was inserted without one.
    AppNamed {
        /// The number of the row.
        row: i64,
        /// Its key.
        id: AppId,
    },
    /// Shows in the row itself why it is set aside.
    AppFault {
        /// The number of the row.
        row: i64,
        /// Whose row it is.
        app: AppId,
        /// What is wrong; `None` once it is mended.
        fault: Option<String>,
    },
    /// Takes times that cannot be read out of a row, as long as it is as it was read.
    TimesIgnored {
        /// The number of the row.
        row: i64,
        /// Whose row it is.
        app: AppId,
        /// The state of the row that was read.
        revision: Revision,
        /// `next_run`, `asked_next_run`, or both.
        columns: Vec<&'static str>,
    },
}

/// What a change is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// An app.
    App(AppId),
    /// A command that names no app.
    UnknownApp,
    /// The fleet.
    Fleet,
}

impl Subject {
    /// The app, if it is one.
    #[must_use]
    pub fn app(self) -> Option<AppId> {
        match self {
            Self::App(app) => Some(app),
            Self::UnknownApp | Self::Fleet => None,
        }
    }
}

impl Change {
    /// What it is about. Changes of one subject are written in their order.
    #[must_use]
    pub fn subject(&self) -> Subject {
        match self {
            Self::RunOpened(opening) => Subject::App(opening.app),
            Self::App(update) => Subject::App(update.app),
            Self::AlertOpened(alert) | Self::AlertRepeated(alert) => Subject::App(alert.app),
            Self::Skipped(skip) => Subject::App(skip.app),
            Self::CommandSettled { app, .. } => app.map_or(Subject::UnknownApp, Subject::App),
            Self::FleetAlert(_) => Subject::Fleet,
            Self::RunStarted { app, .. }
            | Self::RunClosed { app, .. }
            | Self::RunNotFound { app, .. }
            | Self::Progress { app, .. }
            | Self::Used { app, .. }
            | Self::AlertsClosed { app, .. }
            | Self::AppNamed { id: app, .. }
            | Self::AppFault { app, .. }
            | Self::TimesIgnored { app, .. } => Subject::App(*app),
        }
    }
}

/// A run that is to begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunOpening {
    /// Its id.
    pub run: RunId,
    /// Whose.
    pub app: AppId,
    /// When it was opened; the process begins a moment later.
    pub at: Timestamp,
    /// When it was due; `None` for runs by command.
    pub due: Option<Timestamp>,
    /// Why.
    pub trigger: Trigger,
    /// 1 for the first try.
    pub attempt: u32,
    /// The command that asked for it.
    pub command: Option<CommandId>,
    /// Who runs it.
    pub manager: String,
    /// Whether it is opened though the app is disabled: a person tries it by hand, or its process is there already and
    /// only the row is missing.
    pub is_forced: bool,
}

/// Why the store did not open a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The app has this open run already: `run-app` was faster.
    AlreadyOpen(RunId),
    /// Its row says `disable` by now.
    Disabled,
    /// Its row is gone.
    NoSuchApp,
    /// It is another manager's by now.
    OwnedByOther,
}

/// The refused run of each app, until an update of the app no longer shows it. Until the manager has learned of
/// the refusal, its updates show the run as under way, and must not be written. Whether a run was opened is known
/// from the commit and never from the table `runtime`: rows of history may be deleted at any time.
#[derive(Debug, Default)]
pub struct Unopened(BTreeMap<AppId, RunId>);

impl Unopened {
    /// The run of the app was refused.
    pub fn note(&mut self, app: AppId, run: RunId) {
        self.0.insert(app, run);
    }

    /// Notes the refused runs of a commit.
    pub fn note_all(&mut self, changes: &[Change], refused: &[(RunId, Refusal)]) {
        for change in changes {
            if let Change::RunOpened(RunOpening { run, app, .. }) = change
                && refused.iter().any(|(other, _)| other == run)
            {
                self.note(*app, *run);
            }
        }
    }

    /// Whether a change shows a refused run and is not to be written.
    pub fn excludes(&mut self, change: &Change) -> bool {
        let Change::App(update) = change else { return false };
        match self.0.get(&update.app) {
            Some(run) if update.state.run == Some(*run) => true,
            Some(_) => {
                self.0.remove(&update.app);
                false
            }
            None => false,
        }
    }
}

/// The columns of an app's row that belong to the manager.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppUpdate {
    /// Which app.
    pub app: AppId,
    /// How many times the manager has written this row. A row that is read with a smaller number
    /// does not show this update yet.
    pub sequence: u64,
    /// All of its state. One that shows a run which was refused is not written ([`Unopened`]).
    pub state: AppState,
    /// When it is due next.
    pub next_run: Option<Timestamp>,
    /// What that time is.
    pub planned: Option<Planned>,
    /// The first time of its calendar that is not accounted for.
    pub slot: Option<Timestamp>,
    /// The time asked for by the app or a person that is herewith dealt with.
    pub asked_taken: Option<Timestamp>,
    /// A new value of `disable`.
    pub disabled: Option<bool>,
}

/// Times that were due and did not become runs, as one range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skip {
    /// Whose.
    pub app: AppId,
    /// The first of them.
    pub first: Timestamp,
    /// The last of them.
    pub last: Timestamp,
    /// How many; `None` when there are more than anybody counts.
    pub slots: Option<u32>,
    /// Why.
    pub reason: SkipReason,
    /// When that was noticed.
    pub at: Timestamp,
}

words! {
    /// Why a due time did not become a run.
    SkipReason {
        /// The run before was still under way.
        Overlap = "overlap",
        /// The app itself, a person or another program had set another time.
        Superseded = "superseded",
        /// The app was waiting for its `retry_interval`, or for the back-off after a crash.
        Retry = "retry",
        /// A limit on running apps left no room until later times had come.
        NoRoom = "no_room",
        /// No manager could start it at the time, and the app's `catch_up` leaves it out.
        Missed = "missed",
        /// More was missed than `catch_up_limit` allows.
        CatchUpLimit = "catch_up_limit",
        /// A STOP came before it was run.
        Stopped = "stopped",
        /// A DISABLE came before it was run.
        Disabled = "disabled",
        /// The app failed too often, or cannot be started.
        GivenUp = "given_up",
        /// The schedule was changed, or begun again by ENABLE, before it was run.
        Rescheduled = "rescheduled",
    }
}
