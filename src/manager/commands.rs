//! The table of verdicts: what START, STOP, RESTART, ENABLE and DISABLE do in which state.

use super::core::Manager;
use super::desk::Desk;
use super::entry::{Cause, Entry, Phase, Purpose, QUEUE_MAX, Rest, Stopping};
use super::event::Step;
use super::plan::Plan;
use super::runs::settle;
use crate::model::{
    AlertEnd, AlertKind, Change, CmdName, Command, Reason, SkipReason, StopCause, Trigger, Verdict,
};

/// The longest `--args` that are passed on, in bytes: well under what one argument of a Linux
/// process may have (128 KiB).
const ARGS_MAX: usize = 64 * 1024;

/// What became of the command at the head of the queue.
enum Progress {
    /// It has its verdict.
    Settled(Verdict),
    /// The app's phase holds it until it is done.
    UnderWay,
    /// Something else must be over first.
    NotYet,
}

impl Manager {
    /// Takes a command from the ledger.
    pub(super) fn command(&mut self, command: Command, step: &mut Step) {
        if let Some(verdict) = self.verdict_at_once(&command) {
            settle(&command, verdict, &self.desk, step);
            return;
        }
        let Some(app) = command.app else { return };
        self.work(app, step, |entry, desk, step| entry.enqueue(command, desk, step));
    }

    /// The verdict on a command that is not even tried.
    fn verdict_at_once(&self, command: &Command) -> Option<Verdict> {
        if let Some(fault) = command.fault {
            return Some(Verdict::NotExecuted(Reason::Other(fault.into())));
        }
        let set_aside = command.app.and_then(|app| self.set_aside.get(&app));
        match command.app.and_then(|app| self.apps.get(&app)) {
            Some(entry) => self.refusal(entry, command).map(Verdict::NotExecuted),
            // Nothing of it runs, and nothing starts: what STOP wants is so.
            None if set_aside.is_some() && command.name == CmdName::Stop => Some(Verdict::WasNotRunning),
            None => Some(Verdict::NotExecuted(
                set_aside.map_or(Reason::NoSuchApp, |fault| reason_set_aside(fault)),
            )),
        }
    }

    fn refusal(&self, entry: &Entry, command: &Command) -> Option<Reason> {
        if command.expires.is_some_and(|expires| expires < self.desk.now.wall) {
            return Some(Reason::Expired);
        }
        if let Some(args) = &command.args {
            if args.len() > ARGS_MAX {
                let why = format!("have {} bytes, the limit is {ARGS_MAX}", args.len());
                return Some(Reason::Arguments(why.into()));
            }
            if let Err(error) = serde_json::from_str::<serde::de::IgnoredAny>(args) {
                return Some(Reason::Arguments(format!("are not valid JSON: {error}").into()));
            }
            if args.contains('\0') {
                return Some(Reason::Arguments("hold a NUL character".into()));
            }
        }
        (entry.queue.len() >= QUEUE_MAX).then_some(Reason::QueueFull(QUEUE_MAX))
    }
}

impl Entry {
    fn enqueue(&mut self, command: Command, desk: &mut Desk, step: &mut Step) {
        if !self.knows(&command) {
            self.supersede(&command, desk, step);
            self.queue.push(command);
        }
    }

    /// Whether the command is being dealt with already.
    fn knows(&self, command: &Command) -> bool {
        let under_way = match &self.phase {
            Phase::Waiting(waiting) => waiting.cause.command.as_deref(),
            Phase::Starting(starting) => starting.cause.command.as_deref(),
            Phase::Stopping(Stopping { purpose: Purpose::Command(command), .. }) => Some(&**command),
            Phase::Stopping(_) | Phase::Resting(_) | Phase::Running(_) => None,
        };
        under_way.into_iter().chain(&self.queue).any(|known| known.id == command.id)
    }

    /// STOP and DISABLE do not wait for a RESTART that is still stopping the run: it is their stop
    /// now, and nothing starts after it.
    fn supersede(&mut self, command: &Command, desk: &mut Desk, step: &mut Step) {
        if !matches!(command.name, CmdName::Stop | CmdName::Disable) || !self.queue.is_empty() {
            return;
        }
        if let Phase::Stopping(Stopping { purpose, .. }) = &mut self.phase
            && matches!(purpose, Purpose::Command(command) if command.name == CmdName::Restart)
            && let Purpose::Command(restart) = std::mem::replace(purpose, Purpose::Other)
        {
            settle(&restart, superseded_by(command), desk, step);
        }
    }

    /// Carries out what waits, oldest first, as far as the state of the app allows.
    pub(super) fn carry_out_commands(&mut self, desk: &mut Desk, step: &mut Step) {
        while !self.queue.is_empty() {
            let command = self.queue.remove(0);
            match self.carry_out(&command, desk, step) {
                Progress::Settled(verdict) => settle(&command, verdict, desk, step),
                Progress::UnderWay => {}
                Progress::NotYet => {
                    self.queue.insert(0, command);
                    return;
                }
            }
        }
    }

    fn carry_out(&mut self, command: &Command, desk: &mut Desk, step: &mut Step) -> Progress {
        match &self.phase {
            Phase::Resting(_) => self.while_resting(command, desk, step),
            Phase::Waiting(_) => self.while_waiting(command, desk, step),
            Phase::Starting(_) => Progress::NotYet,
            Phase::Running(_) => self.while_running(command, desk, step),
            Phase::Stopping(_) => self.while_stopping(command, desk, step),
        }
    }

    fn while_resting(&mut self, command: &Command, desk: &mut Desk, step: &mut Step) -> Progress {
        match command.name {
            CmdName::Start | CmdName::Restart if self.is_barred() => refused(self.barred_reason()),
            CmdName::Start | CmdName::Restart => {
                let command = Some(Box::new(command.clone()));
                self.plan(desk, step, Plan::begin_by_command);
                self.begin(Cause { due: None, trigger: Trigger::Command, command }, desk, step);
                Progress::UnderWay
            }
            CmdName::Stop => {
                self.rest_stopped(command, desk, step);
                Progress::Settled(Verdict::WasNotRunning)
            }
            CmdName::Enable => {
                self.enable(desk, step);
                self.phase = Phase::Resting(Rest::Ready);
                self.plan(desk, step, |plan, account| plan.begin(account, SkipReason::Rescheduled));
                Progress::Settled(Verdict::Executed)
            }
            CmdName::Disable => {
                self.set_disabled(true);
                self.plan(desk, step, |plan, account| plan.end(account, SkipReason::Disabled));
                self.publish_alone(desk, step);
                Progress::Settled(Verdict::Executed)
            }
        }
    }

    fn while_waiting(&mut self, command: &Command, desk: &mut Desk, step: &mut Step) -> Progress {
        match command.name {
            CmdName::Start | CmdName::Restart => {
                if let Phase::Waiting(waiting) = &mut self.phase
                    && waiting.cause.command.is_none()
                {
                    waiting.cause.command = Some(Box::new(command.clone()));
                    waiting.cause.trigger = Trigger::Command;
                    return Progress::UnderWay;
                }
                refused(Reason::AlreadyWaiting)
            }
            CmdName::Stop | CmdName::Disable => {
                self.leave_line(command, desk, step);
                self.while_resting(command, desk, step)
            }
            CmdName::Enable => {
                self.enable(desk, step);
                // Should the command that waits come to nothing, the app is not stopped any more.
                if let Phase::Waiting(waiting) = &mut self.phase {
                    waiting.rest = Rest::Ready;
                }
                if self.plan.wake().is_none() {
                    self.plan(desk, step, |plan, account| plan.begin(account, SkipReason::Rescheduled));
                }
                Progress::Settled(Verdict::Executed)
            }
        }
    }

    fn leave_line(&mut self, command: &Command, desk: &mut Desk, step: &mut Step) {
        if let Phase::Waiting(waiting) = &mut self.phase {
            let (rest, due) = (waiting.rest.clone(), waiting.cause.due);
            if let Some(waiting) = waiting.cause.command.take() {
                settle(&waiting, superseded_by(command), desk, step);
            }
            self.phase = Phase::Resting(rest);
            self.leave_out(due, reason_of(command), desk, step);
        }
    }

    fn while_running(&mut self, command: &Command, desk: &mut Desk, step: &mut Step) -> Progress {
        match command.name {
            CmdName::Start => refused(Reason::AlreadyRunning),
            CmdName::Restart if self.is_barred() => refused(self.barred_reason()),
            CmdName::Stop | CmdName::Restart | CmdName::Disable => {
                let cause = StopCause::Command(command.id);
                self.stop(Purpose::Command(Box::new(command.clone())), cause, desk, step);
                Progress::UnderWay
            }
            CmdName::Enable => {
                self.enable(desk, step);
                if let Phase::Running(running) = &mut self.phase {
                    running.rest = Rest::Ready;
                    let is_foreign = running.trigger == Trigger::RunApp;
                    self.plan(desk, step, if is_foreign { Plan::resume } else { Plan::count });
                }
                Progress::Settled(Verdict::Executed)
            }
        }
    }

    fn while_stopping(&mut self, command: &Command, desk: &mut Desk, step: &mut Step) -> Progress {
        let has_other_purpose =
            matches!(self.phase, Phase::Stopping(Stopping { purpose: Purpose::Other, .. }));
        match command.name {
            CmdName::Stop | CmdName::Restart | CmdName::Disable if has_other_purpose => {
                self.while_running(command, desk, step)
            }
            CmdName::Start | CmdName::Stop | CmdName::Restart | CmdName::Enable | CmdName::Disable => {
                Progress::NotYet
            }
        }
    }

    /// What ENABLE does in every state.
    fn enable(&mut self, desk: &Desk, step: &mut Step) {
        let had_alerts = self.forget_limit_alert()
            || self.fatal.is_some()
            || self.suspected().is_some()
            || self.failures > 0;
        self.fatal = None;
        self.accept_record();
        if had_alerts {
            step.changes.push(Change::AlertsClosed {
                app: self.app.id,
                kinds: AlertKind::OF_RUNS,
                at: desk.now.wall,
                end: AlertEnd::Enabled,
            });
        }
        self.set_disabled(false);
        self.failures = 0;
        self.crashes = 0;
        self.publish_alone(desk, step);
    }
}

/// Why a command for an app is refused whose row is set aside.
pub(super) fn reason_set_aside(fault: &str) -> Reason {
    Reason::SetAside(Some(fault.into()))
}

/// Why times are left out that a STOP or DISABLE came before.
pub(super) fn reason_of(command: &Command) -> SkipReason {
    match command.name {
        CmdName::Disable => SkipReason::Disabled,
        CmdName::Start | CmdName::Stop | CmdName::Restart | CmdName::Enable => SkipReason::Stopped,
    }
}

fn refused(reason: Reason) -> Progress {
    Progress::Settled(Verdict::NotExecuted(reason))
}

pub(super) fn superseded_by(command: &Command) -> Verdict {
    Verdict::NotExecuted(Reason::Superseded { name: command.name, id: command.id })
}
