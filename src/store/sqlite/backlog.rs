//! How much is open in the embedded database.

use async_trait::async_trait;

use super::{SqliteStore, collect_valid};
use crate::model::{Timestamp, format_timestamp};
use crate::store::backlog::backlog_sql;
use crate::store::{Backlog, Backlogs, StoreError};

#[async_trait]
impl Backlogs for SqliteStore {
    async fn backlog(&self, now: Timestamp) -> Result<Backlog, StoreError> {
        self.reader
            .call(move |connection| {
                let mut backlog = Backlog::default();
                let sql = backlog_sql!("?1");
                collect_valid(connection, sql, [format_timestamp(now)], |row| backlog.add(row))?;
                Ok(backlog)
            })
            .await
    }
}
