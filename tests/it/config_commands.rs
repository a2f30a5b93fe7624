//! `dcm config check` and `dcm config show`.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use crate::fleet::{Called, Fleet};

/// A fleet whose configuration file says this.
fn with_file(text: &str) -> (Fleet, PathBuf) {
    let mut fleet = Fleet::bare();
    let file = fleet.dir.path().join("dcm.toml");
    std::fs::write(&file, text).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    fleet.set("DC_CONFIG", file.to_str().unwrap());
    (fleet, file)
}

fn lines(called: &Called) -> Vec<&str> {
    called.out.lines().collect()
}

#[test]
fn each_fault_is_named_by_file_and_line() {
    let (fleet, file) = with_file(
        "name = 3\nlesae = 5\n[limits]\nrunning = 'x'\n[notify.ops]\nkind = 'slack'\n[rabbitmq]\nurl = 'http://x'\n",
    );
    let place = |line: usize| format!("{}:{line}", file.display());
    let called = fleet.dcm(&["config", "check"]);
    assert_eq!(
        lines(&called),
        [
            format!("error: {}: name must be a text", place(1)),
            format!("error: {}: limits.running must be a whole number of 1 or more", place(4)),
            format!("error: {}: notify.ops: slack needs url or url_file", place(5)),
            format!("error: {}: rabbitmq.url: it must begin with amqp:// or amqps://", place(8)),
            format!("warning: {}: unknown setting lesae; did you mean lease? (unknown_setting)", place(2)),
        ]
    );
    let called = called.refused(2, &["dcm.toml: 4 faults"]);
    assert_eq!(called.err.lines().count(), 1, "{}", called.err);
    let called = fleet.dcm(&["config", "check", "--json"]).refused(2, &[]);
    let json = called.json();
    assert_eq!((json["ok"].as_bool(), json["faults"][1]["line"].as_u64()), (Some(false), Some(4)));
    assert_eq!(json["warnings"][0]["name"], "unknown_setting");
    assert!(!fleet.state().exists(), "nothing is made");
    // What every other command says is the first of them.
    fleet.dcm(&["status"]).refused(2, &["dcm.toml:1: name must be a text"]);
}

#[test]
fn a_file_that_is_no_toml_has_its_faults_named_too() {
    let (fleet, file) = with_file("name = \n[limits\n");
    let called = fleet.dcm(&["config", "check"]).refused(2, &["2 faults"]);
    assert!(called.out.starts_with(&format!("error: {}:1: ", file.display())), "{}", called.out);
    fleet.dcm(&["config", "show"]).refused(2, &["dcm.toml:1: ", "dcm config check"]);
    fleet.dcm(&["config", "check", "--config", "/no/such.toml"]).refused(2, &["/no/such.toml"]);
}

#[test]
fn secrets_that_are_missing_or_exposed_are_warned_of() {
    let (fleet, file) = with_file("[notify.a]\nkind = 'slack'\nurl = '${NO_SUCH_VARIABLE}'\n");
    let called = fleet.dcm(&["config", "check"]).ok();
    assert!(called.out.contains("NO_SUCH_VARIABLE is not set (missing_secret)"), "{}", called.out);
    assert!(called.out.ends_with("dcm.toml: ok, with 1 warning\n"), "{}", called.out);
    std::fs::write(&file, "[notify.a]\nkind = 'slack'\nurl = 'https://hooks.slack.com/hunter2'\n").unwrap();
    assert!(fleet.dcm(&["config", "check"]).ok().out.ends_with("dcm.toml: ok\n"));
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    let called = fleet.dcm(&["config", "check"]).ok();
    assert!(called.out.contains("holds notify.a.url; chmod 640 it (exposed_secret)"), "{}", called.out);
    assert!(!called.out.contains("hunter2"));
}

#[test]
fn values_are_shown_with_their_origin_and_secrets_masked() {
    let (mut fleet, file) = with_file(
        "lease = 20\n[limits]\nrunning = 3\n[notify.a]\nkind = 'slack'\nurl = 'https://hooks.slack.com/hunter2'\n",
    );
    fleet.set("DC_MANAGER_NAME", "zg");
    let called = fleet.dcm(&["config", "show", "--name", "st"]).ok();
    let row = |key: &str| {
        let line = called.out.lines().find(|line| line.split_whitespace().next() == Some(key));
        line.unwrap_or_else(|| panic!("{key}: {}", called.out))
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(row("name"), "name st --name");
    assert_eq!(row("lease"), format!("lease 20 {}:1", file.display()));
    assert_eq!(row("state_dir"), format!("state_dir {} DC_STATE_DIR", fleet.state().display()));
    assert_eq!(row("scan_seconds"), "scan_seconds 10 default");
    assert_eq!(row("rabbitmq.url"), "rabbitmq.url - default");
    assert_eq!(row("notify.a.url"), format!("notify.a.url *** {}:6", file.display()));
    assert!(!called.out.contains("hunter2"));
    assert!(fleet.dcm(&["config", "show"]).ok().out.contains("zg"));
    let called = fleet.dcm(&["config", "show", "limits.running"]).ok();
    assert_eq!(
        (lines(&called).len(), lines(&called)[1].contains("limits.running")),
        (4, true),
        "{}",
        called.out
    );
    assert!(lines(&called)[3].starts_with("The largest number of apps"), "{}", called.out);
    let json = fleet.dcm(&["config", "show", "limits", "--json"]).ok().json();
    assert_eq!(json.as_array().unwrap().len(), 2, "{json}");
    let running = &json[0];
    assert_eq!((running["key"].as_str(), running["value"].as_u64()), (Some("limits.running"), Some(3)));
    assert_eq!((running["from"].as_str(), running["line"].as_u64()), (Some("file"), Some(3)));
    fleet.dcm(&["config", "show", "limits.runing"]).refused(2, &["did you mean limits.running?"]);
}
