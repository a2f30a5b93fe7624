//! What screens ask about documents, of the embedded database.

use async_trait::async_trait;
use chrono::TimeDelta;
use rusqlite::{Connection, params};

use super::{SqliteStore, collect};
use crate::model::{StageFlow, StageLink, Timestamp, format_timestamp};
use crate::store::document_look::{flow, link, links_sql};
use crate::store::{DocumentLook, StoreError};

/// Each part of it reads an index alone: what is not done, and what was finished since.
const FLOW: &str = "SELECT stage, slot, sum(came) AS came, sum(done) AS done, sum(dead) AS dead FROM ( \
     SELECT stage, (unixepoch(created) - ?2) / ?3 AS slot, count(*) AS came, 0 AS done, 0 AS dead \
     FROM pipeline_task INDEXED BY pipeline_task_open WHERE status <> 3 AND created >= ?1 GROUP BY 1, 2 \
     UNION ALL \
     SELECT stage, (unixepoch(created) - ?2) / ?3, count(*), 0, 0 FROM pipeline_task INDEXED BY pipeline_task_finished \
     WHERE finished IS NOT NULL AND finished >= ?1 AND status = 3 AND created >= ?1 GROUP BY 1, 2 \
     UNION ALL \
     SELECT stage, (unixepoch(finished) - ?2) / ?3, 0, sum(status = 3), sum(status = 5) \
     FROM pipeline_task INDEXED BY pipeline_task_finished WHERE finished IS NOT NULL AND finished >= ?1 GROUP BY 1, 2 \
     ) WHERE slot IS NOT NULL GROUP BY stage, slot ORDER BY stage, slot";

fn stage_flow(
    connection: &Connection,
    since: Timestamp,
    slot: TimeDelta,
    slots: u32,
) -> Result<Vec<StageFlow>, StoreError> {
    let mut flows = Vec::new();
    let values = params![format_timestamp(since), since.timestamp(), slot.num_seconds().max(1)];
    collect(connection, FLOW, values, |row| flow(row, slots, &mut flows))?;
    Ok(flows)
}

fn stage_links(connection: &Connection) -> Result<Vec<StageLink>, StoreError> {
    collect(connection, &links_sql(), [], |row| link(row))
}

#[async_trait]
impl DocumentLook for SqliteStore {
    async fn stage_flow(
        &self,
        since: Timestamp,
        slot: TimeDelta,
        slots: u32,
    ) -> Result<Vec<StageFlow>, StoreError> {
        self.reader.call(move |connection| stage_flow(connection, since, slot, slots)).await
    }

    async fn stage_links(&self) -> Result<Vec<StageLink>, StoreError> {
        self.reader.call(|connection| stage_links(connection)).await
    }
}
