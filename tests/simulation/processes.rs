//! What shims and the processes of apps do. The rules are those of `src/process/unix/shim`.

use std::time::Duration;

use dcm::model::{Closing, Ending, Exit, Leftovers, Obstacle, Report, RunId, StartFailure, StopCause};

use crate::faults::Planted;
use crate::host::{Fate, Process, Serial, ShimId, Stop};
use crate::world::{Happening, World};

const TERM: i32 = 15;
const KILL: i32 = 9;

/// What a process cannot or need not answer for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signal {
    Term,
    Kill,
}

/// How often a report is the last of a run, in thousandths.
const HANGS: u64 = 60;

impl World {
    /// The shim was told to go: it starts the app.
    pub(crate) fn shim_begins(&mut self, shim: ShimId) {
        let Some(run) = self.host.shims.get(&shim).map(|shim| shim.run) else { return };
        let (boot, wall) = (self.host.boot, self.wall());
        let Some(dir) = self.host.dirs.get_mut(&run) else {
            self.host.shims.remove(&shim);
            return;
        };
        dir.begun = Some(boot);
        dir.begun_at = wall;
        let app = dir.app;
        let card = self.cast.iter().find(|card| card.app.id == app).cloned();
        let Some(card) = card else { return };
        let obstacle = if self.random.per_mille(self.swarm.host_exhausted / 2) {
            Some(Obstacle::HostExhausted)
        } else if !card.is_quiet && self.random.per_mille(self.swarm.not_found) {
            Some(Obstacle::NotFound)
        } else {
            None
        };
        if let Some(obstacle) = obstacle {
            let failure = StartFailure { obstacle, message: format!("{obstacle:?}") };
            self.note(|| format!("shim {run:?}: cannot start: {obstacle:?}"));
            self.oracle.start_failed(run, obstacle);
            self.put_on_record(shim, Closing::unseen(Ending::StartFailed(failure), wall));
            return;
        }
        let Fate { takes, exit } = card.fate(&self.swarm, &mut self.random);
        let ignores_term = self.random.per_mille(self.swarm.ignores_term);
        let (serial, pid) = self.host.spawn(run, ignores_term);
        self.note(|| format!("process {pid} of {run:?} begins, app {:?}", card.app.path));
        let database = &self.database.tables;
        self.oracle.process_began(self.time, serial, run, app, pid, database);
        self.after(takes, Happening::AppEnds { serial, exit });
        if self.random.per_mille(self.swarm.reports) {
            let pause = self.random.between(1, takes.min(20_000));
            self.after(pause, Happening::AppReports { serial });
        }
        if self.random.per_mille(self.swarm.shim_killed / 20) {
            // Killed in the very moment: nothing says which process it started.
            self.note(|| format!("shim of {run:?} is killed as it starts the app"));
            self.lose_shim(shim);
            return;
        }
        if let Some(dir) = self.host.dirs.get_mut(&run) {
            dir.process = Some((serial, pid, wall));
        }
        self.ring(run);
    }

    /// The successor of a shim that was killed.
    pub(crate) fn successor_begins(&mut self, shim: ShimId) {
        let Some(run) = self.host.shims.get(&shim).map(|shim| shim.run) else { return };
        let (boot, found) = (self.host.boot, self.host.processes_of(run).first().copied());
        let pid = found.and_then(|serial| self.host.processes.get(&serial)).map_or(0, |process| process.pid);
        let stop = match self.host.dirs.get_mut(&run).filter(|dir| dir.begun.is_some()) {
            Some(dir) => {
                dir.begun = Some(boot);
                if dir.process.is_none() {
                    dir.process = Some((found.unwrap_or(Serial(0)), pid, dir.begun_at));
                }
                dir.stop.clone()
            }
            None => {
                self.host.shims.remove(&shim);
                self.ring(run);
                return;
            }
        };
        if let Some((cause, grace)) = stop {
            self.shim_hears(shim, cause, grace);
        }
        self.ring(run);
        if found.is_none() {
            self.main_ended(shim, None);
        }
    }

    /// TERM now, KILL when the grace time is over. A second request may shorten the time, but does
    /// not begin anew.
    pub(crate) fn shim_hears(&mut self, id: ShimId, cause: StopCause, mut grace: Duration) {
        if self.planted == Some(Planted::GivesNoGrace) {
            grace = Duration::ZERO;
        }
        let time = self.time;
        let Some(shim) = self.host.shims.get_mut(&id).filter(|shim| !shim.has_seen_end) else { return };
        let run = shim.run;
        let asked = time + u64::try_from(grace.as_millis()).unwrap_or(0);
        let is_first = shim.stop.is_none();
        let (kill_at, killed) =
            shim.stop.as_ref().map_or((asked, false), |stop| (stop.kill_at.min(asked), stop.killed));
        shim.stop = Some(Stop { cause: cause.clone(), kill_at, killed });
        if let Some(dir) = self.host.dirs.get_mut(&run) {
            dir.stop = Some((cause, grace));
        }
        self.after(kill_at.saturating_sub(time), Happening::GraceOver { shim: id });
        if is_first {
            for serial in self.targets(run) {
                self.signal(run, serial, Signal::Term);
            }
        }
    }

    pub(crate) fn grace_over(&mut self, id: ShimId) {
        let time = self.time;
        let Some(shim) = self.host.shims.get_mut(&id).filter(|shim| !shim.has_seen_end) else { return };
        let run = shim.run;
        let Some(stop) = shim.stop.as_mut().filter(|stop| stop.kill_at <= time) else { return };
        stop.killed = true;
        stop.kill_at = time + 1000;
        for serial in self.targets(run) {
            self.signal(run, serial, Signal::Kill);
        }
        self.after(1000, Happening::GraceOver { shim: id });
    }

    fn targets(&mut self, run: RunId) -> Vec<Serial> {
        if self.errs(Planted::SignalsByNumber, 300) {
            return self.host.processes.keys().next_back().copied().into_iter().collect();
        }
        self.host.processes_of(run)
    }

    /// Sends a signal to a process that somebody takes for one of `run`.
    pub(crate) fn signal(&mut self, run: RunId, serial: Serial, signal: Signal) {
        let Some(Process { ignores_term, pid, run: owner }) = self.host.processes.get(&serial).cloned()
        else {
            return;
        };
        self.note(|| format!("{signal:?} to process {pid} of {owner:?} for {run:?}"));
        self.oracle.signalled(self.time, run, serial, signal);
        match signal {
            Signal::Kill => self.process_ends(serial, Exit::Signal { signal: KILL, core: false }),
            Signal::Term if ignores_term => {}
            Signal::Term => {
                let exit = match self.random.between(0, 3) {
                    0 => Exit::Code(0),
                    1 => Exit::Code(3),
                    _ => Exit::Signal { signal: TERM, core: false },
                };
                let takes = self.random.between(0, 500);
                self.after(takes, Happening::AppEnds { serial, exit });
            }
        }
    }

    /// The process is gone. Its shim learns how, unless it is a successor.
    pub(crate) fn process_ends(&mut self, serial: Serial, exit: Exit) {
        let Some(process) = self.host.processes.remove(&serial) else { return };
        self.note(|| format!("process {} of {:?} ends: {exit}", process.pid, process.run));
        self.oracle.process_ended(self.time, serial, Some(exit));
        if let Some(id) = self.host.shim_of(process.run) {
            let is_successor = self.host.shims.get(&id).is_some_and(|shim| shim.is_successor);
            self.main_ended(id, (!is_successor).then_some(exit));
        }
    }

    fn main_ended(&mut self, id: ShimId, exit: Option<Exit>) {
        if let Some(shim) = self.host.shims.get_mut(&id).filter(|shim| !shim.has_seen_end) {
            shim.has_seen_end = true;
            let takes = self.random.between(0, 30);
            self.after(takes, Happening::ShimConcludes { shim: id, exit });
        }
    }

    pub(crate) fn shim_concludes(&mut self, id: ShimId, exit: Option<Exit>) {
        let Some(shim) = self.host.shims.get(&id).cloned() else { return };
        if self.errs(Planted::LosesExitRecord, 200) {
            self.host.shims.remove(&id);
            self.ring(shim.run);
            return;
        }
        let ending = match (shim.stop, exit) {
            (Some(stop), exit) => Ending::Stopped { cause: stop.cause, exit, killed: stop.killed },
            (None, Some(exit)) => Ending::Exited(exit),
            (None, None) => Ending::Unknown,
        };
        let stretched = chrono::TimeDelta::minutes(i64::from(self.planted == Some(Planted::StretchesLives)));
        let Some(dir) = self.host.dirs.get(&shim.run) else { return };
        let closing = Closing {
            ending,
            started: dir.process.map(|(_, _, started)| started - stretched),
            ended: self.wall(),
            report: dir.report.clone(),
            leftovers: Leftovers::default(),
            stderr: None,
        };
        self.put_on_record(id, closing);
    }

    fn put_on_record(&mut self, id: ShimId, closing: Closing) {
        let Some(shim) = self.host.shims.remove(&id) else { return };
        if let Some(dir) = self.host.dirs.get_mut(&shim.run) {
            dir.exit = Some(closing);
        }
        self.ring(shim.run);
    }

    pub(crate) fn app_reports(&mut self, serial: Serial) {
        let Some(run) = self.host.processes.get(&serial).map(|process| process.run) else { return };
        let asks = self.random.per_mille(self.swarm.asks_next_run);
        let delay = i64::try_from(self.random.between(0, 60_000)).unwrap_or(0) - 5000;
        let next_run = self.wall() + chrono::TimeDelta::milliseconds(delay);
        let (size, solved) = (self.random.between(1, 100), self.random.between(0, 100));
        let Some(dir) = self.host.dirs.get_mut(&run) else { return };
        let is_quiet = self.cast.iter().any(|card| card.app.id == dir.app && card.is_quiet);
        dir.report.merge(Report {
            task_size: Some(size),
            solved: Some(solved),
            next_run: (asks && !is_quiet).then_some(next_run),
            ..Report::default()
        });
        let (app, report) = (dir.app, dir.report.clone());
        self.oracle.reported(self.time, run, report.solved > Some(0));
        if report.next_run == Some(next_run) {
            self.note(|| format!("{run:?} asks to run next at {next_run}"));
            self.oracle.asked_time(self.time, run, app, next_run, delay);
        }
        if self.host.shim_of(run).is_some() {
            self.tell_report(run, report);
        }
        if self.random.per_mille(HANGS) {
            self.note(|| format!("{run:?} counts no further"));
            return;
        }
        let pause = self.random.between(200, 20_000);
        self.after(pause, Happening::AppReports { serial });
    }

    /// A shim is killed; the app's process goes on.
    pub(crate) fn lose_shim(&mut self, id: ShimId) {
        let Some(shim) = self.host.shims.remove(&id) else { return };
        self.oracle.shim_was_killed(shim.run);
        self.ring(shim.run);
    }

    pub(crate) fn reboot(&mut self) {
        self.note(|| "the host goes down and comes up again".to_owned());
        let lost = self.host.reboot(self.time);
        for (serial, process) in lost {
            self.oracle.process_ended(self.time, serial, None);
            self.oracle.shim_was_killed(process.run);
        }
        let runs: Vec<_> = self.host.dirs.keys().copied().collect();
        for run in runs {
            self.oracle.host_was_lost(run);
        }
    }
}
