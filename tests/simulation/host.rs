//! A made-up host: processes, the shims that supervise them, and the run directories that outlive
//! both. What the real ones do is in `src/process`; here it costs no time and can go wrong at will.

use std::collections::BTreeMap;
use std::time::Duration;

use dcm::model::{
    AppId, Closing, Ending, Exit, Report, RunId, StopCause, Survivor, SurvivorState, Timestamp,
};

/// Few numbers, so that they are used again soon.
const PIDS: u32 = 40;
const FIRST_PID: u32 = 100;

/// A process as nobody inside the world can see it: its serial is never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Serial(pub u64);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ShimId(pub u64);

#[derive(Debug, Clone)]
pub(crate) struct Process {
    pub(crate) run: RunId,
    pub(crate) pid: u32,
    pub(crate) ignores_term: bool,
}

#[derive(Debug, Clone)]
pub(crate) struct Shim {
    pub(crate) run: RunId,
    /// It took the place of one that was killed: it cannot learn how the app's process exits.
    pub(crate) is_successor: bool,
    pub(crate) stop: Option<Stop>,
    /// The main process has ended; the record is being written.
    pub(crate) has_seen_end: bool,
}

#[derive(Debug, Clone)]
pub(crate) struct Stop {
    pub(crate) cause: StopCause,
    pub(crate) kill_at: u64,
    pub(crate) killed: bool,
}

/// The journal of a run, line by line.
#[derive(Debug, Clone)]
pub(crate) struct RunDir {
    pub(crate) app: AppId,
    /// In which life of the host a shim began with it.
    pub(crate) begun: Option<u32>,
    pub(crate) begun_at: Timestamp,
    pub(crate) process: Option<(Serial, u32, Timestamp)>,
    pub(crate) stop: Option<(StopCause, Duration)>,
    pub(crate) exit: Option<Closing>,
    pub(crate) report: Report,
}

#[derive(Debug, Default)]
pub(crate) struct Host {
    /// Which life of the host this is.
    pub(crate) boot: u32,
    /// When it began.
    pub(crate) booted_at: u64,
    pub(crate) processes: BTreeMap<Serial, Process>,
    pub(crate) shims: BTreeMap<ShimId, Shim>,
    pub(crate) dirs: BTreeMap<RunId, RunDir>,
    /// Nothing of it can be looked at before this moment.
    pub(crate) blind_until: u64,
    last_serial: u64,
    last_pid: u32,
}

/// What can be said of a run directory at this moment.
pub(crate) enum Condition {
    Undecided,
    Decided(Box<SurvivorState>),
}

impl Host {
    pub(crate) fn spawn(&mut self, run: RunId, ignores_term: bool) -> (Serial, u32) {
        self.last_serial += 1;
        let pid = (1..=PIDS)
            .map(|step| FIRST_PID + (self.last_pid + step) % PIDS)
            .find(|pid| self.processes.values().all(|process| process.pid != *pid))
            .unwrap_or(FIRST_PID + PIDS);
        self.last_pid = pid - FIRST_PID;
        let serial = Serial(self.last_serial);
        self.processes.insert(serial, Process { run, pid, ignores_term });
        (serial, pid)
    }

    pub(crate) fn new_shim(&mut self, run: RunId, is_successor: bool) -> ShimId {
        self.last_serial += 1;
        let id = ShimId(self.last_serial);
        self.shims.insert(id, Shim { run, is_successor, stop: None, has_seen_end: false });
        id
    }

    pub(crate) fn shim_of(&self, run: RunId) -> Option<ShimId> {
        self.shims.iter().find(|(_, shim)| shim.run == run).map(|(id, _)| *id)
    }

    /// The processes that carry the tag of a run.
    pub(crate) fn processes_of(&self, run: RunId) -> Vec<Serial> {
        self.processes.iter().filter(|(_, process)| process.run == run).map(|(serial, _)| *serial).collect()
    }

    /// Whether the lock of the run is held by anything that lives.
    pub(crate) fn is_locked(&self, run: RunId) -> bool {
        self.shim_of(run).is_some() || self.processes.values().any(|process| process.run == run)
    }

    /// The counterpart of `process::survey`.
    pub(crate) fn examine(&self, run: RunId, now: Timestamp) -> Option<Condition> {
        let dir = self.dirs.get(&run)?;
        let over = |closing| Some(Condition::Decided(Box::new(SurvivorState::Over(closing))));
        if let Some(closing) = &dir.exit {
            return over(closing.clone());
        }
        let Some(boot) = dir.begun else {
            return if self.is_locked(run) {
                Some(Condition::Undecided)
            } else {
                over(Closing::unseen(Ending::NeverStarted, now))
            };
        };
        let started = dir.process.map_or(dir.begun_at, |(_, _, started)| started);
        let lost = |ending| Closing { started: Some(started), ..Closing::unseen(ending, now) };
        if boot != self.boot {
            return over(lost(Ending::HostRebooted));
        }
        if dir.process.is_none() && self.shim_of(run).is_some() {
            return Some(Condition::Undecided);
        }
        if !self.is_locked(run) {
            return over(lost(Ending::Unknown));
        }
        let pid = dir.process.map_or(0, |(_, pid, _)| pid);
        let stop = dir.stop.as_ref().map(|(cause, _)| cause.clone());
        Some(Condition::Decided(Box::new(SurvivorState::Running { pid, started, stop })))
    }

    /// One that stands still before it has started anything: it is watched like a running one.
    pub(crate) fn stuck(&self, run: RunId, now: Timestamp) -> Option<Survivor> {
        let app = self.dirs.get(&run)?.app;
        Some(Survivor {
            run,
            app,
            pid: None,
            state: SurvivorState::Running { pid: 0, started: now, stop: None },
        })
    }

    /// Everything dies. What is on disk stays.
    pub(crate) fn reboot(&mut self, time: u64) -> BTreeMap<Serial, Process> {
        self.boot += 1;
        self.booted_at = time;
        self.last_pid = 0;
        self.shims.clear();
        std::mem::take(&mut self.processes)
    }
}

/// How an app is going to end, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fate {
    pub(crate) takes: u64,
    pub(crate) exit: Exit,
}
