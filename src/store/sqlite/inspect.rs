//! Looks for damage. What a manager works with is looked at before it begins; history, which may be large, in a thread
//! of its own while it works.

use std::path::PathBuf;

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::connection::translate;
use super::{collect, link};
use crate::store::StoreError;

/// The tables that grow with the fleet, and not with time.
const FLEET: [&str; 6] = ["app_groups", "app_parents", "apps", "managers", "removed_apps", "revision"];

/// Faults that are told of.
const FAULTS_MAX: usize = 20;

/// A file of at most so many bytes is looked through before a manager begins: that takes a few hundredths of a second.
const SMALL: i64 = 16 << 20;

/// Looks at what a manager works with, or at all of a small file.
pub(super) fn fleet(connection: &Connection) -> Result<Vec<String>, StoreError> {
    let sql = "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size";
    let size: i64 = connection.query_row(sql, [], |row| row.get(0)).map_err(|error| translate(&error))?;
    if size <= SMALL {
        return checked(connection, "PRAGMA quick_check");
    }
    let mut faults = Vec::new();
    for table in FLEET {
        faults.extend(checked_table(connection, table)?);
    }
    Ok(faults)
}

/// Looks at all tables, by a connection and a thread of its own.
pub(super) async fn all(path: PathBuf) -> Result<Vec<String>, StoreError> {
    let (answer, result) = oneshot::channel();
    std::thread::Builder::new()
        .name("dcm-db-check".to_owned())
        .spawn(move || {
            let faults = link::connect(&path).and_then(|connection| {
                let sql = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'";
                let tables = collect(&connection, sql, [], |row| row.get::<_, String>(0))?;
                let mut faults = Vec::new();
                for table in tables {
                    faults.extend(checked_table(&connection, &table)?);
                }
                Ok(faults)
            });
            // The manager may have ended.
            let _ = answer.send(faults);
        })
        .map_err(|error| StoreError::Unavailable(format!("cannot start the database thread: {error}")))?;
    result.await.unwrap_or_else(|_| Err(StoreError::Unavailable("its thread has ended".into())))
}

fn checked_table(connection: &Connection, table: &str) -> Result<Vec<String>, StoreError> {
    checked(connection, &format!("PRAGMA quick_check(\"{table}\")"))
}

fn checked(connection: &Connection, pragma: &str) -> Result<Vec<String>, StoreError> {
    let found = connection.prepare(pragma).and_then(|mut statement| {
        let rows = statement.query_map([], |row| row.get::<_, String>(0))?;
        rows.take(FAULTS_MAX).collect::<rusqlite::Result<Vec<_>>>()
    });
    match found.map_err(|error| translate(&error)) {
        Ok(found) => Ok(found.into_iter().filter(|line| line != "ok").collect()),
        // So much damage that the check itself cannot go on.
        Err(StoreError::Corrupt(fault)) => Ok(vec![fault]),
        Err(error) => Err(error),
    }
}
