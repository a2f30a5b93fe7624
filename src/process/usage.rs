//! What the runs of this host use of it: a thread that looks at their processes now and then. While no run is under
//! way it sleeps.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use super::layout::RunDir;
use super::record::Identity;
use super::supervisor::Sink;
use super::{clock, journal, sys};
use crate::manager::{Event, Sample};
use crate::model::{RunId, UsageLimits};

/// A run that is younger than this share of the interval is left for the next look: most short runs are over by then.
const YOUNG_SHARE: u32 = 5;

/// Processes that belong to no run are read again at each of this number of looks: their number may be another's.
const OUTSIDERS_EVERY: u32 = 6;

/// What is younger may belong to a run that is not known here yet.
const OUTSIDER_FROM: Duration = Duration::from_secs(30);

/// A way to the thread.
#[derive(Clone)]
pub(super) struct Sampler(Sender<Request>);

enum Request {
    Follow { run: RunId, dir: RunDir },
    Forget { run: RunId },
    Measure { run: RunId },
}

/// A process, as `/proc` has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Process {
    pub(super) pid: u32,
    pub(super) parent: u32,
    /// In clock ticks since boot.
    pub(super) start: u64,
    /// Time on the CPU, its own and that of children that it has waited for.
    pub(super) cpu: Duration,
    /// In bytes.
    pub(super) resident: u64,
}

impl Sampler {
    /// Begins to look. What is seen goes to the sink.
    ///
    /// # Errors
    /// When there is no room for a thread.
    pub(super) fn begin(every: Duration, sink: Sink) -> io::Result<Self> {
        let (requests, inbox) = channel();
        let samples = Samples { every, sink, runs: BTreeMap::new(), outsiders: BTreeSet::new(), looks: 0 };
        std::thread::Builder::new().name("dcm-usage".to_owned()).spawn(move || samples.serve(&inbox))?;
        Ok(Self(requests))
    }

    /// Looks at a run from now on.
    pub(super) fn follow(&self, run: RunId, dir: RunDir) {
        self.ask(Request::Follow { run, dir });
    }

    /// The run is over.
    pub(super) fn forget(&self, run: RunId) {
        self.ask(Request::Forget { run });
    }

    /// Counts the memory of a run once more, pages that its processes share once.
    pub(super) fn measure(&self, run: RunId) {
        self.ask(Request::Measure { run });
    }

    fn ask(&self, request: Request) {
        // The thread ends by itself only where nothing can be seen.
        let _ = self.0.send(request);
    }
}

struct Samples {
    every: Duration,
    sink: Sink,
    runs: BTreeMap<RunId, Followed>,
    /// Processes of which it was seen that they belong to no run.
    outsiders: BTreeSet<u32>,
    looks: u32,
}

struct Followed {
    dir: RunDir,
    known: Option<Known>,
    /// The time of the look before, and the time on the CPU by then.
    before: Option<(Duration, Duration)>,
    /// What the look before has found.
    latest: Option<(Sample, Vec<Identity>)>,
}

/// By what the processes of a run are found.
#[derive(Debug, Clone, Copy)]
struct Known {
    app: Identity,
    shim: Identity,
    held: UsageLimits,
}

impl Samples {
    fn serve(mut self, inbox: &Receiver<Request>) {
        let mut look_at = clock::boot_time();
        loop {
            let request = if self.runs.is_empty() {
                let Ok(request) = inbox.recv() else { return };
                look_at = clock::boot_time() + self.every;
                request
            } else {
                match inbox.recv_timeout(look_at.saturating_sub(clock::boot_time())) {
                    Ok(request) => request,
                    Err(RecvTimeoutError::Disconnected) => return,
                    Err(RecvTimeoutError::Timeout) => {
                        if let Err(error) = self.look() {
                            if error.kind() == io::ErrorKind::Unsupported {
                                return;
                            }
                            tracing::debug!(%error, "what apps use cannot be seen; it is tried again");
                        }
                        look_at = clock::boot_time() + self.every;
                        continue;
                    }
                }
            };
            match request {
                Request::Follow { run, dir } => {
                    self.runs.insert(run, Followed { dir, known: None, before: None, latest: None });
                }
                Request::Forget { run } => drop(self.runs.remove(&run)),
                Request::Measure { run } => self.measure(run),
            }
        }
    }

    /// Looks at all runs at once.
    fn look(&mut self) -> io::Result<()> {
        self.runs.values_mut().for_each(Followed::get_to_know);
        let now = clock::boot_time();
        let table = self.read_table(now)?;
        let mut inside = BTreeSet::new();
        let mut samples = Vec::with_capacity(self.runs.len());
        for (run, followed) in &mut self.runs {
            let Some(known) = followed.known else { continue };
            let members = table.members(known);
            inside.extend(members.iter().map(|process| process.pid));
            samples.extend(followed.sample(*run, &members, now, self.every));
        }
        let is_outside = |process: &&Process| {
            !inside.contains(&process.pid)
                && now.saturating_sub(sys::usage::ticks(process.start)) > OUTSIDER_FROM
        };
        self.outsiders.extend(table.by_parent.iter().filter(is_outside).map(|process| process.pid));
        if !samples.is_empty() {
            (self.sink)(Event::Used(samples));
        }
        Ok(())
    }

    /// The processes of the host, without those that are known to belong to no run.
    fn read_table(&mut self, now: Duration) -> io::Result<Table> {
        self.looks = self.looks.wrapping_add(1);
        let shims: BTreeSet<_> =
            self.runs.values().filter_map(|run| run.known).map(|known| known.shim.pid).collect();
        let mut outsiders = BTreeSet::new();
        let mut found = Vec::new();
        for pid in sys::usage::pids()? {
            if shims.contains(&pid) {
                continue;
            }
            // Each has its turn at another look.
            let is_left_out =
                self.outsiders.contains(&pid) && pid % OUTSIDERS_EVERY != self.looks % OUTSIDERS_EVERY;
            if is_left_out {
                outsiders.insert(pid);
            } else {
                // One that cannot be read has ended, or is hidden: it is not counted.
                found.extend(sys::usage::process(pid).ok().flatten());
            }
        }
        self.outsiders = outsiders;
        debug_assert!(now <= clock::boot_time(), "the time of a look is that of its beginning");
        Ok(Table::of(found))
    }

    fn measure(&self, run: RunId) {
        let Some((sample, members)) = self.runs.get(&run).and_then(|followed| followed.latest.as_ref())
        else {
            return;
        };
        let memory = members.iter().filter_map(|process| sys::usage::memory_shared_once(*process)).sum();
        (self.sink)(Event::Used(vec![Sample { memory, is_exact: true, ..*sample }]));
    }
}

impl Followed {
    /// Reads who its processes are, once they are on record.
    fn get_to_know(&mut self) {
        if self.known.is_some() {
            return;
        }
        let Ok(Some(journal)) = journal::read(&self.dir) else { return };
        self.known = journal.begun.zip(journal.app).map(|(begun, (app, _))| Known {
            app,
            shim: begun.shim,
            held: journal.held.into(),
        });
    }

    fn sample(&mut self, run: RunId, members: &[Process], now: Duration, every: Duration) -> Option<Sample> {
        let known = self.known?;
        // Without its main process it is about to be over.
        members.iter().find(|process| process.pid == known.app.pid)?;
        let cpu = members.iter().map(|process| process.cpu).sum();
        let begun = || (sys::usage::ticks(known.app.start), Duration::ZERO);
        let (since, cpu_before) = self.before.unwrap_or_else(begun);
        let passed = now.saturating_sub(since);
        if self.before.is_none() && passed < every / YOUNG_SHARE {
            return None;
        }
        self.before = Some((now, cpu));
        let sample = Sample {
            run,
            memory: members.iter().map(|process| process.resident).sum(),
            cpu: percent(cpu.saturating_sub(cpu_before), passed),
            // What one process alone has is not shared within the run.
            is_exact: members.len() == 1,
            held: known.held,
        };
        let members = members.iter().map(|process| Identity { pid: process.pid, start: process.start });
        self.latest = Some((sample, members.collect()));
        Some(sample)
    }
}

/// In percent, to a tenth.
fn percent(part: Duration, whole: Duration) -> f64 {
    if whole.is_zero() {
        return 0.0;
    }
    (part.as_secs_f64() / whole.as_secs_f64() * 1000.0).round() / 10.0
}

/// Processes of the host at one moment.
struct Table {
    by_parent: Vec<Process>,
    /// Places in `by_parent`, sorted by the number of the process.
    by_pid: Vec<(u32, usize)>,
}

impl Table {
    fn of(mut processes: Vec<Process>) -> Self {
        processes.sort_unstable_by_key(|process| (process.parent, process.pid));
        let places = processes.iter().enumerate().map(|(at, process)| (process.pid, at));
        let mut by_pid: Vec<_> = places.collect();
        by_pid.sort_unstable();
        Self { by_parent: processes, by_pid }
    }

    fn get(&self, process: Identity) -> Option<Process> {
        let at = self.by_pid.binary_search_by_key(&process.pid, |(pid, _)| *pid).ok()?;
        Some(self.by_parent[self.by_pid[at].1]).filter(|found| found.start == process.start)
    }

    fn children(&self, parent: u32) -> impl Iterator<Item = &Process> {
        let from = self.by_parent.partition_point(|process| process.parent < parent);
        self.by_parent[from..].iter().take_while(move |process| process.parent == parent)
    }

    /// The processes of a run: the main one, and the descendants of it and of its shim, to which orphans fall. A shim
    /// that was killed has no children any more, and its number may be another's.
    fn members(&self, known: Known) -> Vec<Process> {
        let Some(app) = self.get(known.app) else { return Vec::new() };
        let mut found = vec![app];
        let mut seen = BTreeSet::from([app.pid]);
        let mut parents = vec![app.pid];
        parents.extend(Some(known.shim.pid).filter(|shim| *shim == app.parent));
        while let Some(parent) = parents.pop() {
            for child in self.children(parent) {
                if seen.insert(child.pid) {
                    found.push(*child);
                    parents.push(child.pid);
                }
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(pid: u32, parent: u32) -> Process {
        Process { pid, parent, start: u64::from(pid), cpu: Duration::from_secs(1), resident: u64::from(pid) }
    }

    fn members(processes: &[Process], shim: u32, app: u32) -> Vec<u32> {
        let known = Known {
            app: Identity { pid: app, start: u64::from(app) },
            shim: Identity { pid: shim, start: u64::from(shim) },
            held: UsageLimits::default(),
        };
        let mut found: Vec<_> =
            Table::of(processes.to_vec()).members(known).iter().map(|process| process.pid).collect();
        found.sort_unstable();
        found
    }

    #[test]
    fn the_processes_of_a_run_are_what_descends_from_its_app_and_its_shim() {
        let host = [
            process(20, 10), // the app
            process(21, 20),
            process(22, 21),
            process(23, 10), // an orphan
            process(30, 1),
            process(31, 30),
        ];
        assert_eq!(members(&host, 10, 20), [20, 21, 22, 23]);
        assert!(members(&host, 10, 99).is_empty(), "it has ended");
    }

    #[test]
    fn the_number_of_a_shim_that_was_killed_may_be_anothers() {
        let host = [process(20, 1), process(21, 20), process(23, 10), process(30, 10)];
        assert_eq!(members(&host, 10, 20), [20, 21]);
        let mut reused = host;
        reused[0].start = 7;
        assert!(members(&reused, 10, 20).is_empty(), "another process has the number of the app");
    }

    #[test]
    fn a_share_of_the_cpu_has_tenths() {
        let text = |part, whole| percent(Duration::from_millis(part), Duration::from_secs(whole)).to_string();
        assert_eq!(text(1234, 10), "12.3");
        assert_eq!(text(20_000, 10), "200");
        assert_eq!(text(1000, 0), "0");
    }
}
