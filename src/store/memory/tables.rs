//! The tables as plain maps, with the rules of the real ones.

use std::collections::{BTreeMap, BTreeSet};

use super::deliveries::DeliveryRow;
use super::documents::DocumentTables;
use super::ledger::LedgerRow;
use crate::model::{
    AlertKind, AlertRow, App, AppId, AppPath, AppRow, AppUpdate, Change, Closing, CommandId, Delta, Ending,
    KeptLog, Limits, ManagerRow, OpenFleetAlert, OpenRun, Progress, Registered, Revision, Route, Run, RunId,
    RunOpening, Skip, Snapshot, Timestamp, Unopened,
};
use crate::store::{
    Committed, Existing, NextRun, PAGE, Registration, StoreError, exists, no_such_app, running,
};

/// The tables themselves, without a lock or a task.
#[derive(Debug, Clone, Default)]
pub struct Tables {
    /// The clock of the database.
    pub time: Timestamp,
    pub(super) apps: BTreeMap<AppId, AppRow>,
    removed: BTreeMap<AppId, Revision>,
    pub(super) runs: BTreeMap<RunId, RunRow>,
    pub(super) opened: i64,
    pub(super) commands: Vec<LedgerRow>,
    pub(super) alerts: Vec<AlertRow>,
    pub(super) deliveries: Vec<DeliveryRow>,
    pub(super) last_delivery: i64,
    pub(super) routes: Vec<Route>,
    pub(super) documents: DocumentTables,
    pub(super) log_wishes: BTreeMap<AppId, Timestamp>,
    pub(super) kept_logs: Vec<KeptLog>,
    pub(super) alert_keys: Vec<(AppId, &'static str, String)>,
    pub(super) skips: BTreeMap<(AppId, Timestamp, &'static str), Skip>,
    pub(super) managers: BTreeMap<String, ManagerRow>,
    /// The manager that serves them.
    pub(super) seat: Option<String>,
    /// How many apps may run at once.
    pub limits: Limits,
    revision: Revision,
}

#[derive(Debug, Clone)]
pub(super) struct RunRow {
    pub(super) run: Run,
    pub(super) order: i64,
    pub(super) command: Option<CommandId>,
    pub(super) trigger: crate::model::Trigger,
}

impl RunRow {
    /// A run that begins.
    pub(super) fn of(opening: &RunOpening, order: i64) -> Self {
        let run = Run {
            run: opening.run,
            app: opening.app,
            start: opening.at,
            end: None,
            outcome: None,
            exit_code: None,
            signal: None,
            except_cnt: 0,
            progress: Progress::default(),
            trigger: opening.trigger.into(),
            due: opening.due,
            attempt: opening.attempt,
            manager: opening.manager.clone(),
            pid: None,
            message: None,
            leftovers: 0,
            command: None,
            memory_peak: None,
        };
        Self { run, order, command: opening.command, trigger: opening.trigger }
    }
}

impl Tables {
    /// Empty tables whose clock stands at `time`.
    #[must_use]
    pub fn at(time: Timestamp) -> Self {
        Self { time, ..Self::default() }
    }

    /// Changes the row of the manager that serves them.
    pub(super) fn update_seat(&mut self, change: impl FnOnce(&mut ManagerRow, Timestamp)) {
        let now = self.time;
        if let Some(row) = self.seat.as_ref().and_then(|name| self.managers.get_mut(name)) {
            change(row, now);
        }
    }

    /// Writes changes; the counterpart of `Store::commit`.
    pub fn commit(&mut self, changes: &[Change]) -> Committed {
        let mut committed = Committed::default();
        let mut unopened = Unopened::default();
        for change in changes {
            if unopened.excludes(change) {
                continue;
            }
            match change {
                Change::RunOpened(opening) => {
                    if let Some(refusal) = self.open_run(opening) {
                        unopened.note(opening.app, opening.run);
                        committed.refused.push((opening.run, refusal));
                    }
                }
                Change::RunStarted { run, pid, at, .. } => self.start_run(*run, *pid, *at),
                Change::RunNotFound { run, app, owners, at } => {
                    let is_owned =
                        |row: &RunRow| row.run.manager.is_empty() || owners.contains(&row.run.manager);
                    if self.runs.get(run).is_some_and(is_owned) {
                        self.close_run(*run, *app, &Closing::unseen(Ending::Unknown, *at));
                    }
                }
                Change::RunClosed { run, app, closing } => self.close_run(*run, *app, closing),
                Change::App(update) => self.update_app(update),
                Change::Progress { app, run, report } => self.note_progress(*app, *run, report),
                Change::Used { app, run, usage } => self.note_usage(*app, *run, *usage),
                Change::CommandSettled { id, verdict, at, .. } => self.settle(*id, verdict, *at),
                Change::AlertOpened(alert) => {
                    if let Some(event) = self.open_alert(alert) {
                        self.note_opened(&event, alert.at);
                        committed.alerts.push(event);
                    }
                }
                Change::AlertRepeated(alert) => self.repeat_alert(alert),
                Change::AlertsClosed { app, kinds, at, end } => {
                    for event in self.close_alerts(*app, kinds, (*at, *end)) {
                        self.note_closed(&event, (*at, *end));
                        committed.alerts.push(event);
                    }
                }
                Change::FleetAlert(change) => committed.alerts.extend(self.write_fleet_alert(change)),
                Change::Skipped(skip) => {
                    let known = self
                        .skips
                        .entry((skip.app, skip.first, skip.reason.word()))
                        .or_insert_with(|| skip.clone());
                    // A clock that was set back brings the first of them again, and what follows counts as well.
                    if known.last < skip.last {
                        known.clone_from(skip);
                    }
                }
                // These concern rows that only a database with other writers can hold.
                Change::AppNamed { .. } | Change::AppFault { .. } | Change::TimesIgnored { .. } => {}
            }
        }
        committed
    }

    pub(super) fn touch(&mut self, app: AppId) {
        self.revision.0 += 1;
        if let Some(row) = self.apps.get_mut(&app) {
            row.revision = self.revision;
        }
    }

    fn update_app(&mut self, update: &AppUpdate) {
        let Some(row) = self.apps.get_mut(&update.app).filter(|row| row.sequence < update.sequence) else {
            return;
        };
        row.sequence = update.sequence;
        row.state = update.state.clone();
        row.next_run = update.next_run;
        row.slot = update.slot;
        row.planned = update.planned;
        row.app.disabled = update.disabled.unwrap_or(row.app.disabled);
        if row.asked_next_run == update.asked_taken {
            row.asked_next_run = None;
        }
        self.touch(update.app);
    }

    /// Registers an app or replaces its definition.
    pub fn register(&mut self, registration: &Registration) -> Result<(), StoreError> {
        let app = &registration.app;
        match (self.apps.get_mut(&app.id), registration.existing) {
            (Some(_), Existing::Refuse) => return Err(exists(&app.path)),
            (Some(row), Existing::Replace) => {
                let calendar = |app: &App| (app.schedule.cron.clone(), app.schedule.time_zone);
                row.slot = row.slot.filter(|_| calendar(&row.app) == calendar(app));
                row.app = app.clone();
            }
            (None, _) => {
                let row = AppRow::new(app.clone(), i64::try_from(self.apps.len()).unwrap_or(0) + 1);
                self.apps.insert(app.id, row);
            }
        }
        self.touch(app.id);
        match registration.next_run {
            Some(NextRun::At(time)) => self.ask_next_run(app.id, time),
            Some(NextRun::BySchedule) => {
                if let Some(row) = self.apps.get_mut(&app.id) {
                    (row.next_run, row.asked_next_run) = (None, None);
                }
            }
            None => {}
        }
        Ok(())
    }

    /// Writes `next_run` as an app or a person does, not as the manager does.
    pub fn ask_next_run(&mut self, app: AppId, time: Timestamp) {
        if let Some(row) = self.apps.get_mut(&app) {
            row.next_run = Some(time);
            row.planned = Some(crate::model::Planned::Asked);
            row.asked_next_run = Some(time);
            self.touch(app);
        }
    }

    /// Rows after a revision; the counterpart of `OperatorStore::changes_since`.
    #[must_use]
    pub fn changes_since(&self, revision: Revision) -> Delta {
        let mut rows: Vec<_> = self.apps.values().filter(|row| row.revision > revision).collect();
        rows.sort_by_key(|row| row.revision);
        let more = rows.len() > PAGE;
        rows.truncate(PAGE);
        let removed = || self.removed.iter().filter(|(_, at)| **at > revision).map(|(app, _)| *app);
        Delta {
            revision: rows.last().filter(|_| more).map_or(self.revision, |row| row.revision),
            rows: rows.into_iter().map(|row| Registered::of(row.clone())).collect(),
            removed: removed().collect(),
            replaced: removed().filter(|app| self.apps.contains_key(app)).collect(),
            more,
        }
    }

    /// Everything that a manager needs to begin.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let mut open: Vec<_> = self.runs.values().filter(|row| row.run.end.is_none()).collect();
        open.sort_by_key(|row| row.run.start);
        Snapshot {
            apps: self.apps.values().map(|row| Registered::of(row.clone())).collect(),
            open_runs: open
                .into_iter()
                .map(|row| OpenRun {
                    run: row.run.run,
                    app: row.run.app,
                    start: row.run.start,
                    due: row.run.due,
                    trigger: row.trigger,
                    attempt: row.run.attempt,
                    command: row.command,
                    pid: row.run.pid,
                    manager: None,
                })
                .collect(),
            commands: self.pending(CommandId(0)),
            limits: self.limits.clone(),
            elsewhere: BTreeSet::new(),
            removed: self.removed.keys().filter(|app| !self.apps.contains_key(app)).copied().collect(),
            locked_rows: BTreeSet::new(),
            fleet_alerts: self
                .alerts
                .iter()
                .filter(|alert| alert.closed.is_none())
                .cloned()
                .filter_map(OpenFleetAlert::of)
                .collect(),
            bad_reports: self
                .alerts
                .iter()
                .filter(|alert| alert.closed.is_none() && alert.kind == AlertKind::BadReport.into())
                .filter_map(|alert| alert.subject.id())
                .collect(),
            revision: self.revision,
        }
    }

    /// The row of an app.
    #[must_use]
    pub fn app(&self, app: AppId) -> Option<&AppRow> {
        self.apps.get(&app)
    }

    /// The row of a run.
    #[must_use]
    pub fn run(&self, run: RunId) -> Option<&Run> {
        self.runs.get(&run).map(|row| &row.run)
    }

    /// All runs, in the order in which they were opened.
    #[must_use]
    pub fn runs(&self) -> Vec<&Run> {
        let mut runs: Vec<_> = self.runs.values().collect();
        runs.sort_by_key(|row| row.order);
        runs.into_iter().map(|row| &row.run).collect()
    }

    /// All times that did not become runs.
    pub fn skips(&self) -> impl Iterator<Item = &Skip> {
        self.skips.values()
    }

    /// All alerts.
    #[must_use]
    pub fn alerts(&self) -> &[AlertRow] {
        &self.alerts
    }

    /// Deletes an app; the counterpart of `OperatorStore::remove`.
    pub fn remove(&mut self, app: AppId) -> Result<(), StoreError> {
        if self.open_of(app).is_some() {
            return Err(running(
                self.apps.get(&app).map_or_else(|| app.to_string(), |row| row.app.path.to_string()),
            ));
        }
        self.delete(app);
        Ok(())
    }

    /// Deletes the row of an app whether or not it runs, as any program with SQL can. Gives whether it was there.
    pub fn delete(&mut self, app: AppId) -> bool {
        let was_there = self.apps.remove(&app).is_some();
        if was_there {
            self.revision.0 += 1;
            self.removed.insert(app, self.revision);
        }
        was_there
    }

    /// Gives an app another path; the counterpart of `OperatorStore::rename`.
    pub(super) fn rename(&mut self, from: &AppPath, to: AppPath) -> Result<(), StoreError> {
        let (old, new) = (AppId::of(from), AppId::of(&to));
        if !self.apps.contains_key(&old) {
            return Err(no_such_app(from));
        }
        if self.apps.contains_key(&new) {
            return Err(exists(&to));
        }
        if self.open_of(old).is_some() {
            return Err(running(from));
        }
        let Some(mut row) = self.apps.remove(&old) else { return Err(no_such_app(from)) };
        row.app.path = to;
        row.app.id = new;
        self.apps.insert(new, row);
        self.touch(new);
        self.revision.0 += 1;
        self.removed.insert(old, self.revision);
        for row in self.runs.values_mut().filter(|row| row.run.app == old) {
            row.run.app = new;
        }
        for row in self.commands.iter_mut().filter(|row| row.command.app == Some(old)) {
            row.command.app = Some(new);
        }
        for alert in self.alerts.iter_mut().filter(|alert| alert.subject == old.into()) {
            alert.subject = new.into();
        }
        for (app, ..) in self.alert_keys.iter_mut().filter(|(app, ..)| *app == old) {
            *app = new;
        }
        for log in self.kept_logs.iter_mut().filter(|log| log.app == old) {
            log.app = new;
        }
        self.log_wishes.remove(&old);
        let skips = std::mem::take(&mut self.skips).into_iter().map(|((app, due, reason), skip)| {
            let app = if app == old { new } else { app };
            ((app, due, reason), Skip { app, ..skip })
        });
        self.skips = skips.collect();
        Ok(())
    }
}
