//! A PostgreSQL server for tests: the one of `DCM_TEST_POSTGRES` (a URL), or a cluster of its own
//! from the packages of the system, which ends with the test program.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

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
        let url = with(&server().url, &format!("options=-c%20search_path%3D{name}"));
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
    run(&server().url, sql);
}

/// The URL of the server's own database.
pub(crate) fn server_url() -> &'static str {
    &server().url
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

fn run(url: &str, sql: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut connection = PgConnection::connect(url).await.unwrap();
        sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    });
}

fn number(url: &str, sql: &str) -> i64 {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut connection = PgConnection::connect(url).await.unwrap();
        let row = sqlx::query(AssertSqlSafe(sql.to_owned())).fetch_one(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        row.get(0)
    })
}

struct Server {
    url: String,
    /// Its input is closed when this program ends, however it ends: then the cluster is stopped and
    /// removed.
    _ends_with: Option<Child>,
}

fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| match std::env::var("DCM_TEST_POSTGRES") {
        Ok(url) => Server { url, _ends_with: None },
        Err(_) => start(),
    })
}

fn start() -> Server {
    let programs = programs();
    let folder = tempfile::Builder::new().prefix("dcm-pg-").tempdir().unwrap().keep();
    let sockets = folder.join("sock");
    std::fs::create_dir(&sockets).unwrap();
    // The server refuses to run as root.
    let is_root = nix::unistd::Uid::effective().is_root();
    if is_root {
        assert!(Command::new("chown").args(["-R", "postgres:"]).arg(&folder).status().unwrap().success());
    }
    let command = |program: &str| {
        let program = programs.join(program);
        let mut command = if is_root {
            let mut command = Command::new("setpriv");
            command.args(["--reuid", "postgres", "--regid", "postgres", "--clear-groups"]).arg(program);
            command
        } else {
            Command::new(program)
        };
        command.current_dir("/").env("LC_ALL", "C.UTF-8");
        command
    };
    let done = command("initdb")
        .arg("-D")
        .arg(folder.join("data"))
        .args(["-U", "dcm", "--auth=trust", "--no-sync", "-E", "UTF8"])
        .output()
        .unwrap();
    assert!(done.status.success(), "initdb: {}", String::from_utf8_lossy(&done.stderr));
    let options = format!(
        "-k {} -c listen_addresses= -c fsync=off -c full_page_writes=off -c max_connections=100",
        sockets.display()
    );
    let done = command("pg_ctl")
        .arg("-D")
        .arg(folder.join("data"))
        .args(["-w", "-t", "60", "-s", "-o", &options, "start", "-l"])
        .arg(folder.join("log"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .unwrap();
    let log = || std::fs::read_to_string(folder.join("log")).unwrap_or_default();
    assert!(done.success(), "pg_ctl: {}", log());
    // It goes on reading until this program is gone; no shell trick would see a kill.
    let mut stop = command("pg_ctl");
    stop.arg("-D").arg(folder.join("data")).args(["-m", "immediate", "-w", "-s", "stop"]);
    let arguments: Vec<_> = stop.get_args().map(|text| text.to_string_lossy().into_owned()).collect();
    let end = Command::new("sh")
        .args(["-c", "cat >/dev/null; folder=$1; shift; \"$@\"; rm -rf \"$folder\"", "sh"])
        .arg(&folder)
        .arg(stop.get_program())
        .args(arguments)
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let url = format!("postgres:///postgres?host={}&user=dcm", sockets.display());
    Server { url, _ends_with: Some(end) }
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

fn on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).find(|folder| Path::new(folder).join(program).exists())
}
