//! Commands that come as messages, in the embedded database.

use std::sync::Arc;

use async_trait::async_trait;
use rusqlite::{OptionalExtension as _, Transaction, params};

use super::SqliteStore;
use super::deliveries::write_as_news;
use crate::model::{BrokerState, CommandId, Reason, Received, Request, format_timestamp};
use crate::store::requests::NOT_HERE_AFTER;
use crate::store::{Requests, StoreError};

fn enter(transaction: &Transaction<'_>, request: &Request) -> rusqlite::Result<Received> {
    let known = transaction
        .prepare_cached("SELECT id, received_by FROM commands WHERE request = ?1")?
        .query_row([&request.id], |row| Ok((row.get(0)?, row.get::<_, Option<String>>(1)?)))
        .optional()?;
    if let Some((id, received_by)) = known {
        if request.is_broadcast && received_by.as_ref() != Some(&request.received_by) {
            return Ok(Received::NotHere);
        }
        transaction
            .prepare_cached(
                "UPDATE commands SET reply_to = ?2, correlation_id = ?3, repeats = repeats + 1 WHERE id = ?1",
            )?
            .execute(params![id, request.reply_to, request.correlation_id])?;
        return Ok(Received::Again(CommandId(id)));
    }
    let command = &request.command;
    let app = command.app.to_string();
    let is_there = transaction
        .prepare_cached(
            "SELECT 1 FROM apps WHERE app = ?1 OR app IS NULL AND app_group || '/' || app_parent || '/' || app_name = ?2",
        )?
        .exists(params![app, request.asked])?;
    transaction
        .prepare_cached(
            "INSERT INTO commands (app_id, cmd_name, cmd_by, cmd_source, cmd_time, cmd_args, expires, request, asked, \
               received_by, reply_to, correlation_id) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
        )?
        .execute(params![
            app,
            command.name.code(),
            command.by,
            command.source.word(),
            format_timestamp(command.time),
            command.args,
            command.expires.map(format_timestamp),
            request.id,
            request.asked,
            request.received_by,
            request.reply_to,
            request.correlation_id,
        ])?;
    let id = transaction.last_insert_rowid();
    if !is_there {
        refuse(transaction, id, &Reason::NoSuchApp)?;
        if request.is_broadcast {
            transaction
                .prepare_cached(
                    "UPDATE deliveries SET due = strftime('%Y-%m-%dT%H:%M:%fZ', due, ?1) WHERE id = \
                       (SELECT max(id) FROM deliveries WHERE kind = 'reply') AND body ->> '$.reply.id' = ?2",
                )?
                .execute(params![format!("+{} seconds", NOT_HERE_AFTER.num_seconds()), request.id])?;
        }
    } else if command.expires.is_some() {
        let is_over = transaction
            .prepare_cached(
                "SELECT 1 FROM commands WHERE id = ?1 AND expires < strftime('%Y-%m-%dT%H:%M:%fZ', 'now')",
            )?
            .exists([id])?;
        if is_over {
            refuse(transaction, id, &Reason::Expired)?;
        }
    }
    Ok(Received::New(CommandId(id)))
}

fn refuse(transaction: &Transaction<'_>, id: i64, reason: &Reason) -> rusqlite::Result<()> {
    transaction
        .prepare_cached(
            "UPDATE commands SET cmd_flag = 2, reason = ?2, cmd_exec = strftime('%Y-%m-%dT%H:%M:%fZ', 'now') \
             WHERE id = ?1",
        )?
        .execute(params![id, reason.to_string()])
        .map(drop)
}

#[async_trait]
impl Requests for SqliteStore {
    async fn enter_request(&self, request: Request) -> Result<Received, StoreError> {
        let shared = Arc::clone(&self.shared);
        self.writer
            .call(move |connection| {
                write_as_news(connection, &shared, |transaction| enter(transaction, &request))
            })
            .await
    }

    async fn note_broker(&self, state: Option<BrokerState>) -> Result<(), StoreError> {
        let (shared, seat) = (Arc::clone(&self.shared), self.seat());
        let state = state.map(|state| state.to_string());
        self.writer
            .call(move |connection| {
                write_as_news(connection, &shared, |transaction| {
                    transaction
                        .execute("UPDATE managers SET broker = ?2 WHERE name = ?1", params![seat, state])
                        .map(drop)
                })
            })
            .await
    }

    async fn note_dead_letter(&self) -> Result<(), StoreError> {
        let (shared, seat) = (Arc::clone(&self.shared), self.seat());
        self.writer
            .call(move |connection| {
                write_as_news(connection, &shared, |transaction| {
                    transaction
                        .execute(
                            "UPDATE managers SET dead_letters = dead_letters + 1 WHERE name = ?1",
                            [seat],
                        )
                        .map(drop)
                })
            })
            .await
    }
}
