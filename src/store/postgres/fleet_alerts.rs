//! Alerts about the fleet on the server: opened, repeated, closed, and those that a manager takes up.

use sqlx::{PgConnection, Row as _};

use super::commit::{milliseconds, text};
use super::connection::{Fault, statement};
use super::{deliveries, valid};
use crate::model::{
    AlertEvent, AlertId, AlertSubject, AlertTurn, FleetAlert, FleetAlertChange, FleetAlertEnd,
    OpenFleetAlert, Route, Timestamp,
};
use crate::store::rows;

/// Writes a change, and the deliveries that follow from it; gives the alert back if it was opened or closed.
pub(super) async fn write(
    connection: &mut PgConnection,
    change: &FleetAlertChange,
    (routes, manager): (&[Route], Option<&str>),
) -> Result<Option<AlertEvent>, Fault> {
    let event = match change {
        FleetAlertChange::Opened(alert) => {
            let event = open(connection, alert).await?;
            if let Some(event) = &event {
                deliveries::note_opened(connection, routes, event, (alert.at, manager)).await?;
            }
            event
        }
        FleetAlertChange::Repeated(alert) => {
            repeat(connection, alert).await?;
            None
        }
        FleetAlertChange::Closed(over) => {
            let event = close(connection, over).await?;
            if let Some(event) = &event {
                deliveries::note_closed(connection, event, (over.at, over.end)).await?;
            }
            event
        }
    };
    Ok(event)
}

/// Gives the alert back if its row is new. Indexes see to it that one of its kind and cause is open at a time.
async fn open(connection: &mut PgConnection, alert: &FleetAlert) -> Result<Option<AlertEvent>, Fault> {
    let kind = alert.trouble.kind.alert();
    let added = statement(
        "INSERT INTO alerts (kind, runtime, message, opened, last_seen, cause, count, severity, manager) \
         VALUES ($1, $2, $3, $4, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING RETURNING id",
    )
    .bind(kind.word())
    .bind(alert.episode())
    .bind(text(&alert.message))
    .bind(milliseconds(alert.at))
    .bind(text(alert.trouble.cause.text()))
    .bind(i64::from(alert.count))
    .bind(kind.severity().word())
    .bind(alert.manager.as_deref().map(text))
    .fetch_optional(connection)
    .await?;
    let Some(row) = added else { return Ok(None) };
    let (id, app) = (AlertId(row.try_get("id")?), AlertSubject::FLEET.to_owned());
    Ok(Some(AlertEvent { id, app, kind, message: alert.message.clone(), turn: AlertTurn::Opened }))
}

async fn repeat(connection: &mut PgConnection, alert: &FleetAlert) -> Result<(), Fault> {
    // Another manager may have counted further.
    statement(
        "UPDATE alerts SET last_seen = greatest(last_seen, $4), count = greatest(count, $5), message = $6 \
         WHERE app_id IS NULL AND kind = $1 AND cause = $2 AND manager IS NOT DISTINCT FROM $3 AND closed IS NULL",
    )
    .bind(alert.trouble.kind.alert().word())
    .bind(text(alert.trouble.cause.text()))
    .bind(alert.manager.as_deref().map(text))
    .bind(milliseconds(alert.at))
    .bind(i64::from(alert.count))
    .bind(text(&alert.message))
    .execute(connection)
    .await?;
    Ok(())
}

/// Gives the alert back if it was open.
async fn close(connection: &mut PgConnection, over: &FleetAlertEnd) -> Result<Option<AlertEvent>, Fault> {
    let kind = over.trouble.kind.alert();
    let closed = statement(
        "UPDATE alerts SET closed = $4 WHERE app_id IS NULL AND kind = $1 AND cause = $2 \
         AND manager IS NOT DISTINCT FROM $3 AND closed IS NULL RETURNING id, message, opened",
    )
    .bind(kind.word())
    .bind(text(over.trouble.cause.text()))
    .bind(over.manager.as_deref().map(text))
    .bind(milliseconds(over.at))
    .fetch_optional(connection)
    .await?;
    let Some(row) = closed else { return Ok(None) };
    let after = over.at - row.try_get::<Timestamp, _>("opened")?;
    let turn = AlertTurn::Closed { after, end: over.end };
    let (id, app) = (AlertId(row.try_get("id")?), AlertSubject::FLEET.to_owned());
    Ok(Some(AlertEvent { id, app, kind, message: row.try_get("message")?, turn }))
}

/// Those that are open and this manager's to close.
pub(super) async fn taken_up(
    connection: &mut PgConnection,
    manager: Option<&str>,
) -> Result<Vec<OpenFleetAlert>, Fault> {
    let found = statement(
        "SELECT *, NULL::text AS owner FROM alerts WHERE app_id IS NULL AND closed IS NULL AND (manager IS NULL OR manager = $1)",
    )
    .bind(manager.map(text))
    .fetch_all(connection)
    .await?;
    Ok(valid(&found, rows::alert)?.into_iter().filter_map(OpenFleetAlert::of).collect())
}
