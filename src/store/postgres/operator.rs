//! What consoles and the command line ask of the server.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::query::Query;
use sqlx::{PgConnection, Postgres, Row as _};
use tokio::sync::watch;

use super::commit::{milliseconds, text};
use super::connection::{DEADLINE, Fault, Plan, composed, statement};
use super::positions::{self, Seen, is_new};
use super::{PER_CHANGE, PostgresStore, facts, first_column, logs, look, managers, rename, rights, valid};
use crate::model::settings::settings;
use crate::model::{
    AlertId, AlertRow, App, AppId, AppPath, Command, CommandId, CommandRow, Delta, KeptLog, Kind, Limits,
    ManagerRow, NewCommand, Part, Registered, Released, Revision, Run, RunId, Setting, Skip, Timestamp,
    Value, format_timestamp,
};
use crate::store::definition::json;
use crate::store::row_reader::RowReader as _;
use crate::store::rows;
use crate::store::{
    AlertNote, AlertQuery, Capabilities, Cluster, DatabaseFacts, Existing, HistoryQuery, LedgerQuery,
    OperatorStore, PAGE, Registration, Rights, RunLength, SkipQuery, StoreError, exists, running,
};

/// Rows of the apps table that are new, and what is seen by that, unless nothing is new.
pub(super) async fn delta(
    connection: &mut PgConnection,
    since: &Seen,
    columns: &str,
) -> Result<(Delta, Option<Seen>), Fault> {
    if !is_news(connection, since).await? {
        return Ok((Delta::default(), None));
    }
    let sql = format!(
        "SELECT {columns} FROM apps WHERE {} AND revision > $3 ORDER BY revision LIMIT {PAGE}",
        is_new!("written_in")
    );
    let mut rows = Vec::new();
    let mut last = i64::MIN;
    loop {
        let page = composed(sql.clone())
            .bind(since.upto)
            .bind(&since.open)
            .bind(last)
            .fetch_all(&mut *connection)
            .await?;
        for row in &page {
            rows.push(rows::registered(row)?);
        }
        match rows.last().filter(|_| page.len() == PAGE) {
            Some(row) => last = Registered::revision(row).0,
            None => break,
        }
    }
    let removed = concat!("SELECT app FROM removed_apps WHERE ", is_new!("written_in"), " ORDER BY revision");
    let removed = statement(removed).bind(since.upto).bind(&since.open).fetch_all(&mut *connection).await?;
    let removed: Vec<&str> = first_column(&removed)?;
    let removed: Vec<AppId> = removed.iter().filter_map(|app| app.parse().ok()).collect();
    let seen = positions::now(connection).await?;
    Ok((Delta { rows, removed, ..Delta::default() }, Some(seen)))
}

/// Whether anybody wrote.
pub(super) async fn is_news(connection: &mut PgConnection, since: &Seen) -> Result<bool, Fault> {
    if *since == Seen::default() {
        return Ok(true);
    }
    let row = statement(concat!(
        "SELECT EXISTS (SELECT FROM apps WHERE ",
        is_new!("written_in"),
        ") OR EXISTS (SELECT FROM removed_apps WHERE ",
        is_new!("written_in"),
        ")"
    ));
    Ok(row.bind(since.upto).bind(&since.open).fetch_one(connection).await?.try_get(0)?)
}

/// Commands without a verdict that are not among those handed out: those of the manager's apps, and those of no app at all, which any
/// manager may refuse.
pub(super) async fn pending(
    connection: &mut PgConnection,
    handed: &[CommandId],
    manager: Option<&str>,
) -> Result<Vec<Command>, Fault> {
    let handed: Vec<_> = handed.iter().map(|id| id.0).collect();
    let rows = statement(
        "SELECT id, app_id, cmd_name, cmd_args, cmd_by, cmd_time, expires FROM commands \
         LEFT JOIN (SELECT app, manager FROM apps) AS of ON app = app_id \
         WHERE cmd_flag = 0 AND commands.id <> ALL($1) AND ($2 IS NULL OR app IS NULL OR manager = $2) ORDER BY id",
    )
    .bind(handed)
    .bind(manager)
    .fetch_all(connection)
    .await?;
    Ok(valid(&rows, rows::command)?)
}

pub(super) async fn limits(connection: &mut PgConnection, manager: Option<&str>) -> Result<Limits, Fault> {
    let part = |row: &PgRow, column: &str| -> sqlx::Result<Option<Part>> {
        Ok(Part::new(row.try_get::<&str, _>(column)?).ok())
    };
    let limit = |row: &PgRow| {
        row.try_get::<i64, _>("max_running").map(|limit| u32::try_from(limit).unwrap_or(u32::MAX))
    };
    let groups = statement("SELECT app_group, max_running FROM app_groups WHERE max_running IS NOT NULL")
        .fetch_all(&mut *connection)
        .await?;
    let parents =
        statement("SELECT app_group, app_parent, max_running FROM app_parents WHERE max_running IS NOT NULL")
            .fetch_all(&mut *connection)
            .await?;
    let draining = statement("SELECT FROM managers WHERE name = $1 AND draining")
        .bind(manager)
        .fetch_optional(connection)
        .await?;
    let mut limits = Limits { draining: draining.is_some(), ..Limits::default() };
    for row in &groups {
        if let Some(group) = part(row, "app_group")? {
            limits.groups.insert(group, limit(row)?);
        }
    }
    for row in &parents {
        if let Some(parent) = part(row, "app_group")?.zip(part(row, "app_parent")?) {
            limits.parents.insert(parent, limit(row)?);
        }
    }
    Ok(limits)
}

#[async_trait]
impl OperatorStore for PostgresStore {
    fn capabilities(&self) -> Capabilities {
        Capabilities::SERVER
    }

    fn cluster(&self) -> Option<&dyn Cluster> {
        Some(self)
    }

    async fn changes_since(&self, revision: Revision) -> Result<Delta, StoreError> {
        let known = Arc::clone(&self.app_columns);
        let since = self.seen_at(revision);
        let plan = if since == Seen::default() { Plan::READ_ALL } else { Plan::READ };
        let read = self.worker.call(plan, async move |connection: &mut PgConnection| {
            let columns = rights::app_columns(connection, &known).await?;
            delta(connection, &since, columns).await
        });
        let (delta, seen) = read.await?;
        Ok(Delta { revision: self.keep(revision, seen), ..delta })
    }

    async fn apps(&self, apps: Vec<AppId>) -> Result<Vec<Registered>, StoreError> {
        let known = Arc::clone(&self.app_columns);
        self.worker
            .call(Plan::READ, async move |connection: &mut PgConnection| {
                let columns = rights::app_columns(connection, &known).await?;
                find(connection, &apps, columns).await
            })
            .await
    }

    fn changed(&self) -> watch::Receiver<u64> {
        let receiver = self.changed.get_or_init(|| {
            let (sender, receiver) = watch::channel(0);
            self.worker.watch(sender);
            receiver
        });
        receiver.clone()
    }

    async fn submit(&self, commands: Vec<NewCommand>) -> Result<Vec<CommandId>, StoreError> {
        let more = PER_CHANGE * u32::try_from(commands.len()).unwrap_or(u32::MAX);
        let plan = Plan::WRITE.within(DEADLINE + more);
        self.worker
            .call(plan, async move |connection: &mut PgConnection| submit(connection, &commands).await)
            .await
    }

    async fn commands(&self, ids: Vec<CommandId>) -> Result<Vec<CommandRow>, StoreError> {
        let ids: Vec<_> = ids.iter().map(|id| id.0).collect();
        self.worker
            .call(Plan::READ, async move |connection: &mut PgConnection| {
                let found = composed(format!(
                    "SELECT {} FROM commands WHERE id = ANY($1) ORDER BY array_position($1, id)",
                    rows::COMMAND_COLUMNS
                ))
                .bind(&ids)
                .fetch_all(connection)
                .await?;
                Ok(valid(&found, rows::command_row)?)
            })
            .await
    }

    async fn ledger(&self, query: LedgerQuery) -> Result<Vec<CommandRow>, StoreError> {
        self.worker
            .call(Plan::READ, async move |connection: &mut PgConnection| {
                look::ledger(connection, &query).await
            })
            .await
    }

    async fn history(&self, query: HistoryQuery) -> Result<Vec<Run>, StoreError> {
        let read = async move |connection: &mut PgConnection| look::history(connection, &query).await;
        self.worker.call(Plan::READ, read).await
    }

    async fn begun_since(&self, moment: Timestamp) -> Result<u64, StoreError> {
        let read = async move |connection: &mut PgConnection| look::begun_since(connection, moment).await;
        self.worker.call(Plan::READ, read).await
    }

    async fn good_runs(&self, apps: Vec<AppId>, of_each: u32) -> Result<Vec<RunLength>, StoreError> {
        let read =
            async move |connection: &mut PgConnection| look::good_runs(connection, &apps, of_each).await;
        self.worker.call(Plan::READ, read).await
    }

    async fn skips(&self, query: SkipQuery) -> Result<Vec<Skip>, StoreError> {
        self.worker
            .call(Plan::READ, async move |connection: &mut PgConnection| {
                look::skips(connection, &query).await
            })
            .await
    }

    async fn alerts(&self, query: AlertQuery) -> Result<Vec<AlertRow>, StoreError> {
        self.worker
            .call(Plan::READ, async move |connection: &mut PgConnection| {
                look::alerts(connection, &query).await
            })
            .await
    }

    async fn note_alerts(&self, alerts: Vec<AlertId>, note: AlertNote) -> Result<(), StoreError> {
        self.worker
            .call(Plan::WRITE, async move |connection: &mut PgConnection| {
                look::note_alerts(connection, &alerts, &note).await
            })
            .await
    }

    async fn managers(&self) -> Result<Vec<ManagerRow>, StoreError> {
        self.worker
            .call(Plan::READ, async |connection: &mut PgConnection| {
                let found = statement("SELECT * FROM managers ORDER BY name").fetch_all(connection).await?;
                Ok(valid(&found, rows::manager)?)
            })
            .await
    }

    async fn drain(&self, name: &str, is_draining: bool) -> Result<Released, StoreError> {
        let name = name.to_owned();
        self.worker
            .call(Plan::WRITE, async move |connection: &mut PgConnection| {
                managers::drain(connection, &name, is_draining).await
            })
            .await
    }

    async fn limits(&self) -> Result<Limits, StoreError> {
        let manager = self.seat_name();
        self.worker
            .call(Plan::READ, async move |connection: &mut PgConnection| {
                limits(connection, manager.as_deref()).await
            })
            .await
    }

    async fn register(&self, apps: Vec<Registration>) -> Result<(), StoreError> {
        self.worker
            .call(Plan::WRITE_MANY, async move |connection: &mut PgConnection| {
                for registration in &apps {
                    register(connection, registration).await?;
                }
                Ok(())
            })
            .await
    }

    async fn remove(&self, apps: Vec<AppId>) -> Result<(), StoreError> {
        self.worker
            .call(Plan::WRITE_MANY, async move |connection: &mut PgConnection| {
                remove(connection, &apps).await
            })
            .await
    }

    async fn rename(&self, from: AppPath, to: AppPath) -> Result<(), StoreError> {
        self.worker
            .call(Plan::WRITE_MANY, async move |connection: &mut PgConnection| {
                rename::rename(connection, &from, &to).await
            })
            .await
    }

    async fn set_limit(
        &self,
        group: Part,
        parent: Option<Part>,
        limit: Option<u32>,
    ) -> Result<(), StoreError> {
        self.worker
            .call(Plan::WRITE, async move |connection: &mut PgConnection| {
                let limit = limit.map(i64::from);
                let changed = match &parent {
                    None => {
                        statement("UPDATE app_groups SET max_running = $2 WHERE app_group = $1")
                            .bind(group.as_str())
                            .bind(limit)
                            .execute(connection)
                            .await?
                    }
                    Some(parent) => statement(
                        "UPDATE app_parents SET max_running = $3 WHERE app_group = $1 AND app_parent = $2",
                    )
                    .bind(group.as_str())
                    .bind(parent.as_str())
                    .bind(limit)
                    .execute(connection)
                    .await?,
                };
                if changed.rows_affected() == 0 {
                    return Err(StoreError::Refused("no app is registered there".to_owned()).into());
                }
                Ok(())
            })
            .await
    }

    async fn time(&self) -> Result<Timestamp, StoreError> {
        self.worker
            .call(Plan::READ, async |connection: &mut PgConnection| {
                let row = statement("SELECT clock_timestamp()").fetch_one(connection).await?;
                let wrong = || StoreError::Unavailable("the clock of the server is wrong".to_owned());
                Ok(row.time(0)?.ok_or_else(wrong)?)
            })
            .await
    }

    async fn rights(&self) -> Result<Rights, StoreError> {
        self.worker
            .call(Plan::READ, async |connection: &mut PgConnection| rights::read(connection).await)
            .await
    }

    async fn facts(&self) -> Result<DatabaseFacts, StoreError> {
        let plan = Plan::READ;
        self.worker.call(plan, async |connection: &mut PgConnection| facts::read(connection).await).await
    }

    async fn want_log(&self, app: AppId) -> Result<(), StoreError> {
        self.worker
            .call(Plan::WRITE, async move |connection: &mut PgConnection| logs::want(connection, app).await)
            .await
    }

    async fn kept_log(&self, app: AppId, run: Option<RunId>) -> Result<Option<KeptLog>, StoreError> {
        self.worker
            .call(Plan::READ, async move |connection: &mut PgConnection| {
                logs::kept(connection, app, run).await
            })
            .await
    }
}

/// The server enters them in one call, which the role of operators may make.
async fn submit(connection: &mut PgConnection, commands: &[NewCommand]) -> Result<Vec<CommandId>, Fault> {
    let time = |time: Timestamp| format_timestamp(milliseconds(time));
    let commands: Vec<_> = commands
        .iter()
        .map(|command| {
            serde_json::json!({
                "app": command.app.to_string(),
                "name": command.name.code(),
                "args": command.args.as_deref().map(text),
                "issued_by": text(&command.by),
                "source": command.source.word(),
                "issued_at": time(command.time),
                "expires": command.expires.map(time),
                "batch": command.batch.as_deref().map(text),
                "note": command.note.as_deref().map(text),
            })
        })
        .collect();
    let rows = statement("SELECT dcm_submit($1::text::jsonb)")
        .bind(serde_json::Value::from(commands).to_string())
        .fetch_all(connection)
        .await?;
    let ids: Vec<i64> = first_column(&rows)?;
    Ok(ids.into_iter().map(CommandId).collect())
}

async fn register(connection: &mut PgConnection, registration: &Registration) -> Result<(), Fault> {
    let app = &registration.app;
    let path = &app.path;
    let known = statement(
        "SELECT id FROM apps WHERE app = $1 OR (app_group = $2 AND app_parent = $3 AND app_name = $4)",
    )
    .bind(app.id.to_string())
    .bind(path.group.as_str())
    .bind(path.parent.as_str())
    .bind(path.name.as_str())
    .fetch_optional(&mut *connection)
    .await?;
    let row = match (known, registration.existing) {
        (Some(_), Existing::Refuse) => return Err(exists(path).into()),
        (Some(row), Existing::Replace) => row,
        (None, _) => statement(
            "INSERT INTO apps (app, app_group, app_parent, app_name) VALUES ($1, $2, $3, $4) RETURNING id",
        )
        .bind(app.id.to_string())
        .bind(path.group.as_str())
        .bind(path.parent.as_str())
        .bind(path.name.as_str())
        .fetch_one(&mut *connection)
        .await?,
    };
    define(connection, row.try_get(0)?, registration).await
}

/// The rows of apps in the order that was asked for, also of those whose key is no key at all.
async fn find(
    connection: &mut PgConnection,
    apps: &[AppId],
    columns: &str,
) -> Result<Vec<Registered>, Fault> {
    let keys: Vec<_> = apps.iter().map(ToString::to_string).collect();
    let found = composed(format!("SELECT {columns} FROM apps WHERE app = ANY($1)"))
        .bind(&keys)
        .fetch_all(&mut *connection)
        .await?;
    let mut rows = found.iter().map(rows::registered).collect::<sqlx::Result<Vec<_>>>()?;
    if rows.len() < apps.len() {
        let odd = composed(format!("SELECT {columns} FROM apps WHERE length(app) <> 64"));
        let odd = odd.fetch_all(connection).await?;
        rows.extend(odd.iter().map(rows::registered).collect::<sqlx::Result<Vec<_>>>()?);
    }
    let mut by_key: BTreeMap<_, _> = rows.into_iter().map(|row| (row.row().app.id, row)).collect();
    Ok(apps.iter().filter_map(|app| by_key.remove(app)).collect())
}

async fn remove(connection: &mut PgConnection, apps: &[AppId]) -> Result<(), Fault> {
    let columns = rows::app_columns_without_env();
    for row in find(connection, apps, &columns).await? {
        let row = row.row();
        let open = statement("SELECT FROM runtime WHERE app_id = $1 AND end_time IS NULL LIMIT 1")
            .bind(row.app.id.to_string())
            .fetch_optional(&mut *connection)
            .await?;
        if open.is_some() {
            return Err(running(&row.app.path).into());
        }
        statement("DELETE FROM apps WHERE id = $1").bind(row.row).execute(&mut *connection).await?;
    }
    Ok(())
}

async fn define(connection: &mut PgConnection, row: i64, registration: &Registration) -> Result<(), Fault> {
    let app = &registration.app;
    let assigned: Vec<_> =
        settings().zip(5..).map(|(setting, at)| format!(", \"{}\" = ${at}", setting.column)).collect();
    let sql =
        format!("UPDATE apps SET app = $2, disable = $3, origin = $4{} WHERE id = $1", assigned.concat());
    let update = composed(sql)
        .bind(row)
        .bind(app.id.to_string())
        .bind(app.disabled)
        .bind(app.origin.as_deref().map(text));
    settings().fold(update, |update, setting| bound(update, setting, app)).execute(&mut *connection).await?;
    if let Some(next_run) = registration.next_run {
        statement("UPDATE apps SET next_run = $2 WHERE id = $1")
            .bind(row)
            .bind(next_run.time().map(milliseconds))
            .execute(connection)
            .await?;
    }
    Ok(())
}

/// Binds what an app has of a setting, by the type of its column also where it has nothing.
fn bound<'q>(
    update: Query<'q, Postgres, PgArguments>,
    setting: &Setting,
    app: &App,
) -> Query<'q, Postgres, PgArguments> {
    let value = (setting.get)(app);
    match value {
        Value::Flag(flag) => update.bind(flag),
        Value::Whole(number) => update.bind(number),
        Value::Number(number) => update.bind(number),
        Value::Text(text) => update.bind(text.into_owned()),
        Value::List(_) | Value::Variables(_) => update.bind(json(value)),
        Value::Null | Value::Other => match setting.kind {
            Kind::Flag => update.bind(None::<bool>),
            Kind::Whole => update.bind(None::<i64>),
            Kind::Number => update.bind(None::<f64>),
            Kind::Text | Kind::Word(_) | Kind::Directory | Kind::List | Kind::Variables => {
                update.bind(None::<String>)
            }
        },
    }
}
