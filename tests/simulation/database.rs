//! The database of the world: real tables, whose answers may fail or get lost.

use dcm::model::Change;
use dcm::store::{Committed, Tables};

use crate::random::Random;
use crate::swarm::Swarm;

pub(crate) struct Database {
    pub(crate) tables: Tables,
    /// Nobody reaches it before this moment.
    pub(crate) away_until: u64,
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

    pub(crate) fn commit(&mut self, changes: &[Change]) -> Committed {
        self.tables.commit(changes)
    }
}
