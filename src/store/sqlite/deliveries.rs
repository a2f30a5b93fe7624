//! Deliveries of the embedded database, whose one manager sends them all.

use std::sync::Arc;

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension as _, Transaction, TransactionBehavior, params};

use super::connection::translate;
use super::link::Shared;
use super::{SqliteStore, collect, collect_valid};
use crate::model::{
    AlertEnd, AlertEvent, Closing, Delivered, Delivery, DeliveryId, GATHER, Labels, NoticeEvent,
    PING_CHANNEL, Route, SentMessage, Timestamp, format_timestamp,
};
use crate::store::deliveries::{DUE_MAX, LABELS, body, channels, ping, with_alerts};
use crate::store::row_reader::RowReader as _;
use crate::store::{ALERT_APP, ALERT_OWNER, Deliveries, StoreError, rows};

/// Writes the deliveries of an alert that this transaction opens.
pub(super) fn note_opened(
    transaction: &Transaction<'_>,
    routes: &[Route],
    event: &AlertEvent,
    (at, manager): (Timestamp, Option<&str>),
) -> rusqlite::Result<()> {
    let body = body(NoticeEvent::Opened, event, None);
    let labels = if routes.iter().any(Route::reads_labels) {
        let mut statement = transaction.prepare_cached(LABELS)?;
        statement.query_row([event.id.0], |row| rows::labels(row)).optional()?
    } else {
        None
    };
    let (owner, tags) = labels.unwrap_or_default();
    for channel in channels(routes, event, Labels { owner: owner.as_deref(), tags: &tags }) {
        transaction
            .prepare_cached(
                "INSERT INTO deliveries (kind, channel, event, alert_id, body, created, due, manager) \
                 VALUES ('notification', ?1, 'opened', ?2, ?3, ?4, ?5, ?6)",
            )?
            .execute(params![
                channel,
                event.id.0,
                body,
                format_timestamp(at),
                format_timestamp(at + GATHER),
                manager
            ])?;
    }
    Ok(())
}

/// The same for an alert that it closes: the channels that are to say that it was opened are to say that it is over.
pub(super) fn note_closed(
    transaction: &Transaction<'_>,
    event: &AlertEvent,
    (at, end): (Timestamp, AlertEnd),
) -> rusqlite::Result<()> {
    transaction
        .prepare_cached(
            "INSERT INTO deliveries (kind, channel, event, alert_id, body, created, due, manager) \
             SELECT kind, channel, 'recovered', alert_id, ?2, ?3, ?4, manager FROM deliveries \
             WHERE alert_id = ?1 AND event = 'opened'",
        )?
        .execute(params![
            event.id.0,
            body(NoticeEvent::Recovered, event, Some(end)),
            format_timestamp(at),
            format_timestamp(at + GATHER),
        ])?;
    transaction
        .prepare_cached(
            "DELETE FROM deliveries WHERE alert_id = ?1 AND event = 'repeated' AND delivered IS NULL AND given_up IS NULL",
        )?
        .execute([event.id.0])?;
    Ok(())
}

/// Writes the call of an app's `ping_url` after a run that this transaction closes. One of an earlier run that has not left
/// yet would say something that is not true any more. Says whether there is such a call.
pub(super) fn note_ping(
    transaction: &Transaction<'_>,
    (app, run): (&str, &str),
    closing: &Closing,
) -> rusqlite::Result<bool> {
    let Some(said) = ping(app, run, closing) else { return Ok(false) };
    let added = transaction
        .prepare_cached(
            "INSERT INTO deliveries (kind, channel, body, created, due, manager) \
             SELECT 'ping', ?4, json_set(?2, '$.url', ping_url), ?3, ?3, manager FROM apps \
             WHERE app = ?1 AND ping_url IS NOT NULL",
        )?
        .execute(params![app, said, format_timestamp(closing.ended), PING_CHANNEL])?;
    if added > 0 {
        transaction
            .prepare_cached(
                "DELETE FROM deliveries WHERE channel = ?3 AND delivered IS NULL AND given_up IS NULL \
                 AND json_extract(body, '$.app') = ?1 AND json_extract(body, '$.run') <> ?2",
            )?
            .execute(params![app, run, PING_CHANNEL])?;
    }
    Ok(added > 0)
}

/// A list of numbers, as an argument.
fn numbers(deliveries: &[DeliveryId]) -> String {
    serde_json::json!(deliveries.iter().map(|id| id.0).collect::<Vec<_>>()).to_string()
}

fn due(connection: &Connection, channel: &str, until: Timestamp) -> Result<Vec<Delivery>, StoreError> {
    let found = collect_valid(
        connection,
        "SELECT * FROM deliveries WHERE channel = ?1 AND due <= ?2 AND delivered IS NULL AND given_up IS NULL \
         ORDER BY due, id LIMIT ?3",
        params![channel, format_timestamp(until), DUE_MAX],
        |row| rows::delivery(row),
    )?;
    let asked = serde_json::json!(found.iter().filter_map(|(_, alert)| *alert).collect::<Vec<_>>());
    let alerts = collect_valid(
        connection,
        &format!(
            "SELECT *, {ALERT_APP}, {ALERT_OWNER} FROM alerts WHERE id IN (SELECT value FROM json_each(?1))"
        ),
        [asked.to_string()],
        |row| Ok((rows::alert(row)?, row.sure_owned("path")?)),
    )?;
    Ok(with_alerts(found, alerts))
}

/// One transaction of the manager, which is no news to it.
pub(super) fn write<T>(
    connection: &mut Connection,
    shared: &Shared,
    write: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
) -> Result<T, StoreError> {
    let written = write_as_news(connection, shared, write)?;
    let _ = shared.moved(connection);
    Ok(written)
}

/// One transaction of the manager, which it finds when it looks for what others wrote.
pub(super) fn write_as_news<T>(
    connection: &mut Connection,
    shared: &Shared,
    write: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
) -> Result<T, StoreError> {
    let begun = connection.transaction_with_behavior(TransactionBehavior::Immediate);
    let transaction = begun.map_err(|error| translate(&error))?;
    shared.check_seat(&transaction)?;
    let written = write(&transaction).and_then(|result| transaction.commit().map(|()| result));
    written.map_err(|error| translate(&error))
}

fn begin(
    transaction: &Transaction<'_>,
    deliveries: &[DeliveryId],
    again: Timestamp,
    manager: Option<&str>,
) -> rusqlite::Result<Vec<DeliveryId>> {
    transaction
        .prepare_cached(
            "UPDATE deliveries SET tries = tries + 1, due = ?2, manager = ?3 \
             WHERE id IN (SELECT value FROM json_each(?1)) AND delivered IS NULL AND given_up IS NULL RETURNING id",
        )?
        .query_map(params![numbers(deliveries), format_timestamp(again), manager], |row| {
            row.get(0).map(DeliveryId)
        })?
        .collect()
}

fn settle(
    transaction: &Transaction<'_>,
    deliveries: &[DeliveryId],
    at: Timestamp,
    delivered: &Delivered,
) -> rusqlite::Result<()> {
    let ids = numbers(deliveries);
    let at = format_timestamp(at);
    let of_these = "WHERE id IN (SELECT value FROM json_each(?1)) AND delivered IS NULL AND given_up IS NULL";
    match delivered {
        Delivered::Sent { body, repeats } => {
            transaction.execute(
                "UPDATE alerts SET delivered = ?2 WHERE delivered IS NULL AND id IN (SELECT alert_id FROM deliveries \
                 WHERE id IN (SELECT value FROM json_each(?1)) AND event <> 'recovered' AND delivered IS NULL)",
                params![ids, at],
            )?;
            let mut repeat = transaction.prepare_cached(
                "INSERT INTO deliveries (kind, channel, event, alert_id, stage, body, created, due, manager) \
                 SELECT sent.kind, channel, 'repeated', alert_id, stage + 1, \
                   json_set(body, '$.event', 'repeated'), ?2, ?3, sent.manager \
                 FROM deliveries AS sent JOIN alerts ON alerts.id = alert_id \
                 WHERE sent.id = ?1 AND sent.delivered IS NULL AND given_up IS NULL AND closed IS NULL",
            )?;
            for (id, due) in repeats {
                repeat.execute(params![id.0, at, format_timestamp(*due)])?;
            }
            transaction.execute(
                &format!(
                    "UPDATE deliveries SET delivered = ?2, body = coalesce(?3, body), last_error = NULL {of_these}"
                ),
                params![ids, at, body],
            )
        }
        Delivered::Failed { why, again } => transaction.execute(
            &format!("UPDATE deliveries SET last_error = ?2, due = ?3 {of_these}"),
            params![ids, why, format_timestamp(*again)],
        ),
        Delivered::GivenUp { why } => transaction.execute(
            &format!("UPDATE deliveries SET last_error = ?2, given_up = ?3 {of_these}"),
            params![ids, why, at],
        ),
        Delivered::Needless => transaction.execute(&format!("DELETE FROM deliveries {of_these}"), [ids]),
    }
    .map(drop)
}

#[async_trait]
impl Deliveries for SqliteStore {
    fn set_routes(&self, routes: Vec<Route>) {
        self.shared.set_routes(routes);
    }

    async fn due_deliveries(&self, channel: String, until: Timestamp) -> Result<Vec<Delivery>, StoreError> {
        self.reader.call(move |connection| due(connection, &channel, until)).await
    }

    async fn next_delivery(&self, channel: String) -> Result<Option<Timestamp>, StoreError> {
        self.reader
            .call(move |connection| {
                let found = collect(
                    connection,
                    "SELECT min(due) AS due FROM deliveries WHERE channel = ?1 AND delivered IS NULL AND given_up IS NULL",
                    [channel],
                    |row| row.time("due"),
                )?;
                Ok(found.into_iter().next().flatten())
            })
            .await
    }

    async fn waiting_channels(&self) -> Result<Vec<String>, StoreError> {
        self.reader
            .call(|connection| {
                collect(
                    connection,
                    "SELECT DISTINCT channel FROM deliveries WHERE delivered IS NULL AND given_up IS NULL \
                     AND kind NOT IN ('document', 'reply')",
                    [],
                    |row| row.sure_owned("channel"),
                )
            })
            .await
    }

    async fn begin_deliveries(
        &self,
        deliveries: Vec<DeliveryId>,
        again: Timestamp,
    ) -> Result<Vec<DeliveryId>, StoreError> {
        let (shared, manager) = (Arc::clone(&self.shared), self.seat());
        self.writer
            .call(move |connection| {
                write(connection, &shared, |transaction| {
                    begin(transaction, &deliveries, again, manager.as_deref())
                })
            })
            .await
    }

    async fn settle_deliveries(
        &self,
        deliveries: Vec<DeliveryId>,
        at: Timestamp,
        delivered: Delivered,
    ) -> Result<(), StoreError> {
        let shared = Arc::clone(&self.shared);
        self.writer
            .call(move |connection| {
                write(connection, &shared, |transaction| settle(transaction, &deliveries, at, &delivered))
            })
            .await
    }

    async fn sent_since(&self, moment: Timestamp) -> Result<Vec<SentMessage>, StoreError> {
        self.reader
            .call(move |connection| {
                collect(
                    connection,
                    "SELECT DISTINCT channel, coalesce(cause, '') AS cause, deliveries.delivered AS delivered \
                     FROM deliveries LEFT JOIN alerts ON alerts.id = alert_id \
                     WHERE deliveries.delivered > ?1 AND deliveries.kind = 'notification' ORDER BY deliveries.delivered",
                    [format_timestamp(moment)],
                    |row| rows::sent_message(row),
                )
            })
            .await
    }
}
