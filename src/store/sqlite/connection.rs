//! A thread that owns a connection to the embedded database and does one job after another.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::time::{Duration, SystemTime};

use rusqlite::{Connection, ErrorCode, OpenFlags};
use tokio::sync::oneshot;

use super::schema;
use crate::store::StoreError;

/// Jobs that wait for a connection. Each caller waits for its answer, so that more than this means
/// that the database does not keep up at all.
const JOBS_MAX: usize = 1024;

/// Pages that a connection keeps. The manager works on a few rows at a time, and the system keeps the
/// file in memory anyway.
const CACHE_KIB: u32 = 512;

/// How long a statement waits for another program's write lock.
const BUSY_TIMEOUT: Duration = Duration::from_secs(2);

/// How often the file is looked at for changes without any hint.
const POLL: Duration = Duration::from_secs(1);

/// After a hint the change may not be visible yet: the file is written before the index of the
/// write-ahead log is. It is looked at again after 1, 2, 4 ... ms, up to this.
const LOOK_AGAIN_MAX: Duration = Duration::from_millis(64);

type Job = Box<dyn FnOnce(&mut Link) + Send>;

/// What is sent to the thread.
enum Message {
    Job(Job),
    /// Somebody seems to have written to the file.
    Hint,
}

/// A handle to the thread; the thread ends when the last handle is gone.
#[derive(Clone)]
pub(super) struct Worker {
    messages: SyncSender<Message>,
}

impl Worker {
    /// Takes over an open connection. `on_change` is called when the database was changed through
    /// any other connection.
    pub(super) fn new(
        name: &str,
        link: Link,
        on_change: Option<Box<dyn Fn() + Send>>,
    ) -> Result<Self, StoreError> {
        let (messages, inbox) = sync_channel(JOBS_MAX);
        std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || serve(link, &inbox, on_change))
            .map_err(|error| StoreError::Unavailable(format!("no thread for it: {error}")))?;
        Ok(Self { messages })
    }

    /// Does a job on the thread and waits for its result.
    pub(super) async fn call<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (answer, result) = oneshot::channel();
        let job: Job = Box::new(move |link| {
            // The caller may have gone; nobody then misses the answer.
            let _ = answer.send(link.with(job));
        });
        match self.messages.try_send(Message::Job(job)) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => {
                return Err(StoreError::Unavailable("too many requests are waiting".into()));
            }
            Err(TrySendError::Disconnected(_)) => {
                return Err(StoreError::Unavailable("its thread has ended".into()));
            }
        }
        result.await.unwrap_or_else(|_| Err(StoreError::Unavailable("its thread has ended".into())))
    }

    /// Says that the file may have changed. Never blocks; one hint in the queue is enough.
    pub(super) fn hint(&self) {
        let _ = self.messages.try_send(Message::Hint);
    }
}

fn serve(mut link: Link, inbox: &Receiver<Message>, on_change: Option<Box<dyn Fn() + Send>>) {
    let mut look_again: Option<Duration> = None;
    loop {
        let message = inbox.recv_timeout(look_again.unwrap_or(POLL));
        match message {
            Ok(Message::Job(job)) => {
                job(&mut link);
                continue;
            }
            Ok(Message::Hint) => look_again = Some(Duration::from_millis(1)),
            Err(RecvTimeoutError::Timeout) => {
                look_again = look_again.map(|pause| pause * 2).filter(|pause| *pause <= LOOK_AGAIN_MAX);
            }
            Err(RecvTimeoutError::Disconnected) => return,
        }
        if let Some(on_change) = &on_change
            && link.was_changed_by_others()
        {
            look_again = None;
            on_change();
        }
    }
}

/// A connection for one long transaction.
pub(in crate::store) fn open_for_copy(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(|error| translate(&error))?;
    prepare(&connection).map_err(|error| translate(&error))?;
    schema::check(&connection)?;
    Ok(connection)
}

/// A connection that is opened again when the file was replaced or came back.
pub(super) struct Link {
    path: PathBuf,
    open: Option<Open>,
}

struct Open {
    connection: Connection,
    identity: Option<SystemTime>,
    data_version: i64,
}

impl Link {
    /// Opens an existing database file.
    pub(super) fn open(path: &Path) -> Result<Self, StoreError> {
        let mut link = Self { path: path.to_owned(), open: None };
        link.connect()?;
        Ok(link)
    }

    fn with<T>(
        &mut self,
        job: impl FnOnce(&mut Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        job(self.connect()?)
    }

    /// The connection, made anew if the file at the path is not the one that is open. Writing to
    /// a file that was moved away would lose what is written.
    fn connect(&mut self) -> Result<&mut Connection, StoreError> {
        let identity = identity(&self.path)?;
        if self.open.as_ref().is_some_and(|open| open.identity != identity) {
            self.open = None;
        }
        let open = match self.open.take() {
            Some(open) => open,
            None => Open { connection: connect(&self.path)?, identity, data_version: 0 },
        };
        Ok(&mut self.open.insert(open).connection)
    }

    fn was_changed_by_others(&mut self) -> bool {
        let Ok(connection) = self.connect() else { return false };
        let version = connection.query_row("PRAGMA data_version", [], |row| row.get(0));
        match (&mut self.open, version) {
            (Some(open), Ok(version)) => std::mem::replace(&mut open.data_version, version) != version,
            (_, Err(_)) | (None, Ok(_)) => false,
        }
    }
}

/// When the file at the path was created; `None` where the file system does not tell. The file
/// itself is not opened: closing it again would drop the locks of SQLite.
fn identity(path: &Path) -> Result<Option<SystemTime>, StoreError> {
    match std::fs::metadata(path) {
        Ok(metadata) => Ok(metadata.created().ok()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(StoreError::Unavailable(format!(
            "the file {} is gone; put it back, or restore a backup",
            path.display()
        ))),
        Err(error) => Err(StoreError::Unavailable(format!("{}: {error}", path.display()))),
    }
}

fn connect(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(|error| translate(&error))?;
    prepare(&connection).map_err(|error| translate(&error))?;
    schema::check(&connection)?;
    Ok(connection)
}

/// Settings that hold for a connection and not for the file.
pub(super) fn prepare(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(64);
    // FULL: a run or a verdict that was acknowledged survives a power loss.
    connection.execute_batch(&format!(
        "PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA cache_size = -{CACHE_KIB};"
    ))
}

/// What an error of SQLite means for the caller.
pub(in crate::store) fn translate(error: &rusqlite::Error) -> StoreError {
    let message = error.to_string();
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => StoreError::Corrupt(format!(
            "the database is damaged: {message}; restore a backup (dcm db check tells more)"
        )),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            StoreError::Unavailable("another program holds its lock".to_owned())
        }
        Some(ErrorCode::DiskFull) => StoreError::Unavailable("the disk is full; make room on it".to_owned()),
        Some(ErrorCode::ConstraintViolation) => StoreError::Refused(message),
        _ => StoreError::Unavailable(message),
    }
}
