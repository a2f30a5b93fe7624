//! What a manager exports, scraped from a real one, read by Prometheus' own parser for Python, and compared with the tables
//! and with `dcm status`.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use dcm::metrics::{CATALOGUE, Kind, Scope};
use dcm::model::explain::State;
use serde_json::Value;

use crate::fleet::{Fleet, PATIENCE};

/// An answer to a request.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

/// Sends what is given, and reads all that comes.
pub(crate) fn talk(address: SocketAddr, request: &str) -> Answer {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut all = Vec::new();
    stream.read_to_end(&mut all).unwrap();
    let all = String::from_utf8(all).unwrap();
    let (head, body) = all.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{all:?} is no answer"));
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer { status, head: head.to_owned(), body: body.to_owned() }
}

pub(crate) fn get(address: SocketAddr, path: &str) -> Answer {
    talk(address, &format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n"))
}

/// Asks until the answer is as asked for.
pub(crate) fn until_answer(address: SocketAddr, path: &str, is_so: impl Fn(&Answer) -> bool) -> Answer {
    let deadline = Instant::now() + PATIENCE * 2;
    loop {
        let answer = get(address, path);
        if is_so(&answer) {
            return answer;
        }
        assert!(Instant::now() < deadline, "{path} answers {answer:?}");
        std::thread::park_timeout(std::time::Duration::from_millis(50));
    }
}

/// Lets the fleet's manager export on a free port.
pub(crate) fn configure(fleet: &mut Fleet, more: &str) {
    let config = fleet.dir.path().join("dcm.toml");
    std::fs::write(&config, format!("{more}\n[metrics]\nlisten = '127.0.0.1:0'\nper_app = true\n")).unwrap();
    fleet.set("DC_CONFIG", config.to_str().unwrap());
}

/// Where a manager exports, by its log.
pub(crate) fn address_in(log: impl Fn() -> String) -> SocketAddr {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let log = log();
        if let Some((_, rest)) = log.split_once("metrics are served at http://") {
            return rest.split_once("/metrics").unwrap().0.parse().unwrap();
        }
        assert!(Instant::now() < deadline, "nothing is exported: {log}");
        std::thread::park_timeout(std::time::Duration::from_millis(20));
    }
}

fn exporting() -> (Fleet, SocketAddr) {
    let mut fleet = Fleet::new();
    configure(&mut fleet, "");
    fleet.start_manager();
    let address = address_in(|| fleet.manager_log());
    (fleet, address)
}

/// Series by name and labels.
type Samples = BTreeMap<(String, BTreeMap<String, String>), f64>;

/// What Prometheus' client library reads of a text, by family: its type, and the series.
fn parse(text: &str) -> BTreeMap<String, (String, Samples)> {
    let script = "import sys, json\n\
        from prometheus_client.parser import text_string_to_metric_families as read\n\
        print(json.dumps([[f.name, f.type, f.documentation, [[s.name, s.labels, s.value] for s in f.samples]] \
            for f in read(sys.stdin.read())]))";
    let parsed: Value = serde_json::from_str(&python(script, text)).unwrap();
    let mut families = BTreeMap::new();
    for family in parsed.as_array().unwrap() {
        let [name, kind, help, samples] = family.as_array().unwrap().as_slice() else { panic!("{family}") };
        assert!(help.as_str().unwrap().ends_with('.'), "{family}");
        let mut found = Samples::new();
        for sample in samples.as_array().unwrap() {
            let labels = sample[1].as_object().unwrap().iter();
            let labels = labels.map(|(label, value)| (label.clone(), value.as_str().unwrap().to_owned()));
            let key = (sample[0].as_str().unwrap().to_owned(), labels.collect());
            assert!(found.insert(key, sample[2].as_f64().unwrap()).is_none(), "{sample} comes twice");
        }
        let known =
            families.insert(name.as_str().unwrap().to_owned(), (kind.as_str().unwrap().to_owned(), found));
        assert!(known.is_none(), "{name} comes twice");
    }
    families
}

fn python(script: &str, input: &str) -> String {
    let mut command = Command::new(crate::workers::python());
    let mut child =
        command.args(["-c", script]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The series of one family with one label.
fn by_label(samples: &Samples, label: &str) -> BTreeMap<String, u64> {
    let read = samples.iter().map(|((_, labels), value)| (labels[label].clone(), whole(*value)));
    read.collect()
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
fn whole(value: f64) -> u64 {
    assert!(value >= 0.0 && value.fract() == 0.0, "{value}");
    value as u64
}

/// What a query of two columns counts.
fn counted(fleet: &Fleet, sql: &str) -> BTreeMap<String, u64> {
    let rows = fleet.query(sql).into_iter().map(|row| match row.as_slice() {
        [rusqlite::types::Value::Text(word), rusqlite::types::Value::Integer(count)] => {
            (word.clone(), u64::try_from(*count).unwrap())
        }
        row => panic!("{row:?}"),
    });
    rows.collect()
}

fn without_zeros(counts: BTreeMap<String, u64>) -> BTreeMap<String, u64> {
    counts.into_iter().filter(|(_, count)| *count > 0).collect()
}

/// A fleet in which something of everything happens, and then nothing more.
fn lively() -> (Fleet, SocketAddr) {
    let (fleet, address) = exporting();
    fleet.add("a/b/good", &["--interval", "60"], &["true"]);
    fleet.add("a/b/fails", &["--max-failures", "1"], &["sh", "-c", "exit 3"]);
    fleet.add(
        "a/b/works",
        &[],
        &["sh", "-c", "echo '::dcm {\"task_size\": 4, \"solved\": 3, \"failed\": 1}'; sleep 600"],
    );
    fleet.add("a/b/missing", &[], &["/no/such/program"]);
    fleet.dcm(&["app", "add", "a/b/off", "--", "true"]).ok();
    fleet.dcm(&["start", "a/b/good", "a/b/fails", "a/b/works", "--wait=30"]).ok();
    fleet.dcm(&["start", "a/b/missing", "--wait=30"]);
    fleet.dcm(&["start", "a/b/off", "--wait=30"]).refused(75, &["disabled"]);
    fleet.until_runs("a/b/fails", "to be over", |runs| runs.iter().any(|run| run.end.is_some()));
    fleet.until_runs("a/b/good", "to be over", |runs| runs.iter().any(|run| run.end.is_some()));
    fleet.until("a/b/missing", "to be fatal", |row| row.state.fatal.is_some());
    fleet.until("a/b/works", "to have counted", |row| row.progress.solved == 3);
    (fleet, address)
}

#[test]
fn what_is_exported_agrees_with_the_tables_and_with_status() {
    let (fleet, address) = lively();
    let status = fleet.dcm(&["status", "--json"]).ok().json();
    let mut states: BTreeMap<String, u64> = State::WORDS.iter().map(|word| ((*word).to_owned(), 0)).collect();
    for app in status.as_array().unwrap() {
        *states.get_mut(app["state"].as_str().unwrap()).unwrap() += 1;
    }
    assert_eq!(
        ["running", "failed", "fatal", "idle", "disabled"].map(|state| states[state]),
        [1; 5],
        "{states:?}"
    );
    let wanted: Vec<_> =
        states.iter().map(|(state, count)| format!("dcm_apps{{state=\"{state}\"}} {count}\n")).collect();
    // The numbers of the fleet are read every five seconds.
    let scrape = until_answer(address, "/metrics", |answer| {
        wanted.iter().all(|line| answer.body.contains(line))
            && answer.body.contains("dcm_app_solved{app=\"a/b/works\"} 3\n")
    });
    assert!(
        scrape.head.contains("Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"),
        "{}",
        scrape.head
    );
    let families = parse(&scrape.body);
    let samples = |name: &str| &families.get(name).unwrap_or_else(|| panic!("{name} is not exported")).1;
    let value = |name: &str| whole(*samples(name).values().next().unwrap());

    assert_eq!(by_label(samples("dcm_apps"), "state"), states);
    let outcomes =
        counted(&fleet, "SELECT outcome, count(*) FROM runtime WHERE end_time IS NOT NULL GROUP BY 1");
    assert_eq!(without_zeros(by_label(samples("dcm_runs"), "outcome")), outcomes);
    let verdicts = counted(
        &fleet,
        "SELECT CASE cmd_flag WHEN 1 THEN 'EXECUTED' ELSE 'NOT_EXECUTED' END, count(*) FROM commands WHERE cmd_flag > 0 GROUP BY 1",
    );
    assert_eq!(by_label(samples("dcm_commands"), "verdict"), verdicts);
    assert_eq!(verdicts.len(), 2, "{verdicts:?}");
    let alerts = counted(&fleet, "SELECT severity, count(*) FROM alerts WHERE closed IS NULL GROUP BY 1");
    assert_eq!(without_zeros(by_label(samples("dcm_alerts_open"), "severity")), alerts);
    assert_eq!(alerts["critical"], 2, "{alerts:?}");
    let key = |name: &str| (name.to_owned(), BTreeMap::new());
    assert_eq!(whole(samples("dcm_run_duration_seconds")[&key("dcm_run_duration_seconds_count")]), 2);
    assert!(samples("dcm_commit_seconds")[&key("dcm_commit_seconds_count")] > 0.0);
    for name in ["dcm_up", "dcm_ready", "dcm_database_up", "dcm_runs_running", "dcm_managers_live"] {
        assert_eq!(value(name), 1, "{name}");
    }

    each_app_is_exported_as_its_row_has_it(&fleet, &families);
    the_catalogue_is_exported(&families);
}

fn each_app_is_exported_as_its_row_has_it(fleet: &Fleet, families: &BTreeMap<String, (String, Samples)>) {
    let samples = |name: &str| &families.get(name).unwrap_or_else(|| panic!("{name} is not exported")).1;
    let of_app = |name: &str, app: &str| {
        let found = samples(name).iter().find(|((_, labels), _)| labels["app"] == app);
        found.map(|((_, labels), value)| (labels.clone(), *value))
    };
    assert_eq!(whole(of_app("dcm_app_progress_ratio", "a/b/works").unwrap().1), 1);
    assert_eq!(whole(of_app("dcm_app_failed", "a/b/works").unwrap().1), 1);
    assert_eq!(of_app("dcm_app_state", "a/b/fails").unwrap().0["state"], "failed");
    assert_eq!(of_app("dcm_app_last_outcome", "a/b/fails").unwrap().0["outcome"], "failed");
    assert_eq!(of_app("dcm_app_last_outcome", "a/b/off"), None);
    let row = fleet.app("a/b/good");
    let seconds = |at: dcm::model::Timestamp| at.timestamp_millis();
    let exported = |name: &str| whole((of_app(name, "a/b/good").unwrap().1 * 1000.0).round());
    assert_eq!(
        exported("dcm_app_next_run_timestamp_seconds"),
        seconds(row.next_run.unwrap()).cast_unsigned()
    );
    assert_eq!(
        exported("dcm_app_last_end_timestamp_seconds"),
        seconds(row.last_end.unwrap().at).cast_unsigned()
    );
}

/// Each family of the catalogue with its type and labels, and nothing else.
fn the_catalogue_is_exported(families: &BTreeMap<String, (String, Samples)>) {
    // No limit and no broker are set up.
    let absent = ["dcm_runs_limit", "dcm_rabbitmq_connected"];
    for metric in CATALOGUE.iter().filter(|metric| !absent.contains(&metric.name)) {
        let name = metric.name.strip_suffix("_total").unwrap_or(metric.name);
        let (kind, samples) = families.get(name).unwrap_or_else(|| panic!("{} is not exported", metric.name));
        assert_eq!(kind, metric.kind.word(), "{name}");
        for (series, labels) in samples.keys() {
            let labels: Vec<_> = labels.keys().map(String::as_str).filter(|label| *label != "le").collect();
            let mut expected = metric.labels.to_vec();
            expected.sort_unstable();
            assert_eq!(labels, expected, "{name}");
            assert!(metric.kind == Kind::Histogram || series == metric.name, "{series}");
        }
        assert!(metric.scope != Scope::App || !samples.is_empty(), "{name}");
    }
    assert_eq!(families.len(), CATALOGUE.len() - absent.len());
}

#[test]
fn starts_by_the_schedule_tell_how_late_they_are() {
    let (fleet, address) = exporting();
    fleet.add("a/b/often", &["--interval", "0.002"], &["true"]);
    fleet.until_runs("a/b/often", "to have run three times", |runs| runs.len() >= 3);
    until_answer(address, "/metrics", |answer| {
        let count = answer.body.lines().find_map(|line| line.strip_prefix("dcm_schedule_lag_seconds_count "));
        count.unwrap().parse::<u64>().unwrap() >= 2
    });
}

#[test]
fn what_is_no_request_gets_a_status_of_its_own() {
    let (_fleet, address) = exporting();
    until_answer(address, "/readyz", |answer| answer.status == 200);
    let long = format!("GET /metrics HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(9000));
    for (request, status) in [
        ("GET /nothing HTTP/1.1\r\n\r\n", 404),
        ("POST /metrics HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc", 405),
        ("DELETE /healthz HTTP/1.1\r\n\r\n", 405),
        ("\u{1}\u{2}\u{3}\r\n\r\n", 400),
        ("GET\r\n\r\n", 400),
        (&long, 431),
        ("GET /healthz HTTP/1.0\r\n\r\n", 200),
        ("GET /readyz?verbose HTTP/1.1\r\n\r\n", 200),
    ] {
        let answer = talk(address, request);
        assert_eq!(answer.status, status, "{request:?}: {answer:?}");
    }
    assert!(talk(address, "PUT /metrics HTTP/1.1\r\n\r\n").head.contains("\r\nAllow: GET, HEAD\r\n"));
    let head = talk(address, "HEAD /metrics HTTP/1.1\r\n\r\n");
    assert!(
        head.status == 200 && head.body.is_empty() && !head.head.contains("Content-Length: 0"),
        "{head:?}"
    );
    assert_eq!(get(address, "/healthz").body.split(':').next(), Some("ok"));
    assert!(get(address, "/readyz").body.starts_with("ready: manager "));
}

#[test]
fn the_board_and_the_rules_use_what_is_exported() {
    let (_fleet, address) = exporting();
    let scrape = until_answer(address, "/metrics", |answer| answer.body.contains("dcm_apps{"));
    let families = parse(&scrape.body);
    // What is absent here, and series of apps that are not there.
    let mut known: Vec<String> = CATALOGUE.iter().map(|metric| metric.name.to_owned()).collect();
    known.extend(families.values().flat_map(|(_, samples)| samples.keys().map(|(series, _)| series.clone())));
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let read = |name: &str| std::fs::read_to_string(examples.join(name)).unwrap();
    let yaml = |name: &str| -> Value {
        let script = "import sys, json, yaml\nprint(json.dumps(yaml.safe_load(sys.stdin.read())))";
        serde_json::from_str(&python(script, &read(name))).unwrap()
    };
    let board: Value = serde_json::from_str(&read("grafana/dashboard.json")).unwrap();
    let rules = yaml("prometheus/alerts.yml");
    let mut expressions = Vec::new();
    collect(&board, &mut expressions);
    assert!(expressions.len() >= 10, "{expressions:?}");
    collect(&rules, &mut expressions);
    for rule in rules["groups"][0]["rules"].as_array().unwrap() {
        assert!(
            rule["annotations"]["summary"].is_string() && rule["labels"]["severity"].is_string(),
            "{rule}"
        );
    }
    for expression in &expressions {
        let names: Vec<_> = expression
            .split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
            .filter(|word| word.starts_with("dcm_") || word.starts_with("process_"))
            .collect();
        assert!(!names.is_empty() || expression.starts_with("up{"), "{expression} uses no metric of dcm");
        for name in names {
            assert!(
                known.iter().any(|known| known == name),
                "{expression} uses {name}, which is not exported"
            );
        }
    }
    let config = yaml("prometheus/prometheus.yml");
    assert_eq!(config["rule_files"][0], "alerts.yml");
    assert_eq!(config["scrape_configs"][0]["static_configs"][0]["targets"][0], "127.0.0.1:9184");
}

/// The expressions of a board or of rules.
fn collect(value: &Value, found: &mut Vec<String>) {
    if let Some(expression) = value.get("expr").and_then(Value::as_str) {
        found.push(expression.to_owned());
    }
    value.as_object().into_iter().flatten().for_each(|(_, value)| collect(value, found));
    value.as_array().into_iter().flatten().for_each(|value| collect(value, found));
}
