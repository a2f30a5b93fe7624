//! The ends of logs on the server.

use sqlx::PgConnection;

use super::commit::text;
use super::connection::{Fault, statement};
use super::{first_column, valid};
use crate::model::{AppId, KeptLog, RunId};
use crate::store::rights::{KEPT_LOGS_FOR, KEPT_LOGS_MAX};
use crate::store::rows;

pub(super) async fn want(connection: &mut PgConnection, app: AppId) -> Result<(), Fault> {
    statement("SELECT dcm_want_log($1)").bind(app.to_string()).execute(connection).await?;
    Ok(())
}

pub(super) async fn wanted(connection: &mut PgConnection, manager: &str) -> Result<Vec<AppId>, Fault> {
    let found = statement(
        "SELECT app FROM log_wishes JOIN apps ON app = app_id \
         WHERE until > clock_timestamp() AND manager = $1 ORDER BY app",
    )
    .bind(text(manager))
    .fetch_all(connection)
    .await?;
    let found: Vec<&str> = first_column(&found)?;
    Ok(found.iter().filter_map(|app| app.parse().ok()).collect())
}

pub(super) async fn keep(connection: &mut PgConnection, log: &KeptLog) -> Result<(), Fault> {
    statement(
        "INSERT INTO log_tails (runtime, app_id, manager, bytes, written) VALUES ($1, $2, $3, $4, clock_timestamp()) \
         ON CONFLICT (runtime) DO UPDATE SET app_id = excluded.app_id, manager = excluded.manager, \
         bytes = excluded.bytes, written = excluded.written",
    )
    .bind(log.run.to_string())
    .bind(log.app.to_string())
    .bind(text(&log.manager))
    .bind(&log.bytes)
    .execute(&mut *connection)
    .await?;
    // Two managers may clear away at the same time: what one has in hand the other leaves alone.
    statement(
        "DELETE FROM log_tails WHERE runtime IN (SELECT runtime FROM log_tails WHERE written < clock_timestamp() - $1 \
           OR runtime IN (SELECT runtime FROM log_tails ORDER BY written DESC OFFSET $2) FOR UPDATE SKIP LOCKED)",
    )
    .bind(KEPT_LOGS_FOR)
    .bind(i64::from(KEPT_LOGS_MAX))
    .execute(&mut *connection)
    .await?;
    statement(
        "DELETE FROM log_wishes WHERE app_id IN \
         (SELECT app_id FROM log_wishes WHERE until < clock_timestamp() - interval '1 hour' FOR UPDATE SKIP LOCKED)",
    )
    .execute(connection)
    .await?;
    Ok(())
}

pub(super) async fn kept(
    connection: &mut PgConnection,
    app: AppId,
    run: Option<RunId>,
) -> Result<Option<KeptLog>, Fault> {
    let found = statement(
        "SELECT runtime, app_id, manager, bytes, written FROM log_tails \
         WHERE app_id = $1 AND ($2 IS NULL OR runtime = $2) ORDER BY written DESC LIMIT 1",
    )
    .bind(app.to_string())
    .bind(run.map(|run| run.to_string()))
    .fetch_all(connection)
    .await?;
    Ok(valid(&found, rows::kept_log)?.pop())
}
