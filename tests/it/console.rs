//! The console as a person has it: the real program on a terminal.

use std::io::{Read as _, Write as _};
use std::process::Stdio;
use std::time::{Duration, Instant};

use dcm::model::RunStatus;
use portable_pty::PtySize;

use crate::fleet::{Fleet, is_alive};
use crate::terminal::Terminal;

#[test]
fn a_client_shows_the_fleet_and_starts_and_stops_an_app() {
    let fleet = Fleet::with_manager();
    fleet.add("croatia/fina/companies", &[], &["sh", "-c", "echo hello from the app; exec sleep 600"]);
    let mut terminal = Terminal::open(&fleet, &[], (100, 30));
    terminal.until_text("[client] 1 apps");
    terminal.until_text("companies");
    assert!(terminal.is_alternate());
    terminal.press("G");
    terminal.until_text("croatia/fina/companies");
    terminal.press("s");
    fleet.until("croatia/fina/companies", "is started by the key", |row| row.state.pid.is_some());
    terminal.until_text("START croatia/fina/companies: ✓1");
    terminal.press("l");
    terminal.until_text("hello from the app");
    terminal.press("\x1b");
    terminal.until_text("[1 Fleet]");
    terminal.press("x");
    terminal.answer("STOP croatia/fina/companies?", "y", |screen| !screen.contains("do it"));
    fleet.until("croatia/fina/companies", "is stopped by the key", |row| {
        row.state.status == RunStatus::Stopped
    });
    terminal.until_text("STOP croatia/fina/companies: ✓1");
    let source = fleet.query("SELECT DISTINCT cmd_source FROM commands");
    assert_eq!(format!("{source:?}"), "[[Text(\"console\")]]");
    terminal.press("?");
    terminal.until_text("next problem");
    terminal.press("q");
    terminal.until_text("[1 Fleet]");
    terminal.press("q");
    assert_eq!(terminal.code(), 0);
    terminal.until("the screen before is there again", |_| true);
    assert!(!terminal.is_alternate());
}

#[test]
fn without_a_manager_the_console_runs_one_and_hands_it_over() {
    let fleet = Fleet::new();
    fleet.add("a/b/c", &[], &["sleep", "600"]);
    let mut terminal = Terminal::open(&fleet, &[], (80, 24));
    terminal.until_text("[attached]");
    fleet.dcm(&["start", "a/b/c", "--wait"]).ok();
    let pid = fleet.app("a/b/c").state.pid.unwrap();
    terminal.press("q");
    terminal.answer("The manager lives in this console", "b", |screen| !screen.contains("esc  stay"));
    assert_eq!(terminal.code(), 0);
    assert!(is_alive(pid));
    // It goes on as a process of its own.
    fleet.dcm(&["restart", "a/b/c", "--wait"]).ok();
    end_manager(&fleet);
}

/// A program on a terminal that can be taken away.
pub(crate) struct Fragile(std::process::Child);

impl Fragile {
    pub(crate) fn open(fleet: &Fleet, text: &str, arguments: &[&str]) -> (Self, u32) {
        let mut child = fleet
            .python("on_terminal.py")
            .args([text, env!("CARGO_BIN_EXE_dcm")])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let pid = line(&mut child).parse().unwrap();
        (Self(child), pid)
    }

    /// The exit code of the program without a terminal.
    pub(crate) fn hang_up_and_wait(mut self) -> String {
        self.0.stdin.take().unwrap().write_all(b"wait\n").unwrap();
        line(&mut self.0)
    }

    fn hang_up(mut self) {
        drop(self.0.stdin.take());
        assert!(self.0.wait().unwrap().success());
    }
}

fn line(child: &mut std::process::Child) -> String {
    let mut line = String::new();
    let mut byte = [0];
    while child.stdout.as_mut().unwrap().read(&mut byte).unwrap() == 1 && byte[0] != b'\n' {
        line.push(char::from(byte[0]));
    }
    line
}

#[test]
fn a_terminal_that_goes_away_takes_no_manager_with_it_and_costs_nothing() {
    let fleet = Fleet::new();
    fleet.add("a/b/c", &["--interval", "0.003"], &["true"]);
    let (terminal, pid) = Fragile::open(&fleet, "[attached]", &[]);
    fleet.until_runs("a/b/c", "runs", |runs| runs.len() > 2);
    terminal.hang_up();
    let before = (Instant::now(), processor_time(pid));
    let count = fleet.runs("a/b/c").len();
    fleet.until_runs("a/b/c", "goes on", |runs| runs.len() > count + 8);
    let (elapsed, used) = (before.0.elapsed(), processor_time(pid).checked_sub(before.1).unwrap());
    // A reader that spins takes all of a processor.
    assert!(used < elapsed / 3, "{used:?} of {elapsed:?}");
    end_manager(&fleet);
}

#[test]
fn a_client_whose_terminal_goes_away_ends() {
    let fleet = Fleet::with_manager();
    let (terminal, _) = Fragile::open(&fleet, "[client]", &["--client"]);
    assert_eq!(terminal.hang_up_and_wait(), "129");
}

#[test]
fn a_signal_gives_the_terminal_back() {
    let fleet = Fleet::with_manager();
    for (signal, code) in [(libc::SIGTERM, 143), (libc::SIGINT, 130)] {
        let mut terminal = Terminal::open(&fleet, &["--client"], (80, 24));
        terminal.until_text("[client]");
        crate::fleet::send_signal(terminal.pid(), signal);
        assert_eq!(terminal.code(), code);
        assert!(!terminal.is_alternate());
    }
}

#[test]
fn sizes_change_down_to_one_cell() {
    let fleet = Fleet::with_manager();
    fleet.add("a/b/c", &[], &["true"]);
    let mut terminal = Terminal::open(&fleet, &["console"], (80, 24));
    terminal.until_text("[client]");
    for (cols, rows) in [(40, 12), (1, 1), (200, 60), (20, 5), (80, 24)] {
        let size = PtySize { rows, cols, pixel_width: 0, pixel_height: 0 };
        terminal.master.resize(size).unwrap();
        terminal.screen.0.lock().unwrap().screen_mut().set_size(rows, cols);
        terminal.press("j");
    }
    terminal.press("?");
    terminal.until_text("next problem");
    terminal.press("qq");
    assert_eq!(terminal.code(), 0);
}

#[test]
fn a_console_needs_a_terminal_and_a_client_a_database() {
    let fleet = Fleet::new();
    fleet.dcm(&[]).refused(2, &["needs a terminal"]);
    let mut terminal =
        Terminal::open(&fleet, &["--client", "--database", "sqlite:/no/such/dcm.db"], (80, 24));
    assert_eq!(terminal.code(), 2);
    terminal.until_text("there is no database at /no/such/dcm.db");
}

#[test]
fn a_terminal_is_tested_and_the_answer_is_remembered() {
    let fleet = Fleet::new();
    let mut terminal = Terminal::open(&fleet, &["console", "--test-terminal"], (100, 40));
    let screen = terminal.until_text("Which signs look right");
    for sign in ["► running", "× fatal", "X fatal"] {
        assert!(screen.contains(sign), "{sign}: {screen}");
    }
    terminal.written();
    terminal.press("7\n");
    terminal.until_text("7 is none of them");
    terminal.press("3\n");
    terminal.until_text("Which colours");
    terminal.press("2\n");
    terminal.until_text("kept in");
    assert_eq!(terminal.code(), 0);
    let file = fleet.dir.path().join("config/dcm/console.toml");
    assert_eq!(std::fs::read_to_string(file).unwrap(), "glyphs = \"ascii\"\ntheme = \"cb-rg\"\n");
    // The next console looks like that.
    let mut terminal = Terminal::open(&fleet, &["--client"], (100, 30));
    terminal.until_text("[client]");
    terminal.press("q");
    assert_eq!(terminal.code(), 0);
    assert!(terminal.written().is_ascii());
}

pub(crate) fn processor_time(pid: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<_> = stat.rsplit_once(')').unwrap().1.split_ascii_whitespace().collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    Duration::from_millis(ticks * 10)
}

/// Ends a manager that this test did not start itself.
pub(crate) fn end_manager(fleet: &Fleet) {
    let pid = std::fs::read_to_string(fleet.state().join("manager.lock")).unwrap().trim().parse().unwrap();
    crate::fleet::send_signal(pid, libc::SIGTERM);
    crate::fleet::until_gone(pid);
}
