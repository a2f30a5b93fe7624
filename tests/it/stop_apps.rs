//! `dcm stop-apps` finds every process of its state directory, whatever tables and run directories say.

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};

use dcm::model::RunStatus;

use crate::adoption::parent_of;
use crate::bad_apps::pid_in_log;
use crate::fleet::{Fleet, is_alive, send_signal, until_gone};

#[test]
fn processes_that_nothing_tells_of_are_found() {
    let mut fleet = Fleet::with_manager();
    // One with its shim, one without, and one that cleared its environment and lost its shim.
    let cleared = "import os; os.execve('/bin/sleep', ['sleep', '600'], {})";
    for (name, argv) in [
        ("plain", vec!["sleep", "600"]),
        ("orphan", vec!["sleep", "600"]),
        ("cleared", vec!["python3", "-c", cleared]),
    ] {
        fleet.add(&format!("a/b/{name}"), &[], &argv);
    }
    fleet.dcm(&["start", "all", "--wait", "--yes"]).ok();
    let pids =
        ["plain", "orphan", "cleared"].map(|name| fleet.app(&format!("a/b/{name}")).state.pid.unwrap());
    let shim = parent_of(pids[0]);
    fleet.kill_manager();
    for pid in &pids[1..] {
        send_signal(parent_of(*pid), libc::SIGKILL);
    }
    fs::remove_dir_all(fleet.state().join("runs")).unwrap();
    // Another state directory is none of its business.
    let other = Fleet::with_manager();
    other.add("a/b/c", &[], &["sleep", "600"]);
    other.dcm(&["start", "a/b/c", "--wait"]).ok();

    let stopped = fleet.dcm(&["stop-apps", "--grace", "1", "--json"]).ok().json();
    assert_eq!(stopped["unreached"].as_array().unwrap().len(), 0, "{stopped}");
    for pid in pids.into_iter().chain([shim]) {
        until_gone(pid);
    }
    assert!(is_alive(other.app("a/b/c").state.pid.unwrap()));
    assert!(is_alive(other.manager_pid()));
}

#[test]
fn what_ignores_term_is_killed_also_where_no_run_directory_tells_of_it() {
    let mut fleet = Fleet::with_manager();
    fleet.add("a/b/rude", &[], &["python3", &Fleet::script("ignore_term.py")]);
    fleet.dcm(&["start", "a/b/rude", "--wait"]).ok();
    let pids = [fleet.app("a/b/rude").state.pid.unwrap(), pid_in_log(&fleet, "a/b/rude", "child")];
    fleet.kill_manager();
    send_signal(parent_of(pids[0]), libc::SIGKILL);
    fs::remove_dir_all(fleet.state().join("runs")).unwrap();
    fleet.dcm(&["stop-apps", "--grace", "0"]).ok();
    pids.into_iter().for_each(until_gone);
}

#[test]
fn with_a_manager_it_says_that_apps_are_started_again_and_the_manager_lives() {
    let fleet = Fleet::with_manager();
    fleet.add("a/b/c", &[], &["sleep", "600"]);
    fleet.dcm(&["start", "a/b/c", "--wait"]).ok();
    let called = fleet.dcm(&["stop-apps", "--grace", "5"]).ok();
    assert!(
        called.err.contains(&format!("a manager is running (pid {})", fleet.manager_pid())),
        "{called:?}"
    );
    fleet.until("a/b/c", "rests", |row| row.state.status == RunStatus::NotRunning);
    assert!(is_alive(fleet.manager_pid()));
}

#[test]
fn what_cannot_be_reached_is_named() {
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let fleet = Fleet::new();
    // The state directory is another user's, and so is the caller; the process is root's.
    let runs = fleet.state().join("runs/0197ab0000007000800000000000000a");
    fs::create_dir_all(&runs).unwrap();
    let user = 65534;
    let mut stranger = Command::new("sleep");
    stranger.arg("600").env("DC_RUN_DIR", &runs).stdin(Stdio::null()).stdout(Stdio::null());
    let mut stranger = stranger.spawn().unwrap();
    let lock = fs::File::create(runs.join("journal")).unwrap();
    lock.lock().unwrap();
    for path in [
        fleet.dir.path().to_owned(),
        fleet.state(),
        fleet.state().join("runs"),
        runs.clone(),
        runs.join("journal"),
    ] {
        std::os::unix::fs::chown(path, Some(user), Some(user)).unwrap();
    }
    let output = fleet.command().args(["stop-apps", "--grace", "0"]).uid(user).gid(user).output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("0197ab0000007000800000000000000a"), "{text}");
    drop(lock);
    stranger.kill().unwrap();
    stranger.wait().unwrap();
}
