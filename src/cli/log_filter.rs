//! Which lines of a log are asked for.

use regex_lite::Regex;

use super::args::LogsArgs;
use super::when::Past;
use crate::model::Timestamp;
use crate::process::{LogRecord, Stream};

/// What `dcm logs` was told about lines.
pub(super) struct LineFilter<'a> {
    pub(super) since: Option<Timestamp>,
    pub(super) until: Option<Timestamp>,
    pattern: Option<&'a Regex>,
    only_stderr: bool,
}

impl<'a> LineFilter<'a> {
    pub(super) fn of(args: &'a LogsArgs) -> Self {
        Self {
            since: args.since.map(|Past(time)| time),
            until: args.until.map(|Past(time)| time),
            pattern: args.grep.as_ref(),
            only_stderr: args.stderr,
        }
    }

    /// Whether all lines are asked for.
    pub(super) fn is_open(&self) -> bool {
        self.since.is_none() && self.until.is_none() && self.pattern.is_none() && !self.only_stderr
    }

    /// Whether there may be any number of lines between those that are asked for.
    pub(super) fn chooses_lines(&self) -> bool {
        self.since.is_some() || self.until.is_some() || self.pattern.is_some()
    }

    /// Whether a whole line is asked for. One of which it is not known when it came counts as within the time.
    pub(super) fn keeps(&self, line: &LogRecord) -> bool {
        let is_in_time = line.time.is_none_or(|time| {
            self.since.is_none_or(|since| time >= since) && self.until.is_none_or(|until| time <= until)
        });
        is_in_time
            && (!self.only_stderr || line.stream == Stream::Err)
            && self.pattern.is_none_or(|pattern| pattern.is_match(&String::from_utf8_lossy(line.visible())))
    }
}
