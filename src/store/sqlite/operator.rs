//! What consoles and the command line ask of the embedded database.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior, params, params_from_iter};
use tokio::sync::watch;

use super::connection::translate;
use super::{SqliteStore, collect, collect_valid, facts, logs, look, reader, rename};
use crate::model::settings::settings;
use crate::model::{
    AlertId, AlertRow, AppId, AppPath, Command, CommandId, CommandRow, Delta, KeptLog, Limits, ManagerRow,
    NewCommand, Part, Registered, Released, Revision, Run, RunId, Skip, Timestamp, format_timestamp,
    parse_timestamp,
};
use crate::store::row_reader::RowReader as _;
use crate::store::rows;
use crate::store::{
    AlertNote, AlertQuery, Capabilities, DatabaseFacts, Existing, HistoryQuery, LedgerQuery, OperatorStore,
    PAGE, Registration, Rights, RunLength, SkipQuery, StoreError, exists, no_such_manager, running,
};

/// Rows of the apps table after `revision`.
pub(super) fn delta(connection: &mut Connection, revision: Revision) -> Result<Delta, StoreError> {
    let transaction = connection.transaction().map_err(|error| translate(&error))?;
    let sql = format!(
        "SELECT {} FROM apps WHERE revision > ?1 ORDER BY revision LIMIT {PAGE}",
        rows::app_columns()
    );
    let rows = collect(&transaction, &sql, [revision.0], |row| rows::registered(row))?;
    let more = rows.len() == PAGE;
    // With more to come, only what was read counts as seen.
    let seen = rows.last().filter(|_| more).map(Registered::revision);
    let removed = collect(
        &transaction,
        "SELECT app FROM removed_apps WHERE revision > ?1 ORDER BY revision",
        [revision.0],
        |row| row.sure_owned(0),
    )?;
    let removed: Vec<AppId> = removed.iter().filter_map(|app| app.parse().ok()).collect();
    let mut replaced = Vec::new();
    for app in &removed {
        if find(&transaction, *app)?.is_some() {
            replaced.push(*app);
        }
    }
    Ok(Delta {
        rows,
        removed,
        replaced,
        revision: match seen {
            Some(revision) => revision,
            None => self::revision(&transaction)?,
        },
        more,
    })
}

pub(super) fn revision(connection: &Connection) -> Result<Revision, StoreError> {
    connection
        .query_row("SELECT value FROM revision", [], |row| row.get(0).map(Revision))
        .map_err(|error| translate(&error))
}

pub(super) fn pending(connection: &Connection, handed: &[CommandId]) -> Result<Vec<Command>, StoreError> {
    let handed: serde_json::Value = handed.iter().map(|id| id.0).collect();
    collect_valid(
        connection,
        "SELECT id, app_id, cmd_name, cmd_args, cmd_by, cmd_time, expires FROM commands \
         WHERE cmd_flag = 0 AND id NOT IN (SELECT value FROM json_each(?1)) ORDER BY id",
        [handed.to_string()],
        |row| rows::command(row),
    )
}

pub(super) fn limits(connection: &Connection, seat: Option<&str>) -> Result<Limits, StoreError> {
    let part =
        |row: &rusqlite::Row<'_>, column: usize| row.sure_text(column).map(|text| Part::new(&text).ok());
    let limit =
        |row: &rusqlite::Row<'_>, column: usize| row.small(column).map(|limit| limit.unwrap_or(u32::MAX));
    let groups = collect(
        connection,
        "SELECT app_group, max_running FROM app_groups WHERE max_running IS NOT NULL",
        [],
        |row| Ok((part(row, 0)?, limit(row, 1)?)),
    )?;
    let parents = collect(
        connection,
        "SELECT app_group, app_parent, max_running FROM app_parents WHERE max_running IS NOT NULL",
        [],
        |row| Ok((part(row, 0)?.zip(part(row, 1)?), limit(row, 2)?)),
    )?;
    let draining =
        collect(connection, "SELECT draining FROM managers WHERE name = ?1", [seat], |row| row.is_set(0))?;
    Ok(Limits {
        draining: draining.contains(&true),
        host: None,
        groups: groups
            .into_iter()
            .filter_map(|(group, limit)| Some((group?, limit)))
            .collect::<BTreeMap<_, _>>(),
        parents: parents.into_iter().filter_map(|(parent, limit)| Some((parent?, limit))).collect(),
    })
}

#[async_trait]
impl OperatorStore for SqliteStore {
    fn capabilities(&self) -> Capabilities {
        Capabilities::EMBEDDED
    }

    async fn changes_since(&self, revision: Revision) -> Result<Delta, StoreError> {
        self.reader.call(move |connection| delta(connection, revision)).await
    }

    async fn apps(&self, apps: Vec<AppId>) -> Result<Vec<Registered>, StoreError> {
        self.reader
            .call(move |connection| {
                let found = apps.iter().map(|app| find(connection, *app));
                Ok(found.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
            })
            .await
    }

    fn changed(&self) -> watch::Receiver<u64> {
        self.changed.clone()
    }

    async fn submit(&self, commands: Vec<NewCommand>) -> Result<Vec<CommandId>, StoreError> {
        self.writer
            .call(move |connection| submit(connection, &commands).map_err(|error| translate(&error)))
            .await
    }

    async fn commands(&self, ids: Vec<CommandId>) -> Result<Vec<CommandRow>, StoreError> {
        self.reader
            .call(move |connection| {
                let mut found = Vec::with_capacity(ids.len());
                let sql = format!("SELECT {} FROM commands WHERE id = ?1", look::COMMAND_COLUMNS);
                for id in ids {
                    found.extend(collect_valid(connection, &sql, [id.0], |row| rows::command_row(row))?);
                }
                Ok(found)
            })
            .await
    }

    async fn ledger(&self, query: LedgerQuery) -> Result<Vec<CommandRow>, StoreError> {
        self.reader.call(move |connection| look::ledger(connection, &query)).await
    }

    async fn history(&self, query: HistoryQuery) -> Result<Vec<Run>, StoreError> {
        self.reader.call(move |connection| look::history(connection, &query)).await
    }

    async fn begun_since(&self, moment: Timestamp) -> Result<u64, StoreError> {
        self.reader.call(move |connection| look::begun_since(connection, moment)).await
    }

    async fn good_runs(&self, apps: Vec<AppId>, of_each: u32) -> Result<Vec<RunLength>, StoreError> {
        self.reader.call(move |connection| look::good_runs(connection, &apps, of_each)).await
    }

    async fn skips(&self, query: SkipQuery) -> Result<Vec<Skip>, StoreError> {
        self.reader.call(move |connection| look::skips(connection, &query)).await
    }

    async fn alerts(&self, query: AlertQuery) -> Result<Vec<AlertRow>, StoreError> {
        self.reader.call(move |connection| look::alerts(connection, &query)).await
    }

    async fn note_alerts(&self, alerts: Vec<AlertId>, note: AlertNote) -> Result<(), StoreError> {
        self.writer
            .call(move |connection| {
                look::note_alerts(connection, &alerts, &note).map_err(|error| translate(&error))
            })
            .await
    }

    async fn managers(&self) -> Result<Vec<ManagerRow>, StoreError> {
        self.reader
            .call(|connection| {
                collect_valid(connection, "SELECT * FROM managers ORDER BY name", [], |row| {
                    rows::manager(row)
                })
            })
            .await
    }

    async fn drain(&self, name: &str, is_draining: bool) -> Result<Released, StoreError> {
        let name = name.to_owned();
        self.writer
            .call(move |connection| {
                let changed = connection
                    .execute("UPDATE managers SET draining = ?2 WHERE name = ?1", params![name, is_draining])
                    .map_err(|error| translate(&error))?;
                if changed == 0 { Err(no_such_manager(&name)) } else { Ok(Released::default()) }
            })
            .await
    }

    async fn limits(&self) -> Result<Limits, StoreError> {
        let seat = self.seat();
        self.reader.call(move |connection| limits(connection, seat.as_deref())).await
    }

    async fn register(&self, apps: Vec<Registration>) -> Result<(), StoreError> {
        self.writer.call(move |connection| register(connection, &apps)).await
    }

    async fn remove(&self, apps: Vec<AppId>) -> Result<(), StoreError> {
        self.writer.call(move |connection| remove(connection, &apps)).await
    }

    async fn rename(&self, from: AppPath, to: AppPath) -> Result<(), StoreError> {
        self.writer.call(move |connection| rename::rename(connection, &from, &to)).await
    }

    async fn set_limit(
        &self,
        group: Part,
        parent: Option<Part>,
        limit: Option<u32>,
    ) -> Result<(), StoreError> {
        self.writer
            .call(move |connection| {
                let (group, parent) = (group.as_str(), parent.as_ref().map(Part::as_str));
                let changed = match parent {
                    None => connection.execute(
                        "UPDATE app_groups SET max_running = ?2 WHERE app_group = ?1",
                        params![group, limit],
                    ),
                    Some(parent) => connection.execute(
                        "UPDATE app_parents SET max_running = ?3 WHERE app_group = ?1 AND app_parent = ?2",
                        params![group, parent, limit],
                    ),
                }
                .map_err(|error| translate(&error))?;
                if changed == 0 {
                    return Err(StoreError::Refused("no app is registered there".to_owned()));
                }
                Ok(())
            })
            .await
    }

    async fn time(&self) -> Result<Timestamp, StoreError> {
        self.reader
            .call(|connection| {
                let text: String = connection
                    .query_row("SELECT strftime('%Y-%m-%dT%H:%M:%fZ', 'now')", [], |row| row.get(0))
                    .map_err(|error| translate(&error))?;
                parse_timestamp(&text).map_err(|error| StoreError::Unavailable(error.to_string()))
            })
            .await
    }

    async fn rights(&self) -> Result<Rights, StoreError> {
        self.writer
            .call(|connection| {
                let is_readonly = connection.is_readonly("main").map_err(|error| translate(&error))?;
                let may = !is_readonly;
                Ok(Rights { submit: may, register: may, manage: may, see_env: true })
            })
            .await
    }

    async fn facts(&self) -> Result<DatabaseFacts, StoreError> {
        let path = self.path().to_owned();
        self.reader.call(move |connection| facts::read(connection, &path)).await
    }

    async fn want_log(&self, app: AppId) -> Result<(), StoreError> {
        self.writer.call(move |connection| logs::want(connection, app)).await
    }

    async fn kept_log(&self, app: AppId, run: Option<RunId>) -> Result<Option<KeptLog>, StoreError> {
        self.reader.call(move |connection| logs::kept(connection, app, run)).await
    }
}

fn submit(connection: &mut Connection, commands: &[NewCommand]) -> rusqlite::Result<Vec<CommandId>> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut ids = Vec::with_capacity(commands.len());
    for command in commands {
        let app = command.app.to_string();
        if command.batch.is_some() {
            let known = transaction
                .prepare_cached("SELECT id FROM commands WHERE batch = ?1 AND app_id = ?2 AND cmd_name = ?3")?
                .query_row(params![command.batch, app, command.name.code()], |row| row.get(0))
                .optional()?;
            if let Some(id) = known {
                ids.push(CommandId(id));
                continue;
            }
        }
        transaction
            .prepare_cached(
                "INSERT INTO commands (app_id, cmd_name, cmd_by, cmd_source, cmd_time, cmd_args, expires, batch, note) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            )?
            .execute(params![
                app,
                command.name.code(),
                command.by,
                command.source.word(),
                format_timestamp(command.time),
                command.args,
                command.expires.map(format_timestamp),
                command.batch,
                command.note,
            ])?;
        ids.push(CommandId(transaction.last_insert_rowid()));
    }
    transaction.commit()?;
    Ok(ids)
}

fn register(connection: &mut Connection, apps: &[Registration]) -> Result<(), StoreError> {
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(|error| translate(&error))?;
    for registration in apps {
        let app = &registration.app;
        let id = app.id.to_string();
        let known = transaction
            .prepare_cached(
                "SELECT id FROM apps WHERE app = ?1 OR (app_group = ?2 AND app_parent = ?3 AND app_name = ?4)",
            )
            .and_then(|mut statement| {
                let path = &app.path;
                let values = params![id, path.group.as_str(), path.parent.as_str(), path.name.as_str()];
                statement.query_row(values, |row| row.get::<_, i64>(0)).optional()
            })
            .map_err(|error| translate(&error))?;
        match (known, registration.existing) {
            (Some(_), Existing::Refuse) => return Err(exists(&app.path)),
            (Some(row), Existing::Replace) => define(&transaction, row, registration)?,
            (None, _) => {
                transaction
                    .execute(
                        "INSERT INTO apps (app, app_group, app_parent, app_name) VALUES (?1, ?2, ?3, ?4)",
                        params![
                            id,
                            app.path.group.as_str(),
                            app.path.parent.as_str(),
                            app.path.name.as_str()
                        ],
                    )
                    .map_err(|error| translate(&error))?;
                define(&transaction, transaction.last_insert_rowid(), registration)?;
            }
        }
    }
    transaction.commit().map_err(|error| translate(&error))
}

/// The apps that were deleted and are not there again.
pub(super) fn removed(connection: &Connection) -> Result<BTreeSet<AppId>, StoreError> {
    let sql = "SELECT app FROM removed_apps WHERE app NOT IN (SELECT app FROM apps WHERE app IS NOT NULL)";
    let apps = collect(connection, sql, [], |row| row.sure_owned(0))?;
    let mut removed = BTreeSet::new();
    for app in apps.iter().filter_map(|app| app.parse().ok()) {
        if find(connection, app)?.is_none() {
            removed.insert(app);
        }
    }
    Ok(removed)
}

/// The row of an app, also of one whose key is not filled in yet or is no key at all.
fn find(connection: &Connection, app: AppId) -> Result<Option<Registered>, StoreError> {
    let sql = format!("SELECT {} FROM apps WHERE app = ?1", rows::app_columns());
    if let Some(row) = collect(connection, &sql, [app.to_string()], |row| rows::registered(row))?.pop() {
        return Ok(Some(row));
    }
    let sql = format!("SELECT {} FROM apps WHERE app IS NULL OR length(app) <> 64", rows::app_columns());
    let rows = collect(connection, &sql, [], |row| rows::registered(row))?;
    Ok(rows.into_iter().find(|row| row.row().app.id == app))
}

fn define(connection: &Connection, row: i64, registration: &Registration) -> Result<(), StoreError> {
    let app = &registration.app;
    let assigned: Vec<_> =
        settings().zip(5..).map(|(setting, at)| format!(", {} = ?{at}", setting.column)).collect();
    let sql =
        format!("UPDATE apps SET app = ?2, disable = ?3, origin = ?4{} WHERE id = ?1", assigned.concat());
    let fixed: [rusqlite::types::Value; 4] =
        [row.into(), app.id.to_string().into(), app.disabled.into(), app.origin.clone().into()];
    let values = settings().map(|setting| reader::bound((setting.get)(app)));
    connection
        .prepare_cached(&sql)
        .and_then(|mut statement| statement.execute(params_from_iter(fixed.into_iter().chain(values))))
        .map_err(|error| translate(&error))?;
    if let Some(next_run) = registration.next_run {
        connection
            .execute(
                "UPDATE apps SET next_run = ?2 WHERE id = ?1",
                params![row, next_run.time().map(format_timestamp)],
            )
            .map_err(|error| translate(&error))?;
    }
    Ok(())
}

fn remove(connection: &mut Connection, apps: &[AppId]) -> Result<(), StoreError> {
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(|error| translate(&error))?;
    for id in apps {
        let Some(row) = find(&transaction, *id)? else { continue };
        let app = id.to_string();
        let is_running = transaction
            .prepare_cached("SELECT 1 FROM runtime WHERE app_id = ?1 AND end_time IS NULL")
            .and_then(|mut statement| statement.exists([&app]))
            .map_err(|error| translate(&error))?;
        if is_running {
            return Err(running(&row.row().app.path));
        }
        transaction
            .execute("DELETE FROM apps WHERE id = ?1", [row.row().row])
            .map_err(|error| translate(&error))?;
    }
    transaction.commit().map_err(|error| translate(&error))
}
