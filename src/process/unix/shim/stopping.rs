//! The end of a run on request: who is asked to end, until when, and who is killed then.

use std::collections::BTreeSet;
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};

use super::{
    Fact, KILL_AGAIN, LEFTOVER_GRACE, Main, STOP_ROUNDS_MAX, Shim, boot_time, journal, pid_of, tree,
};
use crate::model::{Exit, StopSignal};
use crate::process::record::{Cause, Identity, StopRequest};

/// A stop that was requested. It lasts until no process of the run is left: all of them have the same
/// deadline, also when the main process ends long before the others.
pub(super) struct Stop {
    pub(super) cause: Cause,
    begun: Duration,
    /// When what is left is killed; `None`: the app decides how long it takes.
    kill_at: Option<Duration>,
    /// Whether anything had to be killed.
    pub(super) killed: bool,
    /// The processes that were asked to end. Each is asked once: many programs take a second signal for
    /// "drop everything".
    asked: BTreeSet<Identity>,
}

impl Stop {
    fn new(cause: Cause, kill_at: Option<Duration>) -> Self {
        Self { cause, begun: boot_time(), kill_at, killed: false, asked: BTreeSet::new() }
    }
}

impl Shim {
    /// Its stop signal now, KILL when the grace time is over. A second request may shorten the time and
    /// takes over as the cause, but does not begin anew.
    pub(super) fn begin_stop(&mut self, request: StopRequest) {
        let grace = Duration::from_millis(request.grace_ms);
        // What KILL has not ended at once needs it again, and no time.
        let grace = if self.stop_signal() == Signal::SIGKILL { grace.min(KILL_AGAIN) } else { grace };
        let kill_at = boot_time() + grace;
        match (&mut self.stop, &mut self.ended) {
            // What the main process ended of does not change any more, but the rest may have less time.
            (Some(stop), Some(_)) => stop.kill_at = Some(stop.kill_at.unwrap_or(kill_at).min(kill_at)),
            (None, Some(ended)) => ended.kill_at = ended.kill_at.min(kill_at),
            (stop, None) => {
                // For a manager that comes later; if it cannot be written, the cause is in the exit record.
                let _ = journal::append(&mut self.journal, &Fact::Stop(request.clone()));
                match stop {
                    Some(Stop { cause, kill_at: Some(earlier), .. }) => {
                        *cause = request.cause;
                        *earlier = kill_at.min(*earlier);
                    }
                    // None yet, or a signal that was passed on and may have been any.
                    Some(_) | None => {
                        *stop = Some(Stop::new(request.cause, Some(kill_at)));
                        self.ask_all_to_end();
                    }
                }
            }
        }
    }

    /// Passes on a signal that asks `run-app` to end. The app decides how long it takes.
    pub(super) fn pass_on_end(&mut self, signal: Signal) {
        if self.ended.is_some() || self.stop.is_some() {
            // It came before: now it is meant.
            return self.kill_soon();
        }
        let mut stop = Stop::new(Cause::Signal(signal as i32), None);
        stop.asked = self.group().into_iter().collect();
        self.stop = Some(stop);
        self.signal_group(signal);
    }

    /// Passes on a signal that may mean anything to the app, such as HUP.
    pub(super) fn pass_on(&mut self, signal: Signal) {
        if let Some(foreground) = &mut self.foreground {
            foreground.passed_on = Some((signal, boot_time()));
        }
        self.signal_group(signal);
    }

    /// An app that a signal ended which was passed on was stopped by whoever sent it.
    pub(super) fn heed_passed_on(&mut self, exit: Option<Exit>) {
        let passed_on = self.foreground.as_ref().and_then(|foreground| foreground.passed_on);
        if let (None, Some((passed_on, begun)), Some(Exit::Signal { signal, .. })) =
            (&self.stop, passed_on, exit)
            && signal == passed_on as i32
        {
            self.stop = Some(Stop { begun, ..Stop::new(Cause::Signal(signal), None) });
        }
    }

    /// Whatever is left has no more time.
    fn kill_soon(&mut self) {
        match (&mut self.stop, &mut self.ended) {
            (Some(stop), _) => stop.kill_at = Some(boot_time()),
            (None, Some(ended)) => ended.kill_at = boot_time(),
            (None, None) => {}
        }
    }

    /// Until when the others may live when the main process has ended during a stop: they have the rest
    /// of its time. `None` where no stop was requested.
    pub(super) fn deadline_of_stop(&mut self, now: Duration) -> Option<Duration> {
        let grace = Duration::from_millis(self.spec.grace_ms);
        let stop = self.stop.as_mut()?;
        // Without a deadline the main process took its time; the others have theirs from the signal on.
        Some(*stop.kill_at.get_or_insert((stop.begun + grace).max(now + LEFTOVER_GRACE)))
    }

    /// When what is left of the run is killed.
    pub(super) fn kill_at(&self) -> Option<Duration> {
        match (&self.stop, &self.ended) {
            (Some(stop), _) => stop.kill_at,
            (None, Some(ended)) => Some(ended.kill_at),
            (None, None) => None,
        }
    }

    /// Kills what has outlived its grace time.
    pub(super) fn enforce(&mut self, now: Duration) {
        if self.ended.is_none() && self.kill_at().is_some_and(|at| at <= now) {
            self.kill(now);
        }
    }

    /// Kills what is left, and does so again if that is not enough.
    pub(super) fn kill(&mut self, now: Duration) {
        match (&mut self.stop, &mut self.ended) {
            (Some(stop), _) => {
                stop.killed = true;
                stop.kill_at = Some(now + KILL_AGAIN);
            }
            (None, Some(ended)) => ended.kill_at = now + KILL_AGAIN,
            (None, None) => {}
        }
        self.kill_all();
    }

    fn stop_signal(&self) -> Signal {
        match self.spec.stop_signal() {
            StopSignal::Term => Signal::SIGTERM,
            StopSignal::Int => Signal::SIGINT,
            StopSignal::Hup => Signal::SIGHUP,
            StopSignal::Quit => Signal::SIGQUIT,
            StopSignal::Usr1 => Signal::SIGUSR1,
            StopSignal::Usr2 => Signal::SIGUSR2,
            StopSignal::Kill => Signal::SIGKILL,
        }
    }

    /// Sends the stop signal to every process of the run that was not asked yet. A stopped process takes it only
    /// when it goes on.
    pub(super) fn ask_all_to_end(&mut self) {
        let signal = self.stop_signal();
        if signal == Signal::SIGKILL {
            // What is killed one by one could start others meanwhile.
            return self.kill_all();
        }
        let group: BTreeSet<_> = self.group().into_iter().collect();
        self.signal_group(signal);
        self.signal_group(Signal::SIGCONT);
        let mut asked = self.stop.as_mut().map(|stop| std::mem::take(&mut stop.asked)).unwrap_or_default();
        asked.extend(group);
        let others: Vec<_> =
            self.processes_seen().into_iter().filter(|process| !asked.contains(process)).collect();
        tree::signal_all(&others, signal);
        tree::signal_all(&others, Signal::SIGCONT);
        if let Some(stop) = &mut self.stop {
            asked.extend(others);
            stop.asked = asked;
        }
    }

    /// Signals the process group of the app as a whole: what it forks meanwhile is met as well. Its
    /// number is in use as long as the main process is not reaped, so it cannot be another's; later,
    /// and for a child of another shim, there is no such proof, and nothing is done.
    pub(super) fn signal_group(&self, signal: Signal) {
        match &self.main {
            Main::Child(main) if self.ended.is_none() => {
                let _ = killpg(pid_of(*main), signal);
            }
            Main::Child(_) | Main::Adopted(..) => {}
        }
    }

    /// The processes that [`Self::signal_group`] reaches.
    fn group(&self) -> Vec<Identity> {
        match &self.main {
            Main::Child(main) if self.ended.is_none() => {
                let group = pid_of(*main);
                let is_member = |process: &Identity| {
                    nix::unistd::getpgid(Some(pid_of(*process))).is_ok_and(|other| other == group)
                };
                self.processes_seen().into_iter().filter(is_member).collect()
            }
            Main::Child(_) | Main::Adopted(..) => Vec::new(),
        }
    }

    /// Stops everything first, so that nothing starts anything while the rest is killed.
    fn kill_all(&self) {
        let mut processes = self.processes_seen();
        for _ in 0..STOP_ROUNDS_MAX {
            tree::signal_all(&processes, Signal::SIGSTOP);
            let seen = std::mem::replace(&mut processes, self.processes_seen());
            if processes == seen {
                break;
            }
        }
        tree::signal_all(&processes, Signal::SIGKILL);
    }
}
