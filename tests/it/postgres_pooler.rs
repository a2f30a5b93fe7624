//! pgbouncer in transaction mode between the programs and the server: each transaction goes to another
//! connection, and notifications reach nobody.

use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use dcm::store::{OpenMode, OperatorStore as _, PostgresStore};
use tokio::time::timeout;

use crate::fleet::{Fleet, PATIENCE, id, send_signal};
use crate::postgres::{Cluster, block_on, on_path, until, until_said};
use crate::terminal::Terminal;

/// A pooler in front of a cluster, as the same user; it ends with this.
struct Pooler {
    process: Child,
    port: u16,
}

impl Pooler {
    fn before(cluster: &Cluster) -> Self {
        let folder = on_path("pgbouncer").unwrap_or_else(|| PathBuf::from("/usr/sbin"));
        let program = folder.join("pgbouncer");
        assert!(program.exists(), "install the package pgbouncer (tests/run.sh does): it is not in PATH");
        let folder = cluster.folder("pooler");
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let settings = format!(
            "[databases]\n* = host={} port={} user=dcm\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
             listen_port = {port}\nunix_socket_dir =\nauth_type = any\npool_mode = transaction\n\
             default_pool_size = 3\nmax_client_conn = 60\n",
            cluster.sockets().display(),
            cluster.port(),
        );
        let file = folder.join("pgbouncer.ini");
        std::fs::write(&file, settings).unwrap();
        let mut command = cluster.command(program);
        command.arg("-q").arg(&file).stdin(Stdio::null()).stdout(Stdio::null());
        command.stderr(std::fs::File::create(folder.join("log")).unwrap());
        let mut process = command.spawn().unwrap();
        block_on(until("the pooler to listen", async || {
            let ended = process.try_wait().unwrap();
            assert!(ended.is_none(), "{}", std::fs::read_to_string(folder.join("log")).unwrap());
            TcpStream::connect(("127.0.0.1", port)).ok()
        }));
        Self { process, port }
    }

    fn url(&self) -> String {
        format!("postgres://dcm@127.0.0.1:{}/postgres", self.port)
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A program that runs until this goes out of scope.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn manager(fleet: &Fleet) -> Running {
    let log = fleet.dir.path().join("manager.log");
    let mut command: Command = fleet.command();
    let child = command.arg("--headless").stderr(std::fs::File::create(&log).unwrap()).spawn().unwrap();
    let running = Running(child);
    until_said(&log, "the manager is running");
    running
}

#[test]
fn a_manager_and_its_clients_work_through_a_pooler() {
    let cluster = Cluster::new();
    let pooler = Pooler::before(&cluster);
    let mut fleet = Fleet::bare();
    fleet.set("DC_DATABASE_URL", &pooler.url());
    fleet.dcm(&["db", "migrate"]).ok();
    let mut manager = manager(&fleet);

    let script = "echo '::dcm {\"task_size\": 9, \"solved\": 7}'; exec sleep 600";
    fleet.add("a/b/c", &["--stop-grace", "1", "--failover", "exclusive"], &["sh", "-c", script]);
    let mut terminal = Terminal::open(&fleet, &["--client"], (120, 30));
    terminal.until_text("1 apps");
    fleet.dcm(&["start", "a/b/c", "--wait=20"]).ok();
    terminal.until_text("7");

    let store = PostgresStore::connect(&pooler.url(), OpenMode::Existing).unwrap();
    block_on(async {
        let row = until("the progress", async || {
            let rows = store.apps(vec![id("a/b/c")]).await.ok()?;
            rows.into_iter().find_map(|row| match row {
                dcm::model::Registered::App(row) => Some(*row).filter(|row| row.progress.solved == 7),
                dcm::model::Registered::SetAside(_) => None,
            })
        });
        row.await;
        let renewals = async || store.managers().await.ok()?.first().map(|row| row.renewals);
        let before = until("the manager", renewals).await;
        until("the lease to be renewed", async || renewals().await.filter(|now| *now >= before + 2)).await;
        assert!(store.managers().await.unwrap()[0].is_live(store.time().await.unwrap()));
        // A store that waits for changes is told of them all the same.
        let mut changed = store.changed();
        changed.mark_unchanged();
        cluster.psql("postgres", "UPDATE apps SET cwd = '/tmp'");
        timeout(PATIENCE, changed.changed()).await.unwrap().unwrap();
    });

    fleet.dcm(&["restart", "a/b/c", "--wait=20"]).ok();
    fleet.dcm(&["logs", "a/b/c"]).ok();
    fleet.dcm(&["stop", "a/b/c", "--wait=20"]).ok();
    let runs = fleet.dcm(&["history", "a/b/c", "--json"]).ok().json();
    assert_eq!(runs.as_array().unwrap().len(), 2, "{runs}");
    terminal.press("q");
    assert_eq!(terminal.code(), 0);
    send_signal(manager.0.id(), libc::SIGTERM);
    assert!(manager.0.wait().unwrap().success());
}
