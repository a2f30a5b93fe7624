//! The seat of the one manager that serves an embedded database: a lock beside the file, and its row.

use std::fs::{File, TryLockError};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use rusqlite::{Connection, params};

use super::connection::translate;
use super::link::{Mark, Shared, read_mark};
use crate::files;
use crate::model::{LEASE, Load, ManagerRow, format_timestamp};
use crate::store::StoreError;

/// A commit writes the log into the file only when it is as long as this, because nothing else has done that.
const LOG_PAGES_MAX: u32 = 4000;

/// One manager a database, whatever state directories there are. The lock is beside the file:
/// SQLite's own locks on it must not be touched. A manager that begins anew has it already.
pub(super) fn lock(path: &Path, held: &Mutex<Option<File>>) -> Result<(), StoreError> {
    let mut held = held.lock().unwrap_or_else(PoisonError::into_inner);
    if held.is_some() {
        return Ok(());
    }
    let mut name = path.as_os_str().to_owned();
    name.push("-manager");
    let failed =
        |error: std::io::Error| StoreError::Unavailable(format!("{}: {error}", Path::new(&name).display()));
    // Who could open it could lock it.
    let _ = files::create_private(Path::new(&name));
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
    *held = Some(file);
    Ok(())
}

/// Says whether the manager that sat here before did not end in order.
pub(super) fn take(
    connection: &Connection,
    manager: &ManagerRow,
    shared: &Shared,
) -> Result<bool, StoreError> {
    let was_left = connection
        .query_row(
            "SELECT EXISTS (SELECT 1 FROM managers WHERE name = ?1 AND stopped IS NULL)",
            [&manager.name],
            |row| row.get(0),
        )
        .map_err(|error| translate(&error))?;
    // Old rows are pruned by many small writes: writing them into the file is for another connection.
    let pages = format!("PRAGMA wal_autocheckpoint = {LOG_PAGES_MAX}");
    connection.query_row(&pages, [], |_| Ok(())).map_err(|error| translate(&error))?;
    let mark = enter(connection, manager).map_err(|error| translate(&error))?;
    shared.sit(mark);
    Ok(was_left)
}

fn enter(connection: &Connection, manager: &ManagerRow) -> rusqlite::Result<Mark> {
    connection.execute(
        "INSERT INTO managers (name, host, pid, version, started, heartbeat, lease, home, boot, pools, python) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) ON CONFLICT (name) DO UPDATE SET \
         host = excluded.host, pid = excluded.pid, version = excluded.version, \
         started = excluded.started, heartbeat = excluded.heartbeat, stopped = NULL, \
         incarnation = min(incarnation, 9223372036854775806) + 1, lease = excluded.lease, home = excluded.home, \
         boot = excluded.boot, pools = excluded.pools, python = excluded.python",
        params![
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
    )?;
    read_mark(connection, &manager.name)
}

/// Says that the manager lives.
///
/// # Errors
/// [`StoreError::Replaced`] when its row is not there as it was written last.
pub(super) fn renew(connection: &Connection, load: Load, shared: &Shared) -> Result<(), StoreError> {
    shared.check_seat(connection)?;
    let Some(seat) = shared.seat() else { return Ok(()) };
    let written = connection
        .prepare_cached(
            "UPDATE managers SET heartbeat = strftime('%Y-%m-%dT%H:%M:%fZ', 'now'), running = ?2, \
             running_max = ?3, waiting = ?4, stopped = NULL, renewals = min(renewals, 9223372036854775806) + 1 WHERE name = ?1",
        )
        .and_then(|mut statement| {
            statement.execute(params![seat.mark.manager, load.running, load.running_max, load.waiting])
        })
        .and_then(|_| read_mark(connection, &seat.mark.manager));
    shared.sit(written.map_err(|error| translate(&error))?);
    Ok(())
}

/// Says that the manager has ended in order.
pub(super) fn leave(connection: &Connection, shared: &Shared) -> Result<(), StoreError> {
    let Some(seat) = shared.seat() else { return Ok(()) };
    connection
        .execute(
            "UPDATE managers SET stopped = strftime('%Y-%m-%dT%H:%M:%fZ', 'now'), running = 0, running_max = NULL, \
             waiting = 0, renewals = min(renewals, 9223372036854775806) + 1 WHERE name = ?1",
            [seat.mark.manager],
        )
        .map_err(|error| translate(&error))?;
    Ok(())
}
