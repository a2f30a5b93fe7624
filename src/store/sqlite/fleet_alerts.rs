//! Alerts about the fleet in the embedded database: opened, repeated, closed, and those that its manager takes up.

use chrono::TimeDelta;
use rusqlite::{Connection, OptionalExtension as _, Transaction, params};

use super::commit::run_cached;
use super::{collect_valid, deliveries};
use crate::model::{
    AlertEvent, AlertId, AlertSubject, AlertTurn, FleetAlert, FleetAlertChange, FleetAlertEnd,
    OpenFleetAlert, Route, format_timestamp,
};
use crate::store::row_reader::RowReader as _;
use crate::store::{StoreError, rows};

/// Writes a change, and the deliveries that follow from it; gives the alert back if it was opened or closed.
pub(super) fn write(
    transaction: &Transaction<'_>,
    change: &FleetAlertChange,
    (routes, manager): (&[Route], Option<&str>),
) -> rusqlite::Result<Option<AlertEvent>> {
    let event = match change {
        FleetAlertChange::Opened(alert) => {
            let event = open(transaction, alert)?;
            if let Some(event) = &event {
                deliveries::note_opened(transaction, routes, event, (alert.at, manager))?;
            }
            event
        }
        FleetAlertChange::Repeated(alert) => {
            repeat(transaction, alert)?;
            None
        }
        FleetAlertChange::Closed(over) => {
            let event = close(transaction, over)?;
            if let Some(event) = &event {
                deliveries::note_closed(transaction, event, (over.at, over.end))?;
            }
            event
        }
    };
    Ok(event)
}

/// Gives the alert back if its row is new. Indexes see to it that one of its kind and cause is open at a time.
fn open(transaction: &Transaction<'_>, alert: &FleetAlert) -> rusqlite::Result<Option<AlertEvent>> {
    let kind = alert.trouble.kind.alert();
    let values = params![
        kind.word(),
        alert.episode(),
        alert.message,
        format_timestamp(alert.at),
        alert.trouble.cause.text(),
        alert.count,
        kind.severity().word(),
        alert.manager,
    ];
    let added = transaction
        .prepare_cached(
            "INSERT OR IGNORE INTO alerts \
             (kind, runtime, message, opened, last_seen, cause, count, severity, manager) \
             VALUES (?1, ?2, ?3, ?4, ?4, ?5, ?6, ?7, ?8) RETURNING id",
        )?
        .query_row(values, |row| row.get("id").map(AlertId))
        .optional()?;
    let (app, message) = (AlertSubject::FLEET.to_owned(), alert.message.clone());
    Ok(added.map(|id| AlertEvent { id, app, kind, message, turn: AlertTurn::Opened }))
}

fn repeat(transaction: &Transaction<'_>, alert: &FleetAlert) -> rusqlite::Result<()> {
    run_cached(
        transaction,
        "UPDATE alerts SET last_seen = ?4, count = ?5, message = ?6 \
         WHERE app_id IS NULL AND kind = ?1 AND cause = ?2 AND manager IS ?3 AND closed IS NULL",
        params![
            alert.trouble.kind.alert().word(),
            alert.trouble.cause.text(),
            alert.manager,
            format_timestamp(alert.at),
            alert.count,
            alert.message,
        ],
    )?;
    Ok(())
}

/// Gives the alert back if it was open.
fn close(transaction: &Transaction<'_>, over: &FleetAlertEnd) -> rusqlite::Result<Option<AlertEvent>> {
    let FleetAlertEnd { trouble, manager, at, end } = over;
    let kind = trouble.kind.alert();
    transaction
        .prepare_cached(
            "UPDATE alerts SET closed = ?4 WHERE app_id IS NULL AND kind = ?1 AND cause = ?2 AND manager IS ?3 \
             AND closed IS NULL RETURNING id, message, opened",
        )?
        .query_row(params![kind.word(), trouble.cause.text(), manager, format_timestamp(*at)], |row| {
            let after = row.time("opened")?.map_or(TimeDelta::zero(), |opened| *at - opened);
            let turn = AlertTurn::Closed { after, end: *end };
            let (id, app) = (row.get("id").map(AlertId)?, AlertSubject::FLEET.to_owned());
            Ok(AlertEvent { id, app, kind, message: row.sure_owned("message")?, turn })
        })
        .optional()
}

/// Those that are open: there is no other manager to close them, whatever name it had before.
pub(super) fn taken_up(connection: &Connection) -> Result<Vec<OpenFleetAlert>, StoreError> {
    let sql = "SELECT *, NULL AS owner FROM alerts WHERE app_id IS NULL AND closed IS NULL";
    let found = collect_valid(connection, sql, [], |row| rows::alert(row))?;
    Ok(found.into_iter().filter_map(OpenFleetAlert::of).collect())
}
