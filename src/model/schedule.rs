//! When an app is to run.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use chrono_tz::Tz;

use super::{Cron, InvalidSetting};

/// The columns of an app's row that say when it runs. With none of them it runs on command only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// Pause between the end of a good run and the next one.
    pub interval: Option<Minutes>,
    /// Pause after a failed run; `interval` if it is not set.
    pub retry_interval: Option<Minutes>,
    /// Fixed times of the calendar, in `time_zone`.
    pub cron: Option<Cron>,
    /// The zone that `cron` is read in.
    pub time_zone: Tz,
    /// Each time is put off by a share of this that is fixed for the app, so that many apps of
    /// one schedule do not start in the same instant. Zero: off.
    pub jitter: Duration,
    /// It runs without end, and is started again whenever it ends. That goes with neither an interval nor a calendar.
    pub always: bool,
}

impl Schedule {
    /// Whether it says when the app runs; without an interval or a calendar that is always, or on command only.
    #[must_use]
    pub const fn is_timed(&self) -> bool {
        self.interval.is_some() || self.cron.is_some()
    }

    /// What starts the app, in short.
    #[must_use]
    pub const fn timing(&self) -> Timing {
        match self {
            Self { always: true, .. } => Timing::Always,
            _ if self.is_timed() => Timing::Scheduled,
            _ => Timing::OnCommand,
        }
    }

    /// Whether its settings go together.
    ///
    /// # Errors
    /// [`InvalidSetting`] that names those that exclude each other.
    pub fn check(&self) -> Result<(), InvalidSetting> {
        let other = match (&self.interval, &self.cron) {
            (Some(_), None) if self.always => "interval",
            (None, Some(_)) if self.always => "cron",
            (Some(_), Some(_)) if self.always => "interval and cron",
            _ => return Ok(()),
        };
        Err(InvalidSetting::new(format!(
            "always excludes {other}: an app runs without end, or by a schedule"
        )))
    }
}

impl Default for Schedule {
    fn default() -> Self {
        Self {
            interval: None,
            retry_interval: None,
            cron: None,
            time_zone: Tz::UTC,
            jitter: Duration::ZERO,
            always: false,
        }
    }
}

/// What starts an app.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Timing {
    /// The end of its last run.
    Always,
    /// An interval or a calendar.
    Scheduled,
    /// A person.
    OnCommand,
}

/// What the time of a next run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Planned {
    /// A time of the calendar.
    Calendar,
    /// The end of a pause of this length: an interval, a retry, a back-off. It moves with the wall clock.
    Pause(Duration),
    /// The app itself, a person or another program asked for it.
    Asked,
}

impl Planned {
    /// The word that the database stores.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Calendar => "calendar",
            Self::Pause(_) => "pause",
            Self::Asked => "asked",
        }
    }

    /// The length of a pause.
    #[must_use]
    pub const fn pause(self) -> Option<Duration> {
        match self {
            Self::Pause(length) => Some(length),
            Self::Calendar | Self::Asked => None,
        }
    }

    /// The same in seconds, as the database stores it.
    #[must_use]
    pub fn seconds(self) -> Option<f64> {
        self.pause().map(|length| length.as_secs_f64())
    }

    /// What the database stored; `None` for anything else.
    #[must_use]
    pub fn from_stored(word: &str, seconds: Option<f64>) -> Option<Self> {
        match word {
            "calendar" => Some(Self::Calendar),
            "asked" => Some(Self::Asked),
            "pause" => seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()).map(Self::Pause),
            _ => None,
        }
    }
}

/// A pause in minutes, fractions allowed: from 0 to ten years.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Minutes(Duration);

impl Minutes {
    const MAX: f64 = 10.0 * 366.0 * 24.0 * 60.0;

    /// Checks a number of minutes; it is kept to the millisecond.
    ///
    /// # Errors
    /// [`MinutesError`] for negative numbers, more than ten years, and what is no number.
    pub fn new(minutes: f64) -> Result<Self, MinutesError> {
        if !(0.0..=Self::MAX).contains(&minutes) {
            return Err(MinutesError { text: minutes.to_string() });
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "within 0..=MAX minutes, as checked above"
        )]
        let millis = (minutes * 60_000.0).round() as u64;
        Ok(Self(Duration::from_millis(millis)))
    }

    /// The pause as a duration.
    #[must_use]
    pub fn duration(self) -> Duration {
        self.0
    }

    /// The number that the database stores.
    #[must_use]
    pub fn as_f64(self) -> f64 {
        self.0.as_secs_f64() / 60.0
    }
}

impl FromStr for Minutes {
    type Err = MinutesError;

    fn from_str(text: &str) -> Result<Self, MinutesError> {
        let wrong = || MinutesError { text: text.to_owned() };
        text.trim().parse().map_err(|_| wrong()).and_then(|minutes| Self::new(minutes).map_err(|_| wrong()))
    }
}

impl fmt::Display for Minutes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.as_f64())
    }
}

impl fmt::Debug for Minutes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}min")
    }
}

/// The value is no number of minutes that is accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid number of minutes {text:?}: expected 0 to 5270400 (ten years)")]
pub struct MinutesError {
    text: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fractions_are_kept_and_nonsense_is_refused() {
        assert_eq!(Minutes::new(0.05).unwrap().duration(), Duration::from_secs(3));
        assert_eq!("1.5".parse::<Minutes>().unwrap().duration(), Duration::from_secs(90));
        assert_eq!(Minutes::new(0.05).unwrap().to_string(), "0.05");
        for wrong in [-1.0, f64::NAN, f64::INFINITY, 1e12] {
            assert!(Minutes::new(wrong).is_err(), "{wrong}");
        }
        assert!("soon".parse::<Minutes>().unwrap_err().to_string().contains("soon"));
    }
}
