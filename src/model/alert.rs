//! Alerts: one row per episode.

use std::fmt;

use super::vocabulary::words;
use super::{AlertId, AppId, AppRef, RunId, Timestamp, Word, format_timestamp};

words! {
    /// What an alert is about.
    AlertKind {
        /// Fatal flag 1.
        FailedToStart = "failed_to_start",
        /// Fatal flag 3.
        UnexpectedBehavior = "unexpected_behavior",
        /// The host has no room for another process; the app is tried again.
        HostExhausted = "host_exhausted",
        /// The definition in its row cannot be obeyed.
        SetAside = "set_aside",
        /// It reported something that cannot be read.
        BadReport = "bad_report",
        /// Another program holds a row of it, and nothing can be written about it.
        RowLocked = "row_locked",
    }
}

impl AlertKind {
    /// Alerts about how runs ended.
    pub const OF_RUNS: &[Self] = &[Self::FailedToStart, Self::UnexpectedBehavior, Self::HostExhausted];
}

/// The message of an alert about failures in a row. Its text is made and read here alone, so that the console can put
/// first what broke.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InARow<'a> {
    /// Failures since the last good run.
    pub count: u32,
    /// What the last of them was.
    pub last: &'a str,
}

impl<'a> InARow<'a> {
    const BETWEEN: &'static str = " failures in a row, the last: ";

    /// What a message says; `None` if it is about something else.
    #[must_use]
    pub fn read(message: &'a str) -> Option<Self> {
        let (count, last) = message.split_once(Self::BETWEEN)?;
        Some(Self { count: count.parse().ok()?, last })
    }
}

impl fmt::Display for InARow<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}{}", self.count, Self::BETWEEN, self.last)
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
    pub app: AppRef,
    /// What it is about.
    pub kind: Word<AlertKind>,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_in_a_row_come_back_as_they_went_out() {
        let message = InARow { count: 3, last: "exit 1; the one before: exit 2" };
        assert_eq!(message.to_string(), "3 failures in a row, the last: exit 1; the one before: exit 2");
        assert_eq!(InARow::read(&message.to_string()), Some(message));
        for other in ["no python3", "many failures in a row, the last: exit 1"] {
            assert_eq!(InARow::read(other), None);
        }
    }
}
