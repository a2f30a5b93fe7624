//! What is known of the file.

use std::path::{Path, PathBuf};

use rusqlite::Connection;

use super::connection::translate;
use crate::store::{DatabaseFacts, StoreError};

pub(super) fn read(connection: &Connection, path: &Path) -> Result<DatabaseFacts, StoreError> {
    let schema = connection.query_row("PRAGMA user_version", [], |row| row.get(0));
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    let size_of = |path: PathBuf| std::fs::metadata(path).map(|metadata| metadata.len()).ok();
    Ok(DatabaseFacts {
        product: format!("SQLite {}", rusqlite::version()),
        schema: schema.map_err(|error| translate(&error))?,
        size: size_of(path.to_owned()).unwrap_or(0),
        log: size_of(log.into()),
        ..DatabaseFacts::default()
    })
}
