//! The queues of Dramatiq, as it declares them itself: the queue, the one of what waits for its next try, and the one of what
//! was given up.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use lapin::types::{AMQPValue, FieldTable, LongString};
use tokio::time::Instant;

use crate::broker::{Broker, BrokerError, Declared};

/// How long Dramatiq keeps what was given up, in milliseconds.
const DEAD_FOR: i32 = 7 * 86_400_000;

/// How long a queue that cannot be used is not tried again.
const BELIEVED: Duration = Duration::from_secs(5);

/// Where what was given up is.
pub(super) fn dead(queue: &str) -> String {
    format!("{queue}.XQ")
}

/// What is known of queues.
#[derive(Debug, Default)]
pub(super) struct Queues {
    usable: BTreeSet<String>,
    faulty: BTreeMap<String, (Instant, String)>,
}

impl Queues {
    /// Has the queue, and those beside it, declared.
    ///
    /// # Errors
    /// The broker is away, or nothing may be published there, and why.
    pub(super) async fn ensure(&mut self, broker: &Broker, queue: &str) -> Result<(), BrokerError> {
        if self.usable.contains(queue) {
            return Ok(());
        }
        if let Some((since, why)) = self.faulty.get(queue)
            && since.elapsed() < BELIEVED
        {
            return Err(BrokerError::Refused(why.clone()));
        }
        match declare(broker, queue).await {
            Ok(()) => {
                self.faulty.remove(queue);
                self.usable.insert(queue.to_owned());
                Ok(())
            }
            Err(BrokerError::Away(why)) => Err(BrokerError::Away(why)),
            Err(error) => {
                self.faulty.insert(queue.to_owned(), (Instant::now(), error.to_string()));
                Err(error)
            }
        }
    }

    /// It is not known any more whether a queue is there.
    pub(super) fn forget(&mut self, queue: &str) {
        self.usable.remove(queue);
    }

    /// The same of all queues.
    pub(super) fn forget_all(&mut self) {
        self.usable.clear();
    }
}

fn text(text: &str) -> AMQPValue {
    AMQPValue::LongString(LongString::from(text))
}

/// Declares a queue of documents, and those beside it.
///
/// # Errors
/// As [`Queues::ensure`].
pub(super) async fn declare(broker: &Broker, queue: &str) -> Result<(), BrokerError> {
    let mut arguments = FieldTable::default();
    arguments.insert("x-dead-letter-exchange".into(), text(""));
    arguments.insert("x-dead-letter-routing-key".into(), text(&dead(queue)));
    match broker.ensure_queue(queue, arguments.clone()).await? {
        Declared::AsAsked => {}
        // Dramatiq has priorities where its broker is told so.
        Declared::Otherwise(why) if why.contains("'x-max-priority'") => {}
        Declared::Otherwise(why) => {
            return Err(BrokerError::Refused(format!(
                "queue {queue} is not as Dramatiq declares it, so its workers could not use it; delete it: {why}"
            )));
        }
    }
    // These two are read by workers alone, who see for themselves.
    broker.ensure_queue(&format!("{queue}.DQ"), arguments).await?;
    let mut kept = FieldTable::default();
    kept.insert("x-message-ttl".into(), AMQPValue::LongInt(DEAD_FOR));
    broker.ensure_queue(&dead(queue), kept).await?;
    Ok(())
}
