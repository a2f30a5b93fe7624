//! Keeps the ends of logs in a database that others read from afar: of runs that failed, and of apps at
//! whose log somebody looks.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::{MissedTickBehavior, interval};

use crate::model::{AppId, KeptLog, RunId, Timestamp};
use crate::process::{StateDir, log_end, logs_of};
use crate::store::{LOG_END, Store, StoreError};

/// How often the end of a log is written while somebody looks, at most.
const EVERY: Duration = Duration::from_secs(1);

/// At most so many logs are followed at once; a console shows a few.
const WANTED_MAX: usize = 50;

/// Ends of failed runs that wait for the database, which may be away for long.
const FAILED_MAX: usize = 1000;

pub(super) struct Tails {
    pub(super) store: Arc<dyn Store>,
    pub(super) state: StateDir,
    /// The manager's.
    pub(super) name: String,
    /// Runs that have failed.
    pub(super) failed: UnboundedReceiver<(AppId, RunId)>,
    /// Apps at whose log somebody looks, as the feed has read it.
    pub(super) wanted: watch::Receiver<Vec<AppId>>,
}

impl Tails {
    /// Goes on until the manager ends.
    pub(super) async fn run(mut self) {
        let mut tick = interval(EVERY);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // What was written last, so that a log that stands still costs nothing.
        let mut written: BTreeMap<AppId, (RunId, Vec<u8>)> = BTreeMap::new();
        let mut failed: Vec<(AppId, RunId)> = Vec::new();
        loop {
            let is_time = tokio::select! {
                Some(run) = self.failed.recv() => {
                    failed.push(run);
                    false
                }
                _ = tick.tick() => true,
                Ok(()) = self.wanted.changed() => true,
            };
            if is_time {
                while let Some((app, run)) = failed.last() {
                    if self.keep(*app, Some(*run), &mut written).await.is_err() {
                        break;
                    }
                    failed.pop();
                }
                // If the database is away, those who look see how old the last end is.
                let wanted = self.wanted.borrow_and_update().clone();
                written.retain(|app, _| wanted.contains(app));
                for app in wanted.into_iter().take(WANTED_MAX) {
                    if self.keep(app, None, &mut written).await.is_err() {
                        break;
                    }
                }
            }
            let surplus = failed.len().saturating_sub(FAILED_MAX);
            failed.drain(..surplus);
        }
    }

    /// Writes the end of a log, if it is not what was written last.
    async fn keep(
        &self,
        app: AppId,
        run: Option<RunId>,
        written: &mut BTreeMap<AppId, (RunId, Vec<u8>)>,
    ) -> Result<(), StoreError> {
        let state = self.state.clone();
        let read = spawn_blocking(move || {
            let meant = |(found, _): &(RunId, _)| run.is_none_or(|run| run == *found);
            let (found, path) = logs_of(&state, app).into_iter().find(meant)?;
            log_end(&path, LOG_END).ok().map(|bytes| (found, bytes))
        });
        // A log that cannot be read is told of by `dcm logs` on this host.
        let Ok(Some((run, bytes))) = read.await else { return Ok(()) };
        if written.get(&app).is_some_and(|last| *last == (run, bytes.clone())) {
            return Ok(());
        }
        let log = KeptLog {
            run,
            app,
            manager: self.name.clone(),
            bytes: bytes.clone(),
            written: Timestamp::UNIX_EPOCH,
        };
        match self.store.keep_log(log).await {
            Err(error @ StoreError::Unavailable(_)) => return Err(error),
            Err(error) => tracing::warn!(%error, "the end of a log could not be kept"),
            Ok(()) => {}
        }
        written.insert(app, (run, bytes));
        Ok(())
    }
}
