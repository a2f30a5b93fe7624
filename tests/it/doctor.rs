//! `dcm doctor`: a healthy fleet, and each kind of trouble that can be made here.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use dcm::broker::DEAD_COMMANDS;
use lapin::BasicProperties;

use crate::fleet::{Called, Fleet};
use crate::postgres::{Schema, block_on};
use crate::proxy::Proxy;
use crate::rabbit::Host;

/// What was found: name, level, what was seen, cure. A name may be there more than once.
struct Found(Vec<[String; 4]>);

impl Found {
    fn of(called: &Called) -> Self {
        let json = called.json();
        let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
        let findings = json["findings"].as_array().unwrap();
        let found: Vec<_> = findings
            .iter()
            .map(|one| ["check", "level", "seen", "cure"].map(|field| text(&one[field])))
            .collect();
        let errors = found.iter().filter(|one| one[1] == "error").count();
        assert_eq!((json["ok"].as_bool(), json["errors"].as_u64()), (Some(errors == 0), Some(errors as u64)));
        assert_eq!(called.code, i32::from(errors > 0), "{called:?}");
        for [check, level, seen, cure] in &found {
            assert!(matches!(level.as_str(), "ok" | "warning" | "error" | "unknown"), "{level}");
            assert!(!seen.is_empty() && !seen.contains('\n'), "{check}: {seen:?}");
            let is_cured = matches!(level.as_str(), "ok" | "unknown") || !cure.is_empty();
            assert!(is_cured, "{check} has no cure: {seen}");
        }
        Self(found)
    }

    /// The finding of this name and level, with these words in it.
    fn has(&self, check: &str, level: &str, words: &[&str]) {
        let is_it = |one: &&[String; 4]| {
            one[0] == check && one[1] == level && words.iter().all(|word| one[2..].join(" | ").contains(word))
        };
        assert!(self.0.iter().any(|one| is_it(&one)), "{check} {level} {words:?}: {:#?}", self.0);
    }

    fn levels(&self, level: &str) -> Vec<&str> {
        self.0.iter().filter(|one| one[1] == level).map(|one| one[0].as_str()).collect()
    }
}

fn doctor(fleet: &Fleet) -> Found {
    Found::of(&fleet.dcm(&["doctor", "--json"]))
}

/// The files of the state directory with their rights, and the rows that a command could have changed.
fn traces(fleet: &Fleet) -> BTreeMap<String, u32> {
    let mut found = BTreeMap::new();
    let mut folders = vec![fleet.state()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let metadata = entry.metadata().unwrap();
            if metadata.is_dir() {
                folders.push(entry.path());
            }
            found.insert(entry.path().display().to_string(), metadata.permissions().mode());
        }
    }
    found
}

#[test]
fn a_healthy_fleet_has_no_error_and_nothing_is_changed() {
    let mut fleet = Fleet::with_manager();
    std::fs::create_dir_all(fleet.dir.path().join("apps/a/b/module")).unwrap();
    std::fs::write(fleet.dir.path().join("apps/a/b/module/main.py"), "").unwrap();
    fleet.dcm(&["app", "add", "a/b/module", "--enable", "--interval", "600"]).ok();
    fleet.add("a/b/runs", &[], &["sleep", "600"]);
    fleet.dcm(&["start", "a/b/runs", "--wait"]).ok();
    let before = (traces(&fleet), fleet.query("SELECT revision FROM apps ORDER BY app"));
    let found = doctor(&fleet);
    assert_eq!((traces(&fleet), fleet.query("SELECT revision FROM apps ORDER BY app")), before);
    assert_eq!(found.levels("error"), Vec::<&str>::new());
    for (check, words) in [
        ("settings.file", &[][..]),
        ("python.program", &["python3"]),
        ("python.version", &["Python 3."]),
        ("python.changed", &[]),
        ("state.directory", &[]),
        ("state.rights", &["owner's alone"]),
        ("state.disk", &["are free"]),
        ("state.logs", &["of 20.0 GiB"]),
        ("clock.year", &["UTC"]),
        ("limits.files", &["the manager may have"]),
        ("database", &["SQLite 3."]),
        ("database.schema", &[]),
        ("database.log", &[]),
        ("database.rights", &["manager"]),
        ("database.integrity", &["no damage"]),
        ("manager", &["is live"]),
        ("manager.version", &[env!("CARGO_PKG_VERSION")]),
        ("apps", &["2 apps registered, 2 of them enabled"]),
        ("apps.schedules", &["a/b/runs"]),
        ("apps.programs", &["is found"]),
        ("apps.modules", &["of 1 app are found"]),
        ("broker", &["none is set up"]),
        ("shims", &["1 run under way"]),
        ("terminal", &["no terminal"]),
    ] {
        found.has(check, "ok", words);
    }
    let text = fleet.dcm(&["doctor"]).ok().out;
    assert!(text.contains("\nok       manager.version       "), "{text}");
    assert!(text.lines().last().unwrap().contains("0 errors"), "{text}");
    fleet.stop_manager();
    doctor(&fleet).has("manager", "warning", &["no manager is running", "dcm --headless"]);
}

#[test]
fn a_server_is_looked_at() {
    let schema = Schema::new();
    let mut fleet = Fleet::bare();
    fleet.set("DC_DATABASE_URL", schema.url());
    doctor(&fleet).has("database", "warning", &["there is no database", "dcm db migrate"]);
    fleet.dcm(&["db", "migrate"]).ok();
    let found = doctor(&fleet);
    assert_eq!(found.levels("error"), Vec::<&str>::new());
    found.has("database", "ok", &["PostgreSQL"]);
    found.has("database.connections", "ok", &["connections of the server"]);
    found.has("clock.database", "ok", &["the same time"]);
    found.has("manager", "warning", &["no manager is running"]);
}

#[test]
fn a_server_that_refuses_is_away_or_silent_is_named_without_the_password() {
    let mut fleet = Fleet::bare();
    fleet.set("DC_DATABASE_URL", "postgres://ana:hunter2@127.0.0.1:1/dcm");
    let called = fleet.dcm(&["doctor", "--json"]);
    Found::of(&called).has("database", "error", &["127.0.0.1", "not available"]);
    assert!(!called.out.contains("hunter2") && !called.err.contains("hunter2"));
    // It takes connections and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    fleet.set("DC_DATABASE_URL", &format!("postgres://ana:hunter2@127.0.0.1:{port}/dcm"));
    fleet.set("DC_RABBITMQ_URL", &format!("amqp://ana:hunter2@127.0.0.1:{port}/dcm"));
    let begun = Instant::now();
    let called = fleet.dcm(&["doctor", "--json"]);
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
    let found = Found::of(&called);
    found.has("database", "error", &["not available"]);
    found.has("broker", "error", &["127.0.0.1"]);
    // What needs no server was looked at nevertheless.
    found.has("clock.year", "ok", &[]);
    assert!(!called.out.contains("hunter2") && !called.err.contains("hunter2"));
}

#[test]
fn a_wrong_password_is_told_from_a_server_that_is_away() {
    let cluster = crate::postgres::Cluster::on_a_port(
        "password_encryption = 'scram-sha-256'",
        "host all all 127.0.0.1/32 scram-sha-256",
        &[],
    );
    cluster.psql("postgres", "CREATE ROLE ana LOGIN SUPERUSER PASSWORD 'right'");
    let mut fleet = Fleet::bare();
    let port = cluster.port();
    fleet.set("DC_DATABASE_URL", &format!("postgres://ana:hunter2@127.0.0.1:{port}/postgres"));
    let called = fleet.dcm(&["doctor", "--json"]);
    Found::of(&called).has("database", "error", &["password"]);
    assert!(!called.out.contains("hunter2"), "{}", called.out);
}

#[test]
fn a_server_that_falls_silent_while_it_is_looked_at_keeps_nobody() {
    let schema = Schema::new();
    let proxy = Proxy::to_database(schema.url());
    let mut fleet = Fleet::bare();
    fleet.set("DC_DATABASE_URL", &proxy.url(schema.url()));
    fleet.dcm(&["db", "migrate"]).ok();
    proxy.stall();
    let begun = Instant::now();
    let found = doctor(&fleet);
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
    found.has("database", "error", &["not available"]);
    proxy.heal();
}

#[test]
fn python_that_is_missing_broken_or_hangs() {
    let mut fleet = Fleet::new();
    let file = fleet.dir.path().join("dcm.toml");
    let python = fleet.dir.path().join("python");
    std::fs::write(&file, format!("python = '{}'\n", python.display())).unwrap();
    fleet.set("DC_CONFIG", file.to_str().unwrap());
    fleet.dcm(&["app", "add", "a/b/module", "--enable", "--interval", "600"]).ok();
    let found = doctor(&fleet);
    found.has("python.program", "warning", &["no such file"]);
    found.has("apps.programs", "error", &["1 app cannot be started here: a/b/module"]);
    for (script, words) in [
        ("#!/bin/sh\necho broken >&2\nexit 3\n", "3: broken"),
        ("#!/bin/sh\nexec sleep 600\n", "no answer within 5 s"),
        ("#!/bin/sh\necho 'Python 2.7'\n", "is no Python 3"),
    ] {
        std::fs::write(&python, script).unwrap();
        std::fs::set_permissions(&python, std::fs::Permissions::from_mode(0o755)).unwrap();
        doctor(&fleet).has("python.program", "error", &["it does not start", words]);
    }
    // The manager began with another one.
    std::fs::write(&file, "").unwrap();
    fleet.start_manager();
    doctor(&fleet).has("python.changed", "ok", &[]);
    let real =
        String::from_utf8(Command::new("sh").args(["-c", "command -v python3"]).output().unwrap().stdout);
    std::fs::write(&python, format!("#!/bin/sh\nexec {} \"$@\"\n", real.unwrap().trim())).unwrap();
    std::fs::write(&file, format!("python = '{}'\n", python.display())).unwrap();
    doctor(&fleet).has("python.changed", "warning", &["these settings say", "restart the manager"]);
    doctor(&fleet).has("apps.modules", "warning", &["a/b/module", "--cwd"]);
}

#[test]
fn a_state_directory_with_wide_rights_or_of_another_user() {
    let fleet = Fleet::new();
    fleet.add("a/b/c", &[], &["true"]);
    std::fs::set_permissions(fleet.state(), std::fs::Permissions::from_mode(0o755)).unwrap();
    doctor(&fleet).has("state.rights", "warning", &["other users have rights", "chmod"]);
    let mode = std::fs::metadata(fleet.state()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o755, "nothing is changed");
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    // As a user who owns nothing there, and then as one who may not even look.
    std::fs::set_permissions(fleet.dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    for mode in [0o755, 0o700] {
        std::fs::set_permissions(fleet.state(), std::fs::Permissions::from_mode(mode)).unwrap();
        let mut command = fleet.command();
        command.args(["doctor", "--json"]).env("HOME", "/").current_dir("/").stdin(Stdio::null());
        let found = Found::of(&Called::from(command.uid(65534).gid(65534).output().unwrap()));
        found.has("state.directory", "error", &["cannot be written to"]);
        found.has("state.rights", "error", &[]);
        found.has("database", "error", &["permission denied", "sudo -u"]);
    }
}

#[test]
fn a_database_that_is_damaged_lost_or_of_another_version() {
    let fleet = Fleet::new();
    fleet.add("a/b/c", &[], &["true"]);
    fleet.sql("PRAGMA user_version = 99");
    doctor(&fleet).has("database.schema", "error", &["schema 99", "use a newer dcm"]);
    fleet.sql("PRAGMA user_version = 1");
    doctor(&fleet).has("database.schema", "error", &["schema 1,", "dcm db migrate"]);
    let mut bytes = std::fs::read(fleet.database()).unwrap();
    // The pages of tables, not the first one.
    bytes[8192..].fill(0xa5);
    std::fs::write(fleet.database(), &bytes).unwrap();
    let found = doctor(&fleet);
    assert!(found.0.iter().any(|one| one[0].starts_with("database") && one[1] == "error"), "{:#?}", found.0);
    std::fs::write(fleet.database(), "no database at all, but a text that somebody has put there\n").unwrap();
    doctor(&fleet).has("database.integrity", "error", &["not a database"]);
    assert_eq!(std::fs::read(fleet.database()).unwrap()[..2], *b"no", "it is left as it is");
}

#[test]
fn pages_that_are_damaged_are_found_where_the_rest_can_be_read() {
    let mut fleet = Fleet::with_manager();
    fleet.add("a/b/c", &[], &["true"]);
    fleet.stop_manager();
    let root = fleet.query("SELECT rootpage FROM sqlite_schema WHERE name = 'skips'");
    let rusqlite::types::Value::Integer(root) = root[0][0] else { panic!("{root:?}") };
    let at = usize::try_from(root - 1).unwrap() * 4096;
    let mut bytes = std::fs::read(fleet.database()).unwrap();
    bytes[at..at + 4096].fill(0xa5);
    std::fs::write(fleet.database(), bytes).unwrap();
    let found = doctor(&fleet);
    found.has("database.integrity", "error", &["damaged", "restore a backup"]);
    found.has("apps", "ok", &["1 app registered"]);
}

#[test]
fn a_broker_that_is_away_refuses_or_has_dead_letters() {
    let host = Host::new();
    let mut fleet = Fleet::new();
    fleet.set("DC_MANAGER_NAME", "zg-01");
    fleet.set("DC_RABBITMQ_URL", "amqp://ana:hunter2@127.0.0.1:1/x");
    doctor(&fleet).has("broker", "error", &["amqp://127.0.0.1:1/x", "refused"]);
    let wrong = host.url().replacen(crate::rabbit::PASSWORD_ENCODED, "hunter2x", 1);
    fleet.set("DC_RABBITMQ_URL", &wrong);
    let called = fleet.dcm(&["doctor", "--json"]);
    Found::of(&called).has("broker", "error", &["is the user, the password"]);
    assert!(!called.out.contains("hunter2"), "{}", called.out);
    fleet.set("DC_RABBITMQ_URL", &host.url());
    let found = doctor(&fleet);
    found.has("broker", "ok", &["connected to amqp://127.0.0.1", "not encrypted"]);
    found.has("broker.queue", "warning", &["there is no queue dc_manager."]);
    found.has("broker.dead_letters", "ok", &[]);
    fleet.start_manager();
    block_on(async { host.connect().await.until_consumed("dc_manager.zg-01").await });
    doctor(&fleet).has("broker.queue", "ok", &["1 consumer"]);
    block_on(async {
        let client = host.connect().await;
        client.publish("", "dc_manager.zg-01", b"no command", BasicProperties::default()).await;
        client.until_message(DEAD_COMMANDS).await;
        client.publish("", "dc_manager.zg-01", b"no command", BasicProperties::default()).await;
    });
    fleet.until_query("SELECT dead_letters FROM managers", "[[Integer(2)]]");
    doctor(&fleet).has("broker.dead_letters", "warning", &["1 messages", "dc_commands.dead"]);
    fleet.stop_manager();
    doctor(&fleet).has("broker.queue", "warning", &["nothing consumes"]);
}

#[test]
fn few_descriptors_and_processes() {
    let fleet = Fleet::new();
    let limited = |limit: &str| {
        let dcm = fleet.command();
        let mut command = Command::new("sh");
        command.args(["-c", &format!("{limit}; exec \"$0\" doctor --json")]).arg(dcm.get_program());
        for (name, value) in dcm.get_envs() {
            if let Some(value) = value {
                command.env(name, value);
            }
        }
        Found::of(&Called::from(command.current_dir(fleet.dir.path()).stdin(Stdio::null()).output().unwrap()))
    };
    limited("ulimit -n 500").has("limits.files", "warning", &["500 open files", "LimitNOFILE"]);
    limited("ulimit -n 60").has("limits.files", "error", &["60 open files", "LimitNOFILE"]);
    limited("ulimit -c unlimited").has("limits.core", "ok", &["ulimit -c 0"]);
}

#[test]
fn the_shim_of_a_program_that_was_replaced() {
    let mut fleet = Fleet::new();
    let old = fleet.dir.path().join("dcm-of-yesterday");
    std::fs::copy(env!("CARGO_BIN_EXE_dcm"), &old).unwrap();
    fleet.limit(&format!("exec {} \"$@\"", old.display()));
    fleet.start_manager();
    fleet.add("a/b/runs", &[], &["sleep", "600"]);
    fleet.dcm(&["start", "a/b/runs", "--wait"]).ok();
    doctor(&fleet).has("shims", "warning", &["1 of 1 run under way here", "dcm restart"]);
    std::fs::remove_file(&old).unwrap();
    doctor(&fleet).has("shims", "warning", &["1 of 1 run under way here", "dcm restart"]);
}

#[test]
fn settings_and_channels() {
    let mut fleet = Fleet::new();
    let file = fleet.dir.path().join("dcm.toml");
    let write = |text: &str| std::fs::write(&file, text).unwrap();
    fleet.set("DC_CONFIG", file.to_str().unwrap());
    write("lesae = 3\n[notify.ops]\nkind = 'slack'\nurl = 'https://hooks.slack.com/hunter2'\n");
    let called = fleet.dcm(&["doctor", "--json"]);
    let found = Found::of(&called);
    found.has("settings.unknown", "warning", &["dcm.toml:1: unknown setting lesae", "did you mean lease?"]);
    found.has("settings.rights", "warning", &["notify.ops.url", "chmod 640"]);
    found.has("channels", "ok", &["ops: slack to ", "dcm notify test ops"]);
    assert!(!called.out.contains("hunter2"), "{}", called.out);
    write("[notify.ops]\nkind = 'slack'\nurl = '${NO_SUCH_VARIABLE}'\n");
    let found = doctor(&fleet);
    found.has("channels", "error", &["NO_SUCH_VARIABLE is not set"]);
    found.has("settings.secret", "warning", &["NO_SUCH_VARIABLE is not set"]);
    write("name = 3\n[limits]\nrunning = 'x'\n");
    let found = doctor(&fleet);
    found.has("settings.fault", "error", &["dcm.toml:1: name must be a text"]);
    found.has("settings.fault", "error", &["dcm.toml:3: limits.running"]);
    // The rest is looked at with what can be understood.
    found.has("database", "ok", &["SQLite"]);
    write("database = 'mysql://x'\n");
    doctor(&fleet).has("settings.fault", "error", &["unknown kind of database"]);
    doctor(&fleet).has("terminal", "ok", &[]);
}

#[test]
fn apps_that_wait_for_a_person() {
    let mut fleet = Fleet::with_manager();
    fleet.add("a/b/no", &[], &["/no/such/program"]);
    fleet.dcm(&["start", "a/b/no", "--wait"]);
    fleet.until("a/b/no", "fatal", |row| row.state.fatal.is_some());
    fleet.add("a/b/fails", &[], &["false"]);
    fleet.dcm(&["start", "a/b/fails", "--wait"]).ok();
    fleet.until("a/b/fails", "failed", |row| row.last_end.is_some());
    fleet.stop_manager();
    fleet.dcm(&["app", "add", "a/b/missing", "--enable", "--", "./nowhere"]).ok();
    fleet.add("a/b/odd", &["--interval", "5"], &["true"]);
    fleet.sql("UPDATE apps SET cron_expression = 'often' WHERE app_name = 'odd'");
    let found = doctor(&fleet);
    found.has("apps.fatal", "warning", &["1 app", "a/b/no", "dcm enable"]);
    found.has("apps.failed", "warning", &["a/b/fails", "dcm why"]);
    found.has("apps.set_aside", "warning", &["1 row", "a/b/odd", "dcm app show"]);
    found.has("apps.programs", "error", &["a/b/missing", "nowhere", "dcm app set"]);
}
