//! `dcm db`: create, check and copy the database.

use std::time::Duration;

use serde_json::json;

use super::args::DbCommand;
use super::error::{Error, Kind};
use super::output;
use super::presence::Managers;
use super::session::{Session, block_on};
use crate::config::Database;
use crate::model::Prunable;
use crate::store::{OpenMode, Pace, ROLES, copy, prune_history};

/// A manager need not wait, while the caller of a command waits for its end.
const PACE: Pace = Pace { after_rows: Duration::from_millis(20), after_none: Duration::ZERO };

pub(super) fn db(session: &Session, command: DbCommand) -> Result<(), Error> {
    match command {
        DbCommand::Migrate { empty } => {
            let was_current = session.store(OpenMode::Existing).is_ok();
            let database = &session.settings.database;
            if empty {
                session.store_or_empty(database, OpenMode::Create)?;
            } else {
                session.store(OpenMode::Create)?;
            }
            let place = database.place();
            done(
                session,
                &json!({ "database": place, "migrated": !was_current }),
                &format!("{place} is up to date"),
            );
            Ok(())
        }
        DbCommand::Check => {
            let store = session.own_file("a server is checked by pg_amcheck")?;
            let faults = block_on(async { Ok(store.check().await?) })?;
            let text = if faults.is_empty() { "ok".to_owned() } else { faults.join("\n") };
            done(session, &json!({ "ok": faults.is_empty(), "faults": faults }), &text);
            if faults.is_empty() {
                return Ok(());
            }
            Err(Error::failed("the database is damaged").hint("restore a backup made with dcm db backup"))
        }
        DbCommand::Prune { dry_run } => prune(session, dry_run),
        DbCommand::Roles { schema } => {
            output::document(&format!("\\set schema {schema}\n{ROLES}"));
            Ok(())
        }
        DbCommand::Copy { source, destination } => copy_fleet(session, &source, &destination),
        DbCommand::Backup { target } => {
            let store = session.own_file("a server is copied by pg_dump")?;
            block_on(async { Ok(store.backup(&target).await?) })?;
            let path = target.display().to_string();
            done(session, &json!({ "backup": path }), &format!("copied to {path}"));
            Ok(())
        }
    }
}

/// Prunes, batch by batch: a manager that serves the database has its turns in between.
fn prune(session: &Session, dry_run: bool) -> Result<(), Error> {
    let store = session.store(OpenMode::Existing)?;
    let retention = session.settings.retention;
    let pruned = block_on(async {
        if dry_run {
            return Ok(store.prunable(retention).await?);
        }
        let mut pruned = Prunable::default();
        prune_history(store.as_ref(), retention, PACE, &mut pruned).await?;
        Ok(pruned)
    })?;
    if session.json {
        let tables: serde_json::Map<_, _> =
            pruned.tables().iter().map(|(table, rows)| ((*table).to_owned(), (*rows).into())).collect();
        output::json(&json!({ "dry_run": dry_run, "pruned": tables }));
        return Ok(());
    }
    let rows: Vec<_> =
        pruned.tables().iter().map(|(table, rows)| vec![(*table).to_owned(), rows.to_string()]).collect();
    output::table(&["TABLE", if dry_run { "WOULD BE PRUNED" } else { "PRUNED" }], &rows);
    Ok(())
}

fn copy_fleet(session: &Session, source: &str, destination: &str) -> Result<(), Error> {
    let (source, destination) = (Database::named(source)?, Database::named(destination)?);
    if source == destination {
        return Err(Error::usage("source and destination are the same database"));
    }
    for (end, mode) in [(&source, OpenMode::Existing), (&destination, OpenMode::Create)] {
        let store = session.store_or_empty(end, mode)?;
        let managers = block_on(Managers::read(session, store.as_ref()))?;
        if let Some(manager) = managers.live().next() {
            return Err(Error::new(Kind::RefusedForNow, format!("manager {} serves {end}", manager.name))
                .hint("stop it first; apps run on"));
        }
    }
    let counts = block_on(async { Ok(copy(&source.into(), &destination.into()).await?) })?;
    if session.json {
        let counts: serde_json::Map<_, _> =
            counts.iter().map(|(table, rows)| ((*table).to_owned(), (*rows).into())).collect();
        output::json(&json!({ "copied": counts }));
    } else {
        let rows: Vec<_> =
            counts.iter().map(|(table, rows)| vec![(*table).to_owned(), rows.to_string()]).collect();
        output::table(&["TABLE", "ROWS"], &rows);
    }
    Ok(())
}

fn done(session: &Session, value: &serde_json::Value, text: &str) {
    if session.json {
        output::json(value);
    } else {
        output::lines(text.lines());
    }
}
