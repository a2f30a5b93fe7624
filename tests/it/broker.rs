//! The connection to a real RabbitMQ: what becomes of messages, and of the connection when the server does what servers do.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use dcm::broker::{Broker, BrokerSettings, Declared, Message, Published};
use dcm::model::BrokerState;
use lapin::BasicProperties;
use lapin::options::QueueDeclareOptions;
use lapin::types::{AMQPValue, FieldTable};
use nix::sys::signal::Signal;
use tokio::time::{Instant, timeout};

use crate::postgres::block_on;
use crate::rabbit::{Client, Host, Server};

/// How long a broker may take to be back: the server starts in seconds, and the longest pause is 15 s.
const BACK_WITHIN: Duration = Duration::from_secs(120);

fn settings(url: &str) -> BrokerSettings {
    BrokerSettings { url: url.parse().unwrap(), roots: None }
}

fn start(url: &str) -> Broker {
    Broker::start(settings(url), "zg-01")
}

async fn opened(url: &str) -> Broker {
    let broker = start(url);
    broker.until_open().await.unwrap();
    broker
}

/// Waits until the state is as it should be.
async fn until(broker: &Broker, what: &str, is_meant: impl Fn(&BrokerState) -> bool) -> BrokerState {
    let mut state = broker.state();
    let meant = timeout(BACK_WITHIN, state.wait_for(|state| is_meant(state))).await;
    let found = meant.map(|state| state.unwrap().clone());
    found.unwrap_or_else(|_| panic!("waited in vain until it is {what}: {}", *broker.state().borrow()))
}

async fn until_connected(broker: &Broker) {
    until(broker, "connected", |state| *state == BrokerState::Connected).await;
}

async fn until_away(broker: &Broker) -> String {
    let is_tried =
        |state: &BrokerState| matches!(state, BrokerState::Away { why, .. } if why != "not connected yet");
    let away = until(broker, "away", is_tried).await;
    away.why().unwrap().to_owned()
}

async fn durable(client: &Client, queue: &str) {
    let options = QueueDeclareOptions { durable: true, ..Default::default() };
    client.channel.queue_declare(queue.into(), options, FieldTable::default()).await.unwrap();
}

fn message(queue: &str, id: &str) -> Message {
    Message::to_queue(queue, id, format!("{{\"id\":\"{id}\"}}").into_bytes())
}

#[test]
fn of_each_message_of_a_batch_it_is_known_what_became_of_it() {
    let host = Host::new();
    block_on(async {
        let (broker, client) = (opened(&host.url()).await, host.connect().await);
        durable(&client, "docs").await;
        // Confirms of many messages come as one, and returns before them.
        let batch: Vec<_> = (0..1000)
            .map(|n| message(if n % 7 == 0 { "nowhere" } else { "docs" }, &format!("m{n}")))
            .collect();
        let published = broker.publish(&batch).await;
        for (n, published) in published.iter().enumerate() {
            if n % 7 == 0 {
                let expected = "there is no queue nowhere (312 NO_ROUTE)";
                assert_eq!(*published, Published::Returned(expected.to_owned()), "{n}");
            } else {
                assert_eq!(*published, Published::Confirmed, "{n}");
            }
        }
        let found = client.until_message("docs").await.delivery;
        assert_eq!(found.data, b"{\"id\":\"m1\"}");
        let properties = found.properties;
        assert_eq!(properties.message_id().as_ref().unwrap().as_str(), "m1");
        assert_eq!(properties.content_type().as_ref().unwrap().as_str(), "application/json");
        assert_eq!(*properties.delivery_mode(), Some(2));
        assert_eq!(client.depth("docs").await, Some((856, 0)));
    });
}

#[test]
fn what_cannot_be_addressed_does_no_harm_to_the_others() {
    let host = Host::new();
    block_on(async {
        let (broker, client) = (opened(&host.url()).await, host.connect().await);
        durable(&client, "docs").await;
        let long = message(&"x".repeat(256), "long");
        let everything = Message {
            correlation_id: Some("c".to_owned()),
            reply_to: Some("r".to_owned()),
            expires_after: Some(Duration::from_secs(60)),
            headers: BTreeMap::from([("x-why".to_owned(), "č".to_owned())]),
            ..message("docs", "all")
        };
        let published = broker.publish(&[long, everything, message("", "empty")]).await;
        let too_long = "a name of 256 bytes is too long: at most 255".to_owned();
        assert_eq!(published[0], Published::Returned(too_long));
        assert_eq!(published[1], Published::Confirmed);
        assert!(matches!(published[2], Published::Returned(_)), "{published:?}");
        let properties = client.until_message("docs").await.delivery.properties;
        assert_eq!(properties.correlation_id().as_ref().unwrap().as_str(), "c");
        assert_eq!(properties.reply_to().as_ref().unwrap().as_str(), "r");
        assert_eq!(properties.expiration().as_ref().unwrap().as_str(), "60000");
        let headers = properties.headers().as_ref().unwrap().inner();
        assert_eq!(headers["x-why"], AMQPValue::LongString("č".into()));

        // An exchange that is not there closes the channel; the next batch has another one.
        let elsewhere = Message { exchange: "nowhere".to_owned(), ..message("docs", "e") };
        let published = broker.publish(&[elsewhere]).await;
        assert!(
            matches!(&published[0], Published::Unknown(why) if why.contains("NOT_FOUND")),
            "{published:?}"
        );
        assert_eq!(broker.publish(&[message("docs", "next")]).await, [Published::Confirmed]);
        assert_eq!(broker.publish(&[]).await, []);
    });
}

#[test]
fn a_queue_that_exists_otherwise_is_used_as_it_is() {
    let host = Host::new();
    block_on(async {
        let (broker, client) = (opened(&host.url()).await, host.connect().await);
        let mut arguments = FieldTable::default();
        arguments.insert("x-max-length".into(), AMQPValue::LongInt(10));
        let options = QueueDeclareOptions { durable: true, ..Default::default() };
        client.channel.queue_declare("old".into(), options, arguments.clone()).await.unwrap();
        let declared = broker.ensure_queue("old", FieldTable::default()).await.unwrap();
        let Declared::Otherwise(why) = &declared else { panic!("{declared:?}") };
        assert!(why.contains("PRECONDITION_FAILED"), "{why}");
        assert_eq!(broker.ensure_queue("old", arguments).await.unwrap(), Declared::AsAsked);
        assert_eq!(broker.ensure_queue("new", FieldTable::default()).await.unwrap(), Declared::AsAsked);
        // Neither closed the connection.
        assert_eq!(*broker.state().borrow(), BrokerState::Connected);
        assert_eq!(broker.publish(&[message("new", "a")]).await, [Published::Confirmed]);
    });
}

#[test]
fn who_may_not_come_in_is_told_why_without_the_password() {
    let host = Host::new();
    let wrong = host.url().replace(crate::rabbit::PASSWORD_ENCODED, "hunter3");
    let nowhere = host.url().replace("/t", "/none");
    block_on(async {
        for (url, expected) in [(wrong, "ACCESS_REFUSED"), (nowhere, "NOT_ALLOWED")] {
            let broker = start(&url);
            let error = broker.until_open().await.unwrap_err().to_string();
            assert!(error.contains(expected) && !error.contains("hunter"), "{error}");
            let why = until_away(&broker).await;
            assert!(why.contains(expected) && !why.contains("hunter"), "{why}");
            let published = loop {
                // The connections are made one beside the other.
                let published = broker.publish(&[message("q", "a")]).await;
                if !matches!(&published[0], Published::Unknown(why) if why.contains("not connected yet")) {
                    break published;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            };
            assert!(
                matches!(&published[0], Published::Unknown(why) if why.contains(expected)),
                "{published:?}"
            );
        }
        // Nothing listens there.
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let away = start(&format!("amqp://dcm:x@127.0.0.1:{port}/"));
        assert_eq!(until_away(&away).await, "connection refused");
    });
}

#[test]
fn a_server_that_restarts_stands_still_or_throws_everybody_out_is_come_back_to() {
    let mut server = Server::new("");
    block_on(async {
        let broker = opened(&server.url("/")).await;
        durable(&server.connect("/").await, "docs").await;

        server.ctl(&["close_all_connections", "maintenance"]);
        until_connected(&broker).await;
        assert_eq!(published_at_last(&broker, "a").await, Published::Confirmed);

        server.kill();
        until_away(&broker).await;
        server.start();
        until_connected(&broker).await;
        assert_eq!(published_at_last(&broker, "b").await, Published::Confirmed);
        assert_eq!(server.connect("/").await.depth("docs").await.map(|(count, _)| count), Some(2));

        server.signal(Signal::SIGSTOP);
        let since = Instant::now();
        let why = until_away(&broker).await;
        let silent = since.elapsed();
        server.signal(Signal::SIGCONT);
        assert!(silent < Duration::from_secs(30), "noticed after {silent:?}: {why}");
        assert!(why.contains("no heartbeat") || why.contains("no connection within"), "{why}");
        until_connected(&broker).await;
    });
}

/// A message may meet a connection that has just ended.
async fn published_at_last(broker: &Broker, id: &str) -> Published {
    let deadline = Instant::now() + BACK_WITHIN;
    loop {
        let published = broker.publish(&[message("docs", id)]).await.remove(0);
        if !matches!(published, Published::Unknown(_)) || Instant::now() > deadline {
            return published;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[test]
fn a_server_without_memory_blocks_who_publishes_and_not_who_consumes() {
    let server = Server::new("");
    block_on(async {
        let broker = opened(&server.url("/")).await;
        durable(&server.connect("/").await, "docs").await;
        server.block(true);
        // The server says so only to who publishes. This one is not confirmed, and may be published all the same.
        let first = broker.publish(&[message("docs", "a")]).await.remove(0);
        assert!(matches!(&first, Published::Unknown(why) if why.contains("no confirm")), "{first:?}");
        let blocked = until(&broker, "blocked", |state| matches!(state, BrokerState::Blocked { .. })).await;
        assert!(blocked.why().unwrap().contains("memory"), "{blocked}");
        // From then on nothing is sent that would only pile up.
        let since = Instant::now();
        let second = broker.publish(&[message("docs", "b")]).await.remove(0);
        assert!(
            matches!(&second, Published::Unknown(why) if why.contains("takes no messages")),
            "{second:?}"
        );
        assert!(since.elapsed() < Duration::from_secs(1));
        // Consuming, acknowledging and declaring go on.
        let channel = broker.channel().await.unwrap();
        let options = QueueDeclareOptions { durable: true, ..Default::default() };
        timeout(
            Duration::from_secs(10),
            channel.queue_declare("more".into(), options, FieldTable::default()),
        )
        .await
        .unwrap()
        .unwrap();
        server.block(false);
        until_connected(&broker).await;
        assert_eq!(published_at_last(&broker, "b").await, Published::Confirmed);
    });
}

#[test]
fn a_certificate_is_trusted_by_the_roots_that_are_named_and_by_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    self_signed(&certificate, &key);
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let tls = format!(
        "listeners.ssl.default = 127.0.0.1:{port}\nssl_options.cacertfile = FOLDER/cert.pem\n\
         ssl_options.certfile = FOLDER/cert.pem\nssl_options.keyfile = FOLDER/key.pem\n\
         ssl_options.verify = verify_none"
    );
    let server = Server::with_files(&tls, &[("cert.pem", &certificate), ("key.pem", &key)]);
    let url = |host: &str| {
        format!("amqps://{}:{}@{host}:{port}/", crate::rabbit::USER, crate::rabbit::PASSWORD_ENCODED)
    };
    let roots = std::fs::read(&certificate).unwrap();
    block_on(async {
        let trusting = Broker::start(
            BrokerSettings { url: url("localhost").parse().unwrap(), roots: Some(roots.clone()) },
            "zg-01",
        );
        trusting.until_open().await.unwrap();
        durable(&server.connect("/").await, "docs").await;
        assert_eq!(trusting.publish(&[message("docs", "a")]).await, [Published::Confirmed]);

        let since = Instant::now();
        let why = start(&url("localhost")).until_open().await.unwrap_err().to_string();
        assert!(since.elapsed() < Duration::from_secs(10), "{:?}", since.elapsed());
        assert!(why.contains("the certificate of the server is not trusted"), "{why}");
        assert!(why.contains("rabbitmq.ca_file"), "{why}");
        // It is for localhost, not for this address.
        let other = BrokerSettings { url: url("127.0.0.1").parse().unwrap(), roots: Some(roots) };
        let why = Broker::start(other, "zg-01").until_open().await.unwrap_err().to_string();
        assert!(why.contains("certificate"), "{why}");
        // A server that speaks no TLS.
        let plain = url("localhost").replace(&port.to_string(), &server.port().to_string());
        let since = Instant::now();
        let why = start(&plain).until_open().await.unwrap_err().to_string();
        assert!(since.elapsed() < Duration::from_secs(10), "{why}");
    });
}

/// A certificate for `localhost` that is its own issuer.
fn self_signed(certificate: &Path, key: &Path) {
    let made = Command::new("openssl")
        .args(["req", "-x509", "-nodes", "-newkey", "rsa:2048", "-days", "2", "-subj", "/CN=localhost"])
        .args(["-addext", "subjectAltName=DNS:localhost", "-keyout"])
        .arg(key)
        .arg("-out")
        .arg(certificate)
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}

#[test]
fn a_server_of_its_own_has_a_virtual_host_for_each_test() {
    let (first, second) = (Host::new(), Host::new());
    block_on(async {
        let (one, two) = (first.connect().await, second.connect().await);
        let queue = one.reply_queue().await;
        one.publish("", &queue, b"hello", BasicProperties::default()).await;
        assert_eq!(one.until_message(&queue).await.data, b"hello");
        assert_eq!(two.depth(&queue).await, None);
    });
}
