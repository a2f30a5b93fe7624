//! What the manager concludes of an app beyond its status, and what it concludes that from.

use std::time::Duration;

use chrono::TimeDelta;

use super::vocabulary::words;
use super::{Timestamp, Word};

words! {
    /// What the manager concludes of an app beyond its status. Where several hold, the row shows the first.
    Concern {
        /// It runs, and its counters have stood still for longer than usual.
        Stalled = "stalled",
        /// It uses more memory or time of the CPU than it may.
        OverLimit = "over_limit",
        /// It was due a while ago, and a limit leaves no room for it.
        Late = "late",
        /// Its runs end badly again and again in a short time.
        Flapping = "flapping",
        /// Its last run that counts has exit code 0 and breaks a rule.
        Suspect = "suspect",
    }
}

/// A conclusion of the manager, as the row of the app shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conclusion {
    /// What it is.
    pub concern: Word<Concern>,
    /// When it was reached.
    pub since: Timestamp,
}

impl Conclusion {
    /// Whether it is this one.
    #[must_use]
    pub fn is(&self, concern: Concern) -> bool {
        self.concern.known() == Some(concern)
    }
}

/// How the counters of the current or last run move. Triggers keep it, so that it is true for every writer and reader.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Movement {
    /// When they moved last, by the clock of the database.
    pub last: Timestamp,
    /// The usual pause between two moves; `None` until there were two that lie a second apart.
    pub usual_pause: Option<Duration>,
}

/// The shortest silence of counters that is called a stall.
const STALL_MIN: Duration = Duration::from_secs(60);

/// A stall: this many times the usual pause between two moves.
const STALL_PAUSES: u32 = 5;

/// What the latest pause counts for in the usual one, of 1.
const PAUSE_WEIGHT: f64 = 0.2;

/// Shorter pauses, in seconds, count for less: several columns that are written one after the other are one move.
const PAUSE_MIN: f64 = 1.0;

impl Movement {
    /// After a move at this time. The triggers of the databases compute the same.
    #[must_use]
    pub fn next(before: Option<&Self>, at: Timestamp) -> Self {
        let usual_pause = before.and_then(|before| {
            let pause = (at - before.last).to_std().unwrap_or_default();
            let seconds = pause.as_secs_f64();
            let Some(usual) = before.usual_pause.map(|usual| usual.as_secs_f64()) else {
                return Some(pause).filter(|_| seconds >= PAUSE_MIN);
            };
            let weight = PAUSE_WEIGHT * seconds.min(PAUSE_MIN);
            Some(Duration::from_secs_f64(usual + weight * (seconds - usual)))
        });
        Self { last: at, usual_pause }
    }

    /// For how long the counters may stand still before that is called a stall.
    #[must_use]
    pub fn patience(usual_pause: Option<Duration>) -> Duration {
        usual_pause.map_or(STALL_MIN, |pause| pause.saturating_mul(STALL_PAUSES).max(STALL_MIN))
    }

    /// The usual pause as the database stores it, in seconds; `None` for what is no pause.
    #[must_use]
    pub fn pause_from_stored(seconds: Option<f64>) -> Option<Duration> {
        seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
    }

    /// Since when the counters stand still, at this time.
    #[must_use]
    pub fn silence(&self, now: Timestamp) -> TimeDelta {
        (now - self.last).max(TimeDelta::zero())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(milliseconds: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + TimeDelta::milliseconds(milliseconds)
    }

    /// The patience after moves at these times, in milliseconds.
    fn patience(moves: &[i64]) -> u64 {
        let moved = moves.iter().fold(None, |before, time| Some(Movement::next(before.as_ref(), at(*time))));
        Movement::patience(moved.and_then(|moved| moved.usual_pause)).as_secs()
    }

    #[test]
    fn counters_may_stand_still_for_a_minute_or_five_usual_pauses() {
        let every = |pause: i64| (0..40).map(|turn| turn * pause).collect::<Vec<_>>();
        assert_eq!(patience(&[]), 60);
        assert_eq!(patience(&[0]), 60);
        assert_eq!(patience(&every(1000)), 60);
        assert_eq!(patience(&every(30_000)), 150);
        assert_eq!(patience(&every(300_000)), 1500);
        assert_eq!(patience(&every(10)), 60);
    }

    #[test]
    fn columns_that_are_written_one_after_the_other_are_one_move() {
        let pairs: Vec<_> = (0..20).flat_map(|turn| [turn * 300_000, turn * 300_000 + 5]).collect();
        assert_eq!(patience(&pairs), 1492);
    }

    #[test]
    fn a_long_beginning_is_soon_forgotten() {
        let quick: Vec<_> = [0].into_iter().chain((0..3000).map(|turn| 600_000 + turn * 10)).collect();
        assert_eq!(patience(&quick[..2]), 3000);
        assert_eq!(patience(&quick), 60);
    }

    #[test]
    fn what_is_stored_and_no_pause_is_none() {
        for seconds in [None, Some(f64::NAN), Some(-1.0), Some(f64::INFINITY)] {
            assert_eq!(Movement::pause_from_stored(seconds), None);
        }
        assert_eq!(Movement::pause_from_stored(Some(1.5)), Some(Duration::from_millis(1500)));
    }
}
