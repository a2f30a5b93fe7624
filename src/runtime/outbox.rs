//! Commit, then act: writes the manager's changes in the order of its steps, and carries out what
//! waited for that. While the database is away the steps wait here. What runs goes on, and since
//! nothing new is started, what waits is bounded by what runs.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};
use tokio::time::{Instant, sleep, sleep_until, timeout_at};

use crate::manager::{Effect, Event, Step};
use crate::model::{AppId, Change, Refusal, Report, RunId, Unopened};
use crate::process::Supervisor;
use crate::store::{Store, StoreError};

/// Progress waits this long for more of it: 10,000 reports a second become a few commits.
const PROGRESS_WAITS: Duration = Duration::from_millis(200);

/// At most so many changes are written in one transaction, so that a person's command does not
/// wait for a long one.
const CHANGES_MAX: usize = 4000;

/// Pauses between tries to reach a database that is away.
const RETRY_FIRST: Duration = Duration::from_millis(100);
const RETRY_MAX: Duration = Duration::from_secs(5);

pub(super) struct Outbox {
    pub(super) store: Arc<dyn Store>,
    pub(super) supervisor: Arc<Supervisor>,
    pub(super) steps: UnboundedReceiver<Step>,
    pub(super) events: UnboundedSender<Event>,
    /// Runs whose failure is written.
    pub(super) failed: UnboundedSender<(AppId, RunId)>,
}

/// Steps that are written together.
#[derive(Default)]
struct Batch {
    changes: Vec<Change>,
    effects: Vec<Effect>,
    progress: BTreeMap<RunId, (AppId, Report)>,
}

/// Why an outbox came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Emptied {
    /// There are no more steps to come, and all of them are written.
    Written,
    /// The manager was deposed: what it had to write is not true any more. What happened to its runs
    /// is in their run directories.
    Deposed,
}

impl Outbox {
    /// Goes on until there is nothing more to write.
    pub(super) async fn run(mut self) -> Emptied {
        let mut batch = Batch::default();
        let mut unopened = Unopened::default();
        while let Some(step) = self.steps.recv().await {
            batch.add(step);
            self.collect(&mut batch).await;
            if self.commit(std::mem::take(&mut batch), &mut unopened).await.is_none() {
                return Emptied::Deposed;
            }
        }
        Emptied::Written
    }

    /// Takes what else is there. If it is only progress, waits for more.
    async fn collect(&mut self, batch: &mut Batch) {
        let until = Instant::now() + PROGRESS_WAITS;
        loop {
            while batch.changes.len() < CHANGES_MAX
                && let Ok(step) = self.steps.try_recv()
            {
                batch.add(step);
            }
            if !batch.changes.is_empty() || !batch.effects.is_empty() {
                return;
            }
            match timeout_at(until, self.steps.recv()).await {
                Ok(Some(step)) => batch.add(step),
                Ok(None) | Err(_) => return,
            }
        }
    }

    /// `None`: the manager was deposed.
    async fn commit(&self, batch: Batch, unopened: &mut Unopened) -> Option<()> {
        let Batch { changes, effects, progress } = batch;
        let progress = progress.into_iter().map(|(run, (app, report))| Change::Progress { app, run, report });
        let changes: Vec<_> = progress.chain(changes).filter(|change| !unopened.excludes(change)).collect();
        let failed: Vec<_> = changes.iter().filter_map(failed).collect();
        let refused = if changes.is_empty() { Vec::new() } else { self.write(changes, unopened).await? };
        for run in failed {
            // Where nobody keeps the ends of logs, nobody listens.
            let _ = self.failed.send(run);
        }
        for effect in effects {
            let is_refused =
                matches!(&effect, Effect::Start { run, .. } if refused.iter().any(|(other, _)| other == run));
            if !is_refused {
                self.supervisor.carry_out(effect);
            }
        }
        for (run, refusal) in refused {
            // The driver has gone only if everything ends.
            let _ = self.events.send(Event::RunRefused { run, refusal });
        }
        Some(())
    }

    /// Writes until it is written; `None`: the manager was deposed.
    async fn write(&self, changes: Vec<Change>, unopened: &mut Unopened) -> Option<Vec<(RunId, Refusal)>> {
        let mut pause = RETRY_FIRST;
        let mut since = None;
        loop {
            match self.store.commit(changes.clone()).await {
                Ok(committed) => {
                    if let Some(since) = since {
                        tracing::info!(changes = changes.len(), away = ?Instant::now().duration_since(since), "the database is back, what happened meanwhile is entered");
                    }
                    unopened.note_all(&changes, &committed.refused);
                    return Some(committed.refused);
                }
                Err(StoreError::Refused(why)) if changes.len() == 1 => {
                    tracing::error!(change = ?changes[0], why, "the database refuses a change; it is left out");
                    let refused = given_up(&changes[0]);
                    unopened.note_all(&changes, &refused);
                    return Some(refused);
                }
                Err(StoreError::Refused(_)) => {
                    // One of them is impossible: the others must not suffer for it.
                    let mut refused = Vec::new();
                    for change in changes {
                        if !unopened.excludes(&change) {
                            refused.extend(Box::pin(self.write(vec![change], unopened)).await?);
                        }
                    }
                    return Some(refused);
                }
                Err(StoreError::Deposed | StoreError::Replaced) => return None,
                Err(error) => {
                    if since.is_none() {
                        since = Some(Instant::now());
                        tracing::warn!(%error, changes = changes.len(), "cannot write; apps go on, and it is tried again");
                    }
                    sleep(pause).await;
                    pause = (pause * 2).min(RETRY_MAX);
                }
            }
        }
    }
}

/// The run that a change says has failed.
fn failed(change: &Change) -> Option<(AppId, RunId)> {
    let Change::RunClosed { run, app, closing } = change else { return None };
    matches!(closing.ending.outcome(), "failed" | "crashed" | "timed_out" | "failed_to_start")
        .then_some((*app, *run))
}

/// A run whose row cannot be written must not be started.
fn given_up(change: &Change) -> Vec<(RunId, Refusal)> {
    if let Change::RunOpened(opening) = change { vec![(opening.run, Refusal::NoSuchApp)] } else { Vec::new() }
}

impl Batch {
    fn add(&mut self, step: Step) {
        for change in step.changes {
            if let Change::Progress { app, run, report } = change {
                self.progress.entry(run).or_insert_with(|| (app, Report::default())).1.merge(report);
            } else {
                self.changes.push(change);
            }
        }
        self.effects.extend(step.effects);
    }
}

/// Waits until a moment of tokio's clock, or for ever.
pub(super) async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => std::future::pending().await,
    }
}
