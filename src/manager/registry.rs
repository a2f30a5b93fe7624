//! Changes of the apps table by others: new rows, new definitions, times asked for, deletions.

use std::time::Duration;

use super::core::Manager;
use super::desk::Desk;
use super::entry::{Cause, Entry, Phase, Rest, Starting};
use super::event::{Effect, Step};
use super::runs::settle;
use crate::model::{
    AppId, AppRow, AppState, Change, Registered, RunId, RunStatus, SkipReason, StopCause, Trigger, Verdict,
};

/// How long a run has to end whose app is another manager's: that one may begin its own.
const STRAY_GRACE: Duration = Duration::from_secs(3);

impl Manager {
    /// Rows were added or changed, by whomever; the manager's own writes come back as well.
    pub(super) fn apps_changed(&mut self, rows: Vec<Registered>, step: &mut Step) {
        for row in rows {
            match row {
                Registered::App(row) => self.app_changed(*row, step),
                Registered::Faulty(row) => {
                    if row.shown_fault.as_deref() != Some(&row.fault) {
                        step.changes.push(Change::AppFault { row: row.row, fault: Some(row.fault) });
                    }
                    if let Some(app) = row.id {
                        self.work(app, step, |entry, desk, step| {
                            entry.set_aside("its row is set aside as invalid", desk, step);
                        });
                    }
                }
            }
        }
    }

    /// Rows were deleted.
    pub(super) fn apps_removed(&mut self, apps: &[AppId], step: &mut Step) {
        for app in apps {
            self.work(*app, step, |entry, desk, step| entry.set_aside("no such app", desk, step));
        }
    }

    /// Apps are another manager's by now. What runs here is ended, and nothing is written about
    /// them but how: the rest, waiting commands too, is the other one's.
    pub(super) fn apps_lost(&mut self, apps: &[AppId], step: &mut Step) {
        for app in apps {
            let Some(entry) = self.apps.remove(app) else { continue };
            self.desk.index.unlist(&entry);
            if let Some(run) = entry.run() {
                self.stray(run, *app, step);
            }
        }
    }

    /// Ends a run of an app that is another manager's.
    pub(super) fn stray(&mut self, run: RunId, app: AppId, step: &mut Step) {
        self.strays.insert(run, app);
        step.effects.push(Effect::Stop { run, cause: StopCause::Fence, grace: STRAY_GRACE });
    }

    fn app_changed(&mut self, row: AppRow, step: &mut Step) {
        if row.shown_fault.is_some() {
            step.changes.push(Change::AppFault { row: row.row, fault: None });
        }
        let app = row.app.id;
        if !row.is_named {
            step.changes.push(Change::AppNamed { row: row.row, id: app });
        }
        if self.apps.contains_key(&app) {
            self.work(app, step, |entry, desk, step| entry.row_changed(row, desk, step));
        } else {
            let app = self.add(row);
            self.work(app, step, Entry::settle_plan);
        }
    }

    /// Takes up a row that is new to this manager.
    pub(super) fn add(&mut self, row: AppRow) -> AppId {
        let id = row.app.id;
        let entry = Entry::new(row, self.desk.now.wall);
        self.desk.index.list(&entry);
        self.apps.insert(id, Box::new(entry));
        id
    }
}

impl Entry {
    /// While no run is under way: takes up a time that somebody asked for. An app that may run and
    /// has a schedule, but no next time, gets one.
    pub(super) fn settle_plan(&mut self, desk: &mut Desk, step: &mut Step) {
        if !matches!(self.phase, Phase::Resting(_)) {
            return;
        }
        if let Some(time) = self.asked.take() {
            self.plan.give(Some(time));
        }
        let may_run = !self.is_barred() && matches!(self.phase, Phase::Resting(Rest::Ready | Rest::Crashed));
        if may_run && self.plan.wake().is_none() {
            self.pass_over(SkipReason::Superseded, desk, step);
            self.plan.begin(&self.app, desk.now.wall);
        }
    }

    fn row_changed(&mut self, row: AppRow, desk: &mut Desk, step: &mut Step) {
        if !self.is_current(row.sequence) && !self.set_aside {
            // It was read before our last write; the row with that write in it will come as well.
            // After a row that was deleted comes a new one, with numbers of its own.
            return;
        }
        self.set_aside = false;
        let shown_before = self.shown_next_run();
        self.note_foreign(&row);
        self.epoch = row.epoch;
        let schedule_changed = self.app.schedule != row.app.schedule;
        if schedule_changed {
            self.pass_over(SkipReason::Superseded, desk, step);
        }
        self.app = row.app;
        self.asked = row.asked_next_run.or(self.asked);
        self.notice_foreign_end(&row.state);
        match &self.phase {
            Phase::Resting(_) => {
                if schedule_changed && self.plan.wake().is_some() {
                    self.plan.begin(&self.app, desk.now.wall);
                }
                if self.asked.is_none() && row.next_run != shown_before {
                    self.plan.give(row.next_run);
                }
                self.notice_foreign_run(&row.state, step);
                self.settle_plan(desk, step);
            }
            Phase::Waiting(_) | Phase::Starting(_) | Phase::Running(_) | Phase::Stopping(_) => {
                if schedule_changed {
                    self.plan.begin(&self.app, desk.now.wall);
                }
            }
        }
    }

    /// `run-app` began a run of its own: it is watched like any other.
    fn notice_foreign_run(&mut self, state: &AppState, step: &mut Step) {
        let known = self.last_run.map(|(run, _)| run);
        if let (RunStatus::Running, Some(run), Some(at)) = (state.status, state.run, state.last_run)
            && known != Some(run)
        {
            let previous = self.last_run.replace((run, at));
            let cause = Cause { due: None, trigger: Trigger::RunApp, command: None };
            self.phase = Phase::Starting(Starting { run, cause, previous, rest: Rest::Ready });
            step.effects.push(Effect::Adopt { run });
        }
    }

    /// `run-app` works with another state directory and has closed its run itself.
    fn notice_foreign_end(&mut self, state: &AppState) {
        let is_foreign = match &self.phase {
            Phase::Starting(starting) => starting.cause.trigger == Trigger::RunApp,
            Phase::Running(running) => running.trigger == Trigger::RunApp,
            Phase::Resting(_) | Phase::Waiting(_) | Phase::Stopping(_) => false,
        };
        if is_foreign && state.status != RunStatus::Running && state.run == self.run() {
            self.phase = Phase::Resting(Rest::Ready);
        }
    }

    /// The row is gone or cannot be obeyed: what goes on may end, nothing new begins.
    fn set_aside(&mut self, reason: &str, desk: &mut Desk, step: &mut Step) {
        self.set_aside = true;
        let reason = || Verdict::NotExecuted(reason.to_owned());
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
