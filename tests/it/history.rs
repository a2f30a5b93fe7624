//! The rows of history (runs, commands, alerts, skips) may be deleted at any time, by anyone.

use dcm::model::RunStatus;

use crate::fleet::{Fleet, is_alive, until_gone};

const DELETE_ALL: &str =
    "DELETE FROM runtime; DELETE FROM commands; DELETE FROM alerts; DELETE FROM skips; DELETE FROM log_tails";

#[test]
fn decisions_hold_though_all_history_is_deleted() {
    let mut fleet = Fleet::with_manager();
    for name in ["disabled", "stopped", "enabled"] {
        fleet.add(&format!("a/b/{name}"), &["--interval", "0.02"], &["true"]);
        fleet.dcm(&["start", &format!("a/b/{name}"), "--wait"]).ok();
        fleet.until_runs(&format!("a/b/{name}"), "has run", |runs| {
            runs.first().is_some_and(|run| run.end.is_some())
        });
    }
    fleet.sql(DELETE_ALL);
    for (command, name) in [("disable", "disabled"), ("stop", "stopped"), ("disable", "enabled")] {
        fleet.sql("DELETE FROM runtime WHERE end_time IS NOT NULL; DELETE FROM commands");
        // A STOP of an app that rests sticks, whatever its verdict.
        fleet.dcm(&[command, &format!("a/b/{name}"), "--wait"]);
    }
    fleet.sql(DELETE_ALL);
    fleet.dcm(&["enable", "a/b/enabled", "--wait"]).ok();
    assert!(fleet.app("a/b/disabled").app.disabled);
    assert!(fleet.app("a/b/stopped").state.stopped_by.is_some());
    fleet.kill_manager();
    fleet.sql(DELETE_ALL);
    fleet.start_manager();
    // By the time that this one has run, the others would have.
    fleet.until_runs("a/b/enabled", "runs again", |runs| runs.len() >= 2);
    assert_eq!((fleet.runs("a/b/disabled").len(), fleet.runs("a/b/stopped").len()), (0, 0));
}

#[test]
fn what_runs_is_stopped_and_closed_though_its_rows_are_deleted() {
    let mut fleet = Fleet::with_manager();
    for name in ["stopped", "disabled", "adopted"] {
        fleet.add(&format!("a/b/{name}"), &[], &["sleep", "600"]);
    }
    fleet.dcm(&["start", "all", "--wait"]).ok();
    let pid = |name: &str| fleet.app(&format!("a/b/{name}")).state.pid.unwrap();
    let pids = ["stopped", "disabled", "adopted"].map(pid);
    fleet.sql(DELETE_ALL);
    // Whoever starts one of them again is refused, though no row says that it runs.
    fleet.dcm(&["run-app", "a/b/stopped"]).refused(75, &["already running"]);
    fleet.dcm(&["stop", "a/b/stopped", "--wait"]).ok();
    fleet.dcm(&["disable", "a/b/disabled", "--wait"]).ok();
    until_gone(pids[0]);
    until_gone(pids[1]);
    for name in ["a/b/stopped", "a/b/disabled"] {
        let runs = fleet.until_runs(name, "is closed", |runs| !runs.is_empty());
        assert_eq!((runs.len(), runs[0].outcome.as_deref()), (1, Some("stopped")), "{runs:?}");
    }
    // A new manager finds the process, and enters its row again.
    fleet.kill_manager();
    fleet.sql(DELETE_ALL);
    fleet.start_manager();
    let runs = fleet.until_runs("a/b/adopted", "is entered", |runs| !runs.is_empty());
    assert!(runs[0].end.is_none() && is_alive(pids[2]), "{runs:?}");
    fleet.until("a/b/adopted", "runs", |row| row.state.status == RunStatus::Running);
    fleet.dcm(&["stop", "a/b/adopted", "--wait"]).ok();
    until_gone(pids[2]);
    assert!(fleet.app("a/b/disabled").app.disabled);
}
