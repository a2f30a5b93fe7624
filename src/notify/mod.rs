//! What leaves the program as a notification: the notice, the channels that people set up, and how each is sent to.
//! What is to be sent is in rows of `deliveries`; the dispatcher decides which of them leave when, and as which messages.

mod channel;
mod compose;
mod dispatcher;
mod email;
mod hours;
mod http;
mod notice;
mod ping;
mod render;
mod secret;
mod sink;
mod slack;
mod teams;
mod telegram;
mod webhook;

pub use channel::{Channel, ChannelKind, Email, NotifySettings, Quiet, QuietError, SmtpTls, TeamsForm};
pub use dispatcher::{Decision, Dispatcher, GIVEN_UP_AFTER, Message};
pub use notice::{DETAIL_MAX, Notice, NoticeAlert};
pub use ping::{Beat, Pinger};
pub use secret::Secret;
pub use sink::{Sink, Undelivered, is_certificates, is_mailbox, sinks};
