//! The manager's hand in the world of processes, as `process::Supervisor` and its watcher are.

use std::time::Duration;

use dcm::manager::{Effect, Event, Launch};
use dcm::model::{Closing, Ending, Exit, Obstacle, Report, RunId, StartFailure, StopCause};

use crate::faults::Planted;
use crate::host::RunDir;
use crate::processes::Signal;
use crate::shell::{Watched, invent};
use crate::world::{Happening, World};

/// A shim that is gone is replaced at most so often.
const SUCCESSORS_MAX: u32 = 5;

impl World {
    pub(crate) fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::Stop { run, cause, grace } => self.request_stop(run, cause, grace),
            Effect::Adopt { run } => {
                if self.host.dirs.contains_key(&run) {
                    self.watch(run, false);
                }
            }
            Effect::Start { .. } | Effect::Kill { .. } | Effect::Forget { .. } => self.order(effect),
            Effect::Measure { .. } => {}
        }
    }

    fn order(&mut self, order: Effect) {
        let moment = self.moment();
        let Some(shell) = &mut self.shell else { return };
        let manager = shell.number;
        shell.orders.push_back(order);
        self.after(moment, Happening::Order { manager });
    }

    /// One order of the launcher; here `Adopt` stands for the successor of a lost shim.
    pub(crate) fn take_order(&mut self, manager: u32) {
        let Some(order) = self.shell_of(manager).and_then(|shell| shell.orders.pop_front()) else { return };
        if self.dies_at("before an order") {
            return;
        }
        match order {
            Effect::Start { run, launch } => self.start(run, launch),
            Effect::Adopt { run } => self.send_successor(run),
            Effect::Kill { run } => {
                if self.planted != Some(Planted::LosesStops) {
                    for serial in self.host.processes_of(run) {
                        self.signal(run, serial, Signal::Kill);
                    }
                    self.ring(run);
                }
            }
            Effect::Forget { run, .. } => {
                if let Some(shell) = &mut self.shell {
                    shell.watched.remove(&run);
                }
                if self.planted != Some(Planted::NeverForgets) {
                    self.host.dirs.remove(&run);
                }
            }
            Effect::Stop { .. } | Effect::Measure { .. } => {}
        }
    }

    fn start(&mut self, run: RunId, launch: Box<Launch>) {
        if self.random.per_mille(self.swarm.host_exhausted / 2) {
            self.host.dirs.remove(&run);
            self.oracle.start_failed(run, Obstacle::HostExhausted);
            let failure = StartFailure { obstacle: Obstacle::HostExhausted, message: "no room".to_owned() };
            let closing = Closing::unseen(Ending::StartFailed(failure), self.wall());
            self.send(Event::Ended { run, closing });
            return;
        }
        self.make_run_dir(run, launch);
        self.watch(run, false);
        if self.dies_at("between directory and go") {
            return;
        }
        self.say_go(run);
        if self.errs(Planted::StartsTwice, 200) {
            self.say_go(run);
        }
    }

    pub(crate) fn make_run_dir(&mut self, run: RunId, launch: Box<Launch>) {
        let dir = RunDir {
            app: launch.app,
            begun: None,
            begun_at: self.wall(),
            process: None,
            stop: None,
            exit: None,
            report: Report::default(),
        };
        self.host.dirs.insert(run, dir);
    }

    pub(crate) fn say_go(&mut self, run: RunId) {
        let shim = self.host.new_shim(run, false);
        let moment = self.random.between(1, 20);
        self.after(moment, Happening::ShimBegins { shim });
    }

    fn send_successor(&mut self, run: RunId) {
        if let Some(watched) = self.shell.as_mut().and_then(|shell| shell.watched.get_mut(&run)) {
            watched.is_lost = false;
        }
        if !self.host.dirs.contains_key(&run) {
            self.ring(run);
            return;
        }
        self.note(|| format!("a successor for the shim of {run:?}"));
        let shim = self.host.new_shim(run, true);
        let moment = self.random.between(1, 20);
        self.after(moment, Happening::SuccessorBegins { shim });
    }

    fn request_stop(&mut self, run: RunId, cause: StopCause, grace: Duration) {
        if self.planted == Some(Planted::LosesStops) {
            return;
        }
        self.oracle.stop_requested(self.time, run);
        match self.host.shim_of(run) {
            Some(shim) => {
                let moment = self.moment();
                self.after(moment, Happening::ShimHears { shim, cause, grace });
            }
            None => {
                if let Some(dir) = self.host.dirs.get_mut(&run) {
                    dir.stop = Some((cause, grace));
                }
            }
        }
        self.ring(run);
    }

    /// Ends every run of the host, as `dcm stop-apps` does.
    pub(crate) fn stop_all(&mut self, by: &str) {
        let runs: Vec<_> =
            self.host.dirs.keys().copied().filter(|run| !self.host.processes_of(*run).is_empty()).collect();
        for run in runs {
            self.oracle.stop_apps_asked(run);
            self.request_stop(run, StopCause::StopApps(by.to_owned()), Duration::from_secs(10));
        }
    }

    fn watch(&mut self, run: RunId, is_announced: bool) {
        if let Some(shell) = &mut self.shell {
            shell.watched.insert(run, Watched { is_announced, ..Watched::default() });
        }
        self.ring(run);
    }

    /// Something is to be told about a run.
    pub(crate) fn ring(&mut self, run: RunId) {
        let moment = self.moment();
        let Some(shell) = self.shell.as_ref().filter(|shell| shell.watched.contains_key(&run)) else {
            return;
        };
        let manager = shell.number;
        self.after(moment, Happening::Look { manager, run });
    }

    pub(crate) fn tell_report(&mut self, run: RunId, report: Report) {
        if self.shell.as_ref().is_some_and(|shell| shell.watched.contains_key(&run)) {
            self.send(Event::Reported { run, report });
        }
    }

    /// Runs that cannot announce themselves are looked at now and then.
    pub(crate) fn look_again(&mut self, manager: u32) {
        let Some(shell) = self.shell_of(manager) else { return };
        let silent: Vec<_> =
            shell.watched.iter().filter(|(_, watched)| !watched.is_announced).map(|(run, _)| *run).collect();
        for run in silent {
            self.look(manager, run);
        }
        self.after(1000, Happening::LookAgain { manager });
    }

    pub(crate) fn look(&mut self, manager: u32, run: RunId) {
        let Some(mut watched) = self.shell_of(manager).and_then(|shell| shell.watched.get(&run).cloned())
        else {
            return;
        };
        let is_blind = self.time < self.host.blind_until;
        if is_blind && self.planted != Some(Planted::TakesBlindForGone) {
            let pause = self.host.blind_until - self.time;
            self.after(pause, Happening::Look { manager, run });
            return;
        }
        let dir = self.host.dirs.get(&run).filter(|_| !is_blind).cloned();
        if let Some((_, pid, at)) = dir.as_ref().and_then(|dir| dir.process).filter(|_| !watched.is_announced)
        {
            watched.is_announced = true;
            self.send(Event::Started { run, pid, at });
            let report = dir.as_ref().map(|dir| dir.report.clone()).filter(|report| !report.is_empty());
            if let Some(report) = report {
                self.send(Event::Reported { run, report });
            }
        }
        let mut exit = dir.as_ref().and_then(|dir| dir.exit.clone());
        if exit.is_none() && watched.is_announced && self.errs(Planted::TellsOfEndTooEarly, 200) {
            exit = Some(Closing::unseen(Ending::Exited(Exit::Code(0)), self.wall()));
        }
        if let Some(mut closing) = exit {
            if self.planted == Some(Planted::InventsExit) {
                invent(&mut closing);
            }
            if self.errs(Planted::MistakesExit, 200)
                && let Ending::Exited(exit) = &mut closing.ending
            {
                *exit = Exit::Code(0);
            }
            self.end_watch(run, closing);
            return;
        }
        let has_begun = dir.as_ref().is_some_and(|dir| dir.begun.is_some());
        let is_there = if has_begun { self.host.shim_of(run).is_some() } else { self.host.is_locked(run) };
        if !is_there && !watched.is_lost {
            if has_begun && (watched.successors < SUCCESSORS_MAX || !self.host.processes_of(run).is_empty()) {
                watched.is_lost = true;
                watched.successors += 1;
                self.order(Effect::Adopt { run });
            } else {
                let ending = if has_begun || dir.is_none() {
                    Ending::Unknown
                } else {
                    let message = "its shim ended before it started the app".to_owned();
                    Ending::StartFailed(StartFailure { obstacle: Obstacle::HostExhausted, message })
                };
                let closing = Closing::unseen(ending, self.wall());
                self.end_watch(run, closing);
                return;
            }
        }
        if let Some(shell) = self.shell_of(manager) {
            shell.watched.insert(run, watched);
        }
    }

    fn end_watch(&mut self, run: RunId, closing: Closing) {
        if let Some(shell) = &mut self.shell {
            shell.watched.remove(&run);
        }
        self.send(Event::Ended { run, closing });
    }
}
