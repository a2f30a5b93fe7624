//! Finds out how the runs are that a manager before this one has left.

use std::fs::{File, TryLockError};
use std::path::Path;

use super::layout::{RunDir, StateDir};
use super::record::{ExitRecord, Identity, Pids, Spec};
use super::{atomic_file, clock, sys};
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
                let _ = std::fs::remove_dir_all(dir.path());
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
    let Some(app) = atomic_file::read::<Spec>(&dir.spec()).and_then(|spec| spec.app_id()) else {
        return Condition::Empty;
    };
    let decided = |state: SurvivorState, shim: Option<Identity>| {
        Condition::Decided(Box::new(Found { survivor: Survivor { run, app, state }, dir: dir.clone(), shim }))
    };
    let is_locked = is_locked(&dir.lock());
    let pids: Option<Pids> = atomic_file::read(&dir.pid());
    // Read after the lock was looked at: a run that has ended by now has left its record before.
    if let Some(record) = atomic_file::read::<ExitRecord>(&dir.exit()) {
        return decided(SurvivorState::Over(record.into()), None);
    }
    let over = |ending: Ending| {
        let started = pids.as_ref().map(|pids| pids.started);
        let closing = Closing { started, ..Closing::unseen(ending, clock::wall()) };
        decided(SurvivorState::Over(closing), None)
    };
    match &pids {
        None if is_locked => Condition::Undecided,
        None => over(Ending::NeverStarted),
        Some(pids) if pids.boot != sys::boot_id() => over(Ending::HostRebooted),
        Some(Pids { shim, app: Some(app), started, stop, .. })
            if is_locked || sys::is_alive(*app) || sys::has_processes(&run.to_string()) =>
        {
            let stop = stop.as_ref().map(Into::into);
            decided(SurvivorState::Running { pid: app.pid, started: *started, stop }, Some(*shim))
        }
        Some(Pids { shim, app: None, .. }) if sys::is_alive(*shim) => Condition::Undecided,
        // The shim was killed in the moment in which it started the app.
        Some(Pids { shim, app: None, started, .. }) if is_locked || sys::has_processes(&run.to_string()) => {
            decided(SurvivorState::Running { pid: 0, started: *started, stop: None }, Some(*shim))
        }
        Some(_) => over(Ending::Unknown),
    }
}

fn stuck(run: RunId, dir: RunDir) -> Option<Found> {
    let app = atomic_file::read::<Spec>(&dir.spec())?.app_id()?;
    let pids: Option<Pids> = atomic_file::read(&dir.pid());
    let state = SurvivorState::Running { pid: 0, started: clock::wall(), stop: None };
    Some(Found { survivor: Survivor { run, app, state }, dir, shim: pids.map(|pids| pids.shim) })
}

/// Whether any process of the run lives that has not closed the lock.
pub(super) fn is_locked(path: &Path) -> bool {
    match File::open(path).map(|file| file.try_lock()) {
        Ok(Err(TryLockError::WouldBlock)) => true,
        Ok(Ok(()) | Err(TryLockError::Error(_))) | Err(_) => false,
    }
}
