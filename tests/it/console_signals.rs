//! What signals do to the console, and that it gives the terminal back.

use std::time::{Duration, Instant};

use crate::console::{end_manager, processor_time};
use crate::fleet::{Fleet, is_alive, send_signal};
use crate::terminal::Terminal;

const DCM: &str = env!("CARGO_BIN_EXE_dcm");

#[test]
fn a_client_is_suspended_and_comes_back() {
    let fleet = Fleet::with_manager();
    fleet.add("croatia/fina/companies", &[], &["true"]);
    let script = format!("{DCM} --client; echo it stands; read line; fg; echo it is over");
    let mut terminal = Terminal::run(&fleet, "sh", &["-mc", &script], (100, 30), &[]);
    terminal.until_text("[client]");
    terminal.press("\x1a");
    terminal.until_text("it stands");
    assert!(!terminal.is_alternate());
    terminal.scribble("\x1b[2J something else");
    terminal.press("go on\n");
    let screen = terminal.until("the console again", |screen| screen.contains("companies"));
    assert!(!screen.contains("something else"), "{screen}");
    assert!(terminal.is_alternate());
    terminal.press("q");
    terminal.until_text("it is over");
    assert!(!terminal.is_alternate());
    assert_eq!(terminal.code(), 0);
}

#[test]
fn where_no_shell_could_wake_it_the_console_goes_on() {
    let fleet = Fleet::with_manager();
    let mut terminal = Terminal::open(&fleet, &["--client"], (80, 24));
    terminal.until_text("[client]");
    terminal.press("\x1a");
    terminal.press("?");
    terminal.until_text("help: Fleet");
    terminal.press("qq");
    assert_eq!(terminal.code(), 0);
}

#[test]
fn what_others_wrote_is_gone_after_a_stop_and_a_continue() {
    let fleet = Fleet::with_manager();
    let mut terminal = Terminal::open(&fleet, &["--client"], (80, 24));
    terminal.until_text("[client]");
    send_signal(terminal.pid(), libc::SIGSTOP);
    terminal.scribble("\x1b[2J\x1b[5;5Hsomething else");
    send_signal(terminal.pid(), libc::SIGCONT);
    terminal.until("the console again", |screen| {
        screen.contains("[client]") && !screen.contains("something else")
    });
    terminal.press("q");
    assert_eq!(terminal.code(), 0);
}

#[test]
fn an_attached_console_is_never_suspended() {
    let fleet = Fleet::new();
    fleet.add("a/b/c", &["--interval", "0.003"], &["true"]);
    let mut terminal = Terminal::open(&fleet, &[], (80, 24));
    terminal.until_text("[attached]");
    send_signal(terminal.pid(), libc::SIGTSTP);
    terminal.until_text("The manager lives in this console");
    let count = fleet.runs("a/b/c").len();
    fleet.until_runs("a/b/c", "goes on", |runs| runs.len() > count + 2);
    terminal.press("\x1b");
    terminal.until("the question is gone", |screen| !screen.contains("lives in this console"));
    terminal.press("\x1a");
    terminal.answer("The manager lives in this console", "s", |screen| screen.contains("has stopped"));
    assert_eq!(terminal.code(), 0);
}

#[test]
fn a_hang_up_signal_ends_a_client_and_leaves_a_manager() {
    let fleet = Fleet::new();
    fleet.add("a/b/c", &["--interval", "0.003"], &["true"]);
    let attached = Terminal::open(&fleet, &[], (80, 24));
    attached.until_text("[attached]");
    let mut client = Terminal::open(&fleet, &[], (80, 24));
    client.until_text("[client]");
    let start = Instant::now();
    send_signal(client.pid(), libc::SIGHUP);
    assert_eq!(client.code(), 129);
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    assert!(!client.is_alternate());
    send_signal(attached.pid(), libc::SIGHUP);
    attached.until("its screen is gone", |screen| !screen.contains("[attached]"));
    let count = fleet.runs("a/b/c").len();
    fleet.until_runs("a/b/c", "goes on", |runs| runs.len() > count + 2);
    assert!(is_alive(attached.pid()));
    let before = (Instant::now(), processor_time(attached.pid()));
    // More than a clock tick of its processor time, and no key is read any more.
    fleet.until_runs("a/b/c", "goes on", |runs| runs.len() > count + 6);
    let used = processor_time(attached.pid()).checked_sub(before.1).unwrap();
    assert!(used < before.0.elapsed() / 3, "{used:?} of {:?}", before.0.elapsed());
    end_manager(&fleet);
}

#[test]
fn a_manager_whose_terminal_goes_away_ends_where_the_settings_say_so() {
    for (what, waits_for_apps) in [("stop", false), ("drain", true)] {
        let fleet = Fleet::new();
        fleet.add("a/b/long", &[], &["sleep", "600"]);
        fleet.add("a/b/often", &["--interval", "0.003"], &["true"]);
        let config = fleet.dir.path().join("dcm.toml");
        std::fs::write(&config, format!("[console]\non_hangup = '{what}'\n")).unwrap();
        let mut attached = Terminal::open(&fleet, &["--config", config.to_str().unwrap()], (80, 24));
        attached.until_text("[attached]");
        fleet.dcm(&["start", "a/b/long"]).ok();
        let pid = fleet.until("a/b/long", "runs", |row| row.state.pid.is_some()).state.pid.unwrap();
        send_signal(attached.pid(), libc::SIGHUP);
        if waits_for_apps {
            attached.until("its screen is gone", |screen| !screen.contains("[attached]"));
            let drains = || fleet.query("SELECT draining FROM managers").concat();
            while drains() != [rusqlite::types::Value::Integer(1)] {
                std::thread::park_timeout(Duration::from_millis(20));
            }
            // A manager learns of it within a second. An app that crashes before that is started again at once.
            fleet.until("a/b/often", "waits", |row| row.state.waiting_for.is_some());
            assert!(is_alive(attached.pid()) && is_alive(pid));
            send_signal(pid, libc::SIGTERM);
        }
        assert_eq!(attached.code(), 0);
        assert_eq!(is_alive(pid), !waits_for_apps, "apps are left alone");
        let flags = fleet.query("SELECT count(*) FROM managers WHERE draining OR stopped IS NULL").concat();
        assert_eq!(flags, [rusqlite::types::Value::Integer(0)], "the next one starts apps again");
        if !waits_for_apps {
            send_signal(pid, libc::SIGTERM);
        }
    }
}
