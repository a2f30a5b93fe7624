//! Alerts: one row per episode.

use std::fmt;

use super::{AlertId, AppId, RunId, Timestamp, format_timestamp};

/// What an alert is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AlertKind {
    /// Fatal flag 1.
    FailedToStart,
    /// Fatal flag 3.
    UnexpectedBehavior,
    /// The host has no room for another process; the app is tried again.
    HostExhausted,
    /// The definition in its row cannot be obeyed.
    SetAside,
    /// It reported something that cannot be read.
    BadReport,
    /// Another program holds a row of it, and nothing can be written about it.
    RowLocked,
}

impl AlertKind {
    /// All kinds.
    pub const ALL: &[Self] = &[
        Self::FailedToStart,
        Self::UnexpectedBehavior,
        Self::HostExhausted,
        Self::SetAside,
        Self::BadReport,
        Self::RowLocked,
    ];

    /// Alerts about how runs ended.
    pub const OF_RUNS: &[Self] = &[Self::FailedToStart, Self::UnexpectedBehavior, Self::HostExhausted];

    /// The word that the database stores.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::FailedToStart => "failed_to_start",
            Self::UnexpectedBehavior => "unexpected_behavior",
            Self::HostExhausted => "host_exhausted",
            Self::SetAside => "set_aside",
            Self::BadReport => "bad_report",
            Self::RowLocked => "row_locked",
        }
    }
}

impl fmt::Display for AlertKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// An alert that is to be raised. One app, kind and run make one episode, however often it is
/// written; without a run, the moment takes its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alert {
    /// About which app.
    pub app: AppId,
    /// What it is about.
    pub kind: AlertKind,
    /// The run that brought it about.
    pub run: Option<RunId>,
    /// What happened, for people.
    pub message: String,
    /// When.
    pub raised: Timestamp,
}

impl Alert {
    /// What tells this episode from others of its app and kind.
    #[must_use]
    pub fn episode(&self) -> String {
        self.run.map_or_else(|| format_timestamp(self.raised), |run| run.to_string())
    }
}

/// A row of the alerts table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlertRow {
    /// Its number.
    pub id: AlertId,
    /// About which app.
    pub app: String,
    /// What it is about.
    pub kind: String,
    /// What happened.
    pub message: String,
    /// When it was raised.
    pub raised: Timestamp,
    /// When a notification of it left the program; none is sent yet.
    pub delivered: Option<Timestamp>,
    /// When it was over: the app was enabled again.
    pub cleared: Option<Timestamp>,
    /// The run that brought it about.
    pub run: Option<RunId>,
    /// Who looks after it, and since when.
    pub acknowledged: Option<(String, Timestamp)>,
    /// Until when it is not to be shown.
    pub muted_until: Option<Timestamp>,
}
