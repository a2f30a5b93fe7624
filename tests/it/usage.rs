//! What apps use of their host, and what follows where they use too much.

use std::path::Path;

use dcm::model::{AppRow, MIB, Usage};
use dcm::store::{AlertQuery, OperatorStore as _};

use crate::fleet::Fleet;

/// Takes this memory, in MiB, and then sleeps.
fn takes(mebibytes: u32) -> String {
    format!("import time; held = b'x' * ({mebibytes} << 20); time.sleep(3600)")
}

/// A manager that looks at what apps use several times a second.
fn watchful() -> Fleet {
    let mut fleet = Fleet::new();
    let file = fleet.dir.path().join("dcm.toml");
    std::fs::write(&file, "[limits]\nsample_seconds = 0.3\n").unwrap();
    fleet.set("DC_CONFIG", file.to_str().unwrap());
    fleet.start_manager();
    fleet
}

fn memory(usage: Option<&Usage>) -> u64 {
    usage.and_then(|usage| usage.memory).unwrap_or(0)
}

#[test]
fn memory_and_time_on_the_cpu_of_all_processes_of_a_run_are_in_its_row() {
    let fleet = watchful();
    let script = format!("python3 -c \"{}\" & python3 -c \"{}\" & wait", takes(60), takes(60));
    fleet.add("a/b/holds", &["--now"], &["sh", "-c", &script]);
    fleet.add("a/b/burns", &["--now"], &["sh", "-c", "while :; do :; done"]);
    let held = |usage: Option<&Usage>| (120 * MIB..200 * MIB).contains(&memory(usage));
    let row = fleet.until("a/b/holds", "both workers are counted", |row| held(row.usage.as_deref()));
    assert!(row.usage.unwrap().memory_peak.unwrap() >= 120 * MIB);
    let burns = |usage: &Usage| usage.cpu.is_some_and(|cpu| cpu > 10.0);
    let row = fleet.until("a/b/burns", "its loop is seen", |row| row.usage.as_deref().is_some_and(burns));
    let usage = row.usage.unwrap();
    assert!(usage.cpu.unwrap() < 130.0 && usage.memory.unwrap() < 20 * MIB, "one small process: {usage:?}");
    let shown: serde_json::Value =
        serde_json::from_str(&fleet.dcm(&["app", "show", "a/b/holds", "--json"]).ok().out).unwrap();
    assert!(shown["memory"].as_u64().unwrap() > 120 * MIB && shown["cpu"].is_number(), "{shown}");

    // With the end of a run nothing is known any more but the most that it had.
    fleet.dcm(&["stop", "a/b", "--wait", "--yes"]).ok();
    let row = fleet.until("a/b/holds", "it has ended", |row| row.state.pid.is_none());
    let usage = *row.usage.unwrap();
    assert_eq!((usage.memory, usage.cpu), (None, None));
    let runs: serde_json::Value =
        serde_json::from_str(&fleet.dcm(&["history", "a/b/holds", "--json"]).ok().out).unwrap();
    assert_eq!(runs[0]["memory_peak"].as_u64(), usage.memory_peak, "{runs}");
}

#[test]
fn a_new_manager_goes_on_to_look() {
    let mut fleet = watchful();
    fleet.add("a/b/holds", &["--now"], &["python3", "-c", &takes(50)]);
    fleet.until("a/b/holds", "it is looked at", |row| memory(row.usage.as_deref()) > 40 * MIB);
    fleet.kill_manager();
    fleet.sql("UPDATE apps SET memory = 1, memory_peak = 2");
    fleet.start_manager();
    fleet.until("a/b/holds", "it is looked at again", |row| memory(row.usage.as_deref()) > 40 * MIB);
}

/// The open alerts about limits, as `kind: message`.
fn alerts(fleet: &Fleet) -> Vec<String> {
    let query = AlertQuery { open_only: true, limit: 10, ..AlertQuery::default() };
    let alerts = fleet.ask(async |store| store.alerts(query).await.unwrap());
    alerts.iter().map(|alert| format!("{}: {}", alert.kind.word(), alert.message)).collect()
}

#[test]
fn a_run_with_too_much_memory_is_told_and_then_ended_with_all_its_processes() {
    let fleet = watchful();
    let noted = fleet.dir.path().join("worker");
    let script = format!("python3 -c \"{}\" & echo $! > {}; wait", takes(200), noted.display());
    fleet.add("a/b/greedy", &["--max-memory", "64", "--now"], &["sh", "-c", &script]);
    let is_over =
        |row: &AppRow| row.last_end.as_ref().is_some_and(|last| last.outcome.word() == "over_limit");
    let row = fleet.until("a/b/greedy", "it is ended", is_over);
    assert_eq!(row.state.failures, 1);
    let worker = std::fs::read_to_string(noted).unwrap();
    assert!(!Path::new(&format!("/proc/{}", worker.trim())).exists(), "the worker lives: {worker}");
    let run: serde_json::Value =
        serde_json::from_str(&fleet.dcm(&["history", "a/b/greedy", "--json"]).ok().out).unwrap();
    let message = run[0]["message"].as_str().unwrap();
    assert!(
        message.starts_with("used 2") && message.ends_with(" of memory, max_memory is 64 MiB"),
        "{message}"
    );
    let told = alerts(&fleet);
    assert!(told[0].starts_with("over_limit: used 2"), "{told:?}");
    assert!(told[0].ends_with(" of memory, max_memory is 64 MiB; the run is ended"), "{told:?}");
    assert_eq!(told.len(), 1, "once, and until a good run: {told:?}");
    fleet.dcm(&["app", "set", "a/b/greedy", "--max-memory", "none", "--", "true"]).ok();
    fleet.dcm(&["start", "a/b/greedy", "--wait"]).ok();
    fleet.until("a/b/greedy", "it has recovered", |row| row.state.failures == 0 && row.state.pid.is_none());
    assert_eq!(alerts(&fleet), [""; 0]);
}

/// Four processes that share the same memory, in MiB: their resident sizes say four times as much.
fn shares(mebibytes: u32) -> String {
    format!(
        "import os, time; held = b'x' * ({mebibytes} << 20); [os.fork() for _ in range(2)]; time.sleep(3600)"
    )
}

#[test]
fn memory_that_processes_share_is_counted_once_before_anything_is_told() {
    let fleet = watchful();
    fleet.add("a/b/forks", &["--now"], &["python3", "-c", &shares(60)]);
    fleet.until("a/b/forks", "all are counted", |row| memory(row.usage.as_deref()) > 200 * MIB);
    fleet.dcm(&["app", "set", "a/b/forks", "--max-memory", "150"]).ok();
    let row =
        fleet.until("a/b/forks", "each page is counted once", |row| memory(row.usage.as_deref()) < 150 * MIB);
    assert!(memory(row.usage.as_deref()) > 60 * MIB && row.state.pid.is_some(), "{:?}", row.usage);
    assert_eq!(alerts(&fleet), [""; 0]);
    let why = fleet.dcm(&["why", "a/b/forks"]).ok().out;
    assert!(why.contains("max_memory is 150 MiB; max_memory and max_cpu are "), "{why}");
}
