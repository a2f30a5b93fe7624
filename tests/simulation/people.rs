//! What comes from outside: fate, and the people who give commands and edit rows.

use chrono::TimeDelta;
use dcm::model::{App, AppId, CmdName, CommandId, CommandSource, Exit, Minutes, NewCommand};
use dcm::store::{Existing, Registration};

use crate::cast::CRONS;
use crate::host::{Serial, ShimId};
use crate::shell::Shell;
use crate::world::{Happening, World};

/// The wall clock stays within this many milliseconds of the true one: ten years and a bit.
const SHIFT_MAX: i64 = 12 * 366 * 86_400_000;

const KILL: i32 = 9;

impl World {
    /// Fate's turn.
    pub(crate) fn strike(&mut self) {
        let swarm = self.swarm.clone();
        if self.random.per_mille(swarm.manager_killed) {
            self.manager_dies("killed");
        }
        if self.random.per_mille(swarm.shim_killed) {
            let shims: Vec<ShimId> = self.host.shims.keys().copied().collect();
            if !shims.is_empty() {
                let shim = *self.random.pick(&shims);
                self.note(|| format!("{shim:?} is killed"));
                self.lose_shim(shim);
            }
        }
        if self.random.per_mille(swarm.app_killed) {
            let apps: Vec<Serial> = self.host.processes.keys().copied().collect();
            if !apps.is_empty() {
                let serial = *self.random.pick(&apps);
                self.process_ends(serial, Exit::Signal { signal: KILL, core: false });
            }
        }
        if self.random.per_mille(swarm.host_reboots) {
            self.manager_dies("the host goes down");
            self.reboot();
        }
        if self.random.per_mille(swarm.clock_jumps) {
            self.set_clock();
        }
        if self.random.per_mille(swarm.blind) {
            let blind = *self.random.pick(&[300, 4000, 25_000]);
            self.note(|| format!("nothing of the host can be looked at for {blind} ms"));
            self.host.blind_until = self.time + blind;
            self.oracle.blinded(self.time + blind);
        }
        if self.random.per_mille(swarm.rows_held) {
            let held = *self.random.pick(&[300, 4000, 45_000]);
            let app = self.random.pick(&self.cast).app.id;
            self.note(|| format!("somebody holds the row of {app:?} for {held} ms"));
            self.database.held.insert(app, self.time + held);
            self.oracle.calm_begins_at(self.time + held);
        }
        if self.random.per_mille(swarm.purges) {
            self.purge();
        }
        if self.random.per_mille(swarm.database_away) {
            let away = *self.random.pick(&[500, 5000, 30_000, 120_000]);
            self.note(|| format!("the database is away for {away} ms"));
            self.database.away_until = self.time + away;
        }
    }

    /// Deletes the history of all runs that have been over for a while.
    fn purge(&mut self) {
        let before = self.wall() - TimeDelta::seconds(30);
        let is_under_way = self.shell.as_ref().is_some_and(|shell| shell.batch.is_some());
        if !is_under_way {
            let purged = self.database.tables.purge_runs(before);
            self.note(|| format!("rows of history are deleted: {purged:?}"));
            self.oracle.purged(&purged);
        }
    }

    /// The time service puts a clock right that was ahead.
    pub(crate) fn put_clock_right(&mut self) {
        let by = -self.wall_shift;
        if by != 0 {
            self.wall_shift = 0;
            self.note(|| format!("the wall clock is put right by {by} ms"));
            self.oracle.clock_was_set(self.time, self.wall(), by);
        }
    }

    fn set_clock(&mut self) {
        const DAY: u64 = 86_400_000;
        let most =
            *self.random.pick(&[1000, 10_000, 90_000, 3_600_000, 5 * 3_600_000, DAY, 30 * DAY, 3653 * DAY]);
        let by = i64::try_from(self.random.between(1, most)).unwrap_or(0);
        let by = if self.random.coin() { by } else { -by };
        if (self.wall_shift + by).abs() < SHIFT_MAX {
            self.wall_shift += by;
            self.note(|| format!("the wall clock is set by {by} ms"));
            self.oracle.clock_was_set(self.time, self.wall(), by);
        }
    }

    /// Somebody who may give commands does something, or not.
    pub(crate) fn somebody_acts(&mut self) {
        if self.database.is_away(self.time) {
            return;
        }
        let apps: Vec<_> =
            self.cast.iter().filter(|card| !card.is_quiet).map(|card| card.app.clone()).collect();
        if self.random.per_mille(self.swarm.stop_apps) {
            self.note(|| "stop-apps".to_owned());
            self.stop_all("ana");
        }
        if apps.is_empty() {
            return;
        }
        let app = self.random.pick(&apps).clone();
        if self.random.per_mille(self.swarm.commands) {
            let count = *self.random.pick(&[1, 1, 1, 2, 3]);
            for _ in 0..count {
                self.command(app.id);
            }
        }
        if self.random.per_mille(self.swarm.edits) {
            self.edit(app.id);
        }
        if self.random.per_mille(self.swarm.removals) {
            self.remove_or_add(&app);
        }
        if self.random.per_mille(self.swarm.deletions) {
            self.delete_row(&app);
        }
        if self.swarm.has_limits && self.random.per_mille(50) {
            let limit = u32::try_from(self.random.between(1, 3)).unwrap_or(1);
            self.database.tables.limits.groups.insert(app.path.group.clone(), limit);
        }
    }

    fn command(&mut self, app: AppId) {
        let name = *self.random.pick(&[
            CmdName::Start,
            CmdName::Start,
            CmdName::Stop,
            CmdName::Restart,
            CmdName::Enable,
            CmdName::Disable,
        ]);
        let expires = self.random.per_mille(50).then(|| self.wall() + TimeDelta::seconds(5));
        let new = NewCommand {
            app,
            name,
            args: None,
            by: "ana".to_owned(),
            source: CommandSource::Cli,
            time: self.wall(),
            expires,
            batch: None,
            note: None,
        };
        let id = self.database.tables.submit(&new);
        self.note(|| format!("command {id} {name} for {app:?}"));
        self.oracle.command_issued(self.time, id, &new);
    }

    fn edit(&mut self, app: AppId) {
        // Who holds a row keeps others from it.
        if self.database.held.get(&app).is_some_and(|until| self.time < *until) {
            return;
        }
        let Some(row) = self.database.tables.app(app) else { return };
        let mut edited = row.app.clone();
        match self.random.between(0, 6) {
            0 | 1 => edited.disabled = !edited.disabled,
            2 => {
                edited.schedule.interval = Minutes::new(0.5).ok();
                edited.schedule.always = false;
            }
            3 => {
                edited.schedule.cron = self.random.pick(&CRONS).0.parse().ok();
                edited.schedule.always = false;
            }
            4 => {
                (edited.schedule.interval, edited.schedule.cron) = (None, None);
                edited.schedule.always = true;
            }
            _ => {
                let delay = i64::try_from(self.random.between(0, 120_000)).unwrap_or(0) - 60_000;
                let time = self.wall() + TimeDelta::milliseconds(delay);
                self.note(|| format!("edit: {app:?} next_run = {time}"));
                self.database.tables.ask_next_run(app, time);
                self.oracle.edited(self.time, app, edited.disabled);
                return;
            }
        }
        self.save(edited);
    }

    pub(crate) fn disable_by_hand(&mut self, app: AppId) {
        let is_quiet = self.cast.iter().any(|card| card.app.id == app && card.is_quiet);
        if let Some(row) = self.database.tables.app(app).filter(|_| !is_quiet) {
            let edited = App { disabled: true, ..row.app.clone() };
            self.save(edited);
        }
    }

    fn save(&mut self, edited: App) {
        let app = edited.id;
        self.note(|| format!("edit: {app:?} disabled {}, {:?}", edited.disabled, edited.schedule));
        let (disabled, schedule) = (edited.disabled, edited.schedule.clone());
        let registration = Registration { app: edited, next_run: None, existing: Existing::Replace };
        if self.database.tables.register(&registration).is_ok() {
            self.oracle.edited(self.time, app, disabled);
            self.oracle.rescheduled(app, schedule);
        }
    }

    fn remove_or_add(&mut self, app: &App) {
        if self.database.tables.app(app.id).is_none() {
            if !self.is_nothing_under_way(app.id) {
                return;
            }
            self.note(|| format!("added again: {:?}", app.id));
            let registration = Registration { app: app.clone(), next_run: None, existing: Existing::Refuse };
            if self.database.tables.register(&registration).is_ok() {
                self.oracle.registered(self.time, app.id, app.disabled);
            }
        } else if self.is_nothing_under_way(app.id) && self.database.tables.remove(app.id).is_ok() {
            self.note(|| format!("removed: {:?}", app.id));
            self.oracle.removed(self.time, app.id);
            if self.random.coin() {
                self.after(1, Happening::AddAgain { app: app.id });
            }
        }
    }

    /// Deletes the row of an app that runs, as any program with SQL can, now and then to write it again in the same
    /// transaction.
    fn delete_row(&mut self, app: &App) {
        if !self.oracle.has_open_run(app.id) || !self.database.tables.delete(app.id) {
            return;
        }
        self.note(|| format!("the row is deleted: {:?}", app.id));
        self.oracle.row_deleted(self.time, app.id);
        if self.random.coin() {
            self.remove_or_add(app);
        }
    }

    /// Nobody deletes an app while the manager is still writing about it: what is written then
    /// belongs to either row.
    fn is_nothing_under_way(&self, app: AppId) -> bool {
        let is_pending =
            self.database.tables.pending(CommandId(0)).iter().any(|command| command.app == Some(app));
        let is_idle =
            |shell: &Shell| shell.manager.is_some() && shell.batch.is_none() && shell.steps.is_empty();
        !is_pending && self.shell.as_ref().is_some_and(is_idle)
    }

    pub(crate) fn add_again(&mut self, app: AppId) {
        if let Some(card) = self.cast.iter().find(|card| card.app.id == app).cloned()
            && self.database.tables.app(app).is_none()
        {
            self.remove_or_add(&card.app);
        }
    }
}
