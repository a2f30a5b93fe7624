//! The figures of documents: `cargo bench --bench documents`. Manager, files and a server of its own are on one host, and the
//! database is an embedded one. Beside it, in the same run, Dramatiq's own client publishes as many messages.
#![expect(clippy::unwrap_used, reason = "a measurement that cannot go on ends")]
#![expect(clippy::disallowed_methods, reason = "what is measured is time, on a host that is not suspended")]
#![expect(clippy::print_stdout, reason = "the figures are what it is for")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use rusqlite::Connection;

#[path = "../tests/it/rabbit.rs"]
#[expect(dead_code, reason = "the tests use more of it")]
mod rabbit;

mod host;

use host::{Manager, dcm};

/// Files of the burst, and below the root at the end.
const BURST: usize = 10_000;
const MANY: usize = 100_000;

/// The bytes of a file.
const SIZE: usize = 2000;

/// Publishes with Dramatiq's own client, and says how many messages a second.
const CLIENT: &str = r#"
import json, sys, time
import dramatiq
from dramatiq.brokers.rabbitmq import RabbitmqBroker
url, count, confirm = sys.argv[1], int(sys.argv[2]), sys.argv[3] == "confirm"
dramatiq.set_broker(RabbitmqBroker(url=url, confirm_delivery=confirm))
@dramatiq.actor(queue_name="client_" + sys.argv[3])
def read(document): pass
read.send("{}")
begin = time.perf_counter()
for number in range(count):
    read.send(json.dumps({"task": number, "path": f"/in/{number}.txt", "topic": "papers", "sha3": "0" * 64, "group": "bench"}))
print(count / (time.perf_counter() - begin))
"#;

fn main() {
    // `cargo test --benches` only wants to know that it builds.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let host = rabbit::Host::new();
    let by_client = ["plain", "confirm"].map(|way| client(&host.url(), way));
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let (inbox, staged) = (dir.join("in"), dir.join("staged"));
    fs::create_dir(&inbox).unwrap();
    fs::create_dir(&staged).unwrap();
    dcm(dir, &host.url(), &["db", "migrate"]);
    dcm(
        dir,
        &host.url(),
        &["watch", "add", "papers", inbox.to_str().unwrap(), "--topic", "papers", "--group", "bench"],
    );
    dcm(dir, &host.url(), &["route", "add", "papers", "--queue", "papers", "--actor", "read"]);
    let manager = Manager::start(dir, &host.url());
    let sql = Connection::open(dir.join("state/dcm.db")).unwrap();
    sql.busy_timeout(Duration::from_secs(10)).unwrap();
    until(&sql, "SELECT count(*) FROM watch_roots WHERE scanned IS NOT NULL", 1);
    until(&sql, "SELECT count(*) FROM managers WHERE broker = 'connected'", 1);

    stage(&staged, 0..BURST);
    let begin = Instant::now();
    move_in(&staged, &inbox);
    until(&sql, "SELECT count(*) FROM pipeline_task WHERE status = 1", BURST);
    let whole = begin.elapsed();
    let seconds: f64 = sql
        .query_row(
            "SELECT (julianday(max(sent)) - (SELECT julianday(min(seen)) FROM events)) * 86400 FROM pipeline_task",
            [],
            |row| row.get(0),
        )
        .unwrap();
    let rate = count(BURST) / seconds;
    println!(
        "{BURST} files at once, from the first one seen until all are confirmed: {seconds:.2} s, {rate:.0} a second"
    );
    println!(
        "from the first file moved in, with the 2 s that each must stay as it is: {:.2} s",
        whole.as_secs_f64()
    );
    for (way, by_client) in ["without confirms", "with confirms"].iter().zip(by_client) {
        let times = rate / by_client;
        println!("Dramatiq's client {way}: {by_client:.0} a second; dcm {times:.1} times that (aim 5)");
    }

    stage(&staged, BURST..MANY);
    move_in(&staged, &inbox);
    until(&sql, "SELECT count(*) FROM pipeline_task WHERE status = 1", MANY);
    println!("memory with {MANY} files below the root, after all are published: {} MB", manager.memory());
    let before = manager.cpu();
    std::thread::sleep(Duration::from_secs(30));
    let share = manager.cpu().saturating_sub(before).as_secs_f64() / 30.0 * 100.0;
    println!("scans of {MANY} files that do not change, every 10 s: {share:.1} % of a core");
    drop(manager);
    let manager = Manager::start(dir, &host.url());
    std::thread::sleep(Duration::from_secs(15));
    println!("memory after a restart of the manager: {} MB", manager.memory());
}

#[expect(clippy::cast_precision_loss, reason = "counts of a measurement are small")]
fn count(count: usize) -> f64 {
    count as f64
}

fn stage(folder: &Path, numbers: std::ops::Range<usize>) {
    for number in numbers {
        let text = format!("{number} ").repeat(SIZE);
        fs::write(folder.join(format!("{number}.txt")), &text.as_bytes()[..SIZE]).unwrap();
    }
}

fn move_in(staged: &Path, inbox: &Path) {
    for entry in fs::read_dir(staged).unwrap() {
        let path = entry.unwrap().path();
        fs::rename(&path, inbox.join(path.file_name().unwrap())).unwrap();
    }
}

/// Waits for a count, and looks often enough for a measurement in seconds.
fn until(sql: &Connection, query: &str, expected: usize) {
    let deadline = Instant::now() + Duration::from_secs(300);
    loop {
        let found: i64 = sql.query_row(query, [], |row| row.get(0)).unwrap();
        if usize::try_from(found) == Ok(expected) {
            return;
        }
        assert!(Instant::now() < deadline, "{found} of {expected}: {query}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// How many messages a second Dramatiq's client publishes.
fn client(url: &str, way: &str) -> f64 {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/venv/bin/python");
    let python = std::env::var_os("DCM_TEST_PYTHON").map_or(own, PathBuf::from);
    let done = Command::new(python)
        .args(["-c", CLIENT, url, &BURST.to_string(), way])
        .output()
        .expect("tests/venv.sh");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8_lossy(&done.stdout).trim().parse().unwrap()
}

/// What the kernel says of a manager.
impl Manager {
    fn stat(&self, file: &str) -> String {
        fs::read_to_string(format!("/proc/{}/{file}", self.0.id())).unwrap()
    }

    /// Resident, in MB.
    fn memory(&self) -> u64 {
        let status = self.stat("status");
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1000
    }

    /// The time on the processor so far.
    fn cpu(&self) -> Duration {
        let stat = self.stat("stat");
        let fields: Vec<_> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        let ticks: u64 = [11, 12].map(|field: usize| fields[field].parse::<u64>().unwrap()).iter().sum();
        Duration::from_millis(ticks * 10)
    }
}
