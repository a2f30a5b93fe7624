//! What must be true after each transaction, of commands and of what may begin.

use dcm::model::{
    Alert, AlertKind, AppId, Change, CmdFlag, CmdName, CommandId, Ending, Exit, OnFailures, RunId,
    RunOpening, Skip, StopCause, Subject, Timestamp, Trigger, Verdict,
};
use dcm::store::{Committed, Tables};

use super::{Living, Oracle, Truth};

/// How long a run may be on record before its process begins, on a host that works, in milliseconds.
const BEGINS_WITHIN: u64 = 10_000;

impl Oracle {
    /// A transaction was written, perhaps for the second time.
    pub(crate) fn committed(
        &mut self,
        time: u64,
        changes: &[Change],
        committed: &Committed,
        tables: &Tables,
    ) {
        for change in changes {
            match change {
                Change::RunOpened(opening) => {
                    let is_refused = committed.refused.iter().any(|(run, _)| *run == opening.run);
                    let is_known = self.runs.get(&opening.run).is_some_and(|truth| truth.trigger.is_some());
                    if !is_refused && !is_known {
                        self.run_opened(time, opening);
                    }
                }
                Change::RunClosed { run, app, .. } => self.run_closed(time, *run, *app, changes, tables),
                Change::CommandSettled { id, .. } => self.command_settled(time, *id, tables),
                Change::AlertOpened(alert) => self.alert_opened(alert),
                Change::AlertRepeated(alert) => self.alert_repeated(alert),
                Change::AlertsClosed { app, kinds, .. } => self.alerts_closed(time, *app, kinds, changes),
                Change::Skipped(skip) => self.skipped(skip),
                Change::RunStarted { run, pid, .. } => {
                    let has_begun = self.runs.get(run).is_some_and(|truth| {
                        !truth.began.is_empty() || truth.was_shim_killed || truth.was_host_lost
                    });
                    self.must(has_begun, "3 no invented process", || format!("{run:?} as {pid} never began"));
                }
                Change::App(_)
                | Change::RunNotFound { .. }
                | Change::Progress { .. }
                | Change::Used { .. }
                | Change::AppNamed { .. }
                | Change::AppFault { .. }
                | Change::FleetAlert(_)
                | Change::TimesIgnored { .. } => {}
            }
        }
    }

    fn alert_opened(&mut self, alert: &Alert) {
        let is_new = self.alerts.insert((alert.app, alert.kind, alert.run));
        let Some(subject) = self.apps.get_mut(&alert.app) else { return };
        let is_of_failures = alert.kind == AlertKind::UnexpectedBehavior;
        let was_flagged = subject.is_flagged;
        if alert.kind == AlertKind::Suspect {
            let was_suspected = std::mem::replace(&mut subject.is_suspected, true);
            return self.must(!is_new || !was_suspected, "22 one alert an episode", || format!("{alert:?}"));
        }
        subject.is_flagged |= is_of_failures;
        if !is_new || matches!(alert.kind, AlertKind::HostExhausted | AlertKind::Stalled | AlertKind::Late) {
            return;
        }
        let may = subject.must_wait
            || subject.cannot_start
            || subject.failures.1 >= subject.max_failures && subject.max_failures > 0;
        let is_barred = alert.kind == AlertKind::FailedToStart;
        subject.must_wait |= is_barred || subject.on_failures == OnFailures::GiveUp;
        subject.disabled |= is_barred;
        self.must(may, "22 alerts have a reason", || format!("{alert:?}"));
        self.must(!is_of_failures || !was_flagged, "22 one alert an episode", || format!("{alert:?}"));
    }

    /// Failures are counted in an alert that is open, or may be.
    fn alert_repeated(&mut self, alert: &Alert) {
        let Some(subject) = self.apps.get(&alert.app) else { return };
        let may_be_open =
            subject.is_flagged || subject.may_be_flagged || alert.kind != AlertKind::UnexpectedBehavior;
        self.must(may_be_open, "22 what is repeated is open", || format!("{alert:?}"));
    }

    /// Only a good run, ENABLE and the removal of the app end an episode of failures; that of an app that runs always ends
    /// as well when one has lived for long.
    fn alerts_closed(&mut self, time: u64, app: AppId, kinds: &[AlertKind], changes: &[Change]) {
        let has_lived = self.has_lived_long(time, app);
        let Some(subject) = self.apps.get_mut(&app) else { return };
        if !kinds.contains(&AlertKind::UnexpectedBehavior) {
            return;
        }
        let is_enabled = |id: &CommandId| {
            self.commands.get(id).is_some_and(|issued| issued.command.name == CmdName::Enable)
        };
        let good = Ending::Exited(Exit::Code(0));
        let is_timeout =
            |ending: &Ending| matches!(ending, Ending::Stopped { cause: StopCause::Timeout, .. });
        let may_run_always = subject.schedule.always || subject.is_rescheduled;
        let is_good = |ending: &Ending| *ending == good || may_run_always && is_timeout(ending);
        let is_reason = |change: &Change| {
            matches!(change, Change::RunClosed { closing, .. } if is_good(&closing.ending))
                || matches!(change, Change::CommandSettled { id, .. } if is_enabled(id))
        };
        let has_reason = !(subject.is_flagged || subject.is_suspected)
            || !subject.is_registered
            || has_lived
            || changes.iter().any(|change| change.subject() == Subject::App(app) && is_reason(change));
        subject.is_flagged = false;
        subject.is_suspected = false;
        self.must(has_reason, "22 recoveries have a reason", || format!("{app:?}: {changes:?}"));
    }

    fn run_opened(&mut self, time: u64, opening: &RunOpening) {
        let RunOpening { run, app, command, due, trigger, .. } = *opening;
        let Some(subject) = self.apps.get_mut(&app) else { return };
        let (open, disabled, must_wait) = (subject.open.replace(run), subject.disabled, subject.must_wait);
        let stopped = subject.stopped;
        let is_started_again = command.zip(stopped).is_some_and(|(command, stop)| command > stop);
        if is_started_again {
            subject.stopped = None;
        }
        subject.rests &= command.is_none();
        self.wish_is_granted(time, opening);
        self.must(open.is_none(), "2 one open row", || format!("{run:?} is opened while {open:?} is open"));
        // The row of a run that is over, or never began, may be closed later than that of the one is opened that
        // takes its room: somebody holds it. One whose app was deleted is being ended and takes no room.
        let goes_on = |run: RunId| {
            self.runs.get(&run).is_none_or(|truth| {
                truth.ended_at.is_none()
                    && truth.start_failed.is_none()
                    && !truth.lost_app
                    && (!truth.began.is_empty() || truth.opened_at + BEGINS_WITHIN > time)
            })
        };
        let count = self.apps.values().filter(|subject| subject.open.is_some_and(goes_on)).count();
        let has_room = self.host_limit.is_none_or(|limit| count <= limit as usize);
        self.must(has_room, "25 limits", || format!("{run:?} is one of {count}"));
        self.must(!disabled, "9 disabled never starts", || format!("{run:?} of {app:?} is opened"));
        self.must(!must_wait, "14 too many failures", || format!("{run:?} of {app:?} is opened"));
        self.must(stopped.is_none() || is_started_again, "10 STOP sticks", || {
            format!("{run:?} of {app:?} is opened by {command:?} after {stopped:?}")
        });
        if let Some(id) = command {
            let previous = self.commands.get_mut(&id).and_then(|issued| issued.run.replace(run));
            self.must(previous.is_none(), "7 one effect of a command", || {
                format!("{id}: {previous:?}, {run:?}")
            });
            let is_settled = self.commands.get(&id).is_some_and(|issued| issued.settled.is_some());
            self.must(!is_settled, "7 no effect after the verdict", || format!("{id} opens {run:?}"));
        }
        if let (Some(due), Trigger::Schedule | Trigger::CatchUp) = (due, trigger) {
            self.account_for(app, due, due, "a run");
        }
        let truth = self.runs.entry(run).or_default();
        *truth = Truth {
            app: Some(app),
            opened_at: time,
            command,
            trigger: Some(trigger),
            ..std::mem::take(truth)
        };
    }

    fn skipped(&mut self, skip: &Skip) {
        let Some(subject) = self.apps.get_mut(&skip.app) else { return };
        // The table takes the same one once, and a longer one in its place.
        let known = subject.skips.entry((skip.first, skip.reason.word())).or_insert(Timestamp::MIN_UTC);
        if *known < skip.last {
            *known = skip.last;
            self.account_for(skip.app, skip.first, skip.last, skip.reason.word());
        }
    }

    /// Each time of a calendar becomes a run or a part of a skip, once.
    fn account_for(&mut self, app: AppId, first: Timestamp, last: Timestamp, by: &str) {
        let may_repeat = self.may_repeat(first, last);
        let Some(subject) = self.apps.get_mut(&app).filter(|subject| subject.is_quiet) else { return };
        let Some(period) = subject.period else { return };
        let is_slot = |time: Timestamp| time.timestamp_millis() % period == 0;
        if !is_slot(first) || !is_slot(last) {
            return;
        }
        let number = |time: Timestamp| time.timestamp_millis() / period;
        let is_new = subject.covered.add(number(first), number(last));
        self.must(is_new || may_repeat, "11 each time once", || {
            format!("{app:?}: {first} to {last} by {by} again")
        });
    }

    fn command_settled(&mut self, time: u64, id: CommandId, tables: &Tables) {
        let Some(verdict) = tables.verdict(id).cloned() else {
            return self.must(false, "7 one verdict", || format!("{id} is not in the ledger"));
        };
        let Some(issued) = self.commands.get_mut(&id) else {
            return self.must(false, "7 one verdict", || format!("{id} was never issued"));
        };
        if let Some((before, _)) = &issued.settled {
            let is_same = *before == verdict;
            // One that is handed on twice enables twice.
            let enabled = issued.command.app.filter(|_| issued.command.name == CmdName::Enable);
            if let Some(app) = enabled
                && tables.app(app).is_some_and(|row| !row.app.disabled)
                && self.apps.get(&app).is_some_and(|subject| subject.disabled)
            {
                self.note_verdict(time, id, CmdName::Enable, &verdict, app);
            }
            return self.must(is_same, "7 one verdict", || format!("{id} has another one: {verdict:?}"));
        }
        issued.settled = Some((verdict.clone(), time));
        let (name, at, run) = (issued.command.name, issued.at, issued.run);
        let expires = issued.command.expires.is_some();
        let Some(app) = issued.command.app else { return };
        // One whose app was deleted ends by itself, whatever is asked of the app that has its name now.
        let has_lost_app = |run: RunId| self.runs.get(&run).is_some_and(|truth| truth.lost_app);
        let is_before =
            |living: &&Living| living.app == app && living.began < at && !has_lost_app(living.run);
        let lives = self.living.values().find(is_before).copied();
        let is_ended = lives.is_none();
        match (&verdict, name) {
            (Verdict::Executed, CmdName::Start | CmdName::Restart) => {
                let truth = run.and_then(|run| self.runs.get(&run));
                let has_begun = truth.is_some_and(|truth| {
                    !truth.began.is_empty() || truth.was_shim_killed || truth.was_host_lost
                });
                self.must(has_begun, "7 EXECUTED means done", || format!("{id} {name}: no process began"));
                self.must(is_ended || name == CmdName::Start, "7 EXECUTED means done", || {
                    format!("{id} {name}: {lives:?}")
                });
            }
            (Verdict::WasNotRunning, name) => {
                self.must(is_ended && name == CmdName::Stop, "7 EXECUTED means done", || {
                    format!("{id} {name}: {lives:?} lives")
                });
            }
            (Verdict::Executed, CmdName::Stop | CmdName::Disable) => {
                self.must(is_ended, "7 EXECUTED means done", || format!("{id} {name}: {lives:?} lives"));
            }
            (Verdict::Executed, CmdName::Enable) => {}
            (Verdict::NotExecuted(reason), _) => {
                self.reason_holds(id, name, &reason.to_string(), app, at, expires);
            }
        }
        self.note_verdict(time, id, name, &verdict, app);
    }

    fn reason_holds(
        &mut self,
        id: CommandId,
        name: CmdName,
        reason: &str,
        app: AppId,
        at: u64,
        expires: bool,
    ) {
        let Some(subject) = self.apps.get(&app) else { return };
        let since = |time: Option<u64>| time.is_some_and(|time| time >= at);
        let has_begun =
            self.commands.get(&id).and_then(|issued| issued.run).and_then(|run| self.runs.get(&run));
        let has_begun = has_begun.is_some_and(|truth| !truth.began.is_empty());
        let holds = match reason {
            "already running" => subject.open.is_some() || since(subject.last_closed_at),
            "disabled" => subject.disabled || since(subject.last_barred_at),
            "given up" => subject.must_wait || since(subject.last_barred_at),
            "expired" => expires,
            _ if reason.starts_with("no such app") => !subject.is_registered || since(subject.last_barred_at),
            _ if reason.starts_with("failed to start") => !has_begun,
            _ if reason.starts_with("superseded") || reason.starts_with("already waiting") => !has_begun,
            _ => reason.contains("commands are waiting"),
        };
        self.must(holds, "7 a refusal says why", || format!("{id} {name} of {app:?}: {reason}"));
    }

    fn note_verdict(&mut self, time: u64, id: CommandId, name: CmdName, verdict: &Verdict, app: AppId) {
        let Some(subject) = self.apps.get_mut(&app) else { return };
        match (name, verdict) {
            (CmdName::Stop, verdict) => {
                if verdict.flag() == CmdFlag::Executed {
                    subject.stopped = Some(id);
                    subject.barrier = subject.barrier.max(Some(id));
                }
            }
            (CmdName::Disable, Verdict::Executed) => {
                subject.disabled = true;
                subject.rests = true;
                subject.barrier = subject.barrier.max(Some(id));
            }
            (CmdName::Enable, Verdict::Executed) => {
                if subject.disabled || subject.must_wait {
                    subject.last_barred_at = Some(time);
                }
                subject.disabled = false;
                subject.must_wait = false;
                subject.rests = false;
                subject.stopped = None;
                subject.failures = (0, 0);
                subject.crashes = (0, 0);
                subject.may_be_flagged = false;
            }
            (CmdName::Disable | CmdName::Enable, Verdict::NotExecuted(_) | Verdict::WasNotRunning)
            | (CmdName::Start | CmdName::Restart, _) => {}
        }
    }
}
