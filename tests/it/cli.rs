//! The command line: help, JSON, exit codes, and what it does in pipes.

use std::process::Stdio;

use crate::fleet::Fleet;

#[test]
fn help_fits_and_names_every_command() {
    let fleet = Fleet::new();
    let help = fleet.dcm(&["--help"]).ok().out;
    insta::assert_snapshot!("help", help);
    for command in [
        "app",
        "start",
        "status",
        "history",
        "logs",
        "why",
        "next",
        "run-app",
        "report",
        "stop-apps",
        "db",
        "config",
        "service",
        "doctor",
        "man",
        "completions",
    ] {
        let help = fleet.dcm(&[command, "--help"]).ok().out;
        assert!(help.lines().all(|line| line.chars().count() <= 100), "{help}");
    }
}

#[test]
fn wrong_use_is_exit_2_with_a_hint() {
    let fleet = Fleet::new();
    for arguments in [
        vec!["no-such-command"],
        vec!["start"],
        vec!["start", "a//b"],
        vec!["start", "../x"],
        vec!["status", "--no-such-flag"],
        vec!["logs"],
        vec!["logs", "a/b/c", "--grep", "("],
        vec!["logs", "a/b/c", "--since", "soon"],
        vec!["--headless", "status"],
        vec!["app", "add", "a/b/c", "--interval", "soon"],
        vec!["history", "all", "-n", "0"],
    ] {
        let called = fleet.dcm(&arguments);
        assert_eq!(called.code, 2, "{arguments:?}: {called:?}");
        assert!(!called.err.is_empty() && called.out.is_empty(), "{called:?}");
    }
}

#[test]
fn json_has_stable_names_and_rfc_3339_times() {
    let fleet = Fleet::with_manager();
    fleet.add("a/b/c", &["--interval", "60"], &["sh", "-c", "echo hello; exit 3"]);
    let verdict = fleet.dcm(&["start", "a/b/c", "--wait", "--json"]).ok().json();
    assert_eq!(
        (verdict[0]["verdict"].as_str(), verdict[0]["cmd_flag"].as_i64()),
        (Some("EXECUTED"), Some(1))
    );
    fleet.until_runs("a/b/c", "is over", |runs| runs[0].end.is_some());
    fleet.until("a/b/c", "is planned", |row| row.next_run.is_some());
    let status = fleet.dcm(&["status", "--json"]).ok().json();
    let row = &status[0];
    let names: Vec<_> = row.as_object().unwrap().keys().map(String::as_str).collect();
    for name in [
        "app",
        "app_group",
        "app_name",
        "app_parent",
        "app_pids",
        "cmd_by",
        "cmd_flag",
        "cmd_name",
        "command",
        "disable",
        "eta",
        "failed",
        "fatal_flag",
        "fatal_msg",
        "interval",
        "last_run",
        "manager",
        "next_run",
        "path",
        "progress",
        "run_status",
        "runtime",
        "solved",
        "task_size",
        "time_zone",
    ] {
        assert!(names.contains(&name), "{name} is not in {names:?}");
    }
    assert_eq!((row["path"].as_str(), row["run_status"].as_i64()), (Some("a/b/c"), Some(0)));
    let next = row["next_run"].as_str().unwrap();
    assert!(next.ends_with('Z') && next.contains('T'), "{next}");
    let history = fleet.dcm(&["history", "a/b/c", "--json"]).ok().json();
    assert_eq!((history[0]["exit_code"].as_i64(), history[0]["outcome"].as_str()), (Some(3), Some("failed")));
    assert_eq!(history[0]["trigger"], "command");
    let failed = fleet.dcm(&["history", "--failed", "--since", "1h", "--json"]).ok().json();
    assert_eq!(failed[0]["runtime"], history[0]["runtime"]);
    assert_eq!(
        fleet.dcm(&["history", "--since", "+1h", "--json"]).code,
        2,
        "a time to come is none that has passed"
    );
    let logs = fleet.dcm(&["logs", "a/b/c", "--json"]).ok().json();
    assert_eq!((logs["text"].as_str(), logs["stream"].as_str()), (Some("hello"), Some("stdout")));
    let why = fleet.dcm(&["why", "a/b/c", "--json"]).ok().json();
    assert!(
        why["reasons"]
            .as_array()
            .unwrap()
            .iter()
            .any(|reason| reason.as_str().unwrap().contains("it is due in"))
    );
    let next = fleet.dcm(&["next", "--json"]).ok().json();
    assert_eq!(next[0]["path"], "a/b/c");
    assert!(fleet.dcm(&["db", "check", "--json"]).ok().json()["ok"].as_bool().unwrap());
}

#[test]
fn what_is_not_known_is_a_dash_and_an_app_that_never_ran_has_no_counts() {
    let fleet = Fleet::with_manager();
    fleet.add("a/b/ran", &[], &["sh", "-c", "exit 3"]);
    fleet.dcm(&["app", "add", "a/b/never", "--", "true"]).ok();
    fleet.dcm(&["start", "a/b/ran", "--wait"]).ok();
    fleet.until_runs("a/b/ran", "is over", |runs| runs[0].end.is_some());
    let table = fleet.dcm(&["status"]).ok().out;
    let cells = |name: &str| -> Vec<_> {
        let line = table.lines().find(|line| line.starts_with(name)).unwrap();
        line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect()
    };
    let (head, ran, never) = (cells("APP"), cells("a/b/ran"), cells("a/b/never"));
    assert_eq!((ran.len(), never.len()), (head.len(), head.len()), "{table}");
    assert_eq!(ran[1..8], ["FAILED", "exit 3", "-", "-", "-", "0", "-"], "{table}");
    assert_eq!(never[1..4], ["DISABLED", "-", "disabled"], "{table}");
    assert!(never[4..].iter().all(|cell| *cell == "-"), "{table}");
    let managers = fleet.dcm(&["managers"]).ok().out;
    let (head, row) = (managers.lines().next().unwrap(), managers.lines().nth(1).unwrap());
    assert_eq!(row.split_whitespace().count(), head.split_whitespace().count(), "{managers}");
}

#[test]
fn selectors_mean_paths_prefixes_globs_and_all() {
    let fleet = Fleet::new();
    for path in
        ["croatia/fina/companies", "croatia/fina/owners", "croatia/court/rulings", "italy/fina/prices"]
    {
        fleet.add(path, &[], &["true"]);
    }
    let count = |selectors: &[&str]| {
        let arguments: Vec<_> = ["status", "--json"].iter().chain(selectors).copied().collect();
        fleet.dcm(&arguments).ok().json().as_array().unwrap().len()
    };
    assert_eq!(count(&[]), 4);
    assert_eq!(count(&["all"]), 4);
    assert_eq!(count(&["croatia"]), 3);
    assert_eq!(count(&["croatia/fina"]), 2);
    assert_eq!(count(&["*/fina/*"]), 3);
    assert_eq!(count(&["croatia/court/rulings", "italy"]), 2);
    fleet.dcm(&["status", "spain"]).refused(4, &["no such app: spain"]);
    fleet.dcm(&["start", "croatia/fina/prices"]).refused(4, &["did you mean italy/fina/prices?"]);
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let fleet = Fleet::new();
    for number in 0..500 {
        fleet.sql(&format!(
            "INSERT INTO apps (app_group, app_parent, app_name) VALUES ('a', 'b', 'n{number}')"
        ));
    }
    let mut child =
        fleet.command().args(["app", "list"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert!(!String::from_utf8_lossy(&output.stderr).contains("panicked"));
}

#[test]
fn completions_are_scripts() {
    let fleet = Fleet::new();
    for shell in ["bash", "zsh", "fish", "powershell"] {
        assert!(fleet.dcm(&["completions", shell]).ok().out.contains("run-app"), "{shell}");
    }
}

#[test]
fn unknown_settings_are_warned_of_and_wrong_ones_refused() {
    let fleet = Fleet::new();
    let file = fleet.dir.path().join("dcm.toml");
    std::fs::write(&file, "name = 'zg'\nnonsense = 1\n").unwrap();
    let called = fleet.dcm(&["app", "list", "--config", file.to_str().unwrap()]).ok();
    assert!(called.err.contains("dcm.toml:2: unknown setting nonsense"), "{}", called.err);
    std::fs::write(&file, "\n[limits]\nrunning = 'many'\n").unwrap();
    fleet
        .dcm(&["app", "list", "--config", file.to_str().unwrap()])
        .refused(2, &["dcm.toml:3: limits.running"]);
    fleet.dcm(&["app", "list", "--config", "/no/such/dcm.toml"]).refused(2, &["/no/such/dcm.toml"]);
}

#[test]
fn why_tells_what_keeps_an_app_from_running() {
    let fleet = Fleet::with_manager();
    fleet.dcm(&["app", "add", "a/b/disabled", "--", "true"]).ok();
    fleet.add("a/b/command", &[], &["true"]);
    fleet.add("a/b/stopped", &["--interval", "5"], &["true"]);
    fleet.dcm(&["stop", "a/b/stopped", "--wait"]).ok();
    fleet.add("a/b/runs", &[], &["sleep", "600"]);
    fleet.dcm(&["start", "a/b/runs", "--wait"]).ok();
    for (path, words) in [
        ("a/b/disabled", "it is disabled"),
        ("a/b/command", "runs on command only"),
        ("a/b/stopped", "stopped it; it stays stopped"),
        ("a/b/runs", "started by a command"),
    ] {
        let why = fleet.dcm(&["why", path]).ok().out;
        assert!(why.contains(words), "{path}: {why}");
    }
}

#[test]
fn what_is_in_the_state_directory_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let fleet = Fleet::new();
    let mode = std::fs::metadata(fleet.state()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700, "{mode:o}");
}
