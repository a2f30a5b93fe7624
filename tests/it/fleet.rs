//! A fleet of its own for each test: a state directory, the real program, a real manager.

use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use dcm::model::{AppId, AppPath, AppRow, Registered, Run};
use dcm::store::{HistoryQuery, OpenMode, OperatorStore as _, SqliteStore, read_fleet};
use tempfile::TempDir;
use tokio::time::{Instant, timeout_at};

/// How long anything may take on a machine that does much else.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A state directory with its database and, most of the time, a manager.
pub(crate) struct Fleet {
    pub(crate) dir: TempDir,
    manager: Option<Child>,
    pub(crate) environment: Vec<(String, String)>,
    database: PathBuf,
    /// What a shell does before it becomes the manager.
    limits: Option<String>,
}

/// What a call of the program gave back.
#[derive(Debug)]
pub(crate) struct Called {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Fleet {
    /// An empty database and no manager.
    pub(crate) fn new() -> Self {
        let fleet = Self::bare();
        fleet.dcm(&["db", "migrate"]).ok();
        fleet
    }

    /// A directory and nothing in it.
    pub(crate) fn bare() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let database = dir.path().join("state/dcm.db");
        Self { dir, manager: None, environment: Vec::new(), database, limits: None }
    }

    /// An empty database and a manager that serves it.
    pub(crate) fn with_manager() -> Self {
        let mut fleet = Self::new();
        fleet.start_manager();
        fleet
    }

    /// A variable of the environment of everything that is called from now on.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.environment.push((name.to_owned(), value.to_owned()));
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.database.clone()
    }

    /// Says where the database is, if not in the state directory.
    pub(crate) fn at_database(&mut self, database: PathBuf) {
        self.database = database;
    }

    /// The manager may have at most so many open files.
    pub(crate) fn limit_descriptors(&mut self, limit: u64) {
        self.limit(&format!("ulimit -n {limit}"));
    }

    /// What a shell is to do before it becomes the manager.
    pub(crate) fn limit(&mut self, script: &str) {
        self.limits = Some(script.to_owned());
    }

    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dcm"));
        command.env("DC_STATE_DIR", self.state()).env("DC_CONFIG", "/dev/null").env_remove("DC_DATABASE_URL");
        command.envs(self.environment.iter().cloned()).current_dir(self.dir.path());
        command
    }

    /// A script of tests/apps, in the same environment.
    pub(crate) fn python(&self, script: &str) -> Command {
        let mut command = Command::new("python3");
        command.arg(Self::script(script)).env("DC_STATE_DIR", self.state()).env("DC_CONFIG", "/dev/null");
        command.env("LC_ALL", "C.UTF-8").env("TERM", "xterm-256color").env("TMPDIR", self.dir.path());
        command.current_dir(self.dir.path());
        command
    }

    /// Calls the program.
    pub(crate) fn dcm(&self, arguments: &[&str]) -> Called {
        Called::from(self.command().args(arguments).stdin(Stdio::null()).output().unwrap())
    }

    /// Registers an enabled app that runs a program.
    pub(crate) fn add(&self, path: &str, options: &[&str], argv: &[&str]) {
        let arguments: Vec<_> = ["app", "add", path, "--enable"]
            .iter()
            .chain(options)
            .chain(&["--"])
            .chain(argv)
            .copied()
            .collect();
        self.dcm(&arguments).ok();
    }

    pub(crate) fn start_manager(&mut self) {
        assert!(self.manager.is_none(), "one manager a fleet");
        let log = std::fs::File::create(self.dir.path().join("manager.log")).unwrap();
        let mut command = match &self.limits {
            None => self.command(),
            Some(script) => self.limited(script),
        };
        let child =
            command.arg("--headless").stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap();
        let pid = child.id();
        self.manager = Some(child);
        self.ask(async |store| {
            wait(store, "the manager to say that it lives", async |store| {
                let managers = store.managers().await.ok()?;
                managers.iter().find(|row| row.pid == pid && row.stopped.is_none()).map(drop)
            })
            .await;
        });
    }

    fn limited(&self, script: &str) -> Command {
        let dcm = self.command();
        let mut command = Command::new("sh");
        command.args(["-c", &format!("{script}; exec \"$0\" \"$@\"")]).arg(dcm.get_program());
        for (name, value) in dcm.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command.current_dir(self.dir.path());
        command
    }

    /// As a power cut would: no last word.
    pub(crate) fn kill_manager(&mut self) {
        let mut manager = self.manager.take().expect("there is a manager");
        manager.kill().unwrap();
        manager.wait().unwrap();
    }

    /// In order.
    pub(crate) fn stop_manager(&mut self) {
        let mut manager = self.manager.take().expect("there is a manager");
        send_signal(manager.id(), libc::SIGTERM);
        assert!(manager.wait().unwrap().success());
    }

    pub(crate) fn manager_pid(&self) -> u32 {
        self.manager.as_ref().expect("there is a manager").id()
    }

    pub(crate) fn manager_log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("manager.log")).unwrap_or_default()
    }

    /// Works with the database as a console does.
    pub(crate) fn ask<T>(&self, work: impl AsyncFnOnce(&SqliteStore) -> T) -> T {
        let store = SqliteStore::open(&self.database(), OpenMode::Existing).unwrap();
        runtime().block_on(work(&store))
    }

    /// Waits until the row of an app is as asked for; each change of the database is an occasion to
    /// look.
    pub(crate) fn until(&self, path: &str, what: &str, is_so: impl Fn(&AppRow) -> bool) -> AppRow {
        let id = id(path);
        self.ask(async |store| {
            wait(store, &format!("{path}: {what}"), async |store| {
                let (rows, _) = read_fleet(store).await.ok()?;
                rows.into_iter().find_map(|row| match row {
                    Registered::App(row) if row.app.id == id && is_so(&row) => Some(*row),
                    Registered::App(_) | Registered::SetAside(_) => None,
                })
            })
            .await
        })
    }

    /// Waits until at least this many apps have a process, and names one of them.
    pub(crate) fn until_running(&self, least: usize) -> String {
        self.ask(async |store| {
            wait(store, &format!("{least} apps to run"), async |store| {
                let (rows, _) = read_fleet(store).await.ok()?;
                let running = rows.iter().map(Registered::row).filter(|row| row.state.pid.is_some());
                let paths: Vec<_> = running.map(|row| row.app.path.to_string()).collect();
                paths.first().filter(|_| paths.len() >= least).cloned()
            })
            .await
        })
    }

    /// Waits until the runs of an app, newest first, are as asked for.
    pub(crate) fn until_runs(&self, path: &str, what: &str, is_so: impl Fn(&[Run]) -> bool) -> Vec<Run> {
        self.ask(async |store| {
            wait(store, &format!("{path}: {what}"), async |store| {
                Some(runs_of(store, path).await).filter(|runs| is_so(runs))
            })
            .await
        })
    }

    pub(crate) fn app(&self, path: &str) -> AppRow {
        self.until(path, "is registered", |_| true)
    }

    pub(crate) fn runs(&self, path: &str) -> Vec<Run> {
        self.ask(async |store| runs_of(store, path).await)
    }

    /// The lines of an app's latest run.
    pub(crate) fn log(&self, path: &str) -> String {
        self.dcm(&["logs", path, "-n", "100000"]).ok().out
    }

    /// Writes to the database as any other program does.
    pub(crate) fn sql(&self, statement: &str) {
        let connection = rusqlite::Connection::open(self.database()).unwrap();
        connection.busy_timeout(PATIENCE).unwrap();
        connection.execute_batch(statement).unwrap();
    }

    pub(crate) fn query(&self, sql: &str) -> Vec<Vec<rusqlite::types::Value>> {
        let connection = rusqlite::Connection::open(self.database()).unwrap();
        let mut statement = connection.prepare(sql).unwrap();
        let columns = statement.column_count();
        let rows =
            statement.query_map([], |row| (0..columns).map(|column| row.get(column)).collect()).unwrap();
        rows.collect::<Result<_, _>>().unwrap()
    }

    /// Waits until a query gives this.
    pub(crate) fn until_query(&self, sql: &str, expected: &str) {
        self.until_query_within(PATIENCE, sql, expected);
    }

    /// The same for what takes its time by itself.
    pub(crate) fn until_query_within(&self, patience: Duration, sql: &str, expected: &str) {
        let deadline = std::time::Instant::now() + patience;
        loop {
            let found = format!("{:?}", self.query(sql));
            if found == expected {
                return;
            }
            assert!(std::time::Instant::now() < deadline, "{sql} gives {found}, not {expected}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// A script of tests/apps.
    pub(crate) fn script(name: &str) -> String {
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/apps").join(name).display().to_string()
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        if let Some(mut manager) = self.manager.take() {
            let _ = manager.kill();
            let _ = manager.wait();
        }
        let _ = self.command().args(["stop-apps", "--grace", "0"]).output();
        if std::thread::panicking() {
            let log = self.manager_log();
            let lines: Vec<_> = log.lines().collect();
            eprintln!(
                "the end of the manager's log:\n{}",
                lines[lines.len().saturating_sub(20)..].join("\n")
            );
        }
    }
}

impl From<Output> for Called {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

impl Called {
    /// It did what it was asked.
    #[track_caller]
    pub(crate) fn ok(self) -> Self {
        assert_eq!(self.code, 0, "{self:?}");
        self
    }

    /// It refused with this exit code and a message with these words.
    #[track_caller]
    pub(crate) fn refused(self, code: i32, words: &[&str]) -> Self {
        assert_eq!(self.code, code, "{self:?}");
        for word in words {
            assert!(self.err.contains(word), "{word:?} is not in {self:?}");
        }
        self
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

pub(crate) fn id(path: &str) -> AppId {
    AppId::of(&path.parse::<AppPath>().unwrap())
}

pub(crate) fn send_signal(pid: u32, signal: i32) {
    let pid = nix::unistd::Pid::from_raw(i32::try_from(pid).unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::try_from(signal).unwrap()).unwrap();
}

/// Whether the process lives; a zombie does not.
pub(crate) fn is_alive(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| {
        !matches!(stat.rsplit_once(')').unwrap().1.trim_start().chars().next(), Some('Z' | 'X'))
    })
}

/// Waits for the end of a process that is nobody's child here.
pub(crate) fn until_gone(pid: u32) {
    let deadline = std::time::Instant::now() + PATIENCE;
    while is_alive(pid) {
        assert!(std::time::Instant::now() < deadline, "process {pid} lives on");
        // There is no event for the end of another's child.
        std::thread::park_timeout(Duration::from_millis(2));
    }
}

pub(crate) async fn runs_of(store: &SqliteStore, path: &str) -> Vec<Run> {
    let query = HistoryQuery { apps: vec![id(path)], limit: 100_000, ..HistoryQuery::default() };
    store.history(query).await.unwrap()
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// Asks again after each change of the database.
pub(crate) async fn wait<T>(
    store: &SqliteStore,
    what: &str,
    mut ask: impl AsyncFnMut(&SqliteStore) -> Option<T>,
) -> T {
    let deadline = Instant::now() + PATIENCE;
    let mut changed = store.changed();
    loop {
        changed.mark_unchanged();
        if let Some(answer) = ask(store).await {
            return answer;
        }
        let waited = timeout_at(deadline, changed.changed()).await;
        assert!(waited.is_ok(), "waited in vain for {what}");
    }
}
