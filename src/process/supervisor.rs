//! The manager's hand in the world of processes: starts, stops and watches runs, and tells what
//! happens to them.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use super::fence::{Deadlines, LeaseFile};
use super::layout::{RunDir, StateDir};
use super::record::{Cause, Fact, Message, StopRequest};
use super::watch::Watcher;
use super::{LaunchSettings, clock, journal, log_reader, log_writer, survey, sys};
use crate::manager::{Effect, Event, Launch};
use crate::model::{AppId, Closing, Ending, Obstacle, RunId, StartFailure, StopCause, Survivor};

/// Takes what happens to runs. Called from threads of the supervisor; must not block.
pub type Sink = Arc<dyn Fn(Event) + Send + Sync>;

/// How long a new manager waits for shims that are about to start their app, or to give up.
const SURVEY_MAX: Duration = Duration::from_secs(5);

/// Supervises the runs of a state directory. Dropping it harms no run.
pub struct Supervisor {
    state: StateDir,
    orders: Sender<Order>,
    watcher: Watcher,
    lease: LeaseFile,
    timeline: Arc<AtomicU32>,
    /// One manager a state directory.
    _lock: File,
}

/// Work that takes too long for the caller.
enum Order {
    Start { run: RunId, launch: Box<Launch> },
    Adopt { run: RunId },
    Kill { run: RunId },
    Forget { run: RunId, app: AppId, log_keep: u32 },
    TrimLogs { bytes_max: u64 },
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
    pub fn open(settings: LaunchSettings, sink: Sink) -> Result<Self, OpenError> {
        let state = settings.state.clone();
        let io_error = |source| OpenError::Io { path: state.path().to_owned(), source };
        let lock = lock_state_dir(&state)?;
        let open_files = sys::raise_open_files();
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
            open_files,
            nursery,
            watcher: watcher.clone(),
            sink,
            timeline: Arc::clone(&timeline),
        };
        std::thread::Builder::new()
            .name("dcm-launch".to_owned())
            .spawn(move || launcher.serve(&inbox))
            .map_err(io_error)?;
        Ok(Self { state, orders, watcher, lease, timeline, _lock: lock })
    }

    /// Finds the runs that were left in the state directory, and watches those that live.
    #[must_use]
    pub fn survey(&self) -> Vec<Survivor> {
        let begin = clock::boot_time();
        let found = survey::survey(&self.state, || {
            self.watcher.rest(Duration::from_millis(20));
            clock::boot_time() < begin + SURVEY_MAX
        });
        found
            .into_iter()
            .map(|found| {
                if let Some(shim) = found.shim {
                    // What it told while nobody listened.
                    let _ = sys::send(&found.dir, &Message::Tell);
                    self.watcher.watch(found.survivor.run, found.dir, Some(shim), true);
                }
                found.survivor
            })
            .collect()
    }

    /// Fenced runs may live until then; starts tell apps this timeline of the database.
    ///
    /// # Errors
    /// When that cannot be written: the runs then end when the time before is over.
    pub fn renewed(&self, deadlines: Deadlines, timeline: u32) -> io::Result<()> {
        self.timeline.store(timeline, Ordering::Relaxed);
        self.lease.write(deadlines)
    }

    /// The name of this state directory among those of all managers. It is made up with its first
    /// use and stays.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn home(&self) -> io::Result<String> {
        if let Some(home) = home_of(&self.state) {
            return Ok(home);
        }
        let home = uuid::Uuid::new_v4().simple().to_string();
        let (path, fresh) = (self.state.home(), self.state.home().with_extension("new"));
        let mut file = File::create(&fresh)?;
        file.write_all(home.as_bytes()).and_then(|()| file.sync_all())?;
        fs::rename(fresh, path)?;
        Ok(home)
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
            Effect::Forget { run, app, log_keep } => Order::Forget { run, app, log_keep },
        };
        // The thread ends only with this object.
        let _ = self.orders.send(order);
    }

    /// Deletes the oldest logs of the host until all of them take no more than this.
    pub fn trim_logs(&self, bytes_max: u64) {
        let _ = self.orders.send(Order::TrimLogs { bytes_max });
    }

    fn stop(&self, run: RunId, cause: &StopCause, grace: Duration) {
        request_stop(&self.state.run(run), cause, grace);
        self.watcher.look(run);
    }
}

/// Asks the shim of a run to end it. A shim that was killed is replaced, and its successor reads the
/// request from the run directory.
pub(super) fn request_stop(dir: &RunDir, cause: &StopCause, grace: Duration) {
    let request = StopRequest {
        cause: Cause::from(cause),
        grace_ms: u64::try_from(grace.as_millis()).unwrap_or(u64::MAX),
    };
    let is_heard = sys::send(dir, &Message::Stop(request.clone())).unwrap_or(false);
    if !is_heard {
        // If this fails as well, the manager kills the run when its time is over.
        let _ = journal::append_to(dir, &Fact::Stop(request.clone()));
        // A successor may have read the journal just before; hearing it twice is harmless.
        let _ = sys::send(dir, &Message::Stop(request));
    }
}

/// Makes the state directory with what belongs in it, for its owner alone: logs and environments may
/// hold secrets. One that is there is left as it is.
///
/// # Errors
/// When the system does not allow it.
pub fn make_state_dir(state: &StateDir) -> io::Result<()> {
    [state.path().to_owned(), state.runs(), state.all_logs()]
        .iter()
        .try_for_each(|folder| make_folder(folder))
}

fn lock_state_dir(state: &StateDir) -> Result<File, OpenError> {
    let io_error = |source| OpenError::Io { path: state.path().to_owned(), source };
    make_state_dir(state).map_err(io_error)?;
    let path = state.manager_lock();
    let lock = match sys::open_locked(&path) {
        Ok(lock) => lock,
        Err(fs::TryLockError::WouldBlock) => {
            let pid = fs::read_to_string(&path).ok().and_then(|text| text.trim().parse().ok());
            return Err(OpenError::Locked { path: state.path().to_owned(), pid });
        }
        Err(fs::TryLockError::Error(error)) => return Err(io_error(error)),
    };
    // By this handle: elsewhere than on Linux no other may write while the lock is held.
    lock.set_len(0)
        .and_then(|()| (&lock).write_all(std::process::id().to_string().as_bytes()))
        .map_err(io_error)?;
    Ok(lock)
}

fn make_folder(path: &std::path::Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    sys::create_private_dir(path).or_else(|error| if path.is_dir() { Ok(()) } else { Err(error) })
}

/// The name of a state directory; `None` while no manager has worked in it.
#[must_use]
pub fn home_of(state: &StateDir) -> Option<String> {
    let text = fs::read_to_string(state.home()).ok()?;
    let home = text.trim();
    (home.len() == 32 && home.bytes().all(|byte| byte.is_ascii_hexdigit())).then(|| home.to_owned())
}

struct Launcher {
    timeline: Arc<AtomicU32>,
    settings: LaunchSettings,
    open_files: Option<u64>,
    nursery: sys::nursery::Nursery,
    watcher: Watcher,
    sink: Sink,
}

impl Launcher {
    fn serve(&self, inbox: &Receiver<Order>) {
        while let Ok(order) = inbox.recv() {
            match order {
                Order::Start { run, launch } => self.start(run, &launch),
                Order::Adopt { run } => self.adopt(run),
                Order::Kill { run } => self.kill(run),
                Order::Forget { run, app, log_keep } => self.forget(run, app, log_keep),
                Order::TrimLogs { bytes_max } => trim_logs(&self.settings.state, bytes_max),
            }
        }
    }

    fn start(&self, run: RunId, launch: &Launch) {
        let dir = self.settings.state.run(run);
        match self.try_start(run, launch, &dir) {
            Ok(()) => {}
            Err(error) => {
                self.watcher.forget(run);
                let _ = sys::remove_dir(dir.path());
                let message = format!("the host could not start a process: {error}");
                let ending = Ending::StartFailed(StartFailure { obstacle: Obstacle::HostExhausted, message });
                (self.sink)(Event::Ended { run, closing: Closing::unseen(ending, clock::wall()) });
            }
        }
    }

    /// The gate: the row of the run is on record, or this order would not have come. Until the
    /// journal is handed over nothing is started, and if this process ends before that, nothing is
    /// left but a directory that says so.
    fn try_start(&self, run: RunId, launch: &Launch, dir: &RunDir) -> io::Result<()> {
        let timeline = self.timeline.load(Ordering::Relaxed);
        let journal = prepare(&self.settings, run, launch, self.open_files, timeline)?;
        self.watcher.watch(run, dir.clone(), None, false);
        self.nursery.start_shim(dir, &journal)
    }

    /// The shim of a run is gone and has left no record.
    fn adopt(&self, run: RunId) {
        let dir = self.settings.state.run(run);
        match sys::spawn_adopter(&dir) {
            Ok(shim) => self.watcher.watch(run, dir, Some(shim), true),
            // Tried again with the next look at the run.
            Err(_) => self.watcher.look_later(run),
        }
    }

    fn kill(&self, run: RunId) {
        sys::kill_tagged(&run.to_string());
        let dir = self.settings.state.run(run);
        if let Some(begun) = journal::read(&dir).and_then(|journal| journal.begun) {
            sys::wake(begun.shim);
        }
        self.watcher.look(run);
    }

    fn forget(&self, run: RunId, app: AppId, log_keep: u32) {
        self.watcher.forget(run);
        // What cannot be removed now is found and removed by the next manager.
        let _ = sys::remove_dir(self.settings.state.run(run).path());
        if log_keep != u32::MAX {
            let keep = usize::try_from(log_keep).unwrap_or(usize::MAX);
            for (_, path) in log_reader::logs_of(&self.settings.state, app).into_iter().skip(keep) {
                remove_log(&path);
            }
        }
    }
}

/// Makes the run directory; what comes back is its journal, which is its lock.
pub(super) fn prepare(
    settings: &LaunchSettings,
    run: RunId,
    launch: &Launch,
    open_files: Option<u64>,
    timeline: u32,
) -> io::Result<File> {
    let dir = settings.state.run(run);
    match sys::create_private_dir(dir.path()) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            // A manager before this one was killed before it started anything from it.
            sys::remove_dir(dir.path())?;
            sys::create_private_dir(dir.path())?;
        }
        result => result?,
    }
    journal::create(&dir, settings.spec(run, launch, clock::wall(), open_files, timeline))
}

fn remove_log(path: &std::path::Path) {
    let _ = fs::remove_file(log_writer::older(path));
    let _ = fs::remove_file(path);
}

/// Deletes the oldest logs until the rest fits.
fn trim_logs(state: &StateDir, bytes_max: u64) {
    let mut logs = Vec::new();
    for folder in fs::read_dir(state.all_logs()).into_iter().flatten().filter_map(Result::ok) {
        for log in fs::read_dir(folder.path()).into_iter().flatten().filter_map(Result::ok) {
            if let Ok(metadata) = log.metadata() {
                logs.push((metadata.modified().ok(), metadata.len(), log.path()));
            }
        }
    }
    let mut total: u64 = logs.iter().map(|(_, size, _)| size).sum();
    logs.sort();
    for (_, size, path) in logs {
        if total <= bytes_max {
            break;
        }
        if fs::remove_file(&path).is_ok() {
            total -= size;
        }
    }
}
