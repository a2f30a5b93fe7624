//! What is to leave the program: rows of the table `deliveries`.

use chrono::TimeDelta;

use super::vocabulary::words;
use super::{AlertRow, DeliveryId, Timestamp, Word};

words! {
    /// What kind of thing leaves the program.
    DeliveryKind {
        /// A message to people about an alert.
        Notification = "notification",
        /// A call of an app's `ping_url` after a run.
        Ping = "ping",
        /// A message to the worker of a document's stage.
        Document = "document",
        /// The answer to a command that came as a message.
        Reply = "reply",
    }
}

words! {
    /// What a notification says of its alert.
    NoticeEvent, "event of a notification" {
        /// The trouble has begun.
        Opened = "opened",
        /// It goes on.
        Repeated = "repeated",
        /// It is over.
        Recovered = "recovered",
        /// A person tries the channel; there is no alert.
        Test = "test",
    }
}

/// A message waits this long for others of the same cause; rows that become due within it go along.
pub const GATHER: TimeDelta = TimeDelta::seconds(10);

/// The channel of all pings. No `[notify.NAME]` has this name: there is a setting of the same name in its place.
pub const PING_CHANNEL: &str = "ping_url";

/// The channel of all documents, which leave by the broker.
pub const DOCUMENT_CHANNEL: &str = "documents";

/// A row that is not over: neither delivered nor given up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Its number.
    pub id: DeliveryId,
    /// What it is.
    pub kind: Word<DeliveryKind>,
    /// What a notification says.
    pub event: Option<Word<NoticeEvent>>,
    /// The alert as its row is now, and the path of its app or, where the row of the app is gone, its key.
    pub alert: Option<(AlertRow, String)>,
    /// How many messages about the alert left by this channel before.
    pub stage: u32,
    /// What is to be sent, as JSON.
    pub body: String,
    /// When its row was written.
    pub created: Timestamp,
    /// When it is to leave.
    pub due: Timestamp,
    /// How many tries have begun.
    pub tries: u32,
}

/// What became of a try to deliver something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delivered {
    /// It has left, in this form.
    Sent {
        /// What was sent; `None` where it was the body of the row.
        body: Option<String>,
        /// When it is to be repeated, of those that are to be.
        repeats: Vec<(DeliveryId, Timestamp)>,
    },
    /// It is tried again.
    Failed {
        /// Why it failed, in one line without secrets.
        why: String,
        /// When it is tried again.
        again: Timestamp,
    },
    /// It is not tried any more.
    GivenUp {
        /// Why the last try failed.
        why: String,
    },
    /// There is no need for it any more.
    Needless,
}

/// A message that left: what the limits on messages count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SentMessage {
    /// By which channel.
    pub channel: String,
    /// The cause of its alerts.
    pub cause: String,
    /// When.
    pub at: Timestamp,
}
