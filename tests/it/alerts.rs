//! Alerts of a real manager: what its log says of them, and `dcm alerts`.

use crate::fleet::{Fleet, PATIENCE};

/// Fails until the file beside it has as many lines as failures are asked for.
const FAILS_FIRST: &str = "
    echo run >> runs
    n=$(wc -l < runs)
    [ $n -gt $1 ] && exit 0
    echo \"::dcm {\\\"message\\\": \\\"HTTP 403 for /item/881$n\\\"}\"
    exit 3";

#[test]
fn the_log_has_one_line_for_an_alert_that_opens_and_one_for_its_end() {
    let mut fleet = Fleet::with_manager();
    let folder = fleet.dir.path().to_str().unwrap().to_owned();
    let script = format!("cd {folder}; {FAILS_FIRST}");
    fleet.add("croatia/fina/companies", &["--retry-interval", "0.001"], &["sh", "-c", &script, "sh", "5"]);
    fleet.dcm(&["start", "croatia/fina/companies"]).ok();
    fleet.until("croatia/fina/companies", "five failures and a good run", |row| {
        row.last_end.as_deref().is_some_and(|last| last.outcome.word() == "ok") && row.state.failures == 0
    });
    // What was committed is logged by now.
    fleet.stop_manager();
    let log = fleet.manager_log();
    let lines: Vec<_> = log.lines().filter(|line| line.contains("alert ")).collect();
    assert_eq!(lines.len(), 2, "{log}");
    assert!(lines.iter().all(|line| line.contains("WARN")), "{lines:?}");
    let about = "croatia/fina/companies: unexpected_behavior: ";
    assert!(
        lines[0].contains(&format!(
            "alert opened: {about}3 failures in a row, the last: exit 3: HTTP 403 for /item/8813"
        )),
        "{lines:?}"
    );
    assert!(
        lines[1].contains(&format!(
            "alert closed: {about}5 failures in a row, the last: exit 3: HTTP 403 for /item/8815, after "
        )),
        "{lines:?}"
    );
    assert!(lines[1].contains("s (recovered)"), "{lines:?}");
    // The row has counted on, and its cause is that of other apps with the same trouble.
    let row = "SELECT cause, severity, count, opened < last_seen, last_seen < closed FROM alerts";
    let row = format!("{:?}", fleet.query(row));
    let cause = "exit 3: HTTP 403 for /item/#";
    let expected = format!(r#"[[Text("{cause}"), Text("critical"), Integer(5), Integer(1), Integer(1)]]"#);
    assert_eq!(row, expected);
}

/// Waits for the alert of an app that failed once, and gives back cause, message and detail of it and the message of its run.
fn alert_of(fleet: &Fleet, path: &str) -> [String; 4] {
    let row = fleet.until(path, "failed", |row| row.state.fatal.is_some());
    let sql = format!(
        "SELECT alerts.cause, alerts.message, coalesce(alerts.detail, 'null'), coalesce(run.message, 'null') \
         FROM alerts JOIN runtime AS run ON run.runtime = alerts.runtime WHERE alerts.app_id = '{}'",
        row.app.id
    );
    let mut found = fleet.query(&sql);
    assert_eq!(found.len(), 1, "one alert with its run");
    let texts = found.remove(0).into_iter().map(|value| {
        let rusqlite::types::Value::Text(text) = value else { panic!("{value:?}") };
        text
    });
    texts.collect::<Vec<_>>().try_into().unwrap()
}

#[test]
fn the_last_lines_of_standard_error_are_in_the_alert_and_the_error_is_its_cause() {
    let fleet = Fleet::with_manager();
    let once = ["--max-failures", "1"];
    let cases = [
        (
            "a/b/traceback",
            "import sys\ndef run(): raise ValueError('no rows for item 8812')\ntry: run()\nexcept ValueError:\n    import traceback; traceback.print_exc(); sys.exit(3)",
        ),
        ("a/b/silent", "import sys; print('only output'); sys.exit(3)"),
        (
            "a/b/flood",
            "import sys\nfor n in range(10 * 1024): sys.stderr.write('x' * 1023 + '\\n')\nsys.stderr.write('the last words\\n'); sys.exit(3)",
        ),
        (
            "a/b/hostile",
            "import sys; sys.stderr.buffer.write(b'\\x1b[31mred\\r\\x1b[2Jgone \\xff\\0\\n'); sys.exit(3)",
        ),
        (
            "a/b/reports",
            "import sys; print('::dcm {\"message\": \"HTTP 403\"}', flush=True); sys.stderr.write('noise\\n'); sys.exit(3)",
        ),
        (
            "a/b/killed",
            "import os, sys; sys.stderr.write('INFO page 3\\n'); sys.stderr.flush(); os.kill(os.getpid(), 9)",
        ),
    ];
    for (path, script) in cases {
        fleet.add(path, &once, &["python3", "-c", script]);
    }
    fleet.dcm(&["start", "all", "--yes"]).ok();
    let [cause, message, detail, of_run] = alert_of(&fleet, "a/b/traceback");
    assert_eq!(cause, "exit 3: ValueError: no rows for item #");
    assert_eq!(message, "1 failures in a row, the last: exit 3: ValueError: no rows for item 8812");
    assert!(detail.starts_with("Traceback (most recent call last):\n"), "{detail}");
    assert!(detail.ends_with("\nValueError: no rows for item 8812"), "{detail}");
    assert_eq!(of_run, "ValueError: no rows for item 8812");

    let [cause, _, detail, of_run] = alert_of(&fleet, "a/b/silent");
    assert_eq!([cause.as_str(), detail.as_str(), of_run.as_str()], ["exit 3", "null", "null"]);

    let [cause, _, detail, _] = alert_of(&fleet, "a/b/flood");
    assert_eq!(cause, "exit 3: the last words");
    assert!(detail.len() <= 4096 && detail.starts_with("[earlier lines are in the log]\nx"), "{detail}");
    assert!(detail.ends_with("x [cut]\nthe last words"), "{detail}");

    let [_, _, detail, _] = alert_of(&fleet, "a/b/hostile");
    assert_eq!(detail, "\\x1b[2Jgone \u{fffd}\\x00");

    let [cause, _, detail, of_run] = alert_of(&fleet, "a/b/reports");
    assert_eq!([cause.as_str(), detail.as_str(), of_run.as_str()], ["exit 3: HTTP 403", "noise", "HTTP 403"]);

    // What an app wrote before it was killed says where it was, and not why it ended. It may be its start that failed.
    let [cause, _, detail, of_run] = alert_of(&fleet, "a/b/killed");
    assert_eq!(
        [cause.as_str(), detail.as_str(), of_run.as_str()],
        ["killed by SIGKILL", "INFO page 3", "null"]
    );
}

#[test]
fn the_alert_of_a_run_that_failed_while_no_manager_was_there_has_its_lines_too() {
    let mut fleet = Fleet::with_manager();
    let go = fleet.dir.path().join("go");
    let script = format!("until [ -e {} ]; do sleep 0.05; done; echo 'no rows' >&2; exit 3", go.display());
    fleet.add("a/b/c", &["--max-failures", "1"], &["sh", "-c", &script]);
    fleet.dcm(&["start", "a/b/c"]).ok();
    fleet.until("a/b/c", "is running", |row| row.state.pid.is_some());
    fleet.kill_manager();
    std::fs::write(go, "").unwrap();
    let run = fleet.app("a/b/c").state.run.unwrap();
    let journal = fleet.state().join(format!("runs/{run}/journal"));
    let deadline = std::time::Instant::now() + PATIENCE;
    while !std::fs::read_to_string(&journal).unwrap().contains("\"exit\"") {
        assert!(std::time::Instant::now() < deadline, "the end is not on record");
        std::thread::park_timeout(std::time::Duration::from_millis(5));
    }
    fleet.start_manager();
    let [cause, _, detail, of_run] = alert_of(&fleet, "a/b/c");
    assert_eq!([cause.as_str(), detail.as_str(), of_run.as_str()], ["exit 3: no rows", "no rows", "no rows"]);
}

/// A fleet in which two apps fail alike, one cannot be started and the row of one cannot be obeyed.
fn in_trouble() -> Fleet {
    let fleet = Fleet::with_manager();
    let fails = ["sh", "-c", "echo 'ValueError: HTTP 403 for /item/8812' >&2; exit 3"];
    for name in ["companies", "owners"] {
        fleet.add(&format!("croatia/fina/{name}"), &["--max-failures", "1"], &fails);
    }
    fleet.add("serbia/notary/acts", &[], &["/nonexistent/program"]);
    fleet.add("serbia/notary/deeds", &[], &["true"]);
    fleet.dcm(&["start", "croatia", "--wait"]).ok();
    fleet.dcm(&["start", "serbia/notary/acts", "--wait"]);
    fleet.sql("UPDATE apps SET interval = -5 WHERE app_name = 'deeds'");
    fleet.until_query("SELECT count(*) FROM alerts WHERE closed IS NULL", "[[Integer(5)]]");
    fleet
}

/// The number of the open alert of this kind, of an app whose name ends like this.
fn number(fleet: &Fleet, kind: &str, name: &str) -> String {
    let rows = fleet.dcm(&["alerts", "--json"]).ok().json();
    let is_meant = |row: &&serde_json::Value| {
        row["kind"] == kind && row["path"].as_str().unwrap_or_default().ends_with(name)
    };
    let row = rows.as_array().unwrap().iter().find(is_meant).unwrap();
    row["id"].to_string()
}

/// The rows of a table: its cells, which are two blanks apart.
fn cells(table: &str) -> Vec<Vec<&str>> {
    let split = |line| str::split(line, "  ").map(str::trim).filter(|cell| !cell.is_empty()).collect();
    table.lines().map(split).collect()
}

#[test]
fn alerts_are_listed_by_cause_and_each() {
    let fleet = in_trouble();
    let called = fleet.dcm(&["alerts"]).ok();
    let rows = cells(&called.out);
    assert_eq!(rows[0], ["ID", "SEVERITY", "SINCE", "COUNT", "APP", "ACK", "MESSAGE"]);
    let apps: Vec<_> = rows[1..].iter().map(|row| (row[1], row[4])).collect();
    assert_eq!(apps.len(), 4, "{called:?}");
    let together = rows.iter().find(|row| row[4] == "croatia/fina/* (2 apps)").unwrap();
    assert!(together[0].ends_with(" +1") && together[3] == "2", "{together:?}");
    assert_eq!(together[6], "exit 3: ValueError: HTTP 403 for /item/#");
    assert_eq!(apps.last(), Some(&("warning", "fleet")), "the worst come first");
    assert!(called.err.contains("5 alerts of 4 causes; --each shows each"), "{called:?}");

    let each = fleet.dcm(&["alerts", "list", "--each", "croatia"]).ok();
    let rows = cells(&each.out);
    assert_eq!(rows.len(), 3, "{each:?}");
    assert!(
        rows[1..].iter().all(|row| row[6].contains("the last: exit 3: ValueError: HTTP 403 for /item/8812"))
    );
    let one = |arguments: &[&str]| cells(&fleet.dcm(arguments).ok().out).len() - 1;
    assert_eq!(one(&["alerts", "fleet"]), 1);
    assert_eq!(one(&["alerts", "--severity", "critical"]), 3);
    assert_eq!(one(&["alerts", "--since", "1h", "serbia/*/acts", "fleet"]), 2);
    assert_eq!(one(&["alerts", "-n", "1"]), 1);

    let rows = fleet.dcm(&["alerts", "fleet", "--json"]).ok().json();
    let names: Vec<_> = rows[0].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "acknowledged",
            "acknowledged_by",
            "app_id",
            "cause",
            "closed",
            "count",
            "delivered",
            "detail",
            "id",
            "kind",
            "last_seen",
            "manager",
            "message",
            "muted_until",
            "opened",
            "owner",
            "path",
            "runtime",
            "severity"
        ]
    );
    assert_eq!((&rows[0]["app_id"], &rows[0]["path"]), (&serde_json::Value::Null, &serde_json::Value::Null));

    let id = number(&fleet, "unexpected_behavior", "owners");
    let all = fleet.dcm(&["alerts", &id]).ok().out;
    for line in [
        "app           croatia/fina/owners",
        "delivered     not sent yet",
        "  ValueError: HTTP 403 for /item/8812",
        "next          dcm why croatia/fina/owners; dcm logs croatia/fina/owners",
    ] {
        assert!(all.lines().any(|found| found == line), "{line}: {all}");
    }

    fleet.dcm(&["app", "set", "serbia/notary/deeds", "--interval", "60"]).ok();
    fleet.until_query("SELECT count(*) FROM alerts WHERE closed IS NULL", "[[Integer(3)]]");
    assert_eq!(one(&["alerts", "--each"]), 3);
    let all = fleet.dcm(&["alerts", "--all", "--each"]).ok();
    assert_eq!(cells(&all.out).len() - 1, 5);
    assert!(all.out.lines().next().unwrap().contains("CLOSED"));
    let none = fleet.dcm(&["alerts", "serbia/notary/deeds"]).ok();
    assert_eq!((none.out.as_str(), none.err.contains("no such alert is open")), ("", true));
}

#[test]
fn alerts_are_acknowledged_and_muted_for_a_time() {
    let fleet = in_trouble();
    let owners = number(&fleet, "unexpected_behavior", "owners");
    let called = fleet.dcm(&["alerts", "ack", &owners, "serbia", "--by", "ana"]).ok();
    assert_eq!(called.out.lines().count(), 3, "{called:?}");
    assert!(
        called.out.contains(&format!("{owners} croatia/fina/owners: acknowledged by ana\n")),
        "{called:?}"
    );
    let noted = "SELECT count(*) FROM alerts WHERE acknowledged_by = 'ana' AND acknowledged IS NOT NULL";
    assert_eq!(format!("{:?}", fleet.query(noted)), "[[Integer(3)]]");
    let rows = fleet.dcm(&["alerts", "--each"]).ok().out;
    let row = rows.lines().find(|line| line.contains("croatia/fina/owners")).unwrap();
    assert!(row.contains("  ana  "), "{rows}");

    let called = fleet.dcm(&["alerts", "mute", "fleet", &owners, "--for", "2h"]).ok();
    assert!(called.out.contains("fleet: muted until ") && called.out.lines().count() == 2, "{called:?}");
    let muted =
        "SELECT count(*) FROM alerts WHERE unixepoch(muted_until) - unixepoch() BETWEEN 7100 AND 7200";
    assert_eq!(format!("{:?}", fleet.query(muted)), "[[Integer(2)]]");
    let rows = fleet.dcm(&["alerts", "fleet"]).ok().out;
    assert!(rows.contains("  muted 1h"), "{rows}");
    // The app goes by its schedule as before.
    assert!(!fleet.app("croatia/fina/owners").app.disabled);
    let called = fleet.dcm(&["alerts", "unmute", "all", "--json"]).ok();
    assert_eq!(called.json().as_array().unwrap().len(), 5);
    assert_eq!(format!("{:?}", fleet.query("SELECT count(muted_until) FROM alerts")), "[[Integer(0)]]");
    fleet.dcm(&["alerts", "mute", &owners, "--until", "+1d"]).ok();
    assert_eq!(format!("{:?}", fleet.query("SELECT count(muted_until) FROM alerts")), "[[Integer(1)]]");
}

#[test]
fn what_cannot_be_noted_is_refused() {
    let fleet = in_trouble();
    for arguments in [["alerts", "ack", "99"], ["alerts", "unmute", "no/such/app"], ["alerts", "list", "99"]]
    {
        fleet.dcm(&arguments).refused(4, &["no such a"]);
    }
    for arguments in [
        vec!["alerts", "mute", "all"],
        vec!["alerts", "mute", "all", "--for", "soon"],
        vec!["alerts", "mute", "all", "--for", "0m"],
        vec!["alerts", "mute", "all", "--for", "366d"],
        vec!["alerts", "mute", "all", "--until", "2020-01-01T00:00:00Z"],
        vec!["alerts", "mute", "all", "--for", "1h", "--until", "+1h"],
        vec!["alerts", "ack"],
        vec!["alerts", "--severity", "bad"],
        vec!["alerts", "--open", "--all"],
    ] {
        let called = fleet.dcm(&arguments);
        assert_eq!(called.code, 2, "{arguments:?}: {called:?}");
    }
    let deeds = number(&fleet, "set_aside", "deeds");
    fleet.dcm(&["app", "set", "serbia/notary/deeds", "--interval", "60"]).ok();
    fleet.until_query("SELECT count(*) FROM alerts WHERE closed IS NULL", "[[Integer(3)]]");
    fleet.dcm(&["alerts", "ack", &deeds]).refused(1, &["was over at", "nothing is noted"]);
    let called = fleet.dcm(&["alerts", "ack", "serbia/notary/deeds"]).ok();
    assert!(called.err.contains("no such alert is open; nothing was noted"), "{called:?}");
    // An app that is removed has left alerts.
    fleet.dcm(&["app", "remove", "croatia/fina/owners", "--yes"]).ok();
    fleet.until_query("SELECT count(*) FROM alerts WHERE closed IS NULL", "[[Integer(2)]]");
    let rows = fleet.dcm(&["alerts", "croatia/fina/owners", "--all", "--json"]).ok().json();
    assert_eq!((rows.as_array().unwrap().len(), &rows[0]["path"]), (1, &serde_json::Value::Null));
}
