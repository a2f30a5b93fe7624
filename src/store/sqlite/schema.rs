//! Migrations of the embedded database, and the check that a file is one of ours.

use std::io::ErrorKind;
use std::path::Path;

use rusqlite::{Connection, OpenFlags};
use rusqlite_migration::{M, Migrations};

use super::connection::{prepare, translate};
use super::link::unopened;
use crate::files;
use crate::store::StoreError;
use crate::store::migrations::{SQLITE, VERSION};

/// `application_id` of the first migration.
const APPLICATION: i64 = 1_684_237_569;

/// Older versions of SQLite can damage a database in WAL mode with two writers
/// (<https://sqlite.org/wal.html>, "The WAL-reset bug").
const SQLITE_MIN: i32 = 3_051_003;

/// Creates the file if need be, for its owner alone, and brings it to the version of this program.
///
/// # Errors
/// [`StoreError::Schema`] if it is newer, [`StoreError::Corrupt`] if it is something else.
pub(super) fn migrate(path: &Path) -> Result<(), StoreError> {
    // An absolute path is never taken for a URI.
    let path = &std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    match files::create_private(path) {
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            return Err(StoreError::no_permission(path));
        }
        Err(error) if error.kind() != ErrorKind::AlreadyExists => {
            return Err(StoreError::Unavailable(format!("cannot create {}: {error}", path.display())));
        }
        Ok(_) | Err(_) => {}
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags).map_err(|error| unopened(path, &error))?;
    prepare(&connection).map_err(|error| unopened(path, &error))?;
    match read(&connection)? {
        State::Ours { version } if version > VERSION => {
            return Err(StoreError::Schema { found: version, expected: VERSION });
        }
        State::Ours { version: VERSION } => return Ok(()),
        State::Foreign => return Err(foreign()),
        State::Ours { .. } | State::Empty => {}
    }
    connection.execute_batch("PRAGMA journal_mode = WAL;").map_err(|error| translate(&error))?;
    // Another program may create it at the same moment; the loser of the race finds it done.
    match migrations().to_latest(&mut connection) {
        Ok(()) => Ok(()),
        Err(_) if matches!(read(&connection)?, State::Ours { version: VERSION }) => Ok(()),
        Err(rusqlite_migration::Error::RusqliteError { err, .. }) => Err(translate(&err)),
        Err(error) => Err(StoreError::Corrupt(format!("the database cannot be migrated: {error}"))),
    }
}

fn migrations() -> Migrations<'static> {
    SQLITE.iter().map(|step| M::up(step)).collect()
}

/// Checks that an open file is a database of this program's version.
pub(super) fn check(connection: &Connection) -> Result<(), StoreError> {
    if rusqlite::version_number() < SQLITE_MIN {
        return Err(StoreError::Corrupt(format!(
            "SQLite {} can damage databases; build with a newer one",
            rusqlite::version()
        )));
    }
    match read(connection)? {
        State::Ours { version: VERSION } => Ok(()),
        State::Ours { version } => Err(StoreError::Schema { found: version, expected: VERSION }),
        State::Empty => Err(StoreError::Schema { found: 0, expected: VERSION }),
        State::Foreign => Err(foreign()),
    }
}

enum State {
    Empty,
    Ours { version: i64 },
    Foreign,
}

fn read(connection: &Connection) -> Result<State, StoreError> {
    let pragma = |name: &str| {
        connection
            .query_row(&format!("PRAGMA {name}"), [], |row| row.get::<_, i64>(0))
            .map_err(|error| translate(&error))
    };
    let objects: i64 = connection
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .map_err(|error| translate(&error))?;
    Ok(match (pragma("application_id")?, objects) {
        (APPLICATION, _) => State::Ours { version: pragma("user_version")? },
        (_, 0) => State::Empty,
        _ => State::Foreign,
    })
}

fn foreign() -> StoreError {
    StoreError::Corrupt(
        "the file is a database of another program; name another file with --database".to_owned(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_migrations_are_sound_and_counted() {
        migrations().validate().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("dcm.db");
        migrate(&path).unwrap();
        migrate(&path).unwrap();
        let connection = Connection::open(&path).unwrap();
        check(&connection).unwrap();
        let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
        assert_eq!(version, VERSION);
        let application: i64 = connection.query_row("PRAGMA application_id", [], |row| row.get(0)).unwrap();
        assert_eq!(application, APPLICATION);
    }

    #[test]
    fn a_database_of_the_first_version_is_brought_up_to_date() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("dcm.db");
        let connection = Connection::open(&path).unwrap();
        connection.execute_batch(include_str!("../../../migrations/sqlite/0001_fleet.sql")).unwrap();
        connection.execute_batch("PRAGMA user_version = 1").unwrap();
        let insert = "INSERT INTO apps (app_group, app_parent, app_name) VALUES ('a', 'b', 'c')";
        connection.execute(insert, []).unwrap();
        connection
            .execute_batch(
                "INSERT INTO alerts (app_id, kind, runtime, message, raised, cleared) VALUES \
                 ('x', 'unexpected_behavior', '1', '12 failures in a row, the last: killed by signal 6, core dumped', \
                     '2026-11-01T00:00:00.000Z', NULL), \
                 ('x', 'host_exhausted', '2', '3 failures in a row, the last: no memory; it is tried again', \
                     '2026-11-02T00:00:00.000Z', '2026-11-03T00:00:00.000Z'), \
                 ('x', 'failed_to_start', '3', 'no python3', '2026-11-04T00:00:00.000Z', NULL), \
                 ('x', 'failed_to_start', '4', 'pruned', '2026-11-04T00:00:00.000Z', NULL); \
                 DELETE FROM alerts WHERE runtime = '4'",
            )
            .unwrap();
        assert_eq!(check(&connection), Err(StoreError::Schema { found: 1, expected: VERSION }));
        migrate(&path).unwrap();
        check(&connection).unwrap();
        let failover: String =
            connection.query_row("SELECT failover FROM apps", [], |row| row.get(0)).unwrap();
        assert_eq!(failover, "never");
        let sql = "SELECT concat_ws('|', cause, severity, count, opened, last_seen, closed) FROM alerts ORDER BY id";
        let mut found = connection.prepare(sql).unwrap();
        let alerts: Vec<String> =
            found.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap();
        assert_eq!(
            alerts,
            [
                "killed by signal 6|critical|12|2026-11-01T00:00:00.000Z|2026-11-01T00:00:00.000Z",
                "no memory|warning|3|2026-11-02T00:00:00.000Z|2026-11-02T00:00:00.000Z|2026-11-03T00:00:00.000Z",
                "no python3|critical|1|2026-11-04T00:00:00.000Z|2026-11-04T00:00:00.000Z",
            ]
        );
        // No number comes again, and all of them are the database's to give.
        let insert =
            "INSERT INTO alerts (kind, runtime, message, opened) VALUES ('disk_low', '5', 'low', 'x')";
        connection.execute(insert, []).unwrap();
        assert_eq!(connection.last_insert_rowid(), 5);
        let wrong = connection.execute("UPDATE alerts SET id = 9 WHERE id = 5", []).unwrap_err();
        assert!(wrong.to_string().contains("given by the database"), "{wrong}");
    }

    #[test]
    fn newer_foreign_and_damaged_files_are_refused_with_a_word() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("dcm.db");
        migrate(&path).unwrap();
        Connection::open(&path).unwrap().execute_batch("PRAGMA user_version = 99").unwrap();
        let message = migrate(&path).unwrap_err().to_string();
        assert!(message.contains("schema 99") && message.contains("newer"), "{message}");

        let other = folder.path().join("other.db");
        Connection::open(&other).unwrap().execute_batch("CREATE TABLE mine (x)").unwrap();
        assert!(migrate(&other).unwrap_err().to_string().contains("another program"));

        let broken = folder.path().join("broken.db");
        std::fs::write(&broken, "this is no database, but it is long enough to look at ".repeat(40)).unwrap();
        assert!(migrate(&broken).unwrap_err().to_string().contains("damaged"));
    }
}
