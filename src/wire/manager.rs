//! A manager.

use super::{Time, row};
use crate::model::ManagerRow;

row! {
/// A manager. What it does is null while it does not live: an old row says nothing of that.
pub struct Manager<'a> {
    name: &'a str,
    state: &'static str,
    host: &'a str,
    pid: u32,
    version: &'a str,
    started: Time,
    heartbeat: Time,
    stopped: Option<Time>,
    lease: f64,
    lease_until: Option<Time>,
    incarnation: u64,
    pools: &'a [String],
    python: Option<&'a str>,
    draining: bool,
    apps: u64,
    running: Option<u32>,
    running_max: Option<u32>,
    waiting: Option<u32>,
    broker: Option<&'a str>,
    dead_letters: u64,
}
}

/// What is known of a manager besides its row.
#[derive(Debug, Clone, Copy)]
pub struct ManagerFacts {
    /// `live`, `draining`, `silent`, `lost` or `stopped`.
    pub state: &'static str,
    /// Whether it lives, so that its row is not old.
    pub is_live: bool,
    /// How many apps are its own.
    pub apps: u64,
}

impl<'a> Manager<'a> {
    /// That of a row.
    #[must_use]
    pub fn of(row: &'a ManagerRow, facts: ManagerFacts) -> Self {
        let load = facts.is_live.then_some(row.load);
        Self {
            name: &row.name,
            state: facts.state,
            host: &row.host,
            pid: row.pid,
            version: &row.version,
            started: Time(row.started),
            heartbeat: Time(row.heartbeat),
            stopped: row.stopped.map(Time),
            lease: row.lease.as_secs_f64(),
            lease_until: row.lease_until.map(Time),
            incarnation: row.incarnation,
            pools: &row.pools,
            python: row.python.as_deref(),
            draining: row.draining,
            apps: facts.apps,
            running: load.map(|load| load.running),
            running_max: row.load.running_max,
            waiting: load.map(|load| load.waiting),
            broker: row.broker.as_deref().filter(|_| facts.is_live),
            dead_letters: row.dead_letters,
        }
    }
}
