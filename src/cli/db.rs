//! `dcm db`: create, check and copy the database.

use serde_json::json;

use super::args::DbCommand;
use super::error::Error;
use super::output;
use super::session::{Session, block_on};
use crate::config::Database;
use crate::store::{OpenMode, ROLES, SqliteStore};

pub(super) fn db(session: &Session, command: DbCommand) -> Result<(), Error> {
    match command {
        DbCommand::Migrate => {
            session.store(OpenMode::Create)?;
            let place = match &session.settings.database {
                Database::Sqlite { path, .. } => path.display().to_string(),
                server @ Database::Postgres(_) => server.to_string(),
            };
            done(session, &json!({ "database": place, "migrated": true }), &format!("{place} is up to date"));
            Ok(())
        }
        DbCommand::Check => {
            let store = file(session, "a server is checked by pg_amcheck")?;
            let faults = block_on(async { Ok(store.check(false).await?) })?;
            let text = if faults.is_empty() { "ok".to_owned() } else { faults.join("\n") };
            done(session, &json!({ "ok": faults.is_empty(), "faults": faults }), &text);
            if faults.is_empty() {
                return Ok(());
            }
            Err(Error::failed("the database is damaged").hint("restore a backup made with dcm db backup"))
        }
        DbCommand::Roles { schema } => {
            output::data(&format!("\\set schema {schema}\n{ROLES}"));
            Ok(())
        }
        DbCommand::Backup { target } => {
            let store = file(session, "a server is copied by pg_dump")?;
            block_on(async { Ok(store.backup(&target).await?) })?;
            let path = target.display().to_string();
            done(session, &json!({ "backup": path }), &format!("copied to {path}"));
            Ok(())
        }
    }
}

/// The database, where it is a file.
fn file(session: &Session, otherwise: &str) -> Result<SqliteStore, Error> {
    match &session.settings.database {
        Database::Sqlite { path, .. } => session.file(path, OpenMode::Existing),
        server @ Database::Postgres(_) => {
            Err(Error::usage(format!("{server} is no file")).hint(otherwise.to_owned()))
        }
    }
}

fn done(session: &Session, value: &serde_json::Value, text: &str) {
    if session.json {
        output::json(value);
    } else {
        output::data(&format!("{text}\n"));
    }
}
