//! What a long history costs: `cargo bench --bench history`. A database with as many closed runs as `DCM_HISTORY` says
//! (200,000 unless it is given), and the times of what an operator does; then old runs are pruned while another
//! program commits.
#![expect(clippy::unwrap_used, reason = "a measurement that cannot go on ends")]
#![expect(clippy::disallowed_methods, reason = "what is measured is time, on a host that is not suspended")]
#![expect(clippy::print_stdout, reason = "the figures are what it is for")]

use std::fmt::Write as _;
use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use tempfile::TempDir;

const APPS: u32 = 100;

/// How often a command is measured.
const SAMPLES: usize = 11;

/// Closed runs of all apps in turn, in the order of their times, ending now. `?3` moves them into the past.
const FILL: &str = "WITH RECURSIVE numbers (value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM numbers WHERE value < ?1) \
    INSERT INTO runtime (runtime, app_id, start_time, end_time, outcome, exit_code, trigger, totals, totalm, totalh) \
    SELECT printf('%032x', value), (SELECT app FROM names WHERE number = value % ?2), \
      strftime('%Y-%m-%dT%H:%M:%fZ', 'now', (-80 * 86400.0 * (?1 - value + 100) / ?1) || ' seconds', ?3), \
      strftime('%Y-%m-%dT%H:%M:%fZ', 'now', (-80 * 86400.0 * (?1 - value + 100) / ?1 + 0.5) || ' seconds', ?3), \
      'ok', 0, 'schedule', 0, 0, 0 FROM numbers";

fn main() {
    // `cargo test --benches` only wants to know that it builds.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let runs: u32 = std::env::var("DCM_HISTORY").map_or(200_000, |runs| runs.parse().unwrap());
    let dir = tempfile::tempdir().unwrap();
    let database = fill(&dir, runs, "-0 days");
    let mut manager = Manager::start(&dir, &database);
    measure(&dir, "dcm status", &["status"]);
    measure(&dir, "dcm history PATH -n 20", &["history", "h/p/app50", "-n", "20"]);
    measure(&dir, "dcm history all", &["history", "all"]);
    manager.end();
    drop(database);

    let dir = tempfile::tempdir().unwrap();
    let database = fill(&dir, runs.min(200_000), "-100 days");
    commits_beside_pruning(&dir, &database);
}

fn fill(dir: &TempDir, runs: u32, moved: &str) -> Connection {
    let mut apps = String::new();
    for number in 0..APPS {
        writeln!(apps, "[[app]]\npath = \"h/p/app{number}\"\ncommand = [\"true\"]").unwrap();
    }
    let file = dir.path().join("fleet.toml");
    fs::write(&file, apps).unwrap();
    assert!(dcm(dir).args(["app", "import"]).arg(&file).output().unwrap().status.success());
    let database = Connection::open(dir.path().join("state/dcm.db")).unwrap();
    database.busy_timeout(Duration::from_secs(10)).unwrap();
    database
        .execute_batch(
            "PRAGMA synchronous = OFF; PRAGMA cache_size = -400000; \
             CREATE TEMP TABLE names AS SELECT row_number() OVER () - 1 AS number, app FROM apps; \
             CREATE UNIQUE INDEX temp.names_number ON names (number)",
        )
        .unwrap();
    database.execute(FILL, (runs, APPS, moved)).unwrap();
    database.execute_batch("PRAGMA wal_checkpoint(TRUNCATE); PRAGMA cache_size = -2000").unwrap();
    database
}

struct Manager(Child);

impl Manager {
    /// Prints how long it takes until it says that it runs.
    fn start(dir: &TempDir, database: &Connection) -> Self {
        let begin = Instant::now();
        let mut command = dcm(dir);
        command.arg("--headless").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let manager = Self(command.spawn().unwrap());
        let sql = "SELECT count(*) FROM managers WHERE pid = ?1 AND stopped IS NULL";
        while database.query_row(sql, [manager.0.id()], |row| row.get::<_, i64>(0)).unwrap() == 0 {
            assert!(begin.elapsed() < Duration::from_secs(120), "waited in vain for the manager");
            std::thread::sleep(Duration::from_micros(200));
        }
        println!("a manager's start: {:.0} ms (aim 1 s)", begin.elapsed().as_secs_f64() * 1e3);
        manager
    }

    fn end(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Manager {
    fn drop(&mut self) {
        self.end();
    }
}

fn dcm(dir: &TempDir) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dcm"));
    command.env("DC_STATE_DIR", dir.path().join("state")).env("DC_CONFIG", "/dev/null");
    command.env_remove("DC_DATABASE_URL").current_dir(dir.path());
    command
}

fn measure(dir: &TempDir, what: &str, arguments: &[&str]) {
    let times = (0..SAMPLES).map(|_| {
        let begin = Instant::now();
        let output = dcm(dir).args(arguments).output().unwrap();
        let elapsed = begin.elapsed();
        assert!(output.status.success() && !output.stdout.is_empty(), "{output:?}");
        elapsed
    });
    report(what, times.collect(), "aim 100 ms");
}

/// How long commits of another program wait for those of `dcm db prune`.
fn commits_beside_pruning(dir: &TempDir, database: &Connection) {
    let mut prune = dcm(dir).args(["db", "prune"]).stdout(Stdio::null()).spawn().unwrap();
    database.execute_batch("PRAGMA wal_autocheckpoint = 0").unwrap();
    let mut waits = Vec::new();
    while prune.try_wait().unwrap().is_none() {
        let begin = Instant::now();
        database.execute_batch("BEGIN IMMEDIATE; UPDATE revision SET value = value + 1; COMMIT").unwrap();
        waits.push(begin.elapsed());
        std::thread::sleep(Duration::from_millis(3));
    }
    report("a commit while old runs are pruned", waits, "aim 20 ms");
}

fn report(what: &str, mut times: Vec<Duration>, aim: &str) {
    times.sort();
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    let (median, most) = (times[times.len() / 2], times[times.len() - 1]);
    println!("{what}: median {:.1} ms, most {:.1} ms of {} ({aim})", ms(median), ms(most), times.len());
}
