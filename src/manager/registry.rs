//! Changes of the apps table by others: new rows, new definitions, times asked for, deletions.

use std::time::Duration;

use super::commands::reason_set_aside;
use super::core::Manager;
use super::desk::Desk;
use super::entry::{BadReports, Cause, Entry, Phase, Rest, SetAside, Starting};
use super::event::{Effect, Step};
use super::plan::Plan;
use super::runs::settle;
use crate::model::{
    Alert, AlertCause, AlertEnd, AlertKind, AppId, AppRow, AppState, Change, CmdFlag, CmdName, Reason,
    Registered, RunId, RunStatus, SkipReason, StopCause, Trigger, Verdict,
};

/// How long a run has to end whose app is another manager's: that one may begin its own.
const STRAY_GRACE: Duration = Duration::from_secs(3);

/// A run that is being ended, and whose app is not this manager's.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stray {
    pub(super) app: AppId,
    is_removed: bool,
    grace: Duration,
}

impl Stray {
    /// Its app is another manager's.
    pub(super) fn elsewhere(app: AppId) -> Self {
        Self { app, is_removed: false, grace: STRAY_GRACE }
    }

    /// The row of its app was deleted.
    pub(super) fn removed(app: AppId, grace: Duration) -> Self {
        Self { app, is_removed: true, grace }
    }
}

impl Manager {
    /// Rows were added or changed, by whomever; the manager's own writes come back as well.
    pub(super) fn apps_changed(&mut self, rows: Vec<Registered>, step: &mut Step) {
        for row in rows {
            match row {
                Registered::App(row) => self.app_changed(*row, step),
                Registered::SetAside(row) => {
                    let app = row.app.id;
                    let fault = self.note_fault(&row, step);
                    self.work(app, step, |entry, desk, step| {
                        entry.set_aside(SetAside::Faulty, reason_set_aside(&fault), desk, step);
                    });
                }
            }
        }
    }

    /// Rows were deleted, and others with their keys are there: what runs goes on.
    pub(super) fn apps_replaced(&mut self, apps: &[AppId], step: &mut Step) {
        for app in apps {
            self.work(*app, step, |entry, desk, step| {
                entry.set_aside(SetAside::Gone, Reason::NoSuchApp, desk, step);
            });
        }
    }

    /// Rows were deleted. A run that nobody could see or stop any more is ended.
    pub(super) fn apps_removed(&mut self, apps: &[AppId], step: &mut Step) {
        for app in apps {
            self.set_aside.remove(app);
            let at = self.desk.now.wall;
            step.changes.push(Change::AlertsClosed {
                app: *app,
                kinds: AlertKind::ALL,
                at,
                end: AlertEnd::Removed,
            });
            let Some(mut entry) = self.apps.remove(app) else { continue };
            self.desk.index.unlist(&entry);
            for command in entry.take_commands() {
                // The run ends, and nothing starts after it.
                let verdict = match command.name {
                    CmdName::Stop | CmdName::Disable if entry.run().is_some() => Verdict::Executed,
                    CmdName::Start
                    | CmdName::Stop
                    | CmdName::Restart
                    | CmdName::Enable
                    | CmdName::Disable => Verdict::NotExecuted(Reason::NoSuchApp),
                };
                settle(&command, verdict, &self.desk, step);
            }
            if let Some(run) = entry.run() {
                self.stray(run, Stray::removed(*app, entry.app.policy.stop_grace), step);
            }
        }
    }

    /// Apps are another manager's by now. What runs here is ended, and nothing is written about
    /// them but how: the rest, waiting commands too, is the other one's.
    pub(super) fn apps_lost(&mut self, apps: &[AppId], step: &mut Step) {
        for app in apps {
            self.set_aside.remove(app);
            let Some(entry) = self.apps.remove(app) else { continue };
            self.desk.index.unlist(&entry);
            if let Some(run) = entry.run() {
                self.stray(run, Stray::elsewhere(*app), step);
            }
        }
    }

    /// Ends a run that is not to be here.
    pub(super) fn stray(&mut self, run: RunId, stray: Stray, step: &mut Step) {
        self.strays.insert(run, stray);
        let cause = if stray.is_removed { StopCause::Removed } else { StopCause::Fence };
        step.effects.push(Effect::Stop { run, cause, grace: stray.grace });
    }

    /// Takes note of why a row is set aside, in the row and in an alert; gives the fault back.
    pub(super) fn note_fault(&mut self, row: &AppRow, step: &mut Step) -> String {
        let (app, at) = (row.app.id, self.desk.now.wall);
        let fault = row.fault.as_ref().map_or("", |fault| &fault.message).to_owned();
        let known = self.set_aside.insert(app, fault.clone());
        let shown = known.as_ref().or(row.shown_fault.as_ref());
        if shown != Some(&fault) {
            if shown.is_some() {
                step.changes.push(Change::AlertsClosed {
                    app,
                    kinds: &[AlertKind::SetAside],
                    at,
                    end: AlertEnd::Recovered,
                });
            }
            step.changes.push(Change::AppFault { row: row.row, app, fault: Some(fault.clone()) });
            let message = format!("its row is set aside: {fault}");
            let (kind, cause) = (AlertKind::SetAside, AlertCause::of_text(&fault));
            let alert = Alert { app, kind, cause, run: None, message, detail: None, count: 1, at };
            step.changes.push(Change::AlertOpened(alert));
        }
        if !row.is_named {
            step.changes.push(Change::AppNamed { row: row.row, id: app });
        }
        fault
    }

    fn app_changed(&mut self, mut row: AppRow, step: &mut Step) {
        let app = row.app.id;
        let bad_report = row.bad_report.take();
        if let Some(bad) = bad_report.as_deref().filter(|bad| !bad.times.is_empty()) {
            let (row, revision) = (row.row, row.revision);
            step.changes.push(Change::TimesIgnored { row, app, revision, columns: bad.times.clone() });
        }
        if self.set_aside.remove(&app).is_some() || row.shown_fault.is_some() {
            let at = self.desk.now.wall;
            step.changes.push(Change::AppFault { row: row.row, app, fault: None });
            step.changes.push(Change::AlertsClosed {
                app,
                kinds: &[AlertKind::SetAside],
                at,
                end: AlertEnd::Recovered,
            });
        }
        if !row.is_named {
            step.changes.push(Change::AppNamed { row: row.row, id: app });
        }
        if self.apps.contains_key(&app) {
            self.work(app, step, |entry, desk, step| entry.row_changed(row, desk, step));
        } else {
            let is_commanded = is_commanded(&row);
            let app = self.add(row);
            self.adopt_orphan(app, step);
            self.work(app, step, |entry, desk, step| entry.settle(is_commanded, desk, step));
        }
        if let Some(bad) = bad_report {
            self.work(app, step, |entry, desk, step| entry.reported_badly(bad.message, desk, step));
        }
    }

    /// Takes up a row that is new to this manager.
    pub(super) fn add(&mut self, row: AppRow) -> AppId {
        let id = row.app.id;
        let entry = Entry::new(row, self.desk.now);
        self.desk.index.list(&entry);
        self.apps.insert(id, Box::new(entry));
        id
    }
}

/// Whether a command for the app waits, which is still to come to the manager.
fn is_commanded(row: &AppRow) -> bool {
    row.command.as_ref().is_some_and(|command| command.flag == CmdFlag::Pending)
}

impl Entry {
    /// The same as [`Self::settle_plan`], unless the app would begin at once, and a command is on its way that decides about
    /// that. With its verdict the row comes again.
    fn settle(&mut self, is_commanded: bool, desk: &mut Desk, step: &mut Step) {
        if !(is_commanded && self.is_always() && self.plan.wake().is_none()) {
            self.settle_plan(desk, step);
        }
    }

    /// Takes up a time that somebody asked for, while no run is under way. An app that may run and has a schedule,
    /// but no next time, gets one.
    pub(super) fn settle_plan(&mut self, desk: &mut Desk, step: &mut Step) {
        if matches!(self.phase, Phase::Resting(_)) {
            if let Some(time) = self.asked.take() {
                self.plan(desk, step, |plan, account| plan.give(account, Some(time)));
            }
            self.suspend_if_unscheduled(desk, step);
        }
        // A foreground run changes nothing about the schedule.
        let rest = match &self.phase {
            Phase::Resting(rest) => Some(rest),
            Phase::Starting(starting) => {
                Some(&starting.rest).filter(|_| starting.cause.trigger == Trigger::RunApp)
            }
            Phase::Running(running) => Some(&running.rest).filter(|_| running.trigger == Trigger::RunApp),
            Phase::Waiting(_) | Phase::Stopping(_) => None,
        };
        if !self.is_barred() && matches!(rest, Some(Rest::Ready | Rest::Crashed)) {
            self.plan(desk, step, Plan::resume);
        }
    }

    /// Another program may have disabled the app: its times are not counted from now on.
    pub(super) fn suspend_if_unscheduled(&mut self, desk: &Desk, step: &mut Step) {
        if self.is_unscheduled() {
            self.plan(desk, step, |plan, account| plan.suspend(account, SkipReason::Disabled));
        }
    }

    fn row_changed(&mut self, row: AppRow, desk: &mut Desk, step: &mut Step) {
        // Counters are those of its run, however old the rest is.
        self.note_row_counters(&row, desk.now);
        if !self.is_current(row.sequence) && self.set_aside.is_none() {
            // It was read before our last write; the row with that write in it will come as well.
            // After a row that was deleted comes a new one, with numbers of its own.
            return;
        }
        if self.set_aside.take().is_some() {
            // The row may be another one, which shows nothing yet of what goes on.
            self.note_new_row(&row.state);
        }
        let shown_before = self.shown_next_run();
        self.note_foreign(&row);
        self.epoch = row.epoch;
        let schedule_changed = self.app.schedule != row.app.schedule;
        let had_plan = self.plan.wake().is_some();
        if schedule_changed {
            self.plan(desk, step, |plan, account| plan.end(account, SkipReason::Rescheduled));
        }
        let is_watched_otherwise = self.app.policy.stall_after != row.app.policy.stall_after
            || self.is_always() != row.app.schedule.always;
        if is_watched_otherwise && row.state.run == self.run() {
            self.restart_counting(&row, desk.now);
        }
        let is_commanded = is_commanded(&row);
        self.app = row.app;
        self.look_at_life(desk.now);
        let is_withdrawn = row.next_run.is_none() && shown_before.is_some();
        self.asked = row.asked_next_run.or(self.asked.filter(|_| !is_withdrawn));
        self.notice_foreign_end(&row.state);
        match &self.phase {
            Phase::Resting(_) => {
                if schedule_changed && had_plan {
                    self.plan(desk, step, |plan, account| plan.begin(account, SkipReason::Rescheduled));
                }
                if self.asked.is_none() && row.next_run != shown_before {
                    self.plan(desk, step, |plan, account| plan.give(account, row.next_run));
                }
                self.notice_foreign_run(&row.state, step);
                self.settle(is_commanded, desk, step);
            }
            Phase::Waiting(_) | Phase::Starting(_) | Phase::Running(_) | Phase::Stopping(_) => {
                if schedule_changed && !self.is_always() {
                    self.plan(desk, step, |plan, account| plan.begin(account, SkipReason::Rescheduled));
                }
                self.settle_plan(desk, step);
            }
        }
    }

    /// Something that the app or a person wrote into the row cannot be read. The alert is open until a run
    /// is over without that.
    fn reported_badly(&mut self, message: String, desk: &Desk, step: &mut Step) {
        let run = self.run();
        let during = BadReports::During(Box::new(run));
        if std::mem::replace(&mut self.bad_report, during) == BadReports::None {
            let (app, at) = (self.app.id, desk.now.wall);
            let (kind, cause) = (AlertKind::BadReport, AlertCause::of_text(&message));
            let alert = Alert { app, kind, cause, run, message, detail: None, count: 1, at };
            step.changes.push(Change::AlertOpened(alert));
        }
    }

    /// A run is over; a good one ends the alert about bad reports before it.
    pub(super) fn reported_well(&mut self, run: RunId, desk: &Desk, step: &mut Step) {
        if let BadReports::During(last) = &self.bad_report
            && **last != Some(run)
        {
            self.bad_report = BadReports::None;
            let (app, at) = (self.app.id, desk.now.wall);
            step.changes.push(Change::AlertsClosed {
                app,
                kinds: &[AlertKind::BadReport],
                at,
                end: AlertEnd::Recovered,
            });
        }
    }

    /// `run-app` began a run of its own: it is watched like any other.
    fn notice_foreign_run(&mut self, state: &AppState, step: &mut Step) {
        let known = self.last_run.map(|(run, _)| run);
        if let (RunStatus::Running, Some(run), Some(at)) = (state.status, state.run, state.last_run)
            && known != Some(run)
            && let Phase::Resting(rest) = &self.phase
        {
            let rest = rest.clone();
            let previous = self.last_run.replace((run, at));
            let cause = Cause { due: None, trigger: Trigger::RunApp, command: None };
            self.phase = Phase::Starting(Box::new(Starting { run, cause, previous, rest }));
            step.effects.push(Effect::Adopt { run });
        }
    }

    /// `run-app` works with another state directory and has closed its run itself.
    fn notice_foreign_end(&mut self, state: &AppState) {
        let (trigger, rest) = match &self.phase {
            Phase::Starting(starting) => (starting.cause.trigger, &starting.rest),
            Phase::Running(running) => (running.trigger, &running.rest),
            Phase::Resting(_) | Phase::Waiting(_) | Phase::Stopping(_) => return,
        };
        let is_over = state.status != RunStatus::Running && state.run == self.run();
        if is_over && trigger == Trigger::RunApp {
            self.phase = Phase::Resting(rest.clone());
        }
    }

    /// Nothing is found of a run that another program began. What its row says of the owner decides whether it is
    /// closed; the row of the app then tells that the run is over.
    pub(super) fn not_found(&mut self, desk: &mut Desk, step: &mut Step) {
        let Phase::Starting(starting) = &self.phase else { return };
        if starting.cause.trigger != Trigger::RunApp {
            return;
        }
        let (run, app, owners, at) = (starting.run, self.app.id, desk.owners.clone(), desk.now.wall);
        step.changes.push(Change::RunNotFound { run, app, owners, at });
        // It may have been killed when it had made its run directory and nothing in it.
        step.effects.push(Effect::Forget { run, app, log_keep: u32::MAX, has_failed: false });
    }

    /// The row is gone or cannot be obeyed: what goes on may end, nothing new begins.
    fn set_aside(&mut self, why: SetAside, reason: Reason, desk: &mut Desk, step: &mut Step) {
        self.set_aside = Some(why);
        let reason = || Verdict::NotExecuted(reason.clone());
        if let Phase::Waiting(waiting) = &mut self.phase {
            if let Some(command) = waiting.cause.command.take() {
                settle(&command, reason(), desk, step);
            }
            self.phase = Phase::Resting(Rest::Ready);
        }
        if matches!(self.phase, Phase::Resting(_)) {
            for command in std::mem::take(&mut self.queue) {
                settle(&command, reason(), desk, step);
            }
        }
    }
}
