//! What operators ask for when they look back: runs, skipped times, alerts, commands.

use chrono::TimeDelta;

use crate::model::{AlertId, AppId, CmdName, CommandId, RunId, Severity, Timestamp};

/// An app, and how long a run of it took.
pub type RunLength = (AppId, TimeDelta);

/// Which runs are asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HistoryQuery {
    /// Of these apps only; empty: of all.
    pub apps: Vec<AppId>,
    /// This run only.
    pub run: Option<RunId>,
    /// Begun before this moment.
    pub before: Option<Timestamp>,
    /// Begun at or after this moment, and of each app also the run before, if it was still going on
    /// then: the runs of a window of time. Asks for [`Self::apps`].
    pub since: Option<Timestamp>,
    /// At most so many.
    pub limit: u32,
}

/// Which skipped times are asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SkipQuery {
    /// Of these apps.
    pub apps: Vec<AppId>,
    /// Of which the last was due at or after this moment.
    pub since: Option<Timestamp>,
    /// Of which the first was due before this moment.
    pub before: Option<Timestamp>,
    /// At most so many.
    pub limit: u32,
}

/// What alerts are about that are asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum AlertsOf {
    /// Anything.
    #[default]
    All,
    /// The fleet.
    Fleet,
    /// One of these apps.
    Apps(Vec<AppId>),
    /// These alerts, whatever they are about.
    These(Vec<AlertId>),
}

/// Which alerts are asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AlertQuery {
    /// What they are about.
    pub of: AlertsOf,
    /// Without those that are over.
    pub open_only: bool,
    /// Seen at or after this moment.
    pub since: Option<Timestamp>,
    /// At least so bad. A severity of a newer version counts as none.
    pub severity: Option<Severity>,
    /// Older than this one: the next page.
    pub before: Option<AlertId>,
    /// At most so many.
    pub limit: u32,
}

/// What a person notes on alerts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AlertNote {
    /// This person looks after it, since then.
    Acknowledged {
        /// Who.
        by: String,
        /// Since when.
        at: Timestamp,
    },
    /// Nobody does any more.
    Unacknowledged,
    /// It is not to be shown until then; `None`: it is shown again.
    Muted(Option<Timestamp>),
}

/// Which commands are asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LedgerQuery {
    /// For this app only.
    pub app: Option<AppId>,
    /// By somebody whose name holds this, in letters of any size.
    pub by: Option<String>,
    /// Of this name only.
    pub name: Option<CmdName>,
    /// Issued at or after this moment.
    pub since: Option<Timestamp>,
    /// Sent together under this name.
    pub batch: Option<String>,
    /// Older than this one: the next page.
    pub before: Option<CommandId>,
    /// At most so many.
    pub limit: u32,
}
