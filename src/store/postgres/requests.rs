//! Commands that come as messages, on the server.

use async_trait::async_trait;
use sqlx::{PgConnection, Row as _};

use super::PostgresStore;
use super::commit::{milliseconds, text};
use super::connection::{Fault, Plan, statement};
use crate::model::{BrokerState, CommandId, Reason, Received, Request};
use crate::store::requests::NOT_HERE_AFTER;
use crate::store::{Requests, StoreError};

async fn enter(connection: &mut PgConnection, request: &Request) -> Result<Received, Fault> {
    if let Some(entered) = again(connection, request).await? {
        return Ok(entered);
    }
    let command = &request.command;
    let is_there = statement("SELECT 1 FROM apps WHERE app = $1").bind(command.app.to_string());
    let is_there = is_there.fetch_optional(&mut *connection).await?.is_some();
    // Another manager may enter the same at this moment: then this waits, and finds it there.
    let inserted = statement(
        "INSERT INTO commands (app_id, cmd_name, cmd_by, cmd_source, cmd_time, cmd_args, expires, request, asked, \
           received_by, reply_to, correlation_id) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) \
         ON CONFLICT (request) WHERE request IS NOT NULL DO NOTHING \
         RETURNING id, expires < clock_timestamp() AS is_over",
    )
    .bind(command.app.to_string())
    .bind(command.name.code())
    .bind(text(&command.by))
    .bind(command.source.word())
    .bind(milliseconds(command.time))
    .bind(command.args.as_deref().map(text))
    .bind(command.expires.map(milliseconds))
    .bind(&request.id)
    .bind(text(&request.asked))
    .bind(text(&request.received_by))
    .bind(request.reply_to.as_deref().map(text))
    .bind(request.correlation_id.as_deref().map(text))
    .fetch_optional(&mut *connection)
    .await?;
    let Some(row) = inserted else {
        return Ok(again(connection, request).await?.unwrap_or(Received::NotHere));
    };
    let id: i64 = row.try_get("id")?;
    let is_over = row.try_get::<Option<bool>, _>("is_over")? == Some(true);
    let refused = match (is_there, is_over) {
        (false, _) => Some(Reason::NoSuchApp),
        (true, true) => Some(Reason::Expired),
        (true, false) => None,
    };
    if let Some(reason) = refused {
        statement(
            "UPDATE commands SET cmd_flag = 2, reason = $2, cmd_exec = clock_timestamp() WHERE id = $1",
        )
        .bind(id)
        .bind(reason.to_string())
        .execute(&mut *connection)
        .await?;
    }
    if !is_there && request.is_broadcast {
        statement(
            "UPDATE deliveries SET due = due + make_interval(secs => $1) \
             WHERE channel = 'rabbitmq' AND kind = 'reply' AND delivered IS NULL \
               AND given_up IS NULL AND body::jsonb #>> '{reply,id}' = $2",
        )
        .bind(NOT_HERE_AFTER.as_seconds_f64())
        .bind(&request.id)
        .execute(connection)
        .await?;
    }
    Ok(Received::New(CommandId(id)))
}

/// What becomes of a request that is there already.
async fn again(connection: &mut PgConnection, request: &Request) -> Result<Option<Received>, Fault> {
    let known = statement("SELECT id, received_by FROM commands WHERE request = $1").bind(&request.id);
    let Some(row) = known.fetch_optional(&mut *connection).await? else { return Ok(None) };
    let received_by: Option<String> = row.try_get("received_by")?;
    if request.is_broadcast && received_by.as_ref() != Some(&request.received_by) {
        return Ok(Some(Received::NotHere));
    }
    let id: i64 = row.try_get("id")?;
    statement("UPDATE commands SET reply_to = $2, correlation_id = $3, repeats = repeats + 1 WHERE id = $1")
        .bind(id)
        .bind(request.reply_to.as_deref().map(text))
        .bind(request.correlation_id.as_deref().map(text))
        .execute(connection)
        .await?;
    Ok(Some(Received::Again(CommandId(id))))
}

#[async_trait]
impl Requests for PostgresStore {
    async fn enter_request(&self, request: Request) -> Result<Received, StoreError> {
        self.worker
            .call(Plan::WRITE, async move |connection: &mut PgConnection| enter(connection, &request).await)
            .await
    }

    async fn note_broker(&self, state: Option<BrokerState>) -> Result<(), StoreError> {
        let (seat, state) = (self.seat_name(), state.map(|state| state.to_string()));
        self.worker
            .call(Plan::WRITE, async move |connection: &mut PgConnection| {
                statement("UPDATE managers SET broker = $2 WHERE name = $1")
                    .bind(seat.clone())
                    .bind(state.clone())
                    .execute(connection)
                    .await?;
                Ok(())
            })
            .await
    }

    async fn note_dead_letter(&self) -> Result<(), StoreError> {
        let seat = self.seat_name();
        self.worker
            .call(Plan::WRITE, async move |connection: &mut PgConnection| {
                statement("UPDATE managers SET dead_letters = dead_letters + 1 WHERE name = $1")
                    .bind(seat.clone())
                    .execute(connection)
                    .await?;
                Ok(())
            })
            .await
    }
}
