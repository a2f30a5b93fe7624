//! Every order in which the steps of a run can fall between the looks at it. A world follows a script; before
//! each look it takes as many steps as a schedule says, and all schedules are tried. Looks may fail as well.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::{Arc, Mutex};

use super::super::journal::{Begun, Journal};
use super::super::record::tests::spec;
use super::super::record::{EndingRecord, ExitRecord, ExitStatus, HeldLimits, ObstacleRecord, ReportRecord};
use super::*;
use crate::model::{Exit, Leftovers, parse_timestamp};

const SHIM: Identity = Identity { pid: 10, start: 1 };
const SUCCESSOR: Identity = Identity { pid: 11, start: 1 };
const APP: Identity = Identity { pid: 20, start: 1 };

/// After so many looks at a run the rest of its script happens at once: what lies further apart is no other order.
const ROUNDS: usize = 1;

/// More looks than any run needs.
const ROUNDS_MAX: usize = 9;

/// What happens to a run, one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Begins(Identity),
    AppStarts,
    AppEnds,
    Records,
    RecordsFailure,
    ShimLeaves(Identity),
}

/// A run that goes well.
const GOOD: &[Step] =
    &[Step::Begins(SHIM), Step::AppStarts, Step::AppEnds, Step::Records, Step::ShimLeaves(SHIM)];

/// Choices, each below a limit: those of a prefix, then always the first.
#[derive(Default)]
struct Schedule {
    choices: Vec<(usize, usize)>,
    at: usize,
}

impl Schedule {
    fn choose(&mut self, count: usize) -> usize {
        if self.at == self.choices.len() {
            self.choices.push((0, count));
        }
        self.at += 1;
        self.choices[self.at - 1].0
    }

    /// `false` when all were tried.
    fn next(&mut self) -> bool {
        self.at = 0;
        while let Some((choice, count)) = self.choices.pop() {
            if choice + 1 < count {
                self.choices.push((choice + 1, count));
                return true;
            }
        }
        false
    }
}

/// What is true of the run at this moment.
struct State {
    script: &'static [Step],
    /// What is on record after so many steps.
    journals: Rc<Vec<Journal>>,
    done: usize,
    schedule: Schedule,
    /// How many looks may fail yet.
    failures: usize,
    /// Whether handles to shims can be had.
    has_handles: bool,
}

#[derive(Clone)]
struct World(Rc<RefCell<State>>);

impl World {
    /// Steps are taken, and then it is looked, or not.
    fn look<T>(&self, see: impl Fn(&[Step], &[Journal]) -> T) -> io::Result<T> {
        let mut state = self.0.borrow_mut();
        let left = state.script.len() - state.done;
        state.done += state.schedule.choose(left + 1);
        if state.failures > 0 && state.schedule.choose(2) == 1 {
            state.failures -= 1;
            return Err(io::Error::from_raw_os_error(24));
        }
        Ok(see(&state.script[..state.done], &state.journals))
    }
}

/// The shim and the app hold the lock; a successor does not.
fn is_held(done: &[Step]) -> bool {
    let has = |step| done.contains(&step);
    !has(Step::ShimLeaves(SHIM)) || has(Step::AppStarts) && !has(Step::AppEnds)
}

fn lives(process: Identity, done: &[Step]) -> bool {
    if process == APP {
        return done.contains(&Step::AppStarts) && !done.contains(&Step::AppEnds);
    }
    done.contains(&Step::Begins(process)) && !done.contains(&Step::ShimLeaves(process))
}

fn journal_after(done: &[Step]) -> Journal {
    let at = parse_timestamp("2026-11-23T14:02:11Z").unwrap();
    let held = HeldLimits::default();
    let mut journal =
        Journal { spec: spec(), begun: None, cgroup: None, held, app: None, stop: None, exit: None };
    for step in done {
        match *step {
            Step::Begins(shim) => journal.begun = Some(Begun { boot: "b".into(), shim, at }),
            Step::AppStarts => journal.app = Some((APP, at)),
            Step::Records => {
                let ending = EndingRecord::Exited(ExitStatus::Code(0));
                journal.exit =
                    Some(ExitRecord::new(ending, at, at, ReportRecord::default(), Leftovers::default()));
            }
            Step::RecordsFailure => {
                let ending = EndingRecord::StartFailed {
                    obstacle: ObstacleRecord::NotFound,
                    message: "no such program".into(),
                };
                journal.exit = Some(ExitRecord::of_failed_start(ending, at));
            }
            Step::AppEnds | Step::ShimLeaves(_) => {}
        }
    }
    journal
}

impl Looker for World {
    fn lock(&self, _dir: &RunDir) -> io::Result<Lock> {
        self.look(|done, _| if is_held(done) { Lock::Held } else { Lock::Free })
    }

    fn journal(&self, _dir: &RunDir) -> io::Result<Option<Journal>> {
        self.look(|done, journals| Some(journals[done.len()].clone()))
    }

    fn is_alive(&self, process: Identity) -> io::Result<bool> {
        self.look(|done, _| lives(process, done))
    }

    fn exit_of(&self, _process: Identity) -> Option<Exit> {
        None
    }

    fn has_processes(&self, _run: RunId) -> io::Result<bool> {
        self.look(|done, _| lives(APP, done))
    }
}

impl Waits for World {
    type Wait = Identity;

    fn begin(&mut self, _run: RunId, shim: Identity) -> Option<Identity> {
        let has_handles = self.0.borrow().has_handles;
        self.look(|done, _| lives(shim, done)).is_ok_and(|lives| lives && has_handles).then_some(shim)
    }
}

/// What the manager was told.
#[derive(Debug, Default, Clone, PartialEq)]
struct Told {
    endings: Vec<Ending>,
    successors: u32,
    /// A successor was ordered although the run had ended by itself.
    is_wasted: bool,
}

/// Watches one run under one schedule until it is over, or nothing more happens.
fn watch(world: &World) -> Told {
    let run = RunId::from_random_bits(7);
    let endings = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&endings);
    let sink: Sink = Arc::new(move |event| {
        if let Event::Ended { closing, .. } = event {
            sink.lock().unwrap().push(closing.ending);
        }
    });
    // The watch may be used by several threads; this world has one.
    let ordered = Arc::new(Mutex::new(0));
    let orders = Arc::clone(&ordered);
    let mut watch =
        Watch::new(world.clone(), world.clone(), sink, Box::new(move |_| *orders.lock().unwrap() += 1));
    watch.watch(run, RunDir::new("/nowhere".into()), None, false);
    let mut is_wasted = false;
    // Each round takes at least what is needed for one look; steps left over are taken at last.
    for round in 0..ROUNDS_MAX {
        is_wasted |= *ordered.lock().unwrap() > 0 && world.0.borrow().script.contains(&Step::Records);
        let Some(watched) = watch.runs.get(&run) else { break };
        let ended_shim =
            watched.wait.filter(|shim| !lives(*shim, &world.0.borrow().script[..world.0.borrow().done]));
        match ended_shim {
            Some(_) => watch.take(Request::ShimEnded { run }),
            None if watch.silent.contains(&run) => watch.look_at_the_silent(),
            // It sleeps until the shim ends.
            None => {
                let mut state = world.0.borrow_mut();
                state.done = state.script.len();
            }
        }
        if round > ROUNDS {
            let mut state = world.0.borrow_mut();
            state.done = state.script.len();
        }
    }
    Told { endings: endings.lock().unwrap().clone(), successors: *ordered.lock().unwrap(), is_wasted }
}

/// Tries every schedule; gives back how many there were.
fn explore(script: &'static [Step], failures: usize, has_handles: bool, check: impl Fn(&Told)) -> usize {
    let journals: Rc<Vec<_>> =
        Rc::new((0..=script.len()).map(|done| journal_after(&script[..done])).collect());
    let mut schedule = Schedule::default();
    let count = Cell::new(0);
    loop {
        let state =
            State { script, journals: Rc::clone(&journals), done: 0, schedule, failures, has_handles };
        let world = World(Rc::new(RefCell::new(state)));
        let told = watch(&world);
        check(&told);
        count.set(count.get() + 1);
        schedule = std::mem::take(&mut world.0.borrow_mut().schedule);
        if !schedule.next() {
            return count.get();
        }
    }
}

#[test]
fn a_run_that_goes_well_is_never_taken_for_anything_else() {
    for (failures, has_handles) in [(0, true), (0, false), (1, true), (1, false)] {
        let count = explore(GOOD, failures, has_handles, |told| {
            let good = Told { endings: vec![Ending::Exited(Exit::Code(0))], ..Told::default() };
            assert_eq!(*told, good);
        });
        assert!(count > 100, "{count} schedules");
    }
}

#[test]
fn a_start_that_fails_has_the_reason_that_its_shim_wrote() {
    const SCRIPT: &[Step] = &[Step::Begins(SHIM), Step::RecordsFailure, Step::ShimLeaves(SHIM)];
    explore(SCRIPT, 2, true, |told| {
        let [Ending::StartFailed(failure)] = told.endings.as_slice() else { panic!("{told:?}") };
        assert_eq!((failure.message.as_str(), told.successors), ("no such program", 0));
    });
}

#[test]
fn a_shim_that_never_begins_is_a_failed_start_once() {
    const SCRIPT: &[Step] = &[Step::ShimLeaves(SHIM)];
    explore(SCRIPT, 2, true, |told| {
        assert!(matches!(told.endings.as_slice(), [Ending::StartFailed(_)]), "{told:?}");
        assert_eq!(told.successors, 0);
    });
}

#[test]
fn a_shim_that_is_killed_gets_a_successor_and_the_run_goes_on() {
    const SCRIPT: &[Step] = &[Step::Begins(SHIM), Step::AppStarts, Step::ShimLeaves(SHIM)];
    for has_handles in [true, false] {
        explore(SCRIPT, 1, has_handles, |told| {
            assert_eq!((told.endings.as_slice(), told.successors), ([].as_slice(), 1), "{told:?}");
        });
    }
}

#[test]
fn a_successor_that_others_started_is_found() {
    const SCRIPT: &[Step] = &[
        Step::Begins(SHIM),
        Step::AppStarts,
        Step::ShimLeaves(SHIM),
        Step::Begins(SUCCESSOR),
        Step::AppEnds,
        Step::Records,
        Step::ShimLeaves(SUCCESSOR),
    ];
    explore(SCRIPT, 0, true, |told| {
        // Between both shims there is none, so that one more may be ordered; it finds the place taken.
        assert_eq!(told.endings, [Ending::Exited(Exit::Code(0))], "{told:?}");
        assert!(told.successors <= 1);
    });
}
