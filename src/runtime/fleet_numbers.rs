//! Reads the numbers of the whole database for the exporter: how many apps are in which state, what is open, what is to
//! leave. Only rows that have changed are read, so the cost is that of what happens, however often it is scraped.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::UnboundedSender;
use tokio::time::{Instant, sleep};

use crate::manager::Event;
use crate::metrics::{AppNumbers, FleetNumbers, Metrics};
use crate::model::explain::{State, is_heard};
use crate::model::{
    AlertCause, AppId, AppRow, Delta, FleetKind, FleetTrouble, ManagerRow, Minutes, Revision, Timestamp,
};
use crate::process::clock;
use crate::store::{Store, StoreError};

/// How often they are read. Prometheus scrapes every 15 s to a minute.
const EVERY: Duration = Duration::from_secs(5);

/// How long metrics may not be served without an alert: a manager that ends may still hold the port.
const ALERT_AFTER: Duration = Duration::from_secs(60);

/// Reads for one manager.
pub(super) struct FleetReader {
    pub(super) store: Arc<dyn Store>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) name: String,
    /// Whether each app of this manager is exported.
    pub(super) per_app: bool,
    pub(super) events: UnboundedSender<Event>,
}

/// What is kept of a row: what follows from it and the time alone.
struct Facts {
    said: State,
    missable: Option<Timestamp>,
    interval: Option<Duration>,
    manager: Option<Arc<str>>,
    /// Where apps are exported.
    app: Option<Box<AppNumbers>>,
}

/// All apps as they were read last.
#[derive(Default)]
struct Fleet {
    apps: BTreeMap<AppId, Facts>,
    /// One text for all apps of a manager.
    managers: BTreeMap<String, Arc<str>>,
    revision: Revision,
}

impl FleetReader {
    /// Goes on until the manager ends.
    pub(super) async fn run(self) {
        let mut fleet = Fleet::default();
        // The manager before this one may have left an alert.
        over(&self.events);
        let mut away_since = None;
        loop {
            self.watch_exporter(&mut away_since);
            // What cannot be read now is read the next time; until then the numbers say how old they are.
            if let Err(error) = self.read(&mut fleet).await {
                tracing::debug!(%error, "the numbers of the fleet are read again");
            }
            sleep(EVERY).await;
        }
    }

    /// Raises an alert while the exporter cannot listen.
    fn watch_exporter(&self, away_since: &mut Option<Instant>) {
        match self.metrics.trouble() {
            None => {
                if away_since.take().is_some() {
                    over(&self.events);
                }
            }
            Some(message) => {
                let since = *away_since.get_or_insert_with(Instant::now);
                if since.elapsed() >= ALERT_AFTER {
                    // The loop has ended only if everything ends.
                    let _ = self.events.send(Event::FleetTrouble { trouble: trouble(), message });
                }
            }
        }
    }

    async fn read(&self, fleet: &mut Fleet) -> Result<(), StoreError> {
        let store = &self.store;
        loop {
            let delta = store.changes_since(fleet.revision).await?;
            let more = delta.more;
            fleet.take(delta, self.per_app);
            if !more {
                break;
            }
        }
        let (managers, now) = (store.managers().await?, store.time().await?);
        let backlog = store.backlog(now).await?;
        let is_shared = store.capabilities().is_shared;
        let mut numbers = FleetNumbers {
            read: clock::wall(),
            backlog,
            managers: managers.iter().map(|manager| u64::from(manager.is_live(now))).sum(),
            is_draining: managers.iter().any(|manager| manager.name == self.name && manager.draining),
            ..FleetNumbers::default()
        };
        fleet.count(&managers, now, |owner| !is_shared || owner == Some(&*self.name), &mut numbers);
        self.metrics.set_fleet(numbers);
        Ok(())
    }
}

/// Metrics are served, or are not to be.
pub(super) fn over(events: &UnboundedSender<Event>) {
    let _ = events.send(Event::FleetTroubleOver(trouble()));
}

fn trouble() -> FleetTrouble {
    FleetTrouble { kind: FleetKind::MetricsNotServed, cause: AlertCause::of_text("metrics are not served") }
}

impl Fleet {
    fn take(&mut self, delta: Delta, per_app: bool) {
        for app in delta.removed {
            self.apps.remove(&app);
        }
        for row in delta.rows {
            let row = row.into_row();
            let manager = row.state.manager.as_ref().map(|name| {
                let known = self.managers.entry(name.clone()).or_insert_with(|| Arc::from(&**name));
                Arc::clone(known)
            });
            let known = self.apps.get(&row.app.id).and_then(|facts| facts.app.as_deref());
            let facts = Facts {
                said: State::of_row(&row),
                missable: row.missable(),
                interval: row.app.schedule.interval.map(Minutes::duration),
                manager,
                app: per_app.then(|| Box::new(numbers_of(&row, known))),
            };
            self.apps.insert(row.app.id, facts);
        }
        self.revision = delta.revision;
    }

    fn count(
        &self,
        managers: &[ManagerRow],
        now: Timestamp,
        is_own: impl Fn(Option<&str>) -> bool,
        numbers: &mut FleetNumbers,
    ) {
        for facts in self.apps.values() {
            let manager = facts.manager.as_deref();
            let is_heard = || is_heard(manager, managers, now);
            let state = facts.said.at(facts.missable, facts.interval, is_heard, now);
            *numbers.apps.entry(state).or_default() += 1;
            if let Some(app) = facts.app.as_deref().filter(|_| is_own(manager)) {
                numbers.own.push(AppNumbers { state, ..app.clone() });
            }
        }
    }
}

fn numbers_of(row: &AppRow, known: Option<&AppNumbers>) -> AppNumbers {
    let path = row.app.path.to_string();
    let path = known.map(|known| &known.path).filter(|known| ***known == *path).cloned();
    AppNumbers {
        path: path.unwrap_or_else(|| row.app.path.to_string().into()),
        state: State::of_row(row),
        last_end: row.last_end.as_deref().map(|end| (end.outcome.word().into(), end.at)),
        next_run: row.next_run,
        percent: row.progress.known_percent(),
        solved: row.progress.solved,
        failed: row.progress.failed,
    }
}
