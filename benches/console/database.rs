//! What one console costs a PostgreSQL server: 10,000 apps, of which 2 % change each second.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use portable_pty::{CommandBuilder, native_pty_system};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, Row as _};

use crate::postgres::Schema;

const APPS: usize = 10_000;

/// So long is looked at each state.
const SECONDS: u32 = 10;

/// On the server of `DCM_TEST_POSTGRES`, which must be reached by TCP: what is asked is counted on the way.
pub(crate) fn measure() {
    if !std::env::var("DCM_TEST_POSTGRES").is_ok_and(|url| url.contains('@')) {
        println!("DCM_TEST_POSTGRES names no server: what a console costs one is not measured");
        return;
    }
    let schema = Schema::new();
    let dir = tempfile::tempdir().unwrap();
    let mut migrate = Command::new(env!("CARGO_BIN_EXE_dcm"));
    migrate
        .env("DC_STATE_DIR", dir.path())
        .env("DC_CONFIG", "/dev/null")
        .env("DC_DATABASE_URL", schema.url());
    assert!(migrate.args(["db", "migrate"]).stdout(Stdio::null()).status().unwrap().success());
    let sql = |sql: &str| number(schema.url(), sql);
    sql(&format!(
        "WITH made AS (INSERT INTO apps (app_group, app_parent, app_name, task_size, solved) SELECT 'g' || number % 12, \
         'p' || number % 120, 'n' || number, 100000, 1000 FROM generate_series(1, {APPS}) AS number RETURNING 1) \
         SELECT count(*) FROM made"
    ));
    sql("WITH made AS (INSERT INTO managers (name, host, pid, version, started, heartbeat) \
         VALUES ('only', 'host', 1, '0.1.0', now(), now() + interval '1 hour') RETURNING 1) SELECT count(*) FROM made");
    let meter = Meter::default();
    let through = meter.put_before(schema.url());
    let pty = native_pty_system().openpty(super::live::SIZE).unwrap();
    let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_dcm"));
    command.arg("--client");
    command.env("DC_STATE_DIR", dir.path());
    command.env("XDG_STATE_HOME", dir.path());
    command.env("DC_CONFIG", "/dev/null");
    // What is encrypted cannot be counted.
    command.env("DC_DATABASE_URL", format!("{through}&sslmode=disable"));
    command.env("TERM", "xterm-256color");
    let mut console = pty.slave.spawn_command(command).unwrap();
    let mut reader = pty.master.try_clone_reader().unwrap();
    std::thread::spawn(move || std::io::copy(&mut reader, &mut std::io::sink()));
    let mut keys = pty.master.take_writer().unwrap();
    let look = |what: &str, changes: bool| {
        std::thread::sleep(Duration::from_secs(6));
        let before = meter.read(schema.url());
        for second in 0..SECONDS {
            if changes {
                sql(&format!(
                    "WITH changed AS (UPDATE apps SET solved = solved + 7 WHERE ('x' || right(app, 4))::bit(16)::int % 50 = {second} \
                     RETURNING 1) SELECT count(*) FROM changed"
                ));
            }
            std::thread::sleep(Duration::from_secs(1));
        }
        let after = meter.read(schema.url());
        #[expect(clippy::cast_precision_loss, reason = "these are small numbers")]
        let each = |at: usize| (after[at] - before[at]) as f64 / f64::from(SECONDS);
        println!(
            "  {what}: {:.1} transactions a second (1), {:.1} ms of the server (5), {:.1} kB/s (64)",
            each(0),
            each(1) * 10.0,
            each(2) / 1000.0
        );
    };
    println!("{APPS} apps, a client of PostgreSQL");
    look("nothing changes", false);
    look("2 % change each second", true);
    keys.write_all(b"\x1b[O").unwrap();
    keys.flush().unwrap();
    look("2 % change and the terminal has no focus", true);
    console.kill().unwrap();
    console.wait().unwrap();
}

fn number(url: &str, sql: &str) -> i64 {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut connection = PgConnection::connect(url).await.unwrap();
        let row = sqlx::query(AssertSqlSafe(sql.to_owned())).fetch_one(&mut connection).await.unwrap();
        let number = row.get(0);
        connection.close().await.unwrap();
        number
    })
}

/// Passes everything on to the server and counts it.
#[derive(Default)]
struct Meter {
    transactions: Arc<AtomicU64>,
    bytes: Arc<AtomicU64>,
    /// By which the server knows the connections.
    ports: Arc<Mutex<Vec<u16>>>,
}

impl Meter {
    /// Gives the address by which the server is reached through it.
    fn put_before(&self, url: &str) -> String {
        let place = url.split_once("://").unwrap().1.split(['/', '?']).next().unwrap();
        let host = place.rsplit('@').next().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let through = url.replacen(host, &listener.local_addr().unwrap().to_string(), 1);
        let server = if host.contains(':') { host.to_owned() } else { format!("{host}:5432") };
        let Self { transactions, bytes, ports } = self;
        let (transactions, bytes, ports) = (Arc::clone(transactions), Arc::clone(bytes), Arc::clone(ports));
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let (client, upstream) = (client.unwrap(), TcpStream::connect(&server).unwrap());
                ports.lock().unwrap().push(upstream.local_addr().unwrap().port());
                let (back, answers) = (client.try_clone().unwrap(), upstream.try_clone().unwrap());
                pass(client, upstream, Arc::clone(&bytes), Some(Arc::clone(&transactions)));
                pass(answers, back, Arc::clone(&bytes), None);
            }
        });
        through
    }

    /// Transactions, hundredths of a second of the server's processes, bytes; so far.
    fn read(&self, url: &str) -> [u64; 3] {
        let ticks = |port: &u16| {
            let sql = format!(
                "SELECT coalesce(max(pid), 0)::bigint FROM pg_stat_activity WHERE client_port = {port}"
            );
            let stat =
                std::fs::read_to_string(format!("/proc/{}/stat", number(url, &sql))).unwrap_or_default();
            let fields: Vec<_> = stat.rsplit(')').next().unwrap().split_ascii_whitespace().collect();
            [11, 12].iter().filter_map(|at| fields.get(*at)?.parse::<u64>().ok()).sum::<u64>()
        };
        let ticks = self.ports.lock().unwrap().iter().map(ticks).sum();
        [self.transactions.load(Ordering::Relaxed), ticks, self.bytes.load(Ordering::Relaxed)]
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, bytes: Arc<AtomicU64>, begun: Option<Arc<AtomicU64>>) {
    std::thread::spawn(move || {
        let mut buffer = [0; 16384];
        while let Ok(length @ 1..) = from.read(&mut buffer) {
            bytes.fetch_add(length as u64, Ordering::Relaxed);
            // Each is a transaction of its own, begun in one message.
            if let Some(begun) = &begun {
                let count = buffer[..length].windows(6).filter(|bytes| *bytes == b"BEGIN ").count();
                begun.fetch_add(count as u64, Ordering::Relaxed);
            }
            if to.write_all(&buffer[..length]).is_err() {
                return;
            }
        }
    });
}
