//! The life of a run: due, waiting for room, opened, started, ended.

use std::time::Duration;

use chrono::TimeDelta;

use super::commands::reason_of;
use super::desk::Desk;
use super::entry::{Cause, Entry, Phase, Purpose, Rest, Running, SetAside, Starting, Stopping, Waiting};
use super::event::{Effect, Step};
use super::judgement::Finished;
use super::plan::{Due, Over, Plan};
use crate::model::explain;
use crate::model::{
    Alert, AlertCause, AlertEnd, AlertKind, AppId, Blame, Change, Closing, CmdName, Command, Concern, Ending,
    Minutes, Reason, Refusal, RunId, RunOpening, Schedule, Skip, SkipReason, StopCause, Timestamp, Trigger,
    Verdict, format_duration,
};

/// An alert is opened when a run has waited for this many times the grace after which it is late: half of the app's interval,
/// at least five minutes. A host that is full for a moment is no trouble.
const LATE_ALERT_GRACES: u32 = 10;

/// How long after its grace time a run that is being ended is left to its shim.
const KILL_SLACK: Duration = Duration::from_secs(5);

/// How often the manager then tries to kill it.
const KILL_EVERY: Duration = Duration::from_secs(10);

impl Entry {
    /// The time of the schedule has come.
    pub(super) fn fall_due(&mut self, desk: &mut Desk, step: &mut Step) {
        let due = self.plan(desk, step, Plan::take);
        if let Due::Run { due, trigger } = due {
            self.begin(Cause { due: Some(due), trigger, command: None }, desk, step);
        }
    }

    /// Begins a run, or waits for room. Only a resting app can begin.
    pub(super) fn begin(&mut self, cause: Cause, desk: &mut Desk, step: &mut Step) {
        let Phase::Resting(rest) = &self.phase else { return };
        match desk.index.full(&self.app.path) {
            Some(limit) => {
                let Schedule { interval, always, .. } = &self.app.schedule;
                let grace = explain::grace(interval.map(Minutes::duration));
                // What runs always has no time that it could miss.
                let due = cause.due.filter(|_| !always);
                let late_since = due.map(|due| due + grace);
                let late_at = late_since.map(|since| (desk.now.mono_at(since), since));
                let alert_since = due.map(|due| due + grace * LATE_ALERT_GRACES);
                let alert_at = alert_since.map(|since| (desk.now.mono_at(since), since));
                let rest = rest.clone();
                self.phase = Phase::Waiting(Box::new(Waiting {
                    cause,
                    rest,
                    limit,
                    alert_at,
                    late_at,
                    late_since: None,
                }));
            }
            None => self.open(cause, desk, step),
        }
    }

    /// Room was made somewhere.
    pub(super) fn try_again(&mut self, desk: &mut Desk, step: &mut Step) {
        if let Phase::Waiting(waiting) = &mut self.phase {
            match desk.index.full(&self.app.path) {
                Some(limit) => waiting.limit = limit,
                None => {
                    let cause = waiting.cause.clone();
                    self.open(cause, desk, step);
                }
            }
        }
    }

    fn open(&mut self, cause: Cause, desk: &mut Desk, step: &mut Step) {
        if matches!(self.phase, Phase::Waiting(_)) {
            self.plan(desk, step, Plan::begin_after_wait);
        }
        let run = desk.ids.next();
        let now = desk.now.wall;
        let attempt = self.failures.saturating_add(1);
        step.changes.push(Change::RunOpened(RunOpening {
            run,
            app: self.app.id,
            at: now,
            due: cause.due,
            trigger: cause.trigger,
            attempt,
            command: cause.command.as_ref().map(|command| command.id),
            manager: desk.manager.clone(),
            is_forced: false,
        }));
        step.effects.push(Effect::Start { run, launch: self.launch(&cause, attempt) });
        let previous = self.last_run.replace((run, now));
        self.asked = None;
        self.forget_counters();
        let rest = match &self.phase {
            Phase::Resting(rest) => rest.clone(),
            Phase::Waiting(waiting) => waiting.rest.clone(),
            Phase::Starting(_) | Phase::Running(_) | Phase::Stopping(_) => Rest::Ready,
        };
        self.phase = Phase::Starting(Box::new(Starting { run, cause, previous, rest }));
    }

    /// The process of the run exists.
    pub(super) fn started(&mut self, run: RunId, pid: u32, at: Timestamp, desk: &mut Desk, step: &mut Step) {
        let Phase::Starting(starting) = &mut self.phase else { return };
        debug_assert_eq!(starting.run, run, "runs are looked up by their id");
        let (trigger, rest) = (starting.cause.trigger, starting.rest.clone());
        let is_comparable = starting.cause.is_comparable();
        if let Some(command) = starting.cause.command.take() {
            settle(&command, Verdict::Executed, desk, step);
        }
        step.changes.push(Change::RunStarted { run, app: self.app.id, pid, at });
        self.last_run = Some((run, at));
        let ends_by = self.ends_by(at, trigger, desk);
        let proven_at = self.proven_at(at, desk.now);
        self.phase = Phase::Running(Box::new(Running {
            run,
            pid,
            trigger,
            is_comparable,
            rest,
            ends_by,
            proven_at,
            clock_set: TimeDelta::zero(),
            told: Box::default(),
        }));
        self.watch_from(at, desk.now);
    }

    /// When the run takes longer than `max_runtime`.
    fn ends_by(&self, started: Timestamp, trigger: Trigger, desk: &Desk) -> Option<Duration> {
        let gone = (desk.now.wall - started).to_std().unwrap_or(Duration::ZERO);
        let ends_by = self.app.policy.max_runtime.filter(|_| trigger != Trigger::RunApp);
        ends_by.map(|limit| desk.now.mono + limit.saturating_sub(gone))
    }

    /// The store would not open the run.
    pub(super) fn refused(&mut self, refusal: Refusal, desk: &mut Desk, step: &mut Step) {
        let Phase::Starting(starting) = &mut self.phase else { return };
        let Starting { cause: Cause { due, command, .. }, previous, rest, .. } = &mut **starting;
        let (due, command, previous, rest) = (*due, command.take(), previous.take(), rest.clone());
        self.last_run = previous;
        // A STOP sticks until something is really started.
        self.phase = Phase::Resting(rest.clone());
        let reason = match refusal {
            Refusal::AlreadyOpen(other) => {
                let cause = Cause { due: None, trigger: Trigger::RunApp, command: None };
                self.last_run = Some((other, desk.now.wall));
                self.phase = Phase::Starting(Box::new(Starting { run: other, cause, previous, rest }));
                step.effects.push(Effect::Adopt { run: other });
                self.leave_out(due, SkipReason::Overlap, desk, step);
                Reason::AlreadyRunning
            }
            Refusal::Disabled => {
                self.app.disabled = true;
                self.leave_out(due, SkipReason::Disabled, desk, step);
                self.plan(desk, step, |plan, account| plan.end(account, SkipReason::Disabled));
                Reason::Disabled
            }
            Refusal::NoSuchApp => {
                self.set_aside = Some(SetAside::Gone);
                Reason::NoSuchApp
            }
            Refusal::OwnedByOther => {
                // That it is lost comes by the feed; the command waits for its new manager.
                self.plan.hand_over();
                return;
            }
        };
        if let Some(command) = command {
            settle(&command, Verdict::NotExecuted(reason), desk, step);
        }
    }

    /// A run that was due does not come to be.
    pub(super) fn leave_out(&self, due: Option<Timestamp>, reason: SkipReason, desk: &Desk, step: &mut Step) {
        let at = desk.now.wall;
        let skip = |due| Skip { app: self.app.id, first: due, last: due, slots: Some(1), reason, at };
        step.changes.extend(due.map(skip).map(Change::Skipped));
    }

    /// Asks a run to end. What follows when it has ended is the purpose.
    pub(super) fn stop(&mut self, purpose: Purpose, cause: StopCause, desk: &mut Desk, step: &mut Step) {
        let running = match std::mem::replace(&mut self.phase, Phase::Resting(Rest::Ready)) {
            Phase::Running(running) | Phase::Stopping(Stopping { running, .. }) => running,
            phase @ (Phase::Resting(_) | Phase::Waiting(_) | Phase::Starting(_)) => {
                self.phase = phase;
                return;
            }
        };
        let grace = self.app.policy.stop_grace;
        step.effects.push(Effect::Stop { run: running.run, cause, grace });
        self.phase =
            Phase::Stopping(Stopping { running, purpose, overdue_at: desk.now.mono + grace + KILL_SLACK });
    }

    /// `max_runtime` is over, the counters may stand still, a run waits for long, or does not end though it should.
    pub(super) fn timed_out(&mut self, desk: &mut Desk, step: &mut Step) {
        self.look_at_ends(desk.now);
        match &mut self.phase {
            Phase::Running(running) if running.ends_by.is_some_and(|at| at <= desk.now.mono) => {
                self.stop(Purpose::Other, StopCause::Timeout, desk, step);
            }
            Phase::Running(running) if running.proven_at.is_some_and(|at| at <= desk.now.mono) => {
                running.proven_at = None;
                self.prove(desk, step);
                self.look_at_counters(desk);
            }
            Phase::Running(_) => self.look_at_counters(desk),
            Phase::Stopping(stopping) if stopping.overdue_at <= desk.now.mono => {
                stopping.overdue_at = desk.now.mono + KILL_EVERY;
                step.effects.push(Effect::Kill { run: stopping.running.run });
            }
            Phase::Waiting(waiting) => {
                if let Some((_, since)) = waiting.late_at.take_if(|(at, _)| *at <= desk.now.mono) {
                    waiting.late_since = Some(since);
                }
                if let Some((_, since)) = waiting.alert_at.take_if(|(at, _)| *at <= desk.now.mono) {
                    let alert = late_alert(self.app.id, waiting, since);
                    step.changes.push(Change::AlertOpened(alert));
                }
            }
            Phase::Resting(_) | Phase::Starting(_) | Phase::Stopping(_) => {}
        }
    }

    /// The run is over, or never came to be.
    pub(super) fn ended(&mut self, run: RunId, mut closing: Closing, desk: &mut Desk, step: &mut Step) {
        self.examine(&mut closing);
        let finished = Finished::of(run, &mut closing, self.clock_set());
        if let Some(time) = closing.report.next_run {
            self.wish(time);
        }
        self.reported_well(run, desk, step);
        let over = Over { ended: closing.ended.min(desk.now.wall), asked: self.asked.take() };
        self.note_peak(run, step);
        step.changes.push(Change::RunClosed { run, app: self.app.id, closing });
        let (app, log_keep) = (self.app.id, self.app.policy.log_keep);
        let has_failed = finished.ending.outcome().blame() == Blame::Bad;
        step.effects.push(Effect::Forget { run, app, log_keep, has_failed });
        let (trigger, rest, purpose) = match std::mem::replace(&mut self.phase, Phase::Resting(Rest::Ready)) {
            Phase::Starting(starting) => {
                let Starting { cause, rest, .. } = *starting;
                if let Some(command) = cause.command {
                    settle(&command, verdict_of_start(&finished.ending), desk, step);
                }
                (cause.trigger, rest, Purpose::Other)
            }
            Phase::Running(running) => (running.trigger, running.rest, Purpose::Other),
            Phase::Stopping(Stopping { running, purpose, .. }) => (running.trigger, running.rest, purpose),
            phase @ (Phase::Resting(_) | Phase::Waiting(_)) => {
                self.phase = phase;
                return;
            }
        };
        match purpose {
            Purpose::Command(command) => self.ended_by(command, over, desk, step),
            Purpose::Other if trigger == Trigger::RunApp => {
                self.phase = Phase::Resting(rest);
                self.plan(desk, step, |plan, account| plan.follow_foreign_run(over, account));
                self.settle_plan(desk, step);
            }
            Purpose::Other => self.judge(&finished, over, desk, step),
        }
        self.suspend_if_unscheduled(desk, step);
    }

    /// The run ended because of this command.
    fn ended_by(&mut self, command: Box<Command>, over: Over, desk: &mut Desk, step: &mut Step) {
        self.plan(desk, step, |plan, account| plan.follow_stopped_run(over, account));
        match command.name {
            CmdName::Restart if self.is_barred() => {
                self.rest_stopped(&command, desk, step);
                settle(&command, Verdict::NotExecuted(self.barred_reason()), desk, step);
            }
            CmdName::Restart => {
                self.plan(desk, step, Plan::begin_by_command);
                self.begin(
                    Cause { due: None, trigger: Trigger::Command, command: Some(command) },
                    desk,
                    step,
                );
            }
            CmdName::Disable => {
                self.set_disabled(true);
                self.rest_stopped(&command, desk, step);
                settle(&command, Verdict::Executed, desk, step);
            }
            CmdName::Stop | CmdName::Start | CmdName::Enable => {
                self.rest_stopped(&command, desk, step);
                settle(&command, Verdict::Executed, desk, step);
            }
        }
    }

    /// A person stopped the app: nothing is planned until START, RESTART or ENABLE.
    pub(super) fn rest_stopped(&mut self, command: &Command, desk: &Desk, step: &mut Step) {
        self.plan(desk, step, |plan, account| plan.end(account, reason_of(command)));
        self.phase = Phase::Resting(Rest::Stopped { by: command.by.clone() });
        self.publish_alone(desk, step);
    }

    /// Closes the alert of a run that waited for room, once it waits no longer.
    fn note_lateness(&self, desk: &Desk, step: &mut Step) {
        let is_late = matches!(&self.phase, Phase::Waiting(waiting) if waiting.late_since.is_some());
        if self.shows(Concern::Late) && !is_late {
            let (app, at) = (self.app.id, desk.now.wall);
            let (kinds, end) = (&[AlertKind::Late], AlertEnd::Recovered);
            step.changes.push(Change::AlertsClosed { app, kinds, at, end });
        }
    }

    /// What a command did goes into an update of its own: the next one may belong to a run that the
    /// store refuses, and is not written then.
    pub(super) fn publish_alone(&mut self, desk: &Desk, step: &mut Step) {
        self.note_stall(desk, step);
        self.note_lateness(desk, step);
        step.changes.extend(self.publish(&desk.manager).map(Change::App));
    }
}

fn verdict_of_start(ending: &Ending) -> Verdict {
    match ending {
        Ending::StartFailed(failure) => {
            Verdict::NotExecuted(Reason::CannotStart(failure.message.as_str().into()))
        }
        Ending::NeverStarted => {
            Verdict::NotExecuted(Reason::CannotStart("the process was never begun".into()))
        }
        Ending::Exited(_)
        | Ending::Suspect(_)
        | Ending::Stopped { .. }
        | Ending::OutOfMemory(_)
        | Ending::Unknown
        | Ending::HostRebooted => Verdict::Executed,
    }
}

/// The moment makes the episode: another manager that finds the run waiting opens the same one.
fn late_alert(app: AppId, waiting: &Waiting, since: Timestamp) -> Alert {
    let due = waiting.cause.due.unwrap_or(since);
    let message =
        format!("more than {} late, waits for room ({})", format_duration(since - due), waiting.limit);
    let (kind, cause) = (AlertKind::Late, AlertCause::of_text("no room"));
    Alert { app, kind, cause, run: None, message, detail: None, count: 1, at: since }
}

/// Notes the verdict on a command.
pub(super) fn settle(command: &Command, verdict: Verdict, desk: &Desk, step: &mut Step) {
    step.changes.push(Change::CommandSettled {
        id: command.id,
        app: command.app,
        verdict,
        at: desk.now.wall,
    });
}
