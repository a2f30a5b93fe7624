//! In which order the rows stand.

use crate::console::fleet::{Fleet, Row, Sums, pulse};
use crate::model::Timestamp;

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
}

impl Key {
    pub(in crate::console) const ALL: [Self; 10] = [
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
            | Self::Last => fleet.version,
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
            Key::Rate => row.pulse.rate(now).filter(|_| row.is_running()).map(|rate| -rate),
            Key::Eta => match pulse::eta(row, now) {
                Some(
                    pulse::Eta::Told(span)
                    | pulse::Eta::Guessed(span)
                    | pulse::Eta::Usual(span)
                    | pulse::Eta::Between(_, span),
                ) => Some(span.as_seconds_f64()),
                Some(pulse::Eta::Never) | None => None,
            },
            Key::Next => row.next_run.filter(|_| !row.disabled).map(time),
            Key::Last => row.last_run.map(|last| -time(last)),
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
            Key::Rate => Some(-(sums.speed as f64)),
            Key::Progress => sums.percent().map(|percent| -f64::from(percent)),
            Key::Solved => Some(-(sums.solved as f64)),
            Key::Failed => Some(-(sums.failed as f64)),
            Key::Eta => sums.extremes.eta.map(time),
            Key::Next => sums.extremes.next_run.map(time),
            Key::Last => sums.extremes.last_run.map(|last| -time(last)),
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
