//! What the end of a run means for the app: back-off, failures in a row, the flag and its alert, recovery.

use std::time::Duration;

use chrono::TimeDelta;

use super::desk::Desk;
use super::entry::{Entry, Phase, Rest};
use super::event::Step;
use super::plan::{Over, Went};
use crate::model::{
    Alert, AlertKind, Blame, Change, Ending, Exit, Fatal, FatalFlag, InARow, Obstacle, Policy, RunId,
    SkipReason, StopCause,
};

/// The pause after the second crash; it doubles with each further one. After the first there is none.
const BACK_OFF_FIRST: Duration = Duration::from_secs(1);

/// The longest pause after a crash.
pub(super) const BACK_OFF_MAX: Duration = Duration::from_secs(300);

/// The longest pause where the cause lies outside the app: it may be over at any moment.
const OUTSIDE_MAX: Duration = Duration::from_secs(60);

/// A run that lived so long has shown that it works: its crash counts as the first.
const LIVED_LONG: TimeDelta = TimeDelta::minutes(10);

/// The alerts that a good run closes. What could not be started is for a person to enable.
const RECOVERED: &[AlertKind] = &[AlertKind::UnexpectedBehavior, AlertKind::HostExhausted];

/// A process that is killed by a signal within this time died while starting.
const STARTING_TAKES: TimeDelta = TimeDelta::seconds(1);

/// What the end of a run counts as.
enum Judgement {
    Good,
    /// It ended by itself with a failure, or was ended because it took too long.
    Failed,
    /// It was killed by a signal, or vanished.
    Crashed,
    /// Not its fault: the host went down, or somebody ended it without a command.
    Interrupted,
    /// Ended by `dcm stop-apps`, or never begun: the schedule goes on.
    Excused,
    /// There was no process, and the next try would fail as well.
    CannotStart(String),
    /// There was no process for want of room on the host.
    HostExhausted(String),
}

impl Entry {
    /// Plans what comes after a run that ended without a command.
    pub(super) fn judge(
        &mut self,
        run: RunId,
        ending: &Ending,
        lifetime: Option<TimeDelta>,
        over: Over,
        desk: &mut Desk,
        step: &mut Step,
    ) {
        let judgement = Judgement::of(ending);
        let was_barred = self.awaits_enable();
        let is_crash = matches!(judgement, Judgement::Crashed | Judgement::HostExhausted(_));
        self.count(ending.outcome().blame(), is_crash, lifetime, desk, step);
        let back_off = back_off(self.crashes);
        let outside = back_off.clamp(BACK_OFF_FIRST, OUTSIDE_MAX);
        let (rest, went) = match &judgement {
            Judgement::Good | Judgement::Excused => (Rest::Ready, Went::Well),
            Judgement::Failed | Judgement::CannotStart(_) => (Rest::Ready, Went::Badly),
            Judgement::Crashed => (Rest::Crashed, Went::Crashed(back_off)),
            // The cause lies outside and may last: never at once.
            Judgement::Interrupted => (Rest::Crashed, Went::Crashed(outside)),
            Judgement::HostExhausted(_) => (Rest::Ready, Went::Crashed(outside)),
        };
        // A crashed app is started again after its back-off, whatever time it asked for.
        let asked = over.asked.filter(|_| !matches!(went, Went::Crashed(_)));
        let over = Over { asked, ..over };
        self.plan(desk, step, |plan, account| plan.follow_run(over, went, account));
        self.phase = Phase::Resting(rest);
        self.consider_fatal(run, ending, &judgement, lifetime, desk, step);
        if self.awaits_enable() && !was_barred {
            self.plan(desk, step, |plan, account| plan.end(account, SkipReason::GivenUp));
        }
    }

    fn count(
        &mut self,
        blame: Blame,
        is_crash: bool,
        lifetime: Option<TimeDelta>,
        desk: &Desk,
        step: &mut Step,
    ) {
        if lifetime.is_some_and(|time| time >= LIVED_LONG) {
            self.crashes = 0;
        }
        match blame {
            Blame::Good => {
                self.recover(desk, step);
                (self.failures, self.crashes) = (0, 0);
            }
            Blame::Bad => {
                self.failures = self.failures.saturating_add(1);
                self.crashes = self.crashes.saturating_add(u32::from(is_crash));
            }
            Blame::Excused => {}
        }
    }

    /// A good run ends the episode of failures before it.
    fn recover(&mut self, desk: &Desk, step: &mut Step) {
        let is_flagged = self.fatal.as_ref().is_some_and(|fatal| fatal.flag == FatalFlag::UnexpectedBehavior);
        if is_flagged || self.failures >= self.host_alert_after() {
            let (app, at) = (self.app.id, desk.now.wall);
            step.changes.push(Change::AlertsCleared { app, kinds: RECOVERED, at });
        }
        self.fatal = self.fatal.take().filter(|_| !is_flagged);
    }

    /// Failures in a row after which a host without room raises an alert. That is not the fault of the app, so one without
    /// a limit of its own has the default.
    fn host_alert_after(&self) -> u32 {
        match self.app.policy.max_failures {
            0 => Policy::default().max_failures,
            limit => limit,
        }
    }

    fn consider_fatal(
        &mut self,
        run: RunId,
        ending: &Ending,
        judgement: &Judgement,
        lifetime: Option<TimeDelta>,
        desk: &Desk,
        step: &mut Step,
    ) {
        let limit = self.app.policy.max_failures;
        let too_many = limit > 0 && self.failures >= limit;
        let in_a_row = |what: &str| InARow { count: self.failures, last: what }.to_string();
        let (kind, message) = match judgement {
            Judgement::CannotStart(why) => (AlertKind::FailedToStart, why.clone()),
            Judgement::HostExhausted(why) if self.failures == self.host_alert_after() => {
                (AlertKind::HostExhausted, format!("{}; it is tried again", in_a_row(why)))
            }
            Judgement::Crashed if too_many && lifetime.is_none_or(|time| time < STARTING_TAKES) => {
                (AlertKind::FailedToStart, in_a_row(&format!("{} while starting", describe(ending))))
            }
            Judgement::Crashed | Judgement::Failed if too_many => {
                (AlertKind::UnexpectedBehavior, in_a_row(&describe(ending)))
            }
            Judgement::Good
            | Judgement::Failed
            | Judgement::Crashed
            | Judgement::Interrupted
            | Judgement::Excused
            | Judgement::HostExhausted(_) => return,
        };
        let time = desk.now.wall;
        let flag = match kind {
            AlertKind::FailedToStart => Some(FatalFlag::FailedToStart),
            AlertKind::UnexpectedBehavior => Some(FatalFlag::UnexpectedBehavior),
            AlertKind::HostExhausted | AlertKind::SetAside | AlertKind::BadReport | AlertKind::RowLocked => {
                None
            }
        };
        if let Some(fatal) = &mut self.fatal
            && flag == Some(fatal.flag)
        {
            // The episode goes on, and its alert is open: the row shows how far it has come.
            fatal.message = message;
            return;
        }
        step.changes.push(Change::AlertRaised(Alert {
            app: self.app.id,
            kind,
            run: Some(run),
            message: message.clone(),
            raised: time,
        }));
        let Some(flag) = flag else { return };
        if flag == FatalFlag::FailedToStart {
            self.app.disabled = true;
        }
        self.fatal = Some(Box::new(Fatal { flag, message, time }));
    }
}

impl Judgement {
    fn of(ending: &Ending) -> Self {
        match ending {
            Ending::Exited(Exit::Code(0)) => Self::Good,
            Ending::Exited(Exit::Code(_)) | Ending::Stopped { cause: StopCause::Timeout, .. } => Self::Failed,
            Ending::Exited(Exit::Signal { .. }) | Ending::Unknown => Self::Crashed,
            Ending::HostRebooted
            | Ending::Stopped {
                cause: StopCause::Signal(_) | StopCause::Command(_) | StopCause::Fence | StopCause::Removed,
                ..
            } => Self::Interrupted,
            Ending::NeverStarted | Ending::Stopped { cause: StopCause::StopApps(_), .. } => Self::Excused,
            Ending::StartFailed(failure) if failure.obstacle == Obstacle::HostExhausted => {
                Self::HostExhausted(failure.message.clone())
            }
            Ending::StartFailed(failure) => Self::CannotStart(failure.message.clone()),
        }
    }
}

/// The pause after so many crashes: none, then 1, 2, 4 ... 300 seconds.
fn back_off(crashes: u32) -> Duration {
    match crashes.checked_sub(2) {
        None => Duration::ZERO,
        Some(doublings) => BACK_OFF_FIRST.saturating_mul(1 << doublings.min(16)).min(BACK_OFF_MAX),
    }
}

fn describe(ending: &Ending) -> String {
    match ending {
        Ending::Exited(exit) => exit.to_string(),
        Ending::Stopped { cause: StopCause::Timeout, .. } => "it took longer than max_runtime".to_owned(),
        Ending::Stopped { cause, .. } => format!("stopped by {cause}"),
        Ending::StartFailed(failure) => failure.message.clone(),
        Ending::NeverStarted => "it was never begun".to_owned(),
        Ending::Unknown => "the process vanished".to_owned(),
        Ending::HostRebooted => "the host went down".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn back_off_begins_at_once_and_doubles_up_to_five_minutes() {
        let seconds: Vec<_> = (0..12).map(|crashes| back_off(crashes).as_secs()).collect();
        assert_eq!(seconds, [0, 0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 300]);
        assert_eq!(back_off(u32::MAX).as_secs(), 300);
    }
}
