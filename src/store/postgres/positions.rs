//! What a reader has seen of the apps table. Writers wait for no one, so that a row with a smaller revision may become
//! visible after one with a greater: a reader keeps the snapshot of its last look, and what that does not show is new.

use std::collections::BTreeMap;

use sqlx::{PgConnection, Row as _};

use super::connection::{Fault, statement};
use crate::model::Revision;

/// Snapshots that are kept; each reader of a store needs its last one.
const KEPT_MAX: usize = 64;

/// Of the transactions of a server, those whose rows were seen: all before `upto` but the `open` ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) upto: i64,
    pub(super) open: Vec<i64>,
}

/// Nothing was seen yet.
impl Default for Seen {
    fn default() -> Self {
        Self { upto: i64::MIN, open: Vec::new() }
    }
}

/// The condition that a transaction is not among those seen. `$1` and `$2` are [`Seen::upto`] and [`Seen::open`].
macro_rules! is_new {
    ($column:literal) => {
        concat!("(", $column, " >= $1 OR ", $column, " = ANY($2))")
    };
}
pub(super) use is_new;

/// What the current transaction sees.
pub(super) async fn now(connection: &mut PgConnection) -> Result<Seen, Fault> {
    // A standby does not tell which transactions are open.
    let row = statement(
        "SELECT CASE WHEN pg_is_in_recovery() THEN pg_snapshot_xmin(seen) ELSE pg_snapshot_xmax(seen) END::text::bigint \
           AS upto, ARRAY(SELECT open::text::bigint FROM pg_snapshot_xip(seen) AS open) AS open \
         FROM pg_current_snapshot() AS seen",
    )
    .fetch_one(connection)
    .await?;
    Ok(Seen { upto: row.try_get("upto")?, open: row.try_get("open")? })
}

/// The snapshots behind the revisions that a store has given to its readers.
#[derive(Debug, Default)]
pub(super) struct Positions {
    by_revision: BTreeMap<Revision, Seen>,
    last: i64,
}

impl Positions {
    /// What was seen at a revision; nothing, where that is not known.
    pub(super) fn at(&self, revision: Revision) -> Seen {
        self.by_revision.get(&revision).cloned().unwrap_or_default()
    }

    /// Gives a revision to what was seen.
    pub(super) fn keep(&mut self, seen: Seen) -> Revision {
        self.last += 1;
        self.by_revision.insert(Revision(self.last), seen);
        while self.by_revision.len() > KEPT_MAX {
            self.by_revision.pop_first();
        }
        Revision(self.last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_revision_that_is_not_known_any_more_is_a_look_from_the_beginning() {
        let mut positions = Positions::default();
        assert_eq!(positions.at(Revision::default()), Seen::default());
        let first = positions.keep(Seen { upto: 7, open: vec![5] });
        assert_eq!(positions.at(first), Seen { upto: 7, open: vec![5] });
        let last = (0..100).map(|upto| positions.keep(Seen { upto, open: vec![] })).last().unwrap();
        assert!(last > first);
        assert_eq!(positions.at(first), Seen::default());
        assert_eq!(positions.at(last).upto, 99);
    }
}
