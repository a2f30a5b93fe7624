//! Watches shims: a thread that sleeps until one of them rings the doorbell or ends.

mod shim_wait;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Weak};
use std::time::Duration;

use self::shim_wait::ShimWait;
use super::mailbox::Mailbox;
use crate::manager::Event;
use crate::model::{Closing, Ending, Obstacle, RunId, StartFailure};
use crate::process::layout::RunDir;
use crate::process::record::{Identity, ReportRecord};
use crate::process::supervisor::Sink;
use crate::process::{clock, inspection, journal};

/// How often runs are looked at that cannot announce themselves: their doorbell was lost, or there
/// was no handle to be had for their shim.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// A shim that is gone is replaced at most so often; each of them can only have been killed.
const SUCCESSORS_MAX: u32 = 5;

/// A handle to the thread.
#[derive(Clone)]
pub(in crate::process) struct Watcher {
    /// The thread goes on for as long as there is one of these.
    requests: Arc<Sender<Request>>,
}

enum Request {
    Watch { run: RunId, dir: RunDir, shim: Option<Identity>, is_announced: bool },
    TakeOver { run: RunId, dir: RunDir },
    Look { run: RunId },
    LookLater { run: RunId },
    Forget { run: RunId },
    Rung { run: RunId, report: Option<ReportRecord> },
    ShimEnded { run: RunId },
}

impl Watcher {
    /// Begins to watch. `on_lost` is called for a run whose shim has gone without a record.
    pub(in crate::process) fn new(
        doorbell: &Path,
        sink: Sink,
        on_lost: Box<dyn Fn(RunId) + Send>,
    ) -> io::Result<Self> {
        let mailbox = Mailbox::create(doorbell)?;
        let (requests, inbox) = channel();
        let requests = Arc::new(requests);
        let rings = Arc::downgrade(&requests);
        let watch = Watch {
            inbox,
            requests: Weak::clone(&rings),
            runs: BTreeMap::new(),
            silent: BTreeSet::new(),
            sink,
            on_lost,
        };
        std::thread::Builder::new().name("dcm-watch".to_owned()).spawn(move || watch.serve())?;
        std::thread::Builder::new()
            .name("dcm-doorbell".to_owned())
            .spawn(move || answer_doorbell(mailbox, &rings))?;
        Ok(Self { requests })
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

    /// Waits a moment for shims to go on.
    #[expect(clippy::unused_self, reason = "on other platforms the doorbell ends the wait")]
    pub(in crate::process) fn rest(&self, most: Duration) {
        std::thread::park_timeout(most);
    }

    fn request(&self, request: Request) {
        // The thread goes on for as long as there is a handle.
        let _ = self.requests.send(request);
    }
}

/// Hands on who rings. Ends with the first ring after the watcher, which nobody else hears.
fn answer_doorbell(mut mailbox: Mailbox, requests: &Weak<Sender<Request>>) {
    while let Ok(message) = mailbox.receive() {
        let Some(requests) = requests.upgrade() else { return };
        if let Some((run, report)) = parse_ring(message) {
            let _ = requests.send(Request::Rung { run, report });
        }
    }
}

struct Watch {
    inbox: Receiver<Request>,
    /// For those who wait for shims to end.
    requests: Weak<Sender<Request>>,
    runs: BTreeMap<RunId, Watched>,
    /// Runs that must be looked at now and then.
    silent: BTreeSet<RunId>,
    sink: Sink,
    on_lost: Box<dyn Fn(RunId) + Send>,
}

struct Watched {
    dir: RunDir,
    /// `None`: the shim has not said who it is.
    shim: Option<Identity>,
    /// `None` when the shim is not known or gone, or cannot be waited for: the run is looked at.
    wait: Option<ShimWait>,
    /// The manager knows that the run has a process.
    is_announced: bool,
    /// A successor for the shim was ordered.
    is_lost: bool,
    /// How many successors it had.
    successors: u32,
}

impl Watch {
    fn serve(mut self) {
        let mut look_at = clock::boot_time() + LOOK_EVERY;
        loop {
            let now = clock::boot_time();
            if self.silent.is_empty() || now >= look_at {
                look_at = now + LOOK_EVERY;
                self.look_at_the_silent();
            }
            let request = if self.silent.is_empty() {
                self.inbox.recv().map_err(|_| RecvTimeoutError::Disconnected)
            } else {
                self.inbox.recv_timeout(look_at.saturating_sub(now))
            };
            match request {
                Ok(request) => self.take(request),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn take(&mut self, request: Request) {
        match request {
            Request::Watch { run, dir, shim, is_announced } => self.watch(run, dir, shim, is_announced),
            Request::TakeOver { run, dir } => {
                // Without a run directory here, the run is somebody else's to end.
                if dir.journal().exists() {
                    self.watch(run, dir, None, false);
                }
            }
            Request::Look { run } => self.look(run),
            Request::LookLater { run } => {
                if let Some(watched) = self.runs.get_mut(&run) {
                    watched.is_lost = false;
                }
            }
            Request::Forget { run } => self.forget(run),
            Request::Rung { run, report } => self.rung(run, report),
            Request::ShimEnded { run } => {
                if let Some(watched) = self.runs.get_mut(&run) {
                    watched.wait = None;
                }
                self.look(run);
            }
        }
    }

    fn watch(&mut self, run: RunId, dir: RunDir, shim: Option<Identity>, is_announced: bool) {
        let before = self.runs.remove(&run);
        let (is_announced, successors) =
            before.map_or((is_announced, 0), |before| (before.is_announced, before.successors));
        self.runs.insert(run, Watched { dir, shim, wait: None, is_announced, is_lost: false, successors });
        self.look(run);
    }

    fn rung(&mut self, run: RunId, report: Option<ReportRecord>) {
        let is_announced = self.runs.get(&run).map(|watched| watched.is_announced);
        if report.is_none() || is_announced == Some(false) {
            self.look(run);
        }
        if let Some(report) = report.filter(|_| self.runs.contains_key(&run)) {
            (self.sink)(Event::Reported { run, report: report.into() });
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
        if let (None, Some(shim)) = (&watched.wait, watched.shim) {
            watched.wait = ShimWait::begin(run, shim, Weak::clone(&self.requests));
        }
        let is_there = match (&watched.wait, watched.shim) {
            (Some(_), _) => true,
            (None, Some(shim)) => super::is_alive(shim),
            // It has not begun; its lock says whether it will.
            (None, None) => journal::is_locked(&watched.dir),
        };
        if watched.is_announced && watched.wait.is_some() {
            self.silent.remove(&run);
        } else {
            self.silent.insert(run);
        }
        if !is_there {
            self.shim_is_lost(run);
        }
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
        self.runs.remove(&run);
    }
}

/// `RUN`, or `RUN REPORT`.
fn parse_ring(message: &[u8]) -> Option<(RunId, Option<ReportRecord>)> {
    let message = std::str::from_utf8(message).ok()?;
    match message.split_once(' ') {
        None => Some((message.parse().ok()?, None)),
        Some((run, report)) => Some((run.parse().ok()?, serde_json::from_str(report).ok())),
    }
}
