//! The figures of several managers on one PostgreSQL: `cargo bench --bench managers`. Everything is on one
//! machine: managers, server, apps. The server is one of its own without fsync, or that of
//! `DCM_TEST_POSTGRES`.
#![expect(clippy::unwrap_used, reason = "a measurement that cannot go on ends")]
#![expect(clippy::disallowed_methods, reason = "what is measured is time, on a host that is not suspended")]
#![expect(clippy::print_stdout, reason = "the figures are what it is for")]
#![expect(clippy::cast_precision_loss, reason = "counts are small")]

use std::fmt::Write as _;
use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use dcm::model::{AppId, Change, Load, ManagerRow, RunId, RunOpening, Trigger};
use dcm::store::{Cluster as _, OpenMode, OperatorStore as _, PostgresStore, Store as _};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, Row as _};
use tempfile::TempDir;

#[path = "../tests/it/postgres.rs"]
#[expect(dead_code, reason = "the tests use more of it")]
mod postgres;

use postgres::Schema;

/// What the server's module expects of the tests around it.
mod fleet {
    pub(crate) const PATIENCE: std::time::Duration = std::time::Duration::from_secs(60);
}

/// Managers that claim at once.
const CLAIMERS: usize = 4;

/// Runs that are claimed.
const CLAIMED: usize = 20_000;

/// How often a latency is measured.
const SAMPLES: usize = 40;

/// Apps that report, and how often each does in a second.
const REPORTERS: usize = 100;
const REPORTS: usize = 100;

/// Apps of a host that dies, and how often one does.
const LOST: usize = 20;
const DEATHS: usize = 5;

/// Apps that are registered when nothing happens.
const REGISTERED: usize = 10_000;

fn main() {
    // `cargo test --benches` only wants to know that it builds.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    claims();
    starts();
    reports();
    failovers();
    idle();
}

/// Opens due runs from several managers at once, as fast as the server takes them.
fn claims() {
    let schema = Schema::new();
    drop(PostgresStore::connect(schema.url(), OpenMode::Create).unwrap());
    schema.sql(&format!(
        "INSERT INTO apps (app_group, app_parent, app_name, disable) SELECT 'a', 'b', 'n' || number, false \
         FROM generate_series(1, {CLAIMED}) AS number"
    ));
    let stores: Vec<_> = (0..CLAIMERS)
        .map(|number| {
            let store = PostgresStore::connect(schema.url(), OpenMode::Existing).unwrap();
            let row = ManagerRow {
                name: format!("m{number}"),
                home: Some(format!("h{number}")),
                lease: Duration::from_secs(600),
                ..ManagerRow::default()
            };
            block_on(store.take_seat(row)).unwrap();
            block_on(store.renew(Load::default())).unwrap();
            store
        })
        .collect();
    let openings: Vec<Vec<Change>> = stores.iter().map(openings_of).collect();
    let count: usize = openings.iter().map(Vec::len).sum();
    let begin = Instant::now();
    std::thread::scope(|scope| {
        for (store, openings) in stores.iter().zip(openings) {
            // What falls due in the same moment is one transaction.
            scope.spawn(move || {
                for batch in openings.chunks(50) {
                    assert_eq!(block_on(store.commit(batch.to_vec())).unwrap().refused, []);
                }
            });
        }
    });
    let rate = count as f64 / begin.elapsed().as_secs_f64();
    println!("claims of due runs by {CLAIMERS} managers: {rate:.0} a second ({count} runs)");
}

fn openings_of(store: &PostgresStore) -> Vec<Change> {
    block_on(store.claim()).unwrap();
    let apps: Vec<_> = block_on(store.snapshot()).unwrap().apps;
    let id = |row: &dcm::model::Registered| match row {
        dcm::model::Registered::App(row) => row.app.id,
        dcm::model::Registered::SetAside(row) => panic!("{row:?}"),
    };
    let at = block_on(store.time()).unwrap();
    let open = |app: AppId| {
        Change::RunOpened(RunOpening {
            run: RunId::from_random_bits(uuid::Uuid::new_v4().as_u128()),
            app,
            at,
            due: Some(at),
            trigger: Trigger::Schedule,
            attempt: 1,
            command: None,
            manager: String::new(),
            is_forced: false,
        })
    };
    apps.iter().map(|row| open(id(row))).collect()
}

/// From the call of `dcm start` on a machine without a manager to the app's process on another.
fn starts() {
    let land = Land::new();
    let _host = land.host("far", 15.0);
    let mut apps = String::new();
    for number in 0..SAMPLES {
        let go = land.dir.path().join(format!("go{number}"));
        let _ = writeln!(
            apps,
            "[[app]]\npath = \"a/b/n{number}\"\ncommand = [\"touch\", \"{}\"]\nenabled = true",
            go.display()
        );
    }
    land.import(&apps);
    let mut took = Vec::new();
    for number in 0..SAMPLES {
        let go = land.dir.path().join(format!("go{number}"));
        let begin = Instant::now();
        let mut call = land.dcm(&["start", &format!("a/b/n{number}")]).spawn().unwrap();
        while !go.exists() {
            assert!(begin.elapsed() < Duration::from_secs(20), "a/b/n{number} is not started");
            std::thread::sleep(Duration::from_micros(200));
        }
        took.push(begin.elapsed());
        assert!(call.wait().unwrap().success());
    }
    println!("dcm start on one machine until the process runs on another: {}", spread(took));
}

/// Progress that comes faster than a database could take it line by line.
fn reports() {
    let land = Land::new();
    let host = land.host("far", 15.0);
    let seconds = 10;
    let script = format!(
        "import time\nbegin = time.monotonic()\nfor n in range({}):\n    print('::dcm {{\"task_size\": {}, \"solved\": %d}}' % \
         (n + 1), flush=True)\n    time.sleep(max(0, begin + (n + 1) / {REPORTS} - time.monotonic()))\n",
        REPORTS * seconds,
        REPORTS * seconds
    );
    fs::write(land.dir.path().join("report.py"), script).unwrap();
    let mut apps = String::new();
    for number in 0..REPORTERS {
        let path = land.dir.path().join("report.py");
        let _ = writeln!(
            apps,
            "[[app]]\npath = \"a/b/n{number}\"\ncommand = [\"python3\", \"{}\"]\nenabled = true",
            path.display()
        );
    }
    land.import(&apps);
    assert!(land.dcm(&["start", "all", "--yes"]).status().unwrap().success());
    land.until("SELECT count(*) = 0 FROM commands WHERE cmd_flag = 0", Duration::from_secs(120));
    let (begin, cpu) = (Instant::now(), cpu_of(host.manager.id()));
    let before = land.commits();
    std::thread::sleep(Duration::from_secs(5));
    let span = begin.elapsed().as_secs_f64();
    let commits = (land.commits() - before) as f64 / span;
    let cpu = cpu_of(host.manager.id()).saturating_sub(cpu).as_secs_f64() / span * 100.0;
    land.until(
        &format!(
            "SELECT count(*) = {REPORTERS} FROM runtime WHERE outcome = 'ok' AND solved = {}",
            REPORTS * seconds
        ),
        Duration::from_secs(120),
    );
    println!(
        "{} reports a second: {commits:.0} transactions a second, the manager takes {cpu:.0} % of a core; every last count is right",
        REPORTERS * REPORTS
    );
}

/// A host dies with its manager, its shims and its apps: until each app runs on another.
fn failovers() {
    let mut took = Vec::new();
    for _ in 0..DEATHS {
        let land = Land::new();
        let (mut dying, _other) = (land.host("dying", 15.0), land.host("other", 15.0));
        let mut apps = String::new();
        for number in 0..LOST {
            let _ = writeln!(
                apps,
                "[[app]]\npath = \"a/b/n{number}\"\ncommand = [\"sleep\", \"3600\"]\nenabled = true\nfailover = \"exclusive\""
            );
        }
        land.import(&apps);
        land.until(
            &format!("SELECT count(*) = {LOST} FROM apps WHERE manager IS NOT NULL"),
            Duration::from_secs(20),
        );
        // All on the host that dies.
        assert!(land.dcm(&["managers", "drain", "other"]).status().unwrap().success());
        land.until(
            &format!("SELECT count(*) = {LOST} FROM apps WHERE manager = 'dying'"),
            Duration::from_secs(20),
        );
        assert!(land.dcm(&["managers", "resume", "other"]).status().unwrap().success());
        assert!(land.dcm(&["start", "all", "--yes"]).status().unwrap().success());
        let running =
            format!("SELECT count(*) = {LOST} FROM apps WHERE run_status = 1 AND app_pids IS NOT NULL");
        land.until(&running, Duration::from_secs(60));
        let begin = Instant::now();
        dying.die();
        let mut there = 0;
        while there < LOST {
            let query = "SELECT count(*) FROM apps WHERE manager = 'other' AND run_status = 1 AND app_pids IS NOT NULL";
            let now = usize::try_from(land.number(query)).unwrap();
            took.extend(std::iter::repeat_n(begin.elapsed(), now.saturating_sub(there)));
            there = there.max(now);
            assert!(begin.elapsed() < Duration::from_secs(120), "{there} of {LOST} were taken over");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
    println!("a dead host's apps run on another: {}", spread(took));
}

/// What managers and consoles ask of the server while nothing happens.
fn idle() {
    let land = Land::new();
    land.sql(&format!(
        "INSERT INTO apps (app_group, app_parent, app_name) SELECT 'g' || number % 20, 'p' || number % 200, 'n' || number \
         FROM generate_series(1, {REGISTERED}) AS number"
    ));
    let _host = land.host("only", 15.0);
    land.until("SELECT count(*) = 0 FROM apps WHERE manager IS NULL", Duration::from_secs(60));
    let rate = |land: &Land| {
        // The first moments are for what was begun before, and the server counts by and by.
        std::thread::sleep(Duration::from_secs(15));
        // The median of some windows: now and then the server's own cleaners are at work.
        let mut rates: Vec<_> = (0..7)
            .map(|_| {
                let before = land.commits();
                std::thread::sleep(Duration::from_secs(4));
                (land.commits() - before) as f64 / 4.0
            })
            .collect();
        rates.sort_by(f64::total_cmp);
        rates[3]
    };
    let manager = rate(&land);
    let pty = portable_pty::native_pty_system().openpty(portable_pty::PtySize::default()).unwrap();
    let mut command = portable_pty::CommandBuilder::new(env!("CARGO_BIN_EXE_dcm"));
    command.arg("--client");
    command.env("DC_STATE_DIR", land.dir.path().join("state"));
    command.env("DC_CONFIG", "/dev/null");
    command.env("DC_DATABASE_URL", land.schema.url());
    command.env("TERM", "xterm-256color");
    let mut console = pty.slave.spawn_command(command).unwrap();
    let mut reader = pty.master.try_clone_reader().unwrap();
    std::thread::spawn(move || std::io::copy(&mut reader, &mut std::io::sink()));
    let both = rate(&land);
    console.kill().unwrap();
    console.wait().unwrap();
    println!(
        "idle at {REGISTERED} apps: a manager makes {manager:.1} transactions a second, a console {:.1}",
        both - manager
    );
}

/// Hosts that share a database, and a machine without a manager.
struct Land {
    schema: Schema,
    dir: TempDir,
}

struct Host {
    dir: TempDir,
    manager: Child,
}

impl Land {
    fn new() -> Self {
        let land = Self { schema: Schema::new(), dir: tempfile::tempdir().unwrap() };
        assert!(land.dcm(&["db", "migrate"]).status().unwrap().success());
        land
    }

    fn dcm(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dcm"));
        command.env("DC_STATE_DIR", self.dir.path().join("state")).env("DC_CONFIG", "/dev/null");
        command.env("DC_DATABASE_URL", self.schema.url()).args(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::null());
        command
    }

    fn import(&self, apps: &str) {
        let file = self.dir.path().join("apps.toml");
        fs::write(&file, apps).unwrap();
        assert!(self.dcm(&["app", "import", file.to_str().unwrap()]).status().unwrap().success());
    }

    fn host(&self, name: &str, lease: f64) -> Host {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("dcm.toml"), format!("name = \"{name}\"\nlease = {lease:?}\n")).unwrap();
        let log = fs::File::create(dir.path().join("log")).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_dcm"));
        command.arg("--headless").env("DC_STATE_DIR", dir.path().join("state"));
        command.env("DC_CONFIG", dir.path().join("dcm.toml")).env("DC_DATABASE_URL", self.schema.url());
        let manager = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap();
        self.until(
            &format!("SELECT count(*) = 1 FROM managers WHERE name = '{name}' AND renewals > 1"),
            Duration::from_secs(60),
        );
        Host { dir, manager }
    }

    fn sql(&self, sql: &str) {
        self.schema.sql(sql);
    }

    fn ask<T>(&self, sql: &str, read: impl FnOnce(&sqlx::postgres::PgRow) -> T) -> T {
        block_on(async {
            let mut connection = PgConnection::connect(self.schema.url()).await.unwrap();
            let row = sqlx::query(AssertSqlSafe(sql.to_owned())).fetch_one(&mut connection).await.unwrap();
            let value = read(&row);
            connection.close().await.unwrap();
            value
        })
    }

    fn number(&self, sql: &str) -> i64 {
        self.ask(sql, |row| row.get(0))
    }

    fn until(&self, sql: &str, most: Duration) {
        let deadline = Instant::now() + most;
        while !self.ask(sql, |row| row.get::<bool, _>(0)) {
            assert!(Instant::now() < deadline, "waited in vain: {sql}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Transactions of the whole server so far, those of this program's own questions too.
    fn commits(&self) -> i64 {
        self.number(
            "SELECT (SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = current_database()) \
             FROM (SELECT pg_stat_clear_snapshot()) AS fresh",
        )
    }
}

impl Host {
    /// As a power cut: the manager, the shims and the apps at once.
    fn die(&mut self) {
        self.manager.kill().unwrap();
        self.manager.wait().unwrap();
        self.end_apps();
    }

    fn end_apps(&self) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dcm"));
        command.args(["stop-apps", "--grace", "0"]).env("DC_STATE_DIR", self.dir.path().join("state"));
        command.env("DC_CONFIG", "/dev/null").stdout(Stdio::null()).stderr(Stdio::null());
        let _ = command.status();
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = self.manager.kill();
        let _ = self.manager.wait();
        self.end_apps();
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

fn cpu_of(pid: u32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<_> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    Duration::from_millis(ticks * 10)
}

fn spread(mut took: Vec<Duration>) -> String {
    took.sort();
    let at = |percent: usize| took[(took.len() - 1) * percent / 100].as_secs_f64() * 1000.0;
    format!("median {:.0} ms, 99th percentile {:.0} ms of {}", at(50), at(99), took.len())
}
