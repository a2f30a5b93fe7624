//! What the manager concludes of an app is in its row, and all who show it say the same.

use std::io::Write as _;
use std::process::Stdio;

use dcm::model::Concern;

use crate::fleet::{Fleet, id};
use crate::terminal::Terminal;

/// It counts to 1 and hangs, until it is to go on.
fn hanging(fleet: &Fleet) -> String {
    let go = fleet.dir.path().join("go");
    format!(
        "echo '::dcm {{\"task_size\": 9, \"solved\": 1}}'; while [ ! -e {} ]; do sleep 0.05; done; \
         echo '::dcm {{\"solved\": 2}}'; exec sleep 600",
        go.display()
    )
}

/// What a console that is opened now says of stalled apps.
fn console(fleet: &Fleet) -> String {
    let mut command = fleet.command();
    command.args(["console", "--plain"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"list is:stalled\n").unwrap();
    String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap()
}

#[test]
fn a_hanging_app_is_stalled_for_all_who_look_whenever_they_began() {
    let mut fleet = Fleet::with_manager();
    fleet.add("a/b/hangs", &[], &["sh", "-c", &hanging(&fleet)]);
    fleet.add("a/b/silent", &[], &["sleep", "600"]);
    fleet.dcm(&["start", "all", "--wait"]).ok();
    let counted = fleet.until("a/b/hangs", "has counted", |row| row.movement.is_some());
    let long_open = Terminal::open(&fleet, &["--client"], (120, 30));
    long_open.until_text("hangs");

    // Time passes while no manager is there: both have hung for an hour.
    fleet.kill_manager();
    fleet.sql("UPDATE apps SET last_run = '2026-01-01T00:00:00.000Z' WHERE app_name = 'silent'");
    fleet.sql(&format!(
        "UPDATE apps SET progress_time = '2026-01-01T00:00:00.000Z' WHERE app = '{}'",
        id("a/b/hangs")
    ));
    fleet.start_manager();
    let row = fleet.until("a/b/hangs", "has stalled", |row| row.state.is(Concern::Stalled));
    assert_eq!((row.state.run, row.state.pid), (counted.state.run, counted.state.pid));

    let status = fleet.dcm(&["status"]).ok();
    assert!(status.out.contains("stalled"), "{status:?}");
    let json = fleet.dcm(&["status", "a/b/hangs", "--json"]).ok().json();
    assert_eq!((json[0]["state"].as_str(), json[0]["concern"].as_str()), (Some("stalled"), Some("stalled")));
    assert_eq!(json[0]["progress_time"], "2026-01-01T00:00:00.000Z");
    assert!(json[0]["concern_since"].is_string(), "{json}");
    assert_eq!(fleet.dcm(&["why", "a/b/hangs", "--json"]).ok().json()["state"], "stalled");
    let json = fleet.dcm(&["status", "a/b/silent", "--json"]).ok().json();
    assert_eq!((json[0]["state"].as_str(), json[0]["concern"].is_null()), (Some("running"), true));
    let said = console(&fleet);
    assert!(said.contains("a/b/hangs running but STALLED") && said.contains("1 app\n"), "{said}");
    long_open.until_text("1 STALLED");

    let alerts = "SELECT kind, cause, severity, closed IS NULL FROM alerts";
    let alert =
        |is_open| format!(r#"[[Text("stalled"), Text("no progress"), Text("warning"), Integer({is_open})]]"#);
    assert_eq!(format!("{:?}", fleet.query(alerts)), alert(1));
    assert!(fleet.manager_log().contains("alert opened: a/b/hangs: stalled: no progress for more than "));

    // Another manager takes that up.
    let since = row.state.concern.clone();
    fleet.kill_manager();
    fleet.start_manager();
    fleet.dcm(&["stop", "a/b/silent", "--wait"]).ok();
    assert_eq!(fleet.app("a/b/hangs").state.concern, since);
    assert_eq!(format!("{:?}", fleet.query(alerts)), alert(1), "the episode goes on");

    // It counts again.
    std::fs::write(fleet.dir.path().join("go"), "").unwrap();
    let row = fleet.until("a/b/hangs", "goes on", |row| row.state.concern.is_none());
    assert_eq!(row.progress.solved, 2);
    assert_eq!(format!("{:?}", fleet.query(alerts)), alert(0), "its alert is closed with it");
    assert_eq!(fleet.dcm(&["status", "a/b/hangs", "--json"]).ok().json()[0]["state"], "running");
}
