//! The figures of commands by RabbitMQ: `cargo bench --bench broker`. Manager, app and a server of its own are on one host,
//! and the database is an embedded one.
#![expect(clippy::unwrap_used, reason = "a measurement that cannot go on ends")]
#![expect(clippy::disallowed_methods, reason = "what is measured is time, on a host that is not suspended")]
#![expect(clippy::print_stdout, reason = "the figures are what it is for")]

use std::fs;
use std::io::Read as _;
use std::time::{Duration, Instant};

use dcm::broker::{Broker, COMMANDS, Message, Published, TO_ALL, queue_of};
use dcm::store::{OpenMode, OperatorStore as _, SqliteStore};

#[path = "../tests/it/rabbit.rs"]
#[expect(dead_code, reason = "the tests use more of it")]
mod rabbit;

mod host;

use host::{Manager, dcm};

/// How often each way is measured.
const SAMPLES: usize = 60;

/// Messages of a batch, and batches.
const BATCH: usize = 1000;
const BATCHES: usize = 20;

fn main() {
    // `cargo test --benches` only wants to know that it builds.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let host = rabbit::Host::new();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(batches(&host));
    runtime.block_on(commands(&host));
}

/// How fast messages are published and confirmed.
async fn batches(host: &rabbit::Host) {
    let broker =
        Broker::start(dcm::broker::BrokerSettings { url: host.url().parse().unwrap(), roots: None }, "bench");
    broker.until_open().await.unwrap();
    broker.ensure_queue("documents", lapin::types::FieldTable::default()).await.unwrap();
    let begin = Instant::now();
    for round in 0..BATCHES {
        let message = |n| Message::to_queue("documents", &format!("{round}-{n}"), vec![b'x'; 300]);
        let batch: Vec<_> = (0..BATCH).map(message).collect();
        let published = broker.publish(&batch).await;
        assert!(published.iter().all(|published| *published == Published::Confirmed));
    }
    let each = begin.elapsed() / u32::try_from(BATCHES * BATCH).unwrap();
    println!("published and confirmed, {BATCH} at a time: {} a second", 1_000_000 / each.as_micros().max(1));
}

/// From the order until the process runs: by a message, and by the database.
async fn commands(host: &rabbit::Host) {
    let dir = tempfile::tempdir().unwrap();
    let pipe = dir.path().join("go");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
    dcm(dir.path(), &host.url(), &["db", "migrate"]);
    let script = format!("echo > {}", pipe.display());
    for way in ["message", "sql"] {
        for number in 0..SAMPLES {
            dcm(
                dir.path(),
                &host.url(),
                &["app", "add", &format!("{way}/p/n{number}"), "--enable", "--", "sh", "-c", &script],
            );
        }
    }
    let manager = Manager::start(dir.path(), &host.url());
    let client = host.connect().await;
    let store = SqliteStore::open(&dir.path().join("state/dcm.db"), OpenMode::Existing).unwrap();
    let name = loop {
        match store.managers().await.unwrap().first() {
            Some(row) => break row.name.clone(),
            None => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    };
    client.until_consumed(&queue_of(&name)).await;
    let heard = || {
        let pipe = pipe.clone();
        std::thread::spawn(move || {
            fs::File::open(pipe).unwrap().read_exact(&mut [0]).unwrap();
            Instant::now()
        })
    };
    let (mut by_message, mut by_sql) = (Vec::new(), Vec::new());
    let sql = rusqlite::Connection::open(dir.path().join("state/dcm.db")).unwrap();
    sql.busy_timeout(Duration::from_secs(10)).unwrap();
    for number in 0..SAMPLES {
        tokio::time::sleep(Duration::from_millis(150)).await;
        let reader = heard();
        let begin = Instant::now();
        let order = serde_json::json!({
            "id": uuid::Uuid::new_v4().to_string(), "app": format!("message/p/n{number}"), "command": "START",
        });
        client
            .publish(COMMANDS, TO_ALL, order.to_string().as_bytes(), lapin::BasicProperties::default())
            .await;
        by_message.push(reader.join().unwrap() - begin);
        tokio::time::sleep(Duration::from_millis(150)).await;
        let reader = heard();
        let begin = Instant::now();
        sql.execute(
            "UPDATE apps SET cmd_name = 1, cmd_flag = 0, cmd_by = 'bench' WHERE app_group = 'sql' AND app_name = ?1",
            [format!("n{number}")],
        )
        .unwrap();
        by_sql.push(reader.join().unwrap() - begin);
    }
    report("START by a message until the app runs", by_message, "aim 20 ms");
    report("START by SQL until the app runs", by_sql, "aim 50 ms");
    drop(manager);
}

fn report(what: &str, mut times: Vec<Duration>, aim: &str) {
    times.sort();
    let at =
        |share: usize| format!("{:.1} ms", times[(times.len() - 1) * share / 100].as_secs_f64() * 1000.0);
    println!("{what}: median {}, 95 % {}, most {} ({aim} at the median)", at(50), at(95), at(100));
}
