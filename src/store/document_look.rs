//! What screens ask about documents besides their rows: how they came to the stages and left them, and which stage follows
//! which.

use async_trait::async_trait;
use chrono::TimeDelta;

use super::StoreError;
use super::row_reader::RowReader;
use crate::model::{FlowSlot, StageFlow, StageLink, Timestamp};

/// How many of the latest documents tell which stage follows which.
pub(super) const LINKED_MAX: u32 = 5000;

/// What is counted of documents for those who look.
#[async_trait]
pub trait DocumentLook: Send + Sync {
    /// How documents came to each stage and left it since a moment, in so many parts of this length, which is at least a
    /// second. Stages at which nothing happened are left out.
    async fn stage_flow(
        &self,
        since: Timestamp,
        slot: TimeDelta,
        slots: u32,
    ) -> Result<Vec<StageFlow>, StoreError>;

    /// Which stages followed which among the latest documents, in no order that means anything.
    async fn stage_links(&self) -> Result<Vec<StageLink>, StoreError>;
}

/// Adds what happened in a part of the time; what lies before or behind all of them counts in the first or last.
pub(super) fn add_flow(
    flows: &mut Vec<StageFlow>,
    stage: Option<String>,
    (slot, slots): (i64, u32),
    happened: FlowSlot,
) {
    let at = match flows.iter().position(|flow| flow.stage == stage) {
        Some(at) => at,
        None => {
            flows.push(StageFlow { stage, slots: vec![FlowSlot::default(); slots as usize] });
            flows.len() - 1
        }
    };
    let place = usize::try_from(slot.max(0)).unwrap_or(usize::MAX).min((slots as usize).saturating_sub(1));
    if let Some(slot) = flows[at].slots.get_mut(place) {
        slot.came += happened.came;
        slot.done += happened.done;
        slot.dead += happened.dead;
    }
}

/// A row with `stage`, `slot`, `came`, `done` and `dead`.
pub(super) fn flow<R: RowReader>(row: &R, slots: u32, flows: &mut Vec<StageFlow>) -> Result<(), R::Error> {
    let count = |column| row.count(column).map(Option::unwrap_or_default);
    let happened = FlowSlot { came: count("came")?, done: count("done")?, dead: count("dead")? };
    add_flow(flows, row.owned("stage")?, (row.whole("slot")?.unwrap_or(0), slots), happened);
    Ok(())
}

/// In SQL: the links of the latest tasks.
pub(super) fn links_sql() -> String {
    format!(
        "SELECT DISTINCT earlier.stage AS before, latest.stage AS stage, latest.queue AS queue \
         FROM (SELECT stage, queue, parent FROM pipeline_task ORDER BY id DESC LIMIT {LINKED_MAX}) AS latest \
         LEFT JOIN pipeline_task AS earlier ON earlier.id = latest.parent WHERE latest.stage IS NOT NULL"
    )
}

/// A row with `before`, `stage` and `queue`.
pub(super) fn link<R: RowReader>(row: &R) -> Result<StageLink, R::Error> {
    Ok(StageLink { from: row.owned("before")?, to: row.sure_owned("stage")?, queue: row.owned("queue")? })
}
