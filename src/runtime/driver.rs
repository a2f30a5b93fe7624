//! The loop around the manager.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};

use super::feed::Feed;
use super::outbox::{Outbox, until};
use super::tails::Tails;
use crate::manager::{Event, Identity, Manager, Step};
use crate::model::{CommandId, Exit, Limits, ManagerRow, Registered, RunId, Snapshot};
use crate::process::{LaunchSettings, OpenError, Sink, Supervisor, clock, may_live, return_memory};
use crate::store::{Store, StoreError};

/// How often a manager says that it lives.
const HEARTBEAT: Duration = Duration::from_secs(5);

/// The longest sleep: the wall clock may be set meanwhile.
const NAP_MAX: Duration = Duration::from_secs(1);

/// How long the last changes may take when the manager ends. What is not written then is found in
/// the run directories by the next manager.
const FLUSH_MAX: Duration = Duration::from_secs(5);

/// How often old logs are looked for.
const TRIM_EVERY: Duration = Duration::from_secs(600);

/// What a manager is started with.
pub struct Options {
    /// Its name in the database.
    pub name: String,
    /// The database.
    pub store: Arc<dyn Store>,
    /// How apps are started.
    pub launch: LaunchSettings,
    /// At most so many apps run at once on this host.
    pub running_max: Option<u32>,
    /// All logs of apps together take at most so many bytes.
    pub logs_max: u64,
    /// Whether others read logs from afar: then the database keeps the ends of some.
    pub keeps_logs: bool,
}

/// Why a manager could not begin, or ended.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Its state directory is in use or unusable.
    #[error(transparent)]
    State(#[from] OpenError),
    /// Its database is.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A fault in the program.
    #[error("a part of the manager has ended unexpectedly: {0}")]
    Part(String),
}

/// Asks a manager to end, or waits until it is asked to.
#[derive(Debug, Clone)]
pub struct Stop(watch::Sender<bool>);

impl Stop {
    /// Not asked yet.
    #[must_use]
    pub fn new() -> Self {
        Self(watch::Sender::new(false))
    }

    /// Asks.
    pub fn ask(&self) {
        self.0.send_replace(true);
    }

    /// Comes back when asked.
    pub async fn asked(&self) {
        let mut receiver = self.0.subscribe();
        // The sender is in `self`, so it cannot be gone.
        let _ = receiver.wait_for(|asked| *asked).await;
    }
}

impl Default for Stop {
    fn default() -> Self {
        Self::new()
    }
}

/// Runs a manager until it is asked to stop. Its apps run on; `ready` is called once it has taken up
/// its fleet.
///
/// # Errors
/// [`RunError`] when it cannot begin, or when a part of it fails.
pub async fn run(options: Options, stop: Stop, ready: impl FnOnce()) -> Result<(), RunError> {
    let (events, mut inbox) = mpsc::unbounded_channel();
    let sender = events.clone();
    let sink: Sink = Arc::new(move |event| {
        let _ = sender.send(event);
    });
    let row = manager_row(&options.name);
    wait_for(&stop, || bury(options.store.as_ref(), &row)).await?;
    wait_for(&stop, || options.store.take_over(row.clone())).await?;
    let state = options.launch.state.clone();
    let (supervisor, survivors) = Supervisor::open(options.launch, sink)?;
    let supervisor = Arc::new(supervisor);
    let snapshot = wait_for(&stop, || options.store.snapshot()).await?;
    let Some(mut snapshot) = snapshot else { return Ok(()) };
    snapshot.limits.host = options.running_max;
    let feed = feed_after(&options.store, &events, &snapshot);
    tracing::info!(
        apps = snapshot.apps.len(),
        set_aside = snapshot.apps.iter().filter(|row| matches!(row, Registered::Faulty(_))).count(),
        runs = survivors.len(),
        "taking up the fleet"
    );
    let identity = Identity { name: options.name.clone(), seed: uuid::Uuid::new_v4().as_u128() };
    let (mut manager, step) = Manager::restore(identity, snapshot, survivors, clock::now());

    let (steps, queue) = mpsc::unbounded_channel();
    let (failures, failed) = mpsc::unbounded_channel();
    let outbox = Outbox {
        failed: failures,
        store: Arc::clone(&options.store),
        supervisor: Arc::clone(&supervisor),
        steps: queue,
        events,
    };
    let mut parts = JoinSet::new();
    let mut writer = JoinSet::new();
    writer.spawn(outbox.run());
    parts.spawn(feed.run());
    if options.keeps_logs {
        let tails = Tails { store: Arc::clone(&options.store), state, name: options.name, failed };
        parts.spawn(tails.run());
    }
    parts.spawn(beat(Arc::clone(&options.store), row.clone()));
    parts.spawn(trim(Arc::clone(&supervisor), options.logs_max));
    hand_out(step, &supervisor, &steps);
    // The rows of the whole table are apps by now.
    return_memory();
    ready();

    let failure = loop {
        let deadline =
            manager.next_deadline().map_or(NAP_MAX, |at| at.saturating_sub(clock::boot_time()).min(NAP_MAX));
        let event = tokio::select! {
            () = stop.asked() => break None,
            Some(event) = inbox.recv() => event,
            () = until(Some(Instant::now() + deadline)) => Event::Tick,
            Some(ended) = parts.join_next() => break Some(describe(ended)),
            Some(ended) = writer.join_next() => break Some(describe(ended)),
        };
        log(&manager, &event);
        hand_out(manager.step(clock::now(), event), &supervisor, &steps);
    };

    parts.shutdown().await;
    drop(steps);
    if timeout(FLUSH_MAX, writer.join_next()).await.is_err() {
        tracing::warn!("the database did not take the last changes; the next manager enters them");
    }
    let row = ManagerRow { heartbeat: clock::wall(), stopped: Some(clock::wall()), ..row };
    let _ = timeout(FLUSH_MAX, options.store.heartbeat(row)).await;
    failure.map_or(Ok(()), |failure| Err(RunError::Part(failure)))
}

/// Notes that a manager of this host was killed, so that its successor need not wait until its last
/// sign of life is old.
async fn bury(store: &dyn Store, own: &ManagerRow) -> Result<(), StoreError> {
    for row in store.managers().await? {
        let is_dead = row.stopped.is_none() && row.host == own.host && !may_live(row.pid);
        if is_dead {
            store.heartbeat(ManagerRow { stopped: Some(row.heartbeat), ..row }).await?;
        }
    }
    Ok(())
}

/// Does at once what must not wait for the database, and leaves the rest to the outbox.
fn hand_out(mut step: Step, supervisor: &Supervisor, steps: &mpsc::UnboundedSender<Step>) {
    let (later, now): (Vec<_>, Vec<_>) =
        step.effects.into_iter().partition(crate::manager::Effect::waits_for_commit);
    for effect in now {
        supervisor.carry_out(effect);
    }
    step.effects = later;
    if !step.is_empty() {
        // If the outbox has ended, the loop notices.
        let _ = steps.send(step);
    }
}

fn feed_after(store: &Arc<dyn Store>, events: &mpsc::UnboundedSender<Event>, snapshot: &Snapshot) -> Feed {
    Feed {
        store: Arc::clone(store),
        events: events.clone(),
        revision: snapshot.revision,
        last_command: snapshot.commands.last().map_or(CommandId(0), |command| command.id),
        limits: Limits { ..snapshot.limits.clone() },
    }
}

/// Asks the database until it answers; `None` when the manager is to end before that.
async fn wait_for<T, F: Future<Output = Result<T, StoreError>>>(
    stop: &Stop,
    mut ask: impl FnMut() -> F,
) -> Result<Option<T>, StoreError> {
    let mut is_away = false;
    loop {
        match ask().await {
            Ok(answer) => return Ok(Some(answer)),
            Err(StoreError::Unavailable(why)) => {
                if !std::mem::replace(&mut is_away, true) {
                    tracing::warn!(why, "the database is not available; waiting for it");
                }
            }
            Err(error) => return Err(error),
        }
        tokio::select! {
            () = stop.asked() => return Ok(None),
            () = sleep(NAP_MAX) => {}
        }
    }
}

fn manager_row(name: &str) -> ManagerRow {
    let now = clock::wall();
    ManagerRow {
        name: name.to_owned(),
        host: crate::process::host_name(),
        pid: std::process::id(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        started: now,
        heartbeat: now,
        stopped: None,
    }
}

async fn beat(store: Arc<dyn Store>, row: ManagerRow) {
    let mut beat = interval(HEARTBEAT);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        beat.tick().await;
        // A database that is away is noticed and told of by those who have something to write.
        let _ = store.heartbeat(ManagerRow { heartbeat: clock::wall(), ..row.clone() }).await;
    }
}

async fn trim(supervisor: Arc<Supervisor>, logs_max: u64) {
    let mut every = interval(TRIM_EVERY);
    loop {
        every.tick().await;
        supervisor.trim_logs(logs_max);
    }
}

fn describe(ended: Result<(), tokio::task::JoinError>) -> String {
    ended.map_or_else(|error| error.to_string(), |()| "it has come to its end".to_owned())
}

fn log(manager: &Manager, event: &Event) {
    let app_of = |run: &RunId| manager.path_of_run(*run).map_or(String::new(), ToString::to_string);
    match event {
        Event::Command(command) => {
            let path = command.app.and_then(|app| manager.path_of(app));
            let app = path.map_or(String::new(), ToString::to_string);
            tracing::info!(id = command.id.0, name = %command.name, app, by = command.by, "command");
        }
        Event::Started { run, pid, .. } => tracing::debug!(app = app_of(run), %run, pid, "started"),
        Event::Ended { run, closing } => {
            let code = closing.ending.exit().map(Exit::code);
            // Every run is in the database; what goes well would fill the log of a large fleet.
            if code == Some(0) {
                tracing::debug!(app = app_of(run), %run, "succeeded");
            } else {
                tracing::info!(app = app_of(run), %run, outcome = closing.ending.outcome(), code, "ended");
            }
        }
        Event::RunRefused { run, refusal } => {
            tracing::info!(app = app_of(run), %run, ?refusal, "not opened");
        }
        Event::LimitsChanged(limits) => tracing::info!(?limits, "limits changed"),
        Event::Tick | Event::Reported { .. } | Event::AppsChanged(_) | Event::AppsRemoved(_) => {}
    }
}
