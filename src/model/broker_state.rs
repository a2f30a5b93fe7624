//! Whether a manager reaches its broker, as it says so in its row.

use std::fmt;
use std::str::FromStr;

use super::{Timestamp, format_timestamp, parse_timestamp};

/// Whether commands come by RabbitMQ and documents leave by it. A manager without a broker has none of these.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BrokerState {
    /// Commands come, documents leave.
    Connected,
    /// Commands come; the broker takes no messages for now, since it lacks memory or room on its disk.
    Blocked {
        /// Since when.
        since: Timestamp,
        /// What the broker says.
        why: String,
    },
    /// Neither; the manager tries again and again.
    Away {
        /// Since when.
        since: Timestamp,
        /// Why the last try failed.
        why: String,
    },
}

impl BrokerState {
    /// Since when it is not well.
    #[must_use]
    pub fn since(&self) -> Option<Timestamp> {
        match self {
            Self::Connected => None,
            Self::Blocked { since, .. } | Self::Away { since, .. } => Some(*since),
        }
    }

    /// What is wrong.
    #[must_use]
    pub fn why(&self) -> Option<&str> {
        match self {
            Self::Connected => None,
            Self::Blocked { why, .. } | Self::Away { why, .. } => Some(why),
        }
    }

    /// The first word of its text.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Connected => "connected",
            Self::Blocked { .. } => "blocked",
            Self::Away { .. } => "away",
        }
    }
}

/// `connected`, `blocked since T: why`, `away since T: why`.
impl fmt::Display for BrokerState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.since(), self.why()) {
            (Some(since), Some(why)) => write!(f, "{} since {}: {why}", self.word(), format_timestamp(since)),
            _ => f.write_str(self.word()),
        }
    }
}

/// A text that is none of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no state of a broker")]
pub struct BrokerStateError;

impl FromStr for BrokerState {
    type Err = BrokerStateError;

    fn from_str(text: &str) -> Result<Self, BrokerStateError> {
        if text == "connected" {
            return Ok(Self::Connected);
        }
        let (word, rest) = text.split_once(" since ").ok_or(BrokerStateError)?;
        let (since, why) = rest.split_once(": ").ok_or(BrokerStateError)?;
        let (since, why) = (parse_timestamp(since).map_err(|_| BrokerStateError)?, why.to_owned());
        match word {
            "blocked" => Ok(Self::Blocked { since, why }),
            "away" => Ok(Self::Away { since, why }),
            _ => Err(BrokerStateError),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_a_text_and_back() {
        for text in [
            "connected",
            "away since 2026-11-27T20:00:00.000Z: connection refused",
            "blocked since 2026-11-27T20:00:00.000Z: low on memory: a: b",
        ] {
            assert_eq!(text.parse::<BrokerState>().unwrap().to_string(), text);
        }
        for text in ["", "away", "away since then: x", "gone since 2026-11-27T20:00:00.000Z: x"] {
            assert_eq!(text.parse::<BrokerState>(), Err(BrokerStateError), "{text}");
        }
    }
}
