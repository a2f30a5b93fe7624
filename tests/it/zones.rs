//! Times without an offset, by every way in which one may come.

use chrono::{DateTime, Local, TimeDelta, TimeZone as _, Utc};
use dcm::model::RunStatus;

use crate::fleet::Fleet;
use crate::postgres::Schema;

fn utc(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

#[test]
fn a_time_without_an_offset_is_one_of_the_app_s_zone() {
    let fleet = Fleet::with_manager();
    let by_line = "echo '::dcm {\"next_run\": \"2099-07-01 05:47:03\"}'";
    let by_sql = format!(
        "python3 -c \"import sqlite3; c = sqlite3.connect('{}', timeout=20); \
         c.execute('UPDATE apps SET next_run = ? WHERE app_name = ?', ('2099-07-01 05:47:03', 'sql')); c.commit()\"",
        fleet.database().display()
    );
    let zagreb = ["--interval", "5", "--time-zone", "Europe/Zagreb"];
    fleet.add("a/b/line", &zagreb, &["sh", "-c", by_line]);
    fleet.add("a/b/sql", &zagreb, &["sh", "-c", &by_sql]);
    fleet.dcm(&["start", "all", "--wait"]).ok();
    for path in ["a/b/line", "a/b/sql"] {
        let row = fleet.until(path, "has the time that it asked for", |row| {
            row.state.status == RunStatus::NotRunning && row.next_run == Some(utc("2099-07-01T03:47:03Z"))
        });
        assert_eq!(row.asked_next_run, None, "{path}");
    }
    // Other forms and zones, also of an app that rests; the table has them in the usual form.
    for (zone, written, meant) in [
        ("Europe/Zagreb", "2099-01-01T05:47", "2099-01-01T04:47:00Z"),
        ("Europe/Zagreb", "2099-01-01 05:47:03,5", "2099-01-01T04:47:03.500Z"),
        ("Europe/Zagreb", "2099-01-02 05:47:03+0530", "2099-01-02T00:17:03Z"),
        ("Europe/Zagreb", "2099-01-03", "2099-01-02T23:00:00Z"),
        ("Europe/Zagreb", "2030-03-31 02:30", "2030-03-31T01:30:00Z"),
        ("UTC", "2099-01-04 05:47:03", "2099-01-04T05:47:03Z"),
    ] {
        fleet.sql(&format!(
            "UPDATE apps SET time_zone = '{zone}' WHERE app_name = 'sql' AND time_zone <> '{zone}'; \
             UPDATE apps SET next_run = '{written}' WHERE app_name = 'sql'"
        ));
        let stored = utc(meant).format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string();
        fleet.until("a/b/sql", written, |row| {
            row.next_run == Some(utc(meant)) && row.asked_next_run.is_none()
        });
        let table = fleet.query("SELECT next_run, next_run_kind FROM apps WHERE app_name = 'sql'");
        assert_eq!(format!("{table:?}"), format!("[[Text({stored:?}), Text(\"asked\")]]"), "{written}");
    }
}

#[test]
fn on_the_command_line_it_is_local_time_and_words_work() {
    let mut fleet = Fleet::with_manager();
    fleet.set("TZ", "America/New_York");
    fleet.add("a/b/c", &["--interval", "60"], &["true"]);
    let set = |time: &str| fleet.dcm(&["app", "set", "a/b/c", "--next-run", time]);
    set("2099-01-01 05:47:03").ok();
    fleet.until("a/b/c", "is due by local time", |row| row.next_run == Some(utc("2099-01-01T10:47:03Z")));
    set("+10m").ok();
    fleet.until("a/b/c", "is due in ten minutes", |row| {
        let due = row.next_run.map(|time| time - Utc::now());
        due.is_some_and(|due| due <= TimeDelta::minutes(10) && due > TimeDelta::minutes(8))
    });
    set("2099-01-01T05:47:03Z").ok();
    fleet.until("a/b/c", "is due by its offset", |row| row.next_run == Some(utc("2099-01-01T05:47:03Z")));
    set("none").ok();
    fleet.until("a/b/c", "goes by its schedule", |row| {
        row.next_run.is_some_and(|time| time < utc("2099-01-01T00:00:00Z"))
    });
    set("now").ok();
    fleet.until_runs("a/b/c", "runs at once", |runs| !runs.is_empty());
    let refused = set("soon");
    assert_eq!(refused.code, 2);
    assert!(refused.err.contains("+10m") && refused.err.contains("none"), "{refused:?}");
}

#[test]
fn dcm_report_asks_for_a_time_and_takes_it_back() {
    let fleet = Fleet::with_manager();
    let dcm = env!("CARGO_BIN_EXE_dcm");
    let ask = format!("{dcm} report --next-run '2099-01-01 05:47:03'");
    fleet.add("a/b/asks", &["--interval", "60"], &["sh", "-c", &ask]);
    let both = format!("{ask}; {dcm} report --next-run none");
    fleet.add("a/b/withdraws", &["--interval", "60"], &["sh", "-c", &both]);
    fleet.dcm(&["start", "all", "--wait"]).ok();
    let local = Local.with_ymd_and_hms(2099, 1, 1, 5, 47, 3).unwrap().to_utc();
    let ended =
        |path: &str| fleet.until_runs(path, "is over", |runs| runs.iter().any(|run| run.end.is_some()));
    ended("a/b/asks");
    fleet.until("a/b/asks", "has its time", |row| row.next_run == Some(local));
    ended("a/b/withdraws");
    fleet.until("a/b/withdraws", "goes by its schedule", |row| {
        row.next_run.is_some_and(|time| time < utc("2098-01-01T00:00:00Z")) && row.asked_next_run.is_none()
    });
}

#[test]
fn a_server_reads_it_in_the_zone_of_the_session_and_lines_are_read_in_the_app_s() {
    let schema = Schema::new();
    let mut fleet = Fleet::bare();
    fleet.set("DC_DATABASE_URL", schema.url());
    fleet.dcm(&["db", "migrate"]).ok();
    fleet.dcm(&["app", "add", "a/b/c", "--time-zone", "Europe/Zagreb", "--", "true"]).ok();
    schema.sql("SET TIME ZONE 'Asia/Tokyo'; UPDATE apps SET next_run = '2099-01-01 09:00:00'");
    let same =
        "SELECT count(*) FROM apps WHERE next_run = '2099-01-01 00:00:00+00' AND next_run_kind = 'asked'";
    assert_eq!(schema.number(same), 1);
}
