//! `dcm stop-apps`: ends every process of a state directory, with or without a manager.

use std::collections::BTreeSet;
use std::time::Duration;

use super::journal::{self, Lock};
use super::layout::{RunDir, StateDir};
use super::looker::Host;
use super::record::Identity;
use super::{clock, supervisor, survey, sys};
use crate::model::{RunId, StopCause, SurvivorState};

/// What became of the runs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stopped {
    /// Runs that were under way and are not any more.
    pub ended: Vec<RunId>,
    /// Processes that no run directory accounts for, and that were ended.
    pub strays: usize,
    /// Runs that are under way still.
    pub left: Vec<RunId>,
    /// What could not be ended or looked at, and why.
    pub unreached: Vec<String>,
}

/// A process of a run of a state directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Member {
    pub(super) process: Identity,
    /// Which run, where that can be told.
    pub(super) run: Option<RunId>,
    pub(super) is_shim: bool,
    pub(super) name: String,
}

/// How long after its grace time a run is waited for at most, and a killed process after that.
const SLACK: Duration = Duration::from_secs(3);

/// Pauses between looks: at locks, and at all processes of the host.
const LOOK_EVERY: Duration = Duration::from_millis(10);
const SEARCH_EVERY: Duration = Duration::from_millis(100);

/// How long runs have between being asked to end and being killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grace {
    /// All of them this long.
    All(Duration),
    /// Each as long as its app says, and at most this long where that is limited.
    OfEachApp(Option<Duration>),
}

/// The grace time of a run whose app cannot be asked.
const GRACE_USUAL: Duration = Duration::from_secs(10);

impl Grace {
    /// That of a run whose app says `own`.
    fn of(self, own: Option<Duration>) -> Duration {
        match self {
            Self::All(grace) => grace,
            Self::OfEachApp(at_most) => own.unwrap_or(GRACE_USUAL).min(at_most.unwrap_or(Duration::MAX)),
        }
    }

    /// How long what should have ended by itself is waited for before it is killed from here: who limits the whole
    /// time, such as a container engine, waits no longer.
    fn slack(self) -> Duration {
        match self {
            Self::OfEachApp(Some(_)) => SLACK / 6,
            Self::All(_) | Self::OfEachApp(None) => SLACK,
        }
    }
}

/// Asks every run to end, and kills what has not ended after the grace time, whether a run directory tells of it or
/// not. How the runs ended is kept in their directories until a manager enters it.
#[must_use]
pub fn stop_all(state: &StateDir, by: &str, grace: Grace) -> Stopped {
    let mut stopped = Stopped::default();
    let begun = clock::boot_time();
    let runs = living_runs(state, grace.slack(), &mut stopped);
    let cause = StopCause::StopApps(by.to_owned());
    for run in &runs {
        run.ask_to_end(&cause, grace.of(run.grace));
    }
    let strays = strays(state, &runs, &mut stopped);
    let longest = runs.iter().map(|run| run.grace).chain(strays.iter().map(|_| None));
    let longest = longest.map(|own| grace.of(own)).max().unwrap_or_default();
    let deadline = begun.saturating_add(longest).saturating_add(grace.slack());
    wait_until(deadline, LOOK_EVERY, || {
        runs.iter().all(Living::is_over)
            && strays.iter().all(|stray| stray.is_alive().is_ok_and(|lives| !lives))
    });
    let meant = Meant {
        runs: runs.iter().map(|run| run.run).chain(strays.iter().filter_map(|stray| stray.run)).collect(),
        processes: strays.iter().map(|stray| stray.process).collect(),
    };
    let left = meant.kill(state, grace.slack(), &mut stopped);
    for run in runs {
        let is_left = !run.is_over() || left.iter().any(|member| member.run == Some(run.run));
        if is_left {
            stopped.left.push(run.run);
        } else {
            stopped.ended.push(run.run);
        }
        if is_left && !left.iter().any(|member| member.run == Some(run.run)) {
            stopped.unreached.push(format!(
                "run {}: a process that this user cannot see holds {}",
                run.run,
                run.dir.journal().display()
            ));
        }
    }
    stopped.strays = strays.iter().filter(|stray| !left.contains(stray)).count();
    stopped
}

/// A run that is under way, or may be.
struct Living {
    run: RunId,
    dir: RunDir,
    shim: Option<Identity>,
    /// The grace time of its app.
    grace: Option<Duration>,
}

impl Living {
    fn ask_to_end(&self, cause: &StopCause, grace: Duration) {
        if supervisor::request_stop(&self.dir, cause, grace).is_err()
            && let Some(shim) = self.shim
        {
            sys::ask_to_end(shim);
        }
        // Its shim was killed and nobody is there to replace it.
        if self.shim.is_none_or(|shim| matches!(sys::is_alive(shim), Ok(false))) {
            let _ = sys::spawn_adopter(&self.dir);
        }
    }

    /// Whether its end is on record, or nothing of it lives any more.
    fn is_over(&self) -> bool {
        match journal::lock(&self.dir) {
            Ok(Lock::Missing) => true,
            Ok(Lock::Free) => {
                journal::read(&self.dir)
                    .is_ok_and(|journal| journal.is_none_or(|journal| journal.exit.is_some()))
                    || sys::has_processes(&self.run.to_string()).is_ok_and(|has_some| !has_some)
            }
            Ok(Lock::Held) | Err(_) => false,
        }
    }
}

fn living_runs(state: &StateDir, patience: Duration, stopped: &mut Stopped) -> Vec<Living> {
    let deadline = clock::boot_time() + patience;
    let surveyed = survey::survey(&Host, state, || {
        pause(LOOK_EVERY);
        clock::boot_time() < deadline
    });
    let surveyed = surveyed.unwrap_or_else(|error| {
        stopped.unreached.push(format!("the run directories cannot be listed: {error}"));
        survey::Surveyed::default()
    });
    let mut living = Vec::new();
    for found in surveyed.found {
        if matches!(found.survivor.state, SurvivorState::Running { .. }) {
            let journal = journal::read(&found.dir).ok().flatten();
            let grace = journal.map(|journal| Duration::from_millis(journal.spec.grace_ms));
            living.push(Living { run: found.survivor.run, dir: found.dir, shim: found.shim, grace });
        }
    }
    for (run, dir, why) in surveyed.unknown {
        stopped.unreached.push(format!("run {run}: {why}"));
        living.push(Living { run, dir, shim: None, grace: None });
    }
    living
}

/// The processes that no living run accounts for. They are asked to end; a shim passes that on to its app.
fn strays(state: &StateDir, runs: &[Living], stopped: &mut Stopped) -> Vec<Member> {
    let members = sys::members_of(state).unwrap_or_else(|error| {
        stopped.unreached.push(format!("the processes of this host cannot be listed: {error}"));
        Vec::new()
    });
    let is_stray = |member: &Member| runs.iter().all(|run| Some(run.run) != member.run);
    let strays: Vec<_> = members.into_iter().filter(is_stray).collect();
    for stray in &strays {
        let has_shim =
            strays.iter().any(|other| other.is_shim && other.run.is_some() && other.run == stray.run);
        if stray.is_shim || !has_shim {
            // One that refuses is killed, or named, in the end.
            let _ = stray.ask_to_end();
        }
    }
    strays
}

/// What is to be ended: a manager may start others meanwhile.
struct Meant {
    runs: BTreeSet<RunId>,
    processes: BTreeSet<Identity>,
}

impl Meant {
    /// Kills what has outlived its time, shims last, since they write down how their runs ended. What is left then
    /// is named and given back.
    fn kill(&self, state: &StateDir, patience: Duration, stopped: &mut Stopped) -> Vec<Member> {
        let begin = clock::boot_time();
        let mut left = Vec::new();
        let mut refusals = Vec::new();
        wait_until(begin + patience + patience, SEARCH_EVERY, || {
            let Ok(members) = sys::members_of(state) else { return false };
            left = members.into_iter().filter(|member| self.includes(member)).collect();
            refusals.clear();
            let is_time_for_shims = clock::boot_time() > begin + patience;
            for member in left.iter().filter(|member| !member.is_shim || is_time_for_shims) {
                if let Err(error) = member.kill() {
                    refusals.push((member.process, error.to_string()));
                }
            }
            left.is_empty()
        });
        for Member { process, run, name, .. } in &left {
            let run = run.map_or_else(String::new, |run| format!(" of run {run}"));
            let why = refusals.iter().find(|(refused, _)| refused == process);
            let why = why.map_or("it does not end", |(_, why)| why.as_str());
            stopped.unreached.push(format!("process {} ({name}){run}: {why}", process.pid));
        }
        left
    }

    fn includes(&self, member: &Member) -> bool {
        self.processes.contains(&member.process) || member.run.is_some_and(|run| self.runs.contains(&run))
    }
}

/// There is no event for the end of another's child.
fn wait_until(deadline: Duration, every: Duration, mut is_so: impl FnMut() -> bool) {
    while !is_so() && clock::boot_time() < deadline {
        pause(every);
    }
}

fn pause(length: Duration) {
    std::thread::park_timeout(length);
}
