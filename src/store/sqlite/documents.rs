//! What operators ask and set about documents, of the embedded database.

use async_trait::async_trait;
use chrono::TimeDelta;
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior, params, params_from_iter};

use super::connection::translate;
use super::{SqliteStore, collect, collect_valid};
use crate::model::{
    DocumentRoute, FileEvent, PipelineTask, RouteId, StageCount, Target, TaskId, Timestamp, WatchRoot,
    format_timestamp,
};
use crate::store::document_rows as rows;
use crate::store::documents::{are_open, codes, limited, no_such_root, no_such_route, root_exists};
use crate::store::{Documents, EventQuery, StoreError, TaskQuery};

/// The conditions of a query, and their values.
#[derive(Default)]
struct Conditions {
    texts: Vec<String>,
    values: Vec<Value>,
}

impl Conditions {
    /// Adds a condition in which `{}` stands for the value.
    fn add(&mut self, text: &str, value: impl Into<Value>) {
        self.values.push(value.into());
        self.texts.push(text.replace("{}", &format!("?{}", self.values.len())));
    }

    /// Adds that a column is one of some numbers.
    fn add_numbers(&mut self, column: &str, numbers: &[i64]) {
        if !numbers.is_empty() {
            let list = serde_json::json!(numbers).to_string();
            self.add(&format!("{column} IN (SELECT value FROM json_each({{}}))"), list);
        }
    }

    fn sql(&self) -> String {
        if self.texts.is_empty() { String::new() } else { format!(" WHERE {}", self.texts.join(" AND ")) }
    }
}

fn events(connection: &Connection, query: &EventQuery) -> Result<Vec<FileEvent>, StoreError> {
    let mut conditions = Conditions::default();
    conditions.add_numbers("id", &query.ids.iter().map(|id| id.0).collect::<Vec<_>>());
    if let Some(root) = &query.root {
        conditions.add("root = {}", root.clone());
    }
    if let Some(topic) = &query.topic {
        conditions.add("topic = {}", topic.clone());
    }
    if let Some(path) = &query.path {
        conditions.add("instr(path, {}) > 0", path.clone());
    }
    if let Some(before) = query.before {
        conditions.add("id < {}", before.0);
    }
    let sql =
        format!("SELECT * FROM events{} ORDER BY id DESC LIMIT {}", conditions.sql(), limited(query.limit));
    collect_valid(connection, &sql, params_from_iter(conditions.values), |row| rows::event(row))
}

/// The conditions of a query for tasks. An index of open tasks is used where it may be.
fn task_conditions(query: &TaskQuery) -> Conditions {
    let mut conditions = Conditions::default();
    conditions.add_numbers("id", &query.ids.iter().map(|id| id.0).collect::<Vec<_>>());
    conditions.add_numbers("event_id", &query.events.iter().map(|id| id.0).collect::<Vec<_>>());
    if are_open(&query.statuses) {
        conditions.texts.push("status <> 3".to_owned());
    }
    conditions.add_numbers("status", &codes(&query.statuses));
    if let Some(stage) = &query.stage {
        conditions.add("stage = {}", stage.clone());
    }
    if let Some(topic) = &query.topic {
        conditions.add("topic = {}", topic.clone());
    }
    if let Some(path) = &query.path {
        conditions.add("instr(document, {}) > 0", path.clone());
    }
    if !query.globs.is_empty() {
        // A bracket has no meaning here, which it has to GLOB.
        let globs: Vec<_> = query.globs.iter().map(|glob| glob.replace('[', "[[]")).collect();
        let globs = serde_json::json!(globs).to_string();
        conditions.add("EXISTS (SELECT 1 FROM json_each({}) AS glob WHERE document GLOB glob.value)", globs);
    }
    if let Some(root) = &query.root {
        conditions.add("event_id IN (SELECT id FROM events WHERE root = {})", root.clone());
    }
    if let Some(group) = &query.app_group {
        conditions.add("event_id IN (SELECT id FROM events WHERE app_group = {})", group.clone());
    }
    if let Some(until) = query.until {
        conditions.add("finished <= {}", format_timestamp(until));
    }
    if let Some(before) = query.before {
        conditions.add("id < {}", before.0);
    }
    conditions
}

fn tasks(connection: &Connection, query: &TaskQuery) -> Result<Vec<PipelineTask>, StoreError> {
    let conditions = task_conditions(query);
    let sql = format!(
        "SELECT * FROM pipeline_task{} ORDER BY id DESC LIMIT {}",
        conditions.sql(),
        limited(query.limit)
    );
    collect_valid(connection, &sql, params_from_iter(conditions.values), |row| rows::task(row))
}

fn stages(connection: &Connection, since: Timestamp) -> Result<Vec<StageCount>, StoreError> {
    let mut stages = Vec::new();
    collect(
        connection,
        "SELECT stage, status, count(*) AS tasks, min(created) AS oldest, sum(attempts > 1) AS retries \
         FROM pipeline_task INDEXED BY pipeline_task_open WHERE status <> 3 GROUP BY stage, status",
        [],
        |row| rows::count_open(row, &mut stages),
    )?;
    let now: String = connection
        .query_row("SELECT strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-1 hour')", [], |row| row.get(0))
        .map_err(|error| translate(&error))?;
    collect(
        connection,
        "SELECT stage, count(*) AS tasks, avg((julianday(finished) - julianday(started)) * 86400.0) AS seconds \
         FROM pipeline_task INDEXED BY pipeline_task_finished \
         WHERE finished IS NOT NULL AND finished >= ?1 AND status = 3 GROUP BY stage",
        [now],
        |row| rows::count_done(row, &mut stages),
    )?;
    let since = rows::minute_of(since + TimeDelta::milliseconds(59_999));
    collect(
        connection,
        "SELECT stage, substr(finished, 1, 16) || ':00Z' AS minute, count(*) AS tasks \
         FROM pipeline_task INDEXED BY pipeline_task_finished \
         WHERE finished IS NOT NULL AND finished >= ?1 AND status = 3 GROUP BY 2, 1 ORDER BY 2",
        [format_timestamp(since)],
        |row| rows::count_minute(row, &mut stages),
    )?;
    Ok(stages)
}

fn add_root(connection: &Connection, root: &WatchRoot) -> Result<(), StoreError> {
    let added = connection.execute(
        "INSERT INTO watch_roots (name, path, pattern, recursive, app_group, topic, stable_seconds, enabled, manager) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT (name) DO NOTHING",
        params![
            root.name,
            root.path,
            root.pattern,
            root.recursive,
            root.app_group,
            root.topic,
            root.stable_seconds,
            root.enabled,
            root.manager
        ],
    );
    match added.map_err(|error| translate(&error))? {
        0 => Err(root_exists(&root.name)),
        _ => Ok(()),
    }
}

fn retry(connection: &mut Connection, query: &TaskQuery) -> rusqlite::Result<u64> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let conditions = task_conditions(query);
    let sql = format!(
        "SELECT id FROM pipeline_task{} ORDER BY id DESC LIMIT {}",
        conditions.sql(),
        limited(query.limit)
    );
    let ids: Vec<i64> = transaction
        .prepare(&sql)?
        .query_map(params_from_iter(conditions.values), |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    let mut count = 0;
    {
        let mut sooner = transaction.prepare_cached(
            "UPDATE deliveries SET due = strftime('%Y-%m-%dT%H:%M:%fZ', 'now') \
             WHERE task_id = ?1 AND delivered IS NULL AND given_up IS NULL \
               AND EXISTS (SELECT 1 FROM pipeline_task WHERE id = ?1 AND status = 0)",
        )?;
        let mut again = transaction.prepare_cached(
            "UPDATE pipeline_task SET status = 0, sent = NULL, finished = NULL, error = NULL \
             WHERE id = ?1 AND status <> 0",
        )?;
        for id in ids {
            count += u64::from(sooner.execute([id])? + again.execute([id])? > 0);
        }
    }
    transaction.commit()?;
    Ok(count)
}

/// Whether a statement has changed anything.
fn changed(done: rusqlite::Result<usize>) -> Result<bool, StoreError> {
    done.map(|rows| rows > 0).map_err(|error| translate(&error))
}

#[async_trait]
impl Documents for SqliteStore {
    async fn watch_roots(&self) -> Result<Vec<WatchRoot>, StoreError> {
        self.reader
            .call(|connection| {
                let sql = "SELECT * FROM watch_roots ORDER BY name";
                collect_valid(connection, sql, [], |row| rows::watch_root(row))
            })
            .await
    }

    async fn add_watch_root(&self, root: WatchRoot) -> Result<(), StoreError> {
        self.writer.call(move |connection| add_root(connection, &root)).await
    }

    async fn remove_watch_root(&self, name: &str) -> Result<(), StoreError> {
        let name = name.to_owned();
        self.writer
            .call(move |connection| {
                let done = connection.execute("DELETE FROM watch_roots WHERE name = ?1", [&name]);
                if changed(done)? { Ok(()) } else { Err(no_such_root(&name)) }
            })
            .await
    }

    async fn enable_watch_root(&self, name: &str, is_enabled: bool) -> Result<(), StoreError> {
        let name = name.to_owned();
        self.writer
            .call(move |connection| {
                let sql = "UPDATE watch_roots SET enabled = ?2 WHERE name = ?1";
                let done = connection.execute(sql, params![name, is_enabled]);
                if changed(done)? { Ok(()) } else { Err(no_such_root(&name)) }
            })
            .await
    }

    async fn document_routes(&self) -> Result<Vec<DocumentRoute>, StoreError> {
        self.reader
            .call(|connection| {
                let sql = "SELECT * FROM routes ORDER BY priority DESC, id";
                collect_valid(connection, sql, [], |row| rows::route(row))
            })
            .await
    }

    async fn add_document_route(
        &self,
        pattern: String,
        target: Target,
        priority: i64,
    ) -> Result<RouteId, StoreError> {
        self.writer
            .call(move |connection| {
                connection
                    .query_row(
                        "INSERT INTO routes (pattern, queue, actor, priority) VALUES (?1, ?2, ?3, ?4) RETURNING id",
                        params![pattern, target.queue, target.actor, priority],
                        |row| row.get(0).map(RouteId),
                    )
                    .map_err(|error| translate(&error))
            })
            .await
    }

    async fn remove_document_route(&self, route: RouteId) -> Result<(), StoreError> {
        self.writer
            .call(move |connection| {
                let done = connection.execute("DELETE FROM routes WHERE id = ?1", [route.0]);
                if changed(done)? { Ok(()) } else { Err(no_such_route(route)) }
            })
            .await
    }

    async fn file_events(&self, query: EventQuery) -> Result<Vec<FileEvent>, StoreError> {
        self.reader.call(move |connection| events(connection, &query)).await
    }

    async fn pipeline_tasks(&self, query: TaskQuery) -> Result<Vec<PipelineTask>, StoreError> {
        self.reader.call(move |connection| tasks(connection, &query)).await
    }

    async fn stages(&self, since: Timestamp) -> Result<Vec<StageCount>, StoreError> {
        self.reader.call(move |connection| stages(connection, since)).await
    }

    async fn retry_documents(&self, query: TaskQuery) -> Result<u64, StoreError> {
        self.writer.call(move |connection| retry(connection, &query).map_err(|error| translate(&error))).await
    }
}

/// The task of a message, if it is known.
pub(super) fn task_of(connection: &Connection, message: &str) -> rusqlite::Result<Option<TaskId>> {
    connection
        .prepare_cached("SELECT id FROM pipeline_task WHERE message_id = ?1")?
        .query_row([message], |row| row.get(0).map(TaskId))
        .optional()
}
