//! Deliveries of the server. A manager sends its own, and takes over those of managers that are lost: of two that take the
//! same row one finds it changed.

use std::sync::{Arc, PoisonError};

use async_trait::async_trait;
use sqlx::{PgConnection, Row as _};

use super::commit::{milliseconds, text};
use super::connection::{Fault, Plan, composed, statement};
use super::{PostgresStore, managers, valid};
use crate::model::{
    AlertEnd, AlertEvent, Closing, Delivered, Delivery, DeliveryId, GATHER, Labels, NoticeEvent,
    PING_CHANNEL, Route, SentMessage, Timestamp,
};
use crate::store::deliveries::{DUE_MAX, LABELS, body, channels, ping, with_alerts};
use crate::store::row_reader::RowReader as _;
use crate::store::{ALERT_APP, ALERT_OWNER, Deliveries, StoreError, rows};

/// Writes the deliveries of an alert that this transaction opens.
pub(super) async fn note_opened(
    connection: &mut PgConnection,
    routes: &[Route],
    event: &AlertEvent,
    (at, manager): (Timestamp, Option<&str>),
) -> Result<(), Fault> {
    let found = if routes.iter().any(Route::reads_labels) {
        statement(LABELS).bind(event.id.0).fetch_optional(&mut *connection).await?
    } else {
        None
    };
    let labels = found.as_ref().map(rows::labels).transpose()?;
    let (owner, tags) = labels.unwrap_or_default();
    let labels = Labels { owner: owner.as_deref(), tags: &tags };
    let channels: Vec<_> = channels(routes, event, labels).map(text).collect();
    if channels.is_empty() {
        return Ok(());
    }
    statement(
        "INSERT INTO deliveries (kind, channel, event, alert_id, body, created, due, manager) \
         SELECT 'notification', channel, 'opened', $2, $3, $4, $5, $6 FROM unnest($1::text[]) AS channel",
    )
    .bind(channels)
    .bind(event.id.0)
    .bind(text(&body(NoticeEvent::Opened, event, None)))
    .bind(milliseconds(at))
    .bind(milliseconds(at + GATHER))
    .bind(manager)
    .execute(connection)
    .await?;
    Ok(())
}

/// The same for an alert that it closes: the channels that are to say that it was opened are to say that it is over.
pub(super) async fn note_closed(
    connection: &mut PgConnection,
    event: &AlertEvent,
    (at, end): (Timestamp, AlertEnd),
) -> Result<(), Fault> {
    statement(
        "INSERT INTO deliveries (kind, channel, event, alert_id, body, created, due, manager) \
         SELECT kind, channel, 'recovered', alert_id, $2, $3, $4, manager FROM deliveries \
         WHERE alert_id = $1 AND event = 'opened'",
    )
    .bind(event.id.0)
    .bind(text(&body(NoticeEvent::Recovered, event, Some(end))))
    .bind(milliseconds(at))
    .bind(milliseconds(at + GATHER))
    .execute(&mut *connection)
    .await?;
    statement(
        "DELETE FROM deliveries WHERE alert_id = $1 AND event = 'repeated' AND delivered IS NULL AND given_up IS NULL",
    )
    .bind(event.id.0)
    .execute(connection)
    .await?;
    Ok(())
}

/// Writes the call of an app's `ping_url` after a run that this transaction closes. One of an earlier run that has not left
/// yet would say something that is not true any more. Says whether there is such a call.
pub(super) async fn note_ping(
    connection: &mut PgConnection,
    (app, run): (&str, &str),
    closing: &Closing,
) -> Result<bool, Fault> {
    let Some(said) = ping(app, run, closing) else { return Ok(false) };
    let added = statement(
        "INSERT INTO deliveries (kind, channel, body, created, due, manager) \
         SELECT 'ping', $4, jsonb_set($2::jsonb, '{url}', to_jsonb(ping_url))::text, $3, $3, manager FROM apps \
         WHERE app = $1 AND ping_url IS NOT NULL",
    )
    .bind(app)
    .bind(text(&said))
    .bind(milliseconds(closing.ended))
    .bind(PING_CHANNEL)
    .execute(&mut *connection)
    .await?;
    if added.rows_affected() > 0 {
        statement(
            "DELETE FROM deliveries WHERE channel = $3 AND delivered IS NULL AND given_up IS NULL \
             AND body::jsonb ->> 'app' = $1 AND body::jsonb ->> 'run' <> $2",
        )
        .bind(app)
        .bind(run)
        .bind(PING_CHANNEL)
        .execute(connection)
        .await?;
    }
    Ok(added.rows_affected() > 0)
}

fn numbers(deliveries: &[DeliveryId]) -> Vec<i64> {
    deliveries.iter().map(|id| id.0).collect()
}

/// Deliveries that the manager of this name may send: those of a manager without a lease are for all.
const SENDABLE: &str = "delivered IS NULL AND given_up IS NULL AND (deliveries.manager IS NOT DISTINCT FROM $1 \
    OR NOT EXISTS (SELECT FROM managers WHERE name = deliveries.manager AND stopped IS NULL \
      AND lease_until + make_interval(secs => lease / 3) >= clock_timestamp()))";

async fn due(
    connection: &mut PgConnection,
    manager: Option<&str>,
    channel: &str,
    until: Timestamp,
) -> Result<Vec<Delivery>, Fault> {
    let found = composed(format!(
        "SELECT * FROM deliveries WHERE channel = $2 AND due <= $3 AND {SENDABLE} ORDER BY due, id LIMIT $4"
    ))
    .bind(manager)
    .bind(text(channel))
    .bind(milliseconds(until))
    .bind(i64::from(DUE_MAX))
    .fetch_all(&mut *connection)
    .await?;
    let found = valid(&found, rows::delivery)?;
    let asked: Vec<_> = found.iter().filter_map(|(_, alert)| *alert).collect();
    let alerts = composed(format!("SELECT *, {ALERT_APP}, {ALERT_OWNER} FROM alerts WHERE id = ANY($1)"))
        .bind(asked)
        .fetch_all(connection)
        .await?;
    let alerts = valid(&alerts, |row| Ok((rows::alert(row)?, row.sure_owned("path")?)))?;
    Ok(with_alerts(found, alerts))
}

/// That it has left is true, whichever manager it belongs to by now.
async fn settle_sent(
    connection: &mut PgConnection,
    ids: Vec<i64>,
    at: Timestamp,
    (body, repeats): (Option<&str>, &[(DeliveryId, Timestamp)]),
) -> Result<(), Fault> {
    statement(
        "UPDATE alerts SET delivered = $2 WHERE delivered IS NULL AND id IN (SELECT alert_id FROM deliveries \
         WHERE id = ANY($1) AND event <> 'recovered' AND delivered IS NULL)",
    )
    .bind(&ids)
    .bind(at)
    .execute(&mut *connection)
    .await?;
    let (of, due): (Vec<_>, Vec<_>) = repeats.iter().map(|(id, due)| (id.0, milliseconds(*due))).unzip();
    statement(
        "INSERT INTO deliveries (kind, channel, event, alert_id, stage, body, created, due, manager) \
         SELECT sent.kind, channel, 'repeated', alert_id, stage + 1, \
           jsonb_set(body::jsonb, '{event}', '\"repeated\"')::text, $3, repeat.due, sent.manager \
         FROM unnest($1::bigint[], $2::timestamptz[]) AS repeat (id, due) \
           JOIN deliveries AS sent ON sent.id = repeat.id JOIN alerts ON alerts.id = alert_id \
         WHERE sent.delivered IS NULL AND given_up IS NULL AND closed IS NULL",
    )
    .bind(of)
    .bind(due)
    .bind(at)
    .execute(&mut *connection)
    .await?;
    statement(
        "UPDATE deliveries SET delivered = $2, body = coalesce($3, body), last_error = NULL \
         WHERE id = ANY($1) AND delivered IS NULL AND given_up IS NULL",
    )
    .bind(&ids)
    .bind(at)
    .bind(body.map(text))
    .execute(connection)
    .await?;
    Ok(())
}

async fn settle(
    connection: &mut PgConnection,
    deliveries: &[DeliveryId],
    at: Timestamp,
    delivered: &Delivered,
    manager: Option<&str>,
) -> Result<(), Fault> {
    let ids = numbers(deliveries);
    let at = milliseconds(at);
    match delivered {
        Delivered::Sent { body, repeats } => {
            settle_sent(connection, ids, at, (body.as_deref(), repeats)).await?;
        }
        Delivered::Failed { why, again } => {
            statement(
                "UPDATE deliveries SET last_error = $2, due = $3 \
                 WHERE id = ANY($1) AND delivered IS NULL AND given_up IS NULL AND manager IS NOT DISTINCT FROM $4",
            )
            .bind(&ids)
            .bind(text(why))
            .bind(milliseconds(*again))
            .bind(manager)
            .execute(connection)
            .await?;
        }
        Delivered::GivenUp { why } => {
            statement(
                "UPDATE deliveries SET last_error = $2, given_up = $3 \
                 WHERE id = ANY($1) AND delivered IS NULL AND given_up IS NULL AND manager IS NOT DISTINCT FROM $4",
            )
            .bind(&ids)
            .bind(text(why))
            .bind(at)
            .bind(manager)
            .execute(connection)
            .await?;
        }
        Delivered::Needless => {
            statement("DELETE FROM deliveries WHERE id = ANY($1) AND delivered IS NULL AND given_up IS NULL")
                .bind(&ids)
                .execute(connection)
                .await?;
        }
    }
    Ok(())
}

#[async_trait]
impl Deliveries for PostgresStore {
    fn set_routes(&self, routes: Vec<Route>) {
        *self.routes.lock().unwrap_or_else(PoisonError::into_inner) = Arc::from(routes);
    }

    async fn due_deliveries(&self, channel: String, until: Timestamp) -> Result<Vec<Delivery>, StoreError> {
        let manager = self.seat_name();
        self.worker
            .call(Plan::READ, async move |connection: &mut PgConnection| {
                due(connection, manager.as_deref(), &channel, until).await
            })
            .await
    }

    async fn next_delivery(&self, channel: String) -> Result<Option<Timestamp>, StoreError> {
        let manager = self.seat_name();
        self.worker
            .call(Plan::READ, async move |connection: &mut PgConnection| {
                let row = composed(format!(
                    "SELECT min(due) AS due FROM deliveries WHERE channel = $2 AND {SENDABLE}"
                ))
                .bind(manager.as_deref())
                .bind(text(&channel))
                .fetch_one(connection)
                .await?;
                Ok(row.time("due")?)
            })
            .await
    }

    async fn waiting_channels(&self) -> Result<Vec<String>, StoreError> {
        let manager = self.seat_name();
        self.worker
            .call(Plan::READ, async move |connection: &mut PgConnection| {
                let found = composed(format!("SELECT DISTINCT channel FROM deliveries WHERE kind NOT IN ('document', 'reply') AND {SENDABLE}"))
                    .bind(manager.as_deref())
                    .fetch_all(connection)
                    .await?;
                Ok(valid(&found, |row| row.sure_owned("channel"))?)
            })
            .await
    }

    async fn begin_deliveries(
        &self,
        deliveries: Vec<DeliveryId>,
        again: Timestamp,
    ) -> Result<Vec<DeliveryId>, StoreError> {
        let seat = self.own_seat()?;
        self.worker
            .call(Plan::WRITE, async move |connection: &mut PgConnection| {
                managers::share_seat(connection, &seat.name).await?;
                if !managers::holds(connection, &seat).await? {
                    // Others may be about to send them.
                    return Ok(Vec::new());
                }
                let found = composed(format!(
                    "UPDATE deliveries SET tries = tries + 1, due = $3, manager = $1 WHERE id = ANY($2) AND {SENDABLE} \
                     RETURNING id"
                ))
                .bind(&seat.name)
                .bind(numbers(&deliveries))
                .bind(milliseconds(again))
                .fetch_all(connection)
                .await?;
                let ids = found.iter().map(|row| row.try_get("id").map(DeliveryId));
                Ok(ids.collect::<sqlx::Result<_>>()?)
            })
            .await
    }

    async fn settle_deliveries(
        &self,
        deliveries: Vec<DeliveryId>,
        at: Timestamp,
        delivered: Delivered,
    ) -> Result<(), StoreError> {
        let manager = self.seat_name();
        self.worker
            .call(Plan::WRITE, async move |connection: &mut PgConnection| {
                settle(connection, &deliveries, at, &delivered, manager.as_deref()).await
            })
            .await
    }

    async fn sent_since(&self, moment: Timestamp) -> Result<Vec<SentMessage>, StoreError> {
        self.worker
            .call(Plan::READ, async move |connection: &mut PgConnection| {
                let found = statement(
                    "SELECT DISTINCT channel, coalesce(cause, '') AS cause, deliveries.delivered AS delivered \
                     FROM deliveries LEFT JOIN alerts ON alerts.id = alert_id \
                     WHERE deliveries.delivered > $1 AND deliveries.kind = 'notification' ORDER BY deliveries.delivered",
                )
                .bind(milliseconds(moment))
                .fetch_all(connection)
                .await?;
                Ok(valid(&found, rows::sent_message)?)
            })
            .await
    }
}
