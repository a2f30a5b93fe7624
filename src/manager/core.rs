//! The manager itself: takes events, works on the apps they concern, and says what follows.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::TimeDelta;

use super::desk::Desk;
use super::entry::{Entry, Phase};
use super::event::{Event, Step};
use super::fleet::FleetTroubles;
use super::registry::Stray;
use super::restore::{Orphan, close_without_app};
use crate::model::{AlertEnd, AppId, AppPath, Load, Now, Report, RunId};

/// The wall clock runs apart from the other by less than this for natural reasons; more is a step
/// by hand or by NTP.
const CLOCK_STEP: TimeDelta = TimeDelta::seconds(2);

/// Decides for all apps of one host. See the module's documentation for the rules.
#[derive(Debug)]
pub struct Manager {
    /// Boxed: a tree keeps a third of its room free.
    pub(super) apps: BTreeMap<AppId, Box<Entry>>,
    /// Runs that are being ended because their app is another manager's, or was deleted.
    pub(super) strays: BTreeMap<RunId, Stray>,
    /// The faults of rows that are set aside, by their keys.
    pub(super) set_aside: BTreeMap<AppId, String>,
    /// Runs that live, and whose apps are not there. They go on, and are entered once their app is.
    pub(super) orphans: BTreeMap<RunId, Orphan>,
    pub(super) fleet: FleetTroubles,
    pub(super) desk: Desk,
}

impl Manager {
    /// Takes in one event and everything that is due by now.
    pub fn step(&mut self, now: Now, event: Event) -> Step {
        let mut step = Step::default();
        self.read_clock(now, &mut step);
        match event {
            Event::Tick => {}
            Event::Command(command) => self.command(command, &mut step),
            Event::Started { run, .. } if self.strays.contains_key(&run) => {
                // It may not have been there to hear it the first time.
                let stray = self.strays[&run];
                self.stray(run, stray, &mut step);
            }
            Event::Started { run, pid, at } => {
                self.work_on_run(run, &mut step, |entry, desk, step| entry.started(run, pid, at, desk, step));
            }
            Event::Ended { run, closing } if self.strays.contains_key(&run) => {
                match self.strays.remove(&run) {
                    // An app that was deleted and is there again meets the run that goes on.
                    _ if self.desk.index.app_of(run).is_some() => {
                        self.work_on_run(run, &mut step, |entry, desk, step| {
                            entry.ended(run, closing, desk, step);
                        });
                    }
                    Some(stray) => close_without_app(run, stray.app, closing, &mut step),
                    None => {}
                }
            }
            Event::Ended { run, closing } if self.orphans.contains_key(&run) => {
                if let Some(orphan) = self.orphans.remove(&run) {
                    close_without_app(run, orphan.app, closing, &mut step);
                }
            }
            Event::Ended { run, closing } => {
                self.work_on_run(run, &mut step, |entry, desk, step| entry.ended(run, closing, desk, step));
            }
            Event::NotFound { run } => self.work_on_run(run, &mut step, Entry::not_found),
            Event::Reported { run, report } => {
                self.reported(run, report, &mut step);
            }
            Event::Used(samples) => self.used(samples, &mut step),
            Event::RunRefused { run, refusal } => {
                self.strays.remove(&run);
                self.work_on_run(run, &mut step, |entry, desk, step| entry.refused(refusal, desk, step));
            }
            Event::AppsChanged(rows) => self.apps_changed(rows, &mut step),
            Event::AppsReplaced(apps) => self.apps_replaced(&apps, &mut step),
            Event::AppsRemoved(apps) => self.apps_removed(&apps, &mut step),
            Event::AppsLost(apps) => self.apps_lost(&apps, &mut step),
            Event::LimitsChanged(limits) => self.desk.index.set_limits(limits),
            Event::FleetTrouble { trouble, message } => self.fleet_trouble(trouble, message, &mut step),
            Event::FleetTroubleOver(trouble) => {
                self.fleet_trouble_over(&trouble, AlertEnd::Recovered, &mut step);
            }
            Event::ManagersSeen(fates) => self.managers_seen(&fates, &mut step),
            Event::AlertDelivered { app } => self.work(app, &mut step, |entry, _, _| entry.alert_delivered()),
        }
        self.serve(&mut step);
        self.count_set_aside(&mut step);
        step
    }

    /// When `step` is to be called at the latest, as a reading of the clock of [`Now::mono`];
    /// `None` while nothing is planned.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Duration> {
        let Now { mono, wall } = self.desk.now;
        let (due, timeout) = self.desk.index.next();
        let due = due.map(|due| mono + (due - wall).to_std().unwrap_or(Duration::ZERO));
        match (due, timeout) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    /// How many apps it has.
    #[must_use]
    pub fn app_count(&self) -> usize {
        self.apps.len()
    }

    /// Runs under way and in line.
    #[must_use]
    pub fn load(&self) -> Load {
        self.desk.index.load()
    }

    /// The names of an app.
    #[must_use]
    pub fn path_of(&self, app: AppId) -> Option<&AppPath> {
        self.apps.get(&app).map(|entry| &entry.app.path)
    }

    /// The names of the app that a run under way belongs to.
    #[must_use]
    pub fn path_of_run(&self, run: RunId) -> Option<&AppPath> {
        self.desk.index.app_of(run).and_then(|app| self.path_of(app))
    }

    /// Starts what waits for room, what is due, and ends what takes too long.
    pub(super) fn serve(&mut self, step: &mut Step) {
        let now = self.desk.now;
        for app in self.desk.index.take_timeouts(now.mono) {
            self.work(app, step, Entry::timed_out);
        }
        for app in self.desk.index.take_line() {
            self.work(app, step, Entry::try_again);
        }
        for app in self.desk.index.take_due(now.wall) {
            self.work(app, step, Entry::fall_due);
        }
    }

    /// Works on one app, then carries out the commands that waited for that, notes what changed
    /// for the database, and puts the app back on the right lists.
    pub(super) fn work(
        &mut self,
        app: AppId,
        step: &mut Step,
        work: impl FnOnce(&mut Entry, &mut Desk, &mut Step),
    ) {
        let Some(entry) = self.apps.get_mut(&app) else { return };
        self.desk.index.unlist(entry);
        work(entry, &mut self.desk, step);
        entry.carry_out_commands(&mut self.desk, step);
        entry.settle_counters();
        entry.publish_alone(&self.desk, step);
        if entry.set_aside.is_some() && matches!(entry.phase, Phase::Resting(_)) && entry.queue.is_empty() {
            self.apps.remove(&app);
        } else {
            self.desk.index.list(entry);
        }
    }

    /// A report touches neither lists nor row, unless counters move for the first time, or again.
    fn reported(&mut self, run: RunId, report: Report, step: &mut Step) {
        let Some(app) = self.desk.index.app_of(run) else { return };
        let now = self.desk.now;
        let entry = self.apps.get_mut(&app);
        if entry.is_some_and(|entry| entry.reported(run, report, now, step)) {
            self.work(app, step, |entry, _, _| entry.watch_counters());
        }
    }

    /// Works on the app that a run belongs to. Late word of a run that is over is ignored here and
    /// nowhere else.
    fn work_on_run(
        &mut self,
        run: RunId,
        step: &mut Step,
        work: impl FnOnce(&mut Entry, &mut Desk, &mut Step),
    ) {
        if let Some(app) = self.desk.index.app_of(run) {
            self.work(app, step, work);
        }
    }

    /// Notices steps of the wall clock: pauses that are under way keep their length.
    fn read_clock(&mut self, now: Now, step: &mut Step) {
        let before = std::mem::replace(&mut self.desk.now, now);
        let elapsed = TimeDelta::from_std(now.mono.saturating_sub(before.mono)).unwrap_or(TimeDelta::zero());
        let by = now.wall - before.wall - elapsed;
        if by.abs() < CLOCK_STEP {
            return;
        }
        let apps: Vec<_> = self.apps.keys().copied().collect();
        for app in apps {
            self.work(app, step, |entry, desk, _| entry.clock_was_set(by, desk.now.wall));
        }
    }
}
