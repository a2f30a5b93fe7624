//! Each setting of an app, a new one too, goes in and comes out by every way.

use std::collections::BTreeMap;

use dcm::model::settings::{ALWAYS, ENV_FILES, TAGS, settings};
use dcm::model::{App, Kind, Setting, Value};

use crate::fleet::Fleet;

/// Values of which each setting takes one that is not its default.
fn samples() -> Vec<Value<'static>> {
    let texts = [
        "0 6 * * *",
        "Europe/Zagreb",
        "give_up",
        "exclusive",
        "all",
        "eu-1",
        "retry",
        "https://hc-ping.com/x",
        "INT",
        "0027",
    ];
    let variables = BTreeMap::from([("LANG".into(), Some("C".into())), ("HOME".into(), None)]);
    let other = [
        Value::Flag(true),
        Value::Flag(false),
        Value::Number(0.5),
        Value::Whole(7),
        Value::Whole(8192),
        Value::List(vec!["sleep".to_owned(), "a b".to_owned()].into()),
        Value::List(vec!["daily".to_owned(), "sales".to_owned()].into()),
        Value::Variables(variables),
    ];
    other.into_iter().chain(texts.map(Value::from)).collect()
}

fn sample(setting: &Setting) -> Value<'static> {
    if setting.kind == Kind::Directory {
        return Value::from("/srv/data");
    }
    let default = App::unnamed();
    let differs = |value: &Value<'static>| {
        let mut app = App::unnamed();
        setting.put(&mut app, value.clone()).is_ok() && (setting.get)(&app) != (setting.get)(&default)
    };
    let found = samples().into_iter().find(differs);
    found.unwrap_or_else(|| panic!("there is no sample of {}", setting.column))
}

/// An app none of whose settings has its default, but that which excludes a schedule.
fn scheduled_app(path: &str) -> App {
    let mut app = App::new(path.parse().unwrap());
    for setting in settings().filter(|setting| setting.key != ALWAYS.key) {
        setting.put(&mut app, sample(setting)).unwrap();
    }
    app
}

/// The same with that, and without a schedule.
fn app_of_always(path: &str) -> App {
    let mut app = scheduled_app(path);
    (app.schedule.interval, app.schedule.cron) = (None, None);
    ALWAYS.put(&mut app, sample(&ALWAYS)).unwrap();
    app
}

/// Apps in which each setting is found with a value that is not its default.
pub(crate) fn apps_with_all(path: &str) -> [App; 2] {
    [scheduled_app(path), app_of_always(path)]
}

#[test]
fn options_files_and_json_know_each_setting() {
    for app in apps_with_all("a/b/c") {
        is_known_by_options_files_and_json(&app);
    }
}

fn is_known_by_options_files_and_json(expected: &App) {
    let fleet = Fleet::new();
    let mut arguments = vec!["app".to_owned(), "add".to_owned(), "a/b/c".to_owned()];
    for setting in settings() {
        let value = match (setting.get)(expected) {
            Value::Flag(flag) => flag.to_string(),
            Value::Whole(number) => number.to_string(),
            Value::Number(number) => number.to_string(),
            Value::Text(text) => text.into_owned(),
            Value::List(list) if setting.column == TAGS.column => list.join(","),
            Value::List(list) if setting.column == ENV_FILES.column => {
                arguments.extend(list.iter().map(|file| format!("--env-file={file}")));
                continue;
            }
            Value::List(_) | Value::Variables(_) | Value::Null | Value::Other => continue,
        };
        arguments.push(format!("--{}={value}", setting.key.replace('_', "-")));
    }
    arguments
        .extend(["--env=LANG=C", "--unset-env=HOME", "--enable", "--", "sleep", "a b"].map(str::to_owned));
    fleet.dcm(&arguments.iter().map(String::as_str).collect::<Vec<_>>()).ok();
    assert_eq!(&fleet.app("a/b/c").app, expected);

    let shown: serde_json::Value =
        serde_json::from_str(&fleet.dcm(&["app", "show", "a/b/c", "--json"]).ok().out).unwrap();
    for setting in settings().filter(|setting| setting.kind != Kind::Variables) {
        let value = match (setting.get)(expected) {
            Value::Flag(flag) => flag.into(),
            Value::Whole(number) => number.into(),
            Value::Number(number) => number.into(),
            Value::Text(text) => text.into_owned().into(),
            Value::List(list) => list.into_owned().into(),
            Value::Variables(_) | Value::Null | Value::Other => serde_json::Value::Null,
        };
        assert_eq!(shown[setting.column], value, "{}", setting.column);
    }
    assert_eq!(shown["env"], serde_json::json!({ "HOME": null, "LANG": "***" }));

    let copy = Fleet::new();
    let path = copy.dir.path().join("copy.toml");
    std::fs::write(&path, fleet.dcm(&["app", "export"]).ok().out).unwrap();
    copy.dcm(&["app", "import", path.to_str().unwrap()]).ok();
    assert_eq!(&App { origin: None, ..copy.app("a/b/c").app }, expected);
}

#[test]
fn a_word_that_is_none_is_refused_with_those_that_are() {
    let fleet = Fleet::new();
    fleet.add("a/b/c", &[], &["true"]);
    let option = fleet.dcm(&["app", "set", "a/b/c", "--on-failures", "explode"]);
    option.refused(2, &["[possible values: continue, give_up]"]);
    let verdict = "on_failures must be one of continue, give_up, not \"explode\"";
    let file = fleet.dir.path().join("bad.toml");
    std::fs::write(&file, "[[app]]\npath = 'a/b/d'\non_failures = 'explode'\n").unwrap();
    fleet.dcm(&["app", "import", file.to_str().unwrap()]).refused(2, &["bad.toml:3:", verdict]);
    fleet.sql("UPDATE apps SET on_failures = 'explode'");
    assert!(fleet.dcm(&["app", "show", "a/b/c"]).ok().out.contains(verdict));
}

#[test]
fn a_value_gets_the_same_verdict_by_each_way() {
    let fleet = Fleet::new();
    fleet.add("a/b/c", &[], &["true"]);
    for (column, sql, option) in [
        ("interval", "-5", "-5"),
        ("cron_expression", "'99 * * * *'", "99 * * * *"),
        ("time_zone", "'Mars/Base'", "Mars/Base"),
        ("jitter", "1e9", "1e9"),
        ("catch_up_limit", "0", "0"),
        ("log_limit", "1", "1"),
        ("max_memory", "0", "0"),
        ("max_cpu", "100001", "100001"),
        ("pool", "'a b'", "a b"),
        ("ping_url", "'http://hc-ping.com/x'", "http://hc-ping.com/x"),
        ("min_solved", "-1", "-1"),
        ("max_failed_ratio", "1.5", "1.5"),
        ("min_duration", "-1", "-1"),
        ("stall_after", "-1", "-1"),
        ("min_uptime", "-1", "-1"),
        ("nice", "100", "100"),
        ("umask", "'9999'", "9999"),
        ("run_user", "'a:b'", "a:b"),
        ("max_open_files", "1", "1"),
        ("max_processes", "0", "0"),
    ] {
        let setting = settings().find(|setting| setting.column == column).unwrap();
        let verdict = setting.parse(option).unwrap_err().to_string();
        let flag = format!("--{}={option}", setting.key.replace('_', "-"));
        fleet.dcm(&["app", "set", "a/b/c", &flag]).refused(2, &[&verdict]);
        let value = if sql.starts_with('\'') { sql.to_owned() } else { option.to_owned() };
        let file = fleet.dir.path().join("bad.toml");
        std::fs::write(&file, format!("[[app]]\npath = 'a/b/d'\n{} = {value}\n", setting.key)).unwrap();
        let line = format!("bad.toml:3: {verdict}");
        fleet.dcm(&["app", "import", file.to_str().unwrap()]).refused(2, &[&line]);
        fleet.sql(&format!("CREATE TABLE kept AS SELECT {column} AS good FROM apps"));
        fleet.sql(&format!("UPDATE apps SET {column} = {sql}"));
        let shown = fleet.dcm(&["app", "show", "a/b/c"]).ok().out;
        assert!(shown.contains(&verdict), "{verdict}: {shown}");
        fleet.sql(&format!("UPDATE apps SET {column} = (SELECT good FROM kept); DROP TABLE kept"));
    }
}

#[test]
fn tags_and_files_of_variables_are_lists_by_each_way() {
    let fleet = Fleet::new();
    fleet.dcm(&["app", "add", "a/b/c", "--tag", "sales", "--tag", "daily", "--", "true"]).ok();
    let tags = || fleet.app("a/b/c").app.tags.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(tags(), ["daily", "sales"]);
    fleet.dcm(&["app", "set", "a/b/c", "--tag", "eu", "--untag", "daily"]).ok();
    assert_eq!(tags(), ["eu", "sales"]);
    fleet.dcm(&["app", "set", "a/b/c", "--tags", "x,y", "--tag", "z"]).refused(2, &["cannot be used with"]);
    fleet.dcm(&["app", "set", "a/b/c", "--tags", "x,y,x"]).ok();
    assert_eq!(tags(), ["x", "y"]);
    fleet.dcm(&["app", "set", "a/b/c", "--tags", "x,a b"]).refused(2, &["tags has an invalid name \"a b\""]);
    let many = vec!["t"; 33].join(",");
    fleet.dcm(&["app", "set", "a/b/c", "--tags", &many]).refused(2, &["tags has more than 32 of them"]);
    fleet.dcm(&["app", "set", "a/b/c", "--tags", "none"]).ok();
    assert_eq!(tags(), [""; 0]);

    let set = |arguments: &[&str]| fleet.dcm(&[&["app", "set", "a/b/c"], arguments].concat());
    set(&["--env-file", "-/etc/x.env", "--env-file", "own.env"]).ok();
    assert_eq!(fleet.app("a/b/c").app.program.env_files, ["-/etc/x.env", "own.env"]);
    set(&["--env-file", "-"]).refused(2, &["env_files has an invalid path \"-\""]);
    set(&["--env-file", "none"]).ok();
    assert!(fleet.app("a/b/c").app.program.env_files.is_empty());

    // What a row says is checked in the same way, and is mended by the option.
    for (column, value, verdict, option) in [
        ("tags", "'nightly'", "tags is no JSON array of strings", "--tags=none"),
        ("tags", "'[1]'", "tags is no JSON array of strings", "--tags=none"),
        ("tags", "'[\"\"]'", "tags has an invalid name", "--tags=none"),
        ("env_files", "'{}'", "env_files is no JSON array of strings", "--env-file=none"),
        ("run_user", "'ro' || char(0) || 'ot'", "run_user is no name of a user", "--run-user=none"),
        ("stop_signal", "'STOP'", "stop_signal must be one of TERM, INT", "--stop-signal=TERM"),
    ] {
        fleet.sql(&format!("UPDATE apps SET {column} = {value}"));
        let shown = fleet.dcm(&["app", "show", "a/b/c"]).ok().out;
        assert!(shown.contains(verdict), "{shown}");
        set(&["--description", "x"]).refused(1, &[verdict, &format!("set {column} as well")]);
        set(&[option]).ok();
        assert!(fleet.app("a/b/c").fault.is_none(), "{column}");
    }
    for name in ["sigint", "INT"] {
        set(&["--stop-signal", name]).ok();
        assert_eq!(fleet.app("a/b/c").app.policy.stop_signal.word(), "INT");
    }
    fleet.sql("UPDATE apps SET stop_signal = 'SIGHUP'");
    assert_eq!(fleet.app("a/b/c").app.policy.stop_signal.word(), "HUP");
    set(&["--stop-signal", "STOP"]).refused(2, &["[possible values: TERM, INT, HUP"]);
}

#[test]
fn apps_are_selected_by_tag_and_owner() {
    let fleet = Fleet::with_manager();
    fleet.add("a/b/one", &["--tags", "nightly,eu", "--owner", "Ana Horvat"], &["true"]);
    fleet.add("c/d/two", &["--tags", "nightly"], &["true"]);
    fleet.add("c/d/three", &["--owner", "Ivo"], &["sh", "-c", "exit 3"]);
    let listed = |selectors: &[&str]| {
        let called = fleet.dcm(&[&["status", "--json"], selectors].concat()).ok();
        let rows = called.json();
        rows.as_array()
            .unwrap()
            .iter()
            .map(|row| row["app_name"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(listed(&["tag:nightly"]), ["one", "two"]);
    assert_eq!(listed(&["tag:eu", "owner:Ivo"]), ["one", "three"]);
    assert_eq!(listed(&["owner:*"]), ["one", "three"]);
    let called = fleet.dcm(&["status", "--json", "a"]).ok();
    let row = &called.json()[0];
    assert_eq!((&row["owner"], &row["tags"]), (&"Ana Horvat".into(), &serde_json::json!(["eu", "nightly"])));
    fleet.dcm(&["start", "tag:nightly", "--wait", "--yes"]).ok();
    assert_eq!((fleet.runs("a/b/one").len(), fleet.runs("c/d/two").len()), (1, 1));
    assert!(fleet.runs("c/d/three").is_empty());
    for command in ["status", "stop", "app export", "history", "logs", "alerts list", "app remove", "next"] {
        let arguments: Vec<_> = command.split(' ').chain(["tag:none-has-it"]).collect();
        fleet.dcm(&arguments).refused(4, &["no app has tag:none-has-it"]);
    }
    fleet.dcm(&["status", "tag:a b"]).refused(2, &["a tag is A-Z"]);
    assert!(fleet.dcm(&["why", "c/d/three"]).ok().out.contains("its owner: Ivo"));
    fleet.dcm(&["app", "remove", "tag:nightly", "--yes"]).ok();
    assert_eq!(listed(&[]), ["three"]);
}

#[test]
fn an_app_runs_always_or_by_a_schedule_by_each_way() {
    let fleet = Fleet::new();
    let verdict = "always excludes interval: an app runs without end, or by a schedule";
    fleet
        .dcm(&["app", "add", "a/b/no", "--always", "--interval", "5"])
        .refused(2, &[verdict, "--interval none"]);
    // An option before the path takes no value.
    fleet.dcm(&["app", "add", "--always", "a/b/c", "--", "true"]).ok();
    assert!(fleet.app("a/b/c").app.schedule.always);
    fleet.dcm(&["app", "set", "a/b/c", "--interval", "5"]).refused(2, &[verdict]);
    fleet.dcm(&["app", "set", "a/b/c", "--cron", "0 6 * * *"]).refused(2, &["always excludes cron"]);
    fleet.dcm(&["app", "set", "a/b/c", "--always", "false", "--interval", "5"]).ok();
    fleet.dcm(&["app", "set", "a/b/c", "--always"]).refused(2, &[verdict]);
    fleet.dcm(&["app", "set", "a/b/c", "--always", "--interval", "none"]).ok();
    let said = fleet.dcm(&["app", "set", "a/b/c", "--retry-interval", "1"]).ok().err;
    assert!(said.contains("retry_interval has no effect"), "{said}");

    let file = fleet.dir.path().join("both.toml");
    std::fs::write(&file, "[[app]]\npath = 'a/b/d'\ninterval = 5\nalways = true\n").unwrap();
    fleet.dcm(&["app", "import", file.to_str().unwrap()]).refused(2, &[&format!("both.toml:4: {verdict}")]);

    fleet.sql("UPDATE apps SET interval = 5");
    assert!(fleet.dcm(&["app", "show", "a/b/c"]).ok().out.contains(verdict));
    fleet.dcm(&["app", "set", "a/b/c", "--description", "x"]).refused(2, &[verdict]);
    fleet.dcm(&["app", "set", "a/b/c", "--interval", "none"]).ok();
    let row = fleet.app("a/b/c");
    assert!(row.fault.is_none() && row.app.schedule.always && row.app.schedule.interval.is_none());
}
