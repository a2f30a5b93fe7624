//! Cron expressions: checked when they are saved, evaluated on a calendar without zones.
//!
//! What a change to or from summer time means is decided in `manager::schedule`.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use chrono::DateTime;
use croner::parser::{CronParser, Year};

use super::Pattern;

/// A valid expression of 5 fields, of 6 with seconds first, or a nickname such as `@daily`, that fires at
/// least once.
///
/// Only the text is kept: the parsed form takes 5 KiB, which 10,000 apps would turn into 50 MB.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Cron(Arc<str>);

impl Cron {
    /// The longest expression that is accepted, in bytes.
    pub const LENGTH_MAX: usize = 256;

    /// The expression as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Parses the expression again.
    #[must_use]
    pub fn pattern(&self) -> Pattern {
        parse(&self.0).expect("only a text that parsed becomes a Cron")
    }

    /// By how many minutes all its times can be put off with everything else as it is: the hours, the days, and how often
    /// it fires in an hour. `None` where the minute is neither one number nor a step up to the end of the hour
    /// (`*/15`, `7-59/15`).
    #[must_use]
    pub fn room(&self) -> Option<u32> {
        self.minute().map(|minute| LAST_MINUTE - minute.last())
    }

    /// The same expression with all times so many minutes later: `0 2 * * *` becomes `7 2 * * *`, and `*/15 * * * *`
    /// becomes `7-59/15 * * * *`. `None` beyond its [`Self::room`].
    #[must_use]
    pub fn later(&self, minutes: u32) -> Option<Self> {
        let field = self.minute()?;
        if minutes == 0 {
            return Some(self.clone());
        }
        if minutes > LAST_MINUTE - field.last() {
            return None;
        }
        let first = field.first + minutes;
        let minute = match field.step {
            None => first.to_string(),
            Some(step) => format!("{first}-{LAST_MINUTE}/{step}"),
        };
        let fields = field.before.iter().copied().chain([minute.as_str()]).chain(field.after.iter().copied());
        fields.collect::<Vec<_>>().join(" ").parse().ok()
    }

    fn minute(&self) -> Option<Minute<'_>> {
        let text = if self.0.starts_with('@') { expand(&self.0).ok()? } else { &*self.0 };
        let fields: Vec<_> = text.split_whitespace().collect();
        let at = fields.len().checked_sub(FIELDS.len())?;
        let (first, step) = match fields[at].split_once('/') {
            None => (fields[at].parse().ok()?, None),
            Some(("*", step)) => (0, Some(step)),
            Some((range, step)) => {
                let (first, last) = range.split_once('-')?;
                let is_to_the_end = last.parse() == Ok(LAST_MINUTE);
                (first.parse().ok().filter(|_| is_to_the_end)?, Some(step))
            }
        };
        let step = step.map(str::parse).transpose().ok()?;
        let is_usual = first <= LAST_MINUTE && step.is_none_or(|step| (1..=LAST_MINUTE).contains(&step));
        is_usual.then(|| Minute {
            before: fields[..at].to_vec(),
            first,
            step,
            after: fields[at + 1..].to_vec(),
        })
    }
}

const LAST_MINUTE: u32 = 59;

/// A field of minutes that is one number, or a step from a number to the end of the hour, and the fields around it.
struct Minute<'a> {
    before: Vec<&'a str>,
    first: u32,
    step: Option<u32>,
    after: Vec<&'a str>,
}

impl Minute<'_> {
    fn last(&self) -> u32 {
        self.step.map_or(self.first, |step| self.first + (LAST_MINUTE - self.first) / step * step)
    }
}

impl FromStr for Cron {
    type Err = CronError;

    fn from_str(text: &str) -> Result<Self, CronError> {
        let error = |why| CronError { text: text.chars().take(80).collect(), why };
        if text.len() > Self::LENGTH_MAX {
            return Err(error(CronFault::Long));
        }
        let pattern = parse(text).map_err(error)?;
        if pattern.next(DateTime::UNIX_EPOCH.naive_utc(), true).is_none() {
            return Err(error(CronFault::Never));
        }
        Ok(Self(text.trim().into()))
    }
}

/// Names of usual schedules (`man 5 crontab`).
const NICKNAMES: [(&str, &str); 7] = [
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
    ("@monthly", "0 0 1 * *"),
    ("@weekly", "0 0 * * 0"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@hourly", "0 * * * *"),
];

/// A field of an expression: what it is called, its least and greatest value, and the names of values.
struct Field {
    name: &'static str,
    least: &'static str,
    greatest: &'static str,
    names: &'static [&'static str],
}

const SECOND: Field = Field { name: "second", least: "0", greatest: "59", names: &[] };
const FIELDS: [Field; 5] = [
    Field { name: "minute", least: "0", greatest: "59", names: &[] },
    Field { name: "hour", least: "0", greatest: "23", names: &[] },
    Field { name: "day of the month", least: "1", greatest: "31", names: &[] },
    Field { name: "month", least: "1", greatest: "12", names: &MONTHS },
    Field { name: "day of the week", least: "0", greatest: "6", names: &WEEKDAYS },
];
const MONTHS: [&str; 13] =
    ["", "JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const WEEKDAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

fn parse(text: &str) -> Result<Pattern, CronFault> {
    let text = match text.trim() {
        nickname if nickname.starts_with('@') => expand(nickname)?,
        expression => expression,
    };
    let fields: Vec<_> = text.split_whitespace().collect();
    let (seconds, rest): (Option<&str>, &[&str]) = match fields.as_slice() {
        rest @ [_, _, _, _, _] => (None, rest),
        [seconds, rest @ ..] if rest.len() == 5 => (Some(*seconds), rest),
        other => return Err(CronFault::Fields(other.len())),
    };
    let named = rest.iter().zip(&FIELDS).chain(seconds.as_ref().map(|seconds| (seconds, &SECOND)));
    for (text, field) in named {
        field.check(text)?;
    }
    let begins_with_star = |text: &str| text.starts_with(['*', '?']);
    // By Vixie's rule a field that begins with `*` restricts, whatever follows; else either day suffices.
    let is_both = begins_with_star(rest[2]) || begins_with_star(rest[4]);
    let parser = CronParser::builder().year(Year::Disallowed).dom_and_dow(is_both).build();
    let cron = parser.parse(text).map_err(|cause| CronFault::Pattern(plain(&cause)))?;
    Ok(Pattern::new(cron, begins_with_star(rest[0]) || begins_with_star(rest[1])))
}

fn expand(nickname: &str) -> Result<&'static str, CronFault> {
    let known = NICKNAMES.iter().find(|(name, _)| name.eq_ignore_ascii_case(nickname));
    known.map(|(_, expression)| *expression).ok_or(CronFault::Nickname)
}

impl Field {
    /// Refuses what the library would take (empty items) or call by a misleading name (ranges that wrap).
    fn check(&self, text: &str) -> Result<(), CronFault> {
        for item in text.split(',') {
            if item.is_empty() {
                return Err(CronFault::EmptyItem { field: self.name, text: text.to_owned() });
            }
            let range = item.split(['/', '#']).next().unwrap_or(item);
            let Some((first, last)) = range.split_once('-') else { continue };
            let (Some(from), Some(to)) = (self.value(first), self.value(last)) else { continue };
            let is_up_to_sunday = self.names.len() == WEEKDAYS.len() && to == 0 && last != "0";
            if from > to && !is_up_to_sunday {
                let ends = (self.names.iter().find(|name| !name.is_empty()), self.names.last());
                let (least, greatest) = match ends {
                    (Some(least), Some(greatest)) if first.parse::<u8>().is_err() => {
                        (least.to_lowercase(), greatest.to_lowercase())
                    }
                    _ => (self.least.to_owned(), self.greatest.to_owned()),
                };
                let instead = format!("{first}-{greatest},{least}-{last}");
                return Err(CronFault::Wraps { range: range.to_owned(), instead });
            }
        }
        Ok(())
    }

    fn value(&self, text: &str) -> Option<usize> {
        let named = self.names.iter().position(|name| name.eq_ignore_ascii_case(text));
        named.or_else(|| text.parse().ok())
    }
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

/// An expression that is not accepted, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid cron expression {text:?}: {why}")]
pub struct CronError {
    text: String,
    why: CronFault,
}

/// What is wrong with an expression.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
enum CronFault {
    #[error("longer than {max} bytes", max = Cron::LENGTH_MAX)]
    Long,
    #[error("it never fires")]
    Never,
    #[error("expected 5 fields, or 6 with seconds first, found {0}")]
    Fields(usize),
    #[error("unknown nickname, expected one of {names}", names = NICKNAMES.map(|(name, _)| name).join(" "))]
    Nickname,
    #[error("the field of the {field} has an empty item: {text:?}")]
    EmptyItem { field: &'static str, text: String },
    #[error("{range}: ranges do not wrap around, write {instead}")]
    Wraps { range: String, instead: String },
    /// The library's message.
    #[error("{0}")]
    Pattern(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn good_expressions() {
        for text in [
            "* * * * *",
            "*/5 * * * *",
            "30 2,12 * * *",
            "0 9 * * MON-FRI",
            "0 0 29 2 *",
            "15 */10 * * * *",
            "0 0 * * SAT-SUN",
            "@daily",
        ] {
            assert_eq!(text.parse::<Cron>().unwrap().as_str(), text);
        }
    }

    #[test]
    fn bad_expressions_say_why() {
        for (text, why) in [
            ("", "found 0"),
            ("* * * *", "found 4"),
            ("* * * * * * 2027", "found 7"),
            ("@reboot", "expected one of @yearly"),
            ("1,,5 * * * *", "the field of the minute has an empty item"),
            ("* * 1, * *", "the field of the day of the month has an empty item"),
            (", * * * *", "empty item"),
            ("* 22-2 * * *", "22-2: ranges do not wrap around, write 22-23,0-2"),
            ("0 0 * * fri-mon", "fri-mon: ranges do not wrap around, write fri-sat,sun-mon"),
            ("0 0 1 NOV-feb/2 *", "NOV-feb: ranges do not wrap around, write NOV-dec,jan-feb"),
            ("0 0 1 1 +1#2", "never fires"),
            ("0 0 29 2 +1#4", "never fires"),
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

    fn firings(text: &str, from: &str, count: usize) -> Vec<String> {
        let pattern = text.parse::<Cron>().unwrap().pattern();
        let mut time = chrono::NaiveDateTime::parse_from_str(from, "%Y-%m-%d %H:%M").unwrap();
        let next = |_| {
            time = pattern.next(time, false).unwrap();
            time.format("%Y-%m-%d %H:%M").to_string()
        };
        (0..count).map(next).collect()
    }

    #[test]
    fn a_day_field_that_begins_with_a_star_restricts() {
        let november = "2026-11-23 12:00";
        // Odd days that are Mondays; first Mondays; Mondays of odd weekday numbers do not exist.
        assert_eq!(firings("0 0 */2 * MON", november, 2), ["2026-12-07 00:00", "2026-12-21 00:00"]);
        assert_eq!(firings("0 0 */100,1-7 * MON", november, 2), ["2026-12-07 00:00", "2027-01-04 00:00"]);
        assert_eq!(firings("0 0 13 * */5", november, 2), ["2026-12-13 00:00", "2027-06-13 00:00"]);
        // Without a star either suffices.
        assert_eq!(
            firings("0 0 1 * MON", november, 3),
            ["2026-11-30 00:00", "2026-12-01 00:00", "2026-12-07 00:00"]
        );
    }

    #[test]
    fn the_minute_alone_is_put_off() {
        for (text, room, by, later) in [
            ("0 2 * * *", Some(59), 7, Some("7 2 * * *")),
            ("55 2,14 * * MON-FRI", Some(4), 4, Some("59 2,14 * * MON-FRI")),
            ("55 2 * * *", Some(4), 5, None),
            ("30 0 2 1 * *", Some(59), 3, Some("30 3 2 1 * *")),
            ("*/15 * * * *", Some(14), 7, Some("7-59/15 * * * *")),
            ("7-59/15 3 * * *", Some(7), 7, Some("14-59/15 3 * * *")),
            // A step that does not divide the hour would fire less often when it began later.
            ("*/7 * * * *", Some(3), 3, Some("3-59/7 * * * *")),
            ("*/7 * * * *", Some(3), 4, None),
            ("@daily", Some(59), 9, Some("9 0 * * *")),
            ("@daily", Some(59), 0, Some("@daily")),
            ("*/1 * * * *", Some(0), 1, None),
            ("* * * * *", None, 1, None),
            ("0,30 * * * *", None, 1, None),
            ("10-20/5 * * * *", None, 1, None),
        ] {
            let cron: Cron = text.parse().unwrap();
            assert_eq!(cron.room(), room, "{text}");
            assert_eq!(cron.later(by).as_ref().map(Cron::as_str), later, "{text} by {by}");
        }
    }

    #[test]
    fn nicknames() {
        for (nickname, expected) in [
            ("@hourly", "2026-11-23 13:00"),
            ("@daily", "2026-11-24 00:00"),
            ("@midnight", "2026-11-24 00:00"),
            ("@weekly", "2026-11-29 00:00"),
            ("@monthly", "2026-12-01 00:00"),
            ("@Yearly", "2027-01-01 00:00"),
            ("@annually", "2027-01-01 00:00"),
        ] {
            assert_eq!(firings(nickname, "2026-11-23 12:00", 1), [expected], "{nickname}");
        }
    }

    #[test]
    fn what_fires_rarely_is_found_in_both_directions() {
        // 29 February on a Monday: the centuries make it 40 years once.
        for (text, from, expected) in [
            ("0 0 29 2 +1", "2072-02-29 00:00", "2112-02-29 00:00"),
            ("59 59 23 31 12 *", "2026-12-31 23:59", "2026-12-31 23:59"),
            ("30 5 4 3 2 *", "2026-02-03 04:05", "2026-02-03 04:05"),
        ] {
            assert_eq!(firings(text, from, 1), [expected], "{text}");
            let pattern = text.parse::<Cron>().unwrap().pattern();
            let next =
                pattern.next(chrono::NaiveDateTime::parse_from_str(from, "%Y-%m-%d %H:%M").unwrap(), false);
            let before = next.unwrap() - chrono::TimeDelta::seconds(1);
            assert_eq!(pattern.last(next.unwrap()), next, "{text}");
            assert!(pattern.last(before).unwrap() < before, "{text}");
            assert_eq!(pattern.next(pattern.last(before).unwrap(), false), next, "{text}");
        }
    }

    /// The library's own search looks at each month apart; ours must find the same.
    #[test]
    fn the_search_agrees_with_the_library() {
        for text in [
            "*/7 3-5 * * *",
            "15,45 * 1 */3 *",
            "10 0 0 LW * *",
            "0 12 15W * *",
            "0 0 * * 5L",
            "0 0 * * MON#2",
            "*/25 59 23 * * SUN",
            "0 0 29 2 *",
            "0 0 1-7 * +1",
            "5 4 */9 * WED",
        ] {
            let ours = text.parse::<Cron>().unwrap().pattern();
            let is_both = text.contains("*/9");
            let library = CronParser::builder().year(Year::Disallowed).dom_and_dow(is_both).build();
            let library = library.parse(text).unwrap();
            let mut time = DateTime::UNIX_EPOCH + chrono::TimeDelta::days(20_000);
            for _ in 0..60 {
                let next = library.find_next_occurrence(&time, false).unwrap();
                assert_eq!(ours.next(time.naive_utc(), false), Some(next.naive_utc()), "{text} after {time}");
                let middle = time + (next - time) / 2 - chrono::TimeDelta::milliseconds(1);
                let last = library.find_previous_occurrence(&middle, true).unwrap();
                assert_eq!(ours.last(middle.naive_utc()), Some(last.naive_utc()), "{text} until {middle}");
                time = next;
            }
        }
    }

    #[test]
    fn what_follows_the_clock_is_told_from_fixed_times() {
        for (text, follows) in [
            ("*/10 * * * * *", true),
            ("*/10 2 * * *", true),
            ("0 */2 * * *", true),
            ("@hourly", true),
            ("0 0-23 * * *", true),
            ("30 2 * * *", false),
            ("0,30 9-17 * * *", false),
            ("*/10 5 3 * * *", false),
        ] {
            assert_eq!(text.parse::<Cron>().unwrap().pattern().goes_by_new_time(), follows, "{text}");
        }
    }
}
