//! Changes that are written together, with the effects that wait for them; and those that cannot be written yet,
//! since another program holds a row of their app.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::Instant;

use crate::manager::{Effect, Step};
use crate::model::{Alert, AlertKind, AppId, Change, Report, RunId, Timestamp};
use crate::store::Held;

/// How long a row may be held before an alert says so: programs hold rows for a moment all the time.
const TOLD_AFTER: Duration = Duration::from_secs(3);

/// Steps that are written together.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) changes: Vec<Change>,
    pub(super) effects: Vec<Effect>,
    progress: BTreeMap<RunId, (AppId, Report)>,
}

impl Batch {
    pub(super) fn add(&mut self, step: Step) {
        for change in step.changes {
            self.add_change(change);
        }
        self.effects.extend(step.effects);
    }

    fn add_change(&mut self, change: Change) {
        if let Change::Progress { app, run, report } = change {
            self.progress.entry(run).or_insert_with(|| (app, Report::default())).1.merge(report);
        } else {
            self.changes.push(change);
        }
    }

    /// All changes, the reports first, and what waits for them.
    pub(super) fn into_parts(self) -> (Vec<Change>, Vec<Effect>) {
        let progress =
            self.progress.into_iter().map(|(run, (app, report))| Change::Progress { app, run, report });
        (progress.chain(self.changes).collect(), self.effects)
    }
}

/// The app that an effect of the outbox is about.
fn app_of(effect: &Effect) -> Option<AppId> {
    match effect {
        Effect::Start { launch, .. } => Some(launch.app),
        Effect::Forget { app, .. } => Some(*app),
        Effect::Stop { .. } | Effect::Kill { .. } | Effect::Adopt { .. } => None,
    }
}

/// What waits for rows that another program holds: per app, in its order.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    apps: BTreeMap<Option<AppId>, Parcel>,
}

#[derive(Debug)]
struct Parcel {
    batch: Batch,
    since: Instant,
    is_told: bool,
}

impl Waiting {
    pub(super) fn is_empty(&self) -> bool {
        self.apps.is_empty()
    }

    /// Puts what concerns apps that wait already behind what they wait for.
    pub(super) fn take_from(&mut self, batch: &mut Batch) {
        if self.is_empty() {
            return;
        }
        for change in std::mem::take(&mut batch.changes) {
            match self.apps.get_mut(&change.app()) {
                Some(parcel) => parcel.batch.changes.push(change),
                None => batch.changes.push(change),
            }
        }
        for (run, (app, report)) in std::mem::take(&mut batch.progress) {
            match self.apps.get_mut(&Some(app)) {
                Some(parcel) => parcel.batch.add_change(Change::Progress { app, run, report }),
                None => drop(batch.progress.insert(run, (app, report))),
            }
        }
        for effect in std::mem::take(&mut batch.effects) {
            match self.apps.get_mut(&app_of(&effect)) {
                Some(parcel) => parcel.batch.effects.push(effect),
                None => batch.effects.push(effect),
            }
        }
    }

    /// Keeps what could not be written; what is left of the effects may be carried out.
    pub(super) fn keep(&mut self, held: &[Held], changes: Vec<Change>, effects: Vec<Effect>) -> Vec<Effect> {
        for held in held {
            let parcel = Parcel { batch: Batch::default(), since: Instant::now(), is_told: false };
            self.apps.entry(held.app).or_insert(parcel);
        }
        for change in changes {
            if let Some(parcel) = self.apps.get_mut(&change.app()) {
                parcel.batch.add_change(change);
            }
        }
        let mut free = Vec::new();
        for effect in effects {
            let app = app_of(&effect);
            match self.apps.get_mut(&app).filter(|_| held.iter().any(|held| held.app == app)) {
                Some(parcel) => parcel.batch.effects.push(effect),
                None => free.push(effect),
            }
        }
        free
    }

    /// Everything that waits, to be tried again.
    pub(super) fn try_again(&mut self) -> (Vec<Change>, Vec<Effect>) {
        let (mut changes, mut effects) = (Vec::new(), Vec::new());
        for parcel in self.apps.values_mut() {
            let (of_app, waiting) = std::mem::take(&mut parcel.batch).into_parts();
            changes.extend(of_app);
            effects.extend(waiting);
        }
        (changes, effects)
    }

    /// Forgets the apps that are not held any more; what comes back are the ends of their alerts.
    pub(super) fn release(&mut self, held: &[Held], at: Timestamp) -> Vec<Change> {
        let held: BTreeSet<_> = held.iter().map(|held| held.app).collect();
        let mut over = Vec::new();
        self.apps.retain(|app, parcel| {
            let stays = held.contains(app);
            if let Some(app) = app.filter(|_| !stays && parcel.is_told) {
                over.push(Change::AlertsCleared { app, kinds: &[AlertKind::RowLocked], at });
            }
            stays
        });
        over
    }

    /// Alerts for the apps that have waited for long, once each.
    pub(super) fn alerts(&mut self, held: &[Held], at: Timestamp) -> Vec<Alert> {
        let mut alerts = Vec::new();
        for Held { app, why } in held {
            let Some(parcel) = self.apps.get_mut(app).filter(|parcel| parcel.since.elapsed() >= TOLD_AFTER)
            else {
                continue;
            };
            if !std::mem::replace(&mut parcel.is_told, true)
                && let Some(app) = *app
            {
                let message = why.clone();
                alerts.push(Alert { app, kind: AlertKind::RowLocked, run: None, message, raised: at });
            }
        }
        alerts
    }
}
