//! The database of the world: real tables, whose answers may fail or get lost.

use std::collections::BTreeMap;

use dcm::model::{AppId, Change};
use dcm::store::{Committed, Held, Tables};

use crate::random::Random;
use crate::swarm::Swarm;

pub(crate) struct Database {
    pub(crate) tables: Tables,
    /// Nobody reaches it before this moment.
    pub(crate) away_until: u64,
    /// Until when somebody holds the row of an app.
    pub(crate) held: BTreeMap<AppId, u64>,
}

/// What becomes of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fortune {
    /// Written and answered.
    Fine,
    /// Not written; the caller is told so.
    Failed,
    /// Written, and the answer is lost: the caller is told that it failed.
    Unknown,
}

impl Database {
    pub(crate) fn is_away(&self, time: u64) -> bool {
        time < self.away_until
    }

    pub(crate) fn fortune(&self, time: u64, swarm: &Swarm, random: &mut Random) -> Fortune {
        if self.is_away(time) || random.per_mille(swarm.commit_fails) {
            Fortune::Failed
        } else if random.per_mille(swarm.commit_unknown) {
            Fortune::Unknown
        } else {
            Fortune::Fine
        }
    }

    pub(crate) fn can_read(&self, time: u64, swarm: &Swarm, random: &mut Random) -> bool {
        !self.is_away(time) && !random.per_mille(swarm.read_fails)
    }

    /// Writes what concerns rows that nobody holds.
    pub(crate) fn commit(&mut self, time: u64, changes: &[Change]) -> (Vec<Change>, Committed) {
        let is_held = |change: &&Change| {
            change.subject().app().and_then(|app| self.held.get(&app)).is_some_and(|until| time < *until)
        };
        let (held, free): (Vec<_>, Vec<_>) = changes.iter().partition(is_held);
        let free: Vec<_> = free.into_iter().cloned().collect();
        let mut committed = self.tables.commit(&free);
        let subjects: std::collections::BTreeSet<_> = held.into_iter().map(Change::subject).collect();
        let held = |subject| Held { subject, why: "a test".to_owned() };
        committed.held = subjects.into_iter().map(held).collect();
        (free, committed)
    }
}
