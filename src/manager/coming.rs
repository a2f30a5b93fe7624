//! What a row says of the time of its app's next run, for all who show it.

use chrono::TimeDelta;
use chrono_tz::Tz;

use super::schedule::{jitter, next_slot};
use crate::model::{AppId, AppRow, Cron, RunStatus, Schedule, Timestamp};

/// The calendar of an app, and by how much its times are put off.
#[derive(Debug, Clone, Copy)]
pub struct Calendar<'a> {
    cron: &'a Cron,
    zone: Tz,
    jitter: TimeDelta,
}

impl<'a> Calendar<'a> {
    /// `None` for an app without one.
    #[must_use]
    pub fn of(schedule: &'a Schedule, app: AppId) -> Option<Self> {
        let cron = schedule.cron.as_ref()?;
        Some(Self { cron, zone: schedule.time_zone, jitter: jitter(schedule, app) })
    }

    /// The parts that [`jitter`] and a schedule gave before.
    #[must_use]
    pub fn new(cron: &'a Cron, zone: Tz, jitter: TimeDelta) -> Self {
        Self { cron, zone, jitter }
    }

    fn after(self, time: Timestamp) -> Option<Timestamp> {
        next_slot(self.cron, self.zone, time - self.jitter).map(|slot| slot + self.jitter)
    }
}

/// When an app is to run next for which `planned` is on record. A time that comes while it runs does not become a run:
/// the one after that is next.
#[must_use]
pub fn coming(
    planned: Option<Timestamp>,
    is_running: bool,
    calendar: Option<Calendar<'_>>,
    now: Timestamp,
) -> Option<Timestamp> {
    let is_passed_over = is_running && planned? <= now;
    if is_passed_over { calendar?.after(now) } else { planned }
}

/// When the app of a row is to run next.
#[must_use]
pub fn coming_of(row: &AppRow, now: Timestamp) -> Option<Timestamp> {
    let is_running = row.state.status == RunStatus::Running;
    coming(row.next_run, is_running, Calendar::of(&row.app.schedule, row.app.id), now)
}

/// The zone of a time without one that SQL writes to `next_run`: a database whose sessions have one reads it in
/// that; any other keeps it as it is, and it is read in the app's zone.
#[must_use]
pub fn zone_of_sql(row: &AppRow, has_session_zone: bool) -> &'static str {
    if has_session_zone {
        "the zone of the session that writes it"
    } else {
        row.app.schedule.time_zone.name()
    }
}
