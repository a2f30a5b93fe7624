//! Watches a world and says what must never happen. It sees the true processes and what the
//! database holds after each transaction; of the manager's own memory it knows nothing.
//!
//! The numbers of the invariants are those of FAULTS.md, section 2.

mod always;
mod calm;
mod ledger;
mod processes;
mod rows;
mod slots;
mod stalls;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chrono::TimeDelta;

use dcm::model::{
    AlertKind, AppId, CatchUp, CmdName, Command, CommandId, Exit, NewCommand, Obstacle, OnFailures,
    OnSuspect, Run, RunId, Schedule, Timestamp, Trigger, Verdict,
};

use self::slots::Slots;
use crate::cast::{CRONS, Card};
use crate::host::Serial;

/// Steps of the wall clock that may pass for its natural drift, in milliseconds.
const NUDGE: i64 = 3000;

/// A manager of five apps has no reason to wake more often in a second.
const WAKES_MAX: u32 = 100;

/// Something happened that must not.
#[derive(Debug, Clone)]
pub(crate) struct Violation {
    pub(crate) invariant: &'static str,
    pub(crate) what: String,
}

#[derive(Debug, Default)]
pub(crate) struct Oracle {
    pub(crate) violation: Option<Violation>,
    pub(crate) processes: u64,
    apps: BTreeMap<AppId, Subject>,
    runs: BTreeMap<RunId, Truth>,
    commands: BTreeMap<CommandId, Issued>,
    living: BTreeMap<Serial, Living>,
    /// Since when nothing was broken, by time of the world.
    calm_since: u64,
    restored_at: u64,
    /// Until when nothing of the host could be looked at.
    blind_until: u64,
    managers: u32,
    wishes: BTreeMap<AppId, Wish>,
    alerts: BTreeSet<(AppId, AlertKind, Option<RunId>)>,
    batch_since: u64,
    /// When the wall clock was set last, and when by so little that nobody can notice.
    clock_set_at: Option<u64>,
    clock_nudged_at: Option<u64>,
    /// Times that came twice, since the clock was set back over them.
    repeated: Vec<(Timestamp, Timestamp)>,
    /// At most so many apps may run at once.
    host_limit: Option<u32>,
    /// Wakes of the manager in the second that begins then.
    wakes: (u64, u32),
}

/// What must be true of an app.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "facts that do not depend on each other")]
struct Subject {
    is_quiet: bool,
    /// Missed times are caught up one by one: a manager that begins amid them knows the first only.
    has_backlog: bool,
    schedule: Schedule,
    /// Somebody has given it another schedule: what it was when a run ended is not known.
    is_rescheduled: bool,
    min_uptime: Duration,
    /// Milliseconds between the times of its cron.
    period: Option<i64>,
    grace: Duration,
    max_runtime: Option<Duration>,
    max_failures: u32,
    on_failures: OnFailures,
    min_solved: u64,
    compare_history: bool,
    on_suspect: OnSuspect,
    is_registered: bool,
    disabled: bool,
    /// The STOP that sticks.
    stopped: Option<CommandId>,
    /// It was disabled, and nobody has given START, RESTART or ENABLE since.
    rests: bool,
    /// It cannot start, or was given up: it waits for a person.
    must_wait: bool,
    /// An alert about its failures is open.
    is_flagged: bool,
    /// An alert about its suspect runs is open.
    is_suspected: bool,
    /// One was when the row was deleted, and a manager may have taken it over to the new row.
    may_be_flagged: bool,
    /// The last run could not be started, for a reason that stays.
    cannot_start: bool,
    /// Failures in a row: at least and at most, for an end at the time of a command may count or
    /// not.
    failures: (u32, u32),
    /// Crashes since the last good run, or the last long one: at least and at most, as a manager that begins takes all
    /// failures for crashes.
    crashes: (u32, u32),
    open: Option<RunId>,
    last_closed_at: Option<u64>,
    last_barred_at: Option<u64>,
    /// When somebody last asked something of it or edited its row.
    touched_at: u64,
    /// The latest STOP or DISABLE with effect.
    barrier: Option<CommandId>,
    covered: Slots,
    skips: BTreeMap<(Timestamp, &'static str), Timestamp>,
    last_end: Option<End>,
}

/// How the last process of an app ended.
#[derive(Debug, Clone, Copy)]
struct End {
    at: u64,
    exit: Option<Exit>,
    run: RunId,
}

/// A time at which an app wants to run next.
#[derive(Debug, Clone, Copy)]
struct Wish {
    run: RunId,
    time: Timestamp,
    /// When it asked, and when that time comes if nobody sets the clock.
    asked_at: u64,
    comes_at: u64,
}

/// What really became of a run.
#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "facts that do not depend on each other")]
struct Truth {
    app: Option<AppId>,
    opened_at: u64,
    command: Option<CommandId>,
    trigger: Option<Trigger>,
    began: Vec<u64>,
    /// When its counters moved last, once they were more than nothing.
    counted_at: Option<u64>,
    ended_at: Option<u64>,
    exit: Option<Exit>,
    is_unseen: bool,
    was_shim_killed: bool,
    was_host_lost: bool,
    start_failed: Option<Obstacle>,
    stop_requested_at: Option<u64>,
    is_stopped_by_hand: bool,
    closed: Option<Run>,
    /// Its row was deleted once it was closed.
    is_purged: bool,
    /// The row of its app was deleted while it went on.
    lost_app: bool,
}

#[derive(Debug)]
struct Issued {
    command: Command,
    at: u64,
    settled: Option<(Verdict, u64)>,
    /// The run that it brought about.
    run: Option<RunId>,
}

#[derive(Debug, Clone, Copy)]
struct Living {
    run: RunId,
    app: AppId,
    began: u64,
}

impl Oracle {
    pub(crate) fn meet(&mut self, cast: &[Card]) {
        for card in cast {
            let subject = Subject {
                is_quiet: card.is_quiet,
                has_backlog: card.app.policy.catch_up == CatchUp::All,
                schedule: card.app.schedule.clone(),
                is_rescheduled: false,
                min_uptime: card.app.policy.min_uptime,
                period: period(&card.app.schedule),
                grace: card.app.policy.stop_grace,
                max_runtime: card.app.policy.max_runtime,
                max_failures: card.app.policy.max_failures,
                on_failures: card.app.policy.on_failures,
                min_solved: card.app.policy.min_solved,
                compare_history: card.app.policy.compare_history,
                on_suspect: card.app.policy.on_suspect,
                is_registered: false,
                disabled: false,
                stopped: None,
                rests: false,
                must_wait: false,
                is_flagged: false,
                is_suspected: false,
                may_be_flagged: false,
                cannot_start: false,
                failures: (0, 0),
                crashes: (0, 0),
                open: None,
                last_closed_at: None,
                last_barred_at: None,
                touched_at: 0,
                barrier: None,
                covered: Slots::default(),
                skips: BTreeMap::new(),
                last_end: None,
            };
            self.apps.insert(card.app.id, subject);
        }
    }

    /// The first violation counts; what follows from it does not.
    fn must(&mut self, holds: bool, invariant: &'static str, what: impl FnOnce() -> String) {
        if !holds && self.violation.is_none() {
            self.violation = Some(Violation { invariant, what: what() });
        }
    }

    pub(crate) fn registered(&mut self, time: u64, app: AppId, disabled: bool) {
        if let Some(subject) = self.apps.get_mut(&app) {
            if !subject.is_registered {
                subject.last_barred_at = Some(time);
            }
            subject.is_registered = true;
            subject.touched_at = time;
            subject.rests = false;
            subject.disabled = disabled;
            subject.stopped = None;
            subject.must_wait = false;
            subject.may_be_flagged |= subject.is_flagged;
            subject.is_flagged = false;
            subject.is_suspected = false;
            subject.failures.0 = 0;
            subject.crashes.0 = 0;
        }
    }

    /// What is found in a run directory later may be entered again.
    pub(crate) fn purged(&mut self, runs: &[RunId]) {
        for run in runs {
            self.runs.entry(*run).or_default().is_purged = true;
        }
    }

    pub(crate) fn removed(&mut self, time: u64, app: AppId) {
        if let Some(subject) = self.apps.get_mut(&app) {
            subject.is_registered = false;
            subject.touched_at = time;
            subject.last_barred_at = Some(time);
        }
    }

    pub(crate) fn has_open_run(&self, app: AppId) -> bool {
        self.apps.get(&app).is_some_and(|subject| subject.open.is_some())
    }

    /// The row of an app was deleted while it ran: its run is to end, unless the row is written again at once.
    pub(crate) fn row_deleted(&mut self, time: u64, app: AppId) {
        self.removed(time, app);
        let is_open = |truth: &&mut Truth| truth.app == Some(app) && truth.closed.is_none();
        self.runs.values_mut().filter(is_open).for_each(|truth| truth.lost_app = true);
    }

    /// A row was edited by hand.
    pub(crate) fn edited(&mut self, time: u64, app: AppId, disabled: bool) {
        if let Some(subject) = self.apps.get_mut(&app) {
            if subject.disabled {
                subject.last_barred_at = Some(time);
            }
            subject.disabled = disabled;
            subject.touched_at = time;
        }
    }

    /// With the row an app gets the schedule that its author gave it again.
    pub(crate) fn rescheduled(&mut self, app: AppId, schedule: Schedule) {
        if let Some(subject) = self.apps.get_mut(&app) {
            subject.is_rescheduled |= subject.schedule != schedule;
        }
    }

    pub(crate) fn command_issued(&mut self, time: u64, id: CommandId, new: &NewCommand) {
        let command = Command {
            id,
            app: Some(new.app),
            name: new.name,
            args: new.args.clone(),
            by: new.by.clone(),
            time: new.time,
            expires: new.expires,
            fault: None,
        };
        self.commands.insert(id, Issued { command, at: time, settled: None, run: None });
        if let Some(subject) = self.apps.get_mut(&new.app) {
            subject.touched_at = time;
        }
    }

    /// For a program that repeats commands.
    pub(crate) fn some_settled_command(&self) -> Option<Command> {
        let settled = |issued: &&Issued| issued.settled.is_some() && issued.command.name == CmdName::Start;
        self.commands.values().rev().find(settled).map(|issued| issued.command.clone())
    }

    pub(crate) fn manager_begins(&mut self) {
        self.managers += 1;
    }

    /// Something broke, or a manager has just begun.
    pub(crate) fn disturbed(&mut self, time: u64) {
        self.calm_since = self.calm_since.max(time);
        self.restored_at = time;
    }

    /// Nothing of the host can be looked at until then.
    pub(crate) fn blinded(&mut self, until: u64) {
        self.blind_until = self.blind_until.max(until);
        self.calm_begins_at(until);
    }

    /// What is broken now is mended by itself then.
    pub(crate) fn calm_begins_at(&mut self, time: u64) {
        self.calm_since = self.calm_since.max(time);
    }

    pub(crate) fn batch_begins(&mut self, time: u64) {
        self.batch_since = time;
    }

    pub(crate) fn clock_was_set(&mut self, time: u64, wall: Timestamp, by: i64) {
        self.clock_set_at = Some(time);
        if by < 0 {
            self.repeated.push((wall, wall - TimeDelta::milliseconds(by)));
        }
        if by.abs() < NUDGE {
            self.clock_nudged_at = Some(time);
        }
    }

    /// Whether the times may be accounted for a second time, since some of them came twice.
    fn may_repeat(&self, first: Timestamp, last: Timestamp) -> bool {
        self.repeated.iter().any(|(from, to)| first <= *to && last > *from)
    }

    /// Whether a pause may have been measured wrongly: a small step looks like a slow clock, and a
    /// manager that begins knows the end of a pause by the wall clock only.
    fn may_mistake_pauses(&self, since: u64) -> bool {
        let is_since = |at: Option<u64>| at.is_some_and(|at| at >= since);
        is_since(self.clock_nudged_at) || is_since(self.clock_set_at) && self.restored_at >= since
    }

    pub(crate) fn limit_host(&mut self, limit: Option<u32>) {
        self.host_limit = limit;
    }

    /// The manager was called because its deadline came.
    pub(crate) fn woke(&mut self, time: u64) {
        if time >= self.wakes.0 + 1000 {
            self.wakes = (time, 0);
        }
        self.wakes.1 += 1;
        let count = self.wakes.1;
        self.must(count <= WAKES_MAX, "35 no busy loop", || format!("{count} wakes in a second"));
    }

    fn was_clock_set_since(&self, time: u64) -> bool {
        self.clock_set_at.is_some_and(|at| at >= time)
    }

    /// Whether somebody has asked for an end of what this app was doing since then.
    fn is_asked_to_end(&self, app: AppId, since: u64, by_other_than: Option<CommandId>) -> bool {
        self.commands.values().any(|issued| {
            issued.command.app == Some(app)
                && Some(issued.command.id) != by_other_than
                && matches!(issued.command.name, CmdName::Stop | CmdName::Restart | CmdName::Disable)
                && issued.settled.as_ref().is_none_or(|(_, at)| *at >= since)
        })
    }
}

fn period(schedule: &Schedule) -> Option<i64> {
    let text = schedule.cron.as_ref()?.as_str();
    let seconds = CRONS.iter().find(|(cron, _)| *cron == text)?.1;
    i64::try_from(seconds * 1000).ok()
}
