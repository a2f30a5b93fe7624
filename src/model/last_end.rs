//! How the latest run of an app that is over ended, and how that is put for people.

use std::fmt;

use chrono::TimeDelta;

use super::signal::signal_name;
use super::{AppRow, Blame, Outcome, Timestamp, Word, format_duration};

/// How the latest run of an app that is over ended, as its row shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastEnd {
    /// What came of it.
    pub outcome: Word<Outcome>,
    /// The exit code where it is known.
    pub exit_code: Option<i64>,
    /// When it ended.
    pub at: Timestamp,
}

/// The result of the latest run that is over. For people: `ok 7.0s`, `exit 3`, `SIGABRT`, `timed out`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastResult {
    /// What came of it.
    pub outcome: Word<Outcome>,
    /// The exit code where it is known.
    pub exit_code: Option<i64>,
    /// How long it took; `None` while the next run goes on, since the row has the beginning of that one then.
    pub took: Option<TimeDelta>,
}

impl LastResult {
    /// That of a row; `None` where no run of the app has ended yet.
    #[must_use]
    pub fn of(row: &AppRow) -> Option<Self> {
        let LastEnd { outcome, exit_code, at } = row.last_end.as_deref()?.clone();
        let took = row.state.last_run.filter(|began| *began <= at).map(|began| at - began);
        Some(Self { outcome, exit_code, took })
    }

    /// What it says about the app.
    #[must_use]
    pub fn blame(&self) -> Blame {
        self.outcome.blame()
    }
}

impl fmt::Display for LastResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.outcome.known(), self.exit_code, self.took) {
            (Some(Outcome::Failed), Some(code), _) => write!(f, "exit {code}"),
            (Some(Outcome::Crashed), Some(code), _) => f.write_str(&signal_name(code - SIGNAL_BASE)),
            (Some(Outcome::Ok), _, Some(took)) => write!(f, "ok {}", format_duration(took)),
            // Words that fit a narrow column.
            (Some(Outcome::KilledAfterGrace), ..) => f.write_str("killed"),
            (Some(Outcome::FailedToStart), ..) => f.write_str("no start"),
            (Some(Outcome::NeverStarted), ..) => f.write_str("not begun"),
            (Some(Outcome::HostRebooted), ..) => f.write_str("reboot"),
            (Some(Outcome::LostOwner), ..) => f.write_str("lost"),
            _ => f.write_str(&self.outcome.word().replace('_', " ")),
        }
    }
}

/// What shells add to the number of a signal to make an exit code of it.
const SIGNAL_BASE: i64 = 128;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_says_what_a_shell_would_and_how_long_a_good_run_took() {
        for (outcome, exit_code, took, result) in [
            ("ok", Some(0), Some(7_000), "ok 7.0s"),
            ("ok", Some(0), None, "ok"),
            ("failed", Some(3), Some(7_000), "exit 3"),
            ("crashed", Some(134), None, "SIGABRT"),
            ("crashed", Some(170), None, "signal 42"),
            ("failed", None, None, "failed"),
            ("timed_out", Some(143), Some(60_000), "timed out"),
            ("failed_to_start", None, None, "no start"),
            ("a_newer_word", None, None, "a newer word"),
        ] {
            let took = took.map(TimeDelta::milliseconds);
            let last = LastResult { outcome: outcome.into(), exit_code, took };
            assert_eq!(last.to_string(), result);
        }
    }
}
