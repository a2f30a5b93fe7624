//! Rows that other transactions hold. A commit writes about many apps: it takes the rows that it needs without waiting
//! for any, and leaves out the apps of those that it does not get.

use std::collections::BTreeMap;

use sqlx::{PgConnection, Row as _};

use super::connection::{Fault, statement};
use super::first_column;
use super::managers::AUTOMATIC;
use crate::model::{AppRef, Change, FleetAlertChange, Subject};
use crate::store::Held;

/// The rows that changes write to.
#[derive(Debug, Default)]
struct Needed {
    apps: Vec<String>,
    runs: Vec<String>,
    commands: Vec<i64>,
    /// The apps whose open alerts are written to.
    alerts: Vec<String>,
    /// Whether those about the fleet are.
    fleet: bool,
}

impl Needed {
    fn of(changes: &[Change]) -> Self {
        let mut needed = Self::default();
        for change in changes {
            let app = change.subject().app().map(|app| app.to_string());
            match change {
                Change::AlertOpened(_)
                | Change::FleetAlert(FleetAlertChange::Opened(_))
                | Change::Skipped(_) => continue,
                Change::FleetAlert(FleetAlertChange::Repeated(_) | FleetAlertChange::Closed(_)) => {
                    needed.fleet = true;
                }
                Change::AlertRepeated(_) | Change::AlertsClosed { .. } => {
                    needed.alerts.extend(app);
                    continue;
                }
                Change::RunStarted { run, .. }
                | Change::RunClosed { run, .. }
                | Change::RunNotFound { run, .. }
                | Change::Progress { run, .. }
                | Change::Used { run, .. } => {
                    needed.runs.push(run.to_string());
                }
                Change::CommandSettled { id, .. } => needed.commands.push(id.0),
                Change::RunOpened(_)
                | Change::App(_)
                | Change::AppNamed { .. }
                | Change::AppFault { .. }
                | Change::TimesIgnored { .. } => {}
            }
            needed.apps.extend(app);
        }
        needed
    }
}

/// Takes the rows that changes write to, until the transaction ends; what comes back are the apps of which another
/// transaction holds one.
pub(super) async fn take(connection: &mut PgConnection, changes: &[Change]) -> Result<Vec<Held>, Fault> {
    let needed = Needed::of(changes);
    let found = statement(
        "WITH own_apps AS MATERIALIZED (SELECT app FROM apps WHERE app = ANY($1) FOR NO KEY UPDATE SKIP LOCKED), \
         own_runs AS MATERIALIZED (SELECT runtime FROM runtime WHERE runtime = ANY($2) AND end_time IS NULL \
           FOR NO KEY UPDATE SKIP LOCKED), \
         own_commands AS MATERIALIZED (SELECT id FROM commands WHERE id = ANY($3) AND cmd_flag = 0 \
           FOR NO KEY UPDATE SKIP LOCKED), \
         own_alerts AS MATERIALIZED (SELECT id FROM alerts \
           WHERE (app_id = ANY($4) OR $5 AND app_id IS NULL) AND closed IS NULL \
           FOR NO KEY UPDATE SKIP LOCKED) \
         SELECT held.*, app_group || '/' || app_parent || '/' || app_name AS path FROM ( \
         SELECT 'apps' AS place, app AS app, xmax::text AS holder FROM apps \
           WHERE app = ANY($1) AND app NOT IN (SELECT app FROM own_apps) \
         UNION ALL SELECT 'runtime', app_id, xmax::text FROM runtime \
           WHERE runtime = ANY($2) AND end_time IS NULL AND runtime NOT IN (SELECT runtime FROM own_runs) \
         UNION ALL SELECT 'commands', app_id, xmax::text FROM commands \
           WHERE id = ANY($3) AND cmd_flag = 0 AND id NOT IN (SELECT id FROM own_commands) \
         UNION ALL SELECT 'alerts', app_id, xmax::text FROM alerts \
           WHERE (app_id = ANY($4) OR $5 AND app_id IS NULL) AND closed IS NULL \
             AND id NOT IN (SELECT id FROM own_alerts) \
         ) AS held LEFT JOIN apps ON apps.app = held.app",
    )
    .bind(&needed.apps)
    .bind(&needed.runs)
    .bind(&needed.commands)
    .bind(&needed.alerts)
    .bind(needed.fleet)
    .fetch_all(&mut *connection)
    .await?;
    let mut held = Vec::with_capacity(found.len());
    let mut holders = BTreeMap::new();
    for row in &found {
        let (place, app, holder): (&str, Option<&str>, &str) =
            (row.try_get("place")?, row.try_get("app")?, row.try_get("holder")?);
        if !holders.contains_key(holder) {
            holders.insert(holder.to_owned(), describe(connection, holder).await?);
        }
        let who = holders.get(holder).map_or("another transaction", String::as_str);
        let path: Option<&str> = row.try_get("path")?;
        let named = app.map(|app| (app, subject_of(app)));
        held.push(match named {
            Some((app, subject)) => {
                let why = format!(
                    "a row of {} in the table {place} is locked by {who}; until that transaction ends the app is not \
                     started and nothing is written about it",
                    path.unwrap_or(app)
                );
                Held { subject, why }
            }
            None => {
                let why = format!(
                    "a row of the fleet in the table {place} is locked by {who}; until that transaction ends nothing is \
                     written about the fleet"
                );
                Held { subject: Subject::Fleet, why }
            }
        });
    }
    Ok(held)
}

/// What a row that names this app is about.
fn subject_of(app: &str) -> Subject {
    AppRef::from(app).id().map_or(Subject::UnknownApp, Subject::App)
}

/// The apps that are to begin a run and that others take over when the lease of their manager is over, as it is.
pub(super) async fn without_lease(
    connection: &mut PgConnection,
    changes: &[Change],
    manager: &str,
) -> Result<Vec<Held>, Fault> {
    let opened = changes.iter().filter_map(|change| {
        if let Change::RunOpened(opening) = change { Some(opening.app.to_string()) } else { None }
    });
    let found = statement("SELECT app FROM apps WHERE app = ANY($1) AND failover = ANY($2)")
        .bind(opened.collect::<Vec<_>>())
        .bind(&AUTOMATIC[..])
        .fetch_all(&mut *connection)
        .await?;
    if found.is_empty() {
        return Ok(Vec::new());
    }
    let cause = seat(connection, manager).await?.unwrap_or_else(|| {
        "its row in the table managers was locked by another session, or the server answers too late"
            .to_owned()
    });
    let why =
        format!("the lease of its manager is over and cannot be renewed, so it is not started: {cause}");
    let held = |app: &str| Held { subject: subject_of(app), why: why.clone() };
    Ok(first_column::<&str>(&found)?.into_iter().map(held).collect())
}

/// Who holds the row of a manager, without which its lease cannot be renewed.
pub(super) async fn seat(connection: &mut PgConnection, manager: &str) -> Result<Option<String>, Fault> {
    let row = statement("SELECT xmax::text AS holder FROM managers WHERE name = $1")
        .bind(manager)
        .fetch_optional(&mut *connection)
        .await?;
    let Some(row) = row else { return Ok(None) };
    // The number of a transaction that is over may stand there as well.
    let who = holder(connection, row.try_get("holder")?).await?;
    Ok(who.map(|who| format!("the row of {manager} in the table managers is locked by {who}")))
}

/// Who holds a row, by the number of the transaction that stands in it.
async fn describe(connection: &mut PgConnection, transaction: &str) -> Result<String, Fault> {
    Ok(holder(connection, transaction).await?.unwrap_or_else(|| "another transaction".to_owned()))
}

/// The session of a transaction, while that is open and its session is known.
async fn holder(connection: &mut PgConnection, transaction: &str) -> Result<Option<String>, Fault> {
    let found = statement(
        "SELECT pid, coalesce(usename::text, '?') AS login, coalesce(application_name, '') AS program, \
           coalesce(client_addr::text, '') AS address, to_char(xact_start, 'YYYY-MM-DD HH24:MI:SS TZ') AS since \
         FROM pg_locks JOIN pg_stat_activity USING (pid) \
         WHERE locktype = 'transactionid' AND granted AND transactionid::text = $1 LIMIT 1",
    )
    .bind(transaction)
    .fetch_optional(connection)
    .await?;
    let Some(row) = found else { return Ok(None) };
    let (pid, login): (i32, String) = (row.try_get("pid")?, row.try_get("login")?);
    let (program, address): (String, String) = (row.try_get("program")?, row.try_get("address")?);
    let since: Option<String> = row.try_get("since")?;
    let mut words = format!("the session of {login}, pid {pid}");
    for (before, word) in [(" ", program), (" from ", address), (" since ", since.unwrap_or_default())] {
        if !word.is_empty() {
            words.push_str(before);
            words.push_str(&word);
        }
    }
    Ok(Some(format!("{words} (SELECT pg_terminate_backend({pid}) ends it)")))
}
