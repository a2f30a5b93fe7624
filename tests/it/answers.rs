//! What commands answer: true, complete, and with the way on.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use crate::fleet::{Fleet, PATIENCE, is_alive, send_signal};
use crate::postgres::Schema;
use crate::terminal::Terminal;

#[test]
fn a_schedule_that_no_manager_has_looked_at_is_not_denied() {
    let fleet = Fleet::new();
    fleet.add("a/b/interval", &["--interval", "30"], &["true"]);
    fleet.add("a/b/calendar", &["--cron", "0 6 * * *"], &["true"]);
    fleet.add("a/b/none", &[], &["true"]);
    fleet.sql("UPDATE apps SET run_status = 2, fatal_flag = 3, fatal_msg = 'x', interval = 5 WHERE app_name = 'none'");
    for (path, words) in [
        (
            "a/b/interval",
            "its schedule has no next time yet; a manager sets it\nits schedule: 30 min after each run\n",
        ),
        (
            "a/b/calendar",
            "its schedule has no next time yet; a manager sets it\nits schedule: 0 6 * * * UTC\n",
        ),
        ("a/b/none", "it keeps failing"),
    ] {
        let why = fleet.dcm(&["why", path]).ok().out;
        assert!(why.contains(words) && !why.contains("no schedule"), "{path}: {why}");
    }
    let next = fleet.dcm(&["next"]).ok();
    assert!(
        next.out.contains("a/b/calendar") && next.err.contains("2 more apps have an interval"),
        "{next:?}"
    );
    let next = fleet.dcm(&["next", "a/b/calendar", "-n", "3", "--json"]).ok().json();
    assert_eq!(next.as_array().unwrap().len(), 3);
    assert!(next[0]["next_run"].as_str().unwrap().ends_with("T06:00:00.000Z"), "{next}");
}

#[test]
fn the_zone_of_a_time_without_one_is_said() {
    let fleet = Fleet::new();
    fleet.add("a/b/zagreb", &["--interval", "30", "--time-zone", "Europe/Zagreb"], &["true"]);
    fleet.add("a/b/utc", &["--interval", "30"], &["true"]);
    let schema = Schema::new();
    let mut shared = Fleet::bare();
    shared.set("DC_DATABASE_URL", schema.url());
    shared.dcm(&["db", "migrate"]).ok();
    shared.dcm(&["app", "add", "a/b/zagreb", "--time-zone", "Europe/Zagreb", "--", "true"]).ok();
    for (fleet, path, zone) in [
        (&fleet, "a/b/zagreb", "Europe/Zagreb"),
        (&fleet, "a/b/utc", "UTC"),
        (&shared, "a/b/zagreb", "the zone of the session that writes it"),
    ] {
        let why = fleet.dcm(&["why", path]).ok().out;
        assert!(why.contains(&format!("without a zone is read in {zone}\n")), "{path}: {why}");
        let shown = fleet.dcm(&["app", "show", path]).ok().out;
        assert!(shown.contains(&format!("next_run_zone    {zone}\n")), "{path}: {shown}");
        let shown = fleet.dcm(&["app", "show", path, "--json"]).ok().json();
        assert_eq!(shown["next_run_zone"], zone, "{path}");
    }
}

#[test]
fn an_interval_beside_a_calendar_is_listed_with_what_it_counts_for() {
    let fleet = Fleet::new();
    fleet.add("a/b/both", &["--cron", "0 6 * * *", "--interval", "30"], &["true"]);
    let all = ["--cron", "0 6 * * *", "--interval", "30", "--retry-interval", "5"];
    fleet.add("a/b/all", &all, &["true"]);
    let list = fleet.dcm(&["app", "list"]).ok().out;
    for words in [
        "0 6 * * * UTC, interval 30 min only after failed runs  ",
        "0 6 * * * UTC, interval 30 min not used, retry after 5 min  ",
    ] {
        assert!(list.contains(words), "{words}: {list}");
    }
}

#[test]
fn limits_are_set_shown_exported_and_imported() {
    let fleet = Fleet::new();
    fleet.add("t/t/one", &[], &["true"]);
    let called = fleet.dcm(&["app", "limit", "t/t", "2"]).ok();
    assert_eq!(called.out, "at most 2 apps of t/t run at once\n");
    fleet.dcm(&["app", "limit", "t", "5"]).ok();
    fleet.dcm(&["app", "limit", "t/t/one", "1"]).refused(2, &["neither GROUP nor GROUP/PARENT"]);
    fleet.dcm(&["app", "limit", "nosuch", "3"]).refused(4, &["no such app: nosuch"]);
    fleet.dcm(&["app", "limit", "t", "many"]).refused(2, &["whole number, or none"]);
    let shown = fleet.dcm(&["app", "limit"]).ok().out;
    assert!(shown.contains("t/t    2      0"), "{shown}");
    let shown = fleet.dcm(&["app", "limit", "t", "--json"]).ok().json();
    assert_eq!(shown, serde_json::json!([{ "place": "t", "max_running": 5, "running": 0 }]));
    let exported = fleet.dcm(&["app", "export"]).ok().out;
    let copy = Fleet::new();
    let file = copy.dir.path().join("fleet.toml");
    std::fs::write(&file, &exported).unwrap();
    copy.dcm(&["app", "import", file.to_str().unwrap()]).ok();
    assert_eq!(copy.dcm(&["app", "export"]).ok().out, exported);
    assert_eq!(copy.dcm(&["app", "limit"]).ok().out, fleet.dcm(&["app", "limit"]).ok().out);
    std::fs::write(&file, "[[limit]]\nplace = 'a/b/c'\nmax_running = 1\n").unwrap();
    copy.dcm(&["app", "import", file.to_str().unwrap()]).refused(2, &["fleet.toml:2: ", "neither GROUP"]);
}

#[test]
fn history_in_json_has_the_columns_of_the_contract() {
    let fleet = Fleet::with_manager();
    fleet.add("a/b/c", &[], &["true"]);
    let verdict = fleet.dcm(&["start", "a/b/c", "--wait", "--json"]).ok().json();
    fleet.until_runs("a/b/c", "is over", |runs| runs[0].end.is_some());
    let history = fleet.dcm(&["history", "a/b/c", "--json"]).ok().json();
    assert_eq!(history[0]["command_id"], verdict[0]["id"]);
    for name in ["totals", "totalm", "totalh", "leftovers"] {
        assert_eq!(history[0][name], 0, "{history}");
    }
}

#[test]
fn options_stand_only_where_they_mean_something() {
    let fleet = Fleet::new();
    fleet.add("a/b/c", &[], &["true"]);
    for command in ["stop", "enable", "disable"] {
        fleet.dcm(&[command, "a/b/c", "--args", "{}"]).refused(2, &["unexpected argument"]);
    }
    fleet.dcm(&["start", "a/b/c", "--wait", "5"]).refused(4, &["no such app: 5", "write --wait=5"]);
    fleet.dcm(&["console", "--plain", "--filter", "is:bogus"]).refused(2, &["--filter: ", "bogus"]);
    fleet.dcm(&["console", "--plain", "--view", "nosuch"]).refused(2, &["no such view: nosuch"]);
    let called = fleet.dcm(&["app", "add", "a/b/pool", "--pool", "eu", "--", "true"]).ok();
    assert!(called.err.contains("pool has no effect on an embedded database"), "{called:?}");
    let called = fleet.dcm(&["app", "add", "hr/fina.v2/x"]).ok();
    assert!(called.err.contains("fina.v2 cannot be part of a module's name"), "{called:?}");
}

#[test]
fn an_app_can_be_registered_to_run_at_once() {
    let fleet = Fleet::with_manager();
    fleet.add("a/b/c", &["--interval", "600", "--now"], &["true"]);
    let runs = fleet.until_runs("a/b/c", "has run", |runs| runs.first().is_some_and(|run| run.end.is_some()));
    assert_eq!(runs.len(), 1);
    let next = fleet.until("a/b/c", "is planned", |row| row.next_run.is_some()).next_run.unwrap();
    assert!((next - runs[0].start).num_minutes() > 590);
}

#[test]
fn which_python_apps_get_is_told() {
    let mut fleet = Fleet::new();
    let python = fleet.dir.path().join("venv/bin/python");
    std::fs::create_dir_all(python.parent().unwrap()).unwrap();
    std::os::unix::fs::symlink("/usr/bin/env", &python).unwrap();
    fleet.start_manager();
    fleet.dcm(&["app", "add", "no/such/module", "--enable"]).ok();
    fleet.dcm(&["start", "no/such/module", "--wait"]).ok();
    fleet.until_runs("no/such/module", "is over", |runs| runs[0].end.is_some());
    let managers = fleet.dcm(&["managers", "--json"]).ok().json();
    let own = managers[0]["python"].as_str().unwrap().to_owned();
    assert!(own.ends_with("/python3"), "{own}");
    let why = fleet.dcm(&["why", "no/such/module"]).ok().out;
    assert!(why.contains("Python says: No module named") && why.contains(&own), "{why}");
    fleet.stop_manager();
    fleet.set("VIRTUAL_ENV", fleet.dir.path().join("venv").to_str().unwrap().to_owned().leak());
    fleet.start_manager();
    let log = fleet.manager_log();
    assert!(
        log.contains("another Python than from the manager before") && log.contains("venv/bin/python"),
        "{log}"
    );
}

/// What is left of a text when the terminal has taken its colours.
fn without_colours(written: &str) -> String {
    let mut parts = written.split("\x1b[");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |shown, part| shown + part.split_once('m').map_or("", |(_, rest)| rest))
}

#[test]
fn a_table_fits_the_terminal() {
    let fleet = Fleet::with_manager();
    fleet.add("a/b/c", &[], &["sh", "-c", "exit 1"]);
    fleet.add("a/b/gone", &[], &["no-such-program"]);
    fleet.dcm(&["start", "a/b", "--wait"]).refused(1, &["failed to start"]);
    fleet.until_runs("a/b/c", "is over", |runs| runs[0].end.is_some());
    for columns in [60_u16, 80, 200] {
        for command in [&["status"][..], &["app", "list"]] {
            let written = Terminal::open(&fleet, command, (columns, 30)).until_end();
            let shown = without_colours(&written);
            let widest = shown.lines().map(|line| line.trim_end().chars().count()).max().unwrap();
            assert!(widest <= usize::from(columns), "{command:?} {columns}: {written}");
        }
    }
    let history = fleet.dcm(&["history", "a/b/gone"]).ok().out;
    let message = &history.lines().nth(1).unwrap()[history.find("MESSAGE").unwrap()..];
    assert!(message.chars().count() <= 100, "{message}");
}

#[test]
fn the_log_of_a_manager_has_the_form_that_is_asked_for_and_a_hangup_is_told() {
    let mut fleet = Fleet::new();
    let file = fleet.dir.path().join("dcm.toml");
    std::fs::write(&file, "[log]\nformat = 'text'\n").unwrap();
    fleet.set("DC_CONFIG", file.to_str().unwrap());
    fleet.start_manager();
    let log = until_log(&fleet, "the manager is running");
    assert!(log.contains(" INFO ") && !log.contains("{\"") && !log.contains('\x1b'), "{log}");
    let pid = fleet.manager_pid();
    send_signal(pid, libc::SIGHUP);
    until_log(&fleet, "SIGHUP: the settings were read again; nothing has changed");
    assert!(is_alive(pid));
}

#[test]
fn a_variable_of_the_manager_can_be_kept_from_an_app() {
    let mut fleet = Fleet::new();
    fleet.set("PLAIN", "inherited");
    fleet.start_manager();
    let show = ["sh", "-c", "echo ${PLAIN-unset} ${PYTHONUNBUFFERED-unset} $OWN"];
    fleet.add("a/b/c", &["--unset-env", "PLAIN", "--unset-env", "PYTHONUNBUFFERED", "--env", "OWN=1"], &show);
    let shown = fleet.dcm(&["app", "show", "a/b/c", "--json"]).ok().json();
    let env = serde_json::json!({ "OWN": "***", "PLAIN": null, "PYTHONUNBUFFERED": null });
    assert_eq!(shown["env"], env);
    let exported = fleet.dcm(&["app", "export"]).ok().out;
    assert!(exported.contains("PLAIN = false"), "{exported}");
    let file = fleet.dir.path().join("fleet.toml");
    std::fs::write(&file, exported.replace("a/b/c", "a/b/copy")).unwrap();
    fleet.dcm(&["app", "import", file.to_str().unwrap()]).ok();
    for path in ["a/b/c", "a/b/copy"] {
        assert_eq!(fleet.dcm(&["run-app", path]).ok().out, "unset unset 1\n", "{path}");
        fleet.dcm(&["start", path, "--wait"]).ok();
        fleet.until_runs(path, "is over", |runs| runs.len() == 2 && runs[0].end.is_some());
    }
    fleet.dcm(&["app", "set", "a/b/c", "--env", "PLAIN="]).ok();
    assert_eq!(fleet.dcm(&["run-app", "a/b/c"]).ok().out, "inherited unset 1\n");
    // By SQL it is null.
    fleet.sql("UPDATE apps SET env = '{\"PLAIN\": null}' WHERE app_name = 'c'");
    assert_eq!(fleet.dcm(&["run-app", "a/b/c"]).ok().out, "unset 1\n");
}

#[test]
fn migrate_says_whether_there_was_anything_to_do() {
    let fleet = Fleet::bare();
    for migrated in [true, false] {
        let said = fleet.dcm(&["db", "migrate", "--json"]).ok().json();
        assert_eq!(said["migrated"], migrated, "{said}");
    }
}

#[test]
fn a_password_in_an_argument_is_not_for_all_to_see() {
    let fleet = Fleet::new();
    // Nobody answers there: it waits, as a manager does whose database is away.
    let url = "postgres://ana:hunter2@127.0.0.1:1/fleet";
    let mut manager = fleet.command();
    manager.args(["--headless", "--database", url]).stderr(Stdio::piped());
    let mut manager = manager.spawn().unwrap();
    let mut log = BufReader::new(manager.stderr.take().unwrap()).lines();
    let waits = log.find(|line| line.as_ref().unwrap().contains("waiting for the database"));
    let arguments = std::fs::read(format!("/proc/{}/cmdline", manager.id())).unwrap();
    manager.kill().unwrap();
    manager.wait().unwrap();
    assert!(waits.is_some());
    let arguments = String::from_utf8(arguments).unwrap();
    assert!(arguments.contains("postgres://ana:*******@127.0.0.1:1/fleet"), "{arguments:?}");
}

/// Waits until the manager has logged this.
fn until_log(fleet: &Fleet, words: &str) -> String {
    let deadline = std::time::Instant::now() + PATIENCE;
    loop {
        let log = fleet.manager_log();
        if log.contains(words) {
            return log;
        }
        assert!(std::time::Instant::now() < deadline, "{words:?} is not in {log}");
        // There is no event for a line of a file.
        std::thread::park_timeout(std::time::Duration::from_millis(5));
    }
}
