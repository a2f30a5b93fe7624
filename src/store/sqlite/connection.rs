//! A thread that owns a connection to the embedded database and does one job after another.

use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::link::{self, Link};
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

/// After a hint the change may not be visible yet: the write-ahead log is written and synced before its index says so, which
/// on a slow disk takes a few tenths of a second. It is looked at again after 1, 2, 4 ... ms, up to this.
const LOOK_AGAIN_MAX: Duration = Duration::from_millis(512);

/// What the log holds is written into the file once nothing was written for so long, so that a plain copy of the file
/// of a quiet database is complete.
const QUIET: Duration = Duration::from_secs(2);

/// On a busy database it is written at the latest after so long.
const CHECKPOINT_AFTER: Duration = Duration::from_secs(15);

type Job = Box<dyn FnOnce(&mut Link) + Send>;

/// What is sent to the thread.
enum Message {
    Job {
        job: Job,
        is_heartbeat: bool,
    },
    /// The files seem to have changed.
    Hint,
    /// Others have written to the database.
    Stirred,
    /// Close the connection and end.
    End,
}

/// What a thread does between jobs.
pub(super) enum Duty {
    /// Calls this when the database was changed through any other connection.
    Announce(Box<dyn Fn() + Send>),
    /// Writes what the log holds into the file when the database is quiet.
    Checkpoint,
}

/// A handle to the thread.
#[derive(Clone)]
pub(super) struct Worker {
    messages: SyncSender<Message>,
}

impl Worker {
    /// Takes over an open connection.
    pub(super) fn new(name: &str, link: Link, duty: Duty) -> Result<(Self, JoinHandle<()>), StoreError> {
        let (messages, inbox) = sync_channel(JOBS_MAX);
        let thread = std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || serve(link, &inbox, &duty))
            .map_err(|error| StoreError::Unavailable(format!("cannot start the database thread: {error}")))?;
        Ok((Self { messages }, thread))
    }

    /// Does a job on the thread and waits for its result.
    pub(super) async fn call<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.send(job, false).await
    }

    /// The same for what a copy of the file may lack.
    pub(super) async fn call_as_heartbeat<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.send(job, true).await
    }

    async fn send<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Connection) -> Result<T, StoreError> + Send + 'static,
        is_heartbeat: bool,
    ) -> Result<T, StoreError> {
        let (answer, result) = oneshot::channel();
        let job: Job = Box::new(move |link| {
            // The caller may have gone; nobody then misses the answer.
            let _ = answer.send(link.with(job));
        });
        match self.messages.try_send(Message::Job { job, is_heartbeat }) {
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

    /// Says that the files may have changed. Never blocks; one hint in the queue is enough.
    pub(super) fn hint(&self) {
        let _ = self.messages.try_send(Message::Hint);
    }

    /// Says that others have written to the database.
    pub(super) fn stir(&self) {
        let _ = self.messages.try_send(Message::Stirred);
    }

    /// Asks the thread to close its connection once it has done what is waiting.
    pub(super) fn end(&self) {
        let _ = self.messages.send(Message::End);
    }
}

fn serve(mut link: Link, inbox: &Receiver<Message>, duty: &Duty) {
    let mut look_again: Option<Duration> = None;
    let mut unwritten = Unwritten::default();
    loop {
        let pause = look_again.unwrap_or(POLL).min(unwritten.due_in(Instant::now()).unwrap_or(POLL));
        match inbox.recv_timeout(pause) {
            Ok(Message::Job { job, is_heartbeat }) => {
                let before = link.changes();
                job(&mut link);
                if link.changes() != before && !is_heartbeat {
                    unwritten.add(Instant::now());
                }
                continue;
            }
            Ok(Message::Hint) => look_again = Some(Duration::from_millis(1)),
            Ok(Message::Stirred) => {
                unwritten.add(Instant::now());
                continue;
            }
            Err(RecvTimeoutError::Timeout) => {
                look_again = look_again.map(|pause| pause * 2).filter(|pause| *pause <= LOOK_AGAIN_MAX);
            }
            Ok(Message::End) | Err(RecvTimeoutError::Disconnected) => return,
        }
        match duty {
            Duty::Announce(announce) => {
                if link.was_changed_by_others() {
                    look_again = None;
                    announce();
                }
            }
            Duty::Checkpoint => {
                look_again = None;
                link.look_after();
                if unwritten.due_in(Instant::now()) == Some(Duration::ZERO) {
                    unwritten = Unwritten::default();
                    if !link.checkpoint() {
                        unwritten.add(Instant::now());
                    }
                }
            }
        }
    }
}

/// What was written to the log and not yet to the file: since when, and when last.
#[derive(Debug, Default)]
struct Unwritten(Option<(Instant, Instant)>);

impl Unwritten {
    fn add(&mut self, now: Instant) {
        let (first, _) = self.0.unwrap_or((now, now));
        self.0 = Some((first, now));
    }

    /// How long until it is to be written; `None` when there is nothing.
    fn due_in(&self, now: Instant) -> Option<Duration> {
        let (first, last) = self.0?;
        let due = (last + QUIET).min(first + CHECKPOINT_AFTER);
        Some(due.saturating_duration_since(now))
    }
}

/// A connection for one long transaction.
pub(in crate::store) fn open_for_copy(path: &Path) -> Result<Connection, StoreError> {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    link::connect(&path)
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
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => StoreError::Unavailable(
            "another program holds the database's write lock (an open transaction?); it is waited for"
                .to_owned(),
        ),
        Some(ErrorCode::ReadOnly) => StoreError::Unavailable(
            "it cannot be written: the file, its folder or its file system is read-only for this user"
                .to_owned(),
        ),
        Some(ErrorCode::DiskFull) => StoreError::Unavailable("the disk is full; make room on it".to_owned()),
        Some(ErrorCode::ConstraintViolation) => StoreError::Refused(message),
        _ => StoreError::Unavailable(message),
    }
}
