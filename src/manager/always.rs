//! Apps that run always: they are started again whenever they end.
//!
//! Such an app has no good end to wait for, so its trouble is over when a run has lived for long enough, and what ends well
//! before it has started is a failure.

use std::time::Duration;

use chrono::TimeDelta;

use super::desk::Desk;
use super::entry::{Entry, Phase, Stopping};
use super::event::Step;
use super::judgement::{Judgement, LIVED_LONG};
use super::schedule::PAUSE_MIN;
use crate::model::{Now, Timestamp, Trigger};

impl Entry {
    /// Whether it runs always.
    pub(super) const fn is_always(&self) -> bool {
        self.app.schedule.always
    }

    /// Whether a run that took so long had started.
    pub(super) fn has_started(&self, lifetime: Option<TimeDelta>) -> bool {
        let least = TimeDelta::from_std(self.app.policy.min_uptime).unwrap_or(TimeDelta::MAX);
        lifetime.is_some_and(|time| time >= least)
    }

    /// What the end of a run means for an app that runs always. One that has done what it is there for may end as it likes;
    /// to be ended for its `max_runtime` is a restart.
    pub(super) fn judge_always(&self, judgement: Judgement, lifetime: Option<TimeDelta>) -> Judgement {
        let has_started = self.has_started(lifetime);
        if matches!(judgement, Judgement::Good) && !has_started {
            Judgement::TooShort
        } else if matches!(judgement, Judgement::TimedOut) && has_started {
            Judgement::Good
        } else {
            judgement
        }
    }

    /// The pause before the next run: none, but with a `min_uptime` near zero an app that ends at once must not take all of
    /// the host.
    pub(super) fn least_pause(&self, pause: Duration, lifetime: Option<TimeDelta>) -> Duration {
        let lived = lifetime.and_then(|lifetime| lifetime.to_std().ok()).unwrap_or_default();
        let least = if self.has_started(lifetime) { PAUSE_MIN.saturating_sub(lived) } else { Duration::ZERO };
        pause.max(least)
    }

    /// When a run that began at this time has shown that the trouble before it is over; `None` where there was none.
    pub(super) fn proven_at(&self, began: Timestamp, now: Now) -> Option<Duration> {
        if !self.is_always() || self.failures == 0 && self.crashes == 0 {
            return None;
        }
        let lived = (now.wall - began).to_std().unwrap_or_default();
        let takes = LIVED_LONG.to_std().unwrap_or_default().max(self.app.policy.min_uptime);
        Some(now.mono + takes.saturating_sub(lived))
    }

    /// The run has lived for long enough: failures before it are forgotten, and their alert is closed.
    pub(super) fn prove(&mut self, desk: &Desk, step: &mut Step) {
        self.recover(desk, step);
        self.failures = 0;
        self.crashes = 0;
        self.forget_bad_ends();
    }

    /// The settings of the app changed while a run goes on.
    pub(super) fn look_at_life(&mut self, now: Now) {
        let began = self.last_run.map(|(_, began)| began);
        let proven_at = began.and_then(|began| self.proven_at(began, now));
        if let Phase::Running(running) = &mut self.phase {
            running.proven_at = proven_at.filter(|_| running.trigger != Trigger::RunApp);
        }
    }

    /// The wall clock was set: pauses keep their length, and so do the lives of runs.
    pub(super) fn clock_was_set(&mut self, by: TimeDelta, now: Timestamp) {
        self.plan.shift(&self.app, by, now);
        if let Phase::Running(running) | Phase::Stopping(Stopping { running, .. }) = &mut self.phase {
            running.clock_set = running.clock_set.checked_add(&by).unwrap_or(running.clock_set);
        }
    }

    /// By how much the wall clock was set during the run under way.
    pub(super) fn clock_set(&self) -> TimeDelta {
        match &self.phase {
            Phase::Running(running) | Phase::Stopping(Stopping { running, .. }) => running.clock_set,
            Phase::Resting(_) | Phase::Waiting(_) | Phase::Starting(_) => TimeDelta::zero(),
        }
    }
}

#[cfg(test)]
#[path = "always_host.rs"]
mod host;
#[cfg(test)]
#[path = "always_tests.rs"]
mod tests;
