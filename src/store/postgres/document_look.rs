//! What screens ask about documents, of the server.

use async_trait::async_trait;
use chrono::TimeDelta;
use sqlx::PgConnection;

use super::commit::milliseconds;
use super::connection::{Fault, Plan, composed, statement};
use super::{PostgresStore, valid};
use crate::model::{StageFlow, StageLink, Timestamp};
use crate::store::document_look::{flow, link, links_sql};
use crate::store::{DocumentLook, StoreError};

/// Each part of it reads an index alone: what is not done, and what was finished since.
const FLOW: &str = "SELECT stage, slot, sum(came)::bigint AS came, sum(done)::bigint AS done, sum(dead)::bigint AS dead FROM ( \
     SELECT stage, floor(extract(epoch FROM created - $1::timestamptz) / $2::bigint)::bigint AS slot, count(*) AS came, 0 AS done, 0 AS dead \
     FROM pipeline_task WHERE status <> 3 AND created >= $1::timestamptz AND isfinite(created) GROUP BY 1, 2 \
     UNION ALL \
     SELECT stage, floor(extract(epoch FROM created - $1::timestamptz) / $2::bigint)::bigint, count(*), 0, 0 FROM pipeline_task \
     WHERE finished IS NOT NULL AND finished >= $1::timestamptz AND status = 3 AND created >= $1::timestamptz AND isfinite(created) GROUP BY 1, 2 \
     UNION ALL \
     SELECT stage, floor(extract(epoch FROM finished - $1::timestamptz) / $2::bigint)::bigint, 0, count(*) FILTER (WHERE status = 3), \
       count(*) FILTER (WHERE status = 5) \
     FROM pipeline_task WHERE finished IS NOT NULL AND finished >= $1::timestamptz AND isfinite(finished) GROUP BY 1, 2 \
     ) AS parts GROUP BY stage, slot ORDER BY stage, slot";

async fn stage_flow(
    connection: &mut PgConnection,
    since: Timestamp,
    slot: TimeDelta,
    slots: u32,
) -> Result<Vec<StageFlow>, Fault> {
    let found = statement(FLOW)
        .bind(milliseconds(since))
        .bind(slot.num_seconds().max(1))
        .fetch_all(connection)
        .await?;
    let mut flows = Vec::new();
    for row in &found {
        flow(row, slots, &mut flows)?;
    }
    // Servers compare texts as their language has it, and put what is null last.
    flows.sort_by(|a, b| a.stage.cmp(&b.stage));
    Ok(flows)
}

async fn stage_links(connection: &mut PgConnection) -> Result<Vec<StageLink>, Fault> {
    let found = composed(links_sql()).fetch_all(connection).await?;
    Ok(valid(&found, link)?)
}

#[async_trait]
impl DocumentLook for PostgresStore {
    async fn stage_flow(
        &self,
        since: Timestamp,
        slot: TimeDelta,
        slots: u32,
    ) -> Result<Vec<StageFlow>, StoreError> {
        self.worker
            .call(Plan::READ, async move |connection: &mut PgConnection| {
                stage_flow(connection, since, slot, slots).await
            })
            .await
    }

    async fn stage_links(&self) -> Result<Vec<StageLink>, StoreError> {
        self.worker
            .call(Plan::READ, async move |connection: &mut PgConnection| stage_links(connection).await)
            .await
    }
}
