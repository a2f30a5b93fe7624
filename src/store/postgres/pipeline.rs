//! What a manager needs to watch directories and publish documents, of the server. A root is one manager's; a document
//! that is due is whoever's takes it.

use async_trait::async_trait;
use sqlx::{PgConnection, Row as _};

use super::commit::{milliseconds, text};
use super::connection::{Fault, Plan, statement};
use super::managers::{self, Seat};
use super::{PostgresStore, first_column, valid};
use crate::model::{
    DOCUMENT_CHANNEL, DeliveryId, DueDocument, Entered, EventId, KnownVersion, NewEvent, Published,
    RootState, Target, TaskId, Timestamp,
};
use crate::store::document_rows as rows;
use crate::store::documents::not_watched;
use crate::store::row_reader::RowReader as _;
use crate::store::{DOCUMENTS_MAX, Pipeline, StoreError};

/// In one statement: what is known is noted, the rest entered with its first task.
const ENTER: &str = "WITH given AS ( \
       SELECT given.*, latest.id AS known, latest.sha3 IS NOT DISTINCT FROM given.sha3 AND latest.id IS NOT NULL AS is_same \
       FROM unnest($2::text[], $3::bytea[], $4::bigint[], $5::text[], $6::timestamptz[], $7::timestamptz[], $8::text[]) \
         WITH ORDINALITY AS given (path, path_bytes, size, sha3, modified, seen, stamp, place) \
       LEFT JOIN LATERAL (SELECT id, sha3 FROM events WHERE root = $1 AND md5(path) = md5(given.path) \
         AND path = given.path ORDER BY id DESC LIMIT 1) AS latest ON true), \
     known AS (UPDATE events SET stamp = given.stamp, modified = given.modified, gone = NULL FROM given \
       WHERE is_same AND events.id = given.known), \
     replaced AS (UPDATE events SET gone = given.seen FROM given \
       WHERE NOT is_same AND events.id = given.known AND events.gone IS NULL), \
     added AS (INSERT INTO events (root, path, path_bytes, size, sha3, modified, seen, topic, app_group, stamp) \
       SELECT name, given.path, path_bytes, size, sha3, modified, seen, topic, app_group, stamp \
       FROM given JOIN watch_roots ON name = $1 WHERE NOT is_same ORDER BY place RETURNING id, path, topic), \
     tasks AS (INSERT INTO pipeline_task (event_id, document, topic) SELECT id, path, topic FROM added ORDER BY id) \
     SELECT coalesce(added.id, given.known) AS id, is_same FROM given LEFT JOIN added ON added.path = given.path \
       AND NOT is_same ORDER BY place";

async fn enter(
    connection: &mut PgConnection,
    root: &str,
    events: &[NewEvent],
    manager: &str,
) -> Result<Vec<Entered>, Fault> {
    // Held to the end: another manager that was given the root waits, and finds what was entered.
    let watched =
        statement("SELECT FROM watch_roots WHERE name = $1 AND enabled AND manager = $2 FOR UPDATE")
            .bind(text(root))
            .bind(manager)
            .fetch_optional(&mut *connection)
            .await?;
    if watched.is_none() {
        return Err(not_watched(root).into());
    }
    let each = |of: fn(&NewEvent) -> String| events.iter().map(of).collect::<Vec<_>>();
    let found = statement(ENTER)
        .bind(text(root))
        .bind(each(|event| text(event.path.text())))
        .bind(events.iter().map(|event| event.path.odd_bytes()).collect::<Vec<_>>())
        .bind(events.iter().map(|event| i64::try_from(event.size).unwrap_or(i64::MAX)).collect::<Vec<_>>())
        .bind(each(|event| event.sha3.clone()))
        .bind(events.iter().map(|event| event.modified.map(milliseconds)).collect::<Vec<_>>())
        .bind(events.iter().map(|event| milliseconds(event.seen)).collect::<Vec<_>>())
        .bind(each(|event| event.stamp.clone()))
        .fetch_all(connection)
        .await?;
    let entered = found.iter().map(|row| {
        let id = EventId(row.try_get("id")?);
        Ok(if row.try_get("is_same")? { Entered::Same(id) } else { Entered::New(id) })
    });
    Ok(entered.collect::<sqlx::Result<_>>()?)
}

/// A manager that takes rows changes them, so that others pass them over meanwhile.
async fn take(
    connection: &mut PgConnection,
    now: Timestamp,
    again: Timestamp,
    seat: &Seat,
) -> Result<Vec<DueDocument>, Fault> {
    managers::share_seat(connection, &seat.name).await?;
    if !managers::holds(connection, seat).await? {
        return Ok(Vec::new());
    }
    let found = statement(
        "WITH taken AS (UPDATE deliveries SET tries = least(tries, 999999) + 1, due = $3, manager = $4 \
           WHERE id IN (SELECT id FROM deliveries WHERE channel = $1 AND due <= $2 AND delivered IS NULL AND given_up IS NULL \
             ORDER BY due, id LIMIT $5 FOR UPDATE SKIP LOCKED) \
           RETURNING id AS delivery, created AS due_since, tries, task_id) \
         SELECT taken.*, task.id, task.message_id, task.topic, task.queue, task.actor, task.document, \
           event.path, event.path_bytes, event.sha3, event.app_group \
         FROM taken JOIN pipeline_task AS task ON task.id = task_id JOIN events AS event ON event.id = task.event_id \
         ORDER BY delivery",
    )
    .bind(DOCUMENT_CHANNEL)
    .bind(milliseconds(now))
    .bind(milliseconds(again))
    .bind(&seat.name)
    .bind(i64::from(DOCUMENTS_MAX))
    .fetch_all(connection)
    .await?;
    Ok(valid(&found, rows::due)?)
}

async fn settle_sent(
    connection: &mut PgConnection,
    (deliveries, tasks): (Vec<i64>, Vec<i64>),
    at: Timestamp,
    manager: Option<&str>,
) -> Result<(), Fault> {
    statement(
        "UPDATE deliveries SET delivered = $2, last_error = NULL \
         WHERE id = ANY ($1) AND delivered IS NULL AND given_up IS NULL",
    )
    .bind(deliveries)
    .bind(at)
    .execute(&mut *connection)
    .await?;
    statement(
        "UPDATE pipeline_task SET sent = $2, manager = $3, status = CASE status WHEN 0 THEN 1 ELSE status END, \
           error = CASE status WHEN 0 THEN NULL ELSE error END WHERE id = ANY ($1)",
    )
    .bind(tasks)
    .bind(at)
    .bind(manager)
    .execute(connection)
    .await?;
    Ok(())
}

async fn settle(
    connection: &mut PgConnection,
    published: &[(DeliveryId, TaskId, Published)],
    at: Timestamp,
    manager: Option<&str>,
) -> Result<(), Fault> {
    let at = milliseconds(at);
    let sent = published.iter().filter(|(.., published)| *published == Published::Sent);
    let sent: (Vec<_>, Vec<_>) = sent.map(|(delivery, task, _)| (delivery.0, task.0)).unzip();
    if !sent.0.is_empty() {
        settle_sent(connection, sent, at, manager).await?;
    }
    let mut later = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut given_up = (Vec::new(), Vec::new(), Vec::new());
    for (delivery, task, published) in published {
        match published {
            Published::Sent => {}
            Published::Later { why, again } => {
                later.0.push(delivery.0);
                later.1.push(task.0);
                later.2.push(text(why));
                later.3.push(milliseconds(*again));
            }
            Published::GivenUp { why } => {
                given_up.0.push(delivery.0);
                given_up.1.push(task.0);
                given_up.2.push(text(why));
            }
        }
    }
    if !later.0.is_empty() {
        statement(
            "WITH given AS (SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::timestamptz[]) \
               AS given (delivery, task, why, again)), \
             told AS (UPDATE pipeline_task SET error = why FROM given WHERE id = task AND status = 0) \
             UPDATE deliveries SET last_error = why, due = again, manager = NULL FROM given \
             WHERE id = delivery AND delivered IS NULL AND given_up IS NULL",
        )
        .bind(later.0)
        .bind(later.1)
        .bind(later.2)
        .bind(later.3)
        .execute(&mut *connection)
        .await?;
    }
    if !given_up.0.is_empty() {
        statement(
            "WITH given AS (SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::text[]) AS given (delivery, task, why)), \
             dead AS (UPDATE pipeline_task SET status = 5, error = why, finished = $4 FROM given \
               WHERE id = task AND status = 0) \
             UPDATE deliveries SET last_error = why, given_up = $4 FROM given \
             WHERE id = delivery AND delivered IS NULL AND given_up IS NULL",
        )
        .bind(given_up.0)
        .bind(given_up.1)
        .bind(given_up.2)
        .bind(at)
        .execute(connection)
        .await?;
    }
    Ok(())
}

#[async_trait]
impl Pipeline for PostgresStore {
    async fn claim_watch_root(&self, name: String) -> Result<bool, StoreError> {
        let seat = self.own_seat()?;
        self.worker
            .call(Plan::WRITE, async move |connection: &mut PgConnection| {
                let done = statement(
                    "UPDATE watch_roots SET manager = $2 WHERE name = $1 AND enabled AND manager IS NULL",
                )
                .bind(text(&name))
                .bind(&seat.name)
                .execute(&mut *connection)
                .await?;
                if done.rows_affected() > 0 {
                    return Ok(true);
                }
                let own = statement("SELECT FROM watch_roots WHERE name = $1 AND enabled AND manager = $2")
                    .bind(text(&name))
                    .bind(&seat.name)
                    .fetch_optional(connection)
                    .await?;
                Ok(own.is_some())
            })
            .await
    }

    async fn note_watch_root(&self, name: String, state: RootState) -> Result<(), StoreError> {
        let seat = self.own_seat()?;
        self.worker
            .call(Plan::WRITE, async move |connection: &mut PgConnection| {
                statement(
                    "UPDATE watch_roots SET scanned = $3, files = $4, fault = $5 WHERE name = $1 AND manager = $2",
                )
                .bind(text(&name))
                .bind(&seat.name)
                .bind(state.scanned.map(milliseconds))
                .bind(state.files.map(|files| i64::try_from(files).unwrap_or(i64::MAX)))
                .bind(state.fault.as_deref().map(text))
                .execute(connection)
                .await?;
                Ok(())
            })
            .await
    }

    async fn known_versions(&self, root: String, after: EventId) -> Result<Vec<KnownVersion>, StoreError> {
        self.worker
            .call(Plan::READ, async move |connection: &mut PgConnection| {
                let found = statement(
                    "SELECT id, path, path_bytes, stamp FROM events WHERE root = $1 AND id > $2 AND gone IS NULL \
                     ORDER BY id LIMIT $3",
                )
                .bind(text(&root))
                .bind(after.0)
                .bind(i64::from(DOCUMENTS_MAX))
                .fetch_all(connection)
                .await?;
                Ok(valid(&found, rows::known_version)?)
            })
            .await
    }

    async fn enter_events(&self, root: String, events: Vec<NewEvent>) -> Result<Vec<Entered>, StoreError> {
        let seat = self.own_seat()?;
        self.worker
            .call(Plan::WRITE_MANY, async move |connection: &mut PgConnection| {
                enter(connection, &root, &events, &seat.name).await
            })
            .await
    }

    async fn note_gone(&self, root: String, events: Vec<EventId>, at: Timestamp) -> Result<(), StoreError> {
        self.worker
            .call(Plan::WRITE, async move |connection: &mut PgConnection| {
                statement("UPDATE events SET gone = $3 WHERE id = ANY ($1) AND root = $2 AND gone IS NULL")
                    .bind(events.iter().map(|event| event.0).collect::<Vec<_>>())
                    .bind(text(&root))
                    .bind(milliseconds(at))
                    .execute(connection)
                    .await?;
                Ok(())
            })
            .await
    }

    async fn take_documents(&self, now: Timestamp, again: Timestamp) -> Result<Vec<DueDocument>, StoreError> {
        let seat = self.own_seat()?;
        self.worker
            .call(Plan::WRITE, async move |connection: &mut PgConnection| {
                take(connection, now, again, &seat).await
            })
            .await
    }

    async fn next_document(&self) -> Result<Option<Timestamp>, StoreError> {
        self.worker
            .call(Plan::READ, async move |connection: &mut PgConnection| {
                let row = statement(
                    "SELECT min(due) AS due FROM deliveries \
                     WHERE channel = $1 AND delivered IS NULL AND given_up IS NULL",
                )
                .bind(DOCUMENT_CHANNEL)
                .fetch_one(connection)
                .await?;
                Ok(row.time("due")?)
            })
            .await
    }

    async fn release_documents(&self, now: Timestamp) -> Result<(), StoreError> {
        let seat = self.own_seat()?;
        self.worker
            .call(Plan::WRITE, async move |connection: &mut PgConnection| {
                statement(
                    "UPDATE deliveries SET due = $3, manager = NULL \
                     WHERE channel = $1 AND manager = $2 AND delivered IS NULL AND given_up IS NULL",
                )
                .bind(DOCUMENT_CHANNEL)
                .bind(&seat.name)
                .bind(milliseconds(now))
                .execute(connection)
                .await?;
                Ok(())
            })
            .await
    }

    async fn route_documents(&self, routed: Vec<(TaskId, Target)>) -> Result<Vec<TaskId>, StoreError> {
        self.worker
            .call(Plan::WRITE, async move |connection: &mut PgConnection| {
                let found = statement(
                    "UPDATE pipeline_task SET stage = given.actor, actor = given.actor, queue = given.queue, error = NULL \
                     FROM unnest($1::bigint[], $2::text[], $3::text[]) AS given (task, queue, actor) \
                     WHERE id = task AND pipeline_task.queue IS NULL AND status = 0 RETURNING id",
                )
                .bind(routed.iter().map(|(task, _)| task.0).collect::<Vec<_>>())
                .bind(routed.iter().map(|(_, target)| text(&target.queue)).collect::<Vec<_>>())
                .bind(routed.iter().map(|(_, target)| text(&target.actor)).collect::<Vec<_>>())
                .fetch_all(connection)
                .await?;
                Ok(first_column(&found)?.into_iter().map(TaskId).collect())
            })
            .await
    }

    async fn settle_documents(
        &self,
        published: Vec<(DeliveryId, TaskId, Published)>,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let manager = self.seat_name();
        self.worker
            .call(Plan::WRITE, async move |connection: &mut PgConnection| {
                settle(connection, &published, at, manager.as_deref()).await
            })
            .await
    }

    async fn bury_documents(
        &self,
        messages: Vec<(String, String)>,
        at: Timestamp,
    ) -> Result<Vec<String>, StoreError> {
        self.worker
            .call(Plan::WRITE, async move |connection: &mut PgConnection| {
                let (ids, errors): (Vec<_>, Vec<_>) =
                    messages.iter().map(|(id, error)| (text(id), text(error))).unzip();
                statement(
                    "UPDATE pipeline_task SET status = 5, error = coalesce(pipeline_task.error, given.error), \
                       finished = CASE status WHEN 5 THEN coalesce(finished, $3) ELSE $3 END \
                     FROM unnest($1::text[], $2::text[]) AS given (message, error) \
                     WHERE message_id = message AND status <> 3",
                )
                .bind(&ids)
                .bind(errors)
                .bind(milliseconds(at))
                .execute(&mut *connection)
                .await?;
                let found = statement("SELECT message_id FROM pipeline_task WHERE message_id = ANY ($1)")
                    .bind(&ids)
                    .fetch_all(connection)
                    .await?;
                Ok(first_column(&found)?)
            })
            .await
    }
}
