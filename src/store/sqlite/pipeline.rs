//! What the manager of an embedded database needs to watch directories and publish documents.

use std::sync::Arc;

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension as _, Transaction, params};

use super::connection::translate;
use super::deliveries::write;
use super::documents::task_of;
use super::{SqliteStore, collect, collect_valid};
use crate::model::{
    DOCUMENT_CHANNEL, DeliveryId, DueDocument, Entered, EventId, KnownVersion, NewEvent, Published,
    RootState, Target, TaskId, Timestamp, format_timestamp,
};
use crate::store::document_rows as rows;
use crate::store::documents::{columns, not_watched};
use crate::store::row_reader::RowReader as _;
use crate::store::{DOCUMENTS_MAX, Pipeline, StoreError};

/// Whether the root is there, and is this manager's.
fn watches(connection: &Connection, root: &str, manager: Option<&str>) -> rusqlite::Result<bool> {
    connection
        .prepare_cached(
            "SELECT 1 FROM watch_roots WHERE name = ?1 AND enabled <> 0 AND (manager IS NULL OR manager = ?2)",
        )?
        .exists(params![root, manager])
}

fn enter(transaction: &Transaction<'_>, root: &str, events: &[NewEvent]) -> rusqlite::Result<Vec<Entered>> {
    let mut latest = transaction.prepare_cached(
        "SELECT id, coalesce(sha3, '') FROM events WHERE root = ?1 AND path = ?2 ORDER BY id DESC LIMIT 1",
    )?;
    let mut known = transaction
        .prepare_cached("UPDATE events SET stamp = ?2, modified = ?3, gone = NULL WHERE id = ?1")?;
    let mut replaced = transaction
        .prepare_cached("UPDATE events SET gone = ?3 WHERE root = ?1 AND path = ?2 AND gone IS NULL")?;
    let mut event = transaction.prepare_cached(
        "INSERT INTO events (root, path, path_bytes, size, sha3, modified, seen, topic, app_group, stamp) \
         SELECT name, ?2, ?3, ?4, ?5, ?6, ?7, topic, app_group, ?8 FROM watch_roots WHERE name = ?1",
    )?;
    let mut task = transaction.prepare_cached(
        "INSERT INTO pipeline_task (event_id, document, topic) SELECT id, path, topic FROM events WHERE id = ?1",
    )?;
    let mut entered = Vec::with_capacity(events.len());
    for new in events {
        let (path, bytes) = columns(&new.path);
        let seen = format_timestamp(new.seen);
        let modified = new.modified.map(format_timestamp);
        let before: Option<(i64, String)> =
            latest.query_row(params![root, path], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
        if let Some((id, sha3)) = before {
            if sha3 == new.sha3 {
                known.execute(params![id, new.stamp, modified])?;
                entered.push(Entered::Same(EventId(id)));
                continue;
            }
            replaced.execute(params![root, path, seen])?;
        }
        let size = i64::try_from(new.size).unwrap_or(i64::MAX);
        event.execute(params![root, path, bytes, size, new.sha3, modified, seen, new.stamp])?;
        let id = transaction.last_insert_rowid();
        task.execute([id])?;
        entered.push(Entered::New(EventId(id)));
    }
    Ok(entered)
}

/// A manager that takes rows changes them, in one statement.
fn take(
    transaction: &Transaction<'_>,
    now: Timestamp,
    again: Timestamp,
    manager: Option<&str>,
) -> rusqlite::Result<Vec<DueDocument>> {
    let found = transaction
        .prepare_cached(
            "SELECT deliveries.id AS delivery, deliveries.created AS due_since, min(deliveries.tries, 999999) + 1 AS tries, \
               task.id, task.message_id, task.topic, task.queue, task.actor, task.document, \
               event.path, event.path_bytes, event.sha3, event.app_group \
             FROM deliveries JOIN pipeline_task AS task ON task.id = deliveries.task_id \
               JOIN events AS event ON event.id = task.event_id \
             WHERE channel = ?1 AND due <= ?2 AND delivered IS NULL AND given_up IS NULL \
             ORDER BY due, deliveries.id LIMIT ?3",
        )?
        .query_map(params![DOCUMENT_CHANNEL, format_timestamp(now), DOCUMENTS_MAX], |row| rows::due(row))?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    let mut taken = transaction.prepare_cached(
        "UPDATE deliveries SET tries = min(tries, 999999) + 1, due = ?2, manager = ?3 WHERE id = ?1",
    )?;
    for document in &found {
        taken.execute(params![document.delivery.0, format_timestamp(again), manager])?;
    }
    Ok(found)
}

fn settle(
    transaction: &Transaction<'_>,
    published: &[(DeliveryId, TaskId, Published)],
    at: Timestamp,
    manager: Option<&str>,
) -> rusqlite::Result<()> {
    let open = "WHERE id = ?1 AND delivered IS NULL AND given_up IS NULL";
    let at = format_timestamp(at);
    let mut sent = transaction
        .prepare_cached(&format!("UPDATE deliveries SET delivered = ?2, last_error = NULL {open}"))?;
    let mut task_sent = transaction.prepare_cached(
        "UPDATE pipeline_task SET sent = ?2, manager = ?3, status = CASE status WHEN 0 THEN 1 ELSE status END, \
           error = CASE status WHEN 0 THEN NULL ELSE error END WHERE id = ?1",
    )?;
    let mut later = transaction
        .prepare_cached(&format!("UPDATE deliveries SET last_error = ?2, due = ?3, manager = NULL {open}"))?;
    let mut task_later =
        transaction.prepare_cached("UPDATE pipeline_task SET error = ?2 WHERE id = ?1 AND status = 0")?;
    let mut given_up = transaction
        .prepare_cached(&format!("UPDATE deliveries SET last_error = ?2, given_up = ?3 {open}"))?;
    let mut task_dead = transaction.prepare_cached(
        "UPDATE pipeline_task SET status = 5, error = ?2, finished = ?3 WHERE id = ?1 AND status = 0",
    )?;
    for (delivery, task, published) in published {
        match published {
            Published::Sent => {
                sent.execute(params![delivery.0, at])?;
                task_sent.execute(params![task.0, at, manager])?;
            }
            Published::Later { why, again } => {
                later.execute(params![delivery.0, why, format_timestamp(*again)])?;
                task_later.execute(params![task.0, why])?;
            }
            Published::GivenUp { why } => {
                given_up.execute(params![delivery.0, why, at])?;
                task_dead.execute(params![task.0, why, at])?;
            }
        }
    }
    Ok(())
}

fn bury(
    transaction: &Transaction<'_>,
    messages: &[(String, String)],
    at: Timestamp,
) -> rusqlite::Result<Vec<String>> {
    let mut dead = transaction.prepare_cached(
        "UPDATE pipeline_task SET status = 5, error = coalesce(error, ?2), \
           finished = CASE status WHEN 5 THEN coalesce(finished, ?3) ELSE ?3 END WHERE id = ?1 AND status <> 3",
    )?;
    let mut known = Vec::new();
    for (message, error) in messages {
        if let Some(task) = task_of(transaction, message)? {
            dead.execute(params![task.0, error, format_timestamp(at)])?;
            known.push(message.clone());
        }
    }
    Ok(known)
}

#[async_trait]
impl Pipeline for SqliteStore {
    async fn claim_watch_root(&self, name: String) -> Result<bool, StoreError> {
        let manager = self.seat();
        self.reader
            .call(move |connection| {
                watches(connection, &name, manager.as_deref()).map_err(|error| translate(&error))
            })
            .await
    }

    async fn note_watch_root(&self, name: String, state: RootState) -> Result<(), StoreError> {
        let shared = Arc::clone(&self.shared);
        self.writer
            .call(move |connection| {
                write(connection, &shared, |transaction| {
                    transaction
                        .prepare_cached(
                            "UPDATE watch_roots SET scanned = ?2, files = ?3, fault = ?4 WHERE name = ?1",
                        )?
                        .execute(params![
                            name,
                            state.scanned.map(format_timestamp),
                            state.files.map(|files| i64::try_from(files).unwrap_or(i64::MAX)),
                            state.fault
                        ])
                        .map(drop)
                })
            })
            .await
    }

    async fn known_versions(&self, root: String, after: EventId) -> Result<Vec<KnownVersion>, StoreError> {
        self.reader
            .call(move |connection| {
                let sql = "SELECT id, path, path_bytes, stamp FROM events \
                     WHERE root = ?1 AND id > ?2 AND gone IS NULL ORDER BY id LIMIT ?3";
                collect_valid(connection, sql, params![root, after.0, DOCUMENTS_MAX], |row| {
                    rows::known_version(row)
                })
            })
            .await
    }

    async fn enter_events(&self, root: String, events: Vec<NewEvent>) -> Result<Vec<Entered>, StoreError> {
        let (shared, manager) = (Arc::clone(&self.shared), self.seat());
        self.writer
            .call(move |connection| {
                let entered = write(connection, &shared, |transaction| {
                    if watches(transaction, &root, manager.as_deref())? {
                        enter(transaction, &root, &events).map(Some)
                    } else {
                        Ok(None)
                    }
                })?;
                entered.ok_or_else(|| not_watched(&root))
            })
            .await
    }

    async fn note_gone(&self, root: String, events: Vec<EventId>, at: Timestamp) -> Result<(), StoreError> {
        let shared = Arc::clone(&self.shared);
        self.writer
            .call(move |connection| {
                write(connection, &shared, |transaction| {
                    let mut gone = transaction.prepare_cached(
                        "UPDATE events SET gone = ?3 WHERE id = ?1 AND root = ?2 AND gone IS NULL",
                    )?;
                    for event in &events {
                        gone.execute(params![event.0, root, format_timestamp(at)])?;
                    }
                    Ok(())
                })
            })
            .await
    }

    async fn take_documents(&self, now: Timestamp, again: Timestamp) -> Result<Vec<DueDocument>, StoreError> {
        let (shared, manager) = (Arc::clone(&self.shared), self.seat());
        self.writer
            .call(move |connection| {
                write(connection, &shared, |transaction| take(transaction, now, again, manager.as_deref()))
            })
            .await
    }

    async fn next_document(&self) -> Result<Option<Timestamp>, StoreError> {
        self.reader
            .call(|connection| {
                let sql = "SELECT min(due) AS due FROM deliveries \
                     WHERE channel = ?1 AND delivered IS NULL AND given_up IS NULL";
                let found = collect(connection, sql, [DOCUMENT_CHANNEL], |row| row.time("due"))?;
                Ok(found.into_iter().next().flatten())
            })
            .await
    }

    async fn release_documents(&self, now: Timestamp) -> Result<(), StoreError> {
        let (shared, manager) = (Arc::clone(&self.shared), self.seat());
        self.writer
            .call(move |connection| {
                write(connection, &shared, |transaction| {
                    transaction
                        .execute(
                            "UPDATE deliveries SET due = ?3, manager = NULL WHERE channel = ?1 AND manager = ?2 \
                             AND delivered IS NULL AND given_up IS NULL",
                            params![DOCUMENT_CHANNEL, manager, format_timestamp(now)],
                        )
                        .map(drop)
                })
            })
            .await
    }

    async fn route_documents(&self, routed: Vec<(TaskId, Target)>) -> Result<Vec<TaskId>, StoreError> {
        let shared = Arc::clone(&self.shared);
        self.writer
            .call(move |connection| {
                write(connection, &shared, |transaction| {
                    let mut route = transaction.prepare_cached(
                        "UPDATE pipeline_task SET stage = ?3, actor = ?3, queue = ?2, error = NULL \
                         WHERE id = ?1 AND queue IS NULL AND status = 0",
                    )?;
                    let mut done = Vec::with_capacity(routed.len());
                    for (task, target) in &routed {
                        if route.execute(params![task.0, target.queue, target.actor])? > 0 {
                            done.push(*task);
                        }
                    }
                    Ok(done)
                })
            })
            .await
    }

    async fn settle_documents(
        &self,
        published: Vec<(DeliveryId, TaskId, Published)>,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let (shared, manager) = (Arc::clone(&self.shared), self.seat());
        self.writer
            .call(move |connection| {
                write(connection, &shared, |transaction| {
                    settle(transaction, &published, at, manager.as_deref())
                })
            })
            .await
    }

    async fn bury_documents(
        &self,
        messages: Vec<(String, String)>,
        at: Timestamp,
    ) -> Result<Vec<String>, StoreError> {
        let shared = Arc::clone(&self.shared);
        self.writer
            .call(move |connection| {
                write(connection, &shared, |transaction| bury(transaction, &messages, at))
            })
            .await
    }
}
