//! The embedded database: SQLite in WAL mode. One thread owns the connection that writes, one the
//! connection that reads; other programs may write at any time.

mod commit;
mod connection;
mod logs;
mod look;
mod operator;
mod rename;
mod rows;
mod schema;
mod values;

use std::collections::BTreeSet;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use notify::Watcher as _;
use rusqlite::Connection;
use tokio::sync::watch;

use connection::{Link, Worker};
pub(super) use connection::{open_for_copy, translate};

use super::{Committed, OperatorStore as _, Store, StoreError};
use crate::model::{
    AlertKind, AppId, Change, Command, CommandId, Foreign, KeptLog, LEASE, Load, ManagerRow, Released,
    Revision, Sight, Snapshot, Timestamp, format_timestamp,
};

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
    /// The manager of this process that serves the database, and the lock that it holds meanwhile.
    serving: Mutex<Option<(String, File)>>,
    /// Kept for its drop: it ends the watch.
    _watcher: Option<notify::RecommendedWatcher>,
}

impl SqliteStore {
    /// Opens a database file.
    ///
    /// # Errors
    /// [`StoreError`] says whether to create it, to migrate it, or to keep off.
    pub fn open(path: &Path, mode: OpenMode) -> Result<Self, StoreError> {
        match mode {
            OpenMode::Create => {
                if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
                    std::fs::create_dir_all(folder).map_err(|error| {
                        StoreError::Unavailable(format!(
                            "cannot create the directory {}: {error}",
                            folder.display()
                        ))
                    })?;
                }
                schema::migrate(path)?;
            }
            OpenMode::Existing if !path.exists() => return Err(StoreError::Missing(path.to_owned())),
            OpenMode::Existing => {}
        }
        let (sender, changed) = watch::channel(0_u64);
        let announce = Box::new(move || sender.send_modify(|count| *count += 1));
        let reader = Worker::new("dcm-db-read", Link::open(path)?, Some(announce))?;
        let writer = Worker::new("dcm-db-write", Link::open(path)?, None)?;
        let watcher = watch_files(path, reader.clone());
        Ok(Self {
            path: path.to_owned(),
            writer,
            reader,
            changed,
            seen: Arc::default(),
            serving: Mutex::default(),
            _watcher: watcher,
        })
    }

    fn seat(&self) -> Option<String> {
        let serving = self.serving.lock().unwrap_or_else(PoisonError::into_inner);
        serving.as_ref().map(|(name, _)| name.clone())
    }

    /// Changes the row of the manager that serves the database.
    async fn update_seat(&self, load: Load, stopped: Option<Timestamp>) -> Result<(), StoreError> {
        let seat = self.seat();
        self.writer
            .call(move |connection| {
                connection
                    .prepare_cached(
                        "UPDATE managers SET heartbeat = strftime('%Y-%m-%dT%H:%M:%fZ', 'now'), running = ?2, \
                         running_max = ?3, waiting = ?4, stopped = ?5, renewals = min(renewals, 9223372036854775806) + 1 WHERE name = ?1",
                    )
                    .and_then(|mut statement| {
                        let stopped = stopped.map(format_timestamp);
                        statement.execute(rusqlite::params![
                            seat, load.running, load.running_max, load.waiting, stopped
                        ])
                    })
                    .map_err(|error| translate(&error))?;
                Ok(())
            })
            .await
    }

    /// Where the database is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Looks through the whole file; what is wrong comes back, one line each.
    pub async fn check(&self, quick: bool) -> Result<Vec<String>, StoreError> {
        self.reader
            .call(move |connection| {
                let pragma = if quick { "PRAGMA quick_check(20)" } else { "PRAGMA integrity_check(100)" };
                match collect(connection, pragma, [], |row| row.get::<_, String>(0)) {
                    Ok(found) => Ok(found.into_iter().filter(|line| line != "ok").collect()),
                    // So much damage that the check itself cannot go on.
                    Err(StoreError::Corrupt(fault)) => Ok(vec![fault]),
                    Err(error) => Err(error),
                }
            })
            .await
    }

    /// Writes a copy that is consistent, while others go on writing.
    ///
    /// # Errors
    /// [`StoreError::Refused`] when the target exists.
    pub async fn backup(&self, target: &Path) -> Result<(), StoreError> {
        if target.exists() {
            return Err(StoreError::Refused(format!("{} exists already", target.display())));
        }
        let target = target.to_owned();
        self.reader
            .call(move |connection| {
                let path = target.to_string_lossy();
                connection.execute("VACUUM INTO ?1", [path]).map_err(|error| translate(&error))?;
                Ok(())
            })
            .await
    }
}

/// One manager a database, whatever state directories there are. The lock is beside the file:
/// SQLite's own locks on it must not be touched.
fn lock_for_manager(path: &Path) -> Result<File, StoreError> {
    let mut name = path.as_os_str().to_owned();
    name.push("-manager");
    let failed =
        |error: std::io::Error| StoreError::Unavailable(format!("{}: {error}", Path::new(&name).display()));
    let file =
        File::options().create(true).truncate(false).read(true).write(true).open(&name).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let who = std::fs::read_to_string(&name).unwrap_or_default();
            return Err(StoreError::Served(format!("pid {}", who.trim())));
        }
        Err(TryLockError::Error(error)) => return Err(failed(error)),
    }
    std::fs::write(&name, std::process::id().to_string()).map_err(failed)?;
    Ok(file)
}

/// Wakes the reader when the file or its write-ahead log is written to. Without a watch (the limit
/// of watches is reached, say) its polling is enough.
fn watch_files(path: &Path, reader: Worker) -> Option<notify::RecommendedWatcher> {
    let path = path.canonicalize().ok()?;
    let (folder, name) = (path.parent()?.to_owned(), path.file_name()?.to_owned());
    let mut log = name.clone();
    log.push("-wal");
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        let concerns_us = event.is_ok_and(|event| {
            !event.kind.is_access()
                && event
                    .paths
                    .iter()
                    .filter_map(|path| path.file_name())
                    .any(|file| file == name || file == log)
        });
        if concerns_us {
            reader.hint();
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
                let sql = format!("SELECT {} FROM apps ORDER BY revision", rows::APP_COLUMNS);
                let snapshot = Snapshot {
                    apps: collect(&transaction, &sql, [], rows::registered)?,
                    open_runs: collect_valid(
                        &transaction,
                        "SELECT runtime, app_id, start_time, due_time, trigger, attempt, command_id, pid FROM runtime \
                         WHERE end_time IS NULL ORDER BY start_time",
                        [],
                        rows::open_run,
                    )?,
                    commands: operator::pending(&transaction, CommandId(0))?,
                    limits: operator::limits(&transaction, seat.as_deref())?,
                    elsewhere: BTreeSet::new(),
                    bad_reports: look::open_alerts(&transaction, AlertKind::BadReport)?,
                    revision: operator::revision(&transaction)?,
                };
                Ok(snapshot)
            })
            .await
    }

    async fn commit(&self, changes: Vec<Change>) -> Result<Committed, StoreError> {
        self.writer
            .call(move |connection| commit::commit(connection, &changes).map_err(|error| translate(&error)))
            .await
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

    async fn pending_commands(&self, last: CommandId) -> Result<Vec<Command>, StoreError> {
        self.writer.call(move |connection| operator::pending(connection, last)).await
    }

    async fn take_seat(&self, manager: ManagerRow) -> Result<(), StoreError> {
        let lock = lock_for_manager(&self.path)?;
        *self.serving.lock().unwrap_or_else(PoisonError::into_inner) = Some((manager.name.clone(), lock));
        self.writer
            .call(move |connection| {
                connection
                    .execute(
                        "INSERT INTO managers (name, host, pid, version, started, heartbeat, lease, home, boot, pools, python) \
                         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) ON CONFLICT (name) DO UPDATE SET \
                         host = excluded.host, pid = excluded.pid, version = excluded.version, \
                         started = excluded.started, heartbeat = excluded.heartbeat, stopped = NULL, \
                         incarnation = min(incarnation, 9223372036854775806) + 1, lease = excluded.lease, home = excluded.home, \
                         boot = excluded.boot, pools = excluded.pools, python = excluded.python",
                        rusqlite::params![
                            manager.name,
                            manager.host,
                            manager.pid,
                            manager.version,
                            format_timestamp(manager.started),
                            format_timestamp(manager.heartbeat),
                            // Nobody waits for it: another manager is kept out by the lock.
                            LEASE.as_secs_f64(),
                            manager.home,
                            manager.boot,
                            serde_json::json!(manager.pools).to_string(),
                            manager.python,
                        ],
                    )
                    .map_err(|error| translate(&error))?;
                Ok(())
            })
            .await
    }

    async fn renew(&self, load: Load) -> Result<Sight, StoreError> {
        self.update_seat(load, None).await?;
        Ok(Sight { now: self.time().await?, ..Sight::default() })
    }

    async fn claim(&self) -> Result<u64, StoreError> {
        Ok(0)
    }

    async fn depose(&self, _lost: &ManagerRow) -> Result<Released, StoreError> {
        Ok(Released::default())
    }

    async fn leave(&self) -> Result<(), StoreError> {
        let now = self.time().await?;
        self.update_seat(Load::default(), Some(now)).await
    }

    async fn wanted_logs(&self, manager: String) -> Result<Vec<AppId>, StoreError> {
        self.reader.call(move |connection| logs::wanted(connection, &manager)).await
    }

    async fn keep_log(&self, log: KeptLog) -> Result<(), StoreError> {
        self.writer.call(move |connection| logs::keep(connection, &log)).await
    }
}
