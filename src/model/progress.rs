//! What an app tells about its work.

use super::Timestamp;

/// The progress columns of an app's row.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Progress {
    /// Items of the current run, where the app knows.
    pub task_size: Option<u64>,
    /// 0 to 100.
    pub percent: Option<u8>,
    /// Items done.
    pub solved: u64,
    /// Items given up.
    pub failed: u64,
    /// When the run will be done, by the app's word or by ours.
    pub eta: Option<Timestamp>,
    /// The app's last message.
    pub message: Option<String>,
}

impl Progress {
    /// How much is done, of 100; `None` where nothing was reported: a run begins with 0, whether it will count or not.
    #[must_use]
    pub fn known_percent(&self) -> Option<u8> {
        let is_told = self.task_size.is_some() || self.solved > 0 || self.failed > 0;
        self.percent.filter(|percent| *percent > 0 || is_told)
    }
}

/// One report of an app, or several merged: what it did not mention is `None`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Items of the current run.
    pub task_size: Option<u64>,
    /// 0 to 100.
    pub percent: Option<u8>,
    /// Items done.
    pub solved: Option<u64>,
    /// Items given up.
    pub failed: Option<u64>,
    /// When the run will be done.
    pub eta: Option<Timestamp>,
    /// When the app wants to run next.
    pub next_run: Option<Timestamp>,
    /// Exceptions so far.
    pub except_cnt: Option<u64>,
    /// A word for the operator.
    pub message: Option<String>,
}

impl Report {
    /// The longest message that is kept, in bytes.
    pub const MESSAGE_MAX: usize = 500;

    /// Whether nothing was reported.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Takes over what the later report mentions.
    pub fn merge(&mut self, later: Self) {
        let Self { task_size, percent, solved, failed, eta, next_run, except_cnt, message } = later;
        self.task_size = task_size.or(self.task_size);
        self.percent = percent.or(self.percent);
        self.solved = solved.or(self.solved);
        self.failed = failed.or(self.failed);
        self.eta = eta.or(self.eta);
        self.next_run = next_run.or(self.next_run);
        self.except_cnt = except_cnt.or(self.except_cnt);
        self.message = message.or_else(|| self.message.take());
    }
}

/// What an app reported cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReportError {
    /// No JSON object.
    #[error("not a JSON object: {0}")]
    Syntax(String),
    /// A field has a value that it cannot have.
    #[error("{field} must be {expected}")]
    Field {
        /// Which field.
        field: &'static str,
        /// What it takes.
        expected: &'static str,
    },
    /// The report is longer than what is accepted.
    #[error("longer than {0} bytes")]
    TooLong(usize),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_0_with_which_a_run_begins_says_nothing_by_itself() {
        let begun = Progress { percent: Some(0), ..Progress::default() };
        assert_eq!(begun.known_percent(), None);
        assert_eq!(Progress { task_size: Some(9), ..begun.clone() }.known_percent(), Some(0));
        assert_eq!(Progress { percent: Some(1), ..begun }.known_percent(), Some(1));
    }

    #[test]
    fn a_later_report_wins_where_it_says_something() {
        let mut report =
            Report { solved: Some(1), failed: Some(2), message: Some("a".into()), ..Report::default() };
        report.merge(Report { solved: Some(5), task_size: Some(9), ..Report::default() });
        assert_eq!(report.solved, Some(5));
        assert_eq!(report.failed, Some(2));
        assert_eq!(report.task_size, Some(9));
        assert_eq!(report.message.as_deref(), Some("a"));
    }
}
