//! RabbitMQ: commands come by it, documents and replies leave by it. Nothing of dcm waits for it.
//!
//! A [`Broker`] keeps two connections open, since the server stops reading from one that publishes when it lacks memory
//! or disk: what consumes (and acknowledges) has its own, and goes on. Both are made again whenever they end, with
//! back-off; what was consumed on them must be consumed again, see [`Broker::channel`].
//!
//! - **To publish**: [`Broker::publish`] takes a batch and says of each message what became of it. What is
//!   [`Published::Unknown`] is sent again later with the same [`Message::id`].
//! - **To consume, declare, look**: [`Broker::channel`] gives a channel of its own on the consuming connection. An error
//!   of the server (404, 406) closes that channel alone. [`next`] waits for a message, and says when the consumer has
//!   ended: then ask for a channel again. [`Broker::until_open`] waits until there is a connection.
//! - [`Commands`] is the consumer of commands of a manager.

mod commands;
mod dial;
mod link;
mod order;
mod publisher;
mod trust;
mod url;

use std::sync::Arc;
use std::time::Duration;

use lapin::message::Delivery;
use lapin::options::{QueueDeclareOptions, QueueDeleteOptions};
use lapin::types::{FieldTable, ShortString};
use lapin::{Channel, Consumer};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

pub use commands::{COMMANDS, Commands, DEAD_COMMANDS, TO_ALL, declare_exchange, queue_of};
pub use order::BODY_MAX;
pub use publisher::{Message, Published};
pub use url::{BrokerUrl, BrokerUrlError};

use crate::model::{BrokerState, Printable, Timestamp};
use crate::process::clock;
use link::{Link, Now};
use publisher::Publisher;

/// How long the server may take for an answer, other than to a connection that is made.
const ANSWERS_WITHIN: Duration = Duration::from_secs(10);

/// The code by which a server says that something exists otherwise.
const PRECONDITION_FAILED: u16 = 406;

/// Which broker is used, and how it is trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokerSettings {
    /// Where it is.
    pub url: BrokerUrl,
    /// Root certificates beside those of the system, in PEM.
    pub roots: Option<Vec<u8>>,
}

/// The broker, as long as one of these is there. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Broker(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    consuming: Link,
    publisher: Publisher,
    /// What does not work though it is reached, and since when.
    fault: watch::Sender<Option<(Timestamp, String)>>,
    state: watch::Receiver<BrokerState>,
    /// Ends with this.
    _watcher: JoinSet<()>,
}

impl Broker {
    /// Begins to connect, in the background. `name` is shown by the server beside the connections.
    #[must_use]
    pub fn start(settings: BrokerSettings, name: &str) -> Self {
        let settings = Arc::new(settings);
        let consuming = Link::start(Arc::clone(&settings), format!("dcm {name} consumes"));
        let publishing = Link::start(settings, format!("dcm {name} publishes"));
        let fault = watch::Sender::new(None);
        let (known, state) = watch::channel(state_of(&consuming.now(), &publishing.now(), None));
        let (mut one, mut other, mut faults) = (consuming.watch(), publishing.watch(), fault.subscribe());
        let mut watcher = JoinSet::new();
        watcher.spawn(async move {
            loop {
                let now = state_of(
                    &one.borrow_and_update(),
                    &other.borrow_and_update(),
                    faults.borrow_and_update().as_ref(),
                );
                known.send_if_modified(|state| std::mem::replace(state, now.clone()) != now);
                let is_over = tokio::select! {
                    changed = one.changed() => changed.is_err(),
                    changed = other.changed() => changed.is_err(),
                    changed = faults.changed() => changed.is_err(),
                };
                if is_over {
                    return;
                }
            }
        });
        let publisher = Publisher::new(publishing);
        Self(Arc::new(Inner { consuming, publisher, fault, state, _watcher: watcher }))
    }

    /// Whether it is reached. Tells of changes.
    #[must_use]
    pub fn state(&self) -> watch::Receiver<BrokerState> {
        self.0.state.clone()
    }

    /// Publishes messages in this order, and says of each what became of it; takes at most 10 s. Batches of different
    /// callers wait for one another. The more messages a batch has, the better: they wait for confirms together.
    ///
    /// The ids of a batch must differ: it is by its id that a message is known that the server gives back.
    pub async fn publish(&self, batch: &[Message]) -> Vec<Published> {
        self.0.publisher.publish(batch).await
    }

    /// A channel of its own on the connection that consumes. It is closed when it is dropped, with its consumers.
    ///
    /// # Errors
    /// While the broker is away, or gives no answer.
    pub async fn channel(&self) -> Result<Channel, BrokerError> {
        let connection = match self.0.consuming.now() {
            Now::Open { connection, .. } => connection,
            Now::Connecting { .. } => return Err(BrokerError::away("not connected yet")),
            Now::Away { why, .. } => return Err(BrokerError::away(&why)),
        };
        answer(connection.create_channel()).await
    }

    /// Declares a durable queue by the default exchange. One that exists with other arguments stays as it is, and can be
    /// used: that is [`Declared::Otherwise`].
    ///
    /// # Errors
    /// It may not be declared, or the broker is away.
    pub async fn ensure_queue(&self, queue: &str, arguments: FieldTable) -> Result<Declared, BrokerError> {
        let queue = name(queue)?;
        let durable = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
        // A refusal closes the channel, so it is one for this alone.
        let channel = self.channel().await?;
        match answer(channel.queue_declare(queue.clone(), durable, arguments)).await {
            Ok(_) => Ok(Declared::AsAsked),
            Err(error) if error.is(PRECONDITION_FAILED) => {
                let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
                let channel = self.channel().await?;
                answer(channel.queue_declare(queue, passive, FieldTable::default())).await?;
                Ok(Declared::Otherwise(error.to_string()))
            }
            Err(error) => Err(error),
        }
    }

    /// Deletes a queue with all that is in it. One that is not there is no error.
    ///
    /// # Errors
    /// It may not be deleted, or the broker is away.
    pub async fn delete_queue(&self, queue: &str) -> Result<(), BrokerError> {
        let channel = self.channel().await?;
        answer(channel.queue_delete(name(queue)?, QueueDeleteOptions::default())).await.map(drop)
    }

    /// Says that something does not work though the broker is reached, or that it works again.
    pub fn report(&self, fault: Option<String>) {
        self.0.fault.send_if_modified(|known| {
            let is_news = known.as_ref().map(|(_, why)| why) != fault.as_ref();
            if is_news {
                let since = known.as_ref().map_or_else(clock::wall, |(since, _)| *since);
                *known = fault.map(|why| (since, why));
            }
            is_news
        });
    }

    /// Waits until both connections are open, or a try to make one has failed since this was called.
    ///
    /// # Errors
    /// Why the try failed.
    pub async fn until_open(&self) -> Result<(), BrokerError> {
        self.0.consuming.until_open().await?;
        self.0.publisher.link().until_open().await
    }
}

/// What became of a queue that was to be declared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Declared {
    /// It is there as it was asked for.
    AsAsked,
    /// It is there with other arguments; what the server says.
    Otherwise(String),
}

/// Both connections together, and what is reported to be wrong.
fn state_of(consuming: &Now, publishing: &Now, fault: Option<&(Timestamp, String)>) -> BrokerState {
    let away = [consuming, publishing].into_iter().find_map(|now| match now {
        Now::Connecting { since } => Some((*since, "not connected yet")),
        Now::Away { since, why } => Some((*since, why.as_str())),
        Now::Open { .. } => None,
    });
    let away = away.or(fault.map(|(since, why)| (*since, why.as_str())));
    match (away, publishing) {
        (Some((since, why)), _) => BrokerState::Away { since, why: why.to_owned() },
        (None, Now::Open { blocked: Some((since, why)), .. }) => {
            BrokerState::Blocked { since: *since, why: why.clone() }
        }
        (None, Now::Open { .. } | Now::Connecting { .. } | Now::Away { .. }) => BrokerState::Connected,
    }
}

/// The next message of a consumer.
///
/// # Errors
/// The consumer has ended: its queue was deleted, its channel or connection closed. It gives nothing more.
pub async fn next(consumer: &mut Consumer) -> Result<Delivery, BrokerError> {
    use futures_core::Stream as _;
    let next = std::future::poll_fn(|context| std::pin::Pin::new(&mut *consumer).poll_next(context)).await;
    match next {
        Some(Ok(delivery)) => Ok(delivery),
        Some(Err(error)) => Err(error.into()),
        None => Err(BrokerError::Refused("the consumer was cancelled: its queue is gone".to_owned())),
    }
}

/// A name as AMQP has it.
///
/// # Errors
/// It has more than 255 bytes.
pub fn name(text: &str) -> Result<ShortString, BrokerError> {
    ShortString::try_new(text)
        .map_err(|_| BrokerError::Refused(format!("a name of {} bytes is too long: at most 255", text.len())))
}

/// What the server answers, if it does in time.
///
/// # Errors
/// It refuses, the connection ends, or nothing comes within 10 s.
pub async fn answer<T>(asked: impl Future<Output = lapin::Result<T>>) -> Result<T, BrokerError> {
    match timeout(ANSWERS_WITHIN, asked).await {
        Ok(answer) => answer.map_err(BrokerError::from),
        Err(_) => Err(BrokerError::Away(format!("no answer within {} s", ANSWERS_WITHIN.as_secs()))),
    }
}

/// What the broker did not do. One line, without secrets.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BrokerError {
    /// It cannot be reached for now, or gives no answer.
    #[error("the broker is away: {0}")]
    Away(String),
    /// It says no: `code` is that of AMQP.
    #[error("the broker refuses: {why}")]
    Denied {
        /// 403, 404, 406 and so on.
        code: u16,
        /// What the server says.
        why: String,
    },
    /// It cannot be done, whatever the broker says.
    #[error("{0}")]
    Refused(String),
}

impl BrokerError {
    fn away(why: &str) -> Self {
        Self::Away(why.to_owned())
    }

    /// Whether the server says by this code of AMQP that it refuses: 404 there is none, 406 it is another.
    #[must_use]
    pub fn is(&self, expected: u16) -> bool {
        matches!(self, Self::Denied { code, .. } if *code == expected)
    }
}

impl From<lapin::Error> for BrokerError {
    fn from(error: lapin::Error) -> Self {
        use lapin::ErrorKind as Kind;
        let kind = error.kind();
        if let Kind::ProtocolError(error) = kind {
            let why = Printable(error.get_message().as_str()).to_string();
            return Self::Denied { code: error.get_id(), why };
        }
        if let Kind::IOError(error) = kind {
            return Self::Away(dial::describe(error));
        }
        if matches!(kind, Kind::MissingHeartbeatError) {
            return Self::away("nothing was heard of it: no heartbeat for 20 s");
        }
        if matches!(kind, Kind::InvalidConnectionState(_) | Kind::InvalidChannelState(..)) {
            return Self::away("its connection has ended");
        }
        Self::Away(Printable(&error.to_string()).to_string())
    }
}
