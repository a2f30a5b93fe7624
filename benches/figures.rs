//! The figures that dcm is measured by: `cargo bench`. The program is the real one, on a database and
//! in a state directory of its own. Times are those of this machine on this day; what can be is given
//! as a ratio to the bare system in the same run.
#![expect(clippy::unwrap_used, reason = "a measurement that cannot go on ends")]
#![expect(clippy::disallowed_methods, reason = "what is measured is time, on a host that is not suspended")]
#![expect(clippy::print_stdout, reason = "the figures are what it is for")]

use std::fmt::Write as _;
use std::fs;
use std::io::Read as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use tempfile::TempDir;

/// Apps that are due at once and stay.
const RUNNING: usize = 1_000;

/// Apps that are registered, these included.
const REGISTERED: usize = 10_000;

/// How often a latency is measured.
const SAMPLES: usize = 60;

fn main() {
    // `cargo test --benches` only wants to know that it builds.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let mut host = Host::prepare();
    host.start_manager();
    starts(&host);
    weights(&host);
    status(&host);
    kills(&host);
    commands(&host);
    adoption(&mut host);
}

/// A manager with its fleet.
struct Host {
    dir: TempDir,
    manager: Option<Child>,
    database: Connection,
}

impl Host {
    fn prepare() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut apps = String::new();
        for number in 0..REGISTERED {
            let group = if number < RUNNING { "due" } else { "idle" };
            let parent = number / 100;
            writeln!(
                apps,
                "[[app]]\npath = \"{group}/p{parent}/app{number}\"\ncommand = [\"sleep\", \"3600\"]\ninterval = 600"
            )
            .unwrap();
        }
        for number in 0..SAMPLES {
            writeln!(
                apps,
                "[[app]]\npath = \"asked/p/app{number}\"\ncommand = [\"sh\", \"-c\", \"echo > {}\"]\nenabled = true",
                dir.path().join("go").display()
            )
            .unwrap();
        }
        let file = dir.path().join("fleet.toml");
        fs::write(&file, apps).unwrap();
        let state = dir.path().join("state");
        let import = command(&dir).args(["app", "import"]).arg(&file).output().unwrap();
        assert!(import.status.success(), "{import:?}");
        let database = Connection::open(state.join("dcm.db")).unwrap();
        database.busy_timeout(Duration::from_secs(10)).unwrap();
        Self { dir, manager: None, database }
    }

    fn start_manager(&mut self) -> Duration {
        let begin = Instant::now();
        let log = fs::File::create(self.dir.path().join("manager.log")).unwrap();
        let mut manager = command(&self.dir);
        manager.arg("--headless").stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let manager = manager.spawn().unwrap();
        let pid = manager.id();
        self.manager = Some(manager);
        self.until(&format!("SELECT count(*) FROM managers WHERE pid = {pid} AND stopped IS NULL"), 1);
        begin.elapsed()
    }

    fn manager_pid(&self) -> u32 {
        self.manager.as_ref().unwrap().id()
    }

    fn sql(&self, statement: &str) {
        self.database.execute_batch(statement).unwrap();
    }

    fn number(&self, query: &str) -> i64 {
        self.database.prepare_cached(query).unwrap().query_row([], |row| row.get(0)).unwrap()
    }

    /// Asks again and again: what is measured is the manager, not a notification.
    fn until(&self, query: &str, expected: i64) {
        let deadline = Instant::now() + Duration::from_secs(120);
        while self.number(query) != expected {
            assert!(Instant::now() < deadline, "waited in vain for {query} = {expected}");
            std::thread::sleep(Duration::from_micros(200));
        }
    }

    fn pids(&self) -> Vec<u32> {
        let mut query = self.database.prepare("SELECT app_pids FROM apps WHERE app_group = 'due'").unwrap();
        let pids = query.query_map([], |row| row.get::<_, String>(0)).unwrap();
        pids.map(|pid| pid.unwrap().parse().unwrap()).collect()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if let Some(mut manager) = self.manager.take() {
            let _ = manager.kill();
            let _ = manager.wait();
        }
        let _ = command(&self.dir).args(["stop-apps", "--grace", "0"]).output();
    }
}

fn command(dir: &TempDir) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dcm"));
    command.env("DC_STATE_DIR", dir.path().join("state")).env("DC_CONFIG", "/dev/null");
    command.env_remove("DC_DATABASE_URL").current_dir(dir.path());
    command
}

/// Due apps, all running and recorded, against the bare start of the same programs.
fn starts(host: &Host) {
    let before = bare_starts();
    let due = chrono::Utc::now() + chrono::TimeDelta::seconds(3);
    host.sql(&format!(
        "UPDATE apps SET disable = 0, next_run = '{}' WHERE app_group = 'due'",
        due.format("%Y-%m-%dT%H:%M:%S%.3fZ")
    ));
    let wait = (due - chrono::Utc::now()).to_std().unwrap_or_default();
    std::thread::sleep(wait);
    let begin = Instant::now();
    let running = i64::try_from(RUNNING).unwrap();
    host.until(
        "SELECT count(*) FROM apps WHERE app_group = 'due' AND run_status = 1 AND app_pids <> ''",
        running,
    );
    let ours = begin.elapsed();
    let bare = (before + bare_starts()) / 2;
    println!(
        "{RUNNING} due apps running and recorded: {} (bare posix_spawn {}, ratio {:.2}; aim 3)",
        show(ours),
        show(bare),
        ours.as_secs_f64() / bare.as_secs_f64()
    );
    host.until("SELECT count(*) FROM runtime WHERE end_time IS NULL", running);
}

fn bare_starts() -> Duration {
    let begin = Instant::now();
    let mut children: Vec<_> = (0..RUNNING)
        .map(|_| {
            let mut command = Command::new("sleep");
            command.arg("3600").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            command.spawn().unwrap()
        })
        .collect();
    let elapsed = begin.elapsed();
    for child in &mut children {
        child.kill().unwrap();
        child.wait().unwrap();
    }
    elapsed
}

/// What a fleet at rest takes of the host.
fn weights(host: &Host) {
    let manager = host.manager_pid();
    // What the starts left to do is done.
    std::thread::sleep(Duration::from_secs(3));
    let (before, begin) = (ticks(manager), Instant::now());
    std::thread::sleep(Duration::from_secs(20));
    let used = Duration::from_millis(10 * (ticks(manager) - before));
    println!(
        "manager with {RUNNING} running and {REGISTERED} registered: resident {:.1} MB (aim 30), \
         idle {:.2} % of a core (aim 0.5)",
        kib(manager, "status", "VmRSS:") / 1024.0,
        100.0 * used.as_secs_f64() / begin.elapsed().as_secs_f64()
    );
    looks(manager);
    let mut shims: Vec<_> = host
        .pids()
        .iter()
        .map(|pid| {
            let shim = parent(*pid);
            kib(shim, "smaps_rollup", "Private_Clean:") + kib(shim, "smaps_rollup", "Private_Dirty:")
        })
        .collect();
    shims.sort_by(f64::total_cmp);
    println!(
        "private memory of a shim: median {:.0} KiB, most {:.0} KiB (aim 1024)",
        shims[shims.len() / 2],
        shims[shims.len() - 1]
    );
}

/// The thread that looks at what apps use: its share of a core, and of what reading one file of each process takes.
fn looks(manager: u32) {
    let thread = threads(manager).into_iter().find(|(_, name)| name == "dcm-usage").unwrap().0;
    let place = format!("{manager}/task/{thread}");
    let (before, begin) = (ticks(&place), Instant::now());
    std::thread::sleep(Duration::from_secs(60));
    let used = Duration::from_millis(10 * (ticks(&place) - before)).as_secs_f64();
    let share = 100.0 * used / begin.elapsed().as_secs_f64();
    let own = std::process::id();
    let (before, mut files) = (ticks(own), 0);
    for _ in 0..20 {
        for entry in fs::read_dir("/proc").unwrap().filter_map(Result::ok) {
            files += usize::from(fs::read(entry.path().join("stat")).is_ok());
        }
    }
    let bare = Duration::from_millis(10 * (ticks(own) - before)).as_secs_f64() / 20.0;
    println!(
        "looks at what {RUNNING} apps use, every 10 s: {share:.2} % of a core (aim 0.3); {:.1} times the reading of all {} \
         files /proc/PID/stat",
        used / 6.0 / bare,
        files / 20
    );
}

/// The threads of a process, by their names.
fn threads(pid: u32) -> Vec<(u32, String)> {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).unwrap().filter_map(Result::ok);
    let name = |path: PathBuf| fs::read_to_string(path.join("comm")).unwrap_or_default().trim().to_owned();
    threads
        .map(|thread| (thread.file_name().to_str().unwrap().parse().unwrap(), name(thread.path())))
        .collect()
}

fn status(host: &Host) {
    let times = (0..11).map(|_| {
        let begin = Instant::now();
        let output = command(&host.dir).args(["status", "--json"]).output().unwrap();
        let elapsed = begin.elapsed();
        assert!(output.status.success() && output.stdout.len() > REGISTERED * 100);
        elapsed
    });
    report(&format!("dcm status --json, {REGISTERED} apps"), times.collect(), "aim 100 ms");
}

/// From the death of an app to its row, and to its next process.
fn kills(host: &Host) {
    let pids = host.pids();
    let (mut recorded, mut restarted) = (Vec::new(), Vec::new());
    for pid in pids.iter().step_by(pids.len() / SAMPLES) {
        let end =
            format!("SELECT count(*) FROM runtime WHERE pid = {pid} AND end_time IS NOT NULL AND signal = 9");
        let restart = format!(
            "SELECT count(*) FROM runtime WHERE app_id = (SELECT app_id FROM runtime WHERE pid = {pid} AND signal = 9) \
             AND end_time IS NULL AND pid <> {pid}"
        );
        assert_eq!(host.number(&end), 0);
        let begin = Instant::now();
        kill(*pid);
        host.until(&end, 1);
        recorded.push(begin.elapsed());
        host.until(&restart, 1);
        restarted.push(begin.elapsed());
    }
    report("a killed app is recorded", recorded, "aim 20 ms");
    report("a killed app runs again, the first time", restarted, "aim 20 ms");
}

/// From the command to the process: the app itself says that it lives, by a pipe.
fn commands(host: &Host) {
    let pipe = host.dir.path().join("go");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let heard = |ask: &dyn Fn()| {
        let reader = {
            let pipe: PathBuf = pipe.clone();
            std::thread::spawn(move || {
                let mut byte = [0];
                fs::File::open(pipe).unwrap().read_exact(&mut byte).unwrap();
                Instant::now()
            })
        };
        let begin = Instant::now();
        ask();
        reader.join().unwrap() - begin
    };
    let by_sql = (0..SAMPLES / 2).map(|number| {
        rest();
        heard(&|| {
            host.sql(&format!("UPDATE apps SET cmd_name = 1, cmd_flag = 0, cmd_by = 'bench' WHERE app_name = 'app{number}' AND app_group = 'asked'"));
        })
    });
    report("START by SQL until the app runs", by_sql.collect(), "aim 50 ms");
    let by_program = (SAMPLES / 2..SAMPLES).map(|number| {
        rest();
        heard(&|| {
            let path = format!("asked/p/app{number}");
            assert!(command(&host.dir).args(["start", &path]).output().unwrap().status.success());
        })
    });
    report("dcm start in another process until the app runs", by_program.collect(), "aim 50 ms");
}

/// Lets the manager fall asleep again: a command seldom comes right after another.
fn rest() {
    std::thread::sleep(Duration::from_millis(150));
}

/// A manager that is killed, and its successor.
fn adoption(host: &mut Host) {
    let running = "SELECT count(*) FROM runtime WHERE end_time IS NULL AND app_id IN (SELECT app FROM apps WHERE app_group = 'due')";
    host.until(running, i64::try_from(RUNNING).unwrap());
    let before = host.pids();
    let mut manager = host.manager.take().unwrap();
    manager.kill().unwrap();
    manager.wait().unwrap();
    let elapsed = host.start_manager();
    println!("kill -9, then a new manager has taken up {RUNNING} running apps: {} (aim 5 s)", show(elapsed));
    assert_eq!(before, host.pids());
}

fn report(what: &str, mut times: Vec<Duration>, aim: &str) {
    times.sort();
    let at = |share: usize| show(times[(times.len() - 1) * share / 100]);
    println!("{what}: median {}, 95 % {}, most {} ({aim} at the median)", at(50), at(95), at(100));
}

fn show(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1000.0)
}

fn kill(pid: u32) {
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid.cast_signed()), nix::sys::signal::SIGKILL).unwrap();
}

/// Processor time so far, in hundredths of a second.
fn ticks(place: impl std::fmt::Display) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{place}/stat")).unwrap();
    let fields: Vec<_> = stat.rsplit_once(')').unwrap().1.split_ascii_whitespace().collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

fn parent(pid: u32) -> u32 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    stat.rsplit_once(')').unwrap().1.split_ascii_whitespace().nth(1).unwrap().parse().unwrap()
}

fn kib(pid: u32, file: &str, field: &str) -> f64 {
    let text = fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap();
    let line = text.lines().find(|line| line.starts_with(field)).unwrap();
    line.split_ascii_whitespace().nth(1).unwrap().parse().unwrap()
}
