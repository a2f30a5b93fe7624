//! The beginning: puts together what the database says and what the host still knows of.

use std::collections::{BTreeMap, BTreeSet};

use super::commands::superseded_by;
use super::core::Manager;
use super::desk::{Desk, Index};
use super::entry::{BadReports, Cause, Entry, Phase, Purpose, Rest, Starting, Stopping};
use super::event::{Effect, Step};
use super::fleet::FleetTroubles;
use super::ids::RunIds;
use super::registry::Stray;
use super::runs::settle;
use crate::model::{
    AlertEnd, AlertKind, AppId, Blame, Change, Closing, CmdName, Command, CommandId, Ending, Now, OpenRun,
    Policy, Registered, RunId, RunOpening, Snapshot, StopCause, Survivor, SurvivorState, Timestamp, Trigger,
};

/// What a manager is told about itself.
#[derive(Debug, Clone)]
pub struct Identity {
    /// Its name in the database.
    pub name: String,
    /// The name of its host.
    pub host: String,
    /// 128 bits from the system's random source, for the ids of its runs.
    pub seed: u128,
}

impl Manager {
    /// Takes up a fleet: adopts runs that live, closes those that ended, begins again those that
    /// were on record but never started, and deals with the commands that wait.
    ///
    /// Adopting sends no signal and changes no app: doing it twice is doing it once.
    pub fn restore(
        identity: Identity,
        snapshot: Snapshot,
        survivors: Vec<Survivor>,
        now: Now,
    ) -> (Self, Step) {
        let desk = Desk {
            owners: [identity.name.clone(), format!("run-app@{}", identity.host)],
            manager: identity.name,
            now,
            ids: RunIds::new(identity.seed),
            index: Index::new(snapshot.limits),
        };
        let mut manager = Self {
            apps: BTreeMap::new(),
            strays: BTreeMap::new(),
            set_aside: BTreeMap::new(),
            orphans: BTreeMap::new(),
            fleet: FleetTroubles::of(snapshot.fleet_alerts),
            desk,
        };
        let mut step = Step::default();
        let mut restore = Restore {
            elsewhere: snapshot.elsewhere,
            removed: snapshot.removed,
            commands: snapshot.commands.into_iter().map(|command| (command.id, command)).collect(),
            running: survivors
                .iter()
                .filter(|survivor| matches!(survivor.state, SurvivorState::Running { .. }))
                .map(|survivor| (survivor.app, survivor.run))
                .collect(),
            survivors: survivors.into_iter().map(|survivor| (survivor.run, survivor)).collect(),
        };
        for row in snapshot.apps {
            match row {
                // Nothing is written about an app before its run is known.
                Registered::App(row)
                    if row.shown_fault.is_none() && row.bad_report.is_none() && row.is_named =>
                {
                    manager.add(*row);
                }
                Registered::App(_) => manager.apps_changed(vec![row], &mut step),
                Registered::SetAside(row) => {
                    // What runs of it is supervised to its end.
                    manager.note_fault(&row, &mut step);
                    manager.add(*row);
                }
            }
        }
        step.changes.extend(snapshot.locked_rows.into_iter().map(|app| unlocked(app, now)));
        for app in snapshot.bad_reports {
            if let Some(entry) = manager.apps.get_mut(&app) {
                let last = entry.last_run.map(|(run, _)| run);
                entry.bad_report = BadReports::During(Box::new(last));
            }
        }
        for open in snapshot.open_runs {
            restore.open_run(&mut manager, open, &mut step);
        }
        for survivor in std::mem::take(&mut restore.survivors).into_values() {
            if restore.is_stray(survivor.app, Some(&survivor)) {
                manager.stray(survivor.run, Stray::elsewhere(survivor.app), &mut step);
            } else {
                survivor_without_row(&mut manager, survivor, &restore.removed, &mut step);
            }
        }
        manager.apps.retain(|_, entry| entry.set_aside.is_none() || entry.run().is_some());
        let apps: Vec<_> = manager.apps.keys().copied().collect();
        for app in apps {
            manager.work(app, &mut step, Entry::settle_plan);
        }
        for command in restore.commands.into_values() {
            manager.command(command, &mut step);
        }
        manager.serve(&mut step);
        manager.settle_fleet(&mut step);
        (manager, step)
    }
}

/// If the row of the app is still held, that is noticed again.
fn unlocked(app: AppId, now: Now) -> Change {
    let (kinds, end) = (&[AlertKind::RowLocked], AlertEnd::Recovered);
    Change::AlertsClosed { app, kinds, at: now.wall, end }
}

struct Restore {
    /// Apps that are another manager's.
    elsewhere: BTreeSet<AppId>,
    /// Apps that were deleted.
    removed: BTreeSet<AppId>,
    /// Commands without a verdict that no run accounts for yet, oldest first.
    commands: BTreeMap<CommandId, Command>,
    /// The runs that live on this host, by their apps.
    running: BTreeMap<AppId, RunId>,
    /// What was found on the host and is not matched with a row yet.
    survivors: BTreeMap<RunId, Survivor>,
}

impl Restore {
    /// Whether a run that lives is of an app that is another manager's.
    fn is_stray(&self, app: AppId, survivor: Option<&Survivor>) -> bool {
        let is_running = |survivor: &Survivor| matches!(survivor.state, SurvivorState::Running { .. });
        survivor.is_some_and(is_running) && self.elsewhere.contains(&app)
    }

    /// A run that the database believes to go on.
    fn open_run(&mut self, manager: &mut Manager, open: OpenRun, step: &mut Step) {
        let survivor = self.survivors.remove(&open.run);
        let at = manager.desk.now.wall;
        let is_elsewhere = open.manager.as_ref().is_some_and(|name| !manager.desk.owners.contains(name));
        let Some(entry) = manager.apps.get(&open.app) else {
            // Its app is gone or invalid. A run that lives is left alone until it ends.
            if self.is_stray(open.app, survivor.as_ref()) {
                manager.stray(open.run, Stray::elsewhere(open.app), step);
            } else if let Some(orphan) = survivor.as_ref().and_then(Orphan::of) {
                manager.keep_orphan(open.run, orphan, &self.removed, step);
            } else if let Some(closing) = over(&open, survivor, at).filter(|_| !is_elsewhere) {
                close_without_app(open.run, open.app, closing, step);
            }
            return;
        };
        let is_superseded = self.running.get(&open.app).is_some_and(|run| *run != open.run);
        if is_superseded
            && !is_elsewhere
            && let Some(closing) = over(&open, survivor.clone(), at)
        {
            // The row is of an older backup: another run of the app lives now.
            close_without_app(open.run, open.app, closing, step);
            return;
        }
        debug_assert!(entry.run().is_none(), "the table allows one open run an app");
        let command = open.command.and_then(|id| self.commands.remove(&id)).map(Box::new);
        let cause = Cause { due: open.due, trigger: open.trigger, command };
        let noted_pid = survivor.as_ref().and_then(|survivor| survivor.pid);
        match survivor.map(|survivor| survivor.state) {
            None if is_elsewhere => {
                // Another host ends it, and its row will say so.
                take_up(manager, &open, Cause { trigger: Trigger::RunApp, ..cause }, step);
            }
            Some(SurvivorState::Running { pid, started, stop }) => {
                let stopper = self.stopper(open.app, stop.as_ref(), &manager.desk, step);
                let is_stopping = stop.is_some();
                take_up(manager, &open, cause, step);
                manager.work(open.app, step, |entry, desk, step| {
                    entry.started(open.run, pid, started, desk, step);
                    if is_stopping {
                        entry.resume_stop(stopper.map(Box::new), desk);
                    }
                });
            }
            Some(SurvivorState::Over(Closing { ending: Ending::NeverStarted, .. })) | None
                if open.trigger != Trigger::RunApp && open.pid.is_none() && !entry.is_barred() =>
            {
                // On record, and proven to have had no process: this is still the same run.
                let launch = entry.launch(&cause, open.attempt);
                take_up(manager, &open, cause, step);
                step.effects.push(Effect::Start { run: open.run, launch });
            }
            Some(SurvivorState::Over(closing)) => {
                let stopper = self.stopper(open.app, stop_cause(&closing.ending), &manager.desk, step);
                take_up(manager, &open, cause, step);
                if let (None, Some(pid), Some(at)) = (open.pid, noted_pid, closing.started) {
                    // It began while no manager was there, or one that could not enter it any more.
                    step.changes.push(Change::RunStarted { run: open.run, app: open.app, pid, at });
                }
                manager.work(open.app, step, |entry, desk, step| {
                    if let (Some(command), Some(started)) = (stopper, closing.started) {
                        entry.started(open.run, open.pid.or(noted_pid).unwrap_or(0), started, desk, step);
                        entry.resume_stop(Some(Box::new(command)), desk);
                    }
                    entry.ended(open.run, closing, desk, step);
                });
            }
            None => {
                take_up(manager, &open, cause, step);
                let closing = without_trace(&open, at);
                manager.work(open.app, step, |entry, desk, step| entry.ended(open.run, closing, desk, step));
            }
        }
    }

    /// The command that is ending a run, if it has no verdict yet. What was asked for before it is
    /// over: the manager before this one had decided on it and could not enter that any more.
    fn stopper(
        &mut self,
        app: AppId,
        cause: Option<&StopCause>,
        desk: &Desk,
        step: &mut Step,
    ) -> Option<Command> {
        let id = match cause {
            Some(StopCause::Command(id)) => *id,
            Some(
                StopCause::Timeout
                | StopCause::Memory(_)
                | StopCause::StopApps(_)
                | StopCause::Signal(_)
                | StopCause::Fence
                | StopCause::Removed,
            )
            | None => return None,
        };
        let stopper = self.commands.remove(&id)?;
        let is_over = |command: &Command| {
            command.app == Some(app) && matches!(command.name, CmdName::Start | CmdName::Restart)
        };
        let earlier = self.commands.range(..id).filter(|(_, command)| is_over(command));
        let earlier: Vec<_> = earlier.map(|(id, _)| *id).collect();
        for command in earlier.iter().filter_map(|id| self.commands.remove(id)) {
            settle(&command, superseded_by(&stopper), desk, step);
        }
        Some(stopper)
    }
}

/// Puts the app into the state in which its run is on record and nothing more is known.
fn take_up(manager: &mut Manager, open: &OpenRun, cause: Cause, step: &mut Step) {
    let (run, start) = (open.run, open.start);
    manager.work(open.app, step, |entry, _, _| {
        let previous = entry.last_run.replace((run, start));
        if previous.is_none_or(|(known, _)| known != run) {
            entry.forget_counters();
        }
        let rest = if let Phase::Resting(rest) = &entry.phase { rest.clone() } else { Rest::Ready };
        entry.phase = Phase::Starting(Box::new(Starting { run, cause, previous, rest }));
    });
}

/// A run that the host knows of, while the database has no open row for it.
fn survivor_without_row(
    manager: &mut Manager,
    survivor: Survivor,
    removed: &BTreeSet<AppId>,
    step: &mut Step,
) {
    let Survivor { run, app, state, .. } = survivor;
    match state {
        SurvivorState::Over(Closing { ending: Ending::NeverStarted, .. }) => {
            step.effects.push(Effect::Forget { run, app, log_keep: u32::MAX, has_failed: false });
        }
        // Closed before, and only its directory is left; or the database lost the row.
        SurvivorState::Over(closing) => close_without_app(run, app, closing, step),
        SurvivorState::Running { pid, started, .. } => {
            manager.keep_orphan(run, Orphan { app, pid, started }, removed, step);
            manager.adopt_orphan(app, step);
        }
    }
}

/// A run that lives, and whose app the database does not know or believes to be doing something else.
#[derive(Debug, Clone, Copy)]
pub(super) struct Orphan {
    pub(super) app: AppId,
    pid: u32,
    started: Timestamp,
}

impl Orphan {
    fn of(survivor: &Survivor) -> Option<Self> {
        match survivor.state {
            SurvivorState::Running { pid, started, .. } => Some(Self { app: survivor.app, pid, started }),
            SurvivorState::Over(_) => None,
        }
    }
}

impl Manager {
    /// A run lives whose app is not there. If that was deleted, the run is ended; the database may also be of an older
    /// backup, and then it goes on.
    fn keep_orphan(&mut self, run: RunId, orphan: Orphan, removed: &BTreeSet<AppId>, step: &mut Step) {
        if removed.contains(&orphan.app) {
            self.stray(run, Stray::removed(orphan.app, Policy::default().stop_grace), step);
        } else {
            self.orphans.insert(run, orphan);
        }
    }

    /// Enters the run that lives of an app that is there now, and at rest.
    pub(super) fn adopt_orphan(&mut self, app: AppId, step: &mut Step) {
        let is_free = self.apps.get(&app).is_some_and(|entry| entry.run().is_none());
        let found =
            self.orphans.iter().find(|(_, orphan)| orphan.app == app).map(|(run, orphan)| (*run, *orphan));
        let Some((run, Orphan { pid, started, .. })) = found.filter(|_| is_free) else { return };
        self.orphans.remove(&run);
        step.changes.push(Change::RunOpened(RunOpening {
            run,
            app,
            at: started,
            due: None,
            trigger: Trigger::Schedule,
            attempt: 1,
            command: None,
            manager: self.desk.manager.clone(),
            is_forced: true,
        }));
        let open = OpenRun {
            run,
            app,
            start: started,
            due: None,
            trigger: Trigger::Schedule,
            attempt: 1,
            command: None,
            pid: Some(pid),
            manager: None,
        };
        let cause = Cause { due: None, trigger: Trigger::Schedule, command: None };
        take_up(self, &open, cause, step);
        self.work(app, step, |entry, desk, step| entry.started(run, pid, started, desk, step));
    }
}

pub(super) fn close_without_app(run: RunId, app: AppId, closing: Closing, step: &mut Step) {
    let has_failed = closing.ending.outcome().blame() == Blame::Bad;
    step.changes.push(Change::RunClosed { run, app, closing });
    step.effects.push(Effect::Forget { run, app, log_keep: u32::MAX, has_failed });
}

fn over(open: &OpenRun, survivor: Option<Survivor>, at: Timestamp) -> Option<Closing> {
    match survivor.map(|survivor| survivor.state) {
        Some(SurvivorState::Running { .. }) => None,
        Some(SurvivorState::Over(closing)) => Some(closing),
        None => Some(without_trace(open, at)),
    }
}

/// How a run ended of which the host knows nothing: it never began, or was ended and forgotten, but in another database:
/// this one is an older backup.
fn without_trace(open: &OpenRun, at: Timestamp) -> Closing {
    let has_begun = open.trigger == Trigger::RunApp || open.pid.is_some();
    Closing::unseen(if has_begun { Ending::Unknown } else { Ending::NeverStarted }, at)
}

fn stop_cause(ending: &Ending) -> Option<&StopCause> {
    match ending {
        Ending::Stopped { cause, .. } => Some(cause),
        Ending::Exited(_)
        | Ending::Suspect(_)
        | Ending::OutOfMemory(_)
        | Ending::StartFailed(_)
        | Ending::NeverStarted
        | Ending::Unknown
        | Ending::HostRebooted => None,
    }
}

impl Entry {
    /// Somebody, perhaps the manager before this one, is ending the run already.
    fn resume_stop(&mut self, command: Option<Box<Command>>, desk: &Desk) {
        let purpose = command.map_or(Purpose::Other, Purpose::Command);
        match std::mem::replace(&mut self.phase, Phase::Resting(Rest::Ready)) {
            Phase::Running(running) => {
                let overdue_at = desk.now.mono + self.app.policy.stop_grace;
                self.phase = Phase::Stopping(Stopping { running, purpose, overdue_at });
            }
            phase @ (Phase::Resting(_) | Phase::Waiting(_) | Phase::Starting(_) | Phase::Stopping(_)) => {
                self.phase = phase;
            }
        }
    }
}
