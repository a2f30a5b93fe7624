//! Watches runs: a thread that sleeps until a shim rings the doorbell or ends. What follows from that
//! is here; how it sleeps, hears and learns of an end is the platform's.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;
use std::time::Duration;

use super::journal::Lock;
use super::layout::RunDir;
use super::log_end::add_stderr;
use super::looker::Looker;
use super::record::{Identity, Message, ReportRecord};
use super::supervisor::Sink;
use super::{clock, sys};
use crate::manager::Event;
use crate::model::{Closing, Ending, Obstacle, RunId, StartFailure};

/// How often runs are looked at that cannot announce themselves: their doorbell was lost, or there
/// was no handle to be had for their shim.
pub(super) const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How often a run directory is looked for that is not there: `run-app` puts its run on record before
/// it makes one, with another state directory or on another host perhaps.
const LOOKED_FOR_MAX: u32 = 30;

/// A shim that is gone is replaced at most so often; each of them can only have been killed.
const SUCCESSORS_MAX: u32 = 5;

/// A run without a journal and without a process is over after so many looks.
const ABSENCES_MAX: u32 = 3;

/// A handle to the thread, which goes on for as long as there is one.
#[derive(Clone)]
pub(super) struct Watcher(sys::Line);

/// What the thread is asked to do, or has to know.
pub(super) enum Request {
    Watch {
        run: RunId,
        dir: RunDir,
        shim: Option<Identity>,
        is_announced: bool,
    },
    TakeOver {
        run: RunId,
        dir: RunDir,
    },
    Look {
        run: RunId,
    },
    NoSuccessor {
        run: RunId,
    },
    AskToEnd {
        run: RunId,
    },
    Forget {
        run: RunId,
    },
    Rung(Ring),
    ShimEnded {
        run: RunId,
    },
    /// The doorbell may have been removed. A mailslot of Windows cannot be.
    #[cfg(unix)]
    KeepDoorbell,
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

    /// No successor could be started for the shim of a run: it is tried again with the next look.
    pub(super) fn no_successor(&self, run: RunId) {
        self.0.request(Request::NoSuccessor { run });
    }

    /// Asks the shim of a run to end it, where that cannot be asked by the run directory.
    pub(super) fn ask_to_end(&self, run: RunId) {
        self.0.request(Request::AskToEnd { run });
    }

    /// Watches a run no longer.
    pub(super) fn forget(&self, run: RunId) {
        self.0.request(Request::Forget { run });
    }

    /// Makes the doorbell again if somebody removed it.
    pub(super) fn keep_doorbell(&self) {
        self.0.keep_doorbell();
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
    /// for: which of both, a look tells.
    fn begin(&mut self, run: RunId, shim: Identity) -> Option<Self::Wait>;
}

/// What the thread knows.
pub(super) struct Watch<L: Looker, W: Waits> {
    looker: L,
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
    /// How many looks in a row found neither a journal nor a process.
    absences: u32,
}

/// What a look leads to.
enum Seen {
    /// The run goes on.
    Running,
    /// Its shim was named and could not be waited for: another look, at the shim first, says whether it is gone.
    Renamed,
    /// No shim lives, and what it wrote does not say how the run ended.
    Lost { has_begun: bool },
    /// Neither the journal nor the shim is there.
    Absent,
    /// It is over, and the manager was told.
    Over,
}

impl<L: Looker, W: Waits> Watch<L, W> {
    pub(super) fn new(looker: L, waits: W, sink: Sink, on_lost: Box<dyn Fn(RunId) + Send>) -> Self {
        Self {
            looker,
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
            Request::NoSuccessor { run } => {
                if let Some(watched) = self.runs.get_mut(&run) {
                    watched.is_lost = false;
                    watched.successors = watched.successors.saturating_sub(1);
                }
            }
            Request::AskToEnd { run } => {
                if let Some(shim) = self.runs.get(&run).and_then(|watched| watched.shim) {
                    sys::ask_to_end(shim);
                }
            }
            Request::Forget { run } => self.forget(run),
            #[cfg(unix)]
            Request::KeepDoorbell => {}
            Request::Rung(ring) => self.rung(ring),
            Request::ShimEnded { run } => {
                if let Some(watched) = self.runs.get_mut(&run) {
                    watched.wait = None;
                }
                self.look(run);
            }
        }
    }

    /// Looks at all runs, and lets their shims tell what was reported: they may have rung in vain.
    #[cfg_attr(windows, expect(dead_code, reason = "the doorbell is no file there"))]
    pub(super) fn ask_all(&mut self) {
        let runs: Vec<_> = self.runs.iter().map(|(run, watched)| (*run, watched.dir.clone())).collect();
        for (run, dir) in runs {
            let _ = sys::send(&dir, &Message::Tell);
            self.look(run);
        }
    }

    /// Watches a run that another program began, once its directory is there. Without one, and without a process on
    /// this host, the search ends and the manager learns of it.
    fn look_for(&mut self, run: RunId, dir: RunDir, times: u32) {
        let is_last = times >= LOOKED_FOR_MAX;
        // Processes first: one that ends between both looks leaves its directory.
        let has_processes = if is_last { self.looker.has_processes(run) } else { Ok(true) };
        let times = match (has_processes, self.looker.lock(&dir)) {
            (_, Ok(Lock::Held | Lock::Free)) => return self.watch(run, dir, None, false),
            (Ok(false), Ok(Lock::Missing)) => return (self.sink)(Event::NotFound { run }),
            // It lives with another state directory; its own `run-app` enters its end, unless killed before that.
            (Ok(true), Ok(Lock::Missing)) if is_last => 0,
            (Ok(true), Ok(Lock::Missing)) => times,
            // A look that failed does not count.
            (Err(_), _) | (_, Err(_)) => times.saturating_sub(1),
        };
        self.looked_for.insert(run, (dir, times));
    }

    fn watch(&mut self, run: RunId, dir: RunDir, shim: Option<Identity>, is_announced: bool) {
        let before = self.runs.remove(&run);
        let (is_announced, successors) =
            before.map_or((is_announced, 0), |before| (before.is_announced, before.successors));
        let watched =
            Watched { dir, shim, wait: None, is_announced, is_lost: false, successors, absences: 0 };
        self.runs.insert(run, watched);
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

    /// Looks at a run until it is clear how it is. What cannot be seen now is looked at again later.
    fn look(&mut self, run: RunId) {
        let mut seen = self.try_look(run);
        if matches!(seen, Ok(Some(Seen::Renamed))) {
            seen = self.try_look(run);
        }
        let result = match seen {
            Ok(None) => return,
            Ok(Some(Seen::Running | Seen::Renamed)) => Ok(()),
            Ok(Some(Seen::Over)) => return self.forget(run),
            Ok(Some(Seen::Lost { has_begun })) => self.shim_is_lost(run, has_begun),
            Ok(Some(Seen::Absent)) => self.is_absent(run),
            Err(error) => Err(error),
        };
        let Some(watched) = self.runs.get(&run) else { return };
        if result.is_ok() && watched.is_announced && watched.wait.is_some() {
            self.silent.remove(&run);
        } else {
            self.silent.insert(run);
        }
    }

    /// First at who could still write, then at what was written: what one who is gone has not written by then,
    /// it never will. The other way round a run that begins and ends between both looks would be taken for
    /// one that never began.
    fn try_look(&mut self, run: RunId) -> io::Result<Option<Seen>> {
        let Some(watched) = self.runs.get_mut(&run) else { return Ok(None) };
        let is_gone = match (watched.shim, &watched.wait) {
            (Some(_), Some(_)) => false,
            (Some(shim), None) => !self.looker.is_alive(shim)?,
            // A shim that is not known yet holds the lock from before its first line to its end.
            (None, _) => self.looker.lock(&watched.dir)? != Lock::Held,
        };
        let Some(journal) = self.looker.journal(&watched.dir)? else {
            return Ok(Some(if is_gone { Seen::Absent } else { Seen::Running }));
        };
        watched.absences = 0;
        if let Some((app, started)) = journal.app.filter(|(app, _)| !watched.is_announced && app.pid != 0) {
            watched.is_announced = true;
            (self.sink)(Event::Started { run, pid: app.pid, at: started });
        }
        if let Some(record) = journal.exit {
            let mut closing: Closing = record.into();
            // The successor of a shim is not the parent of the app. Where this is process 1, it is.
            if let Some((app, _)) = journal.app {
                closing.ending.complete(|| self.looker.exit_of(app));
            }
            add_stderr(&mut closing, &journal.spec.log);
            (self.sink)(Event::Ended { run, closing });
            return Ok(Some(Seen::Over));
        }
        let has_begun = journal.begun.is_some();
        let named = journal.begun.map(|begun| begun.shim).filter(|named| watched.shim != Some(*named));
        // A successor that was started a moment ago may not have written its name over that of the
        // shim that was killed.
        if let Some(named) = named
            && (watched.shim.is_none() || self.looker.is_alive(named)?)
        {
            watched.shim = Some(named);
            watched.wait = self.waits.begin(run, named);
            return Ok(Some(if watched.wait.is_some() { Seen::Running } else { Seen::Renamed }));
        }
        if is_gone {
            return Ok(Some(Seen::Lost { has_begun }));
        }
        if let (None, Some(shim)) = (&watched.wait, watched.shim) {
            watched.wait = self.waits.begin(run, shim);
        }
        Ok(Some(Seen::Running))
    }

    /// The shim was killed, or never came to start the app.
    fn shim_is_lost(&mut self, run: RunId, has_begun: bool) -> io::Result<()> {
        let Some(watched) = self.runs.get_mut(&run).filter(|watched| !watched.is_lost) else { return Ok(()) };
        if has_begun && (watched.successors < SUCCESSORS_MAX || self.looker.has_processes(run)?) {
            watched.is_lost = true;
            watched.successors += 1;
            (self.on_lost)(run);
            return Ok(());
        }
        let ending = if has_begun {
            Ending::Unknown
        } else {
            let message = "its shim ended before it started the app".to_owned();
            Ending::StartFailed(StartFailure { obstacle: Obstacle::HostExhausted, message })
        };
        self.close(run, ending);
        Ok(())
    }

    /// Somebody removed the run directory, and its shim is gone or was never seen. What the run may still have
    /// of processes keeps it open.
    fn is_absent(&mut self, run: RunId) -> io::Result<()> {
        if self.looker.has_processes(run)? {
            return Ok(());
        }
        let Some(watched) = self.runs.get_mut(&run) else { return Ok(()) };
        watched.absences += 1;
        // A shim that is not known may be about to start the app.
        if watched.shim.is_some() || watched.absences >= ABSENCES_MAX {
            self.close(run, Ending::Unknown);
        }
        Ok(())
    }

    fn close(&mut self, run: RunId, ending: Ending) {
        let mut closing = Closing::unseen(ending, clock::wall());
        let journal =
            self.runs.get(&run).and_then(|watched| self.looker.journal(&watched.dir).ok().flatten());
        if let Some(journal) = journal {
            add_stderr(&mut closing, &journal.spec.log);
        }
        (self.sink)(Event::Ended { run, closing });
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
mod interleavings;

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::super::journal;
    use super::super::looker::Host;
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
        let mut watch = Watch::new(Host, NoWaits, sink, Box::new(|_| {}));
        watch.take(Request::TakeOver { run, dir: dir.clone() });
        watch.look_at_the_silent();
        std::fs::create_dir(dir.path()).unwrap();
        // Held by whoever is about to start the run.
        let _journal = journal::create(&dir, spec()).unwrap();
        watch.look_at_the_silent();
        assert!(watch.runs.contains_key(&run) && watch.looked_for.is_empty());
        assert!(told.lock().unwrap().is_empty());
    }

    /// A look that fails on a busy host does not count for the watch, and counts here.
    fn looks_until_told(watch: &mut Watch<Host, NoWaits>) -> u32 {
        let mut looks = 0;
        while watch.has_silent() {
            watch.look_at_the_silent();
            looks += 1;
            assert!(looks < 10 * LOOKED_FOR_MAX);
        }
        looks
    }

    #[test]
    fn a_run_that_is_not_on_this_host_is_looked_for_long_enough_and_told_once() {
        let folder = tempfile::tempdir().unwrap();
        let (run, dir) = (RunId::from_random_bits(7), RunDir::new(folder.path().join("run")));
        let told = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&told);
        let sink: Sink = Arc::new(move |event| sink.lock().unwrap().push(event));
        let mut watch = Watch::new(Host, NoWaits, sink, Box::new(|_| {}));
        watch.take(Request::TakeOver { run, dir });
        assert!(looks_until_told(&mut watch) >= LOOKED_FOR_MAX);
        assert_eq!(*told.lock().unwrap(), [Event::NotFound { run }]);
    }

    #[cfg(unix)]
    #[test]
    fn a_run_with_a_process_and_without_a_directory_is_never_given_up() {
        use std::io::Read as _;
        use std::process::{Command, Stdio};

        let folder = tempfile::tempdir().unwrap();
        let (run, dir) = (RunId::from_random_bits(8), RunDir::new(folder.path().join("run")));
        let told = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&told);
        let sink: Sink = Arc::new(move |event| sink.lock().unwrap().push(event));
        let mut watch = Watch::new(Host, NoWaits, sink, Box::new(|_| {}));
        let mut process = Command::new("sh");
        process.args(["-c", "echo ready; read line"]).env("DC_RUNTIME", run.to_string());
        let mut process = process.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        // The environment of a process can be read a moment after its start.
        process.stdout.as_mut().unwrap().read_exact(&mut [0; 6]).unwrap();
        watch.take(Request::TakeOver { run, dir });
        for _ in 0..=2 * LOOKED_FOR_MAX {
            watch.look_at_the_silent();
        }
        let is_looked_for = watch.has_silent();
        process.kill().unwrap();
        process.wait().unwrap();
        assert!(is_looked_for && told.lock().unwrap().is_empty());
        looks_until_told(&mut watch);
        assert_eq!(*told.lock().unwrap(), [Event::NotFound { run }]);
    }
}
