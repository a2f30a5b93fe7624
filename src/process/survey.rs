//! Finds out how the runs are that a manager before this one has left.

use std::io;

use super::journal::{Journal, Lock};
use super::layout::{RunDir, StateDir};
use super::log_end::add_stderr;
use super::looker::Looker;
use super::record::Identity;
use super::{clock, sys};
use crate::model::{Closing, Ending, RunId, Survivor, SurvivorState, known_pid};

/// A run directory and what its processes do.
pub(super) struct Found {
    pub(super) survivor: Survivor,
    pub(super) dir: RunDir,
    /// The shim, where the run lives.
    pub(super) shim: Option<Identity>,
}

/// The runs of a state directory.
#[derive(Default)]
pub(super) struct Surveyed {
    pub(super) found: Vec<Found>,
    /// Runs that could not be looked at, and why: they may live.
    pub(super) unknown: Vec<(RunId, RunDir, String)>,
}

/// What can be said of a run directory at this moment.
enum Condition {
    /// Its shim has not decided yet: it waits at the gate or is about to start the app.
    Undecided(Option<Found>),
    Decided(Found),
    /// Nothing in it tells whose it is, and nothing lives in it: it was begun and not finished.
    Empty,
}

/// Looks at all run directories. Those whose shim is about to start the app, or to go because the
/// manager has gone, are looked at until they have decided; `wait` is called in between, and says
/// when it has been long enough.
///
/// # Errors
/// When the run directories cannot be listed. Nothing is known then.
pub(super) fn survey(
    looker: &impl Looker,
    state: &StateDir,
    mut wait: impl FnMut() -> bool,
) -> io::Result<Surveyed> {
    let mut open = run_dirs(state)?;
    let mut surveyed = Surveyed::default();
    let mut is_last = false;
    loop {
        let mut undecided = Vec::new();
        for (run, dir) in open {
            match examine(looker, run, &dir) {
                Ok(Condition::Decided(decided)) => surveyed.found.push(decided),
                // Nothing was started from it. What cannot be removed is looked at by the next survey.
                Ok(Condition::Empty) => drop(sys::remove_dir(dir.path())),
                // A shim that stands still before it has started anything: it is watched like a running one.
                Ok(Condition::Undecided(Some(stuck))) if is_last => surveyed.found.push(stuck),
                Ok(Condition::Undecided(None)) if is_last => {
                    surveyed.unknown.push((
                        run,
                        dir,
                        "a process holds it that has not begun the run".to_owned(),
                    ));
                }
                Err(error) if is_last => surveyed.unknown.push((run, dir, error.to_string())),
                Ok(Condition::Undecided(_)) | Err(_) => undecided.push((run, dir)),
            }
        }
        open = undecided;
        if open.is_empty() {
            return Ok(surveyed);
        }
        is_last = !wait();
    }
}

fn run_dirs(state: &StateDir) -> io::Result<Vec<(RunId, RunDir)>> {
    let entries = match std::fs::read_dir(state.runs()) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut dirs = Vec::new();
    for entry in entries {
        let entry = entry?;
        let run = entry.file_name().to_str().and_then(|name| name.parse().ok());
        dirs.extend(run.map(|run| (run, RunDir::new(entry.path()))));
    }
    dirs.sort_by_key(|(run, _)| *run);
    Ok(dirs)
}

fn examine(looker: &impl Looker, run: RunId, dir: &RunDir) -> io::Result<Condition> {
    // Who could still write is looked at first, and what is written after that: a run that has ended by then
    // has left its record.
    let lock = looker.lock(dir)?;
    let Some((before, app)) = looker.journal(dir)?.and_then(|journal| {
        let app = journal.spec.app_id()?;
        Some((journal, app))
    }) else {
        return Ok(if lock == Lock::Held { Condition::Undecided(None) } else { Condition::Empty });
    };
    let boot = sys::boot_id()?;
    let is_begun_here = before.begun.as_ref().is_some_and(|begun| begun.boot == boot);
    let is_here = is_begun_here && !is_copy(looker, dir, &before, lock)?;
    let shim = before.begun.as_ref().map(|begun| begun.shim).filter(|_| is_here);
    let is_supervised = shim.map_or(Ok(false), |shim| looker.is_alive(shim))?;
    let is_alive = lock == Lock::Held && (is_here || before.begun.is_none())
        || is_supervised
        || is_here
            && (before.app.map_or(Ok(false), |(process, _)| looker.is_alive(process))?
                || looker.has_processes(run)?);
    let Some(journal) = looker.journal(dir)? else {
        return Ok(if is_alive { Condition::Undecided(None) } else { Condition::Empty });
    };
    let noted_pid = journal.app.and_then(|(process, _)| known_pid(process.pid));
    let over_with_stderr = |mut closing: Closing| {
        add_stderr(&mut closing, &journal.spec.log);
        SurvivorState::Over(closing)
    };
    let found = |state: SurvivorState| Found {
        survivor: Survivor { run, app, pid: noted_pid, state },
        dir: dir.clone(),
        shim: journal.begun.as_ref().map(|begun| begun.shim),
    };
    if let Some(record) = &journal.exit {
        return Ok(Condition::Decided(found(over_with_stderr(record.clone().into()))));
    }
    let begun_at = journal.begun.as_ref().map(|begun| begun.at);
    let started = journal.app.map(|(_, started)| started).or(begun_at);
    // Without a process on record the shim was killed in the moment in which it started it.
    let pid = journal.app.map_or(0, |(process, _)| process.pid);
    let stop = journal.stop.as_ref().map(|request| (&request.cause).into());
    let running = SurvivorState::Running { pid, started: started.unwrap_or_else(clock::wall), stop };
    let over = |ending| {
        let started = journal.begun.as_ref().and(started);
        over_with_stderr(Closing { started, ..Closing::unseen(ending, clock::wall()) })
    };
    let is_new = |shim: &Identity| before.begun.as_ref().is_none_or(|before| before.shim != *shim);
    if journal.begun.as_ref().is_some_and(|begun| is_new(&begun.shim)) {
        // It began, or its shim was replaced, after the look at who lives.
        return Ok(Condition::Undecided(Some(found(running))));
    }
    Ok(match &journal.begun {
        None if is_alive => Condition::Undecided(Some(found(running))),
        None => Condition::Decided(found(over(Ending::NeverStarted))),
        Some(_) if !is_begun_here => Condition::Decided(found(over(Ending::HostRebooted))),
        Some(_) if !is_alive => Condition::Decided(found(over(Ending::Unknown))),
        Some(_) if journal.app.is_none() && is_supervised => Condition::Undecided(Some(found(running))),
        Some(_) => Condition::Decided(found(running)),
    })
}

/// Whether a run directory is a copy of one that is elsewhere on this host. Its processes are not this state
/// directory's then. One that was moved, and one that another file system has under a new number, is no copy.
fn is_copy(looker: &impl Looker, dir: &RunDir, journal: &Journal, lock: Lock) -> io::Result<bool> {
    let (Some(place), Some(here)) = (journal.spec.place, sys::place_of(dir.path())?) else {
        return Ok(false);
    };
    if here == place || here.inode == place.inode && lock == Lock::Held {
        return Ok(false);
    }
    let shim = journal.begun.as_ref().map(|begun| begun.shim);
    if let Some(shim) = shim
        && looker.is_alive(shim)?
        && let Some(folder) = sys::working_directory(shim)?
    {
        return Ok(folder != here);
    }
    let original = journal.spec.env.get("DC_RUN_DIR").map(std::path::Path::new);
    Ok(original.is_some_and(|path| sys::place_of(path).is_ok_and(|original| original == Some(place))))
}
