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

#[test]
fn a_timer_of_systemd_moves_in_with_its_service() {
    let fleet = Fleet::with_manager();
    let file = example("companies.timer");
    let called = fleet.dcm(&["app", "import", &file, "--from", "systemd", "--enable"]).ok();
    assert!(called.out.contains("systemd/companies/companies added\n1 added"), "{called:?}");
    for note in [
        "companies.service:3: After: not carried over: ",
        "companies.service:13: ProtectSystem: not carried over: ",
        "companies.timer:9: RandomizedDelaySec: the delay of an app stays the same",
    ] {
        assert!(called.err.contains(note), "{note}: {called:?}");
    }
    let app = fleet.app("systemd/companies/companies").app;
    assert_eq!(app.schedule.cron.unwrap().as_str(), "0 6,18 * * 1-5");
    assert_eq!((app.schedule.time_zone.name(), app.disabled), ("Europe/Zagreb", false));
    assert_eq!(app.description.as_deref(), Some("Companies of Croatia"));
    fleet.dcm(&["start", "systemd/companies/companies", "--wait"]).ok();
    fleet.until_runs("systemd/companies/companies", "is over", |runs| runs[0].end.is_some());
    let seen = fleet.dcm(&["logs", "systemd/companies/companies"]).ok().out;
    assert_eq!(seen, "good morning, hr in /tmp\n");
    let again = fleet.dcm(&["app", "import", &file, "--from", "systemd"]).ok();
    assert_eq!(again.out, "0 added, 0 changed, 1 unchanged\n");
    // Either file of the pair names both.
    let service = example("companies.service");
    let again =
        fleet.dcm(&["app", "import", &service, "--from", "systemd", "--dry-run", "--json"]).ok().json();
    assert_eq!((again["added"].as_i64(), paths(&again).len()), (Some(0), 0), "{again}");
}

#[test]
fn apps_of_pm2_move_in() {
    let mut fleet = Fleet::new();
    fleet.set("TZ", "Europe/Zagreb");
    let file = example("ecosystem.json");
    let called = fleet.dcm(&["app", "import", &file, "--from", "pm2", "--json"]).ok();
    let json = called.json();
    assert_eq!(paths(&json), ["pm2/croatia/api-0", "pm2/croatia/api-1", "pm2/ecosystem/owners"]);
    assert!(called.err.is_empty(), "{called:?}");
    let keys: Vec<_> =
        json["notes"].as_array().unwrap().iter().map(|note| note["key"].as_str().unwrap()).collect();
    assert!(keys.contains(&"error_file") && keys.contains(&"watch"), "{keys:?}");
    let api = fleet.app("pm2/croatia/api-1").app;
    assert_eq!(api.program.command.unwrap(), ["node", "/srv/api/server.js", "--port", "8080", "two words"]);
    assert_eq!((api.program.env["NODE_APP_INSTANCE"].as_str(), api.policy.max_memory), ("1", Some(300)));
    let owners = fleet.app("pm2/ecosystem/owners").app;
    assert_eq!(owners.schedule.cron.unwrap().as_str(), "0 6 * * *");
    assert_eq!(owners.schedule.time_zone.name(), "Europe/Zagreb");
    let js = fleet.dir.path().join("ecosystem.config.js");
    std::fs::write(&js, "module.exports = {}").unwrap();
    fleet
        .dcm(&["app", "import", js.to_str().unwrap(), "--from", "pm2"])
        .refused(2, &["node -e 'console.log("]);
}

/// What `systemd-analyze` says of a calendar, after a moment: times in UTC.
fn times_of_systemd(expression: &str, after: &str) -> Vec<String> {
    let output = std::process::Command::new("systemd-analyze")
        .args(["calendar", "--iterations=8", &format!("--base-time={after}"), expression])
        .env("TZ", "UTC")
        .env("LC_ALL", "C")
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{expression}: {text}");
    // With TZ=UTC each time stands once; with a zone in the expression, "(in UTC)" follows.
    let time = |line: &str| {
        let line = line.trim();
        let (name, time) = line.split_once(": ")?;
        let is_time = name == "(in UTC)" || name == "Next elapse" || name.starts_with("Iter");
        let mut words = time.trim().split(' ');
        let zone = time.trim().rsplit(' ').next()?;
        (is_time && zone == "UTC").then(|| format!("{}T{}Z", words.nth(1).unwrap(), words.next().unwrap()))
    };
    text.lines().filter_map(time).collect()
}

#[test]
fn calendars_of_systemd_are_the_same_times_here() {
    use chrono::{DateTime, Utc};
    let fleet = Fleet::new();
    for (index, expression) in [
        "hourly",
        "weekly",
        "quarterly",
        "Mon..Fri *-*-* 08:00",
        "Sat,Sun 10:30:15",
        "*:0/15",
        "*-*-01/10 06:00",
        "*-*~01 04:00",
        "Sat *-*-1..7 18:00",
        "Mon *-*~07/1 05:00",
        "*-01,06-15 12:00",
        "01..07/2:30 Europe/Zagreb",
        "*-*-* 04:15 America/New_York",
        "Sun 03:30 Europe/Zagreb",
    ]
    .into_iter()
    .enumerate()
    {
        let timer = fleet.dir.path().join(format!("t{index}.timer"));
        std::fs::write(&timer, format!("[Timer]\nOnCalendar={expression}\n")).unwrap();
        std::fs::write(timer.with_extension("service"), "[Service]\nExecStart=/bin/true\n").unwrap();
        fleet.dcm(&["app", "import", timer.to_str().unwrap(), "--from", "systemd"]).ok();
        let schedule = fleet.app(&format!("systemd/t{index}/t{index}")).app.schedule;
        // A day before the clock goes forward in Europe, and one before it goes back.
        for after in ["2026-03-28 00:00:00 UTC", "2026-10-24 00:00:00 UTC", "2027-02-27 12:00:00 UTC"] {
            let expected = times_of_systemd(expression, after);
            assert!(expected.len() >= 5, "{expression} {expected:?}");
            let mut time: DateTime<Utc> = after.replace(' ', "T").replace("TUTC", "Z").parse().unwrap();
            let cron = schedule.cron.as_ref().unwrap();
            let next = |_: &String| {
                time = dcm::manager::schedule::next_slot(cron, schedule.time_zone, time).unwrap();
                time.format("%Y-%m-%dT%H:%M:%SZ").to_string()
            };
            let found: Vec<_> = expected.iter().map(next).collect();
            assert_eq!(found, expected, "{expression} after {after}: {cron}");
        }
    }
}

const ODD: &str = "\
[supervisord]
environment=LANG=\"C\",SHARED='a,b'
logfile=%(here)s/s.log
nodaemon=true

[program:one]
command=/bin/sh -c 'echo \"%(program_name)s\" 100%%' ; a comment
environment=A=\"x y\",B=%(ENV_HOME)s/x,SHARED=own
directory=%(here)s
stopsignal=INT
startsecs=3
[program:two]
command: worker --number %(process_num)d
    --of %(numprocs)s # more
process_name=%(group_name)s_%(process_num)03d
numprocs=3
numprocs_start=5
autostart=off
[program:two]
stopwaitsecs=7
[group:pair]
programs=two
[program:four]
command=/bin/four;five \"a;b\" %(ENV_A)s
environment=A=1
[include]
files=more/*.ini none/*
";

const MORE: &str = "\
[program:three]
command=%(here)s/run \"a\\\"b\" c\\ d
environment=HERE=\"%(here)s\",N=\"%(host_node_name)s\"

stopsignal = QUIT
";

#[test]
fn supervisord_itself_reads_the_same_in_the_same_files() {
    let fleet = Fleet::new();
    let folder = fleet.dir.path().canonicalize().unwrap();
    std::fs::create_dir(folder.join("more")).unwrap();
    std::fs::write(folder.join("odd.conf"), ODD).unwrap();
    std::fs::write(folder.join("more/extra.ini"), MORE).unwrap();
    let conf = folder.join("odd.conf").display().to_string();
    let output = fleet.python("supervisor_reads.py");
    let script = output.get_args().next().unwrap().to_owned();
    let output =
        std::process::Command::new(crate::workers::python()).arg(script).arg(&conf).output().unwrap();
    let read: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
    let dry = fleet.dcm(&["app", "import", &conf, "--from", "supervisor", "--enable"]).ok();
    assert!(dry.out.ends_with("6 added, 0 changed, 0 unchanged\n"), "{dry:?}");
    let processes = read.as_array().unwrap();
    assert_eq!(processes.len(), 6);
    for process in processes {
        let text = |key: &str| process[key].as_str().unwrap().to_owned();
        let parent = match text("group").as_str() {
            "pair" => "pair",
            "three" => "extra",
            _ => "odd",
        };
        let app = fleet.app(&format!("supervisor/{parent}/{}", text("name"))).app;
        let env: std::collections::BTreeMap<_, _> = process["env"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned()))
            .collect();
        assert_eq!(serde_json::json!(app.program.command), process["command"]);
        assert_eq!(app.program.env, env, "{process}");
        assert_eq!(serde_json::json!(app.program.cwd), process["cwd"]);
        assert_eq!(serde_json::json!(!app.disabled), process["started"]);
        assert_eq!(serde_json::json!(app.policy.min_uptime.as_secs()), process["startsecs"]);
        assert_eq!(serde_json::json!(app.policy.stop_grace.as_secs()), process["stopwaitsecs"]);
        let signals = [("TERM", 15), ("INT", 2), ("QUIT", 3)];
        let signal = signals.iter().find(|(name, _)| app.policy.stop_signal.word() == *name);
        assert_eq!(serde_json::json!(signal.map(|(_, number)| number)), process["stopsignal"]);
    }
}
