//! The times of a line: five fields, or a nickname.

use std::borrow::Cow;

use super::super::{At, Report};
use crate::model::Cron;

/// When a job runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Times<'a> {
    /// When cron begins.
    Reboot,
    /// At calendar times, which are put off by up to so many minutes.
    Fields {
        /// As dcm reads it.
        text: Cow<'a, str>,
        /// How many minutes `a~b` leaves open.
        spread: u32,
    },
}

/// A field: its name, its least and greatest value, and the names of values, from the least one on.
struct Field {
    name: &'static str,
    range: (u32, u32),
    names: &'static [&'static str],
}

const FIELDS: [Field; 5] = [
    Field { name: "minute", range: (0, 59), names: &[] },
    Field { name: "hour", range: (0, 23), names: &[] },
    Field { name: "day of the month", range: (1, 31), names: &[] },
    Field {
        name: "month",
        range: (1, 12),
        names: &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"],
    },
    // 7 is Sunday as well.
    Field {
        name: "day of the week",
        range: (0, 7),
        names: &["sun", "mon", "tue", "wed", "thu", "fri", "sat"],
    },
];

/// What is wrong in a field.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
enum FieldError {
    #[error("{0:?} is none")]
    Value(String),
    #[error("{0:?} ends before it begins")]
    Range(String),
    #[error("{0:?} has a step that is no number from 1 on")]
    Step(String),
    #[error("{0:?}: a step stands after * or a range; some crons read {1} alone here, others {1}-{2}")]
    Single(String, String, u32),
    #[error("{0:?}: a time that cron chooses is taken over for whole fields of minutes alone, as 0~59")]
    Chosen(String),
}

impl<'a> Times<'a> {
    /// The times at the beginning of a line, and the rest of it. `None` when they are wrong, which is reported.
    pub(super) fn of_line(line: &'a str, at: &At, report: &mut Report) -> Option<(Self, &'a str)> {
        let is_blank = |c| matches!(c, ' ' | '\t');
        let word = |text: &'a str| text.split_at(text.find(is_blank).unwrap_or(text.len()));
        if line.starts_with('@') {
            let (nickname, rest) = word(line);
            return Some((Self::of_nickname(nickname, at, report)?, rest.trim_start_matches(is_blank)));
        }
        let (mut rest, mut fields, mut spread, mut errors) = (line, Vec::new(), 0, Vec::new());
        for field in &FIELDS {
            let (text, after) = word(rest);
            rest = after.trim_start_matches(is_blank);
            if text.is_empty() {
                let what = "expected five fields (minute hour day month weekday) and a command, or NAME=VALUE, or a comment";
                report.fault(at, what);
                return None;
            }
            match field.read(text) {
                Ok((text, minutes)) => {
                    fields.push(text);
                    spread += minutes;
                }
                Err(error) => errors.push(format!("{}: {error}", field.name)),
            }
        }
        if !errors.is_empty() {
            for error in errors {
                report.fault(at, error);
            }
            return None;
        }
        let text = fields.join(" ");
        if let Err(error) = text.parse::<Cron>() {
            report.fault(at, error.to_string());
            return None;
        }
        Some((Self::Fields { text: text.into(), spread }, rest))
    }

    fn of_nickname(nickname: &'a str, at: &At, report: &mut Report) -> Option<Self> {
        let text = match nickname {
            "@reboot" => return Some(Self::Reboot),
            "@every_minute" => "* * * * *",
            nickname if nickname.parse::<Cron>().is_ok() => nickname,
            _ => {
                report.fault(at, format!("{nickname:?} is no time; known are @hourly @daily @midnight @weekly @monthly @yearly @annually @reboot"));
                return None;
            }
        };
        Some(Self::Fields { text: text.into(), spread: 0 })
    }
}

impl Field {
    /// The field as dcm reads it, and how many minutes it leaves open.
    fn read(&self, text: &str) -> Result<(String, u32), FieldError> {
        if let Some((first, last)) = text.split_once('~').filter(|_| self.range == (0, 59)) {
            let chosen = || FieldError::Chosen(text.to_owned());
            let first = if first.is_empty() { 0 } else { self.value(first).map_err(|_| chosen())? };
            let last = if last.is_empty() { 59 } else { self.value(last).map_err(|_| chosen())? };
            let spread = last.checked_sub(first).ok_or_else(|| FieldError::Range(text.to_owned()))?;
            return Ok((first.to_string(), spread));
        }
        for item in text.split(',') {
            self.check(item)?;
        }
        Ok((text.to_owned(), 0))
    }

    fn check(&self, item: &str) -> Result<(), FieldError> {
        let (range, step) = match item.split_once('/') {
            Some((range, step)) => (range, Some(step)),
            None => (item, None),
        };
        if range.contains('~') {
            return Err(FieldError::Chosen(item.to_owned()));
        }
        let is_step = |step: &str| step.parse::<u32>().is_ok_and(|step| step > 0);
        if step.is_some_and(|step| !is_step(step)) {
            return Err(FieldError::Step(item.to_owned()));
        }
        if range == "*" {
            return Ok(());
        }
        match range.split_once('-') {
            Some((first, last)) => {
                let (from, to) = (self.value(first)?, self.value(last)?);
                if from > to { Err(FieldError::Range(item.to_owned())) } else { Ok(()) }
            }
            None => {
                self.value(range)?;
                match step {
                    Some(_) => Err(FieldError::Single(item.to_owned(), range.to_owned(), self.range.1)),
                    None => Ok(()),
                }
            }
        }
    }

    fn value(&self, text: &str) -> Result<u32, FieldError> {
        let none = || FieldError::Value(text.to_owned());
        let named = self.names.iter().position(|name| name.eq_ignore_ascii_case(text));
        let named = named.and_then(|index| u32::try_from(index).ok()).map(|index| index + self.range.0);
        let are_digits = !text.is_empty() && text.bytes().all(|digit| digit.is_ascii_digit());
        let number = || text.parse().ok().filter(|_| are_digits);
        let (least, greatest) = self.range;
        // Sunday is 0 or 7; by name it is 0, as the names count from the least value of the other fields.
        named.or_else(number).filter(|value| (least..=greatest).contains(value)).ok_or_else(none)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(line: &str) -> Result<(String, String), String> {
        let mut report = Report::default();
        let found = Times::of_line(line, &At::new("x", 1), &mut report);
        match (found, report.into_result(Vec::new())) {
            (Some((Times::Fields { text, spread }, rest)), Ok(_)) => {
                Ok((format!("{text} +{spread}"), rest.to_owned()))
            }
            (Some((Times::Reboot, rest)), Ok(_)) => Ok(("reboot".to_owned(), rest.to_owned())),
            (_, Err(faults)) => {
                Err(faults.iter().map(|fault| fault.what.clone()).collect::<Vec<_>>().join("; "))
            }
            (None, Ok(_)) => panic!("{line}: neither times nor a fault"),
        }
    }

    #[test]
    fn times_are_those_of_cron() {
        for (line, fields, rest) in [
            ("0 5 * * 1-5 x y", "0 5 * * 1-5 +0", "x y"),
            ("*/15\t0-23/2 1,15 jan-Mar mon-fri  x", "*/15 0-23/2 1,15 jan-Mar mon-fri +0", "x"),
            ("5 4 * * 7 x", "5 4 * * 7 +0", "x"),
            ("5 4 * * 5-7 x", "5 4 * * 5-7 +0", "x"),
            ("5 4 * * 0-7 x", "5 4 * * 0-7 +0", "x"),
            ("10~40 3 * * * x", "10 3 * * * +30", "x"),
            ("~ 3 * * * x", "0 3 * * * +59", "x"),
            ("@daily x", "@daily +0", "x"),
            ("@every_minute x", "* * * * * +0", "x"),
            ("@reboot  x", "reboot", "x"),
        ] {
            assert_eq!(times(line), Ok((fields.to_owned(), rest.to_owned())), "{line}");
        }
    }

    #[test]
    fn what_cron_refuses_is_a_fault() {
        for (line, what) in [
            ("60 * * * * x", "minute: \"60\" is none"),
            ("* 24 * * * x", "hour: \"24\" is none"),
            ("* * 0 * * x", "day of the month: \"0\" is none"),
            ("* * * foo * x", "month: \"foo\" is none"),
            ("* * * * 8 x", "day of the week: \"8\" is none"),
            ("5-1 * * * * x", "minute: \"5-1\" ends before it begins"),
            ("*/0 * * * * x", "minute: \"*/0\" has a step that is no number from 1 on"),
            ("5/15 * * * * x", "minute: \"5/15\": a step stands after * or a range"),
            ("* * L * * x", "day of the month: \"L\" is none"),
            ("1,,2 * * * * x", "minute: \"\" is none"),
            ("* 0~5 * * * x", "hour: \"0~5\": a time that cron chooses"),
            ("0 0 30 2 * x", "it never fires"),
            ("* * * *", "expected five fields"),
            ("@often x", "\"@often\" is no time"),
            ("+5 * * * * x", "minute: \"+5\" is none"),
        ] {
            let error = times(line).unwrap_err();
            assert!(error.contains(what), "{line}: {error}");
        }
    }
}
