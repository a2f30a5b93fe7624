//! `dcm next`: when apps are due.

use serde_json::json;

use super::args::NextArgs;
use super::error::Error;
use super::session::{Fleet, Session, block_on};
use super::{format, load, output};
use crate::manager::{coming, schedule};
use crate::model::{AppRow, RunStatus, Timestamp};
use crate::store::{OpenMode, OperatorStore};
use crate::wire;

pub(super) fn next(session: &Session, args: &NextArgs) -> Result<(), Error> {
    let store = session.store(OpenMode::Existing)?;
    block_on(async {
        let selectors: Vec<_> = args.selector.iter().cloned().collect();
        let apps = Fleet::meant(store.as_ref(), &selectors).await?;
        if args.load {
            return load::show(session, store.as_ref(), &apps, args.selector.as_ref()).await;
        }
        let now = store.time().await?;
        let mut times: Vec<_> =
            apps.iter().flat_map(|row| due(row, args.count, now).map(move |time| (time, row))).collect();
        times.sort_by(|(a, row_a), (b, row_b)| a.cmp(b).then_with(|| row_a.app.path.cmp(&row_b.app.path)));
        if session.json {
            let rows: Vec<_> = times
                .iter()
                .map(|(time, row)| {
                    json!({ "path": row.app.path.to_string(), "next_run": wire::time(Some(*time)), "disable": row.app.disabled })
                })
                .collect();
            output::json(&json!(rows));
            return Ok(());
        }
        let rows: Vec<_> = times
            .iter()
            .map(|(time, row)| {
                let relative = if *time < now { "due".to_owned() } else { format::relative(*time, now) };
                vec![format::time(Some(*time), now), relative, row.app.path.to_string(), describe(row)]
            })
            .collect();
        output::table(&["TIME", "IN", "APP", "SCHEDULE"], &rows);
        let waiting = apps.iter().filter(|row| is_unplanned(row)).count();
        if waiting > 0 {
            output::message(format_args!(
                "{waiting} more apps have an interval and no next time yet: a manager sets it when it looks at them"
            ));
        }
        Ok(())
    })
}

/// The next time, and for calendar schedules those after it.
fn due(row: &AppRow, count: u32, now: Timestamp) -> impl Iterator<Item = Timestamp> {
    let mut times = Vec::new();
    // Until a manager has looked at the app, its calendar says when it will be due.
    let jitter = schedule::jitter(&row.app.schedule, row.app.id);
    let planned = match row.next_run {
        Some(_) => coming::coming_of(row, now),
        None => slot_after(row, now).map(|slot| slot + jitter),
    };
    // What runs always has no times.
    if let Some(first) = planned.filter(|_| !row.is_suspended() && !row.app.schedule.always) {
        times.push(first);
        if let Some(cron) = &row.app.schedule.cron {
            let mut slot = first - jitter;
            while times.len() < count as usize {
                match schedule::next_slot(cron, row.app.schedule.time_zone, slot) {
                    Some(following) => slot = following,
                    None => break,
                }
                times.push(slot + jitter);
            }
        }
    }
    times.into_iter()
}

fn slot_after(row: &AppRow, after: Timestamp) -> Option<Timestamp> {
    schedule::next_slot(row.app.schedule.cron.as_ref()?, row.app.schedule.time_zone, after)
}

/// The zone of a time without a zone that SQL writes to `next_run`.
pub(super) fn zone_of_sql(store: &dyn OperatorStore, row: &AppRow) -> &'static str {
    coming::zone_of_sql(row, store.capabilities().has_session_zone)
}

/// Whether a manager has yet to say when the app is due.
fn is_unplanned(row: &AppRow) -> bool {
    let schedule = &row.app.schedule;
    schedule.interval.is_some()
        && schedule.cron.is_none()
        && row.next_run.is_none()
        && !row.is_suspended()
        && row.state.status != RunStatus::Running
}

/// The schedule of an app in words.
pub(super) fn describe(row: &AppRow) -> String {
    let schedule = &row.app.schedule;
    let mut parts = Vec::new();
    if let Some(cron) = &schedule.cron {
        parts.push(format!("{cron} {}", schedule.time_zone));
        parts.extend(schedule.interval.map(|interval| match schedule.retry_interval {
            None => format!("interval {interval} min only after failed runs"),
            Some(_) => format!("interval {interval} min not used"),
        }));
    } else if let Some(interval) = schedule.interval {
        parts.push(format!("{interval} min after each run"));
    }
    if let Some(retry) = schedule.retry_interval {
        parts.push(format!("retry after {retry} min"));
    }
    if schedule.always {
        return "always".to_owned();
    }
    if parts.is_empty() { "on command".to_owned() } else { parts.join(", ") }
}
