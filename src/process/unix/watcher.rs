//! How the watching thread sleeps on Linux: in one epoll with the doorbell, a pidfd for each shim, and
//! a counter that says that there are requests.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::eventfd::{EfdFlags, EventFd};

use super::{ProcessHandle, is_removed, limits, make_pipe, open_pipe};
use crate::model::RunId;
use crate::process::clock;
use crate::process::lines::Splitter;
use crate::process::looker::Host;
use crate::process::record::Identity;
use crate::process::supervisor::Sink;
use crate::process::watch::{LOOK_EVERY, Request, Ring, Waits, Watch};

const DOORBELL: u64 = 0;
const REQUESTS: u64 = 1;
const FIRST_RUN: u64 = 2;

/// The way to the thread.
#[derive(Clone)]
pub(in crate::process) struct Line {
    requests: Arc<Mutex<Sender<Request>>>,
    wake: Arc<EventFd>,
    doorbell: Arc<Doorbell>,
}

/// The pipe by which shims say that there is something to look at.
struct Doorbell {
    path: PathBuf,
    pipe: Mutex<Arc<File>>,
}

impl Doorbell {
    fn open(path: &Path) -> io::Result<Self> {
        make_pipe(path)?;
        Ok(Self { path: path.to_owned(), pipe: Mutex::new(Arc::new(open_pipe(path)?)) })
    }

    fn pipe(&self) -> Arc<File> {
        Arc::clone(&self.pipe.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Makes the pipe again if it was removed, and listens to the new one; gives back whether it did.
    fn keep(&self, epoll: &Epoll) -> io::Result<bool> {
        let mut pipe = self.pipe.lock().unwrap_or_else(PoisonError::into_inner);
        if !is_removed(&pipe) {
            return Ok(false);
        }
        make_pipe(&self.path)?;
        let fresh = Arc::new(open_pipe(&self.path)?);
        epoll.add(fresh.as_fd(), EpollEvent::new(EpollFlags::EPOLLIN, DOORBELL))?;
        epoll.delete(pipe.as_fd())?;
        *pipe = fresh;
        Ok(true)
    }
}

impl Line {
    pub(in crate::process) fn request(&self, request: Request) {
        // The thread goes on for as long as there is one of these.
        let _ = self.requests.lock().unwrap_or_else(PoisonError::into_inner).send(request);
        let _ = self.wake.write(1);
    }

    pub(in crate::process) fn keep_doorbell(&self) {
        self.request(Request::KeepDoorbell);
    }

    pub(in crate::process) fn rest(&self, most: Duration) {
        let doorbell = self.doorbell.pipe();
        let mut fds = [PollFd::new(doorbell.as_fd(), PollFlags::POLLIN)];
        let _ = poll(&mut fds, PollTimeout::try_from(most).unwrap_or(PollTimeout::ZERO));
    }
}

pub(in crate::process) fn begin_to_watch(
    doorbell: &Path,
    sink: Sink,
    on_lost: Box<dyn Fn(RunId) + Send>,
) -> io::Result<Line> {
    let doorbell = Arc::new(Doorbell::open(doorbell)?);
    let wake = Arc::new(EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?);
    let (requests, inbox) = channel();
    let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
    epoll.add(doorbell.pipe().as_fd(), EpollEvent::new(EpollFlags::EPOLLIN, DOORBELL))?;
    epoll.add(wake.as_fd(), EpollEvent::new(EpollFlags::EPOLLIN, REQUESTS))?;
    let line = Line {
        requests: Arc::new(Mutex::new(requests)),
        wake: Arc::clone(&wake),
        doorbell: Arc::clone(&doorbell),
    };
    std::thread::Builder::new().name("dcm-watch".to_owned()).spawn(move || {
        let shims = Rc::new(Shims { epoll, runs: RefCell::default() });
        let watch =
            Watch::new(Host, Pidfds { shims: Rc::clone(&shims), last_token: FIRST_RUN }, sink, on_lost);
        Sleeper { shims, inbox, wake, doorbell, names: Splitter::default(), watch }.serve();
    })?;
    Ok(line)
}

/// Shims that are waited for, by the number that the kernel gives back when one ends.
struct Shims {
    epoll: Epoll,
    runs: RefCell<BTreeMap<u64, RunId>>,
}

struct Pidfds {
    shims: Rc<Shims>,
    last_token: u64,
}

impl Waits for Pidfds {
    type Wait = ShimWait;

    fn begin(&mut self, run: RunId, shim: Identity) -> Option<ShimWait> {
        let handle = ProcessHandle::open(shim).ok().flatten()?;
        if !limits::has_room_for_handle(handle.fd()) {
            return None;
        }
        self.last_token += 1;
        let token = self.last_token;
        self.shims.epoll.add(handle.fd(), EpollEvent::new(EpollFlags::EPOLLIN, token)).ok()?;
        self.shims.runs.borrow_mut().insert(token, run);
        Some(ShimWait { shims: Rc::clone(&self.shims), handle, token })
    }
}

/// As long as this lives, the end of the shim is told.
struct ShimWait {
    shims: Rc<Shims>,
    handle: ProcessHandle,
    token: u64,
}

impl Drop for ShimWait {
    fn drop(&mut self) {
        let _ = self.shims.epoll.delete(self.handle.fd());
        self.shims.runs.borrow_mut().remove(&self.token);
    }
}

struct Sleeper {
    shims: Rc<Shims>,
    inbox: Receiver<Request>,
    wake: Arc<EventFd>,
    doorbell: Arc<Doorbell>,
    names: Splitter,
    watch: Watch<Host, Pidfds>,
}

impl Sleeper {
    fn serve(mut self) {
        let every = EpollTimeout::try_from(LOOK_EVERY).unwrap_or(EpollTimeout::MAX);
        let mut events = vec![EpollEvent::empty(); 256];
        let mut look_at = clock::boot_time() + LOOK_EVERY;
        loop {
            let timeout = if self.watch.has_silent() { every } else { EpollTimeout::NONE };
            let count = match self.shims.epoll.wait(&mut events, timeout) {
                Ok(count) => count,
                Err(nix::errno::Errno::EINTR) => continue,
                Err(_) => return,
            };
            // A fleet that rings all the time must not keep it from that.
            let now = clock::boot_time();
            if now >= look_at {
                look_at = now + LOOK_EVERY;
                self.watch.look_at_the_silent();
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
                        let run = self.shims.runs.borrow().get(&token).copied();
                        if let Some(run) = run {
                            self.watch.take(Request::ShimEnded { run });
                        }
                    }
                }
            }
        }
    }

    /// `false` when there is no line any more.
    fn take_requests(&mut self) -> bool {
        let _ = self.wake.read();
        loop {
            match self.inbox.try_recv() {
                Ok(Request::KeepDoorbell) => self.keep_doorbell(),
                Ok(request) => self.watch.take(request),
                Err(TryRecvError::Empty) => return true,
                Err(TryRecvError::Disconnected) => return false,
            }
        }
    }

    fn keep_doorbell(&mut self) {
        match self.doorbell.keep(&self.shims.epoll) {
            Ok(false) => {}
            Ok(true) => {
                tracing::warn!("the doorbell of the state directory was removed; it is made again");
                self.watch.ask_all();
            }
            Err(error) => {
                tracing::warn!(%error, "the doorbell of the state directory was removed and cannot be made again yet");
            }
        }
    }

    fn answer_doorbell(&mut self) {
        let mut bytes = [0; 16 * 1024];
        let doorbell = self.doorbell.pipe();
        while let Ok(length @ 1..) = (&*doorbell).read(&mut bytes) {
            let mut rings = Vec::new();
            self.names.push(&bytes[..length], |line| rings.extend(Ring::parse(line.text)));
            for ring in rings {
                self.watch.take(Request::Rung(ring));
            }
        }
    }
}
