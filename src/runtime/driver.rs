//! The loop around the manager.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use super::announcer::Announcer;
use super::closing::{Closing, StopApps};
use super::documents;
use super::event_log;
use super::feed::Feed;
use super::fleet_numbers::{self, FleetReader};
use super::lease::{Deposed, Keeper};
use super::live::{self, Live};
use super::outbox::{Emptied, Outbox, until};
use super::outlet::Outlet;
use super::ping::{self, Work};
use super::replies::Replies;
use super::sender::Sender;
use super::standing::Standing;
use super::stop::Stop;
use super::tails::Tails;
use super::upkeep;
use crate::broker::{Broker, BrokerSettings, Commands};
use crate::manager::peers::{Lease, Peers};
use crate::manager::{Effect, Event, Identity, Manager, Step};
use crate::metrics::{Metrics, Recorder, Stage};
use crate::model::{
    AppId, Limits, Load, ManagerRow, Registered, RunId, Snapshot, StopCause, Survivor, SurvivorState,
};
use crate::process::{
    LaunchSettings, Left, OpenError, ServiceManager, Sink, Supervisor, clock, return_memory,
};
use crate::store::{Store, StoreError};

/// The longest sleep: the wall clock may be set meanwhile.
const NAP_MAX: Duration = Duration::from_secs(1);

/// How long the last changes may take when the manager ends. What is not written then is found in
/// the run directories by the next manager.
const FLUSH_MAX: Duration = Duration::from_secs(5);

/// What a manager is started with.
pub struct Options {
    /// Its name in the database.
    pub name: String,
    /// The database.
    pub store: Arc<dyn Store>,
    /// How apps are started.
    pub launch: LaunchSettings,
    /// The interpreter of apps without a command, as it is found now.
    pub python: String,
    /// What may change while it runs.
    pub live: watch::Receiver<Live>,
    /// The service manager of the host, if it wants to hear how the manager is doing.
    pub service: Option<Arc<ServiceManager>>,
    /// How often watched directories are looked through.
    pub scan_every: Duration,
    /// The pools that it serves.
    pub pools: Vec<String>,
    /// How long its lease lasts.
    pub lease: Lease,
    /// By which broker commands come and documents go.
    pub broker: Option<BrokerSettings>,
    /// Whether the apps of this host end with it.
    pub stop_apps: Option<StopApps>,
    /// What it counts.
    pub metrics: Arc<Metrics>,
    /// Whether that is exported, and what of it.
    pub exports: Exports,
}

/// What of the whole database a manager reads for its exporter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exports {
    /// Nothing: there is no exporter.
    Nothing,
    /// Numbers of apps by state.
    Numbers,
    /// Those, and each app of the manager.
    Apps,
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

/// Runs a manager until it is asked to stop. Its apps run on unless they are to end with it; `ready` is called once
/// it has taken up its fleet.
///
/// # Errors
/// [`RunError`] when it cannot begin, or when a part of it fails.
pub async fn run(options: Options, stop: Stop, ready: impl FnOnce()) -> Result<(), RunError> {
    let (events, told) = mpsc::unbounded_channel();
    let sink: Sink = Arc::new(move |event| {
        let _ = events.send(event);
    });
    let logs = options.live.borrow().logs;
    let supervisor = Arc::new(Supervisor::open(options.launch.clone(), logs, sink)?);
    let home = supervisor
        .home()
        .map_err(|source| OpenError::Io { path: options.launch.state.path().to_owned(), source })?;
    let row = manager_row(&options, home)
        .map_err(|source| OpenError::Io { path: options.launch.state.path().to_owned(), source })?;
    let work = Arc::new(Work::default());
    let broker = options.broker.clone().map(|settings| Broker::start(settings, &options.name));
    let announcer = Announcer::new(options.service.clone());
    let mut host =
        Host { options, row, stop, supervisor, told, work, broker, closing: None, announcer, calls: None };
    host.take_settings();
    let ended = host.serve_until_stopped(ready).await;
    if let Some(how) = host.options.stop_apps {
        // Also when it failed, or had not begun: nothing is to be left of what runs on this host.
        host.closing.take().unwrap_or_else(|| Closing::begin(&host.options, how)).finish().await;
    }
    ended
}

/// Why a manager does not serve any more.
enum Served {
    Stopped,
    Deposed,
}

/// What outlives the manager's seat: where it runs, and what happens there.
struct Host {
    options: Options,
    row: ManagerRow,
    stop: Stop,
    supervisor: Arc<Supervisor>,
    /// What happens to runs.
    told: mpsc::UnboundedReceiver<Event>,
    work: Arc<Work>,
    broker: Option<Broker>,
    /// Since it was asked to stop, where the apps end with it.
    closing: Option<Closing>,
    announcer: Announcer,
    /// The thread that calls an address for each minute with work ends with this.
    calls: Option<std::sync::mpsc::Sender<Infallible>>,
}

/// The tasks beside the loop. They end with it.
#[derive(Default)]
struct Parts {
    leases: JoinSet<Deposed>,
    writer: JoinSet<Emptied>,
    others: JoinSet<()>,
}

impl Host {
    async fn serve_until_stopped(&mut self, ready: impl FnOnce()) -> Result<(), RunError> {
        let mut ready = Some(ready);
        while let Served::Deposed = self.serve(|| ready.take().into_iter().for_each(|ready| ready())).await? {
            tracing::warn!(
                "another manager took this one for lost, or the database was replaced; it begins anew with the \
                 apps that it has there, and with the runs that are on this host"
            );
        }
        Ok(())
    }

    /// Passes on what may change while a manager runs, to those that do not look themselves.
    fn take_settings(&mut self) {
        let Live { logs, notify, withheld, .. } = self.options.live.borrow_and_update().clone();
        self.options.store.set_routes(notify.routes());
        self.supervisor.adjust(logs, withheld);
        self.calls = ping::start(&notify, &self.options.name, &self.work);
    }

    /// Takes the seat, takes up the fleet, and serves until asked to stop or deposed.
    async fn serve(&mut self, ready: impl FnOnce()) -> Result<Served, RunError> {
        let Options { store, name, lease, .. } = &self.options;
        let (load, loads) = watch::channel(Load::default());
        let (events, inbox) = mpsc::unbounded_channel();
        let keeper = Keeper {
            name: name.clone(),
            store: Arc::clone(store),
            supervisor: Arc::clone(&self.supervisor),
            lease: *lease,
            peers: Peers::new(name.clone(), *lease),
            load: loads,
            events: events.clone(),
            work: Arc::clone(&self.work),
            metrics: Arc::clone(&self.options.metrics),
        };
        match self.sit(&keeper).await {
            Ok(Some(())) => {}
            Ok(None) => return Ok(Served::Stopped),
            Err(StoreError::Deposed | StoreError::Replaced) => return Ok(Served::Deposed),
            Err(error) => return Err(error.into()),
        }
        let surveyed = self.once_seen(|| self.supervisor.survey()).await;
        let Some(Left { mut survivors, mut unknown }) = surveyed else { return Ok(Served::Stopped) };
        let Some(snapshot) = self.snapshot(&survivors).await? else { return Ok(Served::Stopped) };
        let is_missing =
            |run: &RunId| !unknown.contains(run) && survivors.iter().all(|survivor| survivor.run != *run);
        let missing: Vec<_> = snapshot.open_runs.iter().map(|open| open.run).filter(is_missing).collect();
        let living = self.once_seen(|| self.supervisor.without_directory(&missing)).await;
        let Some(living) = living else { return Ok(Served::Stopped) };
        unknown.extend(living);
        survivors.extend(unknown.iter().filter_map(|run| presumed(*run, &snapshot)));
        tracing::info!(
            apps = snapshot.apps.len(),
            set_aside = snapshot.apps.iter().filter(|row| matches!(row, Registered::SetAside(_))).count(),
            runs = survivors.len(),
            "taking up the fleet"
        );
        let (steps, queue) = mpsc::unbounded_channel();
        let mut parts = Parts::default();
        parts.leases.spawn(keeper.run());
        let (defer, deferred) = mpsc::unbounded_channel();
        self.begin(&mut parts, &snapshot, (events, deferred), queue);

        let identity = Identity {
            name: name.clone(),
            host: self.row.host.clone(),
            seed: uuid::Uuid::new_v4().as_u128(),
        };
        let (manager, step) = Manager::restore(identity, snapshot, survivors, clock::now());
        hand_out(step, &self.supervisor, &steps);
        // The rows of the whole table are apps by now.
        return_memory();
        self.options.metrics.enter(if self.closing.is_none() { Stage::Serving } else { Stage::Stopping });
        ready();

        let ended = self.drive(manager, inbox, (&steps, &defer), &mut parts, &load).await;
        drop(steps);
        let is_deposed = matches!(ended, Ok(Served::Deposed));
        self.options.metrics.enter(if is_deposed { Stage::Starting } else { Stage::Stopping });
        self.end(parts, is_deposed).await;
        ended
    }

    /// Begins the tasks that read what others write, write what the manager decides, and send what is to leave.
    fn begin(
        &self,
        parts: &mut Parts,
        snapshot: &Snapshot,
        (events, deferred): (mpsc::UnboundedSender<Event>, mpsc::UnboundedReceiver<Event>),
        steps: mpsc::UnboundedReceiver<Step>,
    ) {
        let Options { store, name, live, .. } = &self.options;
        let (wants, wanted) = watch::channel(Vec::new());
        let (entered, answered) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        parts.others.spawn(feed_after(store, (&events, deferred), snapshot, (wants, &entered), live).run());
        self.begin_broker(parts, &events, &entered, &answered);
        parts.others.spawn(upkeep::prune(Arc::clone(store), live.clone()));
        parts.others.spawn(upkeep::inspect(Arc::clone(store)));
        self.begin_to_export(parts, &events);
        let supervisor = Arc::clone(&self.supervisor);
        let (failures, failed) = mpsc::unbounded_channel();
        let bell = Arc::new(Notify::new());
        parts.writer.spawn(
            Outbox {
                store: Arc::clone(store),
                supervisor,
                steps,
                events: events.clone(),
                failed: failures,
                bell: Arc::clone(&bell),
                answered,
                recorder: Recorder::new(Arc::clone(&self.options.metrics)),
            }
            .run(),
        );
        let settings = live.borrow().notify.clone();
        let sender = Sender { store: Arc::clone(store), settings, fleet: name.clone(), events, bell };
        parts.others.spawn(sender.run(live.clone()));
        documents::begin(&self.options, self.broker.as_ref(), &mut parts.others);
        if store.capabilities().keeps_logs {
            let state = self.options.launch.state.clone();
            let tails = Tails { store: Arc::clone(store), state, name: name.clone(), failed, wanted };
            parts.others.spawn(tails.run());
        }
    }

    /// Begins the task that reads what is exported of the whole database.
    fn begin_to_export(&self, parts: &mut Parts, events: &mpsc::UnboundedSender<Event>) {
        let Options { store, name, metrics, exports, .. } = &self.options;
        let per_app = match exports {
            Exports::Nothing => return fleet_numbers::over(events),
            Exports::Numbers => false,
            Exports::Apps => true,
        };
        let (store, metrics, events) = (Arc::clone(store), Arc::clone(metrics), events.clone());
        parts.others.spawn(FleetReader { store, metrics, name: name.clone(), per_app, events }.run());
    }

    /// Begins the tasks that take from the broker and publish by it, where there is one.
    fn begin_broker(
        &self,
        parts: &mut Parts,
        events: &mpsc::UnboundedSender<Event>,
        entered: &Arc<Notify>,
        answered: &Arc<Notify>,
    ) {
        let Options { store, name, .. } = &self.options;
        let (broker, events) = (self.broker.clone(), events.clone());
        let metrics = Arc::clone(&self.options.metrics);
        parts.others.spawn(Standing { broker, store: Arc::clone(store), events, metrics }.run());
        let Some(broker) = &self.broker else { return };
        let commands = Commands {
            broker: broker.clone(),
            store: Arc::clone(store),
            manager: name.clone(),
            entered: Arc::clone(entered),
            answered: Arc::clone(answered),
        };
        parts.others.spawn(commands.run());
        let replies = Outlet {
            store: Arc::clone(store),
            broker: broker.clone(),
            parcels: Replies,
            bell: Arc::clone(answered),
        };
        parts.others.spawn(replies.run());
    }

    /// Takes the seat, begins the lease, and claims what belongs to nobody; `None` when the manager
    /// is to end before that.
    async fn sit(&self, keeper: &Keeper) -> Result<Option<()>, StoreError> {
        let store = &self.options.store;
        let seated = self.answer(|| store.take_seat(self.row.clone())).await?;
        let renewed = self.answer(|| keeper.renew()).await?;
        let claimed = match store.cluster() {
            Some(cluster) => self.answer(|| cluster.claim()).await?.map(drop),
            None => Some(()),
        };
        Ok(seated.and(renewed).and(claimed).map(drop))
    }

    /// The loop: an event, a step, what follows from it.
    async fn drive(
        &mut self,
        mut manager: Manager,
        mut inbox: mpsc::UnboundedReceiver<Event>,
        (steps, defer): (&mpsc::UnboundedSender<Step>, &mpsc::UnboundedSender<Event>),
        parts: &mut Parts,
        load: &watch::Sender<Load>,
    ) -> Result<Served, RunError> {
        loop {
            // The step that restored the fleet is the first turn.
            self.work.turned();
            if self.closing.as_mut().is_some_and(|closing| closing.is_over(manager.load().running)) {
                return Ok(Served::Stopped);
            }
            self.announcer.turned(manager.app_count(), manager.load());
            self.options.metrics.turned();
            load.send_if_modified(|load| {
                let now = manager.load();
                self.options.metrics.set_load(now);
                std::mem::replace(load, now) != now
            });
            let deadline = manager
                .next_deadline()
                .map_or(NAP_MAX, |at| at.saturating_sub(clock::boot_time()).min(NAP_MAX))
                .min(self.announcer.nap());
            let mut event = tokio::select! {
                () = self.stop.asked(), if self.closing.is_none() => {
                    let Some(how) = self.options.stop_apps else { return Ok(Served::Stopped) };
                    self.options.metrics.enter(Stage::Stopping);
                    self.closing = Some(Closing::begin(&self.options, how));
                    Event::LimitsChanged(Limits::default())
                }
                () = Closing::changed(self.closing.as_mut(), &self.stop) => continue,
                Some(event) = self.told.recv() => {
                    if manager.awaits_row(&event) {
                        // It comes back behind the rows; if the feed has ended, the loop notices.
                        let _ = defer.send(event);
                        continue;
                    }
                    event
                }
                Some(event) = inbox.recv() => event,
                () = live::changed(&mut self.options.live) => {
                    self.take_settings();
                    continue;
                }
                () = until(Some(Instant::now() + deadline)) => Event::Tick,
                Some(ended) = parts.leases.join_next() => return match ended {
                    Ok(Deposed) => Ok(Served::Deposed),
                    Err(panic) => Err(RunError::Part(panic.to_string())),
                },
                Some(ended) = parts.writer.join_next() => return match ended {
                    Ok(Emptied::Deposed) => Ok(Served::Deposed),
                    ended => Err(RunError::Part(describe(ended.map(drop)))),
                },
                Some(ended) = parts.others.join_next() => return Err(RunError::Part(describe(ended))),
            };
            if let (Some(_), Event::LimitsChanged(limits)) = (&self.closing, &mut event) {
                limits.draining = true;
            }
            let begun = Instant::now();
            event_log::log(&manager, &event);
            hand_out(manager.step(clock::now(), event), &self.supervisor, steps);
            self.options.metrics.took_turn(begun.elapsed());
        }
    }

    /// Lets what was decided be written. A deposed manager has nothing more to say.
    async fn end(&self, mut parts: Parts, is_deposed: bool) {
        parts.others.shutdown().await;
        parts.leases.shutdown().await;
        if is_deposed {
            return;
        }
        let flush_max =
            || self.closing.as_ref().and_then(Closing::record_max).unwrap_or(FLUSH_MAX).min(FLUSH_MAX);
        if timeout(flush_max(), parts.writer.join_next()).await.is_err() {
            tracing::warn!("the database did not take the last changes; the next manager enters them");
        }
        let _ = timeout(flush_max(), self.options.store.leave()).await;
    }

    /// Looks until the runs of this host can be seen; `None` when the manager is to end before that.
    async fn once_seen<T>(&self, look: impl Fn() -> std::io::Result<T>) -> Option<T> {
        let mut is_refused = false;
        loop {
            match look() {
                Ok(seen) => return Some(seen),
                // Nothing may be started as long as any run may live.
                Err(error) if !std::mem::replace(&mut is_refused, true) => {
                    tracing::error!(%error, "it cannot be seen which runs live; nothing is started until it can");
                }
                Err(_) => {}
            }
            self.options.metrics.turned();
            self.announcer.waits("a look at the runs of this host");
            tokio::select! {
                () = self.stop.asked() => return None,
                () = sleep(NAP_MAX) => {}
            }
        }
    }

    /// Asks the database until it answers; `None` when the manager is to end before that.
    async fn answer<T, F: Future<Output = Result<T, StoreError>>>(
        &self,
        mut ask: impl FnMut() -> F,
    ) -> Result<Option<T>, StoreError> {
        let mut is_away = false;
        loop {
            match ask().await {
                Ok(answer) => return Ok(Some(answer)),
                Err(StoreError::Unavailable(why)) => {
                    self.options.metrics.database_failed();
                    if !std::mem::replace(&mut is_away, true) {
                        tracing::warn!(why, "the database is not available; waiting for it");
                    }
                }
                Err(error) => return Err(error),
            }
            // It waits, and does not hang.
            self.options.metrics.turned();
            self.announcer.waits("the database");
            tokio::select! {
                () = self.stop.asked() => return Ok(None),
                () = sleep(NAP_MAX) => {}
            }
        }
    }

    /// Everything that the database says; `None` when the manager is to end before it does.
    async fn snapshot(&self, survivors: &[Survivor]) -> Result<Option<Snapshot>, RunError> {
        let store = &self.options.store;
        let Some(mut snapshot) = self.answer(|| store.snapshot()).await? else {
            return Ok(None);
        };
        snapshot.limits.host = self.options.live.borrow().running_max;
        snapshot.limits.draining |= self.closing.is_some();
        if let Some(cluster) = store.cluster().filter(|_| !survivors.is_empty()) {
            let apps: Vec<_> = survivors.iter().map(|survivor| survivor.app).collect();
            let elsewhere = self.answer(|| cluster.elsewhere(apps.clone())).await?;
            snapshot.elsewhere = elsewhere.unwrap_or_default();
        }
        Ok(Some(snapshot))
    }
}

/// Does at once what must not wait for the database, and leaves the rest to the outbox.
fn hand_out(mut step: Step, supervisor: &Supervisor, steps: &mpsc::UnboundedSender<Step>) {
    let (later, now): (Vec<_>, Vec<_>) = step.effects.into_iter().partition(Effect::waits_for_commit);
    for effect in now {
        if let Effect::Stop { run, cause: StopCause::Removed, .. } = &effect {
            tracing::warn!(%run, "the row of an app was deleted while it ran; the run is stopped, its history stays");
        }
        supervisor.carry_out(effect);
    }
    step.effects = later;
    if !step.is_empty() {
        // If the outbox has ended, the loop notices.
        let _ = steps.send(step);
    }
}

fn feed_after(
    store: &Arc<dyn Store>,
    (events, deferred): (&mpsc::UnboundedSender<Event>, mpsc::UnboundedReceiver<Event>),
    snapshot: &Snapshot,
    (wanted, bell): (watch::Sender<Vec<AppId>>, &Arc<Notify>),
    live: &watch::Receiver<Live>,
) -> Feed {
    Feed {
        store: Arc::clone(store),
        events: events.clone(),
        deferred,
        revision: snapshot.revision,
        handed: snapshot.commands.iter().map(|command| (command.id, command.app)).collect(),
        limits: Limits { ..snapshot.limits.clone() },
        wanted,
        bell: Arc::clone(bell),
        live: live.clone(),
    }
}

/// A run that cannot be looked at counts as running.
fn presumed(run: RunId, snapshot: &Snapshot) -> Option<Survivor> {
    let open = snapshot.open_runs.iter().find(|open| open.run == run)?;
    let state = SurvivorState::Running { pid: open.pid.unwrap_or(0), started: open.start, stop: None };
    Some(Survivor { run, app: open.app, pid: open.pid, state })
}

fn manager_row(options: &Options, home: String) -> std::io::Result<ManagerRow> {
    let now = clock::wall();
    Ok(ManagerRow {
        name: options.name.clone(),
        host: crate::process::host_name(),
        pid: std::process::id(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        started: now,
        heartbeat: now,
        lease: options.lease.length(),
        home: Some(home),
        boot: Some(crate::process::boot_id()?),
        pools: options.pools.clone(),
        python: Some(options.python.clone()),
        ..ManagerRow::default()
    })
}

fn describe(ended: Result<(), tokio::task::JoinError>) -> String {
    ended.map_or_else(|error| error.to_string(), |()| "it has come to its end".to_owned())
}
