//! What the console concludes by itself, as rows of the alerts: managers that are not heard of, and
//! apps that failed, are late or flap. There is nothing in the database that could be acknowledged.

use std::collections::BTreeMap;

use chrono::Local;

use super::managers::{Life, life};
use crate::console::fleet::{Row, Trouble};
use crate::console::past::{Cause, Sign, together};
use crate::console::world::World;
use crate::model::{AppPath, ManagerRow, Timestamp};

/// Managers that did not end and are not heard of, with the apps that run under them, unseen. Where another manager has
/// written an alert about that, there is that.
pub(super) fn lost_managers(managers: &[ManagerRow], world: &World) -> Vec<Cause> {
    let now = world.time();
    let lost = managers
        .iter()
        .filter(|row| life(row, &world.fleet, now) == Life::Silent && !world.is_alert_open_of(&row.name));
    let cause = |row: &ManagerRow| {
        let apps: Vec<AppPath> = world
            .fleet
            .rows()
            .filter(|app| app.pid.is_some() && app.manager.as_deref() == Some(row.name.as_str()))
            .map(|app| app.path.clone())
            .collect();
        Cause {
            key: format!("manager {}", row.name),
            sign: Sign::Unknown,
            since: row.heartbeat,
            who: format!("mgr {}", row.name),
            what: format!("heartbeat lost, {} apps unseen, host {}", apps.len(), row.host),
            alerts: Vec::new(),
            apps,
        }
    };
    lost.map(cause).collect()
}

/// The sign of a trouble that is no alert of its own; the others are alerts, or the cause is a manager.
const fn sign_of(trouble: Trouble) -> Option<Sign> {
    match trouble {
        Trouble::Failed => Some(Sign::Failed),
        Trouble::Late => Some(Sign::Late),
        Trouble::Flapping => Some(Sign::Flapping),
        Trouble::Fatal | Trouble::GivenUp | Trouble::Stalled | Trouble::OverLimit | Trouble::Unknown => None,
    }
}

/// How many managers and apps these rows tell of. A failed app that is flagged has an alert of its own.
pub(in crate::console) fn count(world: &World) -> usize {
    let (fleet, now) = (&world.fleet, world.time());
    let is_lost =
        |row: &&ManagerRow| life(row, fleet, now) == Life::Silent && !world.is_alert_open_of(&row.name);
    let lost = fleet.managers.iter().filter(is_lost).count();
    let concluded = Trouble::ALL.into_iter().filter(|trouble| sign_of(*trouble).is_some());
    lost + concluded.map(|trouble| fleet.total.with(trouble)).sum::<usize>() - fleet.total.flagged
}

/// Apps that failed, are late or flap: those of one parent are a row, unless `is_single`.
pub(super) fn troubled(world: &World, is_single: bool) -> Vec<Cause> {
    let now = world.time();
    let mut found: BTreeMap<String, (Sign, Vec<&Row>)> = BTreeMap::new();
    for row in world.fleet.rows() {
        let Some(trouble) = row.trouble else { continue };
        let Some(sign) = sign_of(trouble).filter(|_| !row.is_flagged()) else { continue };
        let path = &row.path;
        let who = if is_single { path.to_string() } else { format!("{}/{}", path.group, path.parent) };
        let (_, rows) = found.entry(format!("{} {who}", trouble.word())).or_insert((sign, Vec::new()));
        rows.push(row);
    }
    let cause = |(key, (sign, rows)): (String, (Sign, Vec<&Row>))| {
        let (since, what) = rows.iter().map(|row| describe(row, sign, now)).min()?;
        let apps: Vec<_> = rows.iter().map(|row| row.path.clone()).collect();
        Some(Cause { key, sign, since, who: together(&apps), what, alerts: Vec::new(), apps })
    };
    found.into_iter().filter_map(cause).collect()
}

/// Since when, and what it is.
fn describe(row: &Row, sign: Sign, now: Timestamp) -> (Timestamp, String) {
    let (since, what) = match sign {
        Sign::Late => {
            let due = row.next_run.map(|due| due.with_timezone(&Local).format("%H:%M").to_string());
            (row.next_run, format!("missed its start at {}", due.unwrap_or_default()))
        }
        Sign::Failed => (row.last_run, "its last run failed, it goes on".to_owned()),
        Sign::Flapping | Sign::Unknown | Sign::Fatal | Sign::Stalled | Sign::Warning => {
            (row.flaps_since, "three bad ends in ten minutes".to_owned())
        }
    };
    (since.unwrap_or(now), what)
}
