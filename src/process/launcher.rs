//! Starts and removes runs, in a thread of its own: what takes too long for the manager's loop.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Weak};
use std::time::Duration;

use super::journal::{self, Journal, Lock};
use super::layout::RunDir;
use super::log_keeper::LogKeeper;
use super::state_dir::{StateLock, make_state_dir};
use super::supervisor::{Order, Sink};
use super::watch::Watcher;
use super::{LaunchSettings, clock, sys};
use crate::manager::{Event, Launch};
use crate::model::{Closing, Ending, Obstacle, RunId, StartFailure};

/// How often run directories are tried to be removed whose runs seem to live.
const REMOVE_EVERY: Duration = Duration::from_secs(2);

/// How often it is looked whether the state directory is whole.
const TIDY_EVERY: Duration = Duration::from_secs(5);

/// The thread that starts and removes runs.
pub(super) struct Launcher {
    pub(super) timeline: Arc<AtomicU32>,
    pub(super) settings: LaunchSettings,
    pub(super) nursery: sys::nursery::Nursery,
    pub(super) watcher: Watcher,
    pub(super) logs: LogKeeper,
    pub(super) sink: Sink,
    /// Runs whose end is on record in the database and whose directories cannot be removed yet.
    pub(super) left: BTreeSet<RunId>,
    /// When that is tried again, and the state directory looked at.
    pub(super) tidy_at: Duration,
    /// The state directory, as long as it is this manager's.
    pub(super) lock: Weak<StateLock>,
}

impl Launcher {
    pub(super) fn serve(mut self, inbox: &Receiver<Order>) {
        while let Some(order) = self.next_order(inbox) {
            match order {
                Order::Start { run, launch } => self.start(run, &launch),
                Order::Adopt { run } => self.adopt(run),
                Order::Kill { run } => self.kill(run),
                Order::Forget { run, app, log_keep, has_failed } => {
                    self.watcher.forget(run);
                    self.remove(run);
                    self.logs.over(run, app, log_keep, has_failed);
                }
                Order::Adjust { logs, withheld } => {
                    self.settings.withheld = withheld;
                    self.logs.adjust(logs);
                }
            }
        }
    }

    /// Waits for the next order; meanwhile the state directory is kept whole.
    fn next_order(&mut self, inbox: &Receiver<Order>) -> Option<Order> {
        loop {
            let now = clock::boot_time();
            if now >= self.tidy_at {
                self.tidy_at = now + if self.left.is_empty() { TIDY_EVERY } else { REMOVE_EVERY };
                self.tidy();
            }
            match inbox.recv_timeout(self.tidy_at.saturating_sub(now)) {
                Ok(order) => return Some(order),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return None,
            }
        }
    }

    fn tidy(&mut self) {
        for run in std::mem::take(&mut self.left) {
            self.remove(run);
        }
        if let Some(lock) = self.lock.upgrade() {
            lock.keep_whole(&self.settings.state);
            self.watcher.keep_doorbell();
        }
    }

    fn start(&self, run: RunId, launch: &Launch) {
        let dir = self.settings.state.run(run);
        if let Err(error) = self.try_start(run, launch, &dir) {
            self.watcher.forget(run);
            let _ = remove_ended(&dir);
            let message = format!("the host could not start a process: {error}");
            let ending = Ending::StartFailed(StartFailure { obstacle: Obstacle::HostExhausted, message });
            (self.sink)(Event::Ended { run, closing: Closing::unseen(ending, clock::wall()) });
        }
    }

    /// The gate: the row of the run is on record, or this order would not have come. Until the
    /// journal is handed over nothing is started, and if this process ends before that, nothing is
    /// left but a directory that says so.
    fn try_start(&self, run: RunId, launch: &Launch, dir: &RunDir) -> io::Result<()> {
        if !is_free_to_start(dir)? {
            tracing::warn!(%run, "it was started before; it is watched, and not started again");
            self.watcher.watch(run, dir.clone(), None, false);
            return Ok(());
        }
        let timeline = self.timeline.load(Ordering::Relaxed);
        let journal = prepare(&self.settings, run, launch, timeline)?;
        sys::check_room(&journal)?;
        self.watcher.watch(run, dir.clone(), None, false);
        self.nursery.start_shim(dir, &journal)
    }

    /// The shim of a run is gone and has left no record.
    fn adopt(&self, run: RunId) {
        let dir = self.settings.state.run(run);
        match sys::spawn_adopter(&dir) {
            Ok(shim) => self.watcher.watch(run, dir, Some(shim), true),
            Err(error) => {
                tracing::warn!(%run, %error, "its shim was killed, and another cannot be started yet");
                self.watcher.no_successor(run);
            }
        }
    }

    fn kill(&self, run: RunId) {
        if let Err(error) = sys::kill_tagged(&run.to_string()) {
            tracing::warn!(%run, %error, "its processes cannot be looked for; it is tried again");
        }
        match journal::read(&self.settings.state.run(run)) {
            Ok(Some(Journal { begun: Some(begun), cgroup, .. })) => {
                if let Some(cgroup) = cgroup {
                    // The watcher looks again whether it was enough.
                    let _ = sys::cgroup::kill(&cgroup, begun.shim);
                }
                sys::wake(begun.shim);
            }
            Ok(Some(_)) | Err(_) => {}
            // Its directory was removed.
            Ok(None) => self.kill_members(run),
        }
        self.watcher.look(run);
    }

    fn kill_members(&self, run: RunId) {
        let members = sys::members_of(&self.settings.state).unwrap_or_default();
        for member in members.iter().filter(|member| member.run == Some(run) && !member.is_shim) {
            if let Err(error) = member.kill() {
                tracing::warn!(%run, pid = member.process.pid, %error, "a process of it cannot be killed");
            }
        }
    }

    /// Removes a run directory, now or when nothing of the run lives any more. What is left when the manager
    /// ends is found by the next one.
    fn remove(&mut self, run: RunId) {
        if remove_ended(&self.settings.state.run(run)).is_err() {
            self.left.insert(run);
            self.tidy_at = self.tidy_at.min(clock::boot_time() + REMOVE_EVERY);
        }
    }
}

/// Removes the directory of a run that is over: its end is on record in it, or no process holds its lock.
pub(super) fn remove_ended(dir: &RunDir) -> io::Result<()> {
    if journal::lock(dir)? == Lock::Held && journal::read(dir)?.is_none_or(|journal| journal.exit.is_none()) {
        return Err(io::Error::new(io::ErrorKind::ResourceBusy, "a process of the run is running"));
    }
    if let Ok(Some(Journal { cgroup: Some(cgroup), .. })) = journal::read(dir) {
        // The shim may need a moment to leave it; then it is tried again.
        sys::cgroup::end(&cgroup)?;
    }
    match sys::remove_dir(dir.path()) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

/// Whether a run can be started without the danger that it runs already. What a manager before this one has
/// left that was killed before it started anything is no obstacle.
fn is_free_to_start(dir: &RunDir) -> io::Result<bool> {
    if journal::lock(dir)? == Lock::Held {
        return Ok(false);
    }
    Ok(journal::read(dir)?.is_none_or(|journal| journal.begun.is_none()))
}

/// Makes the run directory; what comes back is its journal, which is its lock.
pub(super) fn prepare(
    settings: &LaunchSettings,
    run: RunId,
    launch: &Launch,
    timeline: u32,
) -> io::Result<File> {
    let dir = settings.state.run(run);
    let make = || sys::create_private_dir(dir.path());
    match make() {
        // A manager before this one was killed before it started anything from it.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            remove_ended(&dir)?;
            make()?;
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            tracing::warn!(folder = %settings.state.runs().display(), "it was removed; it is made again");
            make_state_dir(&settings.state)?;
            make()?;
        }
        result => result?,
    }
    journal::create(&dir, settings.spec(run, launch, clock::wall(), timeline))
}
