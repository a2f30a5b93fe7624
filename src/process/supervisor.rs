//! The manager's hand in the world of processes: starts, stops and watches runs, and tells what
//! happens to them.

use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use super::containment::limits_remark;
use super::fence::{Deadlines, LeaseFile};
use super::launcher::Launcher;
use super::layout::{RunDir, StateDir};
use super::log_keeper::{LogKeeper, LogLimits};
use super::looker::Host;
use super::record::{Cause, Fact, Message, StopRequest};
use super::state_dir::{StateLock, lock_state_dir, make_home};
use super::survey::Found;
use super::usage::Sampler;
use super::watch::Watcher;
use super::{LaunchSettings, clock, journal, survey, sys};
use crate::manager::{Effect, Event, Launch};
use crate::model::{AppId, RunId, StopCause, Survivor, SurvivorState};

/// Takes what happens to runs. Called from threads of the supervisor; must not block.
pub type Sink = Arc<dyn Fn(Event) + Send + Sync>;

/// How long a new manager waits for shims that are about to start their app, or to give up.
const SURVEY_MAX: Duration = Duration::from_secs(5);

/// Supervises the runs of a state directory. Dropping it harms no run.
pub struct Supervisor {
    state: StateDir,
    orders: Sender<Order>,
    watcher: Watcher,
    sampler: Sampler,
    lease: LeaseFile,
    timeline: Arc<AtomicU32>,
    /// One manager a state directory.
    _lock: Arc<StateLock>,
}

/// The runs that were found in a state directory.
pub struct Left {
    /// Those of which it is known how they are.
    pub survivors: Vec<Survivor>,
    /// Those that could not be looked at. They count as running until they can.
    pub unknown: Vec<RunId>,
}

/// Work that takes too long for the caller.
pub(super) enum Order {
    Start { run: RunId, launch: Box<Launch> },
    Adopt { run: RunId },
    Kill { run: RunId },
    Forget { run: RunId, app: AppId, log_keep: u32, has_failed: bool },
    Adjust { logs: LogLimits, withheld: Vec<String> },
}

/// A state directory cannot be worked in.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another manager does.
    #[error("a manager is already running in {}{}", .path.display(), .pid.map_or(String::new(), |pid| format!(" (pid {pid})")))]
    Locked {
        /// The directory.
        path: PathBuf,
        /// The other manager's process, where it is known.
        pid: Option<u32>,
    },
    /// It cannot be made or written to.
    #[error("the state directory {} cannot be used: {source}", .path.display())]
    Io {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl Supervisor {
    /// Takes possession of a state directory and finds the runs that were left in it.
    ///
    /// # Errors
    /// [`OpenError`] when another manager has it, or when it cannot be written to.
    pub fn open(settings: LaunchSettings, logs: LogLimits, sink: Sink) -> Result<Self, OpenError> {
        let state = settings.state.clone();
        let io_error = |source| OpenError::Io { path: state.path().to_owned(), source };
        let lock = Arc::new(lock_state_dir(&state)?);
        sys::reap_children().map_err(io_error)?;
        tracing::info!("{}", limits_remark(settings.sample_every));
        let sampler = Sampler::begin(settings.sample_every, Arc::clone(&sink)).map_err(io_error)?;
        let sink = follow_runs(&state, &sampler, sink);
        let (orders, inbox) = channel();
        let lost = orders.clone();
        let on_lost = Box::new(move |run| {
            let _ = lost.send(Order::Adopt { run });
        });
        let watcher = Watcher::new(&state.doorbell(), Arc::clone(&sink), on_lost).map_err(io_error)?;
        let lease = LeaseFile::open(&state.lease()).map_err(io_error)?;
        let timeline = Arc::default();
        let nursery = sys::nursery::Nursery::new();
        let launcher = Launcher {
            settings,
            nursery,
            watcher: watcher.clone(),
            logs: LogKeeper::begin(state.clone(), logs, Arc::clone(&sink)).map_err(io_error)?,
            sink,
            timeline: Arc::clone(&timeline),
            left: BTreeSet::new(),
            tidy_at: clock::boot_time(),
            lock: Arc::downgrade(&lock),
        };
        std::thread::Builder::new()
            .name("dcm-launch".to_owned())
            .spawn(move || launcher.serve(&inbox))
            .map_err(io_error)?;
        Ok(Self { state, orders, watcher, sampler, lease, timeline, _lock: lock })
    }

    /// From now on the logs of apps may take this, and these variables hold secrets that apps do not get.
    pub fn adjust(&self, logs: LogLimits, withheld: Vec<String>) {
        let _ = self.orders.send(Order::Adjust { logs, withheld });
    }

    /// Finds the runs that were left in the state directory, and watches those that live.
    ///
    /// # Errors
    /// When they cannot be listed: then any run may live.
    pub fn survey(&self) -> io::Result<Left> {
        let begin = clock::boot_time();
        let surveyed = survey::survey(&Host, &self.state, || {
            self.watcher.rest(Duration::from_millis(20));
            clock::boot_time() < begin + SURVEY_MAX
        })?;
        let watch_living = |found: Found| {
            if matches!(found.survivor.state, SurvivorState::Running { .. }) {
                // What it told while nobody listened.
                let _ = sys::send(&found.dir, &Message::Tell);
                self.sampler.follow(found.survivor.run, found.dir.clone());
                self.watcher.watch(found.survivor.run, found.dir, found.shim, true);
            }
            found.survivor
        };
        let survivors = surveyed.found.into_iter().map(watch_living).collect();
        let unknown = surveyed.unknown.into_iter().map(|(run, dir, why)| {
            tracing::warn!(%run, why, "it cannot be seen whether it is running; it is looked at again each second");
            self.watcher.watch(run, dir, None, true);
            run
        });
        Ok(Left { survivors, unknown: unknown.collect() })
    }

    /// Finds those of these runs that have processes although they have no run directory, and watches them. What
    /// other runs have left is ended.
    ///
    /// # Errors
    /// When that cannot be seen: then any of them may live.
    pub fn without_directory(&self, open: &[RunId]) -> io::Result<Vec<RunId>> {
        let members = if open.is_empty() { Vec::new() } else { sys::members_of(&self.state)? };
        let mut living = BTreeSet::new();
        for run in open {
            let of_run: Vec<_> = members.iter().filter(|member| member.run == Some(*run)).collect();
            if of_run.is_empty() {
                continue;
            }
            tracing::warn!(%run, "its run directory was removed and it is running");
            let shim = of_run.iter().find(|member| member.is_shim).map(|member| member.process);
            self.watcher.watch(*run, self.state.run(*run), shim, true);
            living.insert(*run);
        }
        sys::cgroup::sweep(&self.state, &living);
        Ok(living.into_iter().collect())
    }

    /// Fenced runs may live until then; starts tell apps this timeline of the database.
    ///
    /// # Errors
    /// When that cannot be written: the runs then end when the time before is over.
    pub fn renewed(&self, deadlines: Deadlines, timeline: u32) -> io::Result<()> {
        self.timeline.store(timeline, Ordering::Relaxed);
        self.lease.write(deadlines)
    }

    /// The name of this state directory among those of all managers.
    ///
    /// # Errors
    /// When it cannot be read or written.
    pub fn home(&self) -> io::Result<String> {
        make_home(&self.state)
    }

    /// Does what the manager wants done. Never waits: what takes time is done by other threads, and
    /// what comes of it arrives as an event.
    pub fn carry_out(&self, effect: Effect) {
        let order = match effect {
            Effect::Start { run, launch } => Order::Start { run, launch },
            Effect::Stop { run, cause, grace } => return self.stop(run, &cause, grace),
            Effect::Kill { run } => Order::Kill { run },
            Effect::Adopt { run } => {
                self.watcher.take_over(run, self.state.run(run));
                return;
            }
            Effect::Forget { run, app, log_keep, has_failed } => {
                Order::Forget { run, app, log_keep, has_failed }
            }
            Effect::Measure { run } => return self.sampler.measure(run),
        };
        // The thread ends only with this object.
        let _ = self.orders.send(order);
    }

    fn stop(&self, run: RunId, cause: &StopCause, grace: Duration) {
        if let Err(error) = request_stop(&self.state.run(run), cause, grace) {
            // If the signal does not arrive either, the manager kills the run when its time is over.
            tracing::warn!(%run, %error, "its run directory cannot be used; its shim is asked to end it by a signal");
            self.watcher.ask_to_end(run);
        }
        self.watcher.look(run);
    }
}

/// What runs use is looked at from their beginning to their end.
fn follow_runs(state: &StateDir, sampler: &Sampler, sink: Sink) -> Sink {
    let (state, sampler) = (state.clone(), sampler.clone());
    Arc::new(move |event| {
        if let Event::Started { run, .. } = &event {
            sampler.follow(*run, state.run(*run));
        } else if let Event::Ended { run, .. } = &event {
            sampler.forget(*run);
        }
        sink(event);
    })
}

/// Asks the shim of a run to end it. A shim that was killed is replaced, and its successor reads the
/// request from the run directory.
///
/// # Errors
/// When neither hears it.
pub(super) fn request_stop(dir: &RunDir, cause: &StopCause, grace: Duration) -> io::Result<()> {
    let request = StopRequest {
        cause: Cause::from(cause),
        grace_ms: u64::try_from(grace.as_millis()).unwrap_or(u64::MAX),
    };
    if sys::send(dir, &Message::Stop(request.clone()))? {
        return Ok(());
    }
    journal::append_to(dir, &Fact::Stop(request.clone()))?;
    // A successor may have read the journal just before; hearing it twice is harmless.
    sys::send(dir, &Message::Stop(request)).map(drop)
}
