//! `dcm db`: create, check and copy the database.

use serde_json::json;

use super::args::DbCommand;
use super::error::Error;
use super::output;
use super::session::{Session, block_on};
use crate::store::OpenMode;

pub(super) fn db(session: &Session, command: DbCommand) -> Result<(), Error> {
    match command {
        DbCommand::Migrate => {
            let store = session.store(OpenMode::Create)?;
            let path = store.path().display().to_string();
            done(session, &json!({ "database": path, "migrated": true }), &format!("{path} is up to date"));
            Ok(())
        }
        DbCommand::Check => {
            let store = session.store(OpenMode::Existing)?;
            let faults = block_on(async { Ok(store.check(false).await?) })?;
            let text = if faults.is_empty() { "ok".to_owned() } else { faults.join("\n") };
            done(session, &json!({ "ok": faults.is_empty(), "faults": faults }), &text);
            if faults.is_empty() {
                return Ok(());
            }
            Err(Error::failed("the database is damaged").hint("restore a backup made with dcm db backup"))
        }
        DbCommand::Backup { target } => {
            let store = session.store(OpenMode::Existing)?;
            block_on(async { Ok(store.backup(&target).await?) })?;
            let path = target.display().to_string();
            done(session, &json!({ "backup": path }), &format!("copied to {path}"));
            Ok(())
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
