//! How much is open in memory.

use async_trait::async_trait;

use super::{MemoryStore, Tables};
use crate::model::{NoticeEvent, Timestamp, Word};
use crate::store::{Backlog, Backlogs, StoreError};

impl Tables {
    fn backlog(&self, now: Timestamp) -> Backlog {
        let mut backlog = Backlog::default();
        for alert in self.alerts.iter().filter(|alert| alert.closed.is_none()) {
            *backlog.alerts.entry(alert.severity.word().to_owned()).or_default() += 1;
        }
        for row in self.deliveries.iter().filter(|row| row.over().is_none()) {
            let delivery = &row.delivery;
            let is_repetition = delivery.event.as_ref().and_then(Word::known) == Some(NoticeEvent::Repeated);
            if !is_repetition || delivery.tries > 0 || delivery.due <= now {
                *backlog.deliveries.entry(row.channel.clone()).or_default() += 1;
            }
        }
        backlog
    }
}

#[async_trait]
impl Backlogs for MemoryStore {
    async fn backlog(&self, now: Timestamp) -> Result<Backlog, StoreError> {
        Ok(self.read(|tables| tables.backlog(now)))
    }
}
