//! A PostgreSQL server for tests: the one of `DCM_TEST_POSTGRES` (a URL), or a cluster of its own
//! from the packages of the system, which ends with the test program.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use dcm::model::{AppId, CmdName, CommandSource, NewCommand, parse_timestamp};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, Row as _};
use tokio::time::Instant;

use crate::fleet::PATIENCE;

/// An empty schema; it is dropped with this.
pub(crate) struct Schema {
    name: String,
    url: String,
}

impl Schema {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("t{}_{number}", std::process::id());
        admin(&format!("CREATE SCHEMA {name}"));
        let url = with(server(), &format!("options=-c%20search_path%3D{name}"));
        Self { name, url }
    }

    /// The URL by which the schema is the current one.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// The URL of the same place for another user.
    pub(crate) fn url_of(&self, user: &str, password: &str) -> String {
        with(&self.url, &format!("user={user}&password={password}"))
    }

    /// Does as any other program might.
    pub(crate) fn sql(&self, sql: &str) {
        run(&self.url, sql);
    }

    /// The only number that a query gives; from within a test's own event loop, too.
    pub(crate) fn number(&self, sql: &str) -> i64 {
        std::thread::scope(|scope| scope.spawn(|| number(&self.url, sql)).join().unwrap())
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }
}

impl Drop for Schema {
    fn drop(&mut self) {
        admin(&format!("DROP SCHEMA {} CASCADE", self.name));
    }
}

/// Runs statements outside of any test's schema.
pub(crate) fn admin(sql: &str) {
    run(server(), sql);
}

/// The URL of the server's own database.
pub(crate) fn server_url() -> &'static str {
    server()
}

/// A URL with more parameters.
pub(crate) fn with(url: &str, parameters: &str) -> String {
    format!("{url}{}{parameters}", if url.contains('?') { '&' } else { '?' })
}

/// Asks until there is an answer.
pub(crate) async fn until<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Waits for a word in a file.
pub(crate) fn until_said(path: &Path, word: &str) {
    let said = async || std::fs::read_to_string(path).ok().filter(|text| text.contains(word)).map(drop);
    block_on(until(word, said));
}

/// START of `a/b/c`.
pub(crate) fn command() -> NewCommand {
    NewCommand {
        app: AppId::of(&"a/b/c".parse().unwrap()),
        name: CmdName::Start,
        args: None,
        by: "ana".to_owned(),
        source: CommandSource::Cli,
        time: parse_timestamp("2026-01-01T00:00:00Z").unwrap(),
        expires: None,
        batch: None,
        note: None,
    }
}

pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

fn run(url: &str, sql: &str) {
    block_on(async {
        let mut connection = PgConnection::connect(url).await.unwrap();
        sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    });
}

fn number(url: &str, sql: &str) -> i64 {
    block_on(async {
        let mut connection = PgConnection::connect(url).await.unwrap();
        let row = sqlx::query(AssertSqlSafe(sql.to_owned())).fetch_one(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        row.get(0)
    })
}

fn server() -> &'static str {
    static SERVER: OnceLock<(String, Option<Cluster>)> = OnceLock::new();
    let (url, _) = SERVER.get_or_init(|| match std::env::var("DCM_TEST_POSTGRES") {
        Ok(url) => (url, None),
        Err(_) => {
            let cluster = Cluster::new();
            (cluster.url(), Some(cluster))
        }
    });
    url
}

/// A server of its own, with `dcm` for its superuser, that ends with the test program.
pub(crate) struct Cluster {
    folder: PathBuf,
    is_root: bool,
    port: u16,
    /// Its input is closed when this program ends, however it ends: then the cluster is stopped and
    /// removed.
    ends_with: Option<Child>,
}

impl Cluster {
    /// A server that listens on a socket only and lets everybody in.
    pub(crate) fn new() -> Self {
        let mut cluster = Self::prepared();
        cluster.set("fsync = off\nfull_page_writes = off\nmax_connections = 100\nlisten_addresses = ''\n");
        cluster.begin();
        cluster
    }

    /// A server that listens on a port of this host as well, where only `hba` says who may come in.
    pub(crate) fn on_a_port(settings: &str, hba: &str, files: &[(&str, &Path)]) -> Self {
        let mut cluster = Self::prepared();
        cluster.port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let port = cluster.port;
        cluster.set(&format!("port = {port}\nlisten_addresses = '127.0.0.1'\nfsync = off\n{settings}\n"));
        for (name, file) in files {
            std::fs::copy(file, cluster.folder.join("data").join(name)).unwrap();
        }
        let hba = format!("local all all trust\n{hba}\n");
        std::fs::write(cluster.folder.join("data/pg_hba.conf"), hba).unwrap();
        cluster.hand_over();
        cluster.begin();
        cluster
    }

    /// A standby of a server.
    pub(crate) fn standby_of(primary: &Self) -> Self {
        let mut cluster = Self::empty();
        let (data, sockets) = (cluster.data(), primary.folder.join("sock").display().to_string());
        let arguments = ["-D", &data, "-h", &sockets, "-U", "dcm", "-R", "-c", "fast", "--no-sync"];
        cluster.run("pg_basebackup", &arguments);
        cluster.begin();
        cluster
    }

    /// A folder that belongs to the server's user.
    pub(crate) fn folder(&self, name: &str) -> PathBuf {
        let path = self.folder.join(name);
        std::fs::create_dir_all(&path).unwrap();
        self.hand_over();
        path
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Where its socket is.
    pub(crate) fn sockets(&self) -> PathBuf {
        self.folder.join("sock")
    }

    /// Files of a server that was not started yet.
    pub(crate) fn prepared() -> Self {
        let cluster = Self::empty();
        let data = cluster.data();
        cluster.run("initdb", &["-D", &data, "-U", "dcm", "--auth=trust", "--no-sync", "-E", "UTF8"]);
        cluster
    }

    fn empty() -> Self {
        let folder = tempfile::Builder::new().prefix("dcm-pg-").tempdir().unwrap().keep();
        std::fs::create_dir(folder.join("sock")).unwrap();
        // The server refuses to run as root.
        let is_root = nix::unistd::Uid::effective().is_root();
        let cluster = Self { folder, is_root, port: 5432, ends_with: None };
        cluster.hand_over();
        cluster
    }

    /// What this program made in the folder is the server's.
    fn hand_over(&self) {
        if self.is_root {
            let done = Command::new("chown").args(["-R", "postgres:"]).arg(&self.folder).status().unwrap();
            assert!(done.success());
        }
    }

    pub(crate) fn data(&self) -> String {
        self.folder.join("data").display().to_string()
    }

    /// A program of the server, as its user.
    pub(crate) fn command(&self, program: impl AsRef<Path>) -> Command {
        let program = programs().join(program);
        let mut command = if self.is_root {
            let mut command = Command::new("setpriv");
            command.args(["--reuid", "postgres", "--regid", "postgres", "--clear-groups"]).arg(program);
            command
        } else {
            Command::new(program)
        };
        command.current_dir("/").env("LC_ALL", "C.UTF-8");
        command
    }

    fn run(&self, program: &str, arguments: &[&str]) {
        let done = self.command(program).args(arguments).output().unwrap();
        assert!(done.status.success(), "{program}: {}", String::from_utf8_lossy(&done.stderr));
    }

    /// Adds settings.
    pub(crate) fn set(&self, lines: &str) {
        let mut file =
            std::fs::File::options().append(true).open(self.folder.join("data/postgresql.conf")).unwrap();
        file.write_all(lines.as_bytes()).unwrap();
    }

    /// Starts it, also after it was stopped.
    pub(crate) fn begin(&mut self) {
        let sockets = self.folder.join("sock").display().to_string();
        self.set(&format!("unix_socket_directories = '{sockets}'\n"));
        self.start();
        // It goes on reading until this program is gone; no shell trick would see a kill.
        let mut stop = self.command("pg_ctl");
        stop.args(["-D", &self.data(), "-m", "immediate", "-w", "-s", "stop"]);
        let arguments: Vec<_> = stop.get_args().map(|text| text.to_string_lossy().into_owned()).collect();
        let end = Command::new("sh")
            .args(["-c", "cat >/dev/null; folder=$1; shift; \"$@\"; rm -rf \"$folder\"", "sh"])
            .arg(&self.folder)
            .arg(stop.get_program())
            .args(arguments)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        self.ends_with = Some(end);
    }

    /// Starts it once more.
    pub(crate) fn start(&self) {
        let log = self.folder.join("log");
        let done = self
            .command("pg_ctl")
            .args(["-D", &self.data(), "-w", "-t", "60", "-s", "start", "-l"])
            .arg(&log)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .unwrap();
        assert!(done.success(), "pg_ctl: {}", std::fs::read_to_string(&log).unwrap_or_default());
    }

    /// As a crash would end it.
    pub(crate) fn stop(&self) {
        self.run("pg_ctl", &["-D", &self.data(), "-m", "immediate", "-w", "-s", "stop"]);
    }

    /// The URL of its superuser.
    pub(crate) fn url(&self) -> String {
        self.url_of("dcm", "postgres")
    }

    pub(crate) fn url_of(&self, user: &str, database: &str) -> String {
        let sockets = self.folder.join("sock");
        format!("postgres:///{database}?host={}&port={}&user={user}", sockets.display(), self.port)
    }

    /// Runs a script of `psql` as its superuser.
    pub(crate) fn psql(&self, database: &str, script: &str) -> String {
        let mut psql = self.command("psql");
        psql.args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-U", "dcm", "-d", database]);
        psql.args(["-p", &self.port.to_string(), "-h"]);
        psql.arg(self.folder.join("sock"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut running = psql.spawn().unwrap();
        running.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
        let done = running.wait_with_output().unwrap();
        assert!(done.status.success(), "psql: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).unwrap()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        match self.ends_with.take() {
            Some(mut end) => {
                drop(end.stdin.take());
                let _ = end.wait();
            }
            None => drop(std::fs::remove_dir_all(&self.folder)),
        }
    }
}

/// Where the newest server's programs are.
fn programs() -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut found: Vec<(u32, PathBuf)> = versions
        .filter_map(|entry| {
            let number = entry.file_name().to_str()?.parse().ok()?;
            Some((number, entry.path().join("bin")))
        })
        .filter(|(_, path)| path.join("initdb").exists())
        .collect();
    found.sort();
    let newest = found.pop().map(|(_, path)| path);
    newest.or_else(|| on_path("initdb")).expect(
        "install postgresql (15 or newer), or name a server by DCM_TEST_POSTGRES=postgres://USER@HOST/DATABASE",
    )
}

/// The folder of PATH that has a program.
pub(crate) fn on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).find(|folder| Path::new(folder).join(program).exists())
}
