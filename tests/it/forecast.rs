//! How many apps will run at once, and other times for them.

use std::fmt::Write as _;

use dcm::model::{Planned, RunStatus};

use crate::fleet::Fleet;

/// 40 apps of croatia and 20 of italy that start at the same time and take five minutes, from a file; one that was never
/// run, and one that is to be left as it is. Their hour is half a day ahead, whenever the test runs: a peak at the edge of
/// the 24 hours ahead is partly beyond them.
fn at_one_hour() -> (Fleet, String) {
    let hour = dcm::process::clock::now().wall + chrono::TimeDelta::hours(12);
    let hour = hour.format("%-H").to_string();
    let mut fleet = Fleet::new();
    fleet.set("TZ", "UTC");
    let croatia = (0..40).map(|n| format!("croatia/fina/a{n}"));
    let italy = (0..20).map(|n| format!("italy/court/a{n}"));
    let mut text = String::new();
    let rest = [("croatia/fina/list", "0,30"), ("spain/court/new", "0")];
    let of_all = croatia.chain(italy).map(|path| (path, "0"));
    for (path, minutes) in of_all.chain(rest.map(|(path, minutes)| (path.to_owned(), minutes))) {
        let cron = format!("{minutes} {hour} * * *");
        writeln!(text, "[[app]]\npath = \"{path}\"\ncommand = [\"true\"]\ncron = \"{cron}\"\nenabled = true")
            .unwrap();
    }
    std::fs::write(fleet.dir.path().join("fleet.toml"), text).unwrap();
    fleet.dcm(&["app", "import", "fleet.toml"]).ok();
    fleet.sql(
        "INSERT INTO runtime (runtime, app_id, start_time, end_time, outcome, exit_code, trigger) \
         SELECT lower(hex(randomblob(16))), app, '2026-01-01T02:00:00.000Z', '2026-01-01T02:05:00.000Z', 'ok', 0, 'schedule' \
         FROM apps WHERE app_group <> 'spain'",
    );
    (fleet, hour)
}

fn crons(fleet: &Fleet) -> String {
    format!("{:?}", fleet.query("SELECT app_name, cron_expression FROM apps ORDER BY app"))
}

#[test]
fn the_load_of_a_day_has_its_peak_and_a_command_that_lowers_it() {
    let (fleet, hour) = at_one_hour();
    fleet.dcm(&["app", "limit", "croatia", "30"]).ok();
    let found = fleet.dcm(&["next", "--load", "--json"]).ok().json();
    assert_eq!(
        (&found["apps"], &found["highest"], &found["slot_seconds"]),
        (&62.into(), &61.into(), &60.into())
    );
    assert_eq!(found["slots"].as_array().unwrap().len(), 1440);
    assert_eq!(found["unknown"], serde_json::json!(["spain/court/new"]));
    let peak = &found["peaks"][0];
    assert!(peak["time"].as_str().unwrap().ends_with(&format!("T{hour:0>2}:00:00.000Z")), "{peak}");
    assert_eq!(
        peak["groups"],
        serde_json::json!([{"group": "croatia", "at_once": 41}, {"group": "italy", "at_once": 20}])
    );
    let over = &found["exceeded"][0];
    assert_eq!(
        (&over["kind"], &over["place"], &over["at_once"]),
        (&"group".into(), &"croatia".into(), &41.into())
    );
    let proposal = &found["proposals"][0];
    let command: Vec<_> = proposal["command"].as_str().unwrap().split(' ').skip(1).chain(["--yes"]).collect();
    assert_eq!(command[..3], ["app", "spread", "croatia"]);
    let text = fleet.dcm(&["next", "--load"]).ok().out;
    let peak = format!("\n{hour:0>2}:00 61 at once: croatia 41, italy 20; 61 start at {hour:0>2}:00\n");
    assert!(text.contains(&peak), "{text}");
    assert!(text.contains("limit of the group croatia: 30; up to 41 are due at once"), "{text}");
    assert!(text.contains("on record: spain/court/new\n"), "{text}");
    // What is proposed is what comes of it.
    let spread = fleet.dcm(&[&command[..], &["--json"]].concat()).ok().json();
    assert_eq!(spread["before"]["at_once"], 61);
    assert_eq!(spread["after"]["at_once"], proposal["after"]);
    assert_eq!(spread["changed"], proposal["moved_in_all"]);
    let after = fleet.dcm(&["next", "--load", "--json"]).ok().json();
    assert_eq!(after["highest"], proposal["after"]);
    // Of some apps alone.
    let italy = fleet.dcm(&["next", "--load", "italy", "--json"]).ok().json();
    assert_eq!(italy["apps"], 20);
    fleet.dcm(&["next", "--load", "no/such/app"]).refused(4, &["no such app"]);
    fleet.dcm(&["next", "--load", "-n", "3"]).refused(2, &["--load"]);
}

#[test]
fn a_spread_is_shown_asked_about_and_written_at_once() {
    let (fleet, hour) = at_one_hour();
    let before = crons(&fleet);
    let shown = fleet.dcm(&["app", "spread", "croatia", "--dry-run"]).ok();
    assert!(shown.out.contains("croatia/fina/a1") && !shown.out.contains("italy"), "{shown:?}");
    assert!(
        shown.err.contains("1 app left as before") && shown.err.contains("croatia/fina/list"),
        "{shown:?}"
    );
    assert!(shown.err.contains("in the next 24 h: 61 at ") && shown.err.contains("fleet.toml"), "{shown:?}");
    fleet.dcm(&["app", "spread", "croatia"]).refused(2, &["no terminal to ask on", "--yes"]);
    assert_eq!(crons(&fleet), before, "nothing was done");
    let done = fleet.dcm(&["app", "spread", "croatia", "--within", "5", "--yes"]).ok();
    assert!(done.out.ends_with(" changed\n"), "{done:?}");
    let minutes = fleet.query(
        "SELECT DISTINCT cron_expression FROM apps WHERE app_group = 'croatia' AND app_name <> 'list' ORDER BY 1",
    );
    assert_eq!(minutes.len(), 6, "{minutes:?}");
    assert_eq!(
        fleet.app("croatia/fina/list").app.schedule.cron.unwrap().as_str(),
        format!("0,30 {hour} * * *")
    );
    let others = fleet.query("SELECT DISTINCT cron_expression FROM apps WHERE app_group = 'italy'");
    assert_eq!(format!("{others:?}"), format!("[[Text(\"0 {hour} * * *\")]]"));
    fleet.dcm(&["app", "spread", "croatia", "--within", "0"]).refused(2, &["--within"]);
    fleet.dcm(&["app", "spread", "nothing"]).refused(4, &["no such app"]);
}

#[test]
fn a_manager_takes_the_times_of_a_spread() {
    let fleet = Fleet::with_manager();
    for n in 0..4 {
        fleet.add(&format!("a/b/c{n}"), &["--interval", "60"], &["true"]);
    }
    fleet.add("a/b/night", &["--cron", "0 2 * * *"], &["true"]);
    fleet.dcm(&["start", "a/b/c*", "--wait"]).ok();
    let is_planned = |row: &dcm::model::AppRow| {
        row.state.status == RunStatus::NotRunning && matches!(row.planned, Some(Planned::Pause(_)))
    };
    let before: Vec<_> =
        (0..4).map(|n| fleet.until(&format!("a/b/c{n}"), "rests", is_planned).next_run).collect();
    fleet.until("a/b/night", "is planned", |row| row.planned == Some(Planned::Calendar));
    let done = fleet.dcm(&["app", "spread", "all", "--within", "20", "--yes", "--json"]).ok().json();
    assert!(done["left"].as_array().unwrap().is_empty(), "{done}");
    let mut later = Vec::new();
    for (n, before) in before.into_iter().enumerate() {
        let path = format!("a/b/c{n}");
        let of_app = done["apps"].as_array().unwrap().iter().find(|app| app["path"] == *path);
        let after = match of_app {
            None => fleet.app(&path).next_run,
            Some(_) => fleet.until(&path, "is moved", |row| row.planned == Some(Planned::Asked)).next_run,
        };
        later.push((after.unwrap() - before.unwrap()).num_minutes());
    }
    later.sort_unstable();
    assert_eq!(later, [0, 5, 10, 15]);
    let cron = fleet.app("a/b/night").app.schedule.cron.unwrap();
    let night = fleet.until("a/b/night", "is planned by its new minute", |row| {
        let minute = row.next_run.map(|time| time.format("%-M 2 * * *").to_string());
        minute.as_deref() == Some(cron.as_str())
    });
    assert_eq!(night.planned, Some(Planned::Calendar));
}
