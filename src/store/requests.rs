//! Commands that come as messages, and what a manager says of its broker.

use async_trait::async_trait;
use chrono::TimeDelta;

use super::StoreError;
use crate::model::{BrokerState, Received, Request};

/// How long the answer waits that an app is not there to a command that was sent to all: managers with another database
/// may have it, and answer first.
pub(super) const NOT_HERE_AFTER: TimeDelta = TimeDelta::seconds(2);

/// What the consumer of commands needs of the database.
#[async_trait]
pub trait Requests: Send + Sync {
    /// Enters a command into the ledger, once for its id. In the same transaction it gets its verdict where it is for an
    /// app that is not there, or has expired by the database's clock; where an answer is asked for, one is written when
    /// the verdict is given, and once more each time the message comes again.
    ///
    /// One that was sent to all managers is entered by the first of those that share the database. For the others it is
    /// no repetition. Where the app is not in this database, the answer that says so waits a little.
    async fn enter_request(&self, request: Request) -> Result<Received, StoreError>;

    /// Says in the row of this manager how it stands with its broker; `None` where none is set up.
    async fn note_broker(&self, state: Option<BrokerState>) -> Result<(), StoreError>;

    /// Counts a message that was no command.
    async fn note_dead_letter(&self) -> Result<(), StoreError>;
}
