//! Changes that are written together, with the effects that wait for them; and those that cannot be written yet,
//! since another program holds a row of their app.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::Instant;

use crate::manager::{Effect, Event, Step};
use crate::model::{
    Alert, AlertCause, AlertEnd, AlertKind, AppId, Change, FleetKind, FleetTrouble, Report, RunId, Subject,
    Timestamp, Usage,
};
use crate::store::Held;

/// How long a row may be held before an alert says so: programs hold rows for a moment all the time.
const TOLD_AFTER: Duration = Duration::from_secs(3);

/// Steps that are written together.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) changes: Vec<Change>,
    pub(super) effects: Vec<Effect>,
    progress: BTreeMap<RunId, (AppId, Report)>,
    used: BTreeMap<RunId, (AppId, Usage)>,
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
        } else if let Change::Used { app, run, usage } = change {
            self.used.insert(run, (app, usage));
        } else {
            self.changes.push(change);
        }
    }

    /// All changes, reports and samples first, and what waits for them.
    pub(super) fn into_parts(self) -> (Vec<Change>, Vec<Effect>) {
        let progress =
            self.progress.into_iter().map(|(run, (app, report))| Change::Progress { app, run, report });
        let used = self.used.into_iter().map(|(run, (app, usage))| Change::Used { app, run, usage });
        (progress.chain(used).chain(self.changes).collect(), self.effects)
    }
}

/// The app that an effect of the outbox is about.
fn subject_of(effect: &Effect) -> Option<Subject> {
    match effect {
        Effect::Start { launch, .. } => Some(Subject::App(launch.app)),
        Effect::Forget { app, .. } => Some(Subject::App(*app)),
        Effect::Stop { .. } | Effect::Kill { .. } | Effect::Adopt { .. } | Effect::Measure { .. } => None,
    }
}

/// What waits for rows that another program holds: per subject, in its order.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    parcels: BTreeMap<Subject, Parcel>,
}

/// What is to be said of rows that others hold: about apps at once, the rest is for the manager to decide.
#[derive(Debug, Default)]
pub(super) struct Told {
    pub(super) changes: Vec<Change>,
    pub(super) events: Vec<Event>,
}

/// That a row is held which is not of one app.
fn locked(subject: Subject) -> FleetTrouble {
    let cause = match subject {
        Subject::App(_) | Subject::UnknownApp => "another transaction holds a row of the table commands",
        Subject::Fleet => "another transaction holds a row of the table alerts",
    };
    FleetTrouble { kind: FleetKind::DatabaseLocked, cause: AlertCause::of_text(cause) }
}

#[derive(Debug)]
struct Parcel {
    batch: Batch,
    since: Instant,
    is_told: bool,
}

impl Waiting {
    pub(super) fn is_empty(&self) -> bool {
        self.parcels.is_empty()
    }

    /// Puts what concerns apps that wait already behind what they wait for.
    pub(super) fn take_from(&mut self, batch: &mut Batch) {
        if self.is_empty() {
            return;
        }
        for change in std::mem::take(&mut batch.changes) {
            match self.parcels.get_mut(&change.subject()) {
                Some(parcel) => parcel.batch.changes.push(change),
                None => batch.changes.push(change),
            }
        }
        for (run, (app, report)) in std::mem::take(&mut batch.progress) {
            match self.parcels.get_mut(&Subject::App(app)) {
                Some(parcel) => parcel.batch.add_change(Change::Progress { app, run, report }),
                None => drop(batch.progress.insert(run, (app, report))),
            }
        }
        for (run, (app, usage)) in std::mem::take(&mut batch.used) {
            match self.parcels.get_mut(&Subject::App(app)) {
                Some(parcel) => parcel.batch.add_change(Change::Used { app, run, usage }),
                None => drop(batch.used.insert(run, (app, usage))),
            }
        }
        for effect in std::mem::take(&mut batch.effects) {
            match subject_of(&effect).and_then(|subject| self.parcels.get_mut(&subject)) {
                Some(parcel) => parcel.batch.effects.push(effect),
                None => batch.effects.push(effect),
            }
        }
    }

    /// Keeps what could not be written; what is left of the effects may be carried out.
    pub(super) fn keep(&mut self, held: &[Held], changes: Vec<Change>, effects: Vec<Effect>) -> Vec<Effect> {
        for held in held {
            let parcel = Parcel { batch: Batch::default(), since: Instant::now(), is_told: false };
            self.parcels.entry(held.subject).or_insert(parcel);
        }
        for change in changes {
            if let Some(parcel) = self.parcels.get_mut(&change.subject()) {
                parcel.batch.add_change(change);
            }
        }
        let mut free = Vec::new();
        for effect in effects {
            let subject =
                subject_of(&effect).filter(|subject| held.iter().any(|held| held.subject == *subject));
            match subject.and_then(|subject| self.parcels.get_mut(&subject)) {
                Some(parcel) => parcel.batch.effects.push(effect),
                None => free.push(effect),
            }
        }
        free
    }

    /// Everything that waits, to be tried again.
    pub(super) fn try_again(&mut self) -> (Vec<Change>, Vec<Effect>) {
        let (mut changes, mut effects) = (Vec::new(), Vec::new());
        for parcel in self.parcels.values_mut() {
            let (of_app, waiting) = std::mem::take(&mut parcel.batch).into_parts();
            changes.extend(of_app);
            effects.extend(waiting);
        }
        (changes, effects)
    }

    /// Forgets what is not held any more; what comes back are the ends of its alerts.
    pub(super) fn release(&mut self, held: &[Held], at: Timestamp) -> Told {
        let held: BTreeSet<_> = held.iter().map(|held| held.subject).collect();
        let mut over = Told::default();
        self.parcels.retain(|subject, parcel| {
            let stays = held.contains(subject);
            match subject {
                _ if stays || !parcel.is_told => {}
                Subject::App(app) => over.changes.push(Change::AlertsClosed {
                    app: *app,
                    kinds: &[AlertKind::RowLocked],
                    at,
                    end: AlertEnd::Recovered,
                }),
                Subject::UnknownApp | Subject::Fleet => {
                    over.events.push(Event::FleetTroubleOver(locked(*subject)));
                }
            }
            stays
        });
        over
    }

    /// Alerts about what has waited for long, once each.
    pub(super) fn alerts(&mut self, held: &[Held], at: Timestamp) -> Told {
        let mut alerts = Told::default();
        for Held { subject, why } in held {
            let parcel = self.parcels.get_mut(subject);
            let Some(parcel) = parcel.filter(|parcel| parcel.since.elapsed() >= TOLD_AFTER) else { continue };
            if std::mem::replace(&mut parcel.is_told, true) {
                continue;
            }
            let message = why.clone();
            match subject {
                Subject::App(app) => {
                    // The message names the app, so it is no cause of several.
                    let cause = AlertCause::of_text("another transaction holds a row");
                    let (app, kind) = (*app, AlertKind::RowLocked);
                    let alert = Alert { app, kind, cause, run: None, message, detail: None, count: 1, at };
                    alerts.changes.push(Change::AlertOpened(alert));
                }
                Subject::UnknownApp | Subject::Fleet => {
                    alerts.events.push(Event::FleetTrouble { trouble: locked(*subject), message });
                }
            }
        }
        alerts
    }
}
