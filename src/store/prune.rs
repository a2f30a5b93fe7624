//! One pass over the history of a database, batch by batch.

use std::time::Duration;

use tokio::time::sleep;

use super::{Store, StoreError};
use crate::model::{Prunable, Pruning, Retention};

/// How long others have their turn between two batches.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// After a batch that deleted rows, and so held locks.
    pub after_rows: Duration,
    /// After a batch that found nothing to delete.
    pub after_none: Duration,
}

/// Deletes all rows of history that are too old or too many. What was deleted is in `pruned`, also when the pass ends early.
///
/// # Errors
/// When the database cannot be reached or refuses.
pub async fn prune_history(
    store: &dyn Store,
    retention: Retention,
    pace: Pace,
    pruned: &mut Prunable,
) -> Result<(), StoreError> {
    for pruning in Pruning::ALL {
        let mut after = Some(String::new());
        while let Some(from) = after {
            let batch = store.prune(pruning, retention, from).await?;
            pruned.add(pruning, batch.rows);
            after = batch.next;
            let pause = if batch.rows > 0 { pace.after_rows } else { pace.after_none };
            if after.is_some() && !pause.is_zero() {
                sleep(pause).await;
            }
        }
    }
    Ok(())
}
