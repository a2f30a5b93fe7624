//! What every channel does.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use chrono_tz::Tz;
use lettre::message::Mailbox;

use super::email::Mail;
use super::http::{Http, certificates_in};
use super::ping::{Pinger, Pings};
use super::slack::Slack;
use super::teams::Teams;
use super::telegram::Telegram;
use super::webhook::Webhook;
use super::{Channel, ChannelKind, NotifySettings};
use crate::model::PING_CHANNEL;

/// A channel, ready to be sent to. It blocks, for no longer than its time limits.
pub trait Sink: Send {
    /// Sends the JSON of a notice. `id` is the same each time the same delivery is tried, so that a receiver can tell a
    /// repetition.
    ///
    /// # Errors
    /// [`Undelivered`] unless the endpoint said that it took the message. It may have taken it all the same, where its
    /// answer was lost.
    fn deliver(&self, id: &str, body: &str) -> Result<(), Undelivered>;
}

/// A message was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct Undelivered {
    /// One line without secrets.
    pub why: String,
    /// How long the endpoint asks to be left alone.
    pub retry_after: Option<Duration>,
}

impl From<serde_json::Error> for Undelivered {
    fn from(error: serde_json::Error) -> Self {
        Self { why: format!("the body of the delivery is no notice: {error}"), retry_after: None }
    }
}

/// All channels, by name. Nothing is connected to yet.
#[must_use]
pub fn sinks(settings: &NotifySettings) -> BTreeMap<String, Box<dyn Sink>> {
    let shared = Arc::new(Http::default());
    let sink = |channel: &Channel| (channel.name.clone(), sink(channel, &shared, settings.time_zone));
    let pings: Box<dyn Sink> = Box::new(Pings(Pinger::with(Arc::clone(&shared))));
    settings.channels.iter().map(sink).chain([(PING_CHANNEL.to_owned(), pings)]).collect()
}

fn sink(channel: &Channel, shared: &Arc<Http>, zone: Option<Tz>) -> Box<dyn Sink> {
    let http = match &channel.roots {
        Some(roots) => Arc::new(Http::new(Some(roots.clone()))),
        None => Arc::clone(shared),
    };
    match channel.kind.clone() {
        ChannelKind::Telegram { token, chat_id, api } => {
            Box::new(Telegram { http, api, token, chat_id, zone })
        }
        ChannelKind::Teams { url, form } => Box::new(Teams { http, url, form, zone }),
        ChannelKind::Slack { url } => Box::new(Slack { http, url, zone }),
        ChannelKind::Email(settings) => Box::new(Mail { settings, roots: channel.roots.clone(), zone }),
        ChannelKind::Webhook { url, secret } => Box::new(Webhook { http, url, secret }),
    }
}

/// Whether a text is an address of e-mail, with or without a name before it.
#[must_use]
pub fn is_mailbox(text: &str) -> bool {
    !text.chars().any(char::is_control) && text.parse::<Mailbox>().is_ok()
}

/// Whether these bytes hold certificates in PEM.
#[must_use]
pub fn is_certificates(pem: &[u8]) -> bool {
    !certificates_in(pem).is_empty()
}
