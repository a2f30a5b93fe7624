//! When a schedule fires: calendar times in a zone whose clocks change, and pauses.
//!
//! The rules follow the cron of Vixie (`man 8 cron`, "Daylight Saving Time"): a job with fixed
//! hours runs once for a time that the clocks skip, right after the gap, and once for a time that
//! they repeat; a job for every hour goes on by elapsed time.

use std::time::Duration;

use chrono::{MappedLocalTime, NaiveDateTime, TimeDelta, TimeZone as _};
use chrono_tz::Tz;

use crate::model::{AppId, Cron, Schedule, Timestamp};

/// The longest gap or overlap of local time that is looked for; Samoa once skipped a whole day.
const TRANSITION_MAX: TimeDelta = TimeDelta::hours(25);

/// More slots than this are not counted: the number would tell an operator nothing.
pub const SLOTS_COUNTED_MAX: u32 = 1000;

/// The shortest pause between two runs of an app that its interval asks for.
pub const PAUSE_MIN: Duration = Duration::from_millis(100);

/// A clock that was set back by more than this was wrong: every calendar begins anew, as cron does it
/// (`man 8 cron`), instead of waiting until the times come that it has seen.
pub const ANEW_AFTER: TimeDelta = TimeDelta::hours(3);

/// A calendar that goes by the new time still waits for so long, so that small corrections of a clock do
/// not repeat times of a second. Cron does not see what is shorter than a minute.
const REPEATED_MAX: TimeDelta = TimeDelta::seconds(60);

/// The first time after `after` at which the expression fires.
#[must_use]
pub fn next_slot(cron: &Cron, zone: Tz, after: Timestamp) -> Option<Timestamp> {
    Calendar { pattern: cron.pattern(), zone }.next(after)
}

/// The time with which a calendar begins anew, given that `slot` is the first that is not accounted for. Where
/// it lies behind times that are still to come, the clock was ahead when those were seen: a job with `*` as its
/// hour or minute goes by the new time at once; fixed times are not repeated, unless the clock was wrong by
/// [`ANEW_AFTER`]. `None`: it goes on with `slot`.
#[must_use]
pub fn first_by_new_time(cron: &Cron, zone: Tz, slot: Timestamp, now: Timestamp) -> Option<Timestamp> {
    if slot <= now {
        return None;
    }
    let calendar = Calendar { pattern: cron.pattern(), zone };
    let first = calendar.next(now).filter(|first| *first < slot)?;
    let begins_anew = if calendar.pattern.goes_by_new_time() {
        slot - first > REPEATED_MAX
    } else {
        calendar.last(slot - TimeDelta::milliseconds(1)).is_some_and(|seen| seen - now > ANEW_AFTER)
    };
    begins_anew.then_some(first)
}

/// All that fires from `first` to `until`, both included, given that `first` is such a time.
#[must_use]
pub fn slots_until(cron: &Cron, zone: Tz, first: Timestamp, until: Timestamp) -> Slots {
    let calendar = Calendar { pattern: cron.pattern(), zone };
    let mut slots = Slots { before_last: None, last: first, count: Some(1), following: None };
    for count in 1..=SLOTS_COUNTED_MAX {
        slots.following = calendar.next(slots.last);
        match slots.following {
            Some(slot) if slot <= until => {
                slots.before_last = Some(slots.last);
                slots.last = slot;
            }
            _ => return Slots { count: Some(count), ..slots },
        }
    }
    let last = calendar.last(until).unwrap_or(slots.last);
    let before_last = calendar.last(last - TimeDelta::milliseconds(1));
    Slots { before_last, last, count: None, following: calendar.next(last) }
}

/// At most `limit` of the times up to `until`, the latest ones, oldest first; none before `first`.
#[must_use]
pub fn latest_slots(cron: &Cron, zone: Tz, first: Timestamp, until: Timestamp, limit: u32) -> Vec<Timestamp> {
    let calendar = Calendar { pattern: cron.pattern(), zone };
    let mut slots = Vec::new();
    let mut until = until;
    for _ in 0..limit {
        match calendar.last(until) {
            Some(slot) if slot >= first => {
                slots.push(slot);
                until = slot - TimeDelta::milliseconds(1);
            }
            _ => break,
        }
    }
    slots.reverse();
    slots
}

/// The times after `after` up to `until`, oldest first, at most `limit` of them.
#[must_use]
pub fn slots_between(
    cron: &Cron,
    zone: Tz,
    after: Timestamp,
    until: Timestamp,
    limit: usize,
) -> Vec<Timestamp> {
    let calendar = Calendar { pattern: cron.pattern(), zone };
    let next = |slot: &Timestamp| calendar.next(*slot).filter(|slot| *slot <= until);
    std::iter::successors(next(&after), next).take(limit).collect()
}

/// A stretch of times at which an expression fires.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slots {
    /// The one before the last, where there is more than one.
    pub before_last: Option<Timestamp>,
    /// The last of them.
    pub last: Timestamp,
    /// How many; `None` when there are more than [`SLOTS_COUNTED_MAX`].
    pub count: Option<u32>,
    /// The first one after them.
    pub following: Option<Timestamp>,
}

/// By how much each time of this app is put off: less than the schedule's jitter, and always the
/// same for an app.
#[must_use]
pub fn jitter(schedule: &Schedule, app: AppId) -> TimeDelta {
    let range = i64::try_from(schedule.jitter.as_millis()).unwrap_or(i64::MAX);
    if range == 0 {
        return TimeDelta::zero();
    }
    let share = i64::try_from(app.spread() >> 1).unwrap_or(0) % range;
    TimeDelta::milliseconds(share)
}

struct Calendar {
    pattern: crate::model::Pattern,
    zone: Tz,
}

impl Calendar {
    fn next(&self, after: Timestamp) -> Option<Timestamp> {
        if self.pattern.is_every_hour() { self.next_by_elapsed_time(after) } else { self.next_fixed(after) }
    }

    /// Each local time once: a repeated one the first time, a skipped one at the end of the gap.
    fn next_fixed(&self, after: Timestamp) -> Option<Timestamp> {
        let mut local = self.local(after);
        loop {
            local = self.pattern.next(local, false)?;
            let slot = match self.resolve(local) {
                Resolved::Once(time)
                | Resolved::Skipped { end: time }
                | Resolved::Twice { first: time, .. } => time,
            };
            if slot > after {
                return Some(slot);
            }
        }
    }

    /// Each moment whose local time matches: a repeated hour fires twice, a skipped one not.
    fn next_by_elapsed_time(&self, after: Timestamp) -> Option<Timestamp> {
        let start = self.local(after);
        let in_sequence = self.first_match(start, false, after);
        // In the first pass of a repeated hour, the second pass comes before what follows it on
        // the local calendar.
        let second_pass = match self.resolve(start) {
            Resolved::Twice { first, second } if first == after => {
                let turn = self.transition(after, second);
                self.first_match(self.local(turn), true, turn - TimeDelta::milliseconds(1))
            }
            Resolved::Once(_) | Resolved::Twice { .. } | Resolved::Skipped { .. } => None,
        };
        match (in_sequence, second_pass) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    /// The first moment after `after` that matches, walking the local calendar from `local`.
    fn first_match(&self, local: NaiveDateTime, inclusive: bool, after: Timestamp) -> Option<Timestamp> {
        let mut local = self.pattern.next(local, inclusive)?;
        loop {
            let slot = match self.resolve(local) {
                Resolved::Once(time) => Some(time),
                Resolved::Skipped { .. } => None,
                Resolved::Twice { first, .. } if first > after => Some(first),
                Resolved::Twice { second, .. } => Some(second),
            };
            match slot {
                Some(slot) if slot > after => return Some(slot),
                _ => local = self.pattern.next(local, false)?,
            }
        }
    }

    /// The last time at or before `until`.
    fn last(&self, until: Timestamp) -> Option<Timestamp> {
        let near = self.local(until);
        let before = until - TRANSITION_MAX;
        if self.offset_is_steady(before, until) {
            return self.pattern.last(near).map(|local| self.earliest(local));
        }
        // Around a change of clocks: walk there from a point before it.
        let mut slot = self.pattern.last(self.local(before)).map(|local| self.earliest(local))?;
        while let Some(next) = self.next(slot).filter(|next| *next <= until) {
            slot = next;
        }
        Some(slot)
    }

    fn local(&self, time: Timestamp) -> NaiveDateTime {
        time.with_timezone(&self.zone).naive_local()
    }

    fn earliest(&self, local: NaiveDateTime) -> Timestamp {
        match self.resolve(local) {
            Resolved::Once(time) | Resolved::Skipped { end: time } | Resolved::Twice { first: time, .. } => {
                time
            }
        }
    }

    fn resolve(&self, local: NaiveDateTime) -> Resolved {
        match self.zone.from_local_datetime(&local) {
            MappedLocalTime::Single(time) => Resolved::Once(time.to_utc()),
            MappedLocalTime::Ambiguous(a, b) => {
                Resolved::Twice { first: a.min(b).to_utc(), second: a.max(b).to_utc() }
            }
            MappedLocalTime::None => Resolved::Skipped { end: self.end_of_gap(local) },
        }
    }

    /// The moment at which the clocks skipped this local time.
    fn end_of_gap(&self, skipped: NaiveDateTime) -> Timestamp {
        // Read as UTC, the local time is off by less than a day; the change of offset around it
        // is the one that made the gap.
        let guess = skipped.and_utc();
        self.transition(guess - TRANSITION_MAX, guess + TRANSITION_MAX)
    }

    /// The first second at which the offset differs from that at `before`, given that it changes
    /// once until `after`.
    fn transition(&self, before: Timestamp, after: Timestamp) -> Timestamp {
        let offset = self.offset(before);
        let (mut low, mut high) = (before.timestamp(), after.timestamp());
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            match Timestamp::from_timestamp(middle, 0) {
                Some(time) if self.offset(time) == offset => low = middle,
                _ => high = middle,
            }
        }
        Timestamp::from_timestamp(high, 0).unwrap_or(after)
    }

    fn offset(&self, time: Timestamp) -> TimeDelta {
        self.local(time) - time.naive_utc()
    }

    fn offset_is_steady(&self, from: Timestamp, to: Timestamp) -> bool {
        self.offset(from) == self.offset(to)
    }
}

/// What a local time stands for.
enum Resolved {
    Once(Timestamp),
    Twice { first: Timestamp, second: Timestamp },
    Skipped { end: Timestamp },
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{format_timestamp, parse_timestamp};

    fn check(cron: &str, zone: &str, after: &str, expected: &[&str]) {
        let (cron, zone): (Cron, Tz) = (cron.parse().unwrap(), zone.parse().unwrap());
        let mut time = parse_timestamp(after).unwrap();
        let mut found = Vec::new();
        for _ in expected {
            time = next_slot(&cron, zone, time).unwrap();
            found.push(time.with_timezone(&zone).format("%m-%d %H:%M%:::z").to_string());
        }
        assert_eq!(found, expected, "{cron} in {zone} after {after}");
    }

    #[test]
    fn a_skipped_time_runs_once_right_after_the_gap() {
        // Zagreb 2026-03-29: 02:00+01 becomes 03:00+02.
        let night = "2026-03-28T12:00:00Z";
        check("30 2 * * *", "Europe/Zagreb", night, &["03-29 03:00+02", "03-30 02:30+02"]);
        check(
            "30 2,12 * * *",
            "Europe/Zagreb",
            night,
            &["03-29 03:00+02", "03-29 12:30+02", "03-30 02:30+02"],
        );
        check("*/20 2 * * *", "Europe/Zagreb", night, &["03-29 03:00+02", "03-30 02:00+02"]);
        check("0 */2 * * *", "Europe/Zagreb", "2026-03-28T23:30:00Z", &["03-29 03:00+02", "03-29 04:00+02"]);
        // Where the hour after the gap fires anyway, the skipped time joins it.
        check("0 2,3 * * *", "Europe/Zagreb", night, &["03-29 03:00+02", "03-30 02:00+02"]);
    }

    #[test]
    fn a_repeated_time_runs_once() {
        // Zagreb 2026-10-25: 03:00+02 becomes 02:00+01.
        let night = "2026-10-24T12:00:00Z";
        check("30 2 * * *", "Europe/Zagreb", night, &["10-25 02:30+02", "10-26 02:30+01"]);
        check("0 2,3 * * *", "Europe/Zagreb", night, &["10-25 02:00+02", "10-25 03:00+01", "10-26 02:00+01"]);
        check(
            "*/30 2 * * *",
            "Europe/Zagreb",
            night,
            &["10-25 02:00+02", "10-25 02:30+02", "10-26 02:00+01"],
        );
    }

    #[test]
    fn every_hour_goes_on_by_elapsed_time() {
        check("30 * * * *", "Europe/Zagreb", "2026-03-29T00:00:00Z", &["03-29 01:30+01", "03-29 03:30+02"]);
        check(
            "30 * * * *",
            "Europe/Zagreb",
            "2026-10-24T23:45:00Z",
            &["10-25 02:30+02", "10-25 02:30+01", "10-25 03:30+01"],
        );
        check(
            "*/30 * * * *",
            "Europe/Zagreb",
            "2026-10-25T00:10:00Z",
            &["10-25 02:30+02", "10-25 02:00+01", "10-25 02:30+01", "10-25 03:00+01"],
        );
    }

    #[test]
    fn zones_around_the_world() {
        for (zone, after, cron, expected) in [
            ("UTC", "2026-03-29T00:00:00Z", "30 2 * * *", "03-29 02:30+00"),
            ("Asia/Tokyo", "2026-03-29T00:00:00Z", "30 2 * * *", "03-30 02:30+09"),
            ("Asia/Kolkata", "2026-01-01T00:00:00Z", "30 2 * * *", "01-02 02:30+05:30"),
            ("America/New_York", "2026-03-08T05:00:00Z", "30 2 * * *", "03-08 03:00-04"),
            ("America/New_York", "2026-11-01T04:00:00Z", "30 1 * * *", "11-01 01:30-04"),
            ("America/Sao_Paulo", "2018-11-03T12:00:00Z", "30 0 * * *", "11-04 01:00-02"),
            ("Australia/Lord_Howe", "2026-10-03T12:00:00Z", "15 2 * * *", "10-04 02:30+11"),
            ("Africa/Cairo", "2026-04-23T12:00:00Z", "30 0 * * *", "04-24 01:00+03"),
            ("Pacific/Apia", "2011-12-29T12:00:00Z", "0 12 30 12 *", "12-31 00:00+14"),
            ("Europe/Belgrade", "2026-06-01T00:00:00Z", "0 9 * * MON-FRI", "06-01 09:00+02"),
        ] {
            let (cron, tz): (Cron, Tz) = (cron.parse().unwrap(), zone.parse().unwrap());
            let slot = next_slot(&cron, tz, parse_timestamp(after).unwrap()).unwrap();
            let shown = slot.with_timezone(&tz).format("%m-%d %H:%M%:::z").to_string();
            let expected = expected.replace("+05:30", "+05");
            assert!(shown.starts_with(&expected), "{zone}: {shown} is not {expected}");
        }
    }

    /// Walks two years of several zones and compares with a definition that looks at each minute.
    #[test]
    fn next_and_last_agree_with_a_look_at_every_minute() {
        for zone in [Tz::Europe__Zagreb, Tz::America__New_York, Tz::Australia__Lord_Howe, Tz::Asia__Kolkata] {
            for text in ["30 * * * *", "*/20 2 * * *", "15 1,2,3 * * *", "5 */3 * * *"] {
                let cron: Cron = text.parse().unwrap();
                for start in [
                    "2026-03-07T20:00:00Z",
                    "2026-03-28T20:00:00Z",
                    "2026-04-04T10:00:00Z",
                    "2026-10-03T10:00:00Z",
                    "2026-10-24T18:00:00Z",
                    "2026-10-31T23:00:00Z",
                ] {
                    let start = parse_timestamp(start).unwrap();
                    let end = start + TimeDelta::hours(14);
                    let expected = by_definition(&cron, zone, start, end);
                    let mut found = Vec::new();
                    let mut time = start;
                    while let Some(next) = next_slot(&cron, zone, time).filter(|next| *next <= end) {
                        found.push(next);
                        time = next;
                    }
                    assert_eq!(found, expected, "{text} in {zone} from {start}");
                    if let (Some(first), Some(last)) = (expected.first(), expected.last()) {
                        let slots = slots_until(&cron, zone, *first, end);
                        assert_eq!((slots.last, slots.count), (*last, u32::try_from(expected.len()).ok()));
                        assert_eq!(latest_slots(&cron, zone, *first, end, 100), expected, "{text} in {zone}");
                    }
                }
            }
        }
    }

    fn by_definition(cron: &Cron, zone: Tz, start: Timestamp, end: Timestamp) -> Vec<Timestamp> {
        let pattern = cron.pattern();
        let local = |time: Timestamp| time.with_timezone(&zone).naive_local();
        let minute = TimeDelta::minutes(1);
        let mut found = Vec::new();
        // Begin well before `start`, so that local times seen before are known.
        let mut seen = std::collections::BTreeSet::new();
        let mut time = start - TimeDelta::hours(30);
        while time <= end {
            let (now, before) = (local(time), local(time - minute));
            let matches = |naive: NaiveDateTime| pattern.next(naive, true) == Some(naive);
            let fires = if pattern.is_every_hour() {
                matches(now)
            } else {
                let mut skipped = before + minute;
                let mut fires = matches(now) && !seen.contains(&now);
                while skipped < now {
                    fires |= matches(skipped);
                    skipped += minute;
                }
                fires
            };
            seen.insert(now);
            if fires && time > start {
                found.push(time);
            }
            time += minute;
        }
        found
    }

    #[test]
    fn many_slots_are_not_counted() {
        let cron: Cron = "* * * * * *".parse().unwrap();
        let first = parse_timestamp("2026-01-01T00:00:00Z").unwrap();
        let until = parse_timestamp("2026-02-01T00:00:00Z").unwrap();
        let slots = slots_until(&cron, Tz::UTC, first, until);
        assert_eq!(slots.count, None);
        assert_eq!(format_timestamp(slots.last), "2026-02-01T00:00:00.000Z");
        assert_eq!(slots.following.map(format_timestamp).as_deref(), Some("2026-02-01T00:00:01.000Z"));
    }

    #[test]
    fn jitter_is_steady_and_within_its_range() {
        let schedule = Schedule { jitter: Duration::from_secs(30), ..Schedule::default() };
        let app = AppId::of(&"a/b/c".parse().unwrap());
        let by = jitter(&schedule, app);
        assert_eq!(by, jitter(&schedule, app));
        assert!(by >= TimeDelta::zero() && by < TimeDelta::seconds(30));
        assert_eq!(jitter(&Schedule::default(), app), TimeDelta::zero());
    }
}
