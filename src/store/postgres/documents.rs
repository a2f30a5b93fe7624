//! What operators ask and set about documents, of the server.

use async_trait::async_trait;
use chrono::TimeDelta;
use sqlx::{PgConnection, Row as _};

use super::commit::{milliseconds, text};
use super::connection::{Fault, Plan, composed, statement};
use super::{PostgresStore, first_column, valid};
use crate::model::{
    DocumentRoute, FileEvent, PipelineTask, RouteId, StageCount, Target, Timestamp, WatchRoot,
};
use crate::store::document_rows as rows;
use crate::store::documents::{are_open, codes, limited, no_such_root, no_such_route, root_exists};
use crate::store::{Documents, EventQuery, StoreError, TaskQuery};

/// No index knows more than `status <> 3` of a list that is an argument.
fn open_only(query: &TaskQuery) -> &'static str {
    if are_open(&query.statuses) { "status <> 3 AND" } else { "" }
}

async fn events(connection: &mut PgConnection, query: &EventQuery) -> Result<Vec<FileEvent>, Fault> {
    let found = statement(
        "SELECT * FROM events WHERE (cardinality($1::bigint[]) = 0 OR id = ANY ($1)) AND ($2 IS NULL OR root = $2) \
         AND ($3 IS NULL OR topic = $3) AND ($4 IS NULL OR strpos(path, $4) > 0) AND ($5 IS NULL OR id < $5) \
         ORDER BY id DESC LIMIT $6",
    )
    .bind(query.ids.iter().map(|id| id.0).collect::<Vec<_>>())
    .bind(query.root.as_deref().map(text))
    .bind(query.topic.as_deref().map(text))
    .bind(query.path.as_deref().map(text))
    .bind(query.before.map(|id| id.0))
    .bind(limited(query.limit))
    .fetch_all(connection)
    .await?;
    Ok(valid(&found, rows::event)?)
}

/// A glob as LIKE has it.
fn like(glob: &str) -> String {
    let mut pattern = String::with_capacity(glob.len() + 8);
    for c in glob.chars() {
        match c {
            '*' => pattern.push('%'),
            '?' => pattern.push('_'),
            '%' | '_' | '\\' => pattern.extend(['\\', c]),
            c => pattern.push(c),
        }
    }
    pattern
}

/// The tasks of a query, with these columns.
async fn tasks(
    connection: &mut PgConnection,
    columns: &str,
    query: &TaskQuery,
) -> Result<Vec<sqlx::postgres::PgRow>, Fault> {
    // A condition that is there only when it is asked for leaves the index to be used.
    let of_ids = if query.ids.is_empty() { "cardinality($1::bigint[]) = 0" } else { "id = ANY ($1)" };
    let of_events =
        if query.events.is_empty() { "cardinality($2::bigint[]) = 0" } else { "event_id = ANY ($2)" };
    let found = composed(format!(
        "SELECT {columns} FROM pipeline_task WHERE {} {of_ids} AND {of_events} \
         AND (cardinality($3::bigint[]) = 0 OR status = ANY ($3)) AND ($4 IS NULL OR stage = $4) \
         AND ($5 IS NULL OR topic = $5) AND ($6 IS NULL OR strpos(document, $6) > 0) AND ($7 IS NULL OR id < $7) \
         AND (cardinality($9::text[]) = 0 OR document LIKE ANY ($9)) \
         AND ($10 IS NULL OR event_id IN (SELECT id FROM events WHERE root = $10)) \
         AND ($11 IS NULL OR event_id IN (SELECT id FROM events WHERE app_group = $11)) \
         AND ($12::timestamptz IS NULL OR finished <= $12) \
         ORDER BY id DESC LIMIT $8",
        open_only(query)
    ))
    .bind(query.ids.iter().map(|id| id.0).collect::<Vec<_>>())
    .bind(query.events.iter().map(|id| id.0).collect::<Vec<_>>())
    .bind(codes(&query.statuses))
    .bind(query.stage.as_deref().map(text))
    .bind(query.topic.as_deref().map(text))
    .bind(query.path.as_deref().map(text))
    .bind(query.before.map(|id| id.0))
    .bind(limited(query.limit))
    .bind(query.globs.iter().map(|glob| text(&like(glob))).collect::<Vec<_>>())
    .bind(query.root.as_deref().map(text))
    .bind(query.app_group.as_deref().map(text))
    .bind(query.until.map(milliseconds))
    .fetch_all(connection)
    .await?;
    Ok(found)
}

async fn stages(connection: &mut PgConnection, since: Timestamp) -> Result<Vec<StageCount>, Fault> {
    let mut stages = Vec::new();
    let open = statement(
        "SELECT stage, status, count(*) AS tasks, min(created) AS oldest, \
           count(*) FILTER (WHERE attempts > 1) AS retries \
         FROM pipeline_task WHERE status <> 3 GROUP BY stage, status",
    )
    .fetch_all(&mut *connection)
    .await?;
    for row in &open {
        rows::count_open(row, &mut stages)?;
    }
    let done = statement(
        "SELECT stage, count(*) AS tasks, \
           avg(extract(epoch FROM finished)::double precision - extract(epoch FROM started)::double precision) \
             FILTER (WHERE isfinite(finished) AND isfinite(started)) AS seconds \
         FROM pipeline_task WHERE finished IS NOT NULL AND finished >= now() - interval '1 hour' AND status = 3 \
         GROUP BY stage",
    )
    .fetch_all(&mut *connection)
    .await?;
    for row in &done {
        rows::count_done(row, &mut stages)?;
    }
    let minutes = statement(
        "SELECT stage, date_trunc('minute', finished) AS minute, count(*) AS tasks \
         FROM pipeline_task WHERE finished IS NOT NULL AND finished >= $1 AND status = 3 GROUP BY 2, 1 ORDER BY 2",
    )
    .bind(rows::minute_of(since + TimeDelta::milliseconds(59_999)))
    .fetch_all(connection)
    .await?;
    for row in &minutes {
        rows::count_minute(row, &mut stages)?;
    }
    Ok(stages)
}

async fn add_root(connection: &mut PgConnection, root: &WatchRoot) -> Result<(), Fault> {
    let added = statement(
        "INSERT INTO watch_roots (name, path, pattern, recursive, app_group, topic, stable_seconds, enabled, manager) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (name) DO NOTHING",
    )
    .bind(text(&root.name))
    .bind(text(&root.path))
    .bind(text(&root.pattern))
    .bind(root.recursive)
    .bind(text(&root.app_group))
    .bind(text(&root.topic))
    .bind(root.stable_seconds)
    .bind(root.enabled)
    .bind(root.manager.as_deref().map(text))
    .execute(connection)
    .await?;
    if added.rows_affected() == 0 { Err(root_exists(&root.name).into()) } else { Ok(()) }
}

#[async_trait]
impl Documents for PostgresStore {
    async fn watch_roots(&self) -> Result<Vec<WatchRoot>, StoreError> {
        self.worker
            .call(Plan::READ, async move |connection: &mut PgConnection| {
                let found =
                    statement("SELECT * FROM watch_roots ORDER BY name").fetch_all(connection).await?;
                Ok(valid(&found, rows::watch_root)?)
            })
            .await
    }

    async fn add_watch_root(&self, root: WatchRoot) -> Result<(), StoreError> {
        self.worker
            .call(Plan::WRITE, async move |connection: &mut PgConnection| add_root(connection, &root).await)
            .await
    }

    async fn remove_watch_root(&self, name: &str) -> Result<(), StoreError> {
        let name = text(name);
        self.worker
            .call(Plan::WRITE, async move |connection: &mut PgConnection| {
                let done = statement("DELETE FROM watch_roots WHERE name = $1")
                    .bind(&name)
                    .execute(connection)
                    .await?;
                if done.rows_affected() == 0 { Err(no_such_root(&name).into()) } else { Ok(()) }
            })
            .await
    }

    async fn enable_watch_root(&self, name: &str, is_enabled: bool) -> Result<(), StoreError> {
        let name = text(name);
        self.worker
            .call(Plan::WRITE, async move |connection: &mut PgConnection| {
                let done = statement("UPDATE watch_roots SET enabled = $2 WHERE name = $1")
                    .bind(&name)
                    .bind(is_enabled)
                    .execute(connection)
                    .await?;
                if done.rows_affected() == 0 { Err(no_such_root(&name).into()) } else { Ok(()) }
            })
            .await
    }

    async fn document_routes(&self) -> Result<Vec<DocumentRoute>, StoreError> {
        self.worker
            .call(Plan::READ, async move |connection: &mut PgConnection| {
                let found = statement("SELECT * FROM routes ORDER BY priority DESC, id")
                    .fetch_all(connection)
                    .await?;
                Ok(valid(&found, rows::route)?)
            })
            .await
    }

    async fn add_document_route(
        &self,
        pattern: String,
        target: Target,
        priority: i64,
    ) -> Result<RouteId, StoreError> {
        self.worker
            .call(Plan::WRITE, async move |connection: &mut PgConnection| {
                let row = statement(
                    "INSERT INTO routes (pattern, queue, actor, priority) VALUES ($1, $2, $3, $4) RETURNING id",
                )
                .bind(text(&pattern))
                .bind(text(&target.queue))
                .bind(text(&target.actor))
                .bind(priority)
                .fetch_one(connection)
                .await?;
                Ok(RouteId(row.try_get("id")?))
            })
            .await
    }

    async fn remove_document_route(&self, route: RouteId) -> Result<(), StoreError> {
        self.worker
            .call(Plan::WRITE, async move |connection: &mut PgConnection| {
                let done =
                    statement("DELETE FROM routes WHERE id = $1").bind(route.0).execute(connection).await?;
                if done.rows_affected() == 0 { Err(no_such_route(route).into()) } else { Ok(()) }
            })
            .await
    }

    async fn file_events(&self, query: EventQuery) -> Result<Vec<FileEvent>, StoreError> {
        self.worker
            .call(Plan::READ, async move |connection: &mut PgConnection| events(connection, &query).await)
            .await
    }

    async fn pipeline_tasks(&self, query: TaskQuery) -> Result<Vec<PipelineTask>, StoreError> {
        self.worker
            .call(Plan::READ, async move |connection: &mut PgConnection| {
                let found = tasks(connection, "*", &query).await?;
                Ok(valid(&found, rows::task)?)
            })
            .await
    }

    async fn stages(&self, since: Timestamp) -> Result<Vec<StageCount>, StoreError> {
        let since = milliseconds(since);
        self.worker
            .call(Plan::READ, async move |connection: &mut PgConnection| stages(connection, since).await)
            .await
    }

    async fn retry_documents(&self, query: TaskQuery) -> Result<u64, StoreError> {
        self.worker
            .call(Plan::WRITE_MANY, async move |connection: &mut PgConnection| {
                let found = tasks(connection, "id", &query).await?;
                let ids: Vec<i64> = first_column(&found)?;
                let row = statement("SELECT dcm_retry_documents($1) AS again")
                    .bind(ids)
                    .fetch_one(connection)
                    .await?;
                Ok(row.try_get::<i64, _>("again")?.unsigned_abs())
            })
            .await
    }
}
