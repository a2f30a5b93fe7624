//! Finds out how the runs are that a manager before this one has left.

use super::layout::{RunDir, StateDir};
use super::record::Identity;
use super::{clock, journal, sys};
use crate::model::{Closing, Ending, RunId, Survivor, SurvivorState};

/// A run directory and what its processes do.
pub(super) struct Found {
    pub(super) survivor: Survivor,
    pub(super) dir: RunDir,
    /// The shim, where the run lives.
    pub(super) shim: Option<Identity>,
}

/// What can be said of a run directory at this moment.
enum Condition {
    /// Its shim has not decided yet: it waits at the gate or is about to start the app.
    Undecided,
    Decided(Box<Found>),
    /// Nothing in it tells whose it is: it was begun and not finished.
    Empty,
}

/// Looks at all run directories. Those whose shim is about to start the app, or to go because the
/// manager has gone, are looked at until they have decided; `wait` is called in between, and says
/// when it has been long enough.
pub(super) fn survey(state: &StateDir, mut wait: impl FnMut() -> bool) -> Vec<Found> {
    let mut open: Vec<_> = run_dirs(state);
    let mut found = Vec::new();
    loop {
        open.retain(|(run, dir)| match examine(*run, dir) {
            Condition::Decided(decided) => {
                found.push(*decided);
                false
            }
            Condition::Empty => {
                // Nothing was started from it.
                let _ = sys::remove_dir(dir.path());
                false
            }
            Condition::Undecided => true,
        });
        if open.is_empty() || !wait() {
            break;
        }
    }
    // A shim that stands still before it has started anything: it is watched like a running one.
    found.extend(open.into_iter().filter_map(|(run, dir)| stuck(run, dir)));
    found
}

fn run_dirs(state: &StateDir) -> Vec<(RunId, RunDir)> {
    let Ok(entries) = std::fs::read_dir(state.runs()) else { return Vec::new() };
    let mut dirs: Vec<_> = entries
        .filter_map(Result::ok)
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, RunDir::new(entry.path()))))
        .collect();
    dirs.sort_by_key(|(run, _)| *run);
    dirs
}

fn examine(run: RunId, dir: &RunDir) -> Condition {
    // Looked at before the journal: a run that has ended by then has left its record.
    let is_locked = journal::is_locked(dir);
    let Some((journal, app)) =
        journal::read(dir).and_then(|journal| journal.spec.app_id().map(|app| (journal, app)))
    else {
        return Condition::Empty;
    };
    let decided = |state: SurvivorState, shim: Option<Identity>| {
        Condition::Decided(Box::new(Found { survivor: Survivor { run, app, state }, dir: dir.clone(), shim }))
    };
    if let Some(record) = journal.exit {
        return decided(SurvivorState::Over(record.into()), None);
    }
    let Some(begun) = journal.begun else {
        let never = Closing::unseen(Ending::NeverStarted, clock::wall());
        return if is_locked { Condition::Undecided } else { decided(SurvivorState::Over(never), None) };
    };
    let started = journal.app.map_or(begun.at, |(_, started)| started);
    let over = |ending: Ending| {
        let closing = Closing { started: Some(started), ..Closing::unseen(ending, clock::wall()) };
        decided(SurvivorState::Over(closing), None)
    };
    if begun.boot != sys::boot_id() {
        return over(Ending::HostRebooted);
    }
    if journal.app.is_none() && sys::is_alive(begun.shim) {
        return Condition::Undecided;
    }
    let is_alive = is_locked
        || journal.app.is_some_and(|(process, _)| sys::is_alive(process))
        || sys::has_processes(&run.to_string());
    if !is_alive {
        return over(Ending::Unknown);
    }
    // Without a process on record the shim was killed in the moment in which it started it.
    let pid = journal.app.map_or(0, |(process, _)| process.pid);
    let stop = journal.stop.as_ref().map(|request| (&request.cause).into());
    decided(SurvivorState::Running { pid, started, stop }, Some(begun.shim))
}

fn stuck(run: RunId, dir: RunDir) -> Option<Found> {
    let journal = journal::read(&dir)?;
    let app = journal.spec.app_id()?;
    let state = SurvivorState::Running { pid: 0, started: clock::wall(), stop: None };
    Some(Found { survivor: Survivor { run, app, state }, dir, shim: journal.begun.map(|begun| begun.shim) })
}
