//! What screens ask about documents in memory.

use std::collections::BTreeSet;

use async_trait::async_trait;
use chrono::TimeDelta;

use super::{MemoryStore, Tables};
use crate::model::{FlowSlot, StageFlow, StageLink, TaskStatus, Timestamp};
use crate::store::document_look::{LINKED_MAX, add_flow};
use crate::store::{DocumentLook, StoreError};

impl Tables {
    fn stage_flow(&self, since: Timestamp, slot: TimeDelta, slots: u32) -> Vec<StageFlow> {
        let mut flows = Vec::new();
        let mut add = |stage: &Option<String>, at: Timestamp, happened: FlowSlot| {
            if at >= since {
                let place = (at - since).num_seconds() / slot.num_seconds().max(1);
                add_flow(&mut flows, stage.clone(), (place, slots), happened);
            }
        };
        for task in &self.documents.tasks {
            add(&task.stage, task.created, FlowSlot { came: 1, ..FlowSlot::default() });
            match (task.finished, task.status) {
                (Some(at), Some(TaskStatus::Done)) => {
                    add(&task.stage, at, FlowSlot { done: 1, ..FlowSlot::default() });
                }
                (Some(at), Some(TaskStatus::Dead)) => {
                    add(&task.stage, at, FlowSlot { dead: 1, ..FlowSlot::default() });
                }
                _ => {}
            }
        }
        flows.sort_by(|a, b| a.stage.cmp(&b.stage));
        flows
    }

    fn stage_links(&self) -> Vec<StageLink> {
        let tasks = &self.documents.tasks;
        let latest = tasks.iter().rev().take(LINKED_MAX as usize);
        let links: BTreeSet<_> = latest
            .filter_map(|task| {
                let before = tasks.iter().find(|before| Some(before.id) == task.parent);
                let from = before.and_then(|before| before.stage.clone());
                Some(StageLink { from, to: task.stage.clone()?, queue: task.queue.clone() })
            })
            .collect();
        links.into_iter().collect()
    }
}

#[async_trait]
impl DocumentLook for MemoryStore {
    async fn stage_flow(
        &self,
        since: Timestamp,
        slot: TimeDelta,
        slots: u32,
    ) -> Result<Vec<StageFlow>, StoreError> {
        Ok(self.read(|tables| tables.stage_flow(since, slot, slots)))
    }

    async fn stage_links(&self) -> Result<Vec<StageLink>, StoreError> {
        Ok(self.read(Tables::stage_links))
    }
}
