//! Commands by RabbitMQ, from the message to the process and back, through the real program and a real server.

use std::time::{Duration, Instant};

use dcm::broker::{COMMANDS, DEAD_COMMANDS, TO_ALL, queue_of};
use dcm::model::{CmdFlag, RunStatus};
use dcm::store::{LedgerQuery, OperatorStore as _};
use lapin::BasicProperties;
use serde_json::{Value, json};

use crate::fleet::Fleet;
use crate::postgres::block_on;
use crate::rabbit::{Client, Host, Server};

/// A broker is away for a minute before that is an alert.
const ALERT_WITHIN: Duration = Duration::from_secs(150);

/// A fleet whose manager has a broker.
fn fleet_at(url: &str) -> Fleet {
    let mut fleet = Fleet::new();
    fleet.set("DC_RABBITMQ_URL", url);
    fleet.start_manager();
    fleet
}

/// Works with the fleet from within a test's own event loop.
fn apart<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| scope.spawn(work).join().unwrap())
}

/// Waits until a query gives this text.
fn until_text(fleet: &Fleet, sql: &str, expected: &str) {
    fleet.until_query(sql, &format!("[[Text({expected:?})]]"));
}

fn manager_of(fleet: &Fleet) -> String {
    fleet.ask(async |store| store.managers().await.unwrap().remove(0).name)
}

/// Adds an app that runs until it is stopped; gives the name of the manager.
fn add_and_name(fleet: &Fleet) -> String {
    fleet.add("a/b/c", &[], &["sleep", "600"]);
    manager_of(fleet)
}

/// A client, once the manager takes commands.
async fn consumed(host: &Host, manager: &str) -> Client {
    let client = host.connect().await;
    client.until_consumed(&queue_of(manager)).await;
    client
}

fn order(id: &str, app: &str, command: &str) -> Value {
    json!({ "id": id, "app": app, "command": command, "args": {}, "issued_by": "ana" })
}

fn uuid() -> String {
    uuid::Uuid::new_v4().to_string()
}

/// Publishes a command, with a queue for the answer.
async fn publish(client: &Client, key: &str, body: &Value, replies: Option<&str>) {
    let mut properties = BasicProperties::default().with_correlation_id("mine".into());
    if let Some(queue) = replies {
        properties = properties.with_reply_to(queue.into());
    }
    client.publish(COMMANDS, key, body.to_string().as_bytes(), properties).await;
}

async fn answer(client: &Client, queue: &str) -> Value {
    let message = client.until_message(queue).await;
    assert_eq!(message.properties.correlation_id().as_ref().unwrap().as_str(), "mine");
    serde_json::from_slice(&message.data).unwrap()
}

/// The verdicts of the ledger, newest first.
fn ledger(fleet: &Fleet) -> Vec<(CmdFlag, String)> {
    let query = LedgerQuery { limit: 100, ..LedgerQuery::default() };
    let rows = apart(|| fleet.ask(async |store| store.ledger(query).await.unwrap()));
    rows.into_iter().map(|row| (row.flag, row.reason_text())).collect()
}

#[test]
fn a_command_is_executed_once_and_answered_as_often_as_it_comes() {
    let host = Host::new();
    let fleet = fleet_at(&host.url());
    let name = add_and_name(&fleet);
    block_on(async {
        let client = consumed(&host, &name).await;
        let replies = client.reply_queue().await;
        let id = uuid();
        let start = order(&id, "a/b/c", "START");
        publish(&client, TO_ALL, &start, Some(&replies)).await;
        let first = answer(&client, &replies).await;
        assert_eq!(first["verdict"], "EXECUTED", "{first}");
        assert_eq!(
            (&first["id"], &first["app"], &first["command"]),
            (&json!(id), &json!("a/b/c"), &json!("START"))
        );
        assert_eq!(first["reason"], Value::Null);
        let row = apart(|| fleet.app("a/b/c"));
        assert_eq!(row.state.status, RunStatus::Running);
        let command = row.command.unwrap();
        assert_eq!((command.by.as_deref(), command.flag), (Some("ana"), CmdFlag::Executed));
        let pid = row.state.pid;
        // The same message again, to all or to the manager itself.
        for key in [TO_ALL, name.as_str()] {
            publish(&client, key, &start, Some(&replies)).await;
            assert_eq!(answer(&client, &replies).await, first);
        }
        assert_eq!((apart(|| fleet.app("a/b/c")).state.pid, ledger(&fleet).len()), (pid, 1));
        // Another one is another command.
        publish(&client, &name, &order(&uuid(), "a/b/c", "START"), Some(&replies)).await;
        let second = answer(&client, &replies).await;
        assert_eq!(
            (&second["verdict"], &second["reason"]),
            (&json!("NOT_EXECUTED"), &json!("already running"))
        );
        // By the key of the app, and without anybody who waits.
        let key = dcm::model::AppId::of(&"a/b/c".parse().unwrap()).to_string();
        publish(&client, &name, &order(&uuid(), &key, "STOP"), None).await;
        apart(|| fleet.until("a/b/c", "is stopped", |row| row.state.status == RunStatus::Stopped));
        assert_eq!(client.depth(&queue_of(&name)).await.map(|(waiting, _)| waiting), Some(0));
    });
}

#[test]
fn what_cannot_be_carried_out_is_answered_and_what_is_no_command_is_put_away() {
    let host = Host::new();
    let fleet = fleet_at(&host.url());
    let name = add_and_name(&fleet);
    block_on(async {
        let client = consumed(&host, &name).await;
        let replies = client.reply_queue().await;
        publish(&client, &name, &order(&uuid(), "no/such/app", "START"), Some(&replies)).await;
        let unknown = answer(&client, &replies).await;
        assert_eq!(
            (&unknown["verdict"], &unknown["reason"]),
            (&json!("NOT_EXECUTED"), &json!("no such app"))
        );
        let mut late = order(&uuid(), "a/b/c", "START");
        late["expires_at"] = json!("2026-01-01T00:00:00Z");
        publish(&client, TO_ALL, &late, Some(&replies)).await;
        assert_eq!(answer(&client, &replies).await["reason"], "expired");
        assert_eq!(apart(|| fleet.app("a/b/c")).state.status, RunStatus::NotRunning);
        assert_eq!(ledger(&fleet).len(), 2);

        // No command of anybody: each is put away with its reason, and the next one is taken.
        let huge = json!({ "id": uuid(), "app": "a/b/c", "command": "START", "x": "y".repeat(70_000) });
        let huge = huge.to_string();
        let bodies = ["", "START", "[]", "{\"id\": 1}", &huge].map(str::as_bytes);
        for body in bodies.into_iter().chain([&b"\xff\x00"[..]]) {
            client.publish(COMMANDS, TO_ALL, body, BasicProperties::default()).await;
            let dead = client.until_message(DEAD_COMMANDS).await;
            assert_eq!(dead.data, body);
            let headers = dead.properties.headers().as_ref().unwrap().inner();
            assert!(headers.contains_key("x-dcm-reason"), "{headers:?}");
        }
        publish(&client, TO_ALL, &order(&uuid(), "a/b/c", "START"), Some(&replies)).await;
        assert_eq!(answer(&client, &replies).await["verdict"], "EXECUTED");
        // To all, for an app that nobody here has: a manager with another database would answer first.
        publish(&client, TO_ALL, &order(&uuid(), "no/such/app", "START"), Some(&replies)).await;
        publish(&client, TO_ALL, &order(&uuid(), "a/b/c", "STOP"), Some(&replies)).await;
        assert_eq!(answer(&client, &replies).await["command"], "STOP");
        assert_eq!(answer(&client, &replies).await["reason"], "no such app");
        assert_eq!(client.depth(DEAD_COMMANDS).await.map(|(waiting, _)| waiting), Some(0));
    });
    fleet.until_query("SELECT dead_letters FROM managers", "[[Integer(6)]]");
    fleet.dcm(&["managers"]).ok();
}

#[test]
fn an_answer_that_nobody_awaits_any_more_is_over() {
    let host = Host::new();
    let fleet = fleet_at(&host.url());
    let name = add_and_name(&fleet);
    block_on(async {
        let client = consumed(&host, &name).await;
        publish(&client, &name, &order(&uuid(), "a/b/c", "START"), Some("gone")).await;
    });
    until_text(
        &fleet,
        "SELECT last_error FROM deliveries WHERE given_up IS NOT NULL",
        "there is no queue gone (312 NO_ROUTE)",
    );
}

#[test]
fn the_command_line_sends_by_the_broker_and_waits_for_the_answers() {
    let host = Host::new();
    let mut fleet = fleet_at(&host.url());
    fleet.add("a/b/c", &[], &["sleep", "600"]);
    fleet.add("a/b/d", &[], &["sleep", "600"]);
    let name = manager_of(&fleet);
    block_on(async { host.connect().await.until_consumed(&queue_of(&name)).await });
    let said = fleet.dcm(&["start", "a/b", "--via", "rabbitmq", "--wait"]).ok().out;
    assert_eq!(said.matches("executed").count(), 2, "{said}");
    assert_eq!(fleet.app("a/b/d").state.status, RunStatus::Running);
    let source = "SELECT DISTINCT cmd_source FROM commands";
    until_text(&fleet, source, "rabbitmq");
    fleet.dcm(&["start", "a/b/c", "--via", "rabbitmq", "--wait"]).refused(75, &["already running"]);
    let rows = fleet.dcm(&["--json", "stop", "a/b/c", "--via=rabbitmq", "--wait"]).ok().json();
    assert_eq!(rows[0]["verdict"], "EXECUTED", "{rows}");
    let said = fleet.dcm(&["stop", "a/b/d", "--via", "rabbitmq"]).ok().out;
    assert!(said.ends_with("published\n"), "{said}");
    fleet.until("a/b/d", "is stopped", |row| row.state.status == RunStatus::Stopped);
    fleet.dcm(&["start", "x/y/z", "--via", "rabbitmq"]).refused(4, &["x/y/z"]);
    fleet.dcm(&["start", "a/b/c", "--via", "rabbitmq", "--args", "[1]"]).refused(2, &["JSON object"]);
    // Nobody is there who takes it.
    fleet.stop_manager();
    let entered = ledger(&fleet).len();
    fleet.dcm(&["start", "a/b/c", "--via", "rabbitmq", "--wait=1"]).refused(124, &["no verdict in time"]);
    // No broker: nothing is sent by another way.
    let nowhere = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    fleet.set("DC_RABBITMQ_URL", &format!("amqp://{nowhere}"));
    fleet
        .dcm(&["start", "a/b/c", "--via", "rabbitmq"])
        .refused(75, &["nothing was sent", "connection refused"]);
    fleet.set("DC_RABBITMQ_URL", "");
    fleet.dcm(&["start", "a/b/c", "--via", "rabbitmq"]).refused(75, &["no broker is set up"]);
    assert_eq!(ledger(&fleet).len(), entered);
    fleet.set("DC_RABBITMQ_URL", "amqp://mq.example.com/");
    fleet.dcm(&["status"]).refused(2, &["DC_RABBITMQ_URL", "guest"]);
}

#[test]
fn without_its_broker_a_manager_goes_on_and_says_so() {
    let mut server = Server::new("");
    let fleet = fleet_at(&server.url("/"));
    fleet.add("a/b/c", &[], &["sleep", "600"]);
    let queue = queue_of(&manager_of(&fleet));
    block_on(async { server.connect("/").await.until_consumed(&queue).await });
    until_text(&fleet, "SELECT broker FROM managers", "connected");
    // The queue is deleted, the consumer with it; both are made again.
    server.ctl(&["delete_queue", &queue]);
    block_on(async { server.connect("/").await.until_consumed(&queue).await });

    server.kill();
    fleet.until_query("SELECT broker LIKE 'away since %' FROM managers", "[[Integer(1)]]");
    let said = fleet.dcm(&["status"]).ok().err;
    assert!(said.contains("RabbitMQ is away for manager"), "{said}");
    assert!(fleet.dcm(&["managers"]).ok().out.contains("away"));
    fleet.dcm(&["start", "a/b/c", "--wait"]).ok();
    // After a minute it is an alert, which is over when the broker is back.
    let open = "SELECT count(*) FROM alerts WHERE kind = 'broker_away' AND app_id IS NULL AND closed IS NULL";
    fleet.until_query_within(ALERT_WITHIN, open, "[[Integer(1)]]");

    server.start();
    block_on(async {
        let client = server.connect("/").await;
        client.until_consumed(&queue).await;
        let replies = client.reply_queue().await;
        publish(&client, TO_ALL, &order(&uuid(), "a/b/c", "STOP"), Some(&replies)).await;
        assert_eq!(answer(&client, &replies).await["verdict"], "EXECUTED");
    });
    until_text(&fleet, "SELECT broker FROM managers", "connected");
    fleet.until_query(open, "[[Integer(0)]]");
    server.ctl(&["close_all_connections", "maintenance"]);
    block_on(async { server.connect("/").await.until_consumed(&queue).await });
}

#[test]
fn commands_wait_in_the_queue_while_their_manager_is_away() {
    let host = Host::new();
    let mut fleet = fleet_at(&host.url());
    let name = add_and_name(&fleet);
    block_on(async {
        let client = consumed(&host, &name).await;
        apart(|| fleet.kill_manager());
        let replies = client.reply_queue().await;
        let id = uuid();
        publish(&client, &name, &order(&id, "a/b/c", "START"), Some(&replies)).await;
        publish(&client, &name, &order(&id, "a/b/c", "START"), Some(&replies)).await;
        let since = Instant::now();
        apart(|| fleet.start_manager());
        assert_eq!(answer(&client, &replies).await["verdict"], "EXECUTED");
        assert!(since.elapsed() < Duration::from_secs(30));
        assert_eq!(ledger(&fleet).len(), 1);
    });
}
