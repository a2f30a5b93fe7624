//! The table of verdicts, through the real program and real processes.

use dcm::model::{CmdFlag, Outcome, RunStatus};

use crate::fleet::{Fleet, until_gone};

#[test]
fn the_verdicts_of_the_contract() {
    let fleet = Fleet::with_manager();
    fleet.add("a/b/c", &[], &["sleep", "600"]);
    let status = || fleet.app("a/b/c").state.status;

    // Idle.
    fleet.dcm(&["start", "a/b/c", "--wait"]).ok();
    assert_eq!(status(), RunStatus::Running);
    let first = fleet.app("a/b/c").state.pid.unwrap();
    // Running.
    fleet.dcm(&["start", "a/b/c", "--wait"]).refused(75, &["already running"]);
    fleet.dcm(&["enable", "a/b/c", "--wait"]).ok();
    assert_eq!(fleet.app("a/b/c").state.pid, Some(first));
    fleet.dcm(&["restart", "a/b/c", "--wait"]).ok();
    let second = fleet.app("a/b/c").state.pid.unwrap();
    assert_ne!(first, second);
    until_gone(first);
    fleet.dcm(&["stop", "a/b/c", "--wait"]).ok();
    assert_eq!(status(), RunStatus::Stopped);
    until_gone(second);
    // Stopped.
    assert!(fleet.dcm(&["stop", "a/b/c", "--wait"]).ok().out.ends_with("executed: was not running\n"));
    assert_eq!(status(), RunStatus::Stopped);
    fleet.dcm(&["restart", "a/b/c", "--wait"]).ok();
    fleet.dcm(&["disable", "a/b/c", "--wait"]).ok();
    // Disabled.
    let row = fleet.app("a/b/c");
    assert!(row.app.disabled);
    assert_eq!(row.state.status, RunStatus::Stopped);
    fleet.dcm(&["start", "a/b/c", "--wait"]).refused(75, &["disabled"]);
    fleet.dcm(&["restart", "a/b/c", "--wait"]).refused(75, &["disabled"]);
    assert!(fleet.dcm(&["stop", "a/b/c", "--wait"]).ok().out.ends_with("executed: was not running\n"));
    fleet.dcm(&["enable", "a/b/c", "--wait"]).ok();
    let row = fleet.app("a/b/c");
    assert!(!row.app.disabled);
    assert_eq!((row.state.status, row.state.stopped_by), (RunStatus::NotRunning, None));
    let outcomes: Vec<_> = fleet.runs("a/b/c").into_iter().map(|run| run.outcome).collect();
    assert_eq!(outcomes, vec![Some(Outcome::Stopped.into()); 3]);
}

#[test]
fn stop_on_an_idle_app_keeps_the_schedule_away() {
    let mut fleet = Fleet::with_manager();
    fleet.add("a/b/c", &["--interval", "60"], &["true"]);
    fleet.until("a/b/c", "is planned", |row| row.next_run.is_some());
    assert!(fleet.dcm(&["stop", "a/b/c", "--wait"]).ok().out.ends_with("executed: was not running\n"));
    let row = fleet.app("a/b/c");
    assert_eq!((row.state.status, row.next_run), (RunStatus::Stopped, None));
    assert!(row.state.stopped_by.is_some());
    // It sticks over a new manager, and over a time that somebody writes into the row.
    fleet.kill_manager();
    fleet.start_manager();
    fleet.sql("UPDATE apps SET next_run = '2020-01-01 00:00:00'");
    fleet.add("x/y/z", &[], &["true"]);
    fleet.dcm(&["start", "x/y/z", "--wait"]).ok();
    assert_eq!(fleet.runs("a/b/c").len(), 0);
    assert_eq!(fleet.app("a/b/c").state.status, RunStatus::Stopped);
    fleet.dcm(&["enable", "a/b/c", "--wait"]).ok();
    let row = fleet.app("a/b/c");
    assert_eq!(row.state.status, RunStatus::NotRunning);
    assert!(row.next_run > row.state.last_run && row.next_run.is_some());
}

#[test]
fn a_restart_hands_its_arguments_to_the_app() {
    let fleet = Fleet::with_manager();
    fleet.add("a/b/c", &[], &["sh", "-c", "echo \"$0 $1\"; sleep 600", "first"]);
    fleet.dcm(&["start", "a/b/c", "--wait", "--args", "{\"year\": 2026}"]).ok();
    fleet.until("a/b/c", "runs", |row| row.state.pid.is_some());
    let pid = fleet.app("a/b/c").state.pid.unwrap();
    let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap();
    assert!(String::from_utf8_lossy(&line).contains("--args\0{\"year\": 2026}"));
    fleet.dcm(&["start", "a/b/c", "--args", "{oops"]).refused(2, &["JSON"]);
    fleet.dcm(&["stop", "a/b/c", "--args", "{}"]).refused(2, &["--args"]);
}

#[test]
fn many_quick_commands_each_get_their_verdict() {
    let fleet = Fleet::with_manager();
    fleet.add("a/b/c", &[], &["sleep", "600"]);
    for _ in 0..5 {
        fleet.dcm(&["start", "a/b/c"]).ok();
        fleet.dcm(&["restart", "a/b/c"]).ok();
        fleet.dcm(&["stop", "a/b/c"]).ok();
    }
    fleet.dcm(&["disable", "a/b/c", "--wait"]).ok();
    fleet.until("a/b/c", "is settled", |row| {
        row.app.disabled && row.command.as_ref().is_some_and(|command| command.flag != CmdFlag::Pending)
    });
    let open = fleet.query("SELECT count(*) FROM commands WHERE cmd_flag = 0");
    assert_eq!(format!("{open:?}"), "[[Integer(0)]]");
    let odd = fleet.query("SELECT count(*) FROM commands WHERE cmd_flag = 2 AND reason IS NULL");
    assert_eq!(format!("{odd:?}"), "[[Integer(0)]]");
    assert!(fleet.runs("a/b/c").iter().all(|run| run.end.is_some()));
}

#[test]
fn waiting_for_a_verdict_has_an_end() {
    let fleet = Fleet::new();
    fleet.add("a/b/c", &[], &["true"]);
    // There is no manager to give one.
    let called =
        fleet.dcm(&["start", "a/b/c", "--wait=0.3"]).refused(124, &["no verdict in time", "no manager"]);
    assert!(called.out.contains("pending"), "{called:?}");
}

#[test]
fn commands_that_waited_for_a_manager_are_carried_out_in_order() {
    let mut fleet = Fleet::new();
    fleet.add("a/b/c", &[], &["sleep", "600"]);
    for name in ["start", "stop", "start"] {
        fleet.dcm(&[name, "a/b/c"]).ok();
    }
    fleet.start_manager();
    fleet.until("a/b/c", "its last command is settled", |row| {
        row.command.as_ref().is_some_and(|command| command.flag == CmdFlag::Executed)
            && row.state.status == RunStatus::Running
    });
    let verdicts = fleet.query("SELECT cmd_flag FROM commands ORDER BY id");
    assert_eq!(format!("{verdicts:?}"), "[[Integer(1)], [Integer(1)], [Integer(1)]]");
    assert_eq!(fleet.runs("a/b/c").len(), 2);
}

#[test]
fn a_limit_makes_runs_wait_for_room_in_their_order() {
    let mut fleet = Fleet::new();
    for name in ["one", "two", "three"] {
        fleet.add(&format!("a/b/{name}"), &[], &["sleep", "600"]);
    }
    fleet.dcm(&["app", "limit", "a", "1"]).ok();
    fleet.start_manager();
    fleet.dcm(&["start", "a/b/one", "--wait"]).ok();
    fleet.dcm(&["start", "a/b/two"]).ok();
    fleet.until("a/b/two", "waits", |row| row.state.waiting_for.is_some());
    fleet.dcm(&["start", "a/b/three"]).ok();
    fleet.until("a/b/three", "waits", |row| row.state.waiting_for.is_some());
    let why = fleet.dcm(&["why", "a/b/two"]).ok().out;
    assert!(why.contains("waits for room (group a: 1 running)"), "{why}");
    fleet.dcm(&["stop", "a/b/one", "--wait"]).ok();
    fleet.until("a/b/two", "runs", |row| row.state.pid.is_some());
    assert!(fleet.app("a/b/three").state.waiting_for.is_some());
    // A stop takes the waiting one out of the line.
    assert!(fleet.dcm(&["stop", "a/b/three", "--wait"]).ok().out.ends_with("executed: was not running\n"));
    assert_eq!(fleet.app("a/b/three").state.waiting_for, None);
    fleet.dcm(&["stop", "a/b/two", "--wait"]).ok();
    assert_eq!(fleet.runs("a/b/three").len(), 0);
    // A limit that is raised meanwhile lets the next one go.
    fleet.dcm(&["start", "a/b/one", "--wait"]).ok();
    fleet.dcm(&["start", "a/b/two"]).ok();
    fleet.until("a/b/two", "waits again", |row| row.state.waiting_for.is_some());
    fleet.dcm(&["app", "limit", "a", "2"]).ok();
    fleet.until("a/b/two", "runs beside the first", |row| row.state.pid.is_some());
}
