//! What a manager tells the service manager that started it, over a socket of the test's own; and SIGHUP.

use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use crate::endpoint::{Endpoint, Reply};
use crate::fleet::{Fleet, PATIENCE, is_alive, send_signal};

/// A service manager that listens.
struct Listener {
    address: String,
    heard: Arc<(Mutex<Vec<String>>, Condvar)>,
}

impl Listener {
    fn at_path(fleet: &Fleet) -> Self {
        let path = fleet.dir.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        Self::of(socket, path.display().to_string())
    }

    fn abstract_name() -> Self {
        let name = format!("dcm-test-{}", std::process::id());
        let socket = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        Self::of(socket, format!("@{name}"))
    }

    fn of(socket: UnixDatagram, address: String) -> Self {
        let heard = Arc::<(Mutex<Vec<String>>, Condvar)>::default();
        let kept = Arc::clone(&heard);
        // It goes on until the end of the test's process.
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(length) = socket.recv(&mut buffer) {
                kept.0.lock().unwrap().push(String::from_utf8_lossy(&buffer[..length]).into_owned());
                kept.1.notify_all();
            }
        });
        Self { address, heard }
    }

    fn all(&self) -> Vec<String> {
        self.heard.0.lock().unwrap().clone()
    }

    /// Waits until what was said is as asked for.
    fn until(&self, what: &str, is_so: impl Fn(&[String]) -> bool) -> Vec<String> {
        let (heard, more) = self.heard.as_ref();
        let waited = more.wait_timeout_while(heard.lock().unwrap(), PATIENCE, |heard| !is_so(heard)).unwrap();
        assert!(!waited.1.timed_out(), "waited in vain for {what}: {:?}", *waited.0);
        waited.0.clone()
    }

    fn until_said(&self, text: &str) -> Vec<String> {
        self.until(text, |heard| heard.iter().any(|message| message == text))
    }
}

fn count(heard: &[String], text: &str) -> usize {
    heard.iter().filter(|message| *message == text).count()
}

#[test]
fn a_service_says_when_it_is_ready_what_it_does_and_that_it_ends() {
    let mut fleet = Fleet::new();
    let listener = Listener::at_path(&fleet);
    fleet.set("NOTIFY_SOCKET", &listener.address);
    // The watchdog is that of another process.
    fleet.set("WATCHDOG_USEC", "100000");
    fleet.set("WATCHDOG_PID", "1");
    fleet.start_manager();
    let heard = listener.until_said("STATUS=0 apps, 0 running");
    assert_eq!(heard[0], "READY=1", "{heard:?}");
    fleet.add("a/b/c", &[], &["sleep", "1000"]);
    fleet.dcm(&["start", "a/b/c", "--wait"]).ok();
    listener.until_said("STATUS=1 app, 1 running");
    let pid = fleet.until("a/b/c", "runs", |row| row.state.pid.is_some()).state.pid.unwrap();
    let environment = std::fs::read_to_string(format!("/proc/{pid}/environ")).unwrap();
    assert!(!environment.contains("NOTIFY_SOCKET") && !environment.contains("WATCHDOG"), "{environment:?}");
    fleet.stop_manager();
    let heard = listener.until("the end", |heard| heard.iter().any(|text| text.starts_with("STOPPING=1\n")));
    assert_eq!(count(&heard, "WATCHDOG=1"), 0, "{heard:?}");
    assert_eq!(count(&heard, "READY=1"), 1, "{heard:?}");
    assert!(is_alive(pid), "the app ended with the service");
}

#[test]
fn only_a_loop_that_turns_feeds_the_watchdog() {
    const WATCHDOG: Duration = Duration::from_millis(400);
    let mut fleet = Fleet::new();
    let listener = Listener::abstract_name();
    fleet.set("NOTIFY_SOCKET", &listener.address);
    fleet.set("WATCHDOG_USEC", &WATCHDOG.as_micros().to_string());
    fleet.start_manager();
    listener.until("signs of life", |heard| count(heard, "WATCHDOG=1") >= 5);
    let pid = fleet.manager_pid();
    send_signal(pid, libc::SIGSTOP);
    let is_stopped = || std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap().contains(") T ");
    let deadline = Instant::now() + PATIENCE;
    while !is_stopped() {
        assert!(Instant::now() < deadline, "the manager goes on");
        std::thread::yield_now();
    }
    let before = count(&listener.all(), "WATCHDOG=1");
    // Nothing can be waited for: it is silence that shows it.
    std::thread::park_timeout(WATCHDOG * 3);
    let after = count(&listener.all(), "WATCHDOG=1");
    // What was under way when it was stopped may have come.
    assert!(after <= before + 1, "{before} {after}");
    send_signal(pid, libc::SIGCONT);
    listener.until("signs of life", |heard| count(heard, "WATCHDOG=1") >= after + 3);
}

/// A fleet whose service has a file of settings.
fn with_settings(listener: &Listener, fleet: &mut Fleet, text: &str) -> PathBuf {
    let file = fleet.dir.path().join("dcm.toml");
    std::fs::write(&file, text).unwrap();
    fleet.set("DC_CONFIG", file.to_str().unwrap());
    fleet.set("NOTIFY_SOCKET", &listener.address);
    fleet.start_manager();
    listener.until_said("READY=1");
    file
}

fn until_logged(fleet: &Fleet, words: &[&str]) -> String {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let log = fleet.manager_log();
        if let Some(line) = log.lines().find(|line| words.iter().all(|word| line.contains(word))) {
            return line.to_owned();
        }
        assert!(Instant::now() < deadline, "{words:?} is not in\n{log}");
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

#[test]
fn hangup_reads_the_settings_again_and_touches_what_has_changed() {
    let endpoint = Endpoint::answering(|_| Reply::ok("ok"));
    let mut fleet = Fleet::new();
    let listener = Listener::at_path(&fleet);
    let file = with_settings(&listener, &mut fleet, "");
    let pid = fleet.manager_pid();
    let reload = |text: &str, times: usize| {
        std::fs::write(&file, text).unwrap();
        send_signal(pid, libc::SIGHUP);
        // Each reload is a pair, in this order.
        let is_over = |heard: &[String]| count(heard, "READY=1") == times + 1;
        let heard = listener.until("the end of a reload", is_over);
        let told = heard.iter().filter_map(|message| message.strip_prefix("RELOADING=1\nMONOTONIC_USEC="));
        let told: Vec<u64> = told.map(|micros| micros.parse().unwrap()).collect();
        assert_eq!(told.len(), times, "{heard:?}");
        let now = nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC).unwrap();
        let now = u64::try_from(Duration::from(now).as_micros()).unwrap();
        assert!(told.iter().all(|micros| (now - 60_000_000..=now).contains(micros)), "{told:?} {now}");
    };

    fleet.add("a/b/c", &[], &["sleep", "1000"]);
    fleet.dcm(&["start", "a/b/c", "--wait"]).ok();
    let app = fleet.until("a/b/c", "runs", |row| row.state.pid.is_some()).state.pid.unwrap();
    assert!(!fleet.manager_log().contains("\"level\":\"DEBUG\""));
    let text = format!(
        "lease = 20\ncolour = 1\n[limits]\nrunning = 7\n[log]\nlevel = 'debug'\n[notify.ops]\nkind = 'webhook'\nurl = '{}'\n",
        endpoint.url("/hook")
    );
    reload(&text, 1);
    until_logged(&fleet, &["WARN", "lease", "started again"]);
    until_logged(&fleet, &["WARN", "dcm.toml:2: unknown setting colour"]);
    until_logged(&fleet, &["INFO", "limits.running, log.level, notify"]);
    fleet.until_query("SELECT running_max FROM managers", "[[Integer(7)]]");
    // The channel is new, and the next alert goes there.
    fleet.add("a/b/bad", &["--max-failures", "1"], &["sh", "-c", "exit 3"]);
    fleet.dcm(&["start", "a/b/bad"]).ok();
    let delivered = "SELECT count(*) FROM deliveries WHERE channel = 'ops' AND delivered IS NOT NULL";
    fleet.until_query_within(PATIENCE * 4, delivered, "[[Integer(1)]]");
    assert_eq!(endpoint.requests().len(), 1);
    until_logged(&fleet, &["\"level\":\"DEBUG\"", "started"]);

    // A file that is wrong changes nothing, and says where.
    reload("[limits]\nrunning = 'many'\n[log]\nlevel = 'loud'\n", 2);
    until_logged(&fleet, &["WARN", "dcm.toml:2: limits.running must be a whole number"]);
    until_logged(&fleet, &["WARN", "dcm.toml:4: log.level must be"]);
    until_logged(&fleet, &["WARN", "the settings stay as they were"]);
    reload("[notify.ops]\nkind = 'webhook'\nurl = '${NOT_SET_ANYWHERE}'\n", 3);
    until_logged(&fleet, &["WARN", "NOT_SET_ANYWHERE", "the settings stay as they were"]);
    assert_eq!(format!("{:?}", fleet.query("SELECT running_max FROM managers")), "[[Integer(7)]]");
    // Nor does one that is not there.
    std::fs::remove_file(&file).unwrap();
    send_signal(pid, libc::SIGHUP);
    listener.until("a fourth reload", |heard| count(heard, "READY=1") == 5);
    // Taken back, the limit is none again and the channel is gone.
    reload("", 5);
    fleet.until_query("SELECT running_max FROM managers", "[[Null]]");
    assert!(is_alive(app) && fleet.manager_pid() == pid && is_alive(pid));
    fleet.stop_manager();
}

#[test]
fn hangups_while_it_begins_end_no_service() {
    let fleet = Fleet::new();
    let log = std::fs::File::create(fleet.dir.path().join("manager.log")).unwrap();
    let mut manager = fleet.command().arg("--headless").stderr(log).spawn().unwrap();
    let catches_hangup = |pid: u32| {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:\t")).unwrap_or("0");
        u64::from_str_radix(caught, 16).unwrap() & 1 == 1
    };
    let deadline = Instant::now() + PATIENCE;
    while !catches_hangup(manager.id()) {
        assert!(Instant::now() < deadline, "{}", fleet.manager_log());
        std::thread::yield_now();
    }
    while !fleet.manager_log().contains("the manager is running") {
        assert!(Instant::now() < deadline, "{}", fleet.manager_log());
        assert_eq!(manager.try_wait().unwrap(), None, "{}", fleet.manager_log());
        send_signal(manager.id(), libc::SIGHUP);
        std::thread::park_timeout(Duration::from_millis(1));
    }
    assert_eq!(manager.try_wait().unwrap(), None);
    send_signal(manager.id(), libc::SIGTERM);
    assert!(manager.wait().unwrap().success());
}

#[test]
fn a_journal_gets_text_with_priorities() {
    for (is_own, first) in [(true, "<6>"), (false, "{")] {
        let mut fleet = Fleet::new();
        let log = fleet.dir.path().join("manager.log");
        std::fs::write(&log, "").unwrap();
        let found = std::fs::metadata(&log).unwrap();
        let inode = found.ino() + u64::from(!is_own);
        fleet.set("JOURNAL_STREAM", &format!("{}:{inode}", found.dev()));
        let listener = Listener::at_path(&fleet);
        let file = with_settings(&listener, &mut fleet, "");
        std::fs::write(&file, "lease = 30\n").unwrap();
        send_signal(fleet.manager_pid(), libc::SIGHUP);
        let warning = until_logged(&fleet, &["take effect when the manager is started again"]);
        let text = fleet.manager_log();
        assert!(text.lines().all(|line| line.starts_with(['<', '{'])) && text.starts_with(first), "{text}");
        if is_own {
            assert!(warning.starts_with("<4>changed settings") && warning.contains("lease"), "{warning}");
            assert!(!text.contains("Z ") && !text.contains('\x1b'), "{text}");
        }
        fleet.stop_manager();
    }
}
