//! The numbers of a whole database, as they were read last.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::model::Timestamp;
use crate::model::explain::State;
use crate::store::Backlog;

/// What was read of a database at one moment.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FleetNumbers {
    /// When, by the host's clock.
    pub read: Timestamp,
    /// Apps by state; a state that is missing has none.
    pub apps: BTreeMap<State, u64>,
    /// Open alerts, and what is to leave.
    pub backlog: Backlog,
    /// Managers whose lease holds.
    pub managers: u64,
    /// Whether this manager drains.
    pub is_draining: bool,
    /// The apps of this manager, where each is exported.
    pub own: Vec<AppNumbers>,
}

/// What is exported of one app.
#[derive(Debug, Clone, PartialEq)]
pub struct AppNumbers {
    /// Its path.
    pub path: Arc<str>,
    /// What it is doing.
    pub state: State,
    /// How its latest run that is over ended, and when.
    pub last_end: Option<(Arc<str>, Timestamp)>,
    /// When it runs next.
    pub next_run: Option<Timestamp>,
    /// How much is done, 0 to 100.
    pub percent: Option<u8>,
    /// Items done.
    pub solved: u64,
    /// Items given up.
    pub failed: u64,
}
