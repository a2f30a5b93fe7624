//! `dcm app rename` in the embedded database: the row and everything that names its key, in one transaction.

use rusqlite::{Connection, OptionalExtension as _, Transaction, TransactionBehavior, params};

use super::connection::translate;
use crate::model::{AppId, AppPath};
use crate::store::{StoreError, exists, no_such_app, running};

pub(super) fn rename(connection: &mut Connection, from: &AppPath, to: &AppPath) -> Result<(), StoreError> {
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(|error| translate(&error))?;
    if let Some(refusal) = refusal(&transaction, from, to).map_err(|error| translate(&error))? {
        return Err(refusal);
    }
    move_rows(&transaction, from, to).map_err(|error| translate(&error))?;
    transaction.commit().map_err(|error| translate(&error))
}

fn refusal(
    transaction: &Transaction<'_>,
    from: &AppPath,
    to: &AppPath,
) -> rusqlite::Result<Option<StoreError>> {
    let is_there = |path: &AppPath| {
        transaction
            .query_row(
                "SELECT 1 FROM apps WHERE app_group = ?1 AND app_parent = ?2 AND app_name = ?3",
                params![path.group.as_str(), path.parent.as_str(), path.name.as_str()],
                |_| Ok(()),
            )
            .optional()
            .map(|found| found.is_some())
    };
    if !is_there(from)? {
        return Ok(Some(no_such_app(from)));
    }
    if is_there(to)? {
        return Ok(Some(exists(to)));
    }
    let is_running = transaction
        .prepare_cached("SELECT 1 FROM runtime WHERE app_id = ?1 AND end_time IS NULL")?
        .exists([AppId::of(from).to_string()])?;
    Ok(is_running.then(|| running(from)))
}

fn move_rows(transaction: &Transaction<'_>, from: &AppPath, to: &AppPath) -> rusqlite::Result<()> {
    let (old, new) = (AppId::of(from).to_string(), AppId::of(to).to_string());
    let [group, parent, name] = [to.group.as_str(), to.parent.as_str(), to.name.as_str()];
    transaction.execute("INSERT OR IGNORE INTO app_groups (app_group) VALUES (?1)", [group])?;
    transaction.execute(
        "INSERT OR IGNORE INTO app_parents (app_group, app_parent) VALUES (?1, ?2)",
        [group, parent],
    )?;
    transaction.execute(
        "UPDATE apps SET app = ?1, app_group = ?2, app_parent = ?3, app_name = ?4 \
         WHERE app_group = ?5 AND app_parent = ?6 AND app_name = ?7",
        params![new, group, parent, name, from.group.as_str(), from.parent.as_str(), from.name.as_str()],
    )?;
    transaction.execute(
        "INSERT OR REPLACE INTO removed_apps (app, revision) SELECT ?1, value FROM revision",
        [&old],
    )?;
    for table in ["runtime", "commands", "alerts", "log_tails", "skips"] {
        // An app that had the new name earlier may have left the same skip.
        let sql = format!("UPDATE OR REPLACE {table} SET app_id = ?2 WHERE app_id = ?1");
        transaction.execute(&sql, [&old, &new])?;
    }
    // A command may have been entered before the row had its key.
    let sql = "UPDATE commands SET app_id = ?2 WHERE app_id = ?1";
    transaction.execute(sql, [&from.to_string(), &new])?;
    transaction.execute("DELETE FROM log_wishes WHERE app_id = ?1", [&old])?;
    Ok(())
}
