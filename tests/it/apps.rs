//! Registration: by hand, by file, and what is refused.

use crate::fleet::Fleet;

const FILE: &str = "\
[[app]]
path = 'croatia/fina/companies'
command = ['sleep', '1']
cron = '0 6 * * *'
time_zone = 'Europe/Zagreb'
retry_interval = 0.5
enabled = true
[app.env]
LANG = 'C.UTF-8'

[[app]]
path = 'croatia/fina/owners'
interval = 30
catch_up = 'none'
max_failures = 5
on_failures = 'give_up'
";

#[test]
fn a_file_is_imported_whole_and_twice_is_once() {
    let fleet = Fleet::new();
    let file = fleet.dir.path().join("apps.toml");
    std::fs::write(&file, FILE).unwrap();
    let file = file.to_str().unwrap();
    let added = fleet.dcm(&["app", "import", file]).ok().out;
    assert!(added.ends_with("\n2 added, 0 changed, 0 unchanged\n"), "{added}");
    let before = fleet.query("SELECT revision FROM apps ORDER BY id");
    assert_eq!(fleet.dcm(&["app", "import", file]).ok().out, "0 added, 0 changed, 2 unchanged\n");
    assert_eq!(fleet.query("SELECT revision FROM apps ORDER BY id"), before);
    let row = fleet.app("croatia/fina/companies");
    assert!(!row.app.disabled);
    assert!(fleet.app("croatia/fina/owners").app.disabled);

    // What export prints is what import reads.
    let exported = fleet.dcm(&["app", "export"]).ok().out;
    let copy = Fleet::new();
    let path = copy.dir.path().join("copy.toml");
    std::fs::write(&path, &exported).unwrap();
    copy.dcm(&["app", "import", path.to_str().unwrap()]).ok();
    assert_eq!(copy.dcm(&["app", "export"]).ok().out, exported);
    let copied = copy.app("croatia/fina/companies").app;
    assert_eq!(dcm::model::App { origin: row.app.origin.clone(), ..copied }, row.app);
}

#[test]
fn an_invalid_file_changes_nothing_and_names_every_fault() {
    let fleet = Fleet::new();
    let file = fleet.dir.path().join("apps.toml");
    std::fs::write(&file, format!("{FILE}\n[[app]]\npath = '../x/y'\ncron = '99 * * * *'\n")).unwrap();
    let name = file.display().to_string();
    let called = fleet.dcm(&["app", "import", &name]).refused(2, &["has 2 faults; nothing was imported"]);
    assert!(called.err.contains(&format!("{name}:19: invalid app path")), "{}", called.err);
    assert!(called.err.contains(&format!("{name}:20: invalid cron expression")), "{}", called.err);
    assert_eq!(fleet.query("SELECT count(*) FROM apps"), [[rusqlite::types::Value::Integer(0)]]);
    fleet.dcm(&["app", "import", "/no/such/file"]).refused(2, &["/no/such/file"]);
}

#[test]
fn names_that_could_do_harm_are_refused() {
    let fleet = Fleet::new();
    for path in ["../b/c", "a/b", "a/b/c;rm", "a/b/c d", "a/b/č", "a/b/.c", "a/b/$(id)", "/a/b/c", "a/b/c/"]
    {
        fleet.dcm(&["app", "add", path, "--", "true"]).refused(2, &["invalid"]);
    }
    let long = format!("a/b/{}", "x".repeat(65));
    fleet.dcm(&["app", "add", &long]).refused(2, &["64"]);
    fleet.dcm(&["app", "add", "a/b/c", "--cron", "0 0 30 2 *"]).refused(2, &["never fires"]);
    fleet.dcm(&["app", "add", "a/b/c", "--interval", "-1"]).refused(2, &["minutes"]);
    fleet.dcm(&["app", "add", "a/b/c", "--time-zone", "Mars/Base"]).refused(2, &["time zone"]);
    // A canary: what looks like a shell command is an argument like any other.
    let canary = fleet.dir.path().join("canary");
    fleet.add("a/b/c", &[], &["echo", &format!("; touch {}", canary.display()), "$(id)", "`id`"]);
    let called = fleet.dcm(&["run-app", "a/b/c"]).ok();
    assert!(called.out.contains("$(id) `id`"), "{called:?}");
    assert!(!canary.exists());
}

#[test]
fn definitions_are_shown_changed_and_deleted() {
    let fleet = Fleet::new();
    fleet.dcm(&["app", "add", "a/b/c", "--interval", "5", "--env", "A=1", "--", "true"]).ok();
    fleet.dcm(&["app", "add", "a/b/c", "--", "true"]).refused(1, &["registered already"]);
    let shown = fleet.dcm(&["app", "show", "a/b/c", "--json"]).ok().json();
    assert_eq!(shown["interval"], 5.0);
    assert_eq!(shown["disable"], true);
    assert_eq!(shown["command"][0], "true");
    assert_eq!(shown["app"], crate::fleet::id("a/b/c").to_string());
    fleet
        .dcm(&[
            "app",
            "set",
            "a/b/c",
            "--interval",
            "none",
            "--env",
            "A=",
            "--env",
            "B=2",
            "--default-command",
        ])
        .ok();
    let row = fleet.app("a/b/c");
    assert_eq!(row.app.schedule.interval, None);
    assert_eq!(row.app.program.command, None);
    assert_eq!(row.app.program.env.keys().collect::<Vec<_>>(), ["B"]);
    fleet.dcm(&["app", "set", "a/b/nobody", "--interval", "5"]).refused(4, &["no such app"]);
    assert!(fleet.dcm(&["app", "list"]).ok().out.contains("on command"));
    fleet.dcm(&["app", "remove", "a/b/c", "--yes"]).ok();
    fleet.dcm(&["app", "show", "a/b/c"]).refused(4, &["no such app"]);
}

#[test]
fn a_relative_program_is_that_of_the_directory_where_the_person_stands() {
    use std::os::unix::fs::PermissionsExt as _;
    let fleet = Fleet::with_manager();
    let project = fleet.dir.path().join("project");
    std::fs::create_dir(&project).unwrap();
    std::fs::write(project.join("run.sh"), "#!/bin/sh\npwd\n").unwrap();
    std::fs::set_permissions(project.join("run.sh"), std::fs::Permissions::from_mode(0o755)).unwrap();
    let in_project = |arguments: &[&str]| {
        crate::fleet::Called::from(fleet.command().current_dir(&project).args(arguments).output().unwrap())
    };
    in_project(&["app", "add", "a/b/added", "--enable", "--", "./run.sh"]).ok();
    fleet.add("a/b/set", &[], &["true"]);
    in_project(&["app", "set", "a/b/set", "--", "./run.sh"]).ok();
    std::fs::write(
        project.join("fleet.toml"),
        "[[app]]\npath = 'a/b/file'\ncommand = ['./run.sh']\nenabled = true\n",
    )
    .unwrap();
    fleet.dcm(&["app", "import", "project/fleet.toml"]).ok();
    for path in ["a/b/added", "a/b/set", "a/b/file"] {
        fleet.dcm(&["start", path, "--wait"]).ok();
        fleet.until_runs(path, "is over", |runs| runs[0].end.is_some());
        assert_eq!(fleet.log(path), format!("{}\n", project.display()), "{path}");
    }
    // What could not be started here is told at once.
    for (arguments, words) in [
        (&["--", "./none.sh"][..], "project/./none.sh: no such file"),
        (&["--cwd", "/no/such", "--", "true"], "working directory /no/such: no such file"),
        (&["--", "no-such-program"], "no-such-program: no such program in PATH ("),
    ] {
        let path = format!("a/b/n{}", words.len());
        let called = in_project(&[&["app", "add", &path][..], arguments].concat()).ok();
        assert!(
            called.err.contains("could not be started on this host now") && called.err.contains(words),
            "{called:?}"
        );
    }
    in_project(&["app", "add", "a/b/no", "--", "~nobody/x"]).refused(2, &["~nobody/x: only ~/"]);
    fleet.dcm(&["status", "--state-dir", "~nobody/x"]).refused(2, &["--state-dir: ~nobody/x: only ~/"]);
}

#[test]
fn the_default_command_is_the_module_of_the_path() {
    let fleet = Fleet::new();
    let folder = fleet.dir.path().join("apps/croatia/fina/companies");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("main.py"), "import sys, os; print(sys.argv[1:], os.environ['DC_APP_NAME'])")
        .unwrap();
    fleet.dcm(&["app", "add", "croatia/fina/companies", "--enable"]).ok();
    let called = fleet.dcm(&["run-app", "croatia/fina/companies", "--args", "{\"year\": 2026}"]).ok();
    assert_eq!(called.out, "['--args', '{\"year\": 2026}'] companies\n");
}

#[test]
fn secrets_of_apps_and_databases_are_not_shown() {
    let fleet = Fleet::with_manager();
    fleet.add("a/b/c", &["--env", "TOKEN=hunter2"], &["sleep", "600"]);
    fleet.dcm(&["start", "a/b/c", "--wait"]).ok();
    for arguments in [
        vec!["app", "show", "a/b/c"],
        vec!["app", "show", "a/b/c", "--json"],
        vec!["status", "--json"],
        vec!["why", "a/b/c"],
    ] {
        assert!(!fleet.dcm(&arguments).ok().out.contains("hunter2"), "{arguments:?}");
    }
    assert!(!fleet.manager_log().contains("hunter2"));
    // As `ps` reads them.
    let processes = std::fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    let mut commands = processes.filter_map(|process| std::fs::read(process.path().join("cmdline")).ok());
    assert!(commands.all(|command| !String::from_utf8_lossy(&command).contains("hunter2")));
}
