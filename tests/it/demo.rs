//! The first thing that a newcomer sees.

use std::io::BufRead as _;
use std::process::{Child, Stdio};

use dcm::model::{AppRow, CmdFlag, FatalFlag, Registered, RunStatus};
use dcm::store::{LedgerQuery, OpenMode, OperatorStore as _, SqliteStore, read_fleet};

use crate::console::Fragile;
use crate::fleet::{Called, Fleet, PATIENCE, is_alive, send_signal, until_gone, wait};
use crate::rabbit::Host;
use crate::terminal::Terminal;

/// The demo as a service, in a directory that is kept.
struct Demo(Child);

impl Drop for Demo {
    fn drop(&mut self) {
        // Asked in order, it ends its apps.
        if self.0.try_wait().is_ok_and(|ended| ended.is_none()) {
            send_signal(self.0.id(), libc::SIGTERM);
            let _ = self.0.wait();
        }
    }
}

fn demo(fleet: &Fleet) -> Demo {
    let mut command = fleet.command();
    command.env_remove("DC_STATE_DIR").args(["demo", "fleet", "--without-console"]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    Demo(command.spawn().unwrap())
}

#[test]
fn every_app_of_the_demo_does_what_it_is_there_to_show() {
    let fleet = Fleet::new();
    let prepared = fleet.command().env_remove("DC_STATE_DIR").args(["demo", "fleet", "--prepare"]).output();
    assert!(prepared.unwrap().status.success());
    let database = fleet.dir.path().join("fleet/state/dcm.db");
    let mut demo = demo(&fleet);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let server = runtime.block_on(async {
        let store = SqliteStore::open(&database, OpenMode::Existing).unwrap();
        until(&store, "local/site/server", "serves pages", |row| row.progress.solved > 20).await;
        until(&store, "croatia/court/register", "has fetched pages and missed one", |row| {
            row.progress.solved >= 40 && row.progress.failed >= 1
        })
        .await;
        until(&store, "croatia/fina/companies", "has parsed its file", |row| {
            row.progress.solved > 100 && row.progress.failed > 0
        })
        .await;
        until(&store, "local/files/crawl", "has seen every folder", |row| {
            row.progress.task_size == Some(row.progress.solved)
        })
        .await;
        until(&store, "local/disk/usage", "has run", |row| row.state.last_run.is_some()).await;
        until(&store, "slovenia/mail/inbox", "has said when to run next", |row| {
            row.state.status == RunStatus::NotRunning
                && row.next_run.zip(row.state.last_run).is_some_and(|(next, last)| {
                    // Its interval is an hour.
                    (next - last).num_seconds() < 60
                })
        })
        .await;
        until(&store, "italy/court/rulings", "has counted and got stuck", |row| {
            row.progress.solved == 8 && row.state.pid.is_some()
        })
        .await;
        let ledger = store.ledger(LedgerQuery { limit: 10, ..LedgerQuery::default() }).await.unwrap();
        let verdicts: Vec<_> = ledger.iter().map(|row| row.flag).collect();
        assert_eq!(verdicts, [CmdFlag::NotExecuted, CmdFlag::Executed, CmdFlag::Executed], "{ledger:?}");
        until(&store, "local/site/server", "is still there", |row| row.state.pid.is_some()).await
    });
    send_signal(demo.0.id(), libc::SIGTERM);
    assert_eq!(demo.0.wait().unwrap().code(), Some(0));
    until_gone(server.state.pid.unwrap());
    assert!(database.exists(), "a directory that was named is kept");

    // Taken up again, it shows an app that fails now and then and one that crashes until it is given up.
    let mut demo = self::demo(&fleet);
    runtime.block_on(async {
        let store = SqliteStore::open(&database, OpenMode::Existing).unwrap();
        wait(&store, "the manager to begin again", async |store| {
            let managers = store.managers().await.ok()?;
            managers.iter().find(|row| row.pid == demo.0.id() && row.stopped.is_none()).map(drop)
        })
        .await;
        until(&store, "slovenia/legacy/importer", "is given up", |row| {
            row.state.fatal.as_ref().is_some_and(|fatal| fatal.flag == FatalFlag::UnexpectedBehavior)
        })
        .await;
        wait(&store, "rates to fail and to be fetched", async |store| {
            let runs = crate::fleet::runs_of(store, "slovenia/bank/rates").await;
            let failed = runs.iter().any(|run| run.exit_code == Some(1));
            (failed && runs.iter().any(|run| run.exit_code == Some(0))).then_some(())
        })
        .await;
    });
    send_signal(demo.0.id(), libc::SIGTERM);
    assert_eq!(demo.0.wait().unwrap().code(), Some(0));
}

#[test]
fn the_demo_on_a_terminal_leaves_nothing_behind() {
    let fleet = Fleet::new();
    let mut terminal = Terminal::open(&fleet, &["demo"], (120, 30));
    terminal.until_text("importer");
    let folder = folder_of(&fleet);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let server = runtime.block_on(async {
        let store = SqliteStore::open(&folder.join("state/dcm.db"), OpenMode::Existing).unwrap();
        until(&store, "local/site/server", "runs", |row| row.state.pid.is_some()).await
    });
    assert!(is_alive(server.state.pid.unwrap()));
    terminal.press("q");
    terminal.answer("leave?", "s", |screen| screen.contains("the demo is over"));
    assert_eq!(terminal.code(), 0);
    assert!(!folder.exists());
    until_gone(server.state.pid.unwrap());
}

/// A demo in a pipe, with a home of its own for temporary files.
fn piped(fleet: &Fleet, seconds: &str) -> Child {
    let mut command = fleet.command();
    command.env_remove("DC_STATE_DIR").env("TMPDIR", fleet.dir.path()).args(["demo", "--seconds", seconds]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn is_cleared(fleet: &Fleet) -> bool {
    let mut entries = std::fs::read_dir(fleet.dir.path()).unwrap();
    !entries.any(|entry| entry.unwrap().file_name().to_str().unwrap().starts_with("dcm-demo-"))
}

#[test]
fn the_demo_in_a_pipe_tells_its_events_and_its_table_and_ends() {
    let fleet = Fleet::new();
    let demo = piped(&fleet, "4");
    let output = demo.wait_with_output().unwrap();
    let out = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{out}");
    for part in [
        "the demo runs for 4 s",
        "local/site/server started (schedule)",
        "croatia/fina/summary ok after ",
        "START slovenia/bank/archive by ",
        "not executed: already running",
        "APP ",
    ] {
        assert!(out.contains(part), "{part:?} is not in {out}");
    }
    let table = out.rsplit_once("APP ").unwrap().1;
    assert!(table.contains("local/site/server") && table.contains("RUNNING"), "{table}");
    assert!(is_cleared(&fleet));
}

#[test]
fn a_demo_that_is_interrupted_or_not_read_any_more_leaves_nothing_behind() {
    for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGHUP, 0] {
        let fleet = Fleet::new();
        let mut demo = piped(&fleet, "600");
        let mut lines = std::io::BufReader::new(demo.stdout.take().unwrap()).lines();
        let started = lines.find(|line| line.as_ref().unwrap().contains("local/site/server started"));
        assert!(started.is_some());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let server = runtime.block_on(async {
            let store =
                SqliteStore::open(&folder_of(&fleet).join("state/dcm.db"), OpenMode::Existing).unwrap();
            until(&store, "local/site/server", "runs", |row| row.state.pid.is_some()).await
        });
        let code = if signal == 0 {
            drop(lines);
            0
        } else {
            send_signal(demo.id(), signal);
            128 + signal
        };
        assert_eq!(demo.wait().unwrap().code(), Some(code));
        assert!(is_cleared(&fleet));
        until_gone(server.state.pid.unwrap());
    }
}

#[test]
fn a_demo_whose_terminal_is_closed_leaves_nothing_behind() {
    let fleet = Fleet::new();
    let (terminal, _) = Fragile::open(&fleet, "[attached]", &["demo"]);
    let folder = folder_of(&fleet);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let server = runtime.block_on(async {
        let store = SqliteStore::open(&folder.join("state/dcm.db"), OpenMode::Existing).unwrap();
        until(&store, "local/site/server", "runs", |row| row.state.pid.is_some()).await
    });
    assert_eq!(terminal.hang_up_and_wait(), "0");
    until_gone(server.state.pid.unwrap());
    assert!(!folder.exists());
}

/// Where the demo of a console lives.
fn folder_of(fleet: &Fleet) -> std::path::PathBuf {
    std::fs::read_dir(fleet.dir.path())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.file_name().unwrap().to_str().unwrap().starts_with("dcm-demo-"))
        .unwrap()
}

#[test]
fn a_demo_whose_manager_goes_on_keeps_its_apps_and_its_directory() {
    let fleet = Fleet::new();
    let mut terminal = Terminal::open(&fleet, &["demo"], (120, 30));
    terminal.until_text("importer");
    terminal.press("\x03\x03");
    terminal.until_text("the demo goes on");
    assert_eq!(terminal.code(), 0);
    let state = folder_of(&fleet).join("state");
    let state = state.to_str().unwrap();
    let manager = std::fs::read_to_string(format!("{state}/manager.lock")).unwrap().trim().parse().unwrap();
    assert!(is_alive(manager));
    send_signal(manager, libc::SIGTERM);
    until_gone(manager);
    fleet.command().env_remove("DC_STATE_DIR").args(["--state-dir", state, "stop-apps"]).output().unwrap();
}

async fn until(store: &SqliteStore, path: &str, what: &str, is_so: impl Fn(&AppRow) -> bool) -> AppRow {
    let id = crate::fleet::id(path);
    wait(store, &format!("{path}: {what}"), async |store| {
        let (rows, _) = read_fleet(store).await.ok()?;
        rows.into_iter().find_map(|row| match row {
            Registered::App(row) if row.app.id == id && is_so(&row) => Some(*row),
            Registered::App(_) | Registered::SetAside(_) => None,
        })
    })
    .await
}

/// The virtual environment of the tests, whose Python knows Dramatiq.
fn virtual_environment() -> String {
    let python = std::path::PathBuf::from(crate::workers::python());
    python.ancestors().nth(2).unwrap().display().to_string()
}

#[test]
fn documents_of_the_demo_go_through_both_stages() {
    let host = Host::new();
    let mut fleet = Fleet::bare();
    fleet.set("DC_RABBITMQ_URL", &host.url());
    fleet.set("VIRTUAL_ENV", &virtual_environment());
    let mut command = fleet.command();
    command.env_remove("DC_STATE_DIR").args(["demo", "--pipeline", "office", "--without-console"]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut demo = Demo(command.spawn().unwrap());
    let counted = fleet.dir.path().join("office/pipeline/out");
    let deadline = std::time::Instant::now() + PATIENCE;
    while std::fs::read_dir(&counted).map_or(0, Iterator::count) < 2 {
        assert!(std::time::Instant::now() < deadline, "no paper comes through");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    send_signal(demo.0.id(), libc::SIGTERM);
    assert_eq!(demo.0.wait().unwrap().code(), Some(0));
}

#[test]
fn a_demo_that_is_not_kept_leaves_no_queue_behind() {
    let host = Host::new();
    let fleet = Fleet::bare();
    let mut command = fleet.command();
    command.env_remove("DC_STATE_DIR").args(["demo", "--pipeline", "--seconds", "6"]);
    command.env("DC_RABBITMQ_URL", host.url()).env("VIRTUAL_ENV", virtual_environment());
    command.env("TMPDIR", fleet.dir.path()).stdin(Stdio::null());
    let called = Called::from(command.output().unwrap()).ok();
    assert!(called.err.contains("its directory is removed"), "{}", called.err);
    let name = called.out.split_whitespace().find(|word| word.starts_with("demo-")).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let client = host.connect().await;
        for queue in ["read", "count"] {
            assert_eq!(client.depth(&format!("{name}.{queue}")).await, None);
        }
    });
    assert_eq!(std::fs::read_dir(fleet.dir.path()).unwrap().count(), 0);
}

#[test]
fn without_a_broker_or_dramatiq_the_demo_says_what_to_do() {
    let fleet = Fleet::bare();
    let demo = |url: &str, environment: &str| {
        let mut command = fleet.command();
        command.env_remove("DC_STATE_DIR").args(["demo", "--pipeline", "office", "--prepare"]);
        command.env("DC_RABBITMQ_URL", url).env("VIRTUAL_ENV", environment);
        Called::from(command.stdin(Stdio::null()).output().unwrap())
    };
    let ours = virtual_environment();
    demo("amqp://ana:secret@127.0.0.1:1", &ours)
        .refused(75, &["amqp://127.0.0.1:1/", "apt install rabbitmq-server"]);
    let bare = fleet.dir.path().join("bare");
    std::fs::create_dir_all(bare.join("bin")).unwrap();
    std::os::unix::fs::symlink("/bin/false", bare.join("bin/python")).unwrap();
    demo("amqp://127.0.0.1:1", bare.to_str().unwrap()).refused(2, &["no dramatiq", "pip install"]);
    demo("amqp://127.0.0.1:1", "/no/such").refused(2, &["there is no /no/such/bin/python"]);
    assert!(!fleet.dir.path().join("office").exists());
}
