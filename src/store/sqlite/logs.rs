//! The ends of logs in the embedded database.

use rusqlite::{Connection, params};

use super::collect_valid;
use super::connection::translate;
use crate::model::{AppId, KeptLog, RunId};
use crate::store::rights::{KEPT_LOGS_FOR, KEPT_LOGS_MAX};
use crate::store::row_reader::RowReader as _;
use crate::store::rows;
use crate::store::{LOG_WISH, StoreError};

/// The clock of the database, moved by so many seconds.
const MOMENT: &str = "strftime('%Y-%m-%dT%H:%M:%fZ', 'now', ?1 || ' seconds')";

pub(super) fn want(connection: &Connection, app: AppId) -> Result<(), StoreError> {
    let sql = format!(
        "INSERT INTO log_wishes (app_id, until) SELECT app, {MOMENT} FROM apps WHERE app = ?2 \
         ON CONFLICT (app_id) DO UPDATE SET until = excluded.until"
    );
    let values = params![LOG_WISH.num_seconds(), app.to_string()];
    connection.execute(&sql, values).map_err(|error| translate(&error))?;
    Ok(())
}

pub(super) fn wanted(connection: &Connection, manager: &str) -> Result<Vec<AppId>, StoreError> {
    let sql = format!(
        "SELECT app FROM log_wishes JOIN apps ON app = app_id WHERE until > {MOMENT} AND manager = ?2 ORDER BY app"
    );
    let found = collect_valid(connection, &sql, params![0, manager], |row| row.sure_owned(0))?;
    Ok(found.iter().filter_map(|app| app.parse().ok()).collect())
}

pub(super) fn keep(connection: &mut Connection, log: &KeptLog) -> Result<(), StoreError> {
    let mut keep = || {
        let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        transaction.execute(
            &format!(
                "INSERT OR REPLACE INTO log_tails (runtime, app_id, manager, bytes, written) \
                 VALUES (?2, ?3, ?4, ?5, {MOMENT})"
            ),
            params![0, log.run.to_string(), log.app.to_string(), log.manager, log.bytes],
        )?;
        transaction.execute(
            &format!(
                "DELETE FROM log_tails WHERE written < {MOMENT} OR runtime IN \
                 (SELECT runtime FROM log_tails ORDER BY written DESC, rowid DESC LIMIT -1 OFFSET ?2)"
            ),
            params![-KEPT_LOGS_FOR.num_seconds(), KEPT_LOGS_MAX],
        )?;
        transaction.execute(&format!("DELETE FROM log_wishes WHERE until < {MOMENT}"), [-3600])?;
        transaction.commit()
    };
    keep().map_err(|error: rusqlite::Error| translate(&error))
}

pub(super) fn kept(
    connection: &Connection,
    app: AppId,
    run: Option<RunId>,
) -> Result<Option<KeptLog>, StoreError> {
    let sql = "SELECT runtime, app_id, manager, bytes, written FROM log_tails \
         WHERE app_id = ?1 AND (?2 IS NULL OR runtime = ?2) ORDER BY written DESC, rowid DESC LIMIT 1";
    let values = params![app.to_string(), run.map(|run| run.to_string())];
    Ok(collect_valid(connection, sql, values, |row| rows::kept_log(row))?.pop())
}
