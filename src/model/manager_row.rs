//! The managers that serve a database.

use std::time::Duration;

use super::{BrokerState, Timestamp};

/// How long a lease lasts unless the settings say otherwise.
pub const LEASE: Duration = Duration::from_secs(15);

/// A row of the managers table.
#[derive(Debug, Clone, PartialEq)]
pub struct ManagerRow {
    /// Its name.
    pub name: String,
    /// The host that it runs on.
    pub host: String,
    /// Its process.
    pub pid: u32,
    /// The version of the program.
    pub version: String,
    /// When it began.
    pub started: Timestamp,
    /// When it last said that it lives.
    pub heartbeat: Timestamp,
    /// When it ended in order; `None` while it lives, and after a crash.
    pub stopped: Option<Timestamp>,
    /// Grows each time that the name is taken, and each time that it is taken away.
    pub incarnation: u64,
    /// Counts the renewals of its lease.
    pub renewals: u64,
    /// How long its lease lasts without being renewed.
    pub lease: Duration,
    /// Until when it lasts, by the database's clock; `None` for a manager that was deposed.
    pub lease_until: Option<Timestamp>,
    /// Which state directory it works with: there its runs are.
    pub home: Option<String>,
    /// Which boot of its host it began on.
    pub boot: Option<String>,
    /// The pools that it serves.
    pub pools: Vec<String>,
    /// The interpreter of apps without a command of their own; `None` for a manager of an older version.
    pub python: Option<String>,
    /// Whether it starts nothing new and gives away what may run elsewhere.
    pub draining: bool,
    /// Runs under way and in line.
    pub load: Load,
    /// How it stands with its broker, as [`BrokerState`](super::BrokerState) writes it; `None` where it has none.
    pub broker: Option<String>,
    /// Messages that came by the broker and were no commands.
    pub dead_letters: u64,
}

/// How much a manager has to do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Load {
    /// Runs under way.
    pub running: u32,
    /// The most that it may have; `None`: no limit.
    pub running_max: Option<u32>,
    /// Runs that wait for room.
    pub waiting: u32,
}

impl Default for ManagerRow {
    fn default() -> Self {
        Self {
            name: String::new(),
            host: String::new(),
            pid: 0,
            version: String::new(),
            started: Timestamp::UNIX_EPOCH,
            heartbeat: Timestamp::UNIX_EPOCH,
            stopped: None,
            incarnation: 0,
            renewals: 0,
            lease: LEASE,
            lease_until: None,
            home: None,
            boot: None,
            pools: Vec::new(),
            python: None,
            draining: false,
            load: Load::default(),
            broker: None,
            dead_letters: 0,
        }
    }
}

impl ManagerRow {
    /// Whether it is known to live at this moment of the database's clock.
    #[must_use]
    pub fn is_live(&self, now: Timestamp) -> bool {
        // A heartbeat in the future is no sign of death: the clock was set.
        let age = now.signed_duration_since(self.heartbeat).to_std().unwrap_or(Duration::ZERO);
        self.stopped.is_none() && age < self.lease
    }
}

impl ManagerRow {
    /// How it stands with its broker, if it is not well.
    #[must_use]
    pub fn broker_trouble(&self) -> Option<BrokerState> {
        self.broker.as_deref()?.parse().ok().filter(|state| *state != BrokerState::Connected)
    }
}

/// Whose an app is: that of its row. An embedded database is served by one manager, which has all apps, those that it has
/// not run yet too.
#[must_use]
pub fn owner_of<'a>(
    own: Option<&'a str>,
    managers: impl IntoIterator<Item = &'a ManagerRow>,
    (is_shared, now): (bool, Timestamp),
) -> Option<&'a str> {
    let serving = managers.into_iter().find(|manager| !is_shared && manager.is_live(now));
    serving.map(|manager| manager.name.as_str()).or(own)
}

/// What a manager learns when it renews its lease.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sight {
    /// The database's clock.
    pub now: Timestamp,
    /// How long the server has been up.
    pub up: Duration,
    /// The server's timeline: it changes when a standby takes over.
    pub timeline: u32,
    /// All managers, this one too.
    pub managers: Vec<Seen>,
}

/// A manager as another one sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct Seen {
    /// Its row.
    pub row: ManagerRow,
    /// Whether its lease is over and it has apps that others may take, by their `failover` and `pool`.
    pub leaves_apps: bool,
}

/// What became of the apps of a manager that was deposed or drained.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Released {
    /// Apps that belong to nobody now, until one of the others claims them.
    pub apps: u64,
    /// Their runs that were under way: lost with their host, as far as anybody knows.
    pub runs: u64,
    /// Apps that stay with it, since their `failover` or `pool` says so.
    pub kept: u64,
}
