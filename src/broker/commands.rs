//! Takes commands from the queue of a manager, and acknowledges each when it is in the ledger.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use lapin::message::Delivery;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicQosOptions, ExchangeDeclareOptions, QueueBindOptions,
};
use lapin::types::FieldTable;
use lapin::{Acker, Channel, Consumer, ExchangeKind};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::order::{self, Malformed, Order};
use super::{Broker, BrokerError, Message, Published, answer, name, next};
use crate::model::{Printable, Received, Request};
use crate::process::clock;
use crate::store::{Store, StoreError};

/// The exchange to which commands are published: a topic exchange, durable.
pub const COMMANDS: &str = "dc_commands";

/// The routing key of commands that are for whichever manager has the app.
pub const TO_ALL: &str = "all";

/// Where messages go that are no commands.
pub const DEAD_COMMANDS: &str = "dc_commands.dead";

/// The queue of a manager.
#[must_use]
pub fn queue_of(manager: &str) -> String {
    format!("dc_manager.{manager}")
}

/// The most messages that the server hands out before one of them is acknowledged; a message has at most 64 KiB.
const PREFETCH: u16 = 64;

/// How long a message that is no command is kept for people.
const DEAD_FOR: Duration = Duration::from_secs(7 * 24 * 3600);

/// Pauses between tries: to consume again, to reach a database that is away, to put away what is no command.
const PAUSE_MIN: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// Consuming that lasted as long went well: the next pause is the shortest.
const LASTS: Duration = Duration::from_secs(10);

/// The consumer of commands of one manager.
pub struct Commands {
    /// By which they come.
    pub broker: Broker,
    /// The database with the ledger.
    pub store: Arc<dyn Store>,
    /// The name of the manager.
    pub manager: String,
    /// Rung when a command was entered.
    pub entered: Arc<Notify>,
    /// Rung when there may be an answer to send.
    pub answered: Arc<Notify>,
}

/// Why a message was not dealt with to its end.
enum Interrupted {
    /// The connection, the channel or the consumer has ended: the server delivers the message again.
    Broker(BrokerError),
    /// This manager was deposed.
    Deposed,
}

impl From<BrokerError> for Interrupted {
    fn from(error: BrokerError) -> Self {
        Self::Broker(error)
    }
}

impl Commands {
    /// Goes on until the manager ends; whatever happens to the consumer, it is made again.
    pub async fn run(self) {
        let mut pause = PAUSE_MIN;
        loop {
            let since = Instant::now();
            let error = match self.consume().await {
                Err(Interrupted::Deposed) => return std::future::pending().await,
                Err(Interrupted::Broker(error)) => error,
                Ok(never) => match never {},
            };
            if since.elapsed() >= LASTS {
                pause = PAUSE_MIN;
            }
            match &error {
                // The connection itself tells of that.
                BrokerError::Away(_) => self.broker.report(None),
                BrokerError::Denied { .. } | BrokerError::Refused(_) => {
                    tracing::warn!(
                        queue = queue_of(&self.manager),
                        "commands do not come for now, they are consumed again: {error}"
                    );
                    // What comes again at once was no trouble.
                    if pause > PAUSE_MIN {
                        self.broker.report(Some(format!("commands do not come: {error}")));
                    }
                }
            }
            sleep(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    async fn consume(&self) -> Result<std::convert::Infallible, Interrupted> {
        let (mut consumer, _channel) = self.begin().await?;
        self.broker.report(None);
        tracing::info!(queue = queue_of(&self.manager), "commands are taken from the broker");
        let mut dead = JoinSet::new();
        loop {
            let delivery = tokio::select! {
                delivery = next(&mut consumer) => delivery?,
                Some(_) = dead.join_next() => continue,
            };
            let read = order::read(&delivery.data, clock::wall());
            match read {
                Ok(order) => {
                    if let Err(malformed) = self.enter(&delivery, order).await? {
                        self.put_away(&mut dead, delivery, malformed);
                        continue;
                    }
                    acknowledge(&delivery.acker).await?;
                }
                Err(malformed) => self.put_away(&mut dead, delivery, malformed),
            }
        }
    }

    /// Declares what is needed, and begins to consume.
    async fn begin(&self) -> Result<(Consumer, Channel), BrokerError> {
        let queue = queue_of(&self.manager);
        self.broker.ensure_queue(DEAD_COMMANDS, FieldTable::default()).await?;
        self.broker.ensure_queue(&queue, FieldTable::default()).await?;
        let channel = self.broker.channel().await?;
        declare_exchange(&channel).await?;
        for key in [self.manager.as_str(), TO_ALL] {
            let bound = channel.queue_bind(
                name(&queue)?,
                name(COMMANDS)?,
                name(key)?,
                QueueBindOptions::default(),
                FieldTable::default(),
            );
            answer(bound).await?;
        }
        answer(channel.basic_qos(PREFETCH, BasicQosOptions::default())).await?;
        let consumed = channel.basic_consume(
            name(&queue)?,
            name("")?,
            BasicConsumeOptions::default(),
            FieldTable::default(),
        );
        Ok((answer(consumed).await?, channel))
    }

    /// Enters a command, however long the database is away. The server delivers the message again should the channel
    /// end meanwhile.
    async fn enter(&self, delivery: &Delivery, order: Order) -> Result<Result<(), Malformed>, Interrupted> {
        let text = |property: &Option<lapin::types::ShortString>| property.as_ref().map(ToString::to_string);
        let Order { id, asked, command } = order;
        let request = Request {
            id,
            asked,
            command,
            reply_to: text(delivery.properties.reply_to()).filter(|queue| !queue.is_empty()),
            correlation_id: text(delivery.properties.correlation_id()),
            received_by: self.manager.clone(),
            is_broadcast: delivery.routing_key.as_str() == TO_ALL,
        };
        let mut pause = PAUSE_MIN;
        loop {
            match self.store.enter_request(request.clone()).await {
                Ok(entered) => {
                    tracing::debug!(request = request.id, ?entered, "a command came by the broker");
                    match entered {
                        Received::New(_) => {
                            self.entered.notify_one();
                            self.answered.notify_one();
                        }
                        Received::Again(_) => self.answered.notify_one(),
                        Received::NotHere => {}
                    }
                    return Ok(Ok(()));
                }
                Err(StoreError::Deposed | StoreError::Replaced) => return Err(Interrupted::Deposed),
                Err(StoreError::Refused(why)) => {
                    let why = format!("the database refuses it: {}", Printable(&why));
                    return Ok(Err(Malformed::new(why)));
                }
                Err(error) => {
                    if pause == PAUSE_MIN {
                        tracing::warn!(%error, "a command cannot be entered; it is tried again");
                    }
                    sleep(pause).await;
                    pause = (pause * 2).min(PAUSE_MAX);
                }
            }
        }
    }

    /// Sends a message to where people look for it. It is acknowledged when it is there; until then other messages go on.
    fn put_away(&self, dead: &mut JoinSet<()>, delivery: Delivery, why: Malformed) {
        tracing::warn!(queue = DEAD_COMMANDS, "a message is no command and is put away: {why}");
        let headers = [
            ("x-dcm-reason", why.to_string()),
            ("x-dcm-manager", self.manager.clone()),
            ("x-dcm-routing-key", delivery.routing_key.to_string()),
        ];
        let mut message = Message::to_queue(DEAD_COMMANDS, &uuid::Uuid::new_v4().to_string(), delivery.data);
        message.content_type = delivery.properties.content_type().as_ref().map(ToString::to_string);
        message.correlation_id = delivery.properties.correlation_id().as_ref().map(ToString::to_string);
        message.expires_after = Some(DEAD_FOR);
        message.headers = BTreeMap::from(headers.map(|(key, value)| (key.to_owned(), value)));
        let (broker, store, acker) = (self.broker.clone(), Arc::clone(&self.store), delivery.acker);
        dead.spawn(async move {
            let mut pause = PAUSE_MIN;
            loop {
                let published = broker.publish(std::slice::from_ref(&message)).await;
                match published.into_iter().next() {
                    Some(Published::Confirmed) => break,
                    // The queue was deleted.
                    Some(Published::Returned(_)) => {
                        let _ = broker.ensure_queue(DEAD_COMMANDS, FieldTable::default()).await;
                    }
                    Some(Published::Unknown(_)) | None => {}
                }
                sleep(pause).await;
                pause = (pause * 2).min(PAUSE_MAX);
            }
            if acknowledge(&acker).await.is_ok() {
                // The number is for people: what is not counted is in the queue all the same.
                let _ = store.note_dead_letter().await;
            }
        });
    }
}

async fn acknowledge(acker: &Acker) -> Result<(), BrokerError> {
    answer(acker.ack(BasicAckOptions::default())).await.map(drop)
}

/// Declares the exchange of commands.
///
/// # Errors
/// There is one of another kind, or it may not be declared.
pub async fn declare_exchange(channel: &Channel) -> Result<(), BrokerError> {
    let options = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
    answer(channel.exchange_declare(name(COMMANDS)?, ExchangeKind::Topic, options, FieldTable::default()))
        .await
}
