//! Publishes the documents that are due.
//!
//! A document is taken for a try in the database, then it is published, then what became of it is written. Whatever ends
//! the manager in between, the row is due again: at once when the same manager comes back, after a minute else. So a message
//! leaves at least once, always with the same id and to the same queue.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use tokio::sync::Notify;
use tokio::time::sleep;

use super::message;
use super::queues::Queues;
use super::tries;
use crate::broker::{self, Broker, BrokerError};
use crate::model::{BrokerState, DeliveryId, DueDocument, Published, Target, TaskId, Timestamp, route_of};
use crate::process::clock;
use crate::store::{Store, StoreError};

/// When a document that was taken is due again, should its try have no known result.
const TRY_TAKES: TimeDelta = TimeDelta::seconds(60);

/// It is looked for due documents so often, should nothing be told.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// Changes of the database are many; because of them it is looked no more often than this.
const LOOK_PAUSE: Duration = Duration::from_millis(100);

/// Between tries to reach a database that is away, and while others have taken what is due.
const RETRY: Duration = Duration::from_secs(2);

/// What became of documents.
type Results = Vec<(DeliveryId, TaskId, Published)>;

/// Publishes documents for a manager.
pub struct DocumentOutlet {
    /// The database.
    pub store: Arc<dyn Store>,
    /// The broker.
    pub broker: Broker,
    /// Rung when documents are due.
    pub bell: Arc<Notify>,
}

impl DocumentOutlet {
    /// Goes on until it is dropped.
    pub async fn run(self) {
        while let Err(error) = self.store.release_documents(clock::wall()).await {
            if is_over(&error) {
                return std::future::pending().await;
            }
            sleep(RETRY).await;
        }
        let mut changed = self.store.changed();
        let mut state = self.broker.state();
        let mut queues = Queues::default();
        loop {
            if self.broker.until_open().await.is_err() {
                queues.forget_all();
                continue;
            }
            if matches!(*state.borrow_and_update(), BrokerState::Blocked { .. }) {
                if state.changed().await.is_err() {
                    return std::future::pending().await;
                }
                continue;
            }
            changed.borrow_and_update();
            let wait = match self.publish_due(&mut queues).await {
                Ok(Some(next)) => (next - clock::wall()).to_std().unwrap_or_default().min(LOOK_EVERY),
                Ok(None) => LOOK_EVERY,
                Err(error) if is_over(&error) => return std::future::pending().await,
                Err(error) => {
                    tracing::debug!(%error, "documents that are due are looked for again");
                    RETRY
                }
            };
            tokio::select! {
                () = self.bell.notified() => {}
                told = changed.changed() => sleep(if told.is_ok() { LOOK_PAUSE } else { wait }).await,
                () = sleep(wait) => {}
            }
        }
    }

    /// Publishes what is due; when the next one is.
    async fn publish_due(&self, queues: &mut Queues) -> Result<Option<Timestamp>, StoreError> {
        loop {
            let now = clock::wall();
            match self.store.next_document().await? {
                Some(due) if due <= now => {}
                next => return Ok(next),
            }
            let documents = self.store.take_documents(now, now + TRY_TAKES).await?;
            if documents.is_empty() {
                return Ok(Some(now + TimeDelta::from_std(RETRY).unwrap_or_default()));
            }
            let mut results = Results::with_capacity(documents.len());
            let addressed = self.address(documents, queues, &mut results).await?;
            let is_sent = self.publish(addressed, queues, &mut results).await;
            self.settle(results).await?;
            if !is_sent {
                return Ok(Some(clock::wall() + TimeDelta::from_std(RETRY).unwrap_or_default()));
            }
        }
    }

    /// Finds the queue of each document. It is written before the message leaves, and once.
    async fn address(
        &self,
        documents: Vec<DueDocument>,
        queues: &mut Queues,
        results: &mut Results,
    ) -> Result<Vec<(DueDocument, Target)>, StoreError> {
        let now = clock::wall();
        let routes = if documents.iter().any(|document| document.target.is_none()) {
            self.store.document_routes().await?
        } else {
            Vec::new()
        };
        // Each queue is asked for once.
        let mut usable: BTreeMap<String, Result<(), BrokerError>> = BTreeMap::new();
        let mut addressed = Vec::with_capacity(documents.len());
        let mut routed = Vec::new();
        for document in documents {
            let known = document.target.clone();
            let found =
                known.or_else(|| route_of(&routes, &document.topic).map(|route| route.target.clone()));
            let Some(target) = found else {
                let unrouted = tries::unrouted(&document.topic, now);
                results.push((document.delivery, document.task, unrouted));
                continue;
            };
            if !usable.contains_key(&target.queue) {
                usable.insert(target.queue.clone(), queues.ensure(&self.broker, &target.queue).await);
            }
            match usable.get(&target.queue) {
                Some(Err(BrokerError::Away(why))) => {
                    results.push((document.delivery, document.task, tries::unknown(why, now)));
                }
                Some(Err(error)) => {
                    let refused = tries::refused(&document, &error.to_string(), now);
                    results.push((document.delivery, document.task, refused));
                }
                Some(Ok(())) | None => {
                    if document.target.is_none() {
                        routed.push((document.task, target.clone()));
                    }
                    addressed.push((document, target));
                }
            }
        }
        if !routed.is_empty() {
            let asked: BTreeSet<_> = routed.iter().map(|(task, _)| *task).collect();
            let written: BTreeSet<_> = self.store.route_documents(routed).await?.into_iter().collect();
            // Who was routed by somebody else meanwhile is read again, and a task that is not PENDING needs nothing.
            addressed.retain(|(document, _)| {
                let is_ours = !asked.contains(&document.task) || written.contains(&document.task);
                if !is_ours {
                    let again = Published::Later { why: "routed meanwhile".to_owned(), again: now };
                    results.push((document.delivery, document.task, again));
                }
                is_ours
            });
        }
        Ok(addressed)
    }

    /// Publishes documents; whether the broker took part.
    async fn publish(
        &self,
        addressed: Vec<(DueDocument, Target)>,
        queues: &mut Queues,
        results: &mut Results,
    ) -> bool {
        if addressed.is_empty() {
            return true;
        }
        let now = clock::wall();
        let message = |(document, target): &(DueDocument, Target)| {
            let body = message::body(document, target, now);
            broker::Message::to_queue(&target.queue, &document.message_id, body)
        };
        let messages: Vec<_> = addressed.iter().map(message).collect();
        let published = self.broker.publish(&messages).await;
        let mut is_known = true;
        let now = clock::wall();
        for ((document, target), published) in addressed.into_iter().zip(published) {
            let result = match published {
                broker::Published::Confirmed => Published::Sent,
                broker::Published::Returned(why) => {
                    // It was deleted: it is declared before the next try.
                    queues.forget(&target.queue);
                    tries::refused(&document, &why, now)
                }
                broker::Published::Unknown(why) => {
                    is_known = false;
                    tries::unknown(&why, now)
                }
            };
            results.push((document.delivery, document.task, result));
        }
        if !is_known {
            queues.forget_all();
        }
        is_known
    }

    /// Writes what became of documents, until it is written: before that they must not be published again.
    async fn settle(&self, results: Results) -> Result<(), StoreError> {
        loop {
            match self.store.settle_documents(results.clone(), clock::wall()).await {
                Err(error) if is_over(&error) => return Err(error),
                Err(error) => {
                    tracing::debug!(%error, "what became of documents is written again");
                    sleep(RETRY).await;
                }
                Ok(()) => return Ok(()),
            }
        }
    }
}

/// Others publish from now on.
pub(super) fn is_over(error: &StoreError) -> bool {
    matches!(error, StoreError::Deposed | StoreError::Replaced)
}
