//! What must come right once nothing is broken any more.

use std::time::Duration;

use chrono::TimeDelta;
use dcm::model::{AlertKind, AppRow, Exit, Planned, Registered, RunStatus, Timestamp};

use super::Oracle;
use super::processes::{BACK_OFF_MAX, back_off};
use crate::world::World;

/// So long after the last fault everything must have come right, in milliseconds: the longest grace
/// time, the slack after it, and the retries of the outbox.
const CALM: u64 = 45_000;

/// How long a run may be open without a process.
const CLOSED_WITHIN: u64 = 10_000;

/// How long a command may be without a verdict: three that wait for each other's grace times.
const SETTLED_WITHIN: u64 = 60_000;

/// A pause of a run that failed, over a step of the clock.
const CLOCK_SLACK: i64 = 600_000;

/// How late a due app may begin.
const LATE_MAX: TimeDelta = TimeDelta::seconds(15);

impl World {
    /// Looks whether the world is as it should be, if it has had time for that.
    pub(crate) fn check_calm(&mut self) {
        let time = self.time;
        let disturbed = self.oracle.calm_since.max(self.database.away_until.min(time));
        let is_broken = self.swarm.commit_fails > 0 || self.swarm.read_fails > 0 || self.swarm.is_slow;
        let serves = self.shell.as_ref().is_some_and(|shell| shell.manager.is_some());
        if !serves || time < disturbed + CALM || is_broken {
            return;
        }
        self.rows_without_process();
        self.processes_unseen();
        self.commands_without_verdict();
        self.oracle.runs_that_take_too_long(time);
        if let Some(shell) = &self.shell {
            let is_stuck = shell.batch.is_some() && time > self.oracle.batch_since + CLOSED_WITHIN;
            self.oracle.must(!is_stuck, "34 the outbox drains", || "it does not".to_owned());
            let (count, open) = (self.host.dirs.len(), self.oracle.open_runs());
            self.oracle
                .must(count <= open + 3, "25 run directories are removed", || format!("{count} are left"));
        }
        for row in self.rows() {
            let has_alert = self.database.tables.alerts().iter().any(|alert| {
                let app = row.app.id.into();
                alert.closed.is_none() && alert.kind == AlertKind::Stalled.into() && alert.subject == app
            });
            self.oracle.stall_is_true(time, &row, has_alert);
            self.oracle.concern_is_possible(&row);
            self.is_served(&row);
        }
    }

    fn rows(&self) -> Vec<AppRow> {
        let delta = self.database.tables.changes_since(dcm::model::Revision(0));
        let rows = delta.rows.into_iter();
        rows.filter_map(|row| if let Registered::App(row) = row { Some(*row) } else { None }).collect()
    }

    fn rows_without_process(&mut self) {
        let time = self.time;
        let stale = self.oracle.runs.iter().find(|(_, truth)| {
            let since = truth.ended_at.unwrap_or(truth.opened_at);
            let lives = !truth.began.is_empty() && truth.ended_at.is_none();
            truth.trigger.is_some() && truth.closed.is_none() && !lives && since + CLOSED_WITHIN < time
        });
        let what = stale.map(|(run, truth)| format!("{run:?}: {truth:?}"));
        self.oracle.must(what.is_none(), "4 no row without a process", || what.unwrap_or_default());
    }

    /// What lives is shown by the row of its app; what has no row has been ended.
    fn processes_unseen(&mut self) {
        let (time, tables, apps) = (self.time, &self.database.tables, &self.oracle.apps);
        let unseen = self.oracle.living.values().copied().find(|living| {
            let touched_at = apps.get(&living.app).map_or(0, |subject| subject.touched_at);
            let is_settled = living.began + CLOSED_WITHIN < time && touched_at + CALM < time;
            let is_shown = tables.app(living.app).is_some_and(|row| {
                row.state.status == RunStatus::Running && row.state.run == Some(living.run)
            });
            is_settled && !is_shown
        });
        self.oracle.must(unseen.is_none(), "P30 nothing runs unseen", || format!("{unseen:?}"));
    }

    fn commands_without_verdict(&mut self) {
        let (time, tables) = (self.time, &self.database.tables);
        let waiting = self.oracle.commands.values().find(|issued| {
            let row = issued.command.app.and_then(|app| tables.app(app));
            let is_in_line = row.is_some_and(|row| row.state.waiting_for.is_some());
            issued.settled.is_none() && issued.at + SETTLED_WITHIN < time && !is_in_line
        });
        let what = waiting.map(|issued| format!("{:?}", issued.command));
        self.oracle.must(what.is_none(), "31 each command has a verdict", || what.unwrap_or_default());
    }

    /// Whether what the row asks for is being done.
    fn is_served(&mut self, row: &AppRow) {
        let (time, wall) = (self.time, self.wall());
        let app = row.app.id;
        let Some(subject) = self.oracle.apps.get(&app) else { return };
        if time < subject.touched_at + CALM {
            return;
        }
        let (open, disabled, stopped) = (subject.open, subject.disabled, subject.stopped);
        let (must_wait, last_end) = (subject.must_wait, subject.last_end);
        let (is_flagged, is_suspected) = (subject.is_flagged, subject.is_suspected);
        let has_backlog = subject.has_backlog;
        let (last_closed_at, rests) = (subject.last_closed_at, subject.rests);
        let is_settled = subject.last_closed_at.is_none_or(|at| at + CLOSED_WITHIN < time)
            && last_end.is_none_or(|end| end.at + CLOSED_WITHIN < time);
        let oracle = &mut self.oracle;
        oracle.must(row.app.disabled == disabled, "30 DISABLE reaches the row", || format!("{row:?}"));
        let has_room =
            oracle.open_runs() == 0 && oracle.last_closed_at().is_none_or(|at| at + CLOSED_WITHIN < time);
        let is_left = row.state.waiting_for.is_some() && has_room;
        oracle.must(!is_left, "30 the line is served", || format!("{row:?}"));
        if open.is_some() || !is_settled || row.state.waiting_for.is_some() {
            return;
        }
        oracle.must(row.state.status != RunStatus::Running, "30 the row tells the truth", || {
            format!("{row:?}")
        });
        let is_shown = !is_suspected || row.state.suspects > 0 && row.state.fatal.is_some();
        oracle.must(is_shown, "30 the row shows suspect runs", || format!("{row:?}"));
        let is_told = !(must_wait || is_flagged) || row.state.fatal.is_some();
        oracle.must(is_told, "30 the row shows why it waits", || format!("{row:?}"));
        oracle.must(stopped.is_none() || row.state.stopped_by.is_some(), "30 STOP reaches the row", || {
            format!("{row:?}")
        });
        let has_schedule = row.app.schedule.is_timed() || row.app.schedule.always;
        // A run that DISABLE stopped leaves the app STOPPED, whoever sets `disable` back by hand.
        let rests = rests && row.state.stopped_by.is_some();
        if disabled || must_wait || stopped.is_some() || rests || !has_schedule {
            return;
        }
        let is_planned = has_backlog || row.next_run.is_some_and(|next| next + LATE_MAX > wall);
        let has_seen_clock = !oracle.was_clock_set_since(time.saturating_sub(CLOSED_WITHIN));
        oracle.must(is_planned || !has_seen_clock, "30 a due app runs", || format!("{row:?} at {wall}"));
        oracle.is_in_back_off(row, wall, has_seen_clock);
        if let Some(subject) = oracle.apps.get(&app).filter(|subject| subject.is_quiet)
            && let Some(period) = subject.period
        {
            let longest = TimeDelta::milliseconds(period + CLOCK_SLACK);
            let is_near = row.next_run.is_none_or(|next| next - wall <= longest);
            oracle.must(
                is_near || !has_seen_clock,
                "M15 a clock that is set back stalls no calendar",
                || format!("{row:?} at {wall}"),
            );
        }
        if let Some(end) = last_end
            && let Some(pause) = oracle.pause_after(end, app)
            && let Some(subject) = oracle.apps.get(&app)
            && subject.is_quiet
            && subject.period.is_none()
            && !oracle.may_mistake_pauses(end.at)
        {
            // A failure that the oracle does not count may have made a back-off longer; what was missed while no
            // manager was there may be left out by policy.
            let is_crash = subject.schedule.always || matches!(end.exit, Some(Exit::Signal { .. }));
            let longest = match is_crash {
                true if oracle.restored_at >= end.at => BACK_OFF_MAX,
                true => back_off(subject.crashes.1),
                false => 60_000,
            };
            let since = end.at.max(oracle.restored_at).max(last_closed_at.unwrap_or(0));
            let is_late = time > since + pause.max(longest) + CALM;
            oracle.must(!is_late, "30 a pause ends", || format!("{row:?}: {end:?}, {pause} ms"));
        }
    }

    /// The times of every calendar are accounted for.
    pub(crate) fn check_the_end(&mut self) {
        self.check_calm();
        let wall = self.wall();
        let quiet =
            self.oracle.apps.iter().filter(|(_, subject)| subject.is_quiet && subject.period.is_some());
        let mut found = None;
        for (app, subject) in quiet {
            let ranges = subject.covered.ranges();
            let period = subject.period.unwrap_or(1);
            // What a backlog holds is still to come.
            let open = self.database.tables.app(*app).and_then(|row| row.slot);
            let open = open.map_or(i64::MAX, |slot| slot.timestamp_millis() / period);
            if ranges.windows(2).any(|pair| pair[0].1 + 1 < open) {
                found = Some(format!("{app:?} left out some between {ranges:?}, open from {open}"));
            }
            let is_busy = subject.open.is_some()
                || self.database.tables.app(*app).is_none_or(|row| row.state.waiting_for.is_some());
            let due = (wall.timestamp_millis() - 90_000) / period;
            let reached = ranges.last().map_or(i64::MAX, |(_, last)| *last);
            // The times that come in a back-off are accounted for when it is over, and those that the clock leaps over
            // meanwhile. Until then the row keeps the first of them.
            let row = self.database.tables.app(*app);
            let is_kept = row.is_some_and(|row| is_in_a_pause(row, wall)) && open <= reached + 1;
            if !is_busy && !is_kept && reached < due {
                found = Some(format!("{app:?} left out those from {reached} to {due}"));
            }
        }
        self.oracle.must(found.is_none(), "11 no time is left out", || found.unwrap_or_default());
    }
}

/// Whether the pause that the row shows has begun and is not over.
fn is_in_a_pause(row: &AppRow, wall: Timestamp) -> bool {
    let Some(left) = row.next_run.and_then(|end| (end - wall).to_std().ok()) else { return false };
    match row.planned {
        Some(Planned::Pause(length)) => left <= length,
        // A backlog waits for the end of a back-off: the row shows that, and the first of its times.
        Some(Planned::Calendar) => row.slot < row.next_run && left <= Duration::from_millis(BACK_OFF_MAX),
        Some(Planned::Asked) | None => false,
    }
}

impl Oracle {
    fn runs_that_take_too_long(&mut self, time: u64) {
        let overdue = self.living.values().copied().find(|living| {
            let subject = self.apps.get(&living.app);
            let limit = subject.and_then(|subject| subject.max_runtime.map(|limit| limit + subject.grace));
            let limit = limit.and_then(|limit| u64::try_from(limit.as_millis()).ok());
            limit.is_some_and(|limit| time > living.began + limit + CALM)
                && !self.was_clock_set_since(living.began)
        });
        self.must(overdue.is_none(), "P29 a run ends in its time", || format!("{overdue:?}"));
    }

    fn last_closed_at(&self) -> Option<u64> {
        self.apps.values().filter_map(|subject| subject.last_closed_at).max()
    }

    fn open_runs(&self) -> usize {
        self.apps.values().filter(|subject| subject.open.is_some()).count()
    }
}
