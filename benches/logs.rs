//! What the capture of output costs: `cargo bench --bench logs`. One app, and several at once, write as fast as they can; the same is
//! written by `cat > file` in turn, and the ratio is of one sitting.
#![expect(clippy::unwrap_used, reason = "a measurement that cannot go on ends")]
#![expect(clippy::disallowed_methods, reason = "what is measured is time, on a host that is not suspended")]
#![expect(clippy::print_stdout, reason = "the figures are what it is for")]

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use tempfile::TempDir;

/// What one app writes: lines of 100 bytes.
const BYTES: usize = 256 << 20;

/// Apps that write at once, each its part of that.
const AT_ONCE: usize = 8;

/// How often each is measured.
const SAMPLES: usize = 5;

fn main() {
    // `cargo test --benches` only wants to know that it builds.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let host = Host::prepare();
    let all = [host.part(1), host.part(AT_ONCE)];
    for (group, source, count) in
        [("whole", &all[0], 1), ("limited", &all[0], 1), ("several", &all[1], AT_ONCE)]
    {
        let mut pairs = Vec::new();
        for _ in 0..SAMPLES {
            let bare = host.bare(source, count);
            pairs.push((host.captured(group, count), bare));
        }
        report(group, &pairs);
    }
    host.memory();
}

struct Host {
    dir: TempDir,
    manager: Child,
    database: Connection,
}

impl Host {
    fn prepare() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let line = format!("{}\n", "x".repeat(99));
        for count in [1, AT_ONCE] {
            fs::write(source(&dir, count), line.repeat(BYTES / count / line.len())).unwrap();
        }
        let mut apps = String::new();
        let mut app = |path: &str, script: String, limit: u64| {
            writeln!(apps, "[[app]]\npath = \"{path}\"\ncommand = [\"sh\", \"-c\", \"{script}\"]\nenabled = true\nlog_limit = {limit}\nlog_keep = 1").unwrap();
        };
        let cat = |count| format!("exec cat {}", source(&dir, count).display());
        let unlimited = 1 << 40;
        app("whole/p/a", cat(1), unlimited);
        app("limited/p/a", cat(1), 10 << 20);
        for number in 0..AT_ONCE {
            app(&format!("several/p/a{number}"), cat(AT_ONCE), unlimited);
        }
        app("stays/p/a", format!("cat {}; exec sleep 600", source(&dir, 1).display()), 10 << 20);
        let file = dir.path().join("fleet.toml");
        fs::write(&file, apps).unwrap();
        assert!(dcm(&dir).args(["app", "import"]).arg(&file).output().unwrap().status.success());
        let log = fs::File::create(dir.path().join("manager.log")).unwrap();
        let manager =
            dcm(&dir).arg("--headless").stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn();
        let database = Connection::open(dir.path().join("state/dcm.db")).unwrap();
        database.busy_timeout(Duration::from_secs(10)).unwrap();
        let host = Self { dir, manager: manager.unwrap(), database };
        host.until("SELECT count(*) FROM managers WHERE stopped IS NULL", 1);
        host
    }

    fn part(&self, count: usize) -> PathBuf {
        source(&self.dir, count)
    }

    fn number(&self, query: &str) -> i64 {
        self.database.prepare_cached(query).unwrap().query_row([], |row| row.get(0)).unwrap()
    }

    fn until(&self, query: &str, expected: i64) {
        let deadline = Instant::now() + Duration::from_secs(120);
        while self.number(query) != expected {
            assert!(Instant::now() < deadline, "waited in vain for {query} = {expected}");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// From the first start to the last end, as the manager has recorded them.
    fn captured(&self, group: &str, count: usize) -> Duration {
        let of_group =
            format!("FROM runtime WHERE app_id IN (SELECT app FROM apps WHERE app_group = '{group}')");
        let before = self.number(&format!("SELECT count(*) {of_group}"));
        assert!(dcm(&self.dir).args(["start", group, "--yes"]).output().unwrap().status.success());
        let expected = before + i64::try_from(count).unwrap();
        self.until(&format!("SELECT count(*) {of_group} AND end_time IS NOT NULL"), expected);
        let query = format!(
            "SELECT CAST((julianday(max(end_time)) - julianday(min(start_time))) * 86400000.0 AS INTEGER) FROM \
             (SELECT * {of_group} ORDER BY start_time DESC LIMIT {count})"
        );
        Duration::from_millis(u64::try_from(self.number(&query)).unwrap())
    }

    /// The same by `cat > file`.
    fn bare(&self, source: &Path, count: usize) -> Duration {
        let begin = Instant::now();
        let cats: Vec<_> = (0..count)
            .map(|number| {
                let file = fs::File::create(self.dir.path().join(format!("bare{number}"))).unwrap();
                Command::new("cat").arg(source).stdout(file).spawn().unwrap()
            })
            .collect();
        for mut cat in cats {
            assert!(cat.wait().unwrap().success());
        }
        begin.elapsed()
    }

    /// The memory of a shim that has taken all of it.
    fn memory(&self) {
        let started = dcm(&self.dir).args(["start", "stays"]).output().unwrap();
        assert!(started.status.success(), "{started:?}");
        self.until("SELECT count(*) FROM apps WHERE app_group = 'stays' AND app_pids <> ''", 1);
        let app = self.number("SELECT CAST(app_pids AS INTEGER) FROM apps WHERE app_group = 'stays'");
        let status = |pid: i64| fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let field = |text: &str, name: &str| -> i64 {
            let line = text.lines().find(|line| line.starts_with(name)).unwrap();
            line.split_whitespace().nth(1).unwrap().parse().unwrap()
        };
        let deadline = Instant::now() + Duration::from_secs(120);
        while !status(app).starts_with("Name:\tsleep") {
            assert!(Instant::now() < deadline, "it writes for too long");
            std::thread::sleep(Duration::from_millis(10));
        }
        let shim = status(field(&status(app), "PPid:"));
        println!(
            "memory of a shim that took {} MiB: {} KiB resident at most, {} KiB now",
            BYTES >> 20,
            field(&shim, "VmHWM:"),
            field(&shim, "VmRSS:")
        );
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = self.manager.kill();
        let _ = self.manager.wait();
        let _ = dcm(&self.dir).args(["stop-apps", "--grace", "0"]).output();
    }
}

fn source(dir: &TempDir, count: usize) -> PathBuf {
    dir.path().join(format!("source{count}"))
}

fn dcm(dir: &TempDir) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dcm"));
    command.env("DC_STATE_DIR", dir.path().join("state")).env("DC_CONFIG", "/dev/null");
    command.env_remove("DC_DATABASE_URL").current_dir(dir.path());
    command
}

/// The median of both, and of their ratio.
fn report(what: &str, pairs: &[(Duration, Duration)]) {
    let median = |mut values: Vec<f64>| {
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    let speed = |time: &Duration| f64::from(u32::try_from(BYTES >> 20).unwrap()) / time.as_secs_f64();
    let ours = median(pairs.iter().map(|(ours, _)| speed(ours)).collect());
    let bare = median(pairs.iter().map(|(_, bare)| speed(bare)).collect());
    let ratio = median(pairs.iter().map(|(ours, bare)| ours.as_secs_f64() / bare.as_secs_f64()).collect());
    println!("{what}: {ours:.0} MiB/s captured, {bare:.0} MiB/s by cat > file: {ratio:.1} times as long");
}
