//! Apps out of the files of other tools, from the file to the process.

use std::process::Stdio;

use serde_json::Value;

use crate::fleet::{Called, Fleet};

fn example(name: &str) -> String {
    format!("{}/examples/moving-in/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// Calls the program with a standard input.
fn with_input(fleet: &Fleet, arguments: &[&str], input: &[u8]) -> Called {
    use std::io::Write as _;
    let mut child = fleet
        .command()
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A file that is too large is not read to its end.
    let _ = child.stdin.take().unwrap().write_all(input);
    Called::from(child.wait_with_output().unwrap())
}

fn paths(json: &Value) -> Vec<&str> {
    json["apps"].as_array().unwrap().iter().map(|app| app["path"].as_str().unwrap()).collect()
}

#[test]
fn the_programs_of_supervisord_move_in() {
    let fleet = Fleet::with_manager();
    let file = example("supervisord.conf");
    let import = ["app", "import", &file, "--from", "supervisor"];
    let dry = fleet.dcm(&[&import[..], &["--dry-run", "--json"]].concat()).ok().json();
    let all = [
        "supervisor/supervisord/prices",
        "supervisor/croatia/owners_00",
        "supervisor/croatia/owners_01",
        "supervisor/supervisord/once",
    ];
    assert_eq!(paths(&dry), all);
    let notes = dry["notes"].as_array().unwrap();
    let log = notes.iter().find(|note| note["key"] == "stdout_logfile").unwrap();
    assert_eq!((log["line"].as_i64(), log["carried"].as_bool()), (Some(13), Some(false)), "{dry}");

    let called = fleet.dcm(&import).ok();
    assert!(called.out.ends_with("4 added, 0 changed, 0 unchanged\n"), "{called:?}");
    assert!(called.err.contains("supervisord.conf:13: stdout_logfile: not carried over: "), "{called:?}");
    assert!(called.err.contains("4 new apps are disabled"), "{called:?}");
    assert!(called.err.contains("but 1, which supervisor does not start by itself"), "{called:?}");
    for path in all {
        let app = fleet.app(path).app;
        assert!(app.disabled && app.origin.as_deref() == Some(file.as_str()), "{path}");
    }
    let again = fleet.dcm(&import).ok();
    assert_eq!(again.out, "0 added, 0 changed, 4 unchanged\n");
    assert!(!again.err.contains("disabled"), "{again:?}");

    let called = fleet.dcm(&[&import[..], &["--enable"]].concat()).ok();
    assert!(called.out.contains("supervisor/supervisord/prices changed (enabled)\n"), "{called:?}");
    assert!(fleet.app("supervisor/supervisord/once").app.disabled);
    let prices = fleet.app("supervisor/supervisord/prices").app;
    assert!(prices.schedule.always && !prices.disabled);
    assert_eq!(prices.policy.min_uptime.as_secs(), 5);
    assert_eq!(prices.policy.stop_grace.as_secs(), 30);
    assert_eq!(prices.program.env["SOURCE"], "https://example.hr/a,b");
}

#[test]
fn a_program_of_supervisord_gets_the_same_arguments_directory_and_environment() {
    let fleet = Fleet::with_manager();
    let show = fleet.dir.path().join("show.py");
    let text = "import json, os, sys\n\
                out = [sys.argv[1:], os.getcwd(), os.environ['A'], os.environ['B']]\n\
                print(json.dumps(out), flush=True)\nsys.stdin.read()\n";
    std::fs::write(&show, text).unwrap();
    let folder = fleet.dir.path().canonicalize().unwrap().display().to_string();
    let conf = fleet.dir.path().join("s.conf");
    let text = "[supervisord]\nenvironment=A=\"one two\"\n[program:show]\n\
                command=python3 %(here)s/show.py \"a b\" '$HOME' %(program_name)s 5%%\n\
                directory=%(here)s\nenvironment=B=\"%(here)s\"\nautorestart=false\n";
    std::fs::write(&conf, text).unwrap();
    fleet
        .dcm(&["app", "import", conf.to_str().unwrap(), "--from", "supervisor", "--enable", "--group", "g"])
        .ok();
    fleet.dcm(&["start", "g/s/show", "--wait"]).ok();
    fleet.until_runs("g/s/show", "is over", |runs| runs[0].end.is_some());
    let seen: Value = serde_json::from_str(&fleet.dcm(&["logs", "g/s/show"]).ok().out).unwrap();
    let folder = folder.as_str();
    assert_eq!(seen, serde_json::json!([["a b", "$HOME", "show", "5%"], folder, "one two", folder]));
}

#[test]
fn a_table_of_cron_moves_in_and_lines_keep_their_names() {
    let mut fleet = Fleet::new();
    fleet.set("TZ", "Europe/Zagreb");
    let file = example("crontab");
    let called = fleet.dcm(&["app", "import", &file, "--from", "cron"]).ok();
    for line in [
        "cron/crontab/companies added\n",
        "cron/crontab/owners added\n",
        "cron/crontab/companies-2 added\n",
        "cron/crontab/listener added\n",
        "cron/crontab/mail added\n",
    ] {
        assert!(called.out.contains(line), "{line}: {called:?}");
    }
    for note in [
        "crontab:4: MAILTO: not carried over: ",
        "crontab:10: @reboot: not carried over: ",
        "crontab:8: >: its output",
        "crontab:11: %: what stands behind %",
        "crontab:1: form: the table was read without users",
    ] {
        assert!(called.err.contains(note), "{note}: {called:?}");
    }
    let companies = fleet.app("cron/crontab/companies").app;
    assert_eq!(companies.program.command.unwrap(), ["/srv/collect/companies.py", "--country=hr"]);
    assert_eq!(companies.schedule.time_zone.name(), "Europe/Zagreb");
    assert_eq!(companies.program.env["PATH"], "/usr/local/bin:/usr/bin:/bin");

    let text = std::fs::read_to_string(&file).unwrap();
    let table = fleet.dir.path().join("crontab");
    let import = ["app", "import", table.to_str().unwrap(), "--from", "cron", "--group", "c"];
    std::fs::write(&table, &text).unwrap();
    fleet.dcm(&import).ok();
    // A line above, of the same name, renames no other.
    std::fs::write(&table, text.replace("\n0 6", "\n7 7 * * * python3 /srv/companies.py\n0 6")).unwrap();
    let called = fleet.dcm(&import).ok();
    assert_eq!(called.out, "c/crontab/companies-3 added\n1 added, 0 changed, 5 unchanged\n");
    std::fs::write(&table, text.replace("\n0 6", "\n0 7")).unwrap();
    let called = fleet.dcm(&[&import[..], &["--prune", "--yes"]].concat()).ok();
    assert!(called.out.contains("c/crontab/companies changed (cron)\n"), "{called:?}");
    assert!(called.out.contains("c/crontab/companies-3 removed\n"), "{called:?}");
}

#[test]
fn a_job_of_cron_runs_as_cron_would_run_it() {
    let mut fleet = Fleet::with_manager();
    let home = fleet.dir.path().canonicalize().unwrap().display().to_string();
    fleet.set("TZ", "UTC");
    let table = format!(
        "HOME={home}\nPATH=/usr/bin:/bin\nA='x  y'\n\
         0 0 1 1 * echo \"$A|$PWD|$PATH|$SHELL|$HOME|$LOGNAME\" && cat%one%two\n\
         0 0 1 1 * printenv A\n"
    );
    let called =
        with_input(&fleet, &["app", "import", "-", "--from", "cron", "--enable"], table.as_bytes()).ok();
    let user = dcm::process::user_name();
    let (echo, printenv) = (format!("cron/{user}/echo"), format!("cron/{user}/printenv"));
    assert!(called.out.contains(&format!("{echo} added\n")), "{called:?}");
    for (path, output) in [
        (&echo, format!("x  y|{home}|/usr/bin:/bin|/bin/sh|{home}|{user}\none\ntwo\n")),
        (&printenv, "x  y\n".to_owned()),
    ] {
        fleet.dcm(&["start", path, "--wait"]).ok();
        fleet.until_runs(path, "is over", |runs| runs[0].end.is_some());
        assert_eq!(fleet.dcm(&["logs", path]).ok().out, output);
    }
    assert_eq!(fleet.app(&printenv).app.program.command.unwrap(), ["printenv", "A"]);
}

#[test]
fn files_that_are_none_are_refused_with_a_clear_word() {
    let fleet = Fleet::new();
    let large = vec![b'#'; 10 * 1024 * 1024];
    for (tool, bytes, why) in [
        ("supervisor", &large[..], "larger than 4194304 bytes"),
        ("cron", b"a\n\0", "no text: line 2 holds a NUL character"),
        ("cron", b"a\nb\n\xff", "no text: line 3 is not UTF-8"),
        (
            "supervisor",
            b"\xef\xbb\xbf[program:x]\r\ncommand=x\r\nautostart=maybe\r\n",
            "-:3: autostart: \"maybe\" is not",
        ),
        ("cron", b"* * * *\n61 * * * * x\n", "-:2: minute: \"61\" is none"),
    ] {
        let called = with_input(&fleet, &["app", "import", "--from", tool, "-"], bytes);
        called.refused(2, &[why]);
    }
    fleet.dcm(&["app", "import", "/no/such", "--from", "cron"]).refused(2, &["/no/such"]);
    fleet.dcm(&["app", "import", "-", "--from", "rc"]).refused(2, &["supervisor", "cron"]);
    fleet.dcm(&["app", "import", "-", "--system"]).refused(2, &["--from cron"]);
    fleet.dcm(&["app", "import", "-", "--group", "g"]).refused(2, &["--group"]);
    let conf = fleet.dir.path().join("x.conf");
    std::fs::write(&conf, "[program:x]\ncommand=x y\n").unwrap();
    fleet.dcm(&["app", "import", conf.to_str().unwrap()]).refused(2, &["--from supervisor"]);
    // A mark of the encoding and line ends of Windows are no fault.
    let called =
        with_input(&fleet, &["app", "import", "--from", "cron", "-"], b"\xef\xbb\xbf@daily x\r\n").ok();
    assert!(called.out.contains("1 added"), "{called:?}");
}
