//! A connection that is opened again when the file under it is another one, and the care for the files beside it:
//! `-wal` and `-shm`, which must never be used with another database than their own.

use std::fs::Metadata;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension as _};

use super::connection::{prepare, translate};
use super::schema;
use crate::files::{self, FileId};
use crate::model::Route;
use crate::store::StoreError;

/// A file that took the place of another is complete when it was not written to for so long.
const SETTLED: Duration = Duration::from_secs(1);

/// How long after a first look at a file that seems to be overwritten it is looked at again.
const AGAIN: Duration = Duration::from_millis(50);

/// What the connections of one store know in common.
#[derive(Debug, Default)]
pub(super) struct Shared {
    /// How often the database was found to be another one than before.
    replacements: AtomicU64,
    gate: Mutex<Gate>,
    /// The seat of the manager of this process, if there is one: then it is the one to repair what was removed.
    seat: Mutex<Option<Seat>>,
    /// Where the alerts go that the manager opens.
    routes: Mutex<Arc<[Route]>>,
}

/// SQLite keeps one index of the log for all connections of a process to a file, also when that index was removed: a
/// new one is begun only once all of them are closed.
#[derive(Debug, Default)]
struct Gate {
    open: usize,
    is_closing: bool,
    /// They are closed because the file is another one by now: it may not be complete yet.
    awaits_another: bool,
}

/// A manager's hold of the database: its row as it last wrote it. A database without that row, or with an older one,
/// is not the one that the manager knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seat {
    pub(super) mark: Mark,
    replacements: u64,
}

impl Shared {
    pub(super) fn routes(&self) -> Arc<[Route]> {
        Arc::clone(&self.routes.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn set_routes(&self, routes: Vec<Route>) {
        *self.routes.lock().unwrap_or_else(PoisonError::into_inner) = Arc::from(routes);
    }

    pub(super) fn seat(&self) -> Option<Seat> {
        self.seat.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// From now on the manager's row is like this.
    pub(super) fn sit(&self, mark: Mark) {
        let seat = Seat { mark, replacements: self.replacements() };
        *self.seat.lock().unwrap_or_else(PoisonError::into_inner) = Some(seat);
    }

    /// The manager's own commit was written.
    pub(super) fn moved(&self, connection: &Connection) -> rusqlite::Result<()> {
        if let Some(seat) = self.seat() {
            self.sit(read_mark(connection, &seat.mark.manager)?);
        }
        Ok(())
    }

    fn gate(&self) -> MutexGuard<'_, Gate> {
        self.gate.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn replacements(&self) -> u64 {
        self.replacements.load(Ordering::Acquire)
    }

    /// Whether the database is still the one in which the manager took its seat.
    ///
    /// # Errors
    /// [`StoreError::Replaced`] if it is not.
    pub(super) fn check_seat(&self, connection: &Connection) -> Result<(), StoreError> {
        let Some(Seat { mark, replacements }) = self.seat() else { return Ok(()) };
        let found = read_mark(connection, &mark.manager).optional().map_err(|error| translate(&error))?;
        let is_same = found.is_some_and(|found| found.comes_after(&mark));
        if is_same && replacements == self.replacements() { Ok(()) } else { Err(StoreError::Replaced) }
    }
}

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Writer,
    Reader,
}

/// A connection that is opened again when the file was replaced or came back.
pub(super) struct Link {
    path: PathBuf,
    role: Role,
    shared: Arc<Shared>,
    open: Option<Open>,
}

struct Open {
    connection: Connection,
    file: FileId,
    logs: Logs,
    data_version: i64,
    /// When the file itself was written to last, as far as this connection accounts for it.
    modified: Option<SystemTime>,
    /// The manager's row that the file itself, without its log, is known to hold at least.
    in_file: Option<Mark>,
}

/// The files beside an open database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Logs {
    wal: Option<FileId>,
    shm: Option<FileId>,
}

/// How far the manager's own row has come: a database that holds less is an older one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) manager: String,
    pub(super) incarnation: i64,
    pub(super) renewals: i64,
    /// Of the apps table.
    pub(super) revision: i64,
}

impl Mark {
    /// Whether this may be read from the database in which the other was read before.
    fn comes_after(&self, earlier: &Self) -> bool {
        self.incarnation == earlier.incarnation
            && self.renewals >= earlier.renewals
            && self.revision >= earlier.revision
    }
}

impl Link {
    /// Opens an existing database file.
    pub(super) fn open(path: &Path, role: Role, shared: Arc<Shared>) -> Result<Self, StoreError> {
        // An absolute path is never taken for a URI.
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let mut link = Self { path, role, shared, open: None };
        link.connect()?;
        Ok(link)
    }

    /// Does a job with the connection.
    pub(super) fn with<T>(
        &mut self,
        job: impl FnOnce(&mut Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let result = job(self.connect()?);
        if self.role == Role::Writer {
            self.note_own_checkpoint();
        }
        result
    }

    /// What a job of this connection wrote to the file itself is no sign of a stranger.
    fn note_own_checkpoint(&mut self) {
        let Ok(metadata) = std::fs::metadata(&self.path) else { return };
        let modified = metadata.modified().ok();
        let is_new =
            |open: &Open| open.file == FileId::of(&self.path, &metadata) && open.modified != modified;
        if !self.open.as_ref().is_some_and(is_new) {
            return;
        }
        let in_file = self.shared.seat().and_then(|seat| self.mark_in_file(&seat.mark.manager).ok());
        if let Some(open) = &mut self.open {
            open.modified = modified;
            open.in_file = in_file.or(open.in_file.take());
        }
    }

    /// The connection, made again if the file at the path is not the one that is open. Writing to a file that was
    /// moved away would lose what is written; writing to one that was overwritten would destroy it.
    fn connect(&mut self) -> Result<&mut Connection, StoreError> {
        let metadata = self.find()?;
        if let Some(open) = &self.open {
            if open.file != FileId::of(&self.path, &metadata) {
                self.is_another("the database file was replaced; going on with the new one");
            } else if self.role == Role::Writer && self.is_overwritten(&metadata)? {
                self.is_another("the database file was overwritten; going on with what it holds now");
            } else {
                self.look_after_logs()?;
            }
        }
        if self.open.is_some() && self.shared.gate().is_closing {
            self.close();
        }
        if self.open.is_none() {
            self.pass_gate(&metadata)?;
            match self.open_file(&metadata) {
                Ok(open) => self.open = Some(open),
                Err(error) => {
                    self.shared.gate().open -= 1;
                    return Err(error);
                }
            }
        }
        match &mut self.open {
            Some(open) => Ok(&mut open.connection),
            None => Err(StoreError::Unavailable("it is not open".to_owned())),
        }
    }

    /// Waits for no one: as long as it must not be opened, that is the answer.
    fn pass_gate(&self, metadata: &Metadata) -> Result<(), StoreError> {
        let path = self.path.display();
        let mut gate = self.shared.gate();
        if gate.awaits_another && !is_settled(metadata) {
            let why = format!("the file {path} is being replaced; waiting until it is complete");
            return Err(StoreError::Unavailable(why));
        }
        if gate.is_closing && gate.open > 0 {
            return Err(StoreError::Unavailable(format!("the file {path} is about to be opened again")));
        }
        *gate = Gate { open: gate.open + 1, is_closing: false, awaits_another: false };
        Ok(())
    }

    /// Closes the connection without writing to the file.
    fn close(&mut self) {
        let Some(open) = self.open.take() else { return };
        let _ = open.connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true);
        drop(open);
        self.shared.gate().open -= 1;
    }

    /// Looks at the file without opening it: closing it again would drop the locks of SQLite.
    fn find(&mut self) -> Result<Metadata, StoreError> {
        let path = self.path.display();
        match std::fs::metadata(&self.path) {
            Ok(metadata) if metadata.len() > 0 || self.open.is_none() => Ok(metadata),
            Ok(_) => {
                let why = format!("the file {path} is empty; put the database back, or restore a backup");
                if self.role == Role::Writer {
                    self.is_another("the database file was emptied; waiting for a backup in its place");
                }
                Err(StoreError::Unavailable(why))
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Err(StoreError::Unavailable(format!(
                "the file {path} is gone; put it back, or restore a backup"
            ))),
            Err(error) => Err(StoreError::Unavailable(format!("{path}: {error}"))),
        }
    }

    fn open_file(&self, metadata: &Metadata) -> Result<Open, StoreError> {
        let connection = connect(&self.path)?;
        let mode: String = connection
            .query_row("PRAGMA journal_mode", [], |row| row.get(0))
            .map_err(|error| translate(&error))?;
        let logs = self.logs();
        if mode == "wal" && (logs.wal.is_none() || logs.shm.is_none()) {
            let path = self.path.display();
            return Err(StoreError::Unavailable(format!("the write-ahead log of {path} is being removed")));
        }
        Ok(Open {
            connection,
            file: FileId::of(&self.path, metadata),
            logs,
            data_version: 0,
            modified: metadata.modified().ok(),
            in_file: None,
        })
    }

    fn beside(&self, suffix: &str) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(suffix);
        name.into()
    }

    fn logs(&self) -> Logs {
        Logs { wal: FileId::at(&self.beside("-wal")), shm: FileId::at(&self.beside("-shm")) }
    }

    /// The database is not the one that is open any more. Its connection is closed without writing to the file, and
    /// the log of the old database is put out of the way of the new one.
    fn is_another(&mut self, what: &str) {
        let Some(open) = &self.open else { return };
        if self.role == Role::Writer {
            tracing::warn!(path = %self.path.display(), "{what}");
            if open.logs.wal.is_some() && open.logs.wal == self.logs().wal {
                let _ = std::fs::rename(self.beside("-wal"), self.beside("-wal.old"));
                let _ = std::fs::remove_file(self.beside("-shm"));
            }
            self.shared.replacements.fetch_add(1, Ordering::AcqRel);
        }
        self.close_for_all(true);
    }

    /// All connections of this store are to be closed before one is opened again.
    fn close_for_all(&mut self, awaits_another: bool) {
        let mut gate = self.shared.gate();
        gate.is_closing = true;
        gate.awaits_another |= awaits_another;
        drop(gate);
        self.close();
    }

    /// Whether the file was written to by something else than a checkpoint: it holds an older row of the manager that
    /// serves it than it held before.
    ///
    /// # Errors
    /// While that cannot be told: it is being written.
    fn is_overwritten(&self, metadata: &Metadata) -> Result<bool, StoreError> {
        let open = self.open.as_ref().filter(|open| open.modified != metadata.modified().ok());
        let Some(before) = open.and_then(|open| open.in_file.as_ref()) else { return Ok(false) };
        for pause in [AGAIN, Duration::ZERO] {
            match self.mark_in_file(&before.manager) {
                Ok(found) if found.comes_after(before) => return Ok(false),
                // Another program deleted or renamed the manager's row: its log must not be put aside for that.
                Err(rusqlite::Error::QueryReturnedNoRows)
                    if self.revision_in_file().is_ok_and(|found| found >= before.revision) =>
                {
                    return Ok(false);
                }
                // A checkpoint of another program may be at work: it is looked at twice.
                Ok(_) | Err(rusqlite::Error::QueryReturnedNoRows) => std::thread::park_timeout(pause),
                Err(_) => {
                    let path = self.path.display();
                    return Err(StoreError::Unavailable(format!(
                        "the file {path} is being written by another program"
                    )));
                }
            }
        }
        Ok(true)
    }

    /// The manager's row in the file itself, whatever its log holds.
    fn mark_in_file(&self, manager: &str) -> rusqlite::Result<Mark> {
        read_mark(&self.file_alone()?, manager)
    }

    fn revision_in_file(&self) -> rusqlite::Result<i64> {
        self.file_alone()?.query_row("SELECT value FROM revision", [], |row| row.get(0))
    }

    fn file_alone(&self) -> rusqlite::Result<Connection> {
        let uri = format!("file:{}?immutable=1", percent_encoded(&self.path));
        let flags =
            OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
        Connection::open_with_flags(uri, flags)
    }

    /// Somebody removed the log of the open database, or its index: other programs would begin new ones, and none would
    /// see what the other writes. The process that serves the database writes what is in the log into the file, and
    /// begins a new log; all others open it again.
    fn look_after_logs(&mut self) -> Result<(), StoreError> {
        let Some(before) = self.open.as_ref().map(|open| open.logs) else { return Ok(()) };
        let found = self.logs();
        match (self.role, self.shared.seat().is_some()) {
            _ if found == before => {}
            (Role::Writer, true) => self.rebuild_logs(before, found)?,
            // What it reads is what the writer writes.
            (Role::Reader, true) => {}
            (Role::Reader | Role::Writer, false) => self.close_for_all(false),
        }
        Ok(())
    }

    fn rebuild_logs(&mut self, before: Logs, found: Logs) -> Result<(), StoreError> {
        let Some(open) = &self.open else { return Ok(()) };
        checkpoint(&open.connection, "FULL")?;
        let path = self.path.display();
        tracing::error!(
            %path,
            "the write-ahead log of the database (-wal or -shm) was removed while it was open; what it held was written \
             to the file, and a new log was begun; leave these files alone while a manager is running"
        );
        if found.wal.is_some() && found.wal != before.wal {
            let _ = std::fs::rename(self.beside("-wal"), self.beside("-wal.old"));
            tracing::error!(
                %path,
                "another program had begun a log of its own meanwhile; what it wrote is lost, and is kept in -wal.old"
            );
        }
        // What is left of the old ones must not be used with the new ones.
        let _ = std::fs::remove_file(self.beside("-wal"));
        let _ = std::fs::remove_file(self.beside("-shm"));
        self.close_for_all(false);
        Ok(())
    }

    /// Looks after the files beside the database between two jobs.
    pub(super) fn look_after(&mut self) {
        // What is wrong is told by the next job.
        let _ = self.connect();
    }

    /// Whether others have written to the database since this was last asked.
    pub(super) fn was_changed_by_others(&mut self) -> bool {
        let Ok(connection) = self.connect() else { return false };
        let version = connection.query_row("PRAGMA data_version", [], |row| row.get(0));
        match (&mut self.open, version) {
            (Some(open), Ok(version)) => std::mem::replace(&mut open.data_version, version) != version,
            (_, Err(_)) | (None, Ok(_)) => false,
        }
    }

    /// Rows that were changed by this connection so far.
    pub(super) fn changes(&self) -> u64 {
        self.open.as_ref().map_or(0, |open| open.connection.total_changes())
    }

    /// Writes what the log holds into the file, so that a copy of the file alone is complete. `false` when a reader kept
    /// some of it back.
    pub(super) fn checkpoint(&mut self) -> bool {
        self.with(|connection| checkpoint(connection, "PASSIVE")).unwrap_or(false)
    }
}

/// How far the row of a manager has come.
pub(super) fn read_mark(connection: &Connection, manager: &str) -> rusqlite::Result<Mark> {
    connection
        .prepare_cached(
            "SELECT incarnation, renewals, (SELECT value FROM revision) FROM managers WHERE name = ?1",
        )?
        .query_row([manager], |row| {
            Ok(Mark {
                manager: manager.to_owned(),
                incarnation: row.get(0)?,
                renewals: row.get(1)?,
                revision: row.get(2)?,
            })
        })
}

/// Whether all of the log was written into the file.
pub(super) fn checkpoint(connection: &Connection, mode: &str) -> Result<bool, StoreError> {
    let read =
        |row: &rusqlite::Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, i64>(2)?));
    let (busy, pages, written) = connection
        .query_row(&format!("PRAGMA wal_checkpoint({mode})"), [], read)
        .map_err(|error| translate(&error))?;
    Ok(busy == 0 && pages == written)
}

/// A time in the future says nothing: the clock was set back.
fn is_settled(metadata: &Metadata) -> bool {
    let age = metadata.modified().ok().and_then(|time| time.elapsed().ok());
    metadata.len() > 0 && age.is_none_or(|age| age >= SETTLED)
}

/// A path as a URI of SQLite takes it. It has no URI for paths that are no UTF-8.
fn percent_encoded(path: &Path) -> String {
    use std::fmt::Write as _;
    let mut encoded = String::new();
    for byte in path.to_string_lossy().bytes() {
        if byte.is_ascii_alphanumeric() || b"/._-~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

/// Opens a database of this program's version.
pub(super) fn connect(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(|error| unopened(path, &error))?;
    prepare(&connection).map_err(|error| unopened(path, &error))?;
    schema::check(&connection)?;
    Ok(connection)
}

/// Why a file could not be opened.
pub(super) fn unopened(path: &Path, error: &rusqlite::Error) -> StoreError {
    if error.sqlite_error_code() == Some(ErrorCode::CannotOpen) && !files::is_readable(path) {
        return StoreError::no_permission(path);
    }
    translate(error)
}
