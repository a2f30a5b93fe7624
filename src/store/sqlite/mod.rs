//! The embedded database: SQLite in WAL mode. One thread owns the connection that writes, one the
//! connection that reads; other programs may write at any time.

mod backlog;
mod commit;
mod connection;
mod deliveries;
mod document_look;
mod documents;
mod facts;
mod fleet_alerts;
mod inspect;
mod link;
mod logs;
mod look;
mod operator;
mod pipeline;
mod prune;
mod reader;
mod rename;
mod requests;
mod schema;
mod seat;

use std::collections::BTreeSet;
use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use async_trait::async_trait;
use notify::event::ModifyKind;
use notify::{EventKind, Watcher as _};
use rusqlite::Connection;
use rusqlite::types::{ToSqlOutput, ValueRef};
use tokio::sync::watch;

use connection::{Duty, Worker};
pub(super) use connection::{open_for_copy, translate};
use link::{Link, Role, Shared};

use super::{Committed, OperatorStore as _, Store, StoreError};
use crate::files;
use crate::model::{
    AlertKind, AppId, Change, Command, CommandId, Foreign, KeptLog, Load, ManagerRow, Prunable, PrunedBatch,
    Pruning, Retention, Revision, Sight, Snapshot,
};
use crate::store::rows;

/// Whether a database file is created where there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenMode {
    /// It is, and an old one is brought up to date.
    Create,
    /// It must exist, in the version of this program.
    Existing,
}

/// A database file.
pub struct SqliteStore {
    path: PathBuf,
    writer: Worker,
    reader: Worker,
    changed: watch::Receiver<u64>,
    /// Foreign writes that the writer's connection has seen so far.
    seen: Arc<Mutex<i64>>,
    shared: Arc<Shared>,
    /// Held while the manager of this process serves the database.
    lock: Mutex<Option<File>>,
    /// Kept for its drop: it ends the watch.
    watcher: Option<notify::RecommendedWatcher>,
    /// The threads of the connections, in the order in which they are to close.
    threads: Vec<(Worker, JoinHandle<()>)>,
    batch_size: Arc<prune::BatchSize>,
    was_left_in_disorder: AtomicBool,
}

impl SqliteStore {
    /// Opens a database file.
    ///
    /// # Errors
    /// [`StoreError`] says whether to create it, to migrate it, or to keep off.
    pub fn open(path: &Path, mode: OpenMode) -> Result<Self, StoreError> {
        find(path, mode)?;
        if mode == OpenMode::Create {
            schema::migrate(path)?;
        }
        let shared = Arc::<Shared>::default();
        let link = |role| Link::open(path, role, Arc::clone(&shared));
        let (reading, writing) = (link(Role::Reader)?, link(Role::Writer)?);
        let (writer, write_thread) = Worker::new("dcm-db-write", writing, Duty::Checkpoint)?;
        let (sender, changed) = watch::channel(0_u64);
        let stirred = writer.clone();
        let announce = Box::new(move || {
            stirred.stir();
            sender.send_modify(|count| *count += 1);
        });
        let (reader, read_thread) = Worker::new("dcm-db-read", reading, Duty::Announce(announce))?;
        let watcher = watch_files(path, reader.clone(), writer.clone());
        Ok(Self {
            path: path.to_owned(),
            threads: vec![(reader.clone(), read_thread), (writer.clone(), write_thread)],
            writer,
            reader,
            changed,
            seen: Arc::default(),
            shared,
            lock: Mutex::default(),
            watcher,
            batch_size: Arc::default(),
            was_left_in_disorder: AtomicBool::default(),
        })
    }

    fn seat(&self) -> Option<String> {
        self.shared.seat().map(|seat| seat.mark.manager)
    }

    /// Where the database is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Looks through the whole file; what is wrong comes back, one line each.
    pub async fn check(&self) -> Result<Vec<String>, StoreError> {
        self.reader
            .call(move |connection| {
                let pragma = "PRAGMA integrity_check(100)";
                match collect(connection, pragma, [], |row| row.get::<_, String>(0)) {
                    Ok(found) => Ok(found.into_iter().filter(|line| line != "ok").collect()),
                    // So much damage that the check itself cannot go on.
                    Err(StoreError::Corrupt(fault)) => Ok(vec![fault]),
                    Err(error) => Err(error),
                }
            })
            .await
    }

    /// Looks at what a manager works with, which does not grow with time: history may be large, and is looked at while
    /// the manager works.
    pub async fn check_fleet(&self) -> Result<Vec<String>, StoreError> {
        self.reader.call(|connection| inspect::fleet(connection)).await
    }

    /// Writes a copy that is consistent, while others go on writing. It is for its owner alone.
    ///
    /// # Errors
    /// [`StoreError::Refused`] when the target exists.
    pub async fn backup(&self, target: &Path) -> Result<(), StoreError> {
        let target = std::path::absolute(target).unwrap_or_else(|_| target.to_owned());
        match files::create_private(&target) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                return Err(StoreError::Refused(format!("{} exists already", target.display())));
            }
            Err(error) => {
                return Err(StoreError::Refused(format!("cannot create {}: {error}", target.display())));
            }
        }
        self.reader
            .call(move |connection| {
                let path = target.as_os_str().as_encoded_bytes();
                let written =
                    connection.execute("VACUUM INTO ?1", [ValueRef::Text(path)].map(ToSqlOutput::Borrowed));
                if written.is_err() {
                    // Half a copy is none.
                    let _ = std::fs::remove_file(&target);
                }
                written.map(drop).map_err(|error| translate(&error))
            })
            .await
    }
}

impl Drop for SqliteStore {
    /// Waits until the connections are closed, one after the other: the last one writes what the log holds into the file,
    /// and where two close at once, each sees the other's lock and neither is the last.
    fn drop(&mut self) {
        self.watcher = None;
        for (worker, thread) in self.threads.drain(..) {
            worker.end();
            // A thread that has panicked has closed its connection as well.
            let _ = thread.join();
        }
    }
}

/// Looks whether there is a file that can be opened, and makes the folder of one that is to be made.
fn find(path: &Path, mode: OpenMode) -> Result<(), StoreError> {
    if mode == OpenMode::Create
        && let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty())
    {
        std::fs::create_dir_all(folder).map_err(|error| {
            if error.kind() == ErrorKind::PermissionDenied {
                return StoreError::no_permission(folder);
            }
            StoreError::Denied(format!("cannot create the directory {}: {error}", folder.display()))
        })?;
    }
    let not_a_file = |what: &str| {
        StoreError::Denied(format!(
            "{} is {what}, not a database file; name another one with --database",
            path.display()
        ))
    };
    match std::fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => Err(not_a_file("a directory")),
        Ok(metadata) if !metadata.is_file() => Err(not_a_file("a device or a pipe")),
        Ok(metadata) if metadata.len() == 0 && mode == OpenMode::Existing => {
            Err(StoreError::Denied(format!(
                "the database file {} is empty; put a backup in its place, or make it a new one with dcm db migrate",
                path.display()
            )))
        }
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::NotFound && mode == OpenMode::Create => Ok(()),
        Err(error) if error.kind() == ErrorKind::NotFound => Err(StoreError::Missing(path.to_owned())),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => Err(StoreError::no_permission(path)),
        Err(error) => {
            Err(StoreError::Denied(format!("cannot use the database file {}: {error}", path.display())))
        }
    }
}

/// The runs under way. Without the `+` they are looked for along the index of all times, which reads the whole history.
const OPEN_RUNS: &str = "SELECT runtime, app_id, start_time, due_time, trigger, attempt, command_id, pid, NULL AS manager FROM runtime \
     WHERE end_time IS NULL ORDER BY +start_time";

/// Wakes the reader when the file or its write-ahead log is written to, and the writer when one of the files comes or
/// goes. Without a watch (the limit of watches is reached, say) their polling is enough.
fn watch_files(path: &Path, reader: Worker, writer: Worker) -> Option<notify::RecommendedWatcher> {
    let path = path.canonicalize().ok()?;
    let (folder, name) = (path.parent()?.to_owned(), path.file_name()?.to_owned());
    let beside = |suffix: &str| {
        let mut name = name.clone();
        name.push(suffix);
        name
    };
    let names = [name.clone(), beside("-wal"), beside("-shm")];
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        let Ok(event) = event else { return };
        let is_ours = event
            .paths
            .iter()
            .filter_map(|path| path.file_name())
            .any(|file| names.iter().any(|name| name == file));
        if !is_ours || event.kind.is_access() {
            return;
        }
        reader.hint();
        if event.kind.is_create()
            || event.kind.is_remove()
            || matches!(event.kind, EventKind::Modify(ModifyKind::Name(_)))
        {
            writer.hint();
        }
    })
    .ok()?;
    watcher.watch(&folder, notify::RecursiveMode::NonRecursive).ok()?;
    Some(watcher)
}

/// Runs a query and reads all of its rows.
fn collect<T>(
    connection: &Connection,
    sql: &str,
    params: impl rusqlite::Params,
    read: impl FnMut(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
) -> Result<Vec<T>, StoreError> {
    let run =
        || connection.prepare_cached(sql)?.query_map(params, read)?.collect::<rusqlite::Result<Vec<T>>>();
    run().map_err(|error| translate(&error))
}

/// The same, leaving out rows that a hand edited into nonsense.
fn collect_valid<T>(
    connection: &Connection,
    sql: &str,
    params: impl rusqlite::Params,
    read: impl FnMut(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
) -> Result<Vec<T>, StoreError> {
    let run = || {
        let mut statement = connection.prepare_cached(sql)?;
        let rows = statement.query_map(params, read)?;
        rows.filter(|row| !matches!(row, Err(rusqlite::Error::FromSqlConversionFailure(..))))
            .collect::<rusqlite::Result<Vec<T>>>()
    };
    run().map_err(|error| translate(&error))
}

#[async_trait]
impl Store for SqliteStore {
    async fn snapshot(&self) -> Result<Snapshot, StoreError> {
        let seat = self.seat();
        self.writer
            .call(move |connection| {
                let transaction = connection.transaction().map_err(|error| translate(&error))?;
                let sql = format!("SELECT {} FROM apps ORDER BY revision", rows::app_columns());
                let snapshot = Snapshot {
                    apps: collect(&transaction, &sql, [], |row| rows::registered(row))?,
                    open_runs: collect_valid(&transaction, OPEN_RUNS, [], |row| rows::open_run(row))?,
                    commands: operator::pending(&transaction, &[])?,
                    limits: operator::limits(&transaction, seat.as_deref())?,
                    elsewhere: BTreeSet::new(),
                    bad_reports: look::open_alerts(&transaction, AlertKind::BadReport)?,
                    removed: operator::removed(&transaction)?,
                    locked_rows: BTreeSet::new(),
                    fleet_alerts: fleet_alerts::taken_up(&transaction)?,
                    revision: operator::revision(&transaction)?,
                };
                Ok(snapshot)
            })
            .await
    }

    async fn commit(&self, changes: Vec<Change>) -> Result<Committed, StoreError> {
        let shared = Arc::clone(&self.shared);
        self.writer.call(move |connection| commit::commit(connection, &changes, &shared)).await
    }

    async fn foreign_changes(&self, revision: Revision, thorough: bool) -> Result<Foreign, StoreError> {
        let seen = Arc::clone(&self.seen);
        self.writer
            .call(move |connection| {
                // Counts the commits of others only.
                let version: i64 = connection
                    .query_row("PRAGMA data_version", [], |row| row.get(0))
                    .map_err(|error| translate(&error))?;
                let before =
                    std::mem::replace(&mut *seen.lock().unwrap_or_else(PoisonError::into_inner), version);
                if before == version && !thorough {
                    return Ok(Foreign { revision, ..Foreign::default() });
                }
                operator::delta(connection, revision).map(Foreign::from)
            })
            .await
    }

    async fn pending_commands(&self, handed: Vec<CommandId>) -> Result<Vec<Command>, StoreError> {
        self.writer.call(move |connection| operator::pending(connection, &handed)).await
    }

    async fn take_seat(&self, manager: ManagerRow) -> Result<(), StoreError> {
        seat::lock(&self.path, &self.lock)?;
        let shared = Arc::clone(&self.shared);
        let was_left = self.writer.call(move |connection| seat::take(connection, &manager, &shared)).await?;
        self.was_left_in_disorder.store(was_left, Ordering::Relaxed);
        Ok(())
    }

    async fn renew(&self, load: Load) -> Result<Sight, StoreError> {
        let shared = Arc::clone(&self.shared);
        self.writer.call_as_heartbeat(move |connection| seat::renew(connection, load, &shared)).await?;
        Ok(Sight { now: self.time().await?, ..Sight::default() })
    }

    async fn leave(&self) -> Result<(), StoreError> {
        let shared = Arc::clone(&self.shared);
        self.writer.call(move |connection| seat::leave(connection, &shared)).await
    }

    async fn prune(
        &self,
        pruning: Pruning,
        retention: Retention,
        after: String,
    ) -> Result<PrunedBatch, StoreError> {
        let from = after.clone();
        let found =
            self.reader.call(move |connection| prune::find(connection, pruning, &retention, &from)).await?;
        if found.is_empty() {
            return Ok(PrunedBatch { rows: 0, next: found.next() });
        }
        let (shared, size) = (Arc::clone(&self.shared), Arc::clone(&self.batch_size));
        let batch = self
            .writer
            .call(move |connection| prune::delete(connection, pruning, found, after, &shared, &size))
            .await?;
        self.reader.call(|connection| prune::checkpoint(connection)).await?;
        Ok(batch)
    }

    async fn prunable(&self, retention: Retention) -> Result<Prunable, StoreError> {
        self.reader.call(move |connection| prune::count(connection, &retention)).await
    }

    fn was_left_in_disorder(&self) -> bool {
        self.was_left_in_disorder.load(Ordering::Relaxed)
    }

    async fn inspect(&self) -> Result<Vec<String>, StoreError> {
        inspect::all(self.path.clone()).await
    }

    async fn wanted_logs(&self, manager: String) -> Result<Vec<AppId>, StoreError> {
        self.reader.call(move |connection| logs::wanted(connection, &manager)).await
    }

    async fn keep_log(&self, log: KeptLog) -> Result<(), StoreError> {
        self.writer.call(move |connection| logs::keep(connection, &log)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_manager_begins_with_is_read_without_the_history() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("dcm.db");
        schema::migrate(&path).unwrap();
        let connection = link::connect(&path).unwrap();
        let sql = format!("EXPLAIN QUERY PLAN {OPEN_RUNS}");
        let plan = collect(&connection, &sql, [], |row| row.get::<_, String>(3)).unwrap();
        assert!(plan[0].contains("runtime_open"), "{plan:?}");
    }
}
