//! Apps that run all the time, with real processes.

use chrono::{TimeDelta, Utc};
use dcm::model::{FatalFlag, RunStatus, Trigger};

use crate::fleet::{Fleet, is_alive, send_signal, until_gone};

const PATH: &str = "docs/workers/pdf";

/// Lives for longer than the default `min_uptime`, then ends well.
const SHORT_LIVED: [&str; 2] = ["sleep", "1.2"];

#[test]
fn it_runs_all_the_time_and_says_for_how_long() {
    let fleet = Fleet::with_manager();
    fleet.add(PATH, &["--always"], &SHORT_LIVED);
    let runs = fleet.until_runs(PATH, "was started again", |runs| runs.len() >= 3);
    for run in runs.iter().filter(|run| run.end.is_some()) {
        assert_eq!((run.outcome_word(), run.trigger.known()), (Some("ok"), Some(Trigger::Schedule)));
    }
    let row = fleet.until(PATH, "runs", |row| row.state.status == RunStatus::Running);
    assert_eq!((row.state.failures, row.next_run), (0, None));

    fleet.dcm(&["app", "set", PATH, "--", "sleep", "600"]).ok();
    let lives_on = |runs: &[dcm::model::Run]| runs.iter().any(|run| run.end.is_none());
    fleet.dcm(&["restart", PATH, "--wait"]).ok();
    fleet.until_runs(PATH, "goes on", lives_on);
    let status = fleet.dcm(&["status"]).ok().out;
    assert!(status.contains("RUNNING") && status.contains(" up ") && status.contains(" always"), "{status}");
    let json = fleet.dcm(&["status", "--json"]).ok().json();
    assert_eq!((&json[0]["always"], &json[0]["next_run"]), (&true.into(), &serde_json::Value::Null));
    assert_eq!(fleet.dcm(&["next", "--json"]).ok().json(), serde_json::json!([]));
    let load = fleet.dcm(&["next", "--load", "--json"]).ok().out;
    assert!(!load.contains(PATH), "it needs no good run to be foreseen: {load}");
    let why = fleet.dcm(&["why", PATH]).ok().out;
    assert!(why.contains("it is started again whenever it ends"), "{why}");
    let exported = fleet.dcm(&["app", "export"]).ok().out;
    assert!(exported.contains("always = true"), "{exported}");
}

#[test]
fn commands_do_what_they_do_with_any_app_and_stop_sticks() {
    let mut fleet = Fleet::with_manager();
    fleet.add(PATH, &["--always", "--stop-grace", "1"], &["sleep", "600"]);
    let is_running = |row: &dcm::model::AppRow| row.state.pid.is_some();
    let first = fleet.until(PATH, "runs", is_running).state.pid.unwrap();
    fleet.dcm(&["start", PATH, "--wait"]).refused(75, &["already running"]);
    fleet.dcm(&["restart", PATH, "--wait"]).ok();
    let second = fleet.until(PATH, "runs", is_running).state.pid.unwrap();
    assert_ne!(first, second);
    fleet.dcm(&["stop", PATH, "--wait"]).ok();
    until_gone(second);
    // Another one is started with the manager, and this one is not.
    fleet.add("docs/workers/other", &["--always"], &["sleep", "600"]);
    fleet.until("docs/workers/other", "runs", is_running);
    fleet.kill_manager();
    let pid = fleet.app("docs/workers/other").state.pid.unwrap();
    send_signal(pid, libc::SIGKILL);
    until_gone(pid);
    fleet.start_manager();
    fleet.until("docs/workers/other", "runs again", |row| row.state.pid.is_some_and(|other| other != pid));
    assert_eq!(fleet.app(PATH).state.status, RunStatus::Stopped);
    fleet.dcm(&["disable", PATH, "--wait"]).ok();
    fleet.dcm(&["start", PATH, "--wait"]).refused(75, &["disabled"]);
    fleet.dcm(&["enable", PATH, "--wait"]).ok();
    fleet.until(PATH, "runs", is_running);
    assert_eq!(fleet.app(PATH).state.failures, 0);
}

#[test]
fn a_worker_outlives_the_manager_and_is_not_started_twice() {
    let mut fleet = Fleet::with_manager();
    fleet.add(PATH, &["--always"], &["sleep", "600"]);
    let pid = fleet.until(PATH, "runs", |row| row.state.pid.is_some()).state.pid.unwrap();
    for _ in 0..3 {
        fleet.kill_manager();
        fleet.start_manager();
    }
    fleet.dcm(&["why", PATH]).ok();
    assert!(is_alive(pid));
    assert_eq!((fleet.app(PATH).state.pid, fleet.runs(PATH).len()), (Some(pid), 1));
    // Killed by a signal after it had started: at once again.
    fleet.until(PATH, "has lived for its min_uptime", |row| {
        row.state.last_run.is_some_and(|began| Utc::now() - began > TimeDelta::milliseconds(1100))
    });
    send_signal(pid, libc::SIGSEGV);
    let row = fleet.until(PATH, "runs again", |row| row.state.pid.is_some_and(|other| other != pid));
    assert_eq!((row.state.failures, row.state.fatal), (1, None));
}

#[test]
fn one_that_ends_at_once_is_trouble_whatever_its_exit_code() {
    let fleet = Fleet::with_manager();
    fleet.add(PATH, &["--always"], &["true"]);
    let runs = fleet.until_runs(PATH, "was tried again", |runs| runs.len() >= 4);
    let mut begins: Vec<_> = runs.iter().map(|run| run.start).collect();
    begins.sort();
    let pauses: Vec<_> = begins.windows(2).map(|pair| (pair[1] - pair[0]).num_milliseconds()).collect();
    assert!(pauses[1] >= 1000 && pauses[2] >= 2000, "{pauses:?}");
    let open = "SELECT kind, closed IS NULL FROM alerts";
    fleet.until_query(open, r#"[[Text("unexpected_behavior"), Integer(1)]]"#);
    let row =
        fleet.until(PATH, "rests", |row| row.state.status != RunStatus::Running && row.next_run.is_some());
    let message = row.state.fatal.map(|fatal| fatal.message).unwrap();
    assert!(message.contains("before its min_uptime of 1.0s"), "{message}");
    let why = fleet.dcm(&["why", PATH]).ok().out;
    assert!(why.contains("it is started again whenever it ends; "), "{why}");
    assert_eq!(fleet.dcm(&["status", "--failed"]).code, 3);
    fleet.dcm(&["app", "set", PATH, "--min-uptime", "0"]).ok();
    fleet.until_query(open, r#"[[Text("unexpected_behavior"), Integer(0)]]"#);
}

#[test]
fn one_that_a_signal_kills_at_once_could_not_be_started() {
    let fleet = Fleet::with_manager();
    fleet.add(PATH, &["--always"], &["sh", "-c", "kill -SEGV $$"]);
    let row = fleet.until(PATH, "is fatal", |row| row.state.fatal.is_some());
    assert_eq!(row.state.fatal.map(|fatal| fatal.flag), Some(FatalFlag::FailedToStart));
    assert!(row.app.disabled);
    assert_eq!(fleet.runs(PATH).len(), 3);
}
