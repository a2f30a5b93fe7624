//! Whether a manager is there: said at once when it was killed, and not denied when it is only silent.

use std::process::Stdio;

use crate::fleet::{Called, Fleet, send_signal};

#[test]
fn a_killed_manager_is_missed_at_once() {
    let mut fleet = Fleet::with_manager();
    fleet.add("a/b/c", &[], &["true"]);
    let pid = fleet.manager_pid();
    fleet.kill_manager();
    let gone = format!("with pid {pid} was killed or crashed");
    let called = fleet.dcm(&["status"]).ok();
    assert!(called.err.contains("no manager is running") && called.err.contains(&gone), "{called:?}");
    let why = fleet.dcm(&["why", "a/b/c"]).ok().out;
    assert!(why.starts_with("no manager is running") && why.contains(&gone), "{why}");
    fleet.dcm(&["start", "a/b/c", "--wait=0.1"]).refused(124, &["no manager is running", &gone]);
    assert_eq!(fleet.dcm(&["managers", "--json"]).ok().json()[0]["state"], "lost");
    fleet.start_manager();
    let called = fleet.dcm(&["status"]).ok();
    assert_eq!(called.err, "");
    assert_eq!(fleet.dcm(&["managers", "--json"]).ok().json()[0]["state"], "live");
}

#[test]
fn a_manager_that_is_killed_while_somebody_waits_is_missed_then() {
    let mut fleet = Fleet::with_manager();
    fleet.add("a/b/c", &[], &["true"]);
    // It answers nothing, but it is there.
    send_signal(fleet.manager_pid(), libc::SIGSTOP);
    let mut waiting = fleet.command();
    waiting
        .args(["start", "a/b/c", "--wait=4"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let waiting = waiting.spawn().unwrap();
    fleet.ask(async |store| {
        crate::fleet::wait(store, "the command", async |store| {
            let pending = dcm::store::Store::pending_commands(store, Vec::new()).await.unwrap();
            (!pending.is_empty()).then_some(())
        })
        .await;
    });
    fleet.kill_manager();
    Called::from(waiting.wait_with_output().unwrap())
        .refused(124, &["no manager is running", "no verdict in time"]);
}

#[test]
fn a_manager_that_is_only_silent_is_not_denied() {
    let fleet = Fleet::with_manager();
    fleet.add("a/b/c", &[], &["true"]);
    let pid = fleet.manager_pid();
    send_signal(pid, libc::SIGSTOP);
    // Some time later.
    fleet.sql("UPDATE managers SET heartbeat = '2026-01-01T00:00:00.000Z'");
    let silent = format!("(pid {pid}) is running, but has said nothing for");
    for arguments in [&["status"][..], &["start", "a/b/c"]] {
        let called = fleet.dcm(arguments).ok();
        assert!(called.err.contains(&silent) && !called.err.contains("no manager"), "{called:?}");
    }
    assert_eq!(fleet.dcm(&["managers", "--json"]).ok().json()[0]["state"], "silent");
    send_signal(pid, libc::SIGCONT);
}
