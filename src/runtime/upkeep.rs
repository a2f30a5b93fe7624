//! What is done to a database now and then, besides the work of its manager: old rows of history go, and the file is
//! looked through for damage.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::sleep;

use super::live::{Live, changed};
use crate::model::Prunable;
use crate::store::{Pace, Store, prune_history};

/// After the start of a manager its fleet comes first.
const BEGINS_AFTER: Duration = Duration::from_secs(10);

/// How often it is looked for old rows.
const PRUNE_EVERY: Duration = Duration::from_secs(3600);

/// No caller waits for the end of a pass, and looking through a long history takes time of the database.
const PACE: Pace = Pace { after_rows: Duration::from_millis(50), after_none: Duration::from_millis(50) };

/// A pass that found the database away is tried again after so long.
const RETRY: Duration = Duration::from_secs(60);

/// How often the whole database is looked through.
const INSPECT_EVERY: Duration = Duration::from_secs(24 * 3600);

/// Prunes for as long as the manager serves.
pub(super) async fn prune(store: Arc<dyn Store>, mut live: watch::Receiver<Live>) {
    sleep(BEGINS_AFTER).await;
    loop {
        let retention = live.borrow_and_update().retention;
        let mut pruned = Prunable::default();
        let pause = match prune_history(store.as_ref(), retention, PACE, &mut pruned).await {
            Ok(()) => PRUNE_EVERY,
            Err(error) => {
                tracing::debug!(%error, "pruning is tried again later");
                RETRY
            }
        };
        if pruned != Prunable::default() {
            let Prunable { runtime, skips, commands, alerts, deliveries, events } = pruned;
            tracing::info!(
                runtime,
                skips,
                commands,
                alerts,
                deliveries,
                events,
                "old rows of history were pruned"
            );
        }
        // What is to be kept now decides at once.
        let is_other = async {
            while live.borrow_and_update().retention == retention {
                changed(&mut live).await;
            }
        };
        tokio::select! {
            () = sleep(pause) => {}
            () = is_other => {}
        }
    }
}

/// Looks for damage: after a manager that did not end in order, and once a day.
pub(super) async fn inspect(store: Arc<dyn Store>) {
    sleep(BEGINS_AFTER).await;
    let mut is_due = store.was_left_in_disorder();
    loop {
        if is_due {
            match store.inspect().await {
                Ok(faults) => {
                    for fault in faults {
                        tracing::error!(
                            fault,
                            "the database is damaged; restore a backup (dcm db check tells more)"
                        );
                    }
                }
                Err(error) => tracing::debug!(%error, "the database could not be looked through"),
            }
        }
        is_due = true;
        sleep(INSPECT_EVERY).await;
    }
}
