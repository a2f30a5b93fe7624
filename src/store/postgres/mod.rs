//! A PostgreSQL server. Each call is one transaction with a deadline on one of a few connections,
//! which a thread of its own takes care of.

mod commit;
mod connection;
mod errors;
mod hints;
mod logs;
mod look;
mod operator;
mod rights;
mod rows;
mod schema;
mod url;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use chrono::TimeDelta;
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row as _};
use tokio::sync::watch;

use commit::{milliseconds, text};
use connection::{DEADLINE, Fault, Plan, Worker, composed, statement};
use rows::Unreadable;
use schema::State;

pub use schema::ROLES;

use super::{Committed, OpenMode, Store, StoreError};
use crate::model::{
    AppId, Change, Command, CommandId, Delta, KeptLog, ManagerRow, Revision, Snapshot, Timestamp,
};

/// A manager that was not heard of for so long, by the server's clock, has ended.
const SERVED_FOR: TimeDelta = TimeDelta::seconds(15);

/// What a change may take on top of the deadline of its commit.
const PER_CHANGE: Duration = Duration::from_millis(10);

/// A database of a PostgreSQL server.
pub struct PostgresStore {
    place: String,
    worker: Worker,
    changed: OnceLock<watch::Receiver<u64>>,
    /// The columns of an app that this user may read.
    app_columns: Arc<OnceLock<String>>,
    /// Everything up to this revision was read, or written by this store.
    known: Arc<Mutex<Option<Revision>>>,
}

impl PostgresStore {
    /// Connects to a database.
    ///
    /// # Errors
    /// [`StoreError`] says whether to wait, to migrate it, or what a person must set right.
    pub fn connect(url: &str, mode: OpenMode) -> Result<Self, StoreError> {
        let options = url::parse(url)?;
        let place = url::shown(&options);
        let worker = Worker::new(options)?;
        match mode {
            OpenMode::Create => {
                worker.call_blocking(Plan::MIGRATE, async |connection: &mut PgConnection| {
                    schema::migrate(connection).await
                })?;
            }
            OpenMode::Existing => {
                let found = worker.call_blocking(
                    Plan::MIGRATE.within(DEADLINE),
                    async |connection: &mut PgConnection| schema::read(connection).await,
                )?;
                if matches!(found, State::Empty) {
                    return Err(StoreError::Missing(PathBuf::from(place)));
                }
                worker.call_blocking(
                    Plan::MIGRATE.within(DEADLINE),
                    async |connection: &mut PgConnection| schema::check(connection).await,
                )?;
            }
        }
        Ok(Self {
            place,
            worker,
            changed: OnceLock::new(),
            app_columns: Arc::default(),
            known: Arc::default(),
        })
    }

    /// Where the database is, without secrets.
    #[must_use]
    pub fn place(&self) -> &str {
        &self.place
    }
}

impl std::fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PostgresStore").field("place", &self.place).finish_non_exhaustive()
    }
}

/// Leaves out rows that a hand edited into nonsense.
fn valid<T>(rows: &[PgRow], read: impl Fn(&PgRow) -> Result<T, Unreadable>) -> sqlx::Result<Vec<T>> {
    rows.iter()
        .filter_map(|row| match read(row) {
            Ok(value) => Some(Ok(value)),
            Err(Unreadable::Row) => None,
            Err(Unreadable::Sql(error)) => Some(Err(error)),
        })
        .collect()
}

#[async_trait]
impl Store for PostgresStore {
    async fn snapshot(&self) -> Result<Snapshot, StoreError> {
        self.worker
            .call(Plan::READ_ALL, async |connection: &mut PgConnection| {
                let apps = composed(format!("SELECT {} FROM apps ORDER BY revision", rows::APP_COLUMNS))
                    .fetch_all(&mut *connection)
                    .await?;
                let open_runs = statement(
                    "SELECT runtime, app_id, start_time, due_time, trigger, attempt, command_id, pid FROM runtime \
                     WHERE end_time IS NULL ORDER BY start_time, id",
                )
                .fetch_all(&mut *connection)
                .await?;
                Ok(Snapshot {
                    apps: apps.iter().map(rows::registered).collect::<sqlx::Result<_>>()?,
                    open_runs: valid(&open_runs, rows::open_run)?,
                    commands: operator::pending(connection, CommandId(0)).await?,
                    accounted: accounted(connection).await?,
                    limits: operator::limits(connection).await?,
                    revision: operator::revision(connection).await?,
                })
            })
            .await
    }

    async fn commit(&self, changes: Vec<Change>) -> Result<Committed, StoreError> {
        let known = Arc::clone(&self.known);
        let more = PER_CHANGE * u32::try_from(changes.len()).unwrap_or(u32::MAX);
        let plan = Plan::WRITE.within(DEADLINE + more);
        let written = self.worker.call(plan, async move |connection: &mut PgConnection| {
            // Nobody else writes between these two.
            let before = operator::revision(connection).await?;
            let committed = commit::commit(connection, &changes).await?;
            Ok((committed, before, operator::revision(connection).await?))
        });
        let (committed, before, after) = written.await?;
        let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
        if *known == Some(before) {
            *known = Some(after);
        }
        Ok(committed)
    }

    async fn foreign_changes(&self, revision: Revision, thorough: bool) -> Result<Delta, StoreError> {
        let known = *self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let delta = self
            .worker
            .call(Plan::READ, async move |connection: &mut PgConnection| {
                if !thorough && known == Some(operator::revision(connection).await?) {
                    return Ok(None);
                }
                operator::delta(connection, revision, rows::APP_COLUMNS).await.map(Some)
            })
            .await?;
        let Some(delta) = delta else { return Ok(Delta { revision, ..Delta::default() }) };
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        // A commit of this store may have come first meanwhile.
        *known = if delta.more { None } else { (*known).max(Some(delta.revision)) };
        Ok(delta)
    }

    async fn pending_commands(&self, last: CommandId) -> Result<Vec<Command>, StoreError> {
        self.worker
            .call(Plan::READ, async move |connection: &mut PgConnection| {
                operator::pending(connection, last).await
            })
            .await
    }

    async fn take_over(&self, manager: ManagerRow) -> Result<(), StoreError> {
        self.worker
            .call(Plan::WRITE, async move |connection: &mut PgConnection| {
                let others = statement(
                    "SELECT * FROM managers WHERE stopped IS NULL AND heartbeat > clock_timestamp() - $4 \
                     AND (name, host, pid) <> ($1, $2, $3) ORDER BY heartbeat DESC",
                )
                .bind(text(&manager.name))
                .bind(text(&manager.host))
                .bind(i64::from(manager.pid))
                .bind(SERVED_FOR)
                .fetch_all(&mut *connection)
                .await?;
                if let Some(other) = valid(&others, rows::manager)?.first() {
                    return Err(StoreError::Served(format!(
                        "{} on {}, pid {}; if it has crashed, try again in {} s",
                        other.name,
                        other.host,
                        other.pid,
                        SERVED_FOR.num_seconds()
                    ))
                    .into());
                }
                heartbeat(connection, &manager).await
            })
            .await
    }

    async fn heartbeat(&self, manager: ManagerRow) -> Result<(), StoreError> {
        self.worker
            .call(Plan::WRITE_OWN, async move |connection: &mut PgConnection| {
                heartbeat(connection, &manager).await
            })
            .await
    }

    async fn wanted_logs(&self, manager: String) -> Result<Vec<AppId>, StoreError> {
        self.worker
            .call(Plan::READ, async move |connection: &mut PgConnection| {
                logs::wanted(connection, &manager).await
            })
            .await
    }

    async fn keep_log(&self, log: KeptLog) -> Result<(), StoreError> {
        self.worker
            .call(Plan::WRITE_OWN, async move |connection: &mut PgConnection| {
                logs::keep(connection, &log).await
            })
            .await
    }
}

/// The server's clock is the one that all programs compare with, so it says when that was.
async fn heartbeat(connection: &mut PgConnection, manager: &ManagerRow) -> Result<(), Fault> {
    statement(
        "INSERT INTO managers (name, host, pid, version, started, heartbeat, stopped) \
         VALUES ($1, $2, $3, $4, $5, clock_timestamp(), $6) ON CONFLICT (name) DO UPDATE SET host = excluded.host, \
         pid = excluded.pid, version = excluded.version, started = excluded.started, \
         heartbeat = excluded.heartbeat, stopped = excluded.stopped",
    )
    .bind(text(&manager.name))
    .bind(text(&manager.host))
    .bind(i64::from(manager.pid))
    .bind(text(&manager.version))
    .bind(milliseconds(manager.started))
    .bind(manager.stopped.map(milliseconds))
    .execute(connection)
    .await?;
    Ok(())
}

/// Up to when the calendars are accounted for, of apps that wait for their next time. Of the runs
/// the last two are enough: one may be open.
async fn accounted(connection: &mut PgConnection) -> Result<BTreeMap<AppId, Timestamp>, Fault> {
    let rows = statement(
        "SELECT app, greatest( \
           (SELECT max(greatest(end_time, due_time)) FROM \
             (SELECT end_time, due_time FROM runtime WHERE app_id = app ORDER BY start_time DESC, id DESC LIMIT 2) AS runs), \
           (SELECT max(last_due) FROM skips WHERE app_id = app)) AS until \
         FROM apps WHERE app IS NOT NULL AND cron_expression IS NOT NULL AND next_run IS NOT NULL",
    )
    .fetch_all(connection)
    .await?;
    Ok(valid(&rows, rows::accounted)?.into_iter().flatten().collect())
}

/// The first column of each row.
fn first_column<'r, T: sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>>(
    rows: &'r [PgRow],
) -> sqlx::Result<Vec<T>> {
    rows.iter().map(|row| row.try_get(0)).collect()
}
