//! A PostgreSQL server. Each call is one transaction with a deadline on one of a few connections,
//! which a thread of its own takes care of.

mod backlog;
mod cluster;
mod commit;
mod connection;
mod deliveries;
mod document_look;
mod documents;
mod errors;
mod facts;
mod fleet_alerts;
mod foreign;
mod held;
mod hints;
mod logs;
mod look;
mod managers;
mod operator;
mod pipeline;
mod positions;
mod prune;
mod reader;
mod rename;
mod requests;
mod rights;
mod schema;
mod targets;
mod url;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row as _};
use tokio::sync::watch;

use connection::{DEADLINE, Plan, Worker, composed, statement};
use managers::Seat;
use positions::{Positions, Seen};
use schema::State;

pub(super) use connection::open_for_copy;
pub(super) use errors::translate;
pub use schema::ROLES;

use super::{Committed, OpenMode, Store, StoreError};
use crate::model::{
    AlertKind, AppId, Change, Command, CommandId, Foreign, KeptLog, Load, ManagerRow, News, Prunable,
    PrunedBatch, Pruning, Retention, Revision, Route, Sight, Snapshot,
};
use crate::store::rows;

/// What a change may take on top of the deadline of its commit.
const PER_CHANGE: Duration = Duration::from_millis(10);

/// A database of a PostgreSQL server.
pub struct PostgresStore {
    place: String,
    worker: Worker,
    changed: OnceLock<watch::Receiver<u64>>,
    /// The columns of an app that this user may read.
    app_columns: Arc<OnceLock<String>>,
    /// What the readers of this store have seen.
    positions: Mutex<Positions>,
    /// The manager that it serves.
    seat: Mutex<Option<Seat>>,
    /// How long the renewal of its lease may take.
    patience: Mutex<Duration>,
    /// Where alerts go.
    routes: Mutex<Arc<[Route]>>,
}

impl PostgresStore {
    /// Connects to a database.
    ///
    /// # Errors
    /// [`StoreError`] says whether to wait, to migrate it, or what a person must set right.
    pub fn connect(url: &str, mode: OpenMode) -> Result<Self, StoreError> {
        let targets = url::parse(url)?;
        let place = targets.shown();
        let worker = Worker::new(targets)?;
        match mode {
            OpenMode::Create => {
                worker.call_blocking(Plan::MIGRATE, async |connection: &mut PgConnection| {
                    schema::migrate(connection).await
                })?;
            }
            OpenMode::Existing => {
                let found = worker.call_blocking(Plan::LOOK, async |connection: &mut PgConnection| {
                    schema::read(connection).await
                })?;
                if matches!(found, State::Empty) {
                    return Err(StoreError::Missing(PathBuf::from(place)));
                }
                worker.call_blocking(Plan::LOOK, async |connection: &mut PgConnection| {
                    schema::check(connection).await
                })?;
            }
        }
        Ok(Self::of(place, worker))
    }

    fn of(place: String, worker: Worker) -> Self {
        Self {
            place,
            worker,
            changed: OnceLock::new(),
            app_columns: Arc::default(),
            positions: Mutex::default(),
            seat: Mutex::default(),
            patience: Mutex::new(DEADLINE),
            routes: Mutex::default(),
        }
    }

    /// What a reader has seen that was given this revision.
    fn seen_at(&self, revision: Revision) -> Seen {
        self.positions.lock().unwrap_or_else(PoisonError::into_inner).at(revision)
    }

    /// The revision of a reader that has seen this since the one that it had; the same, if that is nothing new.
    fn keep(&self, before: Revision, seen: Option<Seen>) -> Revision {
        let Some(seen) = seen else { return before };
        self.positions.lock().unwrap_or_else(PoisonError::into_inner).keep(seen)
    }

    fn seat(&self) -> Option<Seat> {
        self.seat.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn seat_name(&self) -> Option<String> {
        self.seat().map(|seat| seat.name)
    }

    fn routes(&self) -> Arc<[Route]> {
        Arc::clone(&self.routes.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The seat, for what only a manager does.
    fn own_seat(&self) -> Result<Seat, StoreError> {
        self.seat().ok_or(StoreError::Deposed)
    }

    /// A database that is not there now: each call connects if it can, and then looks what it is.
    ///
    /// # Errors
    /// When the URL is not valid.
    pub fn later(url: &str) -> Result<Self, StoreError> {
        let targets = url::parse(url)?;
        let place = targets.shown();
        Ok(Self::of(place, Worker::new(targets)?))
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
fn valid<T>(found: &[PgRow], read: impl Fn(&PgRow) -> sqlx::Result<T>) -> sqlx::Result<Vec<T>> {
    let read = found.iter().map(read);
    read.filter(|row| !row.as_ref().is_err_and(reader::is_meaningless)).collect()
}

#[async_trait]
impl Store for PostgresStore {
    async fn snapshot(&self) -> Result<Snapshot, StoreError> {
        let manager = self.seat_name();
        let read = self.worker.call(Plan::READ_ALL, async move |connection: &mut PgConnection| {
                let manager = manager.as_deref();
                let apps = composed(format!(
                    "SELECT {} FROM apps WHERE $1 IS NULL OR manager = $1 ORDER BY revision",
                    rows::app_columns()
                ))
                .bind(manager)
                .fetch_all(&mut *connection)
                .await?;
                let open_runs = statement(
                    "SELECT runtime, app_id, start_time, due_time, trigger, attempt, command_id, pid, manager FROM runtime \
                     WHERE end_time IS NULL \
                       AND ($1 IS NULL OR manager = $1 OR app_id IN (SELECT app FROM apps WHERE manager = $1)) \
                     ORDER BY start_time, id",
                )
                .bind(manager)
                .fetch_all(&mut *connection)
                .await?;
                let snapshot = Snapshot {
                    apps: apps.iter().map(rows::registered).collect::<sqlx::Result<_>>()?,
                    open_runs: valid(&open_runs, rows::open_run)?,
                    commands: operator::pending(connection, &[], manager).await?,
                    limits: operator::limits(connection, manager).await?,
                    elsewhere: BTreeSet::new(),
                    removed: foreign::removed(connection).await?,
                    bad_reports: look::open_alerts(connection, AlertKind::BadReport).await?,
                    locked_rows: look::open_alerts(connection, AlertKind::RowLocked).await?,
                    fleet_alerts: fleet_alerts::taken_up(connection, manager).await?,
                    revision: Revision::default(),
                };
                Ok((snapshot, positions::now(connection).await?))
            });
        let (snapshot, seen) = read.await?;
        Ok(Snapshot { revision: self.keep(Revision::default(), Some(seen)), ..snapshot })
    }

    async fn commit(&self, changes: Vec<Change>) -> Result<Committed, StoreError> {
        let (seat, routes) = (self.seat(), self.routes());
        let more = PER_CHANGE * u32::try_from(changes.len()).unwrap_or(u32::MAX);
        self.worker
            .call(Plan::COMMIT.within(DEADLINE + more), async move |connection: &mut PgConnection| {
                commit::commit(connection, &changes, seat.as_ref(), &routes).await
            })
            .await
    }

    async fn foreign_changes(&self, revision: Revision, thorough: bool) -> Result<Foreign, StoreError> {
        let since = self.seen_at(revision);
        let seat = self.seat();
        let read = self.worker.call(Plan::READ, async move |connection: &mut PgConnection| {
            if thorough || foreign::is_touched(connection, &since).await? {
                foreign::changes(connection, &since, seat.as_ref()).await
            } else {
                Ok((Foreign::default(), None))
            }
        });
        let (foreign, seen) = read.await?;
        Ok(Foreign { revision: self.keep(revision, seen), ..foreign })
    }

    async fn news(
        &self,
        revision: Revision,
        handed: Vec<CommandId>,
        thorough: bool,
    ) -> Result<News, StoreError> {
        let since = self.seen_at(revision);
        let seat = self.seat();
        let read = self.worker.call(Plan::READ, async move |connection: &mut PgConnection| {
            let manager = seat.as_ref().map(|seat| seat.name.as_str());
            let mut news = News::default();
            if thorough {
                let pending = operator::pending(connection, &[], manager).await?;
                news = News::of_all_pending(pending, &handed);
            } else {
                news.commands = operator::pending(connection, &handed, manager).await?;
            }
            let mut seen = None;
            if thorough || !news.commands.is_empty() || foreign::is_touched(connection, &since).await? {
                (news.foreign, seen) = foreign::changes(connection, &since, seat.as_ref()).await?;
            }
            if thorough {
                news.limits = Some(operator::limits(connection, manager).await?);
                news.wanted_logs = match manager {
                    Some(manager) => logs::wanted(connection, manager).await?,
                    None => Vec::new(),
                };
            }
            Ok((news, seen))
        });
        let (mut news, seen) = read.await?;
        news.foreign.revision = self.keep(revision, seen);
        Ok(news)
    }

    async fn pending_commands(&self, handed: Vec<CommandId>) -> Result<Vec<Command>, StoreError> {
        let manager = self.seat_name();
        self.worker
            .call(Plan::READ, async move |connection: &mut PgConnection| {
                operator::pending(connection, &handed, manager.as_deref()).await
            })
            .await
    }

    async fn take_seat(&self, manager: ManagerRow) -> Result<(), StoreError> {
        // Late answers must not use up the time in which a lease can still be renewed.
        let patience = manager.lease.mul_f64(2.0 / 15.0).clamp(Duration::from_millis(100), DEADLINE);
        let seat = self
            .worker
            .call(Plan::WRITE, async move |connection: &mut PgConnection| {
                managers::take_seat(connection, &manager).await
            })
            .await?;
        *self.patience.lock().unwrap_or_else(PoisonError::into_inner) = patience;
        *self.seat.lock().unwrap_or_else(PoisonError::into_inner) = Some(seat);
        Ok(())
    }

    async fn renew(&self, load: Load) -> Result<Sight, StoreError> {
        let seat = self.own_seat()?;
        let patience = *self.patience.lock().unwrap_or_else(PoisonError::into_inner);
        let plan = Plan::URGENT.within(patience).waiting(patience * 4 / 5);
        let own = seat.clone();
        let renewed = self.worker.call(plan, async move |connection: &mut PgConnection| {
            managers::renew(connection, &own, load).await
        });
        match renewed.await {
            // Nothing but this row says until when the manager may run: an operator has to end the other transaction.
            Err(StoreError::Locked(why)) => {
                let held = self.worker.call(Plan::READ.within(patience), async move |connection| {
                    held::seat(connection, &seat.name).await
                });
                Err(StoreError::Unavailable(held.await.ok().flatten().unwrap_or(why)))
            }
            renewed => renewed,
        }
    }

    async fn prune(
        &self,
        pruning: Pruning,
        retention: Retention,
        after: String,
    ) -> Result<PrunedBatch, StoreError> {
        self.worker
            .call(Plan::WRITE, async move |connection: &mut PgConnection| {
                prune::prune(connection, pruning, &retention, &after).await
            })
            .await
    }

    async fn prunable(&self, retention: Retention) -> Result<Prunable, StoreError> {
        self.worker
            .call(Plan::READ_ALL, async move |connection: &mut PgConnection| {
                prune::count(connection, &retention).await
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
            .call(Plan::WRITE, async move |connection: &mut PgConnection| logs::keep(connection, &log).await)
            .await
    }

    async fn leave(&self) -> Result<(), StoreError> {
        let seat = self.own_seat()?;
        self.worker
            .call(Plan::WRITE_MANY.within(DEADLINE), async move |connection: &mut PgConnection| {
                managers::leave(connection, &seat).await
            })
            .await
    }
}

/// The first column of each row.
fn first_column<'r, T: sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>>(
    rows: &'r [PgRow],
) -> sqlx::Result<Vec<T>> {
    rows.iter().map(|row| row.try_get(0)).collect()
}
