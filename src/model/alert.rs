//! Alerts: one row per episode.

use std::fmt;

use chrono::TimeDelta;

use super::vocabulary::words;
use super::{
    AlertCause, AlertId, AppId, AppRef, FatalFlag, RunId, Timestamp, Word, format_duration, format_timestamp,
};

words! {
    /// What an alert is about.
    AlertKind {
        /// It could not be started, or kept dying while it started: fatal flag 1.
        FailedToStart = "failed_to_start",
        /// It failed `max_failures` times in a row: fatal flag 3.
        UnexpectedBehavior = "unexpected_behavior",
        /// The host has no room for another process; the app is tried again.
        HostExhausted = "host_exhausted",
        /// The definition in its row cannot be obeyed.
        SetAside = "set_aside",
        /// It reported something that cannot be read.
        BadReport = "bad_report",
        /// Another program holds a row of it, and nothing can be written about it.
        RowLocked = "row_locked",
        /// It runs, and its counters have stood still for longer than usual.
        Stalled = "stalled",
        /// Of the fleet: a manager does not renew its lease.
        ManagerLost = "manager_lost",
        /// Of the fleet: another program holds a row, and something cannot be written that is not about one app.
        DatabaseLocked = "database_locked",
        /// Of the fleet: a host has little room left for logs.
        DiskLow = "disk_low",
        /// Of the fleet: the message broker cannot be reached.
        BrokerAway = "broker_away",
        /// Of the fleet: a manager cannot serve its metrics.
        MetricsNotServed = "metrics_not_served",
        /// Of the fleet: what was to leave the program was tried for too long.
        DeliveryGivenUp = "delivery_given_up",
        /// Of the fleet: there are rows of apps that cannot be obeyed.
        RowsSetAside = "rows_set_aside",
        /// Its last run has exit code 0 and breaks a rule.
        Suspect = "suspect",
        /// It was due long ago, and a limit leaves no room for it.
        Late = "late",
        /// It uses more memory or time of the CPU than it may.
        OverLimit = "over_limit",
    }
}

impl AlertKind {
    /// Alerts about how runs ended.
    pub const OF_RUNS: &[Self] =
        &[Self::FailedToStart, Self::UnexpectedBehavior, Self::HostExhausted, Self::Suspect, Self::OverLimit];

    /// The flag that the row of the app has while the alert is open.
    #[must_use]
    pub fn flag(self) -> Option<FatalFlag> {
        match self {
            Self::FailedToStart => Some(FatalFlag::FailedToStart),
            Self::UnexpectedBehavior | Self::Suspect | Self::Stalled | Self::OverLimit => {
                Some(FatalFlag::UnexpectedBehavior)
            }
            Self::HostExhausted | Self::SetAside | Self::BadReport | Self::RowLocked | Self::Late => None,
            Self::ManagerLost
            | Self::DatabaseLocked
            | Self::DiskLow
            | Self::BrokerAway
            | Self::MetricsNotServed
            | Self::DeliveryGivenUp
            | Self::RowsSetAside => None,
        }
    }

    /// How bad an alert of this kind is.
    #[must_use]
    pub fn severity(self) -> Severity {
        match self {
            Self::FailedToStart | Self::UnexpectedBehavior | Self::SetAside | Self::RowLocked => {
                Severity::Critical
            }
            Self::HostExhausted
            | Self::BadReport
            | Self::Stalled
            | Self::Suspect
            | Self::OverLimit
            | Self::Late => Severity::Warning,
            Self::ManagerLost | Self::DatabaseLocked | Self::DiskLow | Self::DeliveryGivenUp => {
                Severity::Critical
            }
            // Commands go through the database meanwhile, and each row that is set aside has an alert of its own.
            Self::BrokerAway | Self::MetricsNotServed | Self::RowsSetAside => Severity::Warning,
        }
    }
}

words! {
    /// How bad it is.
    Severity, "severity" {
        /// It may pass, or an app goes on in spite of it.
        Warning = "warning",
        /// An app does not do its work.
        Critical = "critical",
    }
}

/// Trouble of an app, as it is seen now. What opens an alert is one episode of its app and kind, by its run or its moment,
/// however often it is written; while it is open, more of the same is counted there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alert {
    /// About which app.
    pub app: AppId,
    /// What it is about.
    pub kind: AlertKind,
    /// What brought it about: the same text for the same trouble of any app.
    pub cause: AlertCause,
    /// The run that brought it about.
    pub run: Option<RunId>,
    /// What happened, for people.
    pub message: String,
    /// The last lines of the standard error of its run.
    pub detail: Option<String>,
    /// How often by now, in this episode.
    pub count: u32,
    /// When.
    pub at: Timestamp,
}

impl Alert {
    /// What tells this episode from others of its app and kind.
    #[must_use]
    pub fn episode(&self) -> String {
        self.run.map_or_else(|| format_timestamp(self.at), |run| run.to_string())
    }
}

words! {
    /// Why an alert is over.
    AlertEnd {
        /// The trouble has ended: a good run, a valid row, a row that is free again.
        Recovered = "recovered",
        /// A person enabled the app.
        Enabled = "enabled",
        /// The row of the app was deleted.
        Removed = "removed",
    }
}

/// An alert that a commit opened or closed, as a line of the manager's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlertEvent {
    /// Its row.
    pub id: AlertId,
    /// The path of the app, its key where its row was deleted, or [`AlertSubject::FLEET`].
    pub app: String,
    /// What the alert is about.
    pub kind: AlertKind,
    /// What happened, for people.
    pub message: String,
    /// Opened, or closed.
    pub turn: AlertTurn,
}

/// What became of an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AlertTurn {
    /// Its row was added.
    Opened,
    /// Its row was closed.
    Closed {
        /// How long it was open.
        after: TimeDelta,
        /// Why it is over.
        end: AlertEnd,
    },
}

impl fmt::Display for AlertEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { app, kind, message, turn, .. } = self;
        match turn {
            AlertTurn::Opened => write!(f, "alert opened: {app}: {kind}: {message}"),
            AlertTurn::Closed { after, end } => {
                write!(f, "alert closed: {app}: {kind}: {message}, after {} ({end})", format_duration(*after))
            }
        }
    }
}

/// What an alert is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum AlertSubject {
    /// The fleet.
    Fleet,
    /// An app.
    App(AppRef),
}

impl AlertSubject {
    /// How the fleet is named where other alerts have the path of an app. No app has this path.
    pub const FLEET: &'static str = "fleet";

    /// The app, if it is about one.
    #[must_use]
    pub fn app(&self) -> Option<&AppRef> {
        match self {
            Self::App(app) => Some(app),
            Self::Fleet => None,
        }
    }

    /// The key of the app, if it is about one and the row names one.
    #[must_use]
    pub fn id(&self) -> Option<AppId> {
        self.app().and_then(AppRef::id)
    }
}

impl From<AppId> for AlertSubject {
    fn from(app: AppId) -> Self {
        Self::App(app.into())
    }
}

impl fmt::Display for AlertSubject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fleet => f.write_str(Self::FLEET),
            Self::App(app) => app.fmt(f),
        }
    }
}

/// A row of the alerts table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlertRow {
    /// Its number.
    pub id: AlertId,
    /// What it is about.
    pub subject: AlertSubject,
    /// Of an alert about the fleet: the manager that alone sees the trouble; `None` where all of them see it.
    pub manager: Option<String>,
    /// What kind of trouble it is.
    pub kind: Word<AlertKind>,
    /// What brought it about: the same text for the same trouble of any app.
    pub cause: AlertCause,
    /// How bad it is.
    pub severity: Word<Severity>,
    /// When it was opened.
    pub opened: Timestamp,
    /// When the trouble was seen last.
    pub last_seen: Timestamp,
    /// How often it was seen.
    pub count: u32,
    /// What happened last, for people.
    pub message: String,
    /// The last lines of the standard error of the run that it was seen at last.
    pub detail: Option<String>,
    /// Who looks after it, and since when.
    pub acknowledged: Option<(String, Timestamp)>,
    /// Until when it is not to be shown.
    pub muted_until: Option<Timestamp>,
    /// When it was over.
    pub closed: Option<Timestamp>,
    /// When a channel took the first notification of it.
    pub delivered: Option<Timestamp>,
    /// The run that brought it about.
    pub run: Option<RunId>,
    /// Who looks after its app, as the row of that says now.
    pub owner: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_became_of_an_alert_is_one_line() {
        let opened = AlertEvent {
            id: AlertId(1),
            app: "croatia/fina/companies".to_owned(),
            kind: AlertKind::UnexpectedBehavior,
            message: "3 failures in a row, the last: exit 3".to_owned(),
            turn: AlertTurn::Opened,
        };
        assert_eq!(
            opened.to_string(),
            "alert opened: croatia/fina/companies: unexpected_behavior: 3 failures in a row, the last: exit 3"
        );
        let turn = AlertTurn::Closed { after: TimeDelta::minutes(12), end: AlertEnd::Recovered };
        assert_eq!(
            AlertEvent { turn, ..opened }.to_string(),
            "alert closed: croatia/fina/companies: unexpected_behavior: 3 failures in a row, the last: exit 3, after \
             12m00s (recovered)"
        );
    }
}
