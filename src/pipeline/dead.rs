//! Reads what workers gave up: `Q.XQ` of each queue that a route names.
//!
//! What is a document's is noted in its row, and acknowledged. What is not stays in the queue, in its place: the reader lets
//! go of it, and looks again only when the queue holds another number of messages.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use lapin::Acker;
use lapin::message::Delivery;
use lapin::options::{BasicAckOptions, BasicConsumeOptions, BasicQosOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{sleep, timeout};

use super::message;
use super::outlet::is_over;
use super::queues;
use crate::broker::{self, Broker, BrokerError};
use crate::process::clock;
use crate::store::Store;

/// So often the routes are looked at, should nothing be told of a change.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// Changes of the database are many; because of them it is looked no more often than this.
const LOOK_PAUSE: Duration = Duration::from_secs(1);

/// After a fault of the database or the broker.
const RETRY: Duration = Duration::from_secs(5);

/// Messages that the broker may hand out before one of them is acknowledged: behind so many that are not documents' nothing
/// is read.
const AHEAD: u16 = 10_000;

/// Messages that are noted in one transaction.
const BATCH: usize = 500;

/// What follows within this belongs to the batch.
const GATHER: Duration = Duration::from_millis(50);

/// How often a queue that holds other messages is asked how many it holds by now.
const ASK_EVERY: Duration = Duration::from_secs(5);

/// After this number of equal answers the messages are looked at again: one may have taken the place of another.
const ASKED_MAX: u32 = 60;

/// Reads the queues of dead messages for a manager.
pub struct DeadLetters {
    /// The database.
    pub store: Arc<dyn Store>,
    /// The broker.
    pub broker: Broker,
}

impl DeadLetters {
    /// Goes on until it is dropped.
    pub async fn run(self) {
        let mut changed = self.store.changed();
        let mut tasks = JoinSet::new();
        let mut reading: BTreeMap<String, AbortHandle> = BTreeMap::new();
        loop {
            changed.borrow_and_update();
            let mut wait = LOOK_EVERY;
            match self.store.document_routes().await {
                Ok(routes) => {
                    reading.retain(|queue, task| {
                        let stays = routes.iter().any(|route| route.target.queue == *queue);
                        if !stays {
                            task.abort();
                        }
                        stays
                    });
                    for queue in routes.into_iter().map(|route| route.target.queue) {
                        let (store, broker) = (&self.store, &self.broker);
                        reading.entry(queue).or_insert_with_key(|queue| {
                            tasks.spawn(read(Arc::clone(store), broker.clone(), queue.clone()))
                        });
                    }
                }
                Err(error) => {
                    tracing::debug!(%error, "the routes of documents are asked for again");
                    wait = RETRY;
                }
            }
            sleep(LOOK_PAUSE).await;
            tokio::select! {
                told = changed.changed() => if told.is_err() { sleep(wait).await },
                () = sleep(wait) => {}
            }
        }
    }
}

/// Reads one queue.
async fn read(store: Arc<dyn Store>, broker: Broker, queue: String) {
    let mut others = 0;
    loop {
        if broker.until_open().await.is_err() {
            continue;
        }
        let result = async {
            for _ in 0..ASKED_MAX {
                if others == 0 || count(&broker, &queue).await? != others {
                    break;
                }
                sleep(ASK_EVERY).await;
            }
            consume(store.as_ref(), &broker, &queue).await
        };
        match result.await {
            Ok(Left::Others(count)) => others = count,
            Ok(Left::Over) => return,
            Err(error) => {
                tracing::debug!(%error, queue, "dead messages are read again later");
                sleep(RETRY).await;
            }
        }
    }
}

/// How many messages wait in the queue of dead messages.
async fn count(broker: &Broker, queue: &str) -> Result<u32, BrokerError> {
    let channel = broker.channel().await?;
    let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
    let name = broker::name(&queues::dead(queue))?;
    let declared = broker::answer(channel.queue_declare(name, passive, FieldTable::default())).await?;
    Ok(declared.message_count())
}

/// Why no more is read.
enum Left {
    /// How many messages of the queue are not documents'.
    Others(u32),
    /// Another manager reads from now on.
    Over,
}

/// Notes dead documents as they come, until there is something else in the queue.
async fn consume(store: &dyn Store, broker: &Broker, queue: &str) -> Result<Left, BrokerError> {
    // Where the queue of documents itself is wrong, its rows say so.
    if let Err(error @ BrokerError::Away(_)) = queues::declare(broker, queue).await {
        return Err(error);
    }
    let channel = broker.channel().await?;
    broker::answer(channel.basic_qos(AHEAD, BasicQosOptions::default())).await?;
    let consuming = channel.basic_consume(
        broker::name(&queues::dead(queue))?,
        broker::name("")?,
        BasicConsumeOptions::default(),
        FieldTable::default(),
    );
    let mut consumer = broker::answer(consuming).await?;
    let mut others = 0;
    loop {
        let next = broker::next(&mut consumer);
        // Others are held only until all that is there was seen.
        let mut batch = match if others > 0 { timeout(GATHER * 4, next).await } else { Ok(next.await) } {
            Ok(delivery) => vec![delivery?],
            Err(_) => return Ok(Left::Others(others)),
        };
        while batch.len() < BATCH
            && let Ok(delivery) = timeout(GATHER, broker::next(&mut consumer)).await
        {
            batch.push(delivery?);
        }
        match note(store, batch).await {
            Some(count) => others += count?,
            None => return Ok(Left::Over),
        }
    }
}

/// Notes the documents of a batch and acknowledges their messages; how many others there are. `None` when others write.
async fn note(store: &dyn Store, batch: Vec<Delivery>) -> Option<Result<u32, BrokerError>> {
    let mut letters = Vec::new();
    let mut ackers: Vec<(Option<String>, Acker)> = Vec::new();
    for delivery in batch {
        let letter = message::dead_letter(&delivery.data, reason(&delivery).as_deref());
        ackers.push((letter.as_ref().map(|letter| letter.message_id.clone()), delivery.acker));
        letters.extend(letter.map(|letter| (letter.message_id, letter.error)));
    }
    let known = loop {
        match store.bury_documents(letters.clone(), clock::wall()).await {
            Ok(known) => break known,
            Err(error) if is_over(&error) => return None,
            Err(error) => {
                tracing::debug!(%error, "dead documents are noted again");
                sleep(RETRY).await;
            }
        }
    };
    let mut others = 0;
    for (id, acker) in ackers {
        if id.is_some_and(|id| known.contains(&id)) {
            // One that is not acknowledged comes again, which changes nothing.
            match broker::answer(acker.ack(BasicAckOptions::default())).await {
                Ok(_) => {}
                Err(error) => return Some(Err(error)),
            }
        } else {
            others += 1;
        }
    }
    Some(Ok(others))
}

/// Why the broker put it there, by its own word.
fn reason(delivery: &Delivery) -> Option<String> {
    let headers = delivery.properties.headers().as_ref()?;
    let reason = headers.inner().get("x-first-death-reason")?;
    reason.as_long_string().map(ToString::to_string)
}
