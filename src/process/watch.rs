//! Watches runs: a thread that sleeps until a shim rings the doorbell or ends. What follows from that
//! is here; how it sleeps, hears and learns of an end is the platform's.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;
use std::time::Duration;

use super::layout::RunDir;
use super::record::{Identity, ReportRecord};
use super::supervisor::Sink;
use super::{clock, inspection, journal, sys};
use crate::manager::Event;
use crate::model::{Closing, Ending, Obstacle, RunId, StartFailure};

/// How often runs are looked at that cannot announce themselves: their doorbell was lost, or there
/// was no handle to be had for their shim.
pub(super) const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How often a run directory is looked for that is not there: `run-app` puts its run on record before
/// it makes one, and may do so on another host.
const LOOKED_FOR_MAX: u32 = 30;

/// A shim that is gone is replaced at most so often; each of them can only have been killed.
const SUCCESSORS_MAX: u32 = 5;

/// A handle to the thread, which goes on for as long as there is one.
#[derive(Clone)]
pub(super) struct Watcher(sys::Line);

/// What the thread is asked to do, or has to know.
pub(super) enum Request {
    Watch { run: RunId, dir: RunDir, shim: Option<Identity>, is_announced: bool },
    TakeOver { run: RunId, dir: RunDir },
    Look { run: RunId },
    LookLater { run: RunId },
    Forget { run: RunId },
    Rung(Ring),
    ShimEnded { run: RunId },
}

impl Watcher {
    /// Begins to watch. `on_lost` is called for a run whose shim has gone without a record.
    pub(super) fn new(doorbell: &Path, sink: Sink, on_lost: Box<dyn Fn(RunId) + Send>) -> io::Result<Self> {
        sys::begin_to_watch(doorbell, sink, on_lost).map(Self)
    }

    /// Watches a run that is being started or was found. A shim that is not known yet will say who
    /// it is.
    pub(super) fn watch(&self, run: RunId, dir: RunDir, shim: Option<Identity>, is_announced: bool) {
        self.0.request(Request::Watch { run, dir, shim, is_announced });
    }

    /// Watches a run that another program on this host has started.
    pub(super) fn take_over(&self, run: RunId, dir: RunDir) {
        self.0.request(Request::TakeOver { run, dir });
    }

    /// Looks at a run now.
    pub(super) fn look(&self, run: RunId) {
        self.0.request(Request::Look { run });
    }

    /// Looks at a run in a moment.
    pub(super) fn look_later(&self, run: RunId) {
        self.0.request(Request::LookLater { run });
    }

    /// Watches a run no longer.
    pub(super) fn forget(&self, run: RunId) {
        self.0.request(Request::Forget { run });
    }

    /// Waits until somebody rings, or for this long.
    pub(super) fn rest(&self, most: Duration) {
        self.0.rest(most);
    }
}

/// Learns of the ends of shims. What it gives is let go with its drop.
pub(super) trait Waits {
    type Wait;

    /// From now on `ShimEnded` is told when the shim ends. `None` when it is gone, or cannot be waited
    /// for.
    fn begin(&mut self, run: RunId, shim: Identity) -> Option<Self::Wait>;
}

/// What the thread knows.
pub(super) struct Watch<W: Waits> {
    waits: W,
    runs: BTreeMap<RunId, Watched<W::Wait>>,
    /// Runs that must be looked at now and then.
    silent: BTreeSet<RunId>,
    /// Runs without a run directory so far, and how often it was looked for.
    looked_for: BTreeMap<RunId, (RunDir, u32)>,
    sink: Sink,
    on_lost: Box<dyn Fn(RunId) + Send>,
}

struct Watched<H> {
    dir: RunDir,
    /// `None`: the shim has not said who it is.
    shim: Option<Identity>,
    /// `None` when the shim is not known or gone, or cannot be waited for: the run is looked at.
    wait: Option<H>,
    /// The manager knows that the run has a process.
    is_announced: bool,
    /// A successor for the shim was ordered.
    is_lost: bool,
    /// How many successors it had.
    successors: u32,
}

impl<W: Waits> Watch<W> {
    pub(super) fn new(waits: W, sink: Sink, on_lost: Box<dyn Fn(RunId) + Send>) -> Self {
        Self {
            waits,
            runs: BTreeMap::new(),
            silent: BTreeSet::new(),
            looked_for: BTreeMap::new(),
            sink,
            on_lost,
        }
    }

    /// Whether there are runs that must be looked at each [`LOOK_EVERY`].
    pub(super) fn has_silent(&self) -> bool {
        !self.silent.is_empty() || !self.looked_for.is_empty()
    }

    pub(super) fn look_at_the_silent(&mut self) {
        for run in self.silent.clone() {
            self.look(run);
        }
        for (run, (dir, times)) in std::mem::take(&mut self.looked_for) {
            self.look_for(run, dir, times + 1);
        }
    }

    pub(super) fn take(&mut self, request: Request) {
        match request {
            Request::Watch { run, dir, shim, is_announced } => self.watch(run, dir, shim, is_announced),
            Request::TakeOver { run, dir } => self.look_for(run, dir, 0),
            Request::Look { run } => self.look(run),
            Request::LookLater { run } => {
                if let Some(watched) = self.runs.get_mut(&run) {
                    watched.is_lost = false;
                }
            }
            Request::Forget { run } => self.forget(run),
            Request::Rung(ring) => self.rung(ring),
            Request::ShimEnded { run } => {
                if let Some(watched) = self.runs.get_mut(&run) {
                    watched.wait = None;
                }
                self.look(run);
            }
        }
    }

    /// Watches a run that somebody else began, once its directory is there. Without one here, the run
    /// is somebody else's to end.
    fn look_for(&mut self, run: RunId, dir: RunDir, times: u32) {
        if dir.journal().exists() {
            self.watch(run, dir, None, false);
        } else if times < LOOKED_FOR_MAX {
            self.looked_for.insert(run, (dir, times));
        }
    }

    fn watch(&mut self, run: RunId, dir: RunDir, shim: Option<Identity>, is_announced: bool) {
        let before = self.runs.remove(&run);
        let (is_announced, successors) =
            before.map_or((is_announced, 0), |before| (before.is_announced, before.successors));
        self.runs.insert(run, Watched { dir, shim, wait: None, is_announced, is_lost: false, successors });
        self.look(run);
    }

    fn rung(&mut self, Ring { run, report }: Ring) {
        let is_announced = self.runs.get(&run).map(|watched| watched.is_announced);
        if report.is_none() || is_announced == Some(false) {
            self.look(run);
        }
        if let Some(report) = report.filter(|_| self.runs.contains_key(&run)) {
            (self.sink)(Event::Reported { run, report: report.into() });
        }
    }

    fn look(&mut self, run: RunId) {
        let Some(watched) = self.runs.get_mut(&run) else { return };
        let findings = inspection::look(run, &watched.dir, watched.is_announced);
        watched.is_announced = findings.is_announced;
        // A successor that was started a moment ago may not have written its name over that of the
        // shim that was killed.
        let named = findings.shim.filter(|shim| watched.shim.is_none() || sys::is_alive(*shim));
        watched.shim = named.or(watched.shim);
        for event in findings.events {
            (self.sink)(event);
        }
        if findings.is_over {
            return self.forget(run);
        }
        if let (None, Some(shim)) = (&watched.wait, watched.shim) {
            watched.wait = self.waits.begin(run, shim);
        }
        let is_there = match (&watched.wait, watched.shim) {
            (Some(_), _) => true,
            (None, Some(shim)) => sys::is_alive(shim),
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
        if has_begun && (watched.successors < SUCCESSORS_MAX || sys::has_processes(&run.to_string())) {
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
        self.looked_for.remove(&run);
        self.silent.remove(&run);
        self.runs.remove(&run);
    }
}

/// A shim rang: `RUN`, or `RUN REPORT`.
pub(super) struct Ring {
    run: RunId,
    report: Option<ReportRecord>,
}

impl Ring {
    /// `None` for what no shim of this program wrote.
    pub(super) fn parse(message: &[u8]) -> Option<Self> {
        let message = std::str::from_utf8(message).ok()?;
        Some(match message.split_once(' ') {
            None => Self { run: message.parse().ok()?, report: None },
            Some((run, report)) => Self { run: run.parse().ok()?, report: serde_json::from_str(report).ok() },
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::super::record::tests::spec;
    use super::*;

    struct NoWaits;

    impl Waits for NoWaits {
        type Wait = ();

        fn begin(&mut self, _run: RunId, _shim: Identity) -> Option<()> {
            None
        }
    }

    #[test]
    fn a_run_is_found_whose_directory_comes_late() {
        let folder = tempfile::tempdir().unwrap();
        let (run, dir) = (RunId::from_random_bits(7), RunDir::new(folder.path().join("run")));
        let told = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&told);
        let sink: Sink = Arc::new(move |event| sink.lock().unwrap().push(event));
        let mut watch = Watch::new(NoWaits, sink, Box::new(|_| {}));
        watch.take(Request::TakeOver { run, dir: dir.clone() });
        watch.look_at_the_silent();
        std::fs::create_dir(dir.path()).unwrap();
        // Held by whoever is about to start the run.
        let _journal = journal::create(&dir, spec()).unwrap();
        watch.look_at_the_silent();
        assert!(watch.runs.contains_key(&run) && watch.looked_for.is_empty());
        assert!(told.lock().unwrap().is_empty());
    }

    #[test]
    fn a_run_of_another_host_is_not_looked_for_without_end() {
        let folder = tempfile::tempdir().unwrap();
        let (run, dir) = (RunId::from_random_bits(7), RunDir::new(folder.path().join("run")));
        let mut watch = Watch::new(NoWaits, Arc::new(|event| panic!("{event:?}")), Box::new(|_| {}));
        watch.take(Request::TakeOver { run, dir });
        for _ in 0..LOOKED_FOR_MAX {
            assert!(watch.has_silent());
            watch.look_at_the_silent();
        }
        assert!(!watch.has_silent());
    }
}
