//! Commit, then act: writes the manager's changes in the order of its steps, and carries out what
//! waited for that. While the database is away the steps wait here. What runs goes on, and since
//! nothing new is started, what waits is bounded by what runs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};
use tokio::time::{Instant, sleep, sleep_until, timeout_at};

use super::batch::{Batch, Told, Waiting};
use crate::manager::{Effect, Event, Step};
use crate::metrics::Recorder;
use crate::model::{AppId, Blame, Change, Refusal, RunId, Unopened};
use crate::process::{Supervisor, clock};
use crate::store::{Committed, Held, Store, StoreError};

/// Progress waits this long for more of it: 10,000 reports a second become a few commits.
const PROGRESS_WAITS: Duration = Duration::from_millis(200);

/// At most so many changes are written in one transaction, so that a person's command does not
/// wait for a long one.
const CHANGES_MAX: usize = 4000;

/// Pauses between tries to reach a database that is away.
const RETRY_FIRST: Duration = Duration::from_millis(100);
const RETRY_MAX: Duration = Duration::from_secs(5);

/// How often rows are tried that others hold.
const RETRY_HELD: Duration = Duration::from_millis(500);

pub(super) struct Outbox {
    pub(super) store: Arc<dyn Store>,
    pub(super) supervisor: Arc<Supervisor>,
    pub(super) steps: UnboundedReceiver<Step>,
    pub(super) events: UnboundedSender<Event>,
    /// Runs whose failure is written.
    pub(super) failed: UnboundedSender<(AppId, RunId)>,
    /// Rung when a commit has written what is to leave the program.
    pub(super) bell: Arc<Notify>,
    /// Rung when a commit holds verdicts: there may be answers to send.
    pub(super) answered: Arc<Notify>,
    /// Counts what is written.
    pub(super) recorder: Recorder,
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
        let mut waiting = Waiting::default();
        let mut try_again_at = Instant::now();
        loop {
            let retry = (!waiting.is_empty()).then_some(try_again_at);
            let step = tokio::select! {
                step = self.steps.recv() => match step {
                    Some(step) => Some(step),
                    None => break,
                },
                () = until(retry) => None,
            };
            if let Some(step) = step {
                batch.add(step);
                self.collect(&mut batch).await;
                waiting.take_from(&mut batch);
                let (changes, effects) = std::mem::take(&mut batch).into_parts();
                if self.commit(changes, effects, &mut waiting, &mut unopened).await.is_none() {
                    return Emptied::Deposed;
                }
            }
            // Also while steps come without a pause.
            if !waiting.is_empty() && Instant::now() >= try_again_at {
                if self.try_again(&mut waiting, &mut unopened).await.is_none() {
                    return Emptied::Deposed;
                }
                try_again_at = Instant::now() + RETRY_HELD;
            }
        }
        // What is not written then is found in the run directories and in the ledger by the next manager.
        let _ = self.try_again(&mut waiting, &mut unopened).await;
        Emptied::Written
    }

    /// Tries again what waits for rows that others hold, and says so once it has taken long.
    async fn try_again(&mut self, waiting: &mut Waiting, unopened: &mut Unopened) -> Option<()> {
        let (changes, effects) = waiting.try_again();
        let held = self.commit(changes, effects, waiting, unopened).await?;
        let now = clock::wall();
        let over = waiting.release(&held, now);
        if !over.changes.is_empty() {
            tracing::info!(
                apps = over.changes.len(),
                "rows of apps are not held any more; what happened meanwhile is entered"
            );
        }
        self.tell(over, unopened).await?;
        let alerts = waiting.alerts(&held, now);
        self.tell(alerts, unopened).await
    }

    async fn tell(&mut self, told: Told, unopened: &mut Unopened) -> Option<()> {
        for event in told.events {
            // The driver has gone only if everything ends.
            let _ = self.events.send(event);
        }
        if !told.changes.is_empty() {
            self.write(told.changes, unopened).await?;
        }
        Some(())
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

    /// Writes changes and carries out what waits for them. What concerns rows that others hold is kept; which those
    /// are comes back. `None`: the manager was deposed.
    async fn commit(
        &mut self,
        mut changes: Vec<Change>,
        effects: Vec<Effect>,
        waiting: &mut Waiting,
        unopened: &mut Unopened,
    ) -> Option<Vec<Held>> {
        changes.retain(|change| !unopened.excludes(change));
        let Committed { refused, held, .. } = if changes.is_empty() {
            Committed::default()
        } else {
            self.write(changes.clone(), unopened).await?
        };
        let is_held = |change: &Change| held.iter().any(|held| held.subject == change.subject());
        let (unwritten, written): (Vec<_>, Vec<_>) = changes.into_iter().partition(is_held);
        for run in written.iter().filter_map(failed) {
            // Where nobody keeps the ends of logs, nobody listens.
            let _ = self.failed.send(run);
        }
        for effect in waiting.keep(&held, unwritten, effects) {
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
        Some(held)
    }

    /// Writes until it is written, but for apps whose rows others hold; `None`: the manager was deposed.
    async fn write(&mut self, changes: Vec<Change>, unopened: &mut Unopened) -> Option<Committed> {
        let mut pause = RETRY_FIRST;
        let mut since = None;
        loop {
            let begun = Instant::now();
            let result = self.store.commit(changes.clone()).await;
            self.record(&changes, &result, begun.elapsed());
            match result {
                Ok(committed) => {
                    if let Some(since) = since {
                        tracing::info!(changes = changes.len(), away = ?Instant::now().duration_since(since), "the database is back, what happened meanwhile is entered");
                    }
                    unopened.note_all(&changes, &committed.refused);
                    for alert in &committed.alerts {
                        tracing::warn!("{alert}");
                    }
                    if committed.pings || !committed.alerts.is_empty() {
                        self.bell.notify_one();
                    }
                    if changes.iter().any(|change| matches!(change, Change::CommandSettled { .. })) {
                        self.answered.notify_one();
                    }
                    return Some(committed);
                }
                Err(StoreError::Refused(why)) if changes.len() == 1 => {
                    tracing::error!(change = ?changes[0], why, "the database refuses a change; it is left out");
                    let refused = given_up(&changes[0]);
                    unopened.note_all(&changes, &refused);
                    return Some(Committed { refused, ..Committed::default() });
                }
                Err(StoreError::Refused(_)) => {
                    // One of them is impossible: the others must not suffer for it.
                    let apart = changes.into_iter().map(|change| vec![change]).collect();
                    return self.write_apart(apart, unopened).await;
                }
                Err(StoreError::Locked(why)) => {
                    let subjects: BTreeSet<_> = changes.iter().map(Change::subject).collect();
                    if subjects.len() <= 1 {
                        let held = |subject| Held { subject, why: why.clone() };
                        let held = subjects.into_iter().map(held).collect();
                        return Some(Committed { held, ..Committed::default() });
                    }
                    let mut apart = BTreeMap::<_, Vec<_>>::new();
                    for change in changes {
                        apart.entry(change.subject()).or_default().push(change);
                    }
                    return self.write_apart(apart.into_values().collect(), unopened).await;
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

    /// Counts a try to write. What the database did not take of it is tried again, and counted then.
    fn record(&mut self, changes: &[Change], result: &Result<Committed, StoreError>, took: Duration) {
        let Ok(Committed { held, refused, .. }) = result else { return self.recorder.commit_failed() };
        self.recorder.committed(took);
        for change in changes {
            let is_held = held.iter().any(|held| held.subject == change.subject());
            let is_refused = matches!(change, Change::RunOpened(opening) if refused.iter().any(|(run, _)| *run == opening.run));
            if !is_held && !is_refused {
                self.recorder.written(change);
            }
        }
    }

    /// Writes groups of changes one after the other. What follows a change that cannot be written yet waits, too.
    async fn write_apart(&mut self, groups: Vec<Vec<Change>>, unopened: &mut Unopened) -> Option<Committed> {
        let mut all = Committed::default();
        for mut group in groups {
            group.retain(|change| {
                !unopened.excludes(change) && !all.held.iter().any(|held| held.subject == change.subject())
            });
            if !group.is_empty() {
                let Committed { refused, held, .. } = Box::pin(self.write(group, unopened)).await?;
                all.refused.extend(refused);
                all.held.extend(held);
            }
        }
        Some(all)
    }
}

/// The run that a change says has failed.
fn failed(change: &Change) -> Option<(AppId, RunId)> {
    let Change::RunClosed { run, app, closing } = change else { return None };
    matches!(closing.ending.outcome().blame(), Blame::Bad | Blame::Doubtful).then_some((*app, *run))
}

/// A run whose row cannot be written must not be started.
fn given_up(change: &Change) -> Vec<(RunId, Refusal)> {
    if let Change::RunOpened(opening) = change { vec![(opening.run, Refusal::NoSuchApp)] } else { Vec::new() }
}

/// Waits until a moment of tokio's clock, or for ever.
pub(super) async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => std::future::pending().await,
    }
}
