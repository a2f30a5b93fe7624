//! Looking back in the embedded database: runs, skipped times, alerts, the ledger.

use std::collections::BTreeSet;

use rusqlite::types::Value;
use rusqlite::{Connection, TransactionBehavior, params, params_from_iter};

use super::connection::translate;
use super::{collect, collect_valid};
use crate::model::{
    AlertId, AlertKind, AlertRow, AppId, CmdName, CommandRow, Outcome, Run, Severity, Skip, Timestamp,
    format_timestamp,
};
use crate::store::row_reader::RowReader as _;
use crate::store::rows;
use crate::store::{
    ALERT_OWNER, AlertNote, AlertQuery, AlertsOf, HistoryQuery, LedgerQuery, RunLength, SkipQuery, StoreError,
};

/// The columns of the ledger that are shown.
pub(super) const COMMAND_COLUMNS: &str =
    "id, app_id, cmd_name, cmd_flag, cmd_by, cmd_source, cmd_time, cmd_exec, reason, batch, note";

/// Conditions that are put together as they are asked for.
struct Conditions {
    sql: String,
    values: Vec<Value>,
}

impl Conditions {
    fn of(select: String) -> Self {
        Self { sql: format!("{select} WHERE 1"), values: Vec::new() }
    }

    /// Adds a condition with one `?`, if there is a value for it.
    fn and(mut self, condition: &str, value: Option<impl Into<Value>>) -> Self {
        if let Some(value) = value {
            self.sql.push_str(" AND ");
            self.sql.push_str(condition);
            self.values.push(value.into());
        }
        self
    }

    fn all<T>(
        self,
        connection: &Connection,
        order: &str,
        limit: u32,
        read: impl FnMut(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, StoreError> {
        let sql = format!("{} ORDER BY {order} LIMIT {limit}", self.sql);
        collect_valid(connection, &sql, params_from_iter(self.values), read)
    }
}

fn moment(time: Option<Timestamp>) -> Option<String> {
    time.map(format_timestamp)
}

/// A JSON array is one parameter, however many apps are asked for.
fn array(apps: &[AppId]) -> String {
    apps.iter().map(ToString::to_string).collect::<serde_json::Value>().to_string()
}

pub(super) fn history(connection: &Connection, query: &HistoryQuery) -> Result<Vec<Run>, StoreError> {
    let apps = (!query.apps.is_empty() || query.since.is_some()).then(|| array(&query.apps));
    let mut conditions = Conditions::of(format!("SELECT {} FROM runtime", rows::RUN_COLUMNS))
        .and("runtime = ?", query.run.map(|run| run.to_string()))
        .and("start_time < ?", moment(query.before));
    if let (Some(since), Some(apps)) = (moment(query.since), &apps) {
        // Runs of one app do not overlap: of those before only the last can still have gone on.
        conditions.sql.push_str(
            " AND rowid IN (SELECT begun.rowid FROM json_each(?) AS asked \
                JOIN runtime AS begun ON begun.app_id = asked.value AND begun.start_time >= ? \
              UNION ALL SELECT going.rowid FROM json_each(?) AS asked \
                JOIN runtime AS going ON going.rowid = (SELECT earlier.rowid FROM runtime AS earlier \
                    WHERE earlier.app_id = asked.value AND earlier.start_time < ? \
                    ORDER BY earlier.start_time DESC LIMIT 1) \
                WHERE going.end_time IS NULL OR going.end_time >= ?)",
        );
        let values = [apps, &since, apps, &since, &since];
        conditions.values.extend(values.map(|value| Value::from(value.clone())));
    } else if let [app] = query.apps.as_slice() {
        // Along the index of the app: in the runs of all others one that has not run for long is not found soon.
        conditions = conditions.and("app_id = ?", Some(app.to_string()));
    } else {
        conditions = conditions.and("app_id IN (SELECT value FROM json_each(?))", apps);
    }
    conditions.all(connection, "start_time DESC, rowid DESC", query.limit, |row| rows::run(row))
}

pub(super) fn begun_since(connection: &Connection, moment: Timestamp) -> Result<u64, StoreError> {
    let sql = "SELECT count(*) FROM runtime WHERE start_time > ?1";
    let counted = connection.prepare_cached(sql).and_then(|mut statement| {
        statement.query_row([format_timestamp(moment)], |row| row.get::<_, i64>(0))
    });
    counted.map(|begun| u64::try_from(begun).unwrap_or(0)).map_err(|error| translate(&error))
}

pub(super) fn good_runs(
    connection: &Connection,
    apps: &[AppId],
    of_each: u32,
) -> Result<Vec<RunLength>, StoreError> {
    // Along the index of each app: what is older than its latest runs is not looked at.
    let sql = "SELECT run.app_id, run.start_time, run.end_time FROM json_each(?1) AS asked \
         JOIN runtime AS run ON run.rowid IN (SELECT late.rowid FROM runtime AS late \
            WHERE late.app_id = asked.value ORDER BY late.start_time DESC LIMIT ?2) \
         WHERE run.outcome = ?3 AND run.end_time IS NOT NULL";
    let values = params![array(apps), of_each, Outcome::Ok.word()];
    collect_valid(connection, sql, values, |row| rows::run_length(row))
}

pub(super) fn skips(connection: &Connection, query: &SkipQuery) -> Result<Vec<Skip>, StoreError> {
    Conditions::of("SELECT * FROM skips".to_owned())
        .and("app_id IN (SELECT value FROM json_each(?))", Some(array(&query.apps)))
        .and("last_due >= ?", moment(query.since))
        .and("first_due < ?", moment(query.before))
        .all(connection, "recorded DESC, first_due DESC", query.limit, |row| rows::skip(row))
}

pub(super) fn alerts(connection: &Connection, query: &AlertQuery) -> Result<Vec<AlertRow>, StoreError> {
    let (apps, ids) = match &query.of {
        AlertsOf::All | AlertsOf::Fleet => (None, None),
        AlertsOf::Apps(apps) => (Some(array(apps)), None),
        AlertsOf::These(ids) => {
            let ids: serde_json::Value = ids.iter().map(|id| id.0).collect();
            (None, Some(ids.to_string()))
        }
    };
    let (open, fleet) = (query.open_only.then_some(0_i64), (query.of == AlertsOf::Fleet).then_some(0_i64));
    Conditions::of(format!("SELECT *, {ALERT_OWNER} FROM alerts"))
        .and("app_id IN (SELECT value FROM json_each(?))", apps)
        .and("id IN (SELECT value FROM json_each(?))", ids)
        .and("(app_id IS NULL OR ? > 0)", fleet)
        .and("(closed IS NULL OR ? > 0)", open)
        .and("last_seen >= ?", moment(query.since))
        .and("severity IN (SELECT value FROM json_each(?))", query.severity.map(words_from))
        .and("id < ?", query.before.map(|id| id.0))
        .all(connection, "id DESC", query.limit, |row| rows::alert(row))
}

/// The words of these severities and of worse ones, as JSON.
fn words_from(least: Severity) -> String {
    let words = Severity::ALL.iter().filter(|severity| **severity >= least).map(|severity| severity.word());
    words.collect::<serde_json::Value>().to_string()
}

/// The apps about which an alert of this kind is open.
pub(super) fn open_alerts(connection: &Connection, kind: AlertKind) -> Result<BTreeSet<AppId>, StoreError> {
    let sql = "SELECT app_id FROM alerts WHERE closed IS NULL AND kind = ?1";
    let apps = collect(connection, sql, [kind.word()], |row| row.sure_owned(0))?;
    Ok(apps.iter().filter_map(|app| app.parse().ok()).collect())
}

pub(super) fn note_alerts(
    connection: &mut Connection,
    alerts: &[AlertId],
    note: &AlertNote,
) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for id in alerts.iter().map(|id| id.0) {
        match note {
            AlertNote::Acknowledged { by, at } => transaction.execute(
                "UPDATE alerts SET acknowledged = ?2, acknowledged_by = ?3 WHERE id = ?1 AND closed IS NULL",
                params![id, format_timestamp(*at), by],
            )?,
            AlertNote::Unacknowledged => transaction.execute(
                "UPDATE alerts SET acknowledged = NULL, acknowledged_by = NULL WHERE id = ?1 AND closed IS NULL",
                [id],
            )?,
            AlertNote::Muted(until) => transaction.execute(
                "UPDATE alerts SET muted_until = ?2 WHERE id = ?1 AND closed IS NULL",
                params![id, moment(*until)],
            )?,
        };
    }
    transaction.commit()
}

pub(super) fn ledger(connection: &Connection, query: &LedgerQuery) -> Result<Vec<CommandRow>, StoreError> {
    Conditions::of(format!("SELECT {COMMAND_COLUMNS} FROM commands"))
        .and("app_id = ?", query.app.map(|app| app.to_string()))
        .and("instr(lower(cmd_by), lower(?)) > 0", query.by.clone())
        .and("cmd_name = ?", query.name.map(CmdName::code))
        .and("cmd_time >= ?", moment(query.since))
        .and("batch = ?", query.batch.clone())
        .and("id < ?", query.before.map(|id| id.0))
        .all(connection, "id DESC", query.limit, |row| rows::command_row(row))
}
