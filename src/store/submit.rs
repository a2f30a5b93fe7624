//! Sends commands surely: an answer that was lost is asked for again, by the number of the batch.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::{OperatorStore, StoreError};
use crate::model::{CommandId, NewCommand};

/// A server that restarts is back within this time.
const PATIENCE: Duration = Duration::from_secs(10);

/// The first pause between tries; each is twice as long as the one before, up to [`PAUSE_MAX`].
const PAUSE_MIN: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// Enters commands into the ledger once, however often their connection is lost meanwhile. Those that
/// belong to no batch get one.
///
/// # Errors
/// [`StoreError::Unavailable`] when the database stays away; nobody knows then whether they arrived.
pub async fn submit(
    store: &dyn OperatorStore,
    mut commands: Vec<NewCommand>,
) -> Result<Vec<CommandId>, StoreError> {
    let drawn = uuid::Uuid::new_v4().simple().to_string();
    for command in &mut commands {
        command.batch.get_or_insert_with(|| drawn.clone());
    }
    let deadline = Instant::now() + PATIENCE;
    let mut pause = PAUSE_MIN;
    loop {
        match store.submit(commands.clone()).await {
            Err(StoreError::Unavailable(why)) if Instant::now() + pause >= deadline => {
                let batch = commands.first().and_then(|command| command.batch.as_deref()).unwrap_or_default();
                return Err(StoreError::Unavailable(format!(
                    "{why}; whether the commands have arrived is not known: look for batch {batch} in the ledger \
                     before you send them again"
                )));
            }
            Err(StoreError::Unavailable(_)) => {}
            answer => return answer,
        }
        sleep(pause).await;
        pause = (pause * 2).min(PAUSE_MAX);
    }
}
