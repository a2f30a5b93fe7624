//! What a manager sends, through crashes of its own and of the endpoint.

use serde_json::Value;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::endpoint::{Endpoint, Reply, Request};
use crate::fleet::Fleet;

/// A fleet whose alerts go to an endpoint.
fn fleet(endpoint: &Endpoint, more: &str) -> Fleet {
    let mut fleet = Fleet::new();
    let config = fleet.dir.path().join("dcm.toml");
    let text = format!("[notify.ops]\nkind = 'webhook'\nurl = '{}'\n{more}", endpoint.url("/hook"));
    std::fs::write(&config, text).unwrap();
    fleet.set("DC_CONFIG", config.to_str().unwrap());
    fleet.start_manager();
    fleet
}

fn events(requests: &[Request]) -> Vec<String> {
    requests.iter().map(|request| request.json()["event"].as_str().unwrap().to_owned()).collect()
}

/// An app that fails at once whenever it is started.
fn add_failing(fleet: &Fleet, path: &str) {
    let script = "echo 'Traceback (most recent call last):' >&2; echo 'ValueError: HTTP 403 for /item/8812' >&2; exit 3";
    fleet.add(path, &["--max-failures", "1"], &["sh", "-c", script]);
}

/// Messages of one cause wait for each other, the third one for a minute.
const MESSAGE_TAKES: Duration = Duration::from_secs(120);

/// Waits until a query counts this.
fn until(fleet: &Fleet, sql: &str, count: usize) {
    fleet.until_query_within(MESSAGE_TAKES, sql, &format!("[[Integer({count})]]"));
}

const DELIVERED: &str = "SELECT count(*) FROM deliveries WHERE delivered IS NOT NULL";

#[test]
fn a_storm_is_a_handful_of_messages_and_each_alert_is_in_one() {
    const APPS: usize = 45;
    let endpoint = Endpoint::answering(|_| Reply::ok("ok"));
    let fleet = fleet(&endpoint, "");
    for number in 0..APPS {
        add_failing(&fleet, &format!("storm/{}/app{number}", number % 3));
    }
    fleet.dcm(&["start", "storm", "--yes"]).ok();
    until(&fleet, "SELECT count(*) FROM alerts WHERE delivered IS NOT NULL", APPS);
    let requests = endpoint.requests();
    assert!(requests.len() <= 4, "{requests:?}");
    let mut named: Vec<_> = requests
        .iter()
        .flat_map(|request| request.json()["apps"].as_array().unwrap().clone())
        .map(|path| path.as_str().unwrap().to_owned())
        .collect();
    named.sort();
    named.dedup();
    let left_off: u64 =
        requests.iter().map(|request| request.json()["apps_more"].as_u64().unwrap_or(0)).sum();
    assert_eq!(named.len() as u64 + left_off, APPS as u64, "{requests:?}");
    let alert = &requests[0].json()["alert"];
    assert_eq!(alert["cause"], "exit 3: ValueError: HTTP 403 for /item/#");
    assert!(alert["detail"].as_str().unwrap().contains("Traceback"), "{alert}");
    let look = requests[0].json()["look"].as_str().unwrap().to_owned();
    assert!(look.starts_with(&format!("dcm logs {}", alert["path"].as_str().unwrap())), "{look}");
    assert_eq!(fleet.dcm(&look.split(' ').skip(1).collect::<Vec<_>>()).ok().code, 0, "{look}");
}

#[test]
fn a_manager_that_is_killed_before_it_sends_loses_nothing_and_what_is_over_is_said_once() {
    let endpoint = Endpoint::answering(|_| Reply::ok("ok"));
    let mut fleet = fleet(&endpoint, "");
    add_failing(&fleet, "a/b/c");
    fleet.dcm(&["start", "a/b/c"]).ok();
    until(&fleet, "SELECT count(*) FROM deliveries", 1);
    fleet.kill_manager();
    assert_eq!(endpoint.requests().len(), 0);
    fleet.start_manager();
    endpoint.until_requests(1);
    until(&fleet, DELIVERED, 1);
    fleet.dcm(&["app", "set", "a/b/c", "--", "true"]).ok();
    fleet.dcm(&["start", "a/b/c"]).ok();
    until(&fleet, DELIVERED, 2);
    assert_eq!(events(&endpoint.requests()), ["opened", "recovered"]);
    // Nothing is left to be repeated.
    until(&fleet, "SELECT count(*) FROM deliveries WHERE delivered IS NULL", 0);
}

#[test]
fn a_message_whose_answer_was_lost_with_the_manager_is_sent_at_most_once_more() {
    let is_mute = Arc::new(AtomicBool::new(true));
    let silent = Arc::clone(&is_mute);
    let endpoint =
        Endpoint::answering(
            move |_| {
                if silent.load(Ordering::SeqCst) { Reply::Never } else { Reply::ok("ok") }
            },
        );
    let mut fleet = fleet(&endpoint, "");
    add_failing(&fleet, "a/b/c");
    fleet.dcm(&["start", "a/b/c"]).ok();
    endpoint.until_requests(1);
    fleet.kill_manager();
    is_mute.store(false, Ordering::SeqCst);
    // The next manager waits until the try must be over; that is not what this test is about.
    fleet.sql("UPDATE deliveries SET due = created");
    fleet.start_manager();
    until(&fleet, DELIVERED, 1);
    let requests = endpoint.requests();
    assert_eq!(events(&requests), ["opened", "opened"]);
    assert_eq!(requests[0].body, requests[1].body, "a receiver can tell that it is the same");
}

#[test]
fn an_endpoint_that_fails_gets_the_message_later() {
    let is_broken = Arc::new(AtomicBool::new(true));
    let broken = Arc::clone(&is_broken);
    let endpoint = Endpoint::answering(move |_| {
        if broken.swap(false, Ordering::SeqCst) {
            Reply::status(429, &["Retry-After: 1"])
        } else {
            Reply::ok("ok")
        }
    });
    let fleet = fleet(&endpoint, "");
    fleet.add("a/b/gone", &[], &["/no/such/program"]);
    fleet.dcm(&["start", "a/b/gone"]).ok();
    until(&fleet, DELIVERED, 1);
    fleet.until("a/b/gone", "a person was informed", |row| {
        row.state.fatal.as_ref().is_some_and(|fatal| fatal.flag == dcm::model::FatalFlag::AlertSent)
    });
    assert_eq!(events(&endpoint.requests()), ["opened", "opened"]);
    let tries = "SELECT tries, last_error IS NULL FROM deliveries WHERE event = 'opened'";
    fleet.until_query(tries, "[[Integer(2), Integer(1)]]");
    // A manager that begins knows it as well.
    fleet.dcm(&["enable", "a/b/gone", "--wait"]).ok();
    assert_eq!(fleet.app("a/b/gone").state.fatal, None);
}

#[test]
fn an_acknowledged_alert_is_not_repeated_and_one_that_cannot_be_delivered_is_given_up() {
    let is_broken = Arc::new(AtomicBool::new(false));
    let broken = Arc::clone(&is_broken);
    let endpoint = Endpoint::answering(move |_| {
        if broken.load(Ordering::SeqCst) { Reply::status(500, &[]) } else { Reply::ok("ok") }
    });
    let mut fleet = fleet(&endpoint, "");
    add_failing(&fleet, "a/b/c");
    fleet.dcm(&["start", "a/b/c"]).ok();
    until(&fleet, "SELECT count(*) FROM deliveries WHERE event = 'repeated'", 1);
    fleet.stop_manager();
    let hour_later = "UPDATE deliveries SET due = created WHERE event = 'repeated'";
    fleet.sql(hour_later);
    fleet.start_manager();
    endpoint.until_requests(2);
    until(&fleet, "SELECT count(*) FROM deliveries WHERE event = 'repeated'", 2);
    fleet.stop_manager();
    fleet.sql("UPDATE alerts SET acknowledged = opened, acknowledged_by = 'ana'");
    fleet.sql(hour_later);
    fleet.start_manager();
    until(&fleet, "SELECT count(*) FROM deliveries WHERE event = 'repeated'", 1);
    assert_eq!(events(&endpoint.requests()), ["opened", "repeated"]);

    is_broken.store(true, Ordering::SeqCst);
    fleet.dcm(&["app", "set", "a/b/c", "--", "true"]).ok();
    fleet.dcm(&["start", "a/b/c", "--wait"]).ok();
    until(&fleet, "SELECT count(*) FROM deliveries WHERE event = 'recovered'", 1);
    fleet.stop_manager();
    // A day has passed, in which nothing else left.
    let long_ago = "'2026-01-01T00:00:00.000Z'";
    fleet.sql(&format!("UPDATE deliveries SET created = {long_ago} WHERE event = 'recovered'"));
    fleet.sql(&format!("UPDATE deliveries SET delivered = {long_ago} WHERE delivered IS NOT NULL"));
    fleet.start_manager();
    until(&fleet, "SELECT count(*) FROM alerts WHERE kind = 'delivery_given_up' AND closed IS NULL", 1);
    until(
        &fleet,
        "SELECT count(*) FROM deliveries WHERE given_up IS NOT NULL AND last_error LIKE '%500%'",
        1,
    );
}

#[test]
fn channels_take_what_they_are_for() {
    let endpoint = Endpoint::answering(|_| Reply::ok("ok"));
    let more =
        format!("[notify.italy]\nkind = 'webhook'\ngroups = ['italy']\nurl = '{}'\n", endpoint.url("/italy"));
    let fleet = fleet(&endpoint, &more);
    add_failing(&fleet, "croatia/fina/companies");
    add_failing(&fleet, "italy/registro/imprese");
    fleet.dcm(&["start", "all", "--yes"]).ok();
    until(&fleet, DELIVERED, 3);
    let requests = endpoint.requests();
    let of = |path: &str| -> Vec<Value> {
        requests
            .iter()
            .filter(|request| request.path == path)
            .map(|request| request.json()["apps"].clone())
            .collect()
    };
    assert_eq!(of("/italy"), [serde_json::json!(["italy/registro/imprese"])]);
    assert_eq!(of("/hook").iter().map(|apps| apps.as_array().unwrap().len()).sum::<usize>(), 2);
}

#[test]
fn a_run_of_an_app_with_a_ping_url_is_called_in() {
    let endpoint = Endpoint::answering(|_| Reply::ok("OK"));
    let fleet = Fleet::with_manager();
    let url = endpoint.url("/uuid");
    fleet.add("a/b/good", &["--ping-url", &url], &["true"]);
    fleet.add("a/b/bad", &["--ping-url", &url], &["false"]);
    fleet.dcm(&["start", "a/b/good", "--wait"]).ok();
    let first = endpoint.until_requests(1);
    assert_eq!(first[0].path, "/uuid");
    assert!(first[0].body.ends_with(": ok"), "{first:?}");
    fleet.dcm(&["start", "a/b/bad", "--wait"]).ok();
    assert_eq!(endpoint.until_requests(2)[1].path, "/uuid/fail");
    // They are not kept: there would be one for each run.
    until(&fleet, "SELECT count(*) FROM deliveries", 0);
}

#[test]
fn a_channel_may_be_called_like_a_ping() {
    let endpoint = Endpoint::answering(|_| Reply::ok("ok"));
    let more = format!("[notify.ping]\nkind = 'webhook'\nurl = '{}'\n", endpoint.url("/ping"));
    let fleet = fleet(&endpoint, &more);
    add_failing(&fleet, "a/b/c");
    fleet.dcm(&["start", "a/b/c"]).ok();
    until(&fleet, DELIVERED, 2);
    let mut paths: Vec<_> = endpoint.requests().into_iter().map(|request| request.path).collect();
    paths.sort();
    assert_eq!(paths, ["/hook", "/ping"]);
}

#[test]
fn what_is_for_a_channel_that_is_gone_is_given_up_with_an_alert() {
    let endpoint = Endpoint::answering(|_| Reply::ok("ok"));
    let mut fleet = fleet(&endpoint, "");
    add_failing(&fleet, "a/b/c");
    fleet.dcm(&["start", "a/b/c"]).ok();
    until(&fleet, "SELECT count(*) FROM deliveries", 1);
    fleet.kill_manager();
    // Another channel has taken its place, and a day has passed.
    let config = fleet.dir.path().join("dcm.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text.replace("[notify.ops]", "[notify.new]")).unwrap();
    fleet.sql("UPDATE deliveries SET created = '2026-01-01T00:00:00.000Z', due = created");
    fleet.start_manager();
    until(
        &fleet,
        "SELECT count(*) FROM deliveries WHERE given_up IS NOT NULL AND last_error LIKE '%notify.ops%'",
        1,
    );
    let requests = endpoint.until_requests(1);
    assert_eq!(requests[0].json()["alert"]["kind"], "delivery_given_up", "{requests:?}");
    assert_eq!(requests[0].json()["apps"], serde_json::json!([]));
}
