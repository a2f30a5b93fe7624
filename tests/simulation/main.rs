//! A simulation of the manager: made-up hosts, databases and people, thousands of them, each from a
//! seed; and an oracle that watches them. See `world.rs` for what there is and `oracle` for what
//! must hold.
//!
//! To look at one of them: `DCM_SEED=n cargo test --release --test simulation one_seed -- --nocapture`

mod calendars;
mod cast;
mod database;
mod faults;
mod feed;
mod hands;
mod host;
mod leases;
mod oracle;
mod outbox;
mod people;
mod processes;
mod random;
mod shell;
mod swarm;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use faults::Planted;
use oracle::Violation;
use world::{Outcome, World};

/// Debug builds are slow; the release run of `tests/run.sh` looks at all of them.
const SEEDS: u64 = if cfg!(debug_assertions) { 500 } else { 10_000 };

/// A planted fault must show within so many seeds: the rarest shows in one of a thousand.
const SEEDS_OF_A_FAULT: u64 = 3000;

/// So much of a story is told.
const TOLD_MAX: usize = 60;

fn live(seed: u64, planted: Option<Planted>, is_traced: bool) -> Outcome {
    let life = AssertUnwindSafe(|| World::new(seed, planted, is_traced).run());
    catch_unwind(life).unwrap_or_else(|panic| {
        let what = panic.downcast_ref::<String>().cloned();
        let what = what.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        let violation = Violation { invariant: "the manager panics", what: what.unwrap_or_default() };
        Outcome { violation: Some(violation), trace: Vec::new(), processes: 0, fingerprint: 0 }
    })
}

/// Lives through the seeds on all cores; stops at the first that fails.
fn first_failure(seeds: std::ops::Range<u64>, planted: Option<Planted>) -> Option<u64> {
    let (next, is_over) = (AtomicU64::new(seeds.start), AtomicBool::new(false));
    let failed = Mutex::new(None::<u64>);
    let threads = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end {
                        return;
                    }
                    if live(seed, planted, false).violation.is_some() {
                        let mut failed = failed.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                        *failed = Some(failed.map_or(seed, |other| other.min(seed)));
                        is_over.store(true, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    failed.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[expect(clippy::disallowed_methods, reason = "a person asks for one story of many")]
fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

fn tell(seed: u64, planted: Option<Planted>, lines: usize) -> String {
    let Outcome { violation, trace, .. } = live(seed, planted, true);
    let story = trace[trace.len().saturating_sub(lines)..].join("\n");
    let (invariant, what) = violation.map_or(("none", String::new()), |v| (v.invariant, v.what));
    format!(
        "{story}\n\nseed {seed} breaks \"{invariant}\": {what}\n\
         again: DCM_SEED={seed} cargo test --release --test simulation one_seed -- --nocapture"
    )
}

#[test]
fn every_seed_keeps_the_invariants() {
    if let Some(seed) = first_failure(0..number("DCM_SEEDS").unwrap_or(SEEDS), None) {
        panic!("{}", tell(seed, None, TOLD_MAX));
    }
}

#[test]
fn each_planted_fault_is_caught() {
    let missed: Vec<_> = Planted::ALL
        .into_iter()
        .filter(|planted| {
            let caught = first_failure(0..SEEDS_OF_A_FAULT, Some(*planted));
            let by = caught.and_then(|seed| live(seed, Some(*planted), false).violation);
            eprintln!("{planted:?} {caught:?}: {}", by.map_or("MISSED", |violation| violation.invariant));
            caught.is_none()
        })
        .collect();
    assert!(missed.is_empty(), "not caught: {missed:?}");
}

/// Seeds of the protocol of leases; `DCM_LEASES=n` for more.
const LEASES: u64 = if cfg!(debug_assertions) { 1000 } else { 20_000 };

#[test]
fn no_app_has_two_processes_whatever_happens_to_leases() {
    let (mut started, mut moved) = (0, 0);
    for seed in 0..number("DCM_LEASES").unwrap_or(LEASES) {
        let land = leases::Land::new(seed, None).run();
        assert_eq!((land.overlap, land.idle), (None, None), "seed {seed}");
        started += land.started;
        moved += land.moved;
    }
    eprintln!("{started} processes, {moved} apps taken over");
    assert!(moved > LEASES, "{moved} take-overs prove little");
}

#[test]
fn each_mistake_in_the_protocol_of_leases_is_caught() {
    for mistake in leases::Mistake::ALL {
        let caught = (0..20_000).find(|seed| leases::Land::new(*seed, Some(mistake)).run().overlap.is_some());
        eprintln!("{mistake:?}: {caught:?}");
        assert!(caught.is_some(), "{mistake:?} is not caught");
    }
}

/// Seeds of the account of calendars; `DCM_CALENDARS=n` for more.
const CALENDARS: u64 = if cfg!(debug_assertions) { 300 } else { 5000 };

#[test]
fn each_time_of_a_calendar_is_accounted_for_once_whatever_people_do() {
    for seed in 0..number("DCM_CALENDARS").unwrap_or(CALENDARS) {
        if let Some(fault) = calendars::fault_of(seed) {
            panic!("{fault}\nseed {seed}");
        }
    }
}

#[test]
fn a_seed_tells_the_same_story_every_time() {
    for seed in 0..20 {
        let (once, again) = (live(seed, None, false), live(seed, None, true));
        assert_eq!((once.fingerprint, once.processes), (again.fingerprint, again.processes), "seed {seed}");
    }
}

#[test]
fn the_worlds_are_busy() {
    let processes: u64 = (0..50).map(|seed| live(seed, None, false).processes).sum();
    assert!(processes > 50 * 20, "{processes} processes in 50 worlds prove little");
}

/// For people: `DCM_SURVEY=n` lives through n seeds and says which invariants broke, and where.
#[test]
fn survey() {
    let Some(count) = number("DCM_SURVEY") else { return };
    let mut broken = std::collections::BTreeMap::<&str, Vec<u64>>::new();
    for seed in 0..count {
        if let Some(violation) = live(seed, None, false).violation {
            broken.entry(violation.invariant).or_default().push(seed);
        }
    }
    for (invariant, seeds) in &broken {
        eprintln!("{invariant}: {} of {count}, for example {:?}", seeds.len(), &seeds[..seeds.len().min(8)]);
    }
    assert!(broken.is_empty(), "{} invariants broke", broken.len());
}

/// For people: `DCM_SEED=n`, and `DCM_LINES=m` for more of the story.
#[test]
fn one_seed() {
    let Some(seed) = number("DCM_SEED") else { return };
    let lines = number("DCM_LINES").and_then(|lines| usize::try_from(lines).ok()).unwrap_or(TOLD_MAX);
    let outcome = live(seed, None, false);
    eprintln!("{}", tell(seed, None, lines));
    assert!(outcome.violation.is_none(), "seed {seed} fails");
}
