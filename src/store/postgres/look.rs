//! Looking back on the server: runs, skipped times, alerts, the ledger.

use std::collections::BTreeSet;

use sqlx::{PgConnection, Row as _};

use super::commit::{milliseconds, text};
use super::connection::{Fault, composed, statement};
use super::{first_column, valid};
use crate::model::{
    AlertId, AlertKind, AlertRow, AppId, CommandRow, Outcome, Run, Severity, Skip, Timestamp,
};
use crate::store::rows;
use crate::store::{
    ALERT_OWNER, AlertNote, AlertQuery, AlertsOf, HistoryQuery, LedgerQuery, RunLength, SkipQuery,
};

/// The runs of a window. Runs of one app do not overlap: of those before only the last can still
/// have gone on.
const SINCE: &str = "id IN (SELECT id FROM runtime WHERE app_id = ANY($3) AND start_time >= $5 \
    UNION ALL SELECT earlier.id FROM unnest($3) AS asked (app) CROSS JOIN LATERAL \
        (SELECT id, end_time FROM runtime WHERE app_id = asked.app AND start_time < $5 \
            ORDER BY start_time DESC LIMIT 1) AS earlier \
        WHERE earlier.end_time IS NULL OR earlier.end_time >= $5)";

const OF_APPS: &str = "(cardinality($3) = 0 OR app_id = ANY($3)) AND $5::timestamptz IS NULL";

/// Of one app: along its own index. An app that has not run for long would be looked for in the runs of all others.
const OF_ONE_APP: &str = "app_id = ($3::text[])[1] AND $5::timestamptz IS NULL";

fn words(apps: &[AppId]) -> Vec<String> {
    apps.iter().map(ToString::to_string).collect()
}

pub(super) async fn history(connection: &mut PgConnection, query: &HistoryQuery) -> Result<Vec<Run>, Fault> {
    let found = composed(format!(
        "SELECT {} FROM runtime WHERE ($1 IS NULL OR runtime = $1) AND ($2 IS NULL OR start_time < $2) \
         AND {} ORDER BY start_time DESC, id DESC LIMIT $4",
        rows::RUN_COLUMNS,
        match (query.since, query.apps.len()) {
            (Some(_), _) => SINCE,
            (None, 1) => OF_ONE_APP,
            (None, _) => OF_APPS,
        },
    ))
    .bind(query.run.map(|run| run.to_string()))
    .bind(query.before.map(milliseconds))
    .bind(words(&query.apps))
    .bind(i64::from(query.limit))
    .bind(query.since.map(milliseconds))
    .fetch_all(connection)
    .await?;
    Ok(valid(&found, rows::run)?)
}

pub(super) async fn begun_since(connection: &mut PgConnection, moment: Timestamp) -> Result<u64, Fault> {
    let row = statement("SELECT count(*) AS begun FROM runtime WHERE start_time > $1")
        .bind(milliseconds(moment))
        .fetch_one(connection)
        .await?;
    Ok(u64::try_from(row.try_get::<i64, _>("begun")?).unwrap_or(0))
}

pub(super) async fn good_runs(
    connection: &mut PgConnection,
    apps: &[AppId],
    of_each: u32,
) -> Result<Vec<RunLength>, Fault> {
    // Along the index of each app: what is older than its latest runs is not looked at.
    let found = statement(
        "SELECT run.app_id, run.start_time, run.end_time FROM unnest($1::text[]) AS asked (app) \
         CROSS JOIN LATERAL (SELECT app_id, start_time, end_time, outcome FROM runtime \
            WHERE app_id = asked.app ORDER BY start_time DESC LIMIT $2) AS run \
         WHERE run.outcome = $3 AND run.end_time IS NOT NULL",
    )
    .bind(words(apps))
    .bind(i64::from(of_each))
    .bind(Outcome::Ok.word())
    .fetch_all(connection)
    .await?;
    Ok(valid(&found, rows::run_length)?)
}

pub(super) async fn skips(connection: &mut PgConnection, query: &SkipQuery) -> Result<Vec<Skip>, Fault> {
    let found = statement(
        "SELECT * FROM skips WHERE app_id = ANY($1) AND ($2 IS NULL OR last_due >= $2) \
         AND ($3 IS NULL OR first_due < $3) ORDER BY recorded DESC, first_due DESC LIMIT $4",
    )
    .bind(words(&query.apps))
    .bind(query.since.map(milliseconds))
    .bind(query.before.map(milliseconds))
    .bind(i64::from(query.limit))
    .fetch_all(connection)
    .await?;
    Ok(valid(&found, rows::skip)?)
}

pub(super) async fn alerts(
    connection: &mut PgConnection,
    query: &AlertQuery,
) -> Result<Vec<AlertRow>, Fault> {
    let (apps, ids) = match &query.of {
        AlertsOf::All | AlertsOf::Fleet => (None, None),
        AlertsOf::Apps(apps) => (Some(apps.iter().map(ToString::to_string).collect::<Vec<_>>()), None),
        AlertsOf::These(ids) => (None, Some(ids.iter().map(|id| id.0).collect::<Vec<_>>())),
    };
    let severities = query.severity.map(|least| {
        let severities = Severity::ALL.iter().filter(|severity| **severity >= least);
        severities.map(|severity| severity.word()).collect::<Vec<_>>()
    });
    let found = composed(format!(
        "SELECT *, {ALERT_OWNER} FROM alerts WHERE ($1::text[] IS NULL OR app_id = ANY($1)) AND (NOT $2 OR closed IS NULL) \
         AND ($3 IS NULL OR id < $3) AND ($5::bigint[] IS NULL OR id = ANY($5)) AND (NOT $6 OR app_id IS NULL) \
         AND ($7::timestamptz IS NULL OR last_seen >= $7) AND ($8::text[] IS NULL OR severity = ANY($8)) \
         ORDER BY id DESC LIMIT $4"
    ))
    .bind(apps)
    .bind(query.open_only)
    .bind(query.before.map(|id| id.0))
    .bind(i64::from(query.limit))
    .bind(ids)
    .bind(query.of == AlertsOf::Fleet)
    .bind(query.since.map(milliseconds))
    .bind(severities)
    .fetch_all(connection)
    .await?;
    Ok(valid(&found, rows::alert)?)
}

/// The apps about which an alert of this kind is open.
pub(super) async fn open_alerts(
    connection: &mut PgConnection,
    kind: AlertKind,
) -> Result<BTreeSet<AppId>, Fault> {
    let found =
        statement("SELECT app_id FROM alerts WHERE closed IS NULL AND kind = $1 AND app_id IS NOT NULL")
            .bind(kind.word())
            .fetch_all(connection)
            .await?;
    let apps: Vec<&str> = first_column(&found)?;
    Ok(apps.iter().filter_map(|app| app.parse().ok()).collect())
}

pub(super) async fn note_alerts(
    connection: &mut PgConnection,
    alerts: &[AlertId],
    note: &AlertNote,
) -> Result<(), Fault> {
    let ids: Vec<_> = alerts.iter().map(|id| id.0).collect();
    let change = match note {
        AlertNote::Acknowledged { by, at } => {
            statement("UPDATE alerts SET acknowledged = $2, acknowledged_by = $3 WHERE id = ANY($1) AND closed IS NULL")
                .bind(ids)
                .bind(milliseconds(*at))
                .bind(text(by))
        }
        AlertNote::Unacknowledged => statement(
            "UPDATE alerts SET acknowledged = NULL, acknowledged_by = NULL WHERE id = ANY($1) AND closed IS NULL",
        )
        .bind(ids),
        AlertNote::Muted(until) => {
            statement("UPDATE alerts SET muted_until = $2 WHERE id = ANY($1) AND closed IS NULL")
                .bind(ids)
                .bind(until.map(milliseconds))
        }
    };
    change.execute(connection).await?;
    Ok(())
}

pub(super) async fn ledger(
    connection: &mut PgConnection,
    query: &LedgerQuery,
) -> Result<Vec<CommandRow>, Fault> {
    let found = composed(format!(
        "SELECT {} FROM commands WHERE ($1 IS NULL OR app_id = $1) \
         AND ($2 IS NULL OR strpos(lower(cmd_by), lower($2)) > 0) AND ($3 IS NULL OR cmd_name = $3) \
         AND ($4 IS NULL OR cmd_time >= $4) AND ($5 IS NULL OR batch = $5) AND ($6 IS NULL OR id < $6) \
         ORDER BY id DESC LIMIT $7",
        rows::COMMAND_COLUMNS
    ))
    .bind(query.app.map(|app| app.to_string()))
    .bind(query.by.as_deref().map(text))
    .bind(query.name.map(crate::model::CmdName::code))
    .bind(query.since.map(milliseconds))
    .bind(query.batch.as_deref().map(text))
    .bind(query.before.map(|id| id.0))
    .bind(i64::from(query.limit))
    .fetch_all(connection)
    .await?;
    Ok(valid(&found, rows::command_row)?)
}
