//! How much is open on the server.

use async_trait::async_trait;
use sqlx::PgConnection;

use super::PostgresStore;
use super::commit::milliseconds;
use super::connection::{Plan, statement};
use crate::model::Timestamp;
use crate::store::backlog::backlog_sql;
use crate::store::{Backlog, Backlogs, StoreError};

#[async_trait]
impl Backlogs for PostgresStore {
    async fn backlog(&self, now: Timestamp) -> Result<Backlog, StoreError> {
        self.worker
            .call(Plan::READ, async move |connection: &mut PgConnection| {
                let found =
                    statement(backlog_sql!("$1")).bind(milliseconds(now)).fetch_all(connection).await?;
                let mut backlog = Backlog::default();
                for row in &found {
                    backlog.add(row)?;
                }
                Ok(backlog)
            })
            .await
    }
}
