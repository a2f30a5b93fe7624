//! A manager with few descriptors or processes, and more apps than they are enough for.

use crate::fleet::Fleet;

/// A user that no other program of the host is.
const NOBODY_ELSE: &str = "61234";

/// Apps that run for long, registered and enabled.
fn add_many(fleet: &Fleet, count: usize) {
    let file = fleet.dir.path().join("apps.toml");
    let app = |number| {
        format!(
            "[[app]]\npath = 'a/b/app{number}'\ncommand = ['sleep', '600']\nenabled = true\nmax_failures = 0\n"
        )
    };
    std::fs::write(&file, (0..count).map(app).collect::<String>()).unwrap();
    fleet.dcm(&["app", "import", file.to_str().unwrap()]).ok();
}

#[track_caller]
fn check_descriptors(limit: &str) {
    const APPS: usize = 300;
    let mut fleet = Fleet::new();
    fleet.limit(&format!("ulimit {limit}"));
    fleet.start_manager();
    add_many(&fleet, APPS);
    fleet.add("a/b/limit", &[], &["sh", "-c", "ulimit -Sn"]);
    fleet.dcm(&["start", "all", "--yes"]).ok();
    fleet.until_running(APPS);
    // What apps may open is what the manager was started with, whatever it took for itself.
    fleet.until_runs("a/b/limit", "has run", |runs| runs.iter().any(|run| run.end.is_some()));
    assert_eq!(fleet.log("a/b/limit").trim(), "1024");
    fleet.dcm(&["stop", "a/b/app7", "--wait"]).ok();
    assert!(!fleet.manager_log().contains("too many open files"), "{limit}");
}

#[test]
fn three_hundred_apps_run_under_a_soft_limit_of_1024_descriptors() {
    check_descriptors("-Sn 1024");
}

#[test]
fn three_hundred_apps_run_under_a_hard_limit_of_1024_descriptors() {
    check_descriptors("-n 1024");
}

#[test]
fn a_manager_that_is_short_of_processes_runs_what_it_can_and_says_why_not_the_rest() {
    if !nix::unistd::geteuid().is_root() {
        eprintln!("left out: only root can be another user, whose processes are counted apart");
        return;
    }
    let mut fleet = Fleet::new();
    add_many(&fleet, 60);
    let user = format!("{NOBODY_ELSE}:{NOBODY_ELSE}");
    let chown = std::process::Command::new("chown").args(["-R", &user]).arg(fleet.dir.path()).status();
    assert!(chown.unwrap().success());
    fleet.limit(&format!(
        "exec prlimit --nproc=60 setpriv --reuid={NOBODY_ELSE} --regid={NOBODY_ELSE} --clear-groups \"$0\" \"$@\""
    ));
    fleet.start_manager();
    fleet.dcm(&["start", "all", "--yes"]).ok();
    let app = fleet.until_running(10);
    fleet.until_query("SELECT count(*) > 0 FROM alerts WHERE kind = 'host_exhausted'", "[[Integer(1)]]");
    // It answers, and what it has room for again is started by itself.
    fleet.dcm(&["stop", &app, "--wait"]).ok();
    let refused = "SELECT count(*) > 0 FROM runtime WHERE outcome = 'failed_to_start'";
    fleet.until_query(refused, "[[Integer(1)]]");
}
