//! `dcm watch`, `dcm route` and `dcm documents`.

use std::fs;

use serde_json::{Value, json};

use crate::fleet::{Called, Fleet};
use crate::terminal::Terminal;

/// A fleet with a directory that is watched, and documents in all states, as managers and workers write them.
fn fleet() -> Fleet {
    let fleet = Fleet::new();
    fs::create_dir(fleet.dir.path().join("inbox")).unwrap();
    fleet.dcm(&["watch", "add", "inbox", "inbox", "--topic", "invoices.pdf", "--group", "banks"]).ok();
    let inbox = fleet.dir.path().join("inbox").canonicalize().unwrap();
    let inbox = inbox.to_str().unwrap();
    for (number, name) in ["a.pdf", "b.pdf", "c.txt"].iter().enumerate() {
        fleet.sql(&format!(
            "INSERT INTO events (root, path, size, sha3, seen, topic, app_group) \
             VALUES ('inbox', '{inbox}/{name}', {number}, 'abc', '2026-11-23T14:00:00.000Z', 'invoices.pdf', 'banks'); \
             INSERT INTO pipeline_task (event_id, document, topic, stage, actor, queue, status, attempts, sent, started, finished, error) \
             VALUES ({id}, '{inbox}/{name}', 'invoices.pdf', 'ocr', 'ocr', 'docs', {status}, 2, \
               '2026-11-23T14:00:01.000Z', '2026-11-23T14:00:02.000Z', '2026-11-23T14:00:05.000Z', {error})",
            id = number + 1,
            status = [3, 5, 4][number],
            error = ["NULL", "'Traceback:' || char(10) || 'ValueError: page 3'", "'it is busy'"][number],
        ));
    }
    fleet.sql(&format!(
        "INSERT INTO pipeline_task (event_id, parent, document, topic) VALUES (1, 1, '{inbox}/a.pdf', 'texts')"
    ));
    fleet
}

fn ids(called: Called) -> Vec<i64> {
    called.ok().json().as_array().unwrap().iter().map(|row| row["id"].as_i64().unwrap()).collect()
}

#[test]
fn directories_are_watched_and_left_alone() {
    let fleet = Fleet::new();
    let dcm = |arguments: &[&str]| fleet.dcm(arguments);
    assert!(dcm(&["watch", "list"]).ok().err.contains("dcm watch add NAME DIR --topic TOPIC"));
    dcm(&["watch", "add", "in", "in", "--topic", "a.b"]).refused(2, &["cannot be watched", "make it first"]);
    fs::write(fleet.dir.path().join("file"), "").unwrap();
    dcm(&["watch", "add", "in", "file", "--topic", "a.b"]).refused(2, &["is not a directory"]);
    fs::create_dir_all(fleet.dir.path().join("in/sub")).unwrap();
    dcm(&["watch", "add", "in", "in", "--topic", "a b"]).refused(2, &["topic", "expected words"]);
    dcm(&["watch", "add", "in/x", "in", "--topic", "a"]).refused(2, &["name"]);
    dcm(&["watch", "add", "in", "in"]).refused(2, &["--topic"]);
    dcm(&["watch", "add", "in", "in", "--topic", "a", "--pattern", "x/y"]).refused(2, &["glob"]);
    dcm(&["watch", "add", "in", "in", "--topic", "a", "--stable-seconds", "1e9"]).refused(2, &["0 to 86400"]);
    let added = dcm(&[
        "watch",
        "add",
        "in",
        "./in/sub/..",
        "--topic",
        "a.b",
        "--pattern",
        "*.pdf",
        "--recursive",
        "--stable-seconds",
        "0.5",
        "--json",
    ])
    .ok();
    let place = fleet.dir.path().join("in");
    assert_eq!(
        added.json(),
        json!({
            "name": "in", "path": place.to_str(), "pattern": "*.pdf", "recursive": true, "app_group": "in",
            "topic": "a.b", "stable_seconds": 0.5, "enabled": true, "manager": null, "scanned": null,
            "files": null, "fault": null,
        })
    );
    assert!(added.err.contains("no route takes the topic a.b yet"), "{}", added.err);
    dcm(&["watch", "add", "in", "in", "--topic", "c"]).refused(1, &["already"]);
    // The directory of another host is not looked for here.
    dcm(&["watch", "add", "far", "/no/such/place", "--topic", "a.b", "--manager", "far-01"]).ok();
    dcm(&["watch", "disable", "in", "nowhere"]).refused(4, &["no such watched directory: nowhere"]);
    dcm(&["watch", "disable", "in"]).ok();
    let rows = dcm(&["watch", "list", "--json"]).ok().json();
    let told: Vec<_> = rows.as_array().unwrap().iter().map(|row| (&row["name"], &row["enabled"])).collect();
    assert_eq!(told, [(&json!("far"), &json!(true)), (&json!("in"), &json!(false))]);
    dcm(&["watch", "enable", "in"]).ok();
    let table = dcm(&["watch", "list"]).ok().out;
    assert!(table.contains("STATE") && table.contains("far-01") && table.contains("/in/**"), "{table}");
    dcm(&["watch", "remove", "in", "far"]).ok();
    dcm(&["watch", "remove", "in"]).refused(4, &["no such watched directory: in"]);
    assert_eq!(dcm(&["watch", "list", "--json"]).ok().json(), json!([]));
}

#[test]
fn routes_are_listed_in_the_order_in_which_they_count() {
    let fleet = Fleet::new();
    let dcm = |arguments: &[&str]| fleet.dcm(arguments);
    dcm(&["route", "add", "a.#", "--queue", "q", "--actor", "first"]).ok();
    let route =
        dcm(&["route", "add", "a.*", "--queue", "q", "--actor", "second", "--priority", "5", "--json"]).ok();
    assert_eq!(
        route.json(),
        json!({ "id": 2, "pattern": "a.*", "queue": "q", "actor": "second", "priority": 5 })
    );
    dcm(&["route", "add", "a.#", "--queue", "q", "--actor", "first"]).refused(1, &["already: 1"]);
    dcm(&["route", "add", "a b", "--queue", "q", "--actor", "x"]).refused(2, &["pattern"]);
    dcm(&["route", "add", "a", "--queue", "q.DQ", "--actor", "x"]).refused(2, &["queue"]);
    let order: Vec<_> = ids(dcm(&["route", "list", "--json"]));
    assert_eq!(order, [2, 1]);
    dcm(&["route", "remove", "7"]).refused(4, &["no such route: 7"]);
    dcm(&["route", "remove", "b.#"]).refused(4, &["no such route: b.#"]);
    dcm(&["route", "remove", "2", "a.#"]).ok();
    assert_eq!(dcm(&["route", "list", "--json"]).ok().json(), json!([]));
}

#[test]
fn documents_are_listed_as_they_are_asked_for() {
    let fleet = fleet();
    let list = |arguments: &[&str]| ids(fleet.dcm(&[&["documents"][..], arguments, &["--json"]].concat()));
    assert_eq!(list(&[]), [4, 3, 2, 1]);
    for (arguments, expected) in [
        (&["list", "inbox"][..], vec![4, 3, 2, 1]),
        (&["banks"], vec![4, 3, 2, 1]),
        (&["all", "-n", "2"], vec![4, 3]),
        (&["--status", "dead,failed"], vec![3, 2]),
        (&["--status", "running"], vec![]),
        (&["--stage", "ocr", "--status", "DONE"], vec![1]),
        (&["--topic", "texts"], vec![4]),
        (&["*.pdf"], vec![4, 2, 1]),
        (&["b.pdf"], vec![2]),
        (&["inbox/b.pdf"], vec![2]),
        (&["./inbox"], vec![4, 3, 2, 1]),
        (&["inbox/?.txt"], vec![3]),
        (&["2", "#3"], vec![3, 2]),
        (&["b.pdf", "c.txt"], vec![3, 2]),
        (&["--since", "1m"], vec![4]),
    ] {
        assert_eq!(list(arguments), expected, "{arguments:?}");
    }
    fleet.dcm(&["documents", "x.pdf"]).refused(4, &["no such document: x.pdf"]);
    fleet.dcm(&["documents", "99"]).refused(4, &["no such document: 99"]);
    fleet.dcm(&["documents", "--status", "lost"]).refused(2, &["pending, sent, running"]);
    let table = fleet.dcm(&["documents"]).ok().out;
    assert!(table.contains("ValueError: page 3") && !table.contains("Traceback"), "the end of it: {table}");
    assert!(table.contains("4 documents: 1 dead, 1 failed, 1 done, 1 pending"), "{table}");
    let row = &fleet.dcm(&["documents", "2", "--json"]).ok().json()[0];
    assert_eq!((&row["status"], &row["state"]), (&json!(5), &json!("dead")));
    assert_eq!((&row["attempts"], &row["finished"]), (&json!(2), &json!("2026-11-23T14:00:05.000Z")));
}

#[test]
fn the_way_of_a_document_is_shown_with_what_to_do_next() {
    let fleet = fleet();
    let shown = fleet.dcm(&["documents", "show", "inbox/b.pdf"]).ok().out;
    for word in
        ["inbox (group banks, topic invoices.pdf)", "DEAD", "ValueError: page 3", "dcm documents retry 2"]
    {
        assert!(shown.contains(word), "{word} in {shown}");
    }
    let way = fleet.dcm(&["documents", "show", "1", "--json"]).ok().json();
    assert_eq!(
        (&way["event"]["root"], &way["version"], &way["versions"]),
        (&json!("inbox"), &json!(1), &json!(1))
    );
    let stages: Vec<_> = way["stages"].as_array().unwrap().iter().map(|row| row["id"].clone()).collect();
    assert_eq!(stages, [json!(1), json!(4)]);
    assert!(fleet.dcm(&["documents", "show", "a.pdf"]).ok().out.contains("dcm route add texts"));
    fleet.dcm(&["documents", "show", ".pdf"]).refused(2, &["2 documents have .pdf in their path"]);
    fleet.dcm(&["documents", "show", "zzz"]).refused(4, &["no such document: zzz"]);
    fleet.dcm(&["documents", "show", "77"]).refused(4, &["no such document: 77"]);
}

#[test]
fn documents_are_sent_again() {
    let fleet = fleet();
    let statuses = || {
        let rows = fleet.query("SELECT status FROM pipeline_task ORDER BY id");
        rows.into_iter().map(|row| format!("{:?}", row[0])).collect::<Vec<_>>().join(" ")
    };
    fleet.dcm(&["documents", "retry"]).refused(2, &["which documents are meant?"]);
    fleet.dcm(&["documents", "retry", "99"]).refused(4, &["no such document: 99"]);
    fleet.dcm(&["documents", "retry", "1"]).refused(1, &["1 is DONE", "--status done"]);
    assert_eq!(statuses(), "Integer(3) Integer(5) Integer(4) Integer(0)");
    let told = fleet.dcm(&["documents", "retry", "inbox"]).ok();
    assert!(told.out.contains("1 document is sent again"), "{}", told.out);
    assert!(told.err.contains("--status failed"), "{}", told.err);
    assert_eq!(statuses(), "Integer(3) Integer(0) Integer(4) Integer(0)");
    let told = fleet.dcm(&["documents", "retry", "--status", "failed", "--json"]).ok().json();
    assert_eq!((&told["retried"], &told["documents"][0]["id"]), (&json!(1), &json!(3)));
    assert_eq!(told["documents"][0]["state"], json!("pending"));
    fleet.dcm(&["documents", "retry", "--status", "dead"]).ok();
    fleet.dcm(&["documents", "retry", "1", "--status", "done"]).ok();
    assert_eq!(statuses(), "Integer(0) Integer(0) Integer(0) Integer(0)");
}

#[test]
fn stages_are_summed_and_status_tells_of_dead_documents() {
    let fleet = fleet();
    let rows = fleet.dcm(&["documents", "stages", "--json"]).ok().json();
    let names: Vec<_> = rows.as_array().unwrap().iter().map(|row| row["stage"].clone()).collect();
    assert_eq!(names, [Value::Null, json!("ocr")]);
    assert_eq!(
        [&rows[0]["new"], &rows[1]["dead"], &rows[1]["failed"], &rows[1]["retry"], &rows[1]["queue"]],
        [&json!(1), &json!(1), &json!(1), &json!(2), &json!("docs")]
    );
    let table = fleet.dcm(&["documents", "stages"]).ok().out;
    assert!(table.contains("(no route)") && table.contains("2 stages: 1 wait"), "{table}");
    fleet.add("a/b/c", &[], &["true"]);
    let status = fleet.dcm(&["status"]).ok();
    assert!(
        status.err.contains("1 document is dead and 1 has failed; dcm documents --status dead,failed"),
        "{}",
        status.err
    );
}

#[test]
fn the_console_shows_stages_documents_and_sends_one_again() {
    let fleet = fleet();
    let terminal = Terminal::open(&fleet, &["--client"], (120, 40));
    terminal.press("5");
    terminal.until_text("WATCHED");
    terminal.until("the stage", |screen| screen.contains("ocr") && screen.contains("(no route)"));
    terminal.press("jF");
    terminal.until_text("ValueError: page 3");
    terminal.press("R");
    terminal.until_text("sent again");
    fleet.until_query("SELECT count(*) FROM pipeline_task WHERE status = 0", "[[Integer(2)]]");
    terminal.press("/");
    terminal.press("\x15a.pdf\r");
    terminal.until("both stages", |screen| screen.contains("2 documents") && screen.contains("done"));
    terminal.press("\r");
    terminal.until_text("sha3 abc");
    terminal.press("\x1b");
    terminal.until_text("2 documents");
    terminal.press("\x1b");
    terminal.until_text("WATCHED");
}
