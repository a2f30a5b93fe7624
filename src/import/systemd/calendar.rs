//! `OnCalendar=` of systemd (systemd.time(7)) as expressions of cron.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::str::FromStr;

use chrono_tz::Tz;

/// Times of a calendar, and the zone that they are read in, where one is named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Calendar {
    seconds: Values,
    minutes: Values,
    hours: Values,
    days: Days,
    months: Values,
    /// 0 is Sunday.
    weekdays: Values,
    pub(super) zone: Option<Tz>,
}

/// The values of a field; `None`: all.
type Values = Option<BTreeSet<u32>>;

/// Days of the month.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Days {
    /// From its beginning.
    First(Values),
    /// From its end: 1 is the last day.
    Last(BTreeSet<u32>),
}

/// A text that is no calendar, or one that cron cannot say.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum CalendarError {
    /// systemd would refuse it.
    #[error("systemd does not understand {0:?}")]
    Invalid(String),
    /// It is valid.
    #[error("{0}")]
    Unlike(&'static str),
}

const YEARS: &str = "cron has no years";
const FRACTIONS: &str = "cron has no fractions of seconds";
const ONCE: &str = "cron has no single point of time";
const BOTH_DAYS: &str = "a weekday and a date must both hold, which cron can say for whole weeks of a month alone (1..7, 8..14, 15..21, 22..28)";
const FROM_END: &str = "cron counts no days from the end of a month, but the last one";

/// What stands for a whole specification.
const SHORT: [(&str, &str); 13] = [
    ("minutely", "*-*-* *:*:00"),
    ("hourly", "*-*-* *:00:00"),
    ("daily", "*-*-* 00:00:00"),
    ("weekly", "Mon *-*-* 00:00:00"),
    ("monthly", "*-*-01 00:00:00"),
    ("quarterly", "*-01,04,07,10-01 00:00:00"),
    ("semiannually", "*-01,07-01 00:00:00"),
    ("semi-annually", "*-01,07-01 00:00:00"),
    ("biannually", "*-01,07-01 00:00:00"),
    ("bi-annually", "*-01,07-01 00:00:00"),
    ("yearly", "*-01-01 00:00:00"),
    ("annually", "*-01-01 00:00:00"),
    ("anually", "*-01-01 00:00:00"),
];

const WEEKDAYS: [&str; 7] = ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"];

impl FromStr for Calendar {
    type Err = CalendarError;

    fn from_str(text: &str) -> Result<Self, CalendarError> {
        let invalid = || CalendarError::Invalid(text.to_owned());
        let mut words: Vec<&str> = text.split_whitespace().collect();
        let is_zone = |word: &&&str| words.len() > 1 && word.starts_with(|c: char| c.is_ascii_alphabetic());
        let zone = match words.last().filter(is_zone).map(|word| word.parse::<Tz>()) {
            Some(Ok(zone)) => {
                words.pop();
                Some(zone)
            }
            // A word that is no zone is one of the other parts, or wrong there.
            Some(Err(_)) | None => None,
        };
        let short = words.first().filter(|_| words.len() == 1);
        let short = short.and_then(|word| SHORT.iter().find(|(name, _)| name.eq_ignore_ascii_case(word)));
        if let Some((_, text)) = short {
            words = text.split(' ').collect();
        }
        if words.len() == 1 && words[0].starts_with('@') {
            return Err(CalendarError::Unlike(ONCE));
        }
        let mut rest = words.as_slice();
        let mut weekdays = None;
        if let [first, after @ ..] = rest
            && first.starts_with(|c: char| c.is_ascii_alphabetic())
        {
            weekdays = Some(of_week(first).ok_or_else(invalid)?);
            rest = after;
        }
        let (date, time) = match rest {
            [] if weekdays.is_some() => ("*-*-*", "0:0:0"),
            [time] if time.contains(':') => ("*-*-*", *time),
            [date] => (*date, "0:0:0"),
            [date, time] => (*date, *time),
            _ => return Err(invalid()),
        };
        let (months, days) = of_date(date)?.ok_or_else(invalid)?;
        let (hours, minutes, seconds) = of_time(time)?.ok_or_else(invalid)?;
        Ok(Self { seconds, minutes, hours, days, months, weekdays, zone })
    }
}

/// `Mon,Wed..Fri`.
fn of_week(text: &str) -> Option<BTreeSet<u32>> {
    let day = |name: &str| {
        let name = name.to_ascii_lowercase();
        // systemd counts from Monday, and takes three letters or all.
        let found = WEEKDAYS.iter().position(|day| *day == name || day[..3] == name)?;
        u32::try_from((found + 6) % 7).ok()
    };
    let mut days = BTreeSet::new();
    for item in text.split(',').filter(|item| !item.is_empty()) {
        let (first, last) = match item.split_once("..").or_else(|| item.split_once('-')) {
            Some((first, last)) => (day(first)?, day(last)?),
            None => (day(item)?, day(item)?),
        };
        if first > last {
            return None;
        }
        days.extend((first..=last).map(|day| (day + 1) % 7));
    }
    (!days.is_empty()).then_some(days)
}

/// `Y-M-D` or `M-D`; `~` before the day counts from the end. `None` for what systemd refuses.
fn of_date(text: &str) -> Result<Option<(Values, Days)>, CalendarError> {
    let (before, day, is_last) = match text.split_once('~') {
        Some((before, day)) => (before, day, true),
        None => match text.rsplit_once('-') {
            Some((before, day)) => (before, day, false),
            None => return Ok(None),
        },
    };
    let (year, month) = before.split_once('-').map_or(("*", before), |(year, month)| (year, month));
    let (Some(years), Some(months)) = (values(year, 0, 2199), values(month, 1, 12)) else { return Ok(None) };
    let Some(days) = values(day, 1, 31) else { return Ok(None) };
    if years.is_some() {
        return Err(CalendarError::Unlike(YEARS));
    }
    let days = match days {
        Some(days) if is_last => {
            // A step goes on to the end of the month, which is day 1 from the end.
            let down = day.split_once('/').map(|(first, step)| (first.parse::<u32>(), step.parse::<usize>()));
            match down {
                Some((Ok(first), Ok(step))) => Days::Last((1..=first).rev().step_by(step).collect()),
                Some(_) => return Err(CalendarError::Unlike(FROM_END)),
                None => Days::Last(days),
            }
        }
        days => Days::First(days),
    };
    Ok(Some((months, days)))
}

/// `H:M` or `H:M:S`. `None` for what systemd refuses.
fn of_time(text: &str) -> Result<Option<(Values, Values, Values)>, CalendarError> {
    let parts: Vec<_> = text.split(':').collect();
    let (hour, minute, second) = match parts.as_slice() {
        [hour, minute] => (*hour, *minute, "0"),
        [hour, minute, second] => (*hour, *minute, *second),
        _ => return Ok(None),
    };
    if second.replace("..", "").contains('.') {
        return Err(CalendarError::Unlike(FRACTIONS));
    }
    let (Some(hours), Some(minutes)) = (values(hour, 0, 23), values(minute, 0, 59)) else { return Ok(None) };
    Ok(values(second, 0, 59).map(|seconds| (hours, minutes, seconds)))
}

/// `*`, `a`, `a..b`, `a/n`, `a..b/n` and lists of them. The outer `None` is for what systemd refuses.
fn values(text: &str, least: u32, greatest: u32) -> Option<Values> {
    if text == "*" {
        return Some(None);
    }
    let number = |text: &str| -> Option<u32> {
        let are_digits = !text.is_empty() && text.bytes().all(|digit| digit.is_ascii_digit());
        let number = text.parse().ok().filter(|_| are_digits)?;
        (least..=greatest).contains(&number).then_some(number)
    };
    let mut found = BTreeSet::new();
    for item in text.split(',') {
        let (range, step) = match item.split_once('/') {
            Some((range, step)) => (range, Some(step.parse::<usize>().ok().filter(|step| *step > 0)?)),
            None => (item, None),
        };
        let (first, last) = match range.split_once("..") {
            Some((first, last)) => (number(first)?, number(last)?),
            None => (number(range)?, if step.is_some() { greatest } else { number(range)? }),
        };
        if first > last {
            return None;
        }
        found.extend((first..=last).step_by(step.unwrap_or(1)));
    }
    Some(Some(found))
}

impl Calendar {
    /// The times as an expression of cron.
    ///
    /// # Errors
    /// [`CalendarError::Unlike`] where cron cannot say it.
    pub(super) fn cron(&self) -> Result<String, CalendarError> {
        let (day, weekday) = self.days_of_cron()?;
        let mut text = String::new();
        if self.seconds != Some(BTreeSet::from([0])) {
            let _ = write!(text, "{} ", field(self.seconds.as_ref(), 0, 59));
        }
        let minute = field(self.minutes.as_ref(), 0, 59);
        let hour = field(self.hours.as_ref(), 0, 23);
        let month = field(self.months.as_ref().filter(|months| months.len() < 12), 1, 12);
        let _ = write!(text, "{minute} {hour} {day} {month} {weekday}");
        Ok(text)
    }

    /// The fields of the day of the month and of the week.
    fn days_of_cron(&self) -> Result<(String, String), CalendarError> {
        let weekdays = self.weekdays.as_ref().filter(|days| days.len() < 7);
        let all = || "*".to_owned();
        let days = match &self.days {
            Days::First(days) => days.as_ref().filter(|days| days.len() < 31),
            Days::Last(days) => {
                return match weekdays {
                    None if *days == BTreeSet::from([1]) => Ok(("L".to_owned(), all())),
                    Some(weekdays) if days.iter().copied().eq(1..=7) => Ok((all(), each(weekdays, "L"))),
                    _ => Err(CalendarError::Unlike(FROM_END)),
                };
            }
        };
        match (days, weekdays) {
            (None, None) => Ok((all(), all())),
            (Some(days), None) => Ok((field(Some(days), 1, 31), all())),
            (None, Some(weekdays)) => Ok((all(), field(Some(weekdays), 0, 6))),
            (Some(days), Some(weekdays)) => {
                let week = (0..4).find(|week| days.iter().copied().eq(week * 7 + 1..=week * 7 + 7));
                let week = week.ok_or(CalendarError::Unlike(BOTH_DAYS))?;
                Ok((all(), each(weekdays, &format!("#{}", week + 1))))
            }
        }
    }

    /// Both in one, where they differ in a single field.
    pub(super) fn joined(&self, other: &Self) -> Option<Self> {
        let mut joined = self.clone();
        let mut differing = 0;
        let fields = [
            (&mut joined.seconds, &other.seconds),
            (&mut joined.minutes, &other.minutes),
            (&mut joined.hours, &other.hours),
            (&mut joined.months, &other.months),
            (&mut joined.weekdays, &other.weekdays),
        ];
        for (own, others) in fields {
            if own != others {
                differing += 1;
                *own = own.as_ref().zip(others.as_ref()).map(|(own, others)| own | others);
            }
        }
        (differing < 2 && self.days == other.days && self.zone == other.zone).then_some(joined)
    }
}

/// Weekdays with the same sign behind each.
fn each(weekdays: &BTreeSet<u32>, sign: &str) -> String {
    weekdays.iter().map(|day| format!("{day}{sign}")).collect::<Vec<_>>().join(",")
}

/// A field of cron: `*`, a step up to the end, or numbers and ranges.
fn field(values: Option<&BTreeSet<u32>>, least: u32, greatest: u32) -> String {
    let Some(values) = values else { return "*".to_owned() };
    let all: Vec<_> = values.iter().copied().collect();
    if let [first, second, _, ..] = all[..] {
        let step = second - first;
        let is_stepped = all.windows(2).all(|pair| pair[1] - pair[0] == step);
        let is_to_the_end = all.last().is_some_and(|last| last + step > greatest);
        match (is_stepped, step, is_to_the_end) {
            (true, 1, true) if first == least => return "*".to_owned(),
            (true, 1, _) => {}
            // Hours and minutes alone: a day field that begins with * has a meaning of its own.
            (true, step, true) if first == 0 && greatest > 6 => return format!("*/{step}"),
            (true, step, true) => return format!("{first}-{greatest}/{step}"),
            _ => {}
        }
    }
    let mut ranges: Vec<(u32, u32)> = Vec::new();
    for value in all {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == value => *last = value,
            _ => ranges.push((value, value)),
        }
    }
    let shown = |(first, last): &(u32, u32)| match last - first {
        0 => first.to_string(),
        1 => format!("{first},{last}"),
        _ => format!("{first}-{last}"),
    };
    ranges.iter().map(shown).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cron_can_say_is_said() {
        for (text, cron) in [
            ("hourly", "0 * * * *"),
            ("weekly", "0 0 * * 1"),
            ("quarterly", "0 0 1 1-12/3 *"),
            ("Mon..Fri *-*-* 08:00", "0 8 * * 1-5"),
            ("Mon-Fri 8:00", "0 8 * * 1-5"),
            ("sat,sunday 10:00", "0 10 * * 0,6"),
            ("Mon..Sun 4:00", "0 4 * * *"),
            ("*:0/15", "*/15 * * * *"),
            ("*-*-* *:*:0/30", "0,30 * * * * *"),
            ("08:00,16:30", "30 0,16 8 * * *"),
            ("*-*-01/10 6:00", "0 6 1-31/10 * *"),
            ("12-24", "0 0 24 12 *"),
            ("*-*~01", "0 0 L * *"),
            ("Sat *-*-1..7 18:00", "0 18 * * 6#1"),
            ("Mon,Wed *-*-15..21 5:00", "0 5 * * 1#3,3#3"),
            ("Mon *-*~07/1 5:00", "0 5 * * 1L"),
            ("1..5/2:30", "30 1,3,5 * * *"),
            ("*-*-* 2:30 Europe/Zagreb", "30 2 * * *"),
            ("Fri", "0 0 * * 5"),
        ] {
            let calendar: Calendar = text.parse().unwrap();
            let expression = calendar.cron().unwrap();
            assert_eq!(expression, cron, "{text}");
            expression.parse::<crate::model::Cron>().unwrap();
            assert_eq!(calendar.zone.is_some(), text.contains("Zagreb"));
        }
    }

    #[test]
    fn what_it_cannot_say_has_a_reason_and_the_rest_is_invalid() {
        for text in
            ["2026-12-24 4:00", "10:20:30.5", "Mon *-*-13 4:00", "*-*~3", "@1700000000", "Mon *-*~5 3:00"]
        {
            let error = text.parse::<Calendar>().and_then(|calendar| calendar.cron()).unwrap_err();
            assert!(matches!(error, CalendarError::Unlike(_)), "{text}: {error}");
        }
        for text in [
            "",
            "4",
            "*/2:00",
            "Fri..Mon 3:00",
            "25:00",
            "23..2:00",
            "8:00 Mars/Base",
            "x y z",
            "*-13-01",
            "8:60",
        ] {
            let error = text.parse::<Calendar>().unwrap_err();
            assert!(matches!(error, CalendarError::Invalid(_)), "{text}: {error}");
        }
    }

    #[test]
    fn lines_that_differ_in_one_field_are_one() {
        let joined = |one: &str, other: &str| {
            let one: Calendar = one.parse().unwrap();
            Some(one.joined(&other.parse().unwrap())?.cron().unwrap())
        };
        assert_eq!(joined("8:00", "16:00").as_deref(), Some("0 8,16 * * *"));
        assert_eq!(joined("8:00", "*:00").as_deref(), Some("0 * * * *"));
        assert_eq!(joined("8:00", "16:30"), None);
        assert_eq!(joined("8:00", "8:00 UTC"), None);
    }
}
