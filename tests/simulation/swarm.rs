//! Which kinds of trouble a world has. Each seed turns a random part of them on: a world with all
//! of them at once would never get far enough to show the rarer faults.

use crate::random::Random;

/// Rates are per mille of the occasions, or per mille of the ten-second turns of fate; 0 is off.
#[derive(Debug, Clone, Default)]
#[expect(clippy::struct_excessive_bools, reason = "troubles that do not depend on each other")]
pub(crate) struct Swarm {
    /// The manager dies at a boundary between two of its acts.
    pub(crate) dies_between: u64,
    /// The manager is killed at any moment.
    pub(crate) manager_killed: u64,
    pub(crate) shim_killed: u64,
    pub(crate) app_killed: u64,
    pub(crate) host_reboots: u64,
    pub(crate) clock_jumps: u64,
    pub(crate) database_away: u64,
    pub(crate) commit_fails: u64,
    pub(crate) commit_unknown: u64,
    pub(crate) read_fails: u64,
    /// A start finds no room on the host.
    pub(crate) host_exhausted: u64,
    /// A start finds no program.
    pub(crate) not_found: u64,
    pub(crate) fails: u64,
    pub(crate) crashes: u64,
    pub(crate) hangs: u64,
    pub(crate) ignores_term: u64,
    pub(crate) reports: u64,
    pub(crate) asks_next_run: u64,
    pub(crate) commands: u64,
    pub(crate) edits: u64,
    pub(crate) removals: u64,
    /// The row of an app is deleted while it runs.
    pub(crate) deletions: u64,
    pub(crate) stop_apps: u64,
    pub(crate) has_limits: bool,
    /// Messages inside the manager may take up to a second instead of some milliseconds.
    pub(crate) is_slow: bool,
    /// Word of a process comes twice.
    pub(crate) duplicates: u64,
    /// The manager is away for minutes, not seconds.
    pub(crate) is_long_away: bool,
    /// Nothing of the host can be looked at for a while: no descriptor is left, say.
    pub(crate) blind: u64,
    /// Somebody holds the row of an app.
    pub(crate) rows_held: u64,
    /// Rows of history are deleted.
    pub(crate) purges: u64,
    /// The host begins with its clock ahead, which is put right later.
    pub(crate) begins_ahead: bool,
}

impl Swarm {
    pub(crate) fn of(random: &mut Random) -> Self {
        let mut rate = |low: u64, high: u64| if random.coin() { random.between(low, high) } else { 0 };
        let mut swarm = Self {
            dies_between: rate(1, 20),
            manager_killed: rate(20, 200),
            shim_killed: rate(20, 200),
            app_killed: rate(20, 200),
            host_reboots: rate(5, 60),
            clock_jumps: rate(5, 60),
            database_away: rate(10, 100),
            commit_fails: rate(10, 300),
            commit_unknown: rate(10, 100),
            read_fails: rate(10, 200),
            host_exhausted: rate(10, 300),
            not_found: rate(10, 60),
            fails: rate(50, 500),
            crashes: rate(50, 500),
            hangs: rate(20, 200),
            ignores_term: rate(100, 500),
            reports: rate(200, 800),
            asks_next_run: rate(50, 400),
            commands: rate(200, 1000),
            edits: rate(50, 300),
            removals: rate(20, 100),
            stop_apps: rate(10, 50),
            duplicates: rate(50, 500),
            ..Self::default()
        };
        for trouble in [&mut swarm.blind, &mut swarm.rows_held, &mut swarm.purges] {
            *trouble = if random.coin() { random.between(10, 150) } else { 0 };
        }
        swarm.deletions = if random.coin() { random.between(20, 150) } else { 0 };
        swarm.begins_ahead = random.per_mille(150);
        swarm.has_limits = random.coin();
        swarm.is_slow = random.per_mille(250);
        swarm.is_long_away = random.per_mille(250);
        swarm
    }

    /// The world is healed: nothing breaks any more, and nobody asks for anything. Apps stay as
    /// they are.
    pub(crate) fn heal(&mut self) {
        *self = Self {
            fails: self.fails,
            crashes: self.crashes,
            ignores_term: self.ignores_term,
            reports: self.reports,
            ..Self::default()
        };
    }
}
