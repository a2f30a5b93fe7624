//! The parsed form of a cron expression: which moments of a local calendar match.

use std::fmt;

use chrono::{Datelike as _, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Timelike as _};
use croner::{CronComponent, Weekday};

/// No expression pauses for longer and fires again: 29 February comes back to the same day of the week
/// after 40 years at most. So a search ends, also for what never fires.
const PAUSE_MAX_YEARS: i32 = 41;

/// The parsed form of a [`Cron`](super::Cron), for as long as a calculation takes.
pub struct Pattern {
    cron: croner::Cron,
    goes_by_new_time: bool,
}

impl Pattern {
    pub(super) fn new(cron: croner::Cron, has_star_in_hour_or_minute: bool) -> Self {
        let mut pattern = Self { cron, goes_by_new_time: has_star_in_hour_or_minute };
        pattern.goes_by_new_time |= pattern.is_every_hour();
        pattern
    }

    /// The first moment of the local calendar after `after` (or at it) that matches.
    #[must_use]
    pub fn next(&self, after: NaiveDateTime, inclusive: bool) -> Option<NaiveDateTime> {
        let whole = after.with_nanosecond(0)?;
        let from = if inclusive && whole == after {
            whole
        } else {
            whole.checked_add_signed(TimeDelta::seconds(1))?
        };
        if self.day_matches(from.date())
            && let Some(time) = self.first_time(from.time())
        {
            return Some(from.date().and_time(time));
        }
        let midnight = self.first_time(NaiveTime::MIN)?;
        let last_year = from.year().saturating_add(PAUSE_MAX_YEARS);
        let mut date = from.date().succ_opt()?;
        while date.year() <= last_year {
            if !self.month_matches(date) {
                date = first_of_next_month(date)?;
            } else if self.day_matches(date) {
                return Some(date.and_time(midnight));
            } else {
                date = date.succ_opt()?;
            }
        }
        None
    }

    /// The last moment of the local calendar at or before `until` that matches.
    #[must_use]
    pub fn last(&self, until: NaiveDateTime) -> Option<NaiveDateTime> {
        if self.day_matches(until.date())
            && let Some(time) = self.last_time(until.time())
        {
            return Some(until.date().and_time(time));
        }
        let evening = self.last_time(NaiveTime::from_hms_opt(23, 59, 59)?)?;
        let first_year = until.year().saturating_sub(PAUSE_MAX_YEARS);
        let mut date = until.date().pred_opt()?;
        while date.year() >= first_year {
            if !self.month_matches(date) {
                date = date.with_day(1)?.pred_opt()?;
            } else if self.day_matches(date) {
                return Some(date.and_time(evening));
            } else {
                date = date.pred_opt()?;
            }
        }
        None
    }

    /// Whether the hour field allows all hours, so that the job goes on by elapsed time when the
    /// clocks change.
    #[must_use]
    pub fn is_every_hour(&self) -> bool {
        (0..24).all(|hour| has(&self.cron.pattern.hours, hour))
    }

    /// Whether the job follows a clock that was set back at once, although times come again: one with
    /// `*` as its hour or minute does (`man 8 cron`). Fixed times are not repeated.
    #[must_use]
    pub fn goes_by_new_time(&self) -> bool {
        self.goes_by_new_time
    }

    fn month_matches(&self, date: NaiveDate) -> bool {
        self.cron.pattern.month_match(date.month()).unwrap_or(false)
    }

    fn day_matches(&self, date: NaiveDate) -> bool {
        let weekday = Weekday::from_days_from_sunday(date.weekday().num_days_from_sunday());
        self.month_matches(date)
            && self.cron.pattern.day_match(date.year(), date.month(), date.day(), weekday).unwrap_or(false)
    }

    /// The first time of a day, from this one on.
    fn first_time(&self, from: NaiveTime) -> Option<NaiveTime> {
        let fields = &self.cron.pattern;
        let (hours, minutes, seconds) = (&fields.hours, &fields.minutes, &fields.seconds);
        let first = |field: &CronComponent, from: u32, end: u32| (from..end).find(|value| has(field, *value));
        let (minute, second) = (first(minutes, 0, 60)?, first(seconds, 0, 60)?);
        let (mut hour, mut from_minute) = (from.hour(), from.minute());
        if has(hours, hour) {
            if has(minutes, from_minute)
                && let Some(second) = first(seconds, from.second(), 60)
            {
                return NaiveTime::from_hms_opt(hour, from_minute, second);
            }
            from_minute += 1;
            if let Some(minute) = first(minutes, from_minute, 60) {
                return NaiveTime::from_hms_opt(hour, minute, second);
            }
        }
        hour = first(hours, hour + 1, 24)?;
        NaiveTime::from_hms_opt(hour, minute, second)
    }

    /// The last time of a day, up to this one.
    fn last_time(&self, until: NaiveTime) -> Option<NaiveTime> {
        let fields = &self.cron.pattern;
        let (hours, minutes, seconds) = (&fields.hours, &fields.minutes, &fields.seconds);
        let last = |field: &CronComponent, end: u32| (0..end).rev().find(|value| has(field, *value));
        let (minute, second) = (last(minutes, 60)?, last(seconds, 60)?);
        if has(hours, until.hour()) {
            if has(minutes, until.minute())
                && let Some(second) = last(seconds, until.second() + 1)
            {
                return NaiveTime::from_hms_opt(until.hour(), until.minute(), second);
            }
            if let Some(minute) = last(minutes, until.minute()) {
                return NaiveTime::from_hms_opt(until.hour(), minute, second);
            }
        }
        NaiveTime::from_hms_opt(last(hours, until.hour())?, minute, second)
    }
}

fn has(field: &CronComponent, value: u32) -> bool {
    u16::try_from(value).is_ok_and(|value| field.is_bit_set(value, ALL_BIT).unwrap_or(false))
}

/// The bit of a value that matches without a modifier such as `L`; the library has no name for it.
const ALL_BIT: u8 = 1;

fn first_of_next_month(date: NaiveDate) -> Option<NaiveDate> {
    let (year, month) =
        if date.month() == 12 { (date.year() + 1, 1) } else { (date.year(), date.month() + 1) };
    NaiveDate::from_ymd_opt(year, month, 1)
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.cron.as_str())
    }
}
