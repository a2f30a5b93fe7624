//! `dcm app rename` on a server: the row and everything that names its key, in one transaction.

use sqlx::PgConnection;

use super::connection::{Fault, composed, statement};
use crate::model::{AppId, AppPath};
use crate::store::{exists, no_such_app, running};

pub(super) async fn rename(connection: &mut PgConnection, from: &AppPath, to: &AppPath) -> Result<(), Fault> {
    if !is_there(connection, from).await? {
        return Err(no_such_app(from).into());
    }
    if is_there(connection, to).await? {
        return Err(exists(to).into());
    }
    let (old, new) = (AppId::of(from).to_string(), AppId::of(to).to_string());
    let open = statement("SELECT FROM runtime WHERE app_id = $1 AND end_time IS NULL LIMIT 1")
        .bind(&old)
        .fetch_optional(&mut *connection)
        .await?;
    if open.is_some() {
        return Err(running(from).into());
    }
    statement("INSERT INTO app_groups (app_group) VALUES ($1) ON CONFLICT DO NOTHING")
        .bind(to.group.as_str())
        .execute(&mut *connection)
        .await?;
    statement("INSERT INTO app_parents (app_group, app_parent) VALUES ($1, $2) ON CONFLICT DO NOTHING")
        .bind(to.group.as_str())
        .bind(to.parent.as_str())
        .execute(&mut *connection)
        .await?;
    statement(
        "UPDATE apps SET app = $1, app_group = $2, app_parent = $3, app_name = $4 \
         WHERE app_group = $5 AND app_parent = $6 AND app_name = $7",
    )
    .bind(&new)
    .bind(to.group.as_str())
    .bind(to.parent.as_str())
    .bind(to.name.as_str())
    .bind(from.group.as_str())
    .bind(from.parent.as_str())
    .bind(from.name.as_str())
    .execute(&mut *connection)
    .await?;
    statement(
        "INSERT INTO removed_apps (app, revision) VALUES ($1, nextval('revision_number')) \
         ON CONFLICT (app) DO UPDATE SET revision = excluded.revision",
    )
    .bind(&old)
    .execute(&mut *connection)
    .await?;
    // An app that had the new name earlier may have left the same skip.
    statement(
        "DELETE FROM skips WHERE app_id = $2 AND EXISTS (SELECT FROM skips AS moved WHERE moved.app_id = $1 \
         AND moved.first_due = skips.first_due AND moved.reason = skips.reason)",
    )
    .bind(&old)
    .bind(&new)
    .execute(&mut *connection)
    .await?;
    for table in ["runtime", "commands", "alerts", "log_tails", "skips"] {
        composed(format!("UPDATE {table} SET app_id = $2 WHERE app_id = $1"))
            .bind(&old)
            .bind(&new)
            .execute(&mut *connection)
            .await?;
    }
    statement("DELETE FROM log_wishes WHERE app_id = $1").bind(&old).execute(connection).await?;
    Ok(())
}

/// Whether there is such an app; its row is this transaction's from now on, so no run of it is opened meanwhile.
async fn is_there(connection: &mut PgConnection, path: &AppPath) -> Result<bool, Fault> {
    let row =
        statement("SELECT FROM apps WHERE app_group = $1 AND app_parent = $2 AND app_name = $3 FOR UPDATE")
            .bind(path.group.as_str())
            .bind(path.parent.as_str())
            .bind(path.name.as_str())
            .fetch_optional(connection)
            .await?;
    Ok(row.is_some())
}
