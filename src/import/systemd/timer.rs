//! `[Timer]` as the schedule of an app.

use super::super::draft::whole;
use super::super::{Draft, Host, Report};
use super::calendar::{Calendar, CalendarError};
use super::unit::{Entry, Unit};
use super::{boolean, seconds};
use crate::model::Value;

const NO_TIME: &str = "dcm has no such time; a run is started by calendar, interval or command";

/// Gives the app its times. Calendars that one expression cannot say become apps of their own.
pub(super) fn drafts(timer: &Unit, mut draft: Draft, host: &dyn Host, report: &mut Report) -> Vec<Draft> {
    tell(timer, report);
    intervals(timer, &mut draft, report);
    if let Some(delay) = timer.last("Timer", "RandomizedDelaySec")
        && let Some(seconds) = seconds(delay, report)
    {
        draft.carry(report, (&delay.at, &delay.key), "jitter", seconds);
        let is_fixed = timer.last("Timer", "FixedRandomDelay").is_some_and(|entry| boolean(entry, report));
        if !is_fixed && seconds > 0.0 {
            let why = "the delay of an app stays the same (jitter), as with FixedRandomDelay=true";
            report.carried(&delay.at, &delay.key, why);
        }
    }
    let persistent = timer.last("Timer", "Persistent");
    let is_persistent = persistent.is_some_and(|entry| boolean(entry, report));
    draft.put(report, &timer_at(timer, &draft), "catch_up", if is_persistent { "latest" } else { "none" });
    let calendars = calendars(timer, report);
    if calendars.is_empty() {
        return vec![draft];
    }
    if draft.app.schedule.interval.is_some() {
        let why = "an interval and a calendar go together in systemd; here the calendar counts, and the interval is left out";
        report.lost(&calendars[0].0.at, "OnCalendar", why);
        draft.app.schedule.interval = None;
    }
    let several = calendars.len() > 1;
    let made = calendars.into_iter().map(|(entry, expression, calendar)| {
        let mut draft = draft.clone();
        draft.put(report, &entry.at, "cron", expression);
        match calendar.zone.or_else(|| host.time_zone()) {
            Some(zone) => draft.put(report, &entry.at, "time_zone", zone.name()),
            None => report.lost(
                &entry.at,
                "time zone",
                "that of this host is not known: the times are read in UTC",
            ),
        }
        if several {
            let why =
                "one expression of cron cannot say all lines, so each is an app; runs of them may overlap";
            report.carried(&entry.at, "OnCalendar", why);
        }
        draft
    });
    made.collect()
}

fn timer_at(timer: &Unit, draft: &Draft) -> super::At {
    timer.entries.first().map_or(&draft.at, |entry| &entry.at).clone()
}

/// The calendars that cron can say, those that differ in one field as one.
fn calendars<'a>(timer: &'a Unit, report: &mut Report) -> Vec<(&'a Entry, String, Calendar)> {
    let mut found: Vec<(&Entry, Calendar)> = Vec::new();
    for entry in timer.all("Timer", "OnCalendar") {
        match entry.value.parse::<Calendar>() {
            Ok(calendar) => {
                match found.iter_mut().find_map(|(_, other)| Some((other.joined(&calendar)?, other))) {
                    Some((joined, other)) => *other = joined,
                    None => found.push((entry, calendar)),
                }
            }
            Err(error @ CalendarError::Invalid(_)) => report.fault(&entry.at, format!("OnCalendar: {error}")),
            Err(error @ CalendarError::Unlike(_)) => unlike(entry, &error, report),
        }
    }
    let said = found.into_iter().filter_map(|(entry, calendar)| match calendar.cron() {
        Ok(expression) => Some((entry, expression, calendar)),
        Err(error) => {
            unlike(entry, &error, report);
            None
        }
    });
    said.collect()
}

fn unlike(entry: &Entry, error: &CalendarError, report: &mut Report) {
    report.lost(&entry.at, &entry.key, format!("{error}; the app has no schedule for it"));
}

/// `OnUnitInactiveSec` is an interval; so is `OnUnitActiveSec`, nearly.
fn intervals(timer: &Unit, draft: &mut Draft, report: &mut Report) {
    for (key, is_same) in [("OnUnitActiveSec", false), ("OnUnitInactiveSec", true)] {
        let entries = timer.all("Timer", key);
        let Some((last, others)) = entries.split_last() else { continue };
        for other in others {
            report.lost(&other.at, key, "an app has one interval; the last line counts");
        }
        let Some(seconds) = seconds(last, report) else { continue };
        draft.carry(report, (&last.at, key), "interval", seconds / 60.0);
        if !is_same {
            report.carried(
                &last.at,
                key,
                "systemd counts from the start of a run, dcm from its end (interval)",
            );
        }
    }
}

/// Says what of the timer is not carried over.
fn tell(timer: &Unit, report: &mut Report) {
    let entries = timer.entries.iter().filter(|entry| entry.section == "Timer" && !entry.value.is_empty());
    for entry in entries {
        let why = match entry.key.as_str() {
            "OnCalendar" | "OnUnitInactiveSec" | "OnUnitActiveSec" | "RandomizedDelaySec"
            | "FixedRandomDelay" | "Persistent" | "Unit" | "AccuracySec" | "RemainAfterElapse" => continue,
            "OnBootSec" | "OnStartupSec" | "OnActiveSec" | "OnClockChange" | "OnTimezoneChange" => NO_TIME,
            "WakeSystem" => "dcm wakes no machine",
            _ => "systemd knows no such key in [Timer], or dcm does not do it",
        };
        report.lost(&entry.at, &entry.key, why);
    }
}

/// A retry after a failed run of a job.
pub(super) fn retry(entry: Option<&Entry>, draft: &mut Draft, report: &mut Report) {
    let Some(entry) = entry else { return };
    if let Some(seconds) = seconds(entry, report) {
        // Less is no pause that dcm takes.
        draft.carry(report, (&entry.at, &entry.key), "retry_interval", (seconds / 60.0).max(0.002));
    }
}

/// Megabytes of a size such as `40M`, `1G` or a number of bytes; `None` for what is no size in bytes.
pub(super) fn mebibytes(text: &str) -> Option<Value<'static>> {
    let text = text.trim();
    let units = [('K', 10), ('M', 20), ('G', 30), ('T', 40)];
    let unit = units.iter().find(|(name, _)| text.ends_with(*name));
    let number = unit.map_or(text, |(name, _)| text.trim_end_matches(*name));
    let bytes: i64 =
        number.trim().parse::<i64>().ok()?.checked_mul(1 << unit.map_or(0, |(_, bits)| *bits))?;
    Some(whole((bytes >> 20).max(1)))
}
