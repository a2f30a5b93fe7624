//! In which order the rows stand.

use crate::console::fleet::{Fleet, Row, Sums, rate};
use crate::model::{Blame, LastResult, Timestamp};

/// By what rows are sorted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::console) enum Key {
    #[default]
    Severity,
    Name,
    State,
    Progress,
    Solved,
    Failed,
    Rate,
    Eta,
    Next,
    Last,
    Result,
}

impl Key {
    pub(in crate::console) const ALL: [Self; 11] = [
        Self::Severity,
        Self::Name,
        Self::State,
        Self::Progress,
        Self::Solved,
        Self::Failed,
        Self::Rate,
        Self::Eta,
        Self::Next,
        Self::Last,
        Self::Result,
    ];

    /// Whether it changes with the time alone.
    pub(super) const fn is_of_time(self) -> bool {
        matches!(self, Self::Rate | Self::Eta)
    }

    /// Of which state of the fleet an order is: the same number, the same order.
    pub(super) const fn version(self, fleet: &Fleet) -> u64 {
        match self {
            Self::Severity | Self::Name | Self::State => fleet.shape,
            Self::Progress
            | Self::Solved
            | Self::Failed
            | Self::Rate
            | Self::Eta
            | Self::Next
            | Self::Last
            | Self::Result => fleet.version,
        }
    }

    /// The word of menus and saved views.
    pub(in crate::console) const fn word(self) -> &'static str {
        match self {
            Self::Severity => "severity",
            Self::Name => "name",
            Self::State => "state",
            Self::Progress => "progress",
            Self::Solved => "solved",
            Self::Failed => "failed",
            Self::Rate => "rate",
            Self::Eta => "eta",
            Self::Next => "next",
            Self::Last => "last",
            Self::Result => "result",
        }
    }
}

/// An order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::console) struct Sort {
    pub(in crate::console) key: Key,
    pub(in crate::console) is_reversed: bool,
}

impl Sort {
    /// Whether the order changes by itself.
    pub(in crate::console) fn is_live(self) -> bool {
        self.key != Key::Name
    }

    /// What an app is sorted by: the smallest comes first, what has no value last.
    #[expect(clippy::cast_precision_loss, reason = "compared only")]
    pub(super) fn of_row(self, row: &Row, now: Timestamp) -> f64 {
        let time = |time: Timestamp| time.timestamp_millis() as f64;
        let value = match self.key {
            Key::Name => Some(0.0),
            Key::Severity => Some(row.trouble.map_or(9.0, |trouble| f64::from(trouble as u8))),
            Key::State => Some(f64::from(row.state as u8)),
            Key::Progress => row.progress().map(|percent| -f64::from(percent)),
            Key::Solved => Some(-(row.solved as f64)),
            Key::Failed => Some(-(row.failed as f64)),
            Key::Rate => rate::rate(row, now).map(|rate| -rate),
            Key::Eta => match rate::eta(row, now) {
                Some(
                    rate::Eta::Reported(span)
                    | rate::Eta::Guessed(span)
                    | rate::Eta::Usual(span)
                    | rate::Eta::Between(_, span),
                ) => Some(span.as_seconds_f64()),
                Some(rate::Eta::Never) | None => None,
            },
            Key::Next => row.next_run.filter(|_| !row.disabled).map(time),
            Key::Last => row.last_run.map(|last| -time(last)),
            Key::Result => row.result.as_deref().map(by_result),
        };
        self.directed(value)
    }

    /// What a group or parent is sorted by.
    #[expect(clippy::cast_precision_loss, reason = "compared only")]
    pub(super) fn of_sums(self, sums: Option<&Sums>) -> f64 {
        let time = |time: Timestamp| time.timestamp_millis() as f64;
        let value = sums.and_then(|sums| match self.key {
            Key::Name => Some(0.0),
            Key::Severity => Some(
                sums.worst().map_or(9.0, |(trouble, count)| f64::from(trouble as u8) - count as f64 / 1e9),
            ),
            Key::State => Some(-(sums.running() as f64)),
            Key::Rate => Some(-(sums.speed.done() as f64)),
            Key::Progress => sums.percent().map(|percent| -f64::from(percent)),
            Key::Solved => Some(-(sums.solved as f64)),
            Key::Failed => Some(-(sums.failed as f64)),
            Key::Eta => sums.extremes.eta.map(time),
            Key::Next => sums.extremes.next_run.map(time),
            Key::Last => sums.extremes.last_run.map(|last| -time(last)),
            Key::Result => Some(-(sums.failed_apps() as f64)),
        });
        self.directed(value)
    }

    fn directed(self, value: Option<f64>) -> f64 {
        match (value, self.is_reversed) {
            (None, _) => f64::INFINITY,
            (Some(value), false) => value,
            (Some(value), true) => -value,
        }
    }
}

/// Bad ends come first, equal ones together.
#[expect(clippy::cast_precision_loss, reason = "compared only")]
fn by_result(result: &LastResult) -> f64 {
    let blame = match result.blame() {
        Blame::Bad | Blame::Doubtful => 0.0,
        Blame::Excused => 1e6,
        Blame::Good => 2e6,
    };
    blame + result.exit_code.unwrap_or(0).clamp(0, 99_999) as f64
}
