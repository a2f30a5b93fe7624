//! Commands that come as messages.

use super::{CommandId, NewCommand};

/// The channel of the answers to commands that came as messages. They leave by the broker, and by no `[notify.NAME]`.
pub const REPLY_CHANNEL: &str = "rabbitmq";

/// A command that came as a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The id of the message, by which it is known when it comes again: a UUID, lower case with hyphens.
    pub id: String,
    /// The app as the message names it: a path or a key.
    pub asked: String,
    /// The command.
    pub command: NewCommand,
    /// The queue in which the verdict is awaited.
    pub reply_to: Option<String>,
    /// The sender's own mark for the answer.
    pub correlation_id: Option<String>,
    /// The manager by whose queue it came.
    pub received_by: String,
    /// Whether it was sent to all managers, so that others may have what it is about.
    pub is_broadcast: bool,
}

/// What became of a command that came as a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Received {
    /// It is in the ledger now.
    New(CommandId),
    /// It is there already, and is answered again if it has a verdict.
    Again(CommandId),
    /// It was sent to all, and another manager of the database has entered it.
    NotHere,
}
