//! Watches shims: a thread that sleeps until one of them rings the doorbell or ends.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::AsFd as _;
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::eventfd::{EfdFlags, EventFd};

use super::{ProcessHandle, make_pipe, open_pipe, reap};
use crate::manager::Event;
use crate::model::{Closing, Ending, Obstacle, RunId, StartFailure};
use crate::process::layout::RunDir;
use crate::process::lines::Splitter;
use crate::process::record::{Identity, ReportRecord};
use crate::process::supervisor::Sink;
use crate::process::{clock, inspection, journal};

/// How often runs are looked at that cannot announce themselves: their doorbell was lost, or there
/// was no handle to be had for their shim.
const LOOK_EVERY: u16 = 1000;

/// A shim that is gone is replaced at most so often; each of them can only have been killed.
const SUCCESSORS_MAX: u32 = 5;

const DOORBELL: u64 = 0;
const REQUESTS: u64 = 1;
const FIRST_RUN: u64 = 2;

/// A handle to the thread.
#[derive(Clone)]
pub(in crate::process) struct Watcher {
    requests: Arc<Mutex<Sender<Request>>>,
    wake: Arc<EventFd>,
    doorbell: Arc<File>,
}

enum Request {
    Watch { run: RunId, dir: RunDir, shim: Option<Identity>, is_announced: bool },
    TakeOver { run: RunId, dir: RunDir },
    Look { run: RunId },
    LookLater { run: RunId },
    Forget { run: RunId },
}

impl Watcher {
    /// Begins to watch. `on_lost` is called for a run whose shim has gone without a record.
    pub(in crate::process) fn new(
        doorbell: &Path,
        sink: Sink,
        on_lost: Box<dyn Fn(RunId) + Send>,
    ) -> io::Result<Self> {
        make_pipe(doorbell)?;
        let doorbell = Arc::new(open_pipe(doorbell)?);
        let wake = Arc::new(EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?);
        let (requests, inbox) = channel();
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        epoll.add(doorbell.as_fd(), EpollEvent::new(EpollFlags::EPOLLIN, DOORBELL))?;
        epoll.add(wake.as_fd(), EpollEvent::new(EpollFlags::EPOLLIN, REQUESTS))?;
        let watch = Watch {
            epoll,
            inbox,
            wake: Arc::clone(&wake),
            doorbell: Arc::clone(&doorbell),
            names: Splitter::default(),
            runs: BTreeMap::new(),
            tokens: BTreeMap::new(),
            last_token: FIRST_RUN,
            silent: BTreeSet::new(),
            sink,
            on_lost,
        };
        std::thread::Builder::new().name("dcm-watch".to_owned()).spawn(move || watch.serve())?;
        Ok(Self { requests: Arc::new(Mutex::new(requests)), wake, doorbell })
    }

    /// Watches a run that is being started or was found. A shim that is not known yet will say who
    /// it is.
    pub(in crate::process) fn watch(
        &self,
        run: RunId,
        dir: RunDir,
        shim: Option<Identity>,
        is_announced: bool,
    ) {
        self.request(Request::Watch { run, dir, shim, is_announced });
    }

    /// Watches a run that another program on this host has started.
    pub(in crate::process) fn take_over(&self, run: RunId, dir: RunDir) {
        self.request(Request::TakeOver { run, dir });
    }

    /// Looks at a run now.
    pub(in crate::process) fn look(&self, run: RunId) {
        self.request(Request::Look { run });
    }

    /// Looks at a run in a moment.
    pub(in crate::process) fn look_later(&self, run: RunId) {
        self.request(Request::LookLater { run });
    }

    /// Watches a run no longer.
    pub(in crate::process) fn forget(&self, run: RunId) {
        self.request(Request::Forget { run });
    }

    /// Waits until somebody rings, or for this long.
    pub(in crate::process) fn rest(&self, most: Duration) {
        let mut fds = [PollFd::new(self.doorbell.as_fd(), PollFlags::POLLIN)];
        let _ = poll(&mut fds, PollTimeout::try_from(most).unwrap_or(PollTimeout::ZERO));
    }

    fn request(&self, request: Request) {
        // The thread goes on for as long as there is a handle.
        let _ = self.requests.lock().unwrap_or_else(PoisonError::into_inner).send(request);
        let _ = self.wake.write(1);
    }
}

struct Watch {
    epoll: Epoll,
    inbox: Receiver<Request>,
    wake: Arc<EventFd>,
    doorbell: Arc<File>,
    names: Splitter,
    runs: BTreeMap<RunId, Watched>,
    tokens: BTreeMap<u64, RunId>,
    last_token: u64,
    /// Runs that must be looked at now and then.
    silent: BTreeSet<RunId>,
    sink: Sink,
    on_lost: Box<dyn Fn(RunId) + Send>,
}

struct Watched {
    dir: RunDir,
    /// `None`: the shim has not said who it is.
    shim: Option<Identity>,
    /// `None` when the shim is not known or gone, or there was none to be had: the run is looked at.
    handle: Option<(ProcessHandle, u64)>,
    /// The manager knows that the run has a process.
    is_announced: bool,
    /// A successor for the shim was ordered.
    is_lost: bool,
    /// How many successors it had.
    successors: u32,
}

impl Watch {
    fn serve(mut self) {
        let mut events = vec![EpollEvent::empty(); 256];
        loop {
            let timeout =
                if self.silent.is_empty() { EpollTimeout::NONE } else { EpollTimeout::from(LOOK_EVERY) };
            let count = match self.epoll.wait(&mut events, timeout) {
                Ok(count) => count,
                Err(nix::errno::Errno::EINTR) => continue,
                Err(_) => return,
            };
            if count == 0 {
                self.look_at_the_silent();
            }
            for event in &events[..count] {
                match event.data() {
                    DOORBELL => self.answer_doorbell(),
                    REQUESTS => {
                        if !self.take_requests() {
                            return;
                        }
                    }
                    token => {
                        if let Some(run) = self.tokens.get(&token).copied() {
                            self.shim_ended(run);
                        }
                    }
                }
            }
        }
    }

    /// `false` when there is no handle any more.
    fn take_requests(&mut self) -> bool {
        let _ = self.wake.read();
        loop {
            match self.inbox.try_recv() {
                Ok(Request::Watch { run, dir, shim, is_announced }) => {
                    self.watch(run, dir, shim, is_announced);
                }
                Ok(Request::TakeOver { run, dir }) => {
                    // Without a run directory here, the run is somebody else's to end.
                    if dir.journal().exists() {
                        self.watch(run, dir, None, false);
                    }
                }
                Ok(Request::Look { run }) => self.look(run),
                Ok(Request::LookLater { run }) => {
                    if let Some(watched) = self.runs.get_mut(&run) {
                        watched.is_lost = false;
                    }
                }
                Ok(Request::Forget { run }) => self.forget(run),
                Err(std::sync::mpsc::TryRecvError::Empty) => return true,
                Err(std::sync::mpsc::TryRecvError::Disconnected) => return false,
            }
        }
    }

    fn watch(&mut self, run: RunId, dir: RunDir, shim: Option<Identity>, is_announced: bool) {
        let before = self.runs.remove(&run);
        self.forget_handle(before.as_ref());
        let (is_announced, successors) =
            before.map_or((is_announced, 0), |before| (before.is_announced, before.successors));
        self.runs.insert(run, Watched { dir, shim, handle: None, is_announced, is_lost: false, successors });
        self.look(run);
    }

    /// Wakes this thread when the shim ends.
    fn open_handle(&mut self, run: RunId, shim: Identity) -> Option<(ProcessHandle, u64)> {
        let handle = ProcessHandle::open(shim)?;
        self.last_token += 1;
        self.epoll.add(handle.fd(), EpollEvent::new(EpollFlags::EPOLLIN, self.last_token)).ok()?;
        self.tokens.insert(self.last_token, run);
        Some((handle, self.last_token))
    }

    fn answer_doorbell(&mut self) {
        let mut bytes = [0; 16 * 1024];
        while let Ok(length @ 1..) = (&*self.doorbell).read(&mut bytes) {
            let mut rings = Vec::new();
            self.names.push(&bytes[..length], |line| rings.extend(parse_ring(line.text)));
            for (run, report) in rings {
                let is_announced = self.runs.get(&run).map(|watched| watched.is_announced);
                if report.is_none() || is_announced == Some(false) {
                    self.look(run);
                }
                if let Some(report) = report.filter(|_| self.runs.contains_key(&run)) {
                    (self.sink)(Event::Reported { run, report: report.into() });
                }
            }
        }
    }

    fn look_at_the_silent(&mut self) {
        for run in self.silent.clone() {
            self.look(run);
        }
    }

    fn look(&mut self, run: RunId) {
        let Some(watched) = self.runs.get_mut(&run) else { return };
        let findings = inspection::look(run, &watched.dir, watched.is_announced);
        watched.is_announced = findings.is_announced;
        // A successor that was started a moment ago may not have written its name over that of the
        // shim that was killed.
        let named = findings.shim.filter(|shim| watched.shim.is_none() || super::is_alive(*shim));
        watched.shim = named.or(watched.shim);
        for event in findings.events {
            (self.sink)(event);
        }
        if findings.is_over {
            return self.forget(run);
        }
        if let (None, Some(shim)) = (&watched.handle, watched.shim) {
            let handle = self.open_handle(run, shim);
            if let Some(watched) = self.runs.get_mut(&run) {
                watched.handle = handle;
            }
        }
        let Some(watched) = self.runs.get(&run) else { return };
        let is_there = match (&watched.handle, watched.shim) {
            (Some(_), _) => true,
            (None, Some(shim)) => super::is_alive(shim),
            // It has not begun; its lock says whether it will.
            (None, None) => journal::is_locked(&watched.dir),
        };
        if watched.is_announced && watched.handle.is_some() {
            self.silent.remove(&run);
        } else {
            self.silent.insert(run);
        }
        if !is_there {
            self.shim_is_lost(run);
        }
    }

    fn shim_ended(&mut self, run: RunId) {
        let Some(watched) = self.runs.get_mut(&run) else { return };
        let shim = watched.shim;
        if let Some((handle, token)) = watched.handle.take() {
            let _ = self.epoll.delete(handle.fd());
            self.tokens.remove(&token);
        }
        // A successor is our own child; the others are the nursery's.
        if let Some(pid) = shim.and_then(|shim| i32::try_from(shim.pid).ok()) {
            let _ = reap(Some(nix::unistd::Pid::from_raw(pid)));
        }
        self.look(run);
    }

    /// The shim was killed, or never came to start the app.
    fn shim_is_lost(&mut self, run: RunId) {
        let Some(watched) = self.runs.get_mut(&run).filter(|watched| !watched.is_lost) else { return };
        let has_begun = watched.shim.is_some();
        if has_begun && (watched.successors < SUCCESSORS_MAX || super::has_processes(&run.to_string())) {
            watched.is_lost = true;
            watched.successors += 1;
            (self.on_lost)(run);
            return;
        }
        let ending = if has_begun || !watched.dir.path().exists() {
            Ending::Unknown
        } else {
            let message = "its shim ended before it started the app".to_owned();
            Ending::StartFailed(StartFailure { obstacle: Obstacle::HostExhausted, message })
        };
        (self.sink)(Event::Ended { run, closing: Closing::unseen(ending, clock::wall()) });
        self.forget(run);
    }

    fn forget(&mut self, run: RunId) {
        self.silent.remove(&run);
        let watched = self.runs.remove(&run);
        self.forget_handle(watched.as_ref());
    }

    fn forget_handle(&mut self, watched: Option<&Watched>) {
        if let Some((handle, token)) = watched.and_then(|watched| watched.handle.as_ref()) {
            let _ = self.epoll.delete(handle.fd());
            self.tokens.remove(token);
        }
    }
}

/// `RUN`, or `RUN REPORT`.
fn parse_ring(line: &[u8]) -> Option<(RunId, Option<ReportRecord>)> {
    let line = std::str::from_utf8(line).ok()?;
    match line.split_once(' ') {
        None => Some((line.parse().ok()?, None)),
        Some((run, report)) => Some((run.parse().ok()?, serde_json::from_str(report).ok())),
    }
}
