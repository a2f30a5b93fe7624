//! Cron expressions: checked when they are saved, evaluated on a calendar without zones.
//!
//! What a change to or from summer time means is decided in `manager::schedule`.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use chrono::{DateTime, NaiveDateTime, Utc};
use croner::parser::{CronParser, Year};

/// A valid expression of 5 fields, or of 6 with seconds first, that fires at least once.
///
/// Only the text is kept: the parsed form takes 5 KiB, which 10,000 apps would turn into 50 MB.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Cron(Arc<str>);

/// The parsed form of a [`Cron`], for as long as a calculation takes.
pub struct Pattern(croner::Cron);

impl Cron {
    /// The expression as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Parses the expression again.
    #[must_use]
    pub fn pattern(&self) -> Pattern {
        Pattern(parse(&self.0).expect("only a text that parsed becomes a Cron"))
    }
}

impl Pattern {
    /// The first moment of the local calendar after `after` (or at it) that matches.
    #[must_use]
    pub fn next(&self, after: NaiveDateTime, inclusive: bool) -> Option<NaiveDateTime> {
        let after: DateTime<Utc> = after.and_utc();
        self.0.find_next_occurrence(&after, inclusive).ok().map(|time| time.naive_utc())
    }

    /// The last moment of the local calendar at or before `until` that matches.
    #[must_use]
    pub fn last(&self, until: NaiveDateTime) -> Option<NaiveDateTime> {
        let until: DateTime<Utc> = until.and_utc();
        self.0.find_previous_occurrence(&until, true).ok().map(|time| time.naive_utc())
    }

    /// Whether the hour field allows all hours, so that the job goes on by elapsed time when the
    /// clocks change.
    #[must_use]
    pub fn is_every_hour(&self) -> bool {
        (0..24).all(|hour| self.0.pattern.hour_match(hour).unwrap_or(false))
    }
}

impl FromStr for Cron {
    type Err = CronError;

    fn from_str(text: &str) -> Result<Self, CronError> {
        let error = |why: String| CronError { text: text.chars().take(80).collect(), why };
        if text.len() > Self::LENGTH_MAX {
            return Err(error(format!("longer than {} bytes", Self::LENGTH_MAX)));
        }
        let fields = text.split_whitespace().count();
        if !matches!(fields, 5 | 6) {
            return Err(error(format!("expected 5 fields, or 6 with seconds first, found {fields}")));
        }
        let pattern = Pattern(parse(text).map_err(|cause| error(plain(&cause)))?);
        let start = DateTime::<Utc>::UNIX_EPOCH.naive_utc();
        if pattern.next(start, true).is_none() {
            return Err(error("it never fires".to_owned()));
        }
        Ok(Self(text.trim().into()))
    }
}

impl Cron {
    /// The longest expression that is accepted, in bytes.
    pub const LENGTH_MAX: usize = 256;
}

fn parse(text: &str) -> Result<croner::Cron, croner::errors::CronError> {
    CronParser::builder().year(Year::Disallowed).build().parse(text)
}

/// The library's message in the house style: lower case, no full stop, no names of its types.
fn plain(cause: &croner::errors::CronError) -> String {
    let text = cause.to_string();
    let text = text.strip_prefix("Component error: ").unwrap_or(&text);
    let text = text.strip_prefix("Invalid pattern: ").unwrap_or(text);
    let text = text.strip_prefix("Pattern contains illegal characters: ").unwrap_or(text);
    text.trim_end_matches('.').replace("CronPattern", "it").to_lowercase()
}

impl fmt::Display for Cron {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Cron {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str())
    }
}

/// An expression that is not accepted, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid cron expression {text:?}: {why}")]
pub struct CronError {
    text: String,
    why: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn good_expressions() {
        for text in
            ["* * * * *", "*/5 * * * *", "30 2,12 * * *", "0 9 * * MON-FRI", "0 0 29 2 *", "15 */10 * * * *"]
        {
            assert_eq!(text.parse::<Cron>().unwrap().as_str(), text);
        }
    }

    #[test]
    fn bad_expressions_say_why() {
        for (text, why) in [
            ("", "found 0"),
            ("* * * *", "found 4"),
            ("* * * * * * 2027", "found 7"),
            ("@daily", "found 1"),
            ("99 * * * *", "out of bounds"),
            ("a b c d e", "illegal"),
            ("0 0 30 2 *", "never fires"),
            ("0 0 31 4 *", "never fires"),
        ] {
            let message = text.parse::<Cron>().unwrap_err().to_string();
            assert!(message.contains(why), "{text}: {message}");
            assert!(!message.ends_with('.'), "{message}");
        }
        assert!("* ".repeat(300).parse::<Cron>().is_err());
    }

    #[test]
    fn every_hour_is_told_from_some_hours() {
        for (text, all) in
            [("5 * * * *", true), ("5 0-23 * * *", true), ("0 */2 * * *", false), ("0 2 * * *", false)]
        {
            assert_eq!(text.parse::<Cron>().unwrap().pattern().is_every_hour(), all, "{text}");
        }
    }
}
