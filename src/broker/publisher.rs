//! Publishes with confirms and mandatory: of each message it is known what became of it, or that this is not known.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::types::{AMQPValue, FieldTable, LongString};
use lapin::{BasicProperties, Channel, Connection, PublisherConfirm};
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout_at};

use super::link::{Link, Now};
use super::{BrokerError, answer, name};
use crate::model::Printable;

/// How long a batch may take until all of it is confirmed. A server that is blocked never confirms.
const CONFIRMS_WITHIN: Duration = Duration::from_secs(10);

/// The delivery mode of messages that survive a restart of the server.
const PERSISTENT: u8 = 2;

/// What is published. Always persistent, and given back where there is no queue for it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Message {
    /// The exchange; the default one, which takes the name of a queue for its key, is the empty text.
    pub exchange: String,
    /// The routing key. At most 255 bytes, as all names.
    pub key: String,
    /// The same whenever the message is sent again; it differs from that of any other message.
    pub id: String,
    /// The content.
    pub body: Vec<u8>,
    /// The type of the content, such as `application/json`.
    pub content_type: Option<String>,
    /// Says to what a reply belongs.
    pub correlation_id: Option<String>,
    /// The queue in which a reply is awaited.
    pub reply_to: Option<String>,
    /// How long it is of use; afterwards the server deletes it.
    pub expires_after: Option<Duration>,
    /// Headers whose values are texts.
    pub headers: BTreeMap<String, String>,
}

impl Message {
    /// JSON for a queue, by the default exchange.
    #[must_use]
    pub fn to_queue(queue: &str, id: &str, body: Vec<u8>) -> Self {
        Self {
            key: queue.to_owned(),
            id: id.to_owned(),
            body,
            content_type: Some("application/json".to_owned()),
            ..Self::default()
        }
    }

    fn properties(&self) -> Result<BasicProperties, BrokerError> {
        let mut properties =
            BasicProperties::default().with_delivery_mode(PERSISTENT).with_message_id(name(&self.id)?);
        if let Some(content_type) = &self.content_type {
            properties = properties.with_content_type(name(content_type)?);
        }
        if let Some(correlation_id) = &self.correlation_id {
            properties = properties.with_correlation_id(name(correlation_id)?);
        }
        if let Some(reply_to) = &self.reply_to {
            properties = properties.with_reply_to(name(reply_to)?);
        }
        if let Some(expires_after) = self.expires_after {
            properties = properties.with_expiration(name(&expires_after.as_millis().to_string())?);
        }
        if !self.headers.is_empty() {
            let mut headers = FieldTable::default();
            for (key, value) in &self.headers {
                headers.insert(name(key)?, AMQPValue::LongString(LongString::from(value.as_str())));
            }
            properties = properties.with_headers(headers);
        }
        Ok(properties)
    }
}

/// What became of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Published {
    /// It is in a queue, on the server's disk if the queue is durable.
    Confirmed,
    /// There is no queue for it, or it can be sent to none: to send it again is of use only when that has changed.
    Returned(String),
    /// It was perhaps published: it was not sent since the broker is away or blocked, or no confirm has come. It is to
    /// be sent again later, with the same id.
    Unknown(String),
}

/// The channel on which messages leave.
#[derive(Debug)]
pub(super) struct Publisher {
    link: Link,
    channel: Mutex<Option<Open>>,
}

/// A channel with confirms, and its connection.
#[derive(Debug)]
struct Open {
    connection: Arc<Connection>,
    channel: Channel,
}

impl Publisher {
    pub(super) fn new(link: Link) -> Self {
        Self { link, channel: Mutex::default() }
    }

    pub(super) fn link(&self) -> &Link {
        &self.link
    }

    pub(super) async fn publish(&self, batch: &[Message]) -> Vec<Published> {
        let mut kept = self.channel.lock().await;
        let unknown = |why: String| vec![Published::Unknown(why); batch.len()];
        let connection = match self.link.now() {
            Now::Connecting { .. } => return unknown("the broker is away: not connected yet".to_owned()),
            Now::Away { why, .. } => return unknown(format!("the broker is away: {why}")),
            // What is sent now would be kept by the network and published later, and then once more.
            Now::Open { blocked: Some((_, why)), .. } => {
                return unknown(format!("the broker takes no messages for now: {why}"));
            }
            Now::Open { connection, .. } => connection,
        };
        let is_usable =
            |open: &Open| Arc::ptr_eq(&open.connection, &connection) && open.channel.status().connected();
        let open = match kept.take().filter(is_usable) {
            Some(open) => open,
            None => match open(connection).await {
                Ok(open) => open,
                Err(error) => return unknown(error.to_string()),
            },
        };
        let published = send(&open.channel, batch).await;
        // A confirm that comes late must not be taken for one of the next batch.
        let is_clear = !published.iter().any(|published| matches!(published, Published::Unknown(_)));
        *kept = Some(open).filter(|_| is_clear);
        published
    }
}

async fn open(connection: Arc<Connection>) -> Result<Open, BrokerError> {
    let channel = answer(connection.create_channel()).await?;
    answer(channel.confirm_select(ConfirmSelectOptions::default())).await?;
    Ok(Open { connection, channel })
}

/// What is known of a message that is under way.
enum Sent {
    Awaited(PublisherConfirm),
    Over(Published),
}

async fn send(channel: &Channel, batch: &[Message]) -> Vec<Published> {
    let deadline = Instant::now() + CONFIRMS_WITHIN;
    let late = || format!("no confirm within {} s", CONFIRMS_WITHIN.as_secs());
    let mut sent = Vec::with_capacity(batch.len());
    let mut broken: Option<String> = None;
    for message in batch {
        sent.push(match (&broken, addressed(message)) {
            (_, Err(error)) => Sent::Over(Published::Returned(error.to_string())),
            (Some(why), Ok(_)) => Sent::Over(Published::Unknown(why.clone())),
            (None, Ok((exchange, key, properties))) => {
                let options = BasicPublishOptions { mandatory: true, immediate: false };
                let published = channel.basic_publish(exchange, key, options, &message.body, properties);
                match timeout_at(deadline, published).await {
                    Ok(Ok(confirm)) => Sent::Awaited(confirm),
                    failed => {
                        let why = failed.map_or_else(
                            |_| late(),
                            |failed| {
                                failed.err().map_or_else(late, |error| BrokerError::from(error).to_string())
                            },
                        );
                        broken = Some(why.clone());
                        Sent::Over(Published::Unknown(why))
                    }
                }
            }
        });
    }
    // The server gives a message back before it confirms it, but with whichever confirm comes next. When all have come,
    // each is there, and its id tells which message it is.
    let mut returned = BTreeMap::new();
    let mut published = Vec::with_capacity(batch.len());
    for sent in sent {
        published.push(match sent {
            Sent::Over(published) => published,
            Sent::Awaited(confirm) => match timeout_at(deadline, confirm).await {
                Err(_) => Published::Unknown(late()),
                Ok(Err(error)) => Published::Unknown(BrokerError::from(error).to_string()),
                Ok(Ok(confirmation)) => {
                    let is_taken = confirmation.is_ack();
                    if let Some(message) = confirmation.take_message() {
                        let id = message.delivery.properties.message_id().as_ref().map(ToString::to_string);
                        let said = Printable(message.reply_text.as_str()).to_string();
                        returned.insert(id.unwrap_or_default(), format!("{} {said}", message.reply_code));
                    }
                    if is_taken {
                        Published::Confirmed
                    } else {
                        Published::Unknown("the server could not take it".to_owned())
                    }
                }
            },
        });
    }
    for (message, published) in batch.iter().zip(&mut published) {
        if let Some(said) = returned.get(&message.id) {
            let place = if message.exchange.is_empty() {
                format!("there is no queue {}", message.key)
            } else {
                format!("no queue takes {} of {}", message.key, message.exchange)
            };
            *published = Published::Returned(format!("{place} ({said})"));
        }
    }
    published
}

fn addressed(
    message: &Message,
) -> Result<(lapin::types::ShortString, lapin::types::ShortString, BasicProperties), BrokerError> {
    Ok((name(&message.exchange)?, name(&message.key)?, message.properties()?))
}
