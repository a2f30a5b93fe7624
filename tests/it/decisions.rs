//! What people decided holds: a DISABLE over an import, apps and their history over a mistyped command.

use std::path::PathBuf;

use crate::fleet::{Fleet, id};

fn file(fleet: &Fleet, text: &str) -> String {
    let path: PathBuf = fleet.dir.path().join("fleet.toml");
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

fn table(path: &str, more: &str) -> String {
    format!("[[app]]\npath = '{path}'\ncommand = ['sleep', '600']\nenabled = true\n{more}\n")
}

#[test]
fn an_import_lifts_no_disable_and_says_so() {
    let fleet = Fleet::with_manager();
    let file = file(&fleet, &format!("{}{}", table("a/b/one", ""), table("a/b/two", "")));
    fleet.dcm(&["app", "import", &file]).ok();
    fleet.dcm(&["disable", "a/b/one", "--note", "maintenance", "--wait"]).ok();
    for arguments in [&["app", "import", &file][..], &["app", "import", &file, "--dry-run"]] {
        let called = fleet.dcm(arguments).ok();
        assert!(called.out.ends_with("0 added, 0 changed, 2 unchanged\n"), "{called:?}");
        assert!(called.err.contains("a/b/one stays disabled (DISABLE by "), "{called:?}");
        assert!(called.err.contains("maintenance") && !called.err.contains("a/b/two"), "{called:?}");
        assert!(fleet.app("a/b/one").app.disabled);
    }
    let called = fleet.dcm(&["app", "import", &file, "--enable"]).ok();
    assert!(called.out.contains("a/b/one changed (enabled)\n0 added, 1 changed"), "{called:?}");
    assert!(!fleet.app("a/b/one").app.disabled);
    let ledger = fleet.query("SELECT cmd_name, note FROM commands ORDER BY id DESC LIMIT 1");
    let ledger = format!("{ledger:?}");
    assert!(ledger.contains("Integer(4)") && ledger.contains("app import --enable"), "{ledger}");
}

#[test]
fn each_change_of_an_import_is_named_and_a_dry_run_makes_none() {
    let fleet = Fleet::with_manager();
    let name =
        file(&fleet, &format!("{}{}{}", table("a/b/gone", ""), table("a/b/runs", ""), table("a/b/same", "")));
    fleet.dcm(&["app", "import", &name]).ok();
    fleet.dcm(&["start", "a/b/runs", "--wait"]).ok();
    fleet.add("a/b/by-hand", &[], &["true"]);
    let runs = "[[app]]\npath = 'a/b/runs'\ncommand = ['sleep', '700']\nenabled = true\ninterval = 5\n";
    file(&fleet, &format!("{runs}{}{}", table("a/b/same", ""), table("a/b/new", "")));
    let before = fleet.query("SELECT revision FROM apps ORDER BY id");
    let dry = fleet.dcm(&["app", "import", &name, "--dry-run"]).ok();
    for line in [
        "a/b/new would be added\n",
        "a/b/runs would be changed (command, interval)\n",
        "a/b/gone would be removed by --prune\n",
        "dry run: 1 added, 1 changed, 1 unchanged\n",
    ] {
        assert!(dry.out.contains(line), "{line:?}: {dry:?}");
    }
    assert!(!dry.out.contains("by-hand"), "{dry:?}");
    assert!(dry.err.contains("a/b/runs is running and goes on with its old program"), "{dry:?}");
    assert_eq!(fleet.query("SELECT revision FROM apps ORDER BY id"), before);
    let json = fleet.dcm(&["app", "import", &name, "--dry-run", "--json"]).ok().json();
    assert_eq!(
        (json["added"].as_i64(), json["removed"].as_i64(), json["dry_run"].as_bool()),
        (Some(1), Some(1), Some(true))
    );

    let called = fleet.dcm(&["app", "import", &name]).ok();
    assert!(called.err.contains("a/b/gone came from this file and is not in it any more"), "{called:?}");
    fleet.app("a/b/gone");
    fleet.dcm(&["app", "import", &name, "--prune"]).refused(2, &["--yes"]);
    fleet.app("a/b/gone");
    let called = fleet.dcm(&["app", "import", &name, "--prune", "--yes"]).ok();
    assert!(
        called.out.contains("a/b/gone removed\n0 added, 0 changed, 3 unchanged, 1 removed\n"),
        "{called:?}"
    );
    fleet.dcm(&["app", "show", "a/b/gone"]).refused(4, &[]);
    fleet.app("a/b/by-hand");

    // What runs is not removed.
    file(&fleet, &table("a/b/same", ""));
    let called = fleet
        .dcm(&["app", "import", &name, "--prune", "--yes"])
        .refused(75, &["a run of a/b/runs is under way"]);
    assert!(called.out.contains("a/b/new removed"), "{called:?}");
    fleet.app("a/b/runs");
    fleet.dcm(&["app", "import", "-", "--prune"]).refused(2, &["standard input"]);
}

#[test]
fn several_apps_are_not_removed_without_a_question() {
    let fleet = Fleet::new();
    for name in ["one", "two"] {
        fleet.add(&format!("a/b/{name}"), &[], &["true"]);
    }
    fleet.dcm(&["app", "remove", "a"]).refused(2, &["remove 2 apps?", "--yes", "nothing was done"]);
    fleet.app("a/b/one");
    let called = fleet.dcm(&["app", "remove", "a", "--yes"]).ok();
    assert_eq!(called.out, "a/b/one removed\na/b/two removed\n2 removed\n");
    fleet.add("a/b/three", &[], &["true"]);
    fleet.dcm(&["app", "remove", "a"]).ok();

    for name in ["one", "two"] {
        fleet.add(&format!("a/b/{name}"), &[], &["true"]);
    }
    let mut terminal = crate::terminal::Terminal::open(&fleet, &["app", "remove", "a"], (100, 20));
    terminal.until_text("remove 2 apps? [y/N]");
    terminal.press("n\r");
    assert_eq!(terminal.code(), 1);
    fleet.app("a/b/one");
}

#[test]
fn what_a_removed_app_has_left_can_be_read_by_its_path() {
    let fleet = Fleet::with_manager();
    fleet.add("a/b/c", &[], &["echo", "still here"]);
    fleet.dcm(&["start", "a/b/c", "--wait"]).ok();
    fleet.until_runs("a/b/c", "is over", |runs| runs[0].end.is_some());
    fleet.dcm(&["app", "remove", "a/b/c"]).ok();
    let history = fleet.dcm(&["history", "a/b/c", "--json"]).ok();
    assert_eq!(history.json()[0]["path"], "a/b/c", "{history:?}");
    assert!(history.err.contains("not registered any more"), "{history:?}");
    assert_eq!(fleet.dcm(&["logs", "a/b/c"]).ok().out, "still here\n");
    fleet.dcm(&["why", "a/b/c"]).refused(4, &["no such app: a/b/c", "dcm history a/b/c"]);
    fleet.dcm(&["history", "a/b/never"]).refused(4, &["no such app"]);
}

#[test]
fn a_renamed_app_keeps_history_state_and_logs_and_goes_on() {
    let mut fleet = Fleet::with_manager();
    fleet.add("a/b/c", &["--interval", "60"], &["sh", "-c", "echo of $DC_APP_NAME; exit 3"]);
    fleet.dcm(&["start", "a/b/c", "--wait"]).ok();
    fleet.until_runs("a/b/c", "is over", |runs| runs[0].end.is_some());
    let planned = fleet.until("a/b/c", "is planned", |row| row.next_run.is_some() && row.state.failures == 1);
    let called = fleet.dcm(&["app", "rename", "a/b/c", "x/y/z"]).ok();
    assert_eq!(called.out, "a/b/c is now x/y/z\n");
    let row = fleet.app("x/y/z");
    assert_eq!((row.app.id, row.next_run, row.state.failures), (id("x/y/z"), planned.next_run, 1));
    assert_eq!(fleet.runs("x/y/z").len(), 1);
    assert_eq!(fleet.log("x/y/z"), "of c\n");
    fleet.dcm(&["status", "a/b/c"]).refused(4, &["no such app"]);
    // The manager knows it by its new name at once.
    fleet.dcm(&["start", "x/y/z", "--wait"]).ok();
    let runs = fleet.until_runs("x/y/z", "has run again", |runs| runs.len() == 2 && runs[0].end.is_some());
    for (run, output) in runs.iter().zip(["of z\n", "of c\n"]) {
        assert_eq!(fleet.dcm(&["logs", "x/y/z", "--run", &run.run.to_string()]).ok().out, output);
    }
    fleet.until("x/y/z", "has failed twice", |row| row.state.failures == 2);
    fleet.add("a/b/runs", &[], &["sleep", "600"]);
    fleet.dcm(&["start", "a/b/runs", "--wait"]).ok();
    fleet.dcm(&["app", "rename", "a/b/runs", "x/y/w"]).refused(75, &["under way"]);
    fleet.dcm(&["app", "rename", "a/b/no", "x/y/w"]).refused(4, &["no such app"]);
    fleet.dcm(&["app", "rename", "x/y/z", "a/b/runs"]).refused(1, &["registered already"]);
    // A manager that begins anew finds all in order.
    fleet.stop_manager();
    fleet.start_manager();
    fleet.dcm(&["start", "x/y/z", "--wait"]).ok();
}
