//! The exporter where things go wrong: many and slow clients, a port in use, a database that is away or hangs, a manager's
//! loop that hangs, and its end.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::fleet::{Called, Fleet, PATIENCE};
use crate::metrics::{address_in, configure, get, until_answer};
use crate::postgres::Schema;
use crate::proxy::Proxy;

fn exporting() -> (Fleet, SocketAddr) {
    let mut fleet = Fleet::new();
    configure(&mut fleet, "");
    fleet.start_manager();
    let address = address_in(|| fleet.manager_log());
    (fleet, address)
}

#[test]
fn a_hundred_clients_scrape_at_once_and_a_thousand_exhaust_nothing() {
    let (fleet, address) = exporting();
    until_answer(address, "/metrics", |answer| answer.body.contains("dcm_apps{"));
    std::thread::scope(|scope| {
        let scrapes: Vec<_> = (0..100).map(|_| scope.spawn(|| get(address, "/metrics"))).collect();
        for scrape in scrapes {
            let scrape = scrape.join().unwrap();
            assert!(scrape.status == 200 && scrape.body.ends_with('\n'), "{scrape:?}");
            assert!(scrape.body.contains("process_start_time_seconds "));
        }
    });
    // They say nothing, or only a little, and stay.
    let slow: Vec<_> = (0..1000)
        .map(|number| {
            let mut stream = TcpStream::connect(address).unwrap();
            let begun =
                if number % 2 == 0 { stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x") } else { Ok(()) };
            begun.unwrap();
            stream
        })
        .collect();
    let begun = Instant::now();
    let scrape = get(address, "/metrics");
    assert_eq!(scrape.status, 200);
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(10), "a scrape took {took:?} beside slow clients");
    let open = std::fs::read_dir(format!("/proc/{}/fd", fleet.manager_pid())).unwrap().count();
    assert!(open < 250, "{open} descriptors are open");
    // The manager does its work meanwhile.
    fleet.add("a/b/good", &[], &["true"]);
    fleet.dcm(&["start", "a/b/good", "--wait=30"]).ok();
    drop(slow);
}

#[test]
fn a_client_that_does_not_come_to_the_point_is_told_so() {
    let (_fleet, address) = exporting();
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost:").unwrap();
    let begun = Instant::now();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 408 Request Timeout\r\n"), "{answer}");
    assert!(begun.elapsed() >= Duration::from_secs(4), "{:?}", begun.elapsed());
}

/// A manager whose port another program has, and that program's socket.
fn with_its_port_in_use() -> (Fleet, TcpListener, SocketAddr) {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let mut fleet = Fleet::new();
    let config = fleet.dir.path().join("dcm.toml");
    std::fs::write(&config, format!("[metrics]\nlisten = '{address}'\n")).unwrap();
    fleet.set("DC_CONFIG", config.to_str().unwrap());
    fleet.start_manager();
    (fleet, taken, address)
}

#[test]
fn a_port_in_use_does_not_keep_the_manager_from_its_work() {
    let (mut fleet, taken, address) = with_its_port_in_use();
    fleet.add("a/b/good", &[], &["true"]);
    fleet.dcm(&["start", "a/b/good", "--wait=30"]).ok();
    let log = fleet.manager_log();
    for words in
        [&format!("metrics are not served on {address}"), "another program, or another manager", "WARN"]
    {
        assert!(log.contains(words), "{words:?} is not in {log}");
    }
    assert_eq!(log.matches("metrics are not served").count(), 1, "{log}");
    // Once the port is free, it is served.
    drop(taken);
    assert_eq!(address_in(|| fleet.manager_log()), address);
    assert_eq!(get(address, "/healthz").status, 200);
    // The next manager has the port at once, though apps of this one run on.
    fleet.add("a/b/long", &[], &["sleep", "600"]);
    fleet.dcm(&["start", "a/b/long", "--wait=30"]).ok();
    fleet.stop_manager();
    assert!(TcpStream::connect(address).is_err());
    fleet.start_manager();
    assert_eq!(address_in(|| fleet.manager_log()), address);
    assert_eq!(until_answer(address, "/readyz", |answer| answer.status == 200).status, 200);
}

#[test]
fn an_address_that_is_none_is_named_and_one_that_is_open_to_all_is_warned_of() {
    let mut fleet = Fleet::new();
    let config = fleet.dir.path().join("dcm.toml");
    std::fs::write(&config, "[metrics]\nlisten = 'localhost:9184'\n").unwrap();
    fleet.set("DC_CONFIG", config.to_str().unwrap());
    let place = format!("{}:2: metrics.listen must be an IP address and a port", config.display());
    fleet.dcm(&["--headless"]).refused(2, &[&place]);
    std::fs::write(&config, "[metrics]\nlisten = '0.0.0.0:0'\n").unwrap();
    fleet.start_manager();
    let deadline = Instant::now() + PATIENCE;
    while !fleet.manager_log().contains("without TLS or a password") {
        assert!(Instant::now() < deadline, "{}", fleet.manager_log());
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

/// Managers on a server that is behind a proxy.
struct Place {
    schema: Schema,
    proxy: Proxy,
    /// Each with its directory.
    managers: Vec<(Child, TempDir)>,
    dir: TempDir,
}

impl Place {
    /// Without a manager yet.
    fn bare() -> Self {
        let (schema, dir) = (Schema::new(), tempfile::tempdir().unwrap());
        let proxy = Proxy::to_database(schema.url());
        let place = Self { schema, proxy, managers: Vec::new(), dir };
        place.dcm(&["db", "migrate"]).ok();
        place
    }

    /// With one, and where that exports.
    fn new() -> (Self, SocketAddr) {
        let mut place = Self::bare();
        let address = place.begin("zg");
        (place, address)
    }

    /// Starts a manager; gives back where it exports.
    fn begin(&mut self, name: &str) -> SocketAddr {
        let dir = tempfile::tempdir().unwrap();
        let config = dir.path().join("dcm.toml");
        let settings = "[metrics]\nlisten = '127.0.0.1:0'\nper_app = true\n";
        std::fs::write(&config, format!("name = '{name}'\n{settings}")).unwrap();
        let log = dir.path().join("log");
        let mut command = Command::new(env!("CARGO_BIN_EXE_dcm"));
        command.env("DC_STATE_DIR", dir.path().join("state")).env("DC_CONFIG", config).arg("--headless");
        command.env("DC_DATABASE_URL", self.proxy.url(self.schema.url())).stdin(Stdio::null());
        command.stderr(std::fs::File::create(&log).unwrap()).stdout(Stdio::null());
        self.managers.push((command.spawn().unwrap(), dir));
        address_in(|| std::fs::read_to_string(&log).unwrap())
    }

    fn dcm(&self, arguments: &[&str]) -> Called {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dcm"));
        command
            .env("DC_STATE_DIR", self.dir.path().join("state"))
            .env("DC_CONFIG", "/dev/null")
            .args(arguments);
        Called::from(command.env("DC_DATABASE_URL", self.schema.url()).stdin(Stdio::null()).output().unwrap())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        for (manager, _) in &mut self.managers {
            let _ = manager.kill();
            let _ = manager.wait();
        }
    }
}

/// Waits for a status, and for what the answer says.
fn until(address: SocketAddr, path: &str, status: u16, words: &str) {
    until_answer(address, path, |answer| answer.status == status && answer.body.contains(words));
}

#[test]
fn a_database_that_is_away_or_hangs_makes_a_manager_unready_and_not_unhealthy() {
    let (place, address) = Place::new();
    until(address, "/readyz", 200, "ready: manager ");
    until(address, "/metrics", 200, "dcm_apps{state=\"running\"} 0\n");
    let hang = || place.proxy.stall();
    let cut = || place.proxy.cut();
    for fault in [&hang as &dyn Fn(), &cut] {
        fault();
        until(address, "/readyz", 503, "not ready: the database does not answer");
        assert_eq!(get(address, "/healthz").status, 200);
        // A scrape waits for nobody, and says how old its numbers are.
        let begun = Instant::now();
        let scrape = get(address, "/metrics");
        assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
        for line in ["dcm_up 1", "dcm_ready 0", "dcm_database_up 0", "dcm_apps{state=\"running\"} 0"] {
            assert!(scrape.body.lines().any(|found| found == line), "{line} is not in {}", scrape.body);
        }
        place.proxy.heal();
        until(address, "/readyz", 200, "ready");
        until(address, "/metrics", 200, "\ndcm_database_up 1\n");
    }
}

#[test]
fn a_manager_that_waits_for_its_database_answers_already() {
    let mut place = Place::bare();
    place.proxy.cut();
    let address = place.begin("zg");
    until(address, "/readyz", 503, "does not hold its name yet");
    assert_eq!(get(address, "/healthz").status, 200);
    let scrape = get(address, "/metrics");
    assert!(!scrape.body.contains("dcm_apps{"), "nothing is known of the fleet: {}", scrape.body);
    place.proxy.heal();
    until(address, "/readyz", 200, "ready");
}

#[test]
fn a_manager_that_drains_is_ready_and_says_so() {
    let (place, address) = Place::new();
    until(address, "/readyz", 200, "ready");
    place.dcm(&["managers", "drain", "zg"]).ok();
    until(address, "/readyz", 200, "it drains and starts nothing new");
    until(address, "/metrics", 200, "\ndcm_draining 1\n");
}

#[test]
fn a_loop_that_hangs_is_seen() {
    let (fleet, address) = exporting();
    until(address, "/healthz", 200, "ok");
    let mut command = fleet.python("freeze.py");
    // The loop is in the first thread of the process.
    command.arg(fleet.manager_pid().to_string()).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut frozen = command.spawn().unwrap();
    let mut said = String::new();
    BufReader::new(frozen.stdout.take().unwrap()).read_line(&mut said).unwrap();
    assert_eq!(said, "frozen\n");
    assert_eq!(get(address, "/healthz").status, 200, "a pause of a moment is no fault");
    until(address, "/healthz", 503, "not ok: the manager's loop has not turned for ");
    until(address, "/readyz", 503, "not ready: the manager's loop has not turned");
    until(address, "/metrics", 200, "\ndcm_up 0\n");
    drop(frozen.stdin.take());
    frozen.wait().unwrap();
    until(address, "/healthz", 200, "ok");
}

/// The values of the series of a family, by their labels.
fn series(scrape: &str, family: &str) -> BTreeMap<String, f64> {
    let lines =
        scrape.lines().filter_map(|line| line.strip_prefix(family)?.strip_prefix('{')?.rsplit_once("} "));
    lines.map(|(labels, value)| (labels.to_owned(), value.parse().unwrap())).collect()
}

#[test]
fn what_is_of_a_manager_adds_up_and_what_is_of_the_fleet_is_the_same_everywhere() {
    let (mut place, zagreb) = Place::new();
    let split = place.begin("st");
    let both = [zagreb, split];
    for address in both {
        until(address, "/metrics", 200, "\ndcm_managers_live 2\n");
    }
    for number in 0..8 {
        let path = format!("a/b/{number}");
        let program = if number == 0 { "false" } else { "true" };
        place.dcm(&["app", "add", &path, "--enable", "--max-failures", "1", "--", program]).ok();
    }
    place.dcm(&["start", "all", "--yes", "--wait=30"]).ok();
    let scrapes = both.map(|address| {
        let scrape = until_answer(address, "/metrics", |answer| {
            answer.body.contains("dcm_apps{state=\"idle\"} 7\n")
                && answer.body.contains("dcm_apps{state=\"failed\"} 1\n")
        });
        scrape.body
    });
    for family in ["dcm_apps", "dcm_alerts_open"] {
        assert_eq!(series(&scrapes[0], family), series(&scrapes[1], family), "{family}");
    }
    for scrape in &scrapes {
        assert!(scrape.contains("dcm_alerts_open{severity=\"critical\"} 1\n"), "{scrape}");
    }
    let add = |family: &str, labels: &str| {
        let values =
            scrapes.iter().map(|scrape| series(scrape, family).get(labels).copied().unwrap_or_default());
        format!("{}", values.sum::<f64>())
    };
    assert_eq!(add("dcm_runs_total", "outcome=\"ok\""), "7");
    assert_eq!(add("dcm_runs_total", "outcome=\"failed\""), "1");
    assert_eq!(add("dcm_commands_total", "verdict=\"EXECUTED\""), "8");
    // Each app is exported by the manager that has it.
    let [mut apps, of_split] = scrapes.each_ref().map(|scrape| series(scrape, "dcm_app_solved"));
    let sum = apps.len() + of_split.len();
    apps.extend(of_split);
    assert_eq!((sum, apps.len()), (8, 8), "{apps:?}");
}

#[test]
fn a_port_that_stays_in_use_is_an_alert_until_it_is_served() {
    let (fleet, taken, address) = with_its_port_in_use();
    let open = "SELECT count(*) FROM alerts WHERE kind = 'metrics_not_served' AND closed IS NULL";
    // A manager that ends may hold the port for a while, so the alert comes after a minute.
    fleet.until_query_within(PATIENCE * 4, open, "[[Integer(1)]]");
    let alerts = fleet.dcm(&["alerts", "--json"]).ok().out;
    assert!(alerts.contains(&format!("metrics are not served on {address}")), "{alerts}");
    let status = fleet.dcm(&["status"]).ok().err;
    assert!(status.contains(&format!(": metrics are not served on {address}")), "{status}");
    drop(taken);
    fleet.until_query(open, "[[Integer(0)]]");
    assert_eq!(get(address, "/healthz").status, 200);
}
