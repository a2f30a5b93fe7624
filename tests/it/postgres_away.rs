//! A server that is away: when a manager starts, when a console opens, while a command is waited for.

use std::process::Stdio;

use dcm::store::{OpenMode, OperatorStore as _, PostgresStore};

use crate::fleet::{Fleet, send_signal};
use crate::postgres::{self, Cluster, block_on, until_said};
use crate::terminal::Terminal;

fn fleet_on(cluster: &Cluster) -> Fleet {
    let mut fleet = Fleet::bare();
    fleet.set("DC_DATABASE_URL", &cluster.url());
    fleet
}

#[test]
fn a_manager_and_its_clients_wait_for_their_server() {
    let cluster = Cluster::new();
    drop(PostgresStore::connect(&cluster.url(), OpenMode::Create).unwrap());
    let fleet = fleet_on(&cluster);
    fleet.add("a/b/c", &[], &["sleep", "600"]);
    cluster.stop();

    let log = fleet.dir.path().join("manager.log");
    let mut manager =
        fleet.command().arg("--headless").stderr(std::fs::File::create(&log).unwrap()).spawn().unwrap();
    until_said(&log, "waiting for the database");
    // A command that only looks does not wait.
    let called = fleet.dcm(&["status"]);
    assert_eq!(called.code, 75, "{called:?}");
    assert!(called.err.contains("start the server"), "{called:?}");
    let mut terminal = Terminal::open(&fleet, &["--client"], (100, 30));
    terminal.until_text("not available");

    cluster.start();
    until_said(&log, "the manager is running");
    terminal.until_text("1 apps");
    fleet.dcm(&["start", "a/b/c", "--wait"]).ok();

    // It crashes while somebody waits for a verdict.
    send_signal(manager.id(), libc::SIGSTOP);
    let waiting = fleet
        .command()
        .args(["restart", "a/b/c", "--wait=60"])
        .stdout(Stdio::piped())
        .stderr(std::fs::File::create(fleet.dir.path().join("waiting.log")).unwrap())
        .spawn()
        .unwrap();
    let store = PostgresStore::connect(&cluster.url(), OpenMode::Existing).unwrap();
    block_on(postgres::until("the command", async || {
        let rows = store.commands(vec![dcm::model::CommandId(2)]).await.unwrap();
        (!rows.is_empty()).then_some(())
    }));
    cluster.stop();
    until_said(&fleet.dir.path().join("waiting.log"), "waiting for it");
    cluster.start();
    send_signal(manager.id(), libc::SIGCONT);
    let done = waiting.wait_with_output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stdout));
    assert!(String::from_utf8_lossy(&done.stdout).contains("executed"));
    terminal.press("q");
    assert_eq!(terminal.code(), 0);
    send_signal(manager.id(), libc::SIGTERM);
    assert!(manager.wait().unwrap().success());
    fleet.dcm(&["stop-apps"]).ok();
}

#[test]
fn a_console_that_leaves_hands_its_database_to_the_manager_in_silence() {
    let cluster = Cluster::new();
    drop(PostgresStore::connect(&cluster.url(), OpenMode::Create).unwrap());
    let fleet = Fleet::bare();
    let url = postgres::with(&cluster.url(), "password=canary-7f3a");
    let mut terminal = Terminal::open(&fleet, &["--database", &url], (80, 24));
    terminal.until_text("[attached]");
    assert!(!terminal.until("a screen", |_| true).contains("canary"));
    terminal.press("q");
    terminal.answer("The manager lives in this console", "b", |screen| !screen.contains("esc  stay"));
    assert_eq!(terminal.code(), 0);
    let store = PostgresStore::connect(&url, OpenMode::Existing).unwrap();
    let pid = block_on(postgres::until("the manager without a console", async || {
        let managers = store.managers().await.unwrap();
        managers.iter().find(|row| row.stopped.is_none() && row.pid != terminal.pid()).map(|row| row.pid)
    }));
    let arguments = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap();
    assert!(arguments.contains("--headless") && !arguments.contains("canary"), "{arguments}");
    send_signal(pid, libc::SIGTERM);
    crate::fleet::until_gone(pid);
}
