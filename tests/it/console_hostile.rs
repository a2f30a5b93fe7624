//! The console on terminals that are slow, small, old, or fed with what nobody would write.

use std::time::{Duration, Instant};

use crate::console::processor_time;
use crate::fleet::Fleet;
use crate::terminal::Terminal;

/// What an app might print or be called: sequences that would take over a terminal, signs of other
/// scripts, what is half a sign.
const BOMB: &str = "\\033]0;owned\\007\\033[2J\\033[1;1H\\033P+q544e\\033\\\\\\033[?1049l漢字 е\\314\\201 \\303\\050 \\302\\233[31mred";

#[test]
fn nothing_that_an_app_says_reaches_the_terminal_as_it_is() {
    let fleet = Fleet::with_manager();
    let script = format!(
        "printf '{BOMB}\\n'; printf '::dcm {{\"message\": \"a\\\\u001b[2Jb\\\\u009b31m\"}}\\n'; exec sleep 600"
    );
    fleet.add("a/b/bomb", &[], &["sh", "-c", &script]);
    let mut terminal = Terminal::open(&fleet, &["--client"], (100, 30));
    fleet.dcm(&["start", "a/b/bomb", "--wait"]).ok();
    terminal.until_text("bomb");
    terminal.press("G");
    terminal.until_text("a/b/bomb");
    terminal.press("l");
    terminal.until_text("漢字");
    let written = terminal.written();
    for bad in ["\x1b]0;", "owned\x07", "\x1bP", "\u{9b}", "\x1b[31mred"] {
        assert!(!written.contains(bad), "{bad:?} was written");
    }
    assert!(terminal.is_alternate());
    terminal.press("q");
    terminal.press("q");
    assert_eq!(terminal.code(), 0);
}

#[test]
fn pasted_text_is_never_a_command() {
    let fleet = Fleet::with_manager();
    fleet.add("a/b/c", &[], &["sleep", "600"]);
    let terminal = Terminal::open(&fleet, &["--client"], (100, 30));
    terminal.until_text("[client]");
    terminal.until_text("▾ b");
    terminal.press("G");
    terminal.until_text("a/b/c");
    assert!(terminal.screen.0.lock().unwrap().screen().bracketed_paste());
    terminal.press("\x1b[200~sssxyDy\n\x1b[201~");
    // A key after it has been heard.
    terminal.press("?");
    terminal.until_text("help: Fleet");
    assert_eq!(fleet.query("SELECT count(*) FROM commands").concat(), [rusqlite::types::Value::Integer(0)]);
}

#[test]
fn a_storm_of_sizes_ends_with_the_right_picture() {
    let fleet = Fleet::with_manager();
    fleet.add("croatia/fina/companies", &[], &["true"]);
    let mut terminal = Terminal::open(&fleet, &["--client"], (80, 24));
    // What a console shows opened at first depends on the room that it has then.
    terminal.until_text("companies");
    for round in 0..40 {
        for size in [(80 + round, 24), (1, 1), (3, 200), (300, 2), (40, 12), (0, 0)] {
            terminal.resize_only(size);
        }
        terminal.press("jk");
    }
    terminal.renew((100, 30));
    terminal.press("\x0c");
    let screen =
        terminal.until("the last size", |screen| screen.contains("companies") && screen.contains("[client]"));
    assert!(screen.lines().count() <= 30, "{screen}");
    terminal.press("q");
    assert_eq!(terminal.code(), 0);
}

#[test]
fn a_terminal_that_does_not_read_gets_the_present_and_not_the_past() {
    let fleet = Fleet::with_manager();
    for number in 0..60 {
        fleet.add(&format!("a/b/app{number}"), &[], &["true"]);
    }
    let mut terminal = Terminal::open(&fleet, &["--client"], (120, 40));
    terminal.until_text("▸ a");
    terminal.press("+");
    terminal.until_text("app1");
    let before = processor_time(terminal.pid());
    let hold = terminal.hold();
    // Far more than a pseudo terminal holds.
    let keys = terminal.keyboard();
    for _ in 0..400 {
        keys.press("\x1b[6~\x1b[5~\x0c");
        std::thread::park_timeout(Duration::from_millis(25));
    }
    let used = processor_time(terminal.pid()).checked_sub(before).unwrap();
    drop(hold);
    terminal.until_text("link slow");
    terminal.written();
    keys.press("?");
    terminal.until_text("help: Fleet");
    // What was held, and a few frames: a queue would be megabytes.
    let late = terminal.written().len();
    assert!(late < 300_000, "{late} bytes of the past");
    assert!(used < Duration::from_secs(5), "{used:?}");
    keys.press("qq");
    assert_eq!(terminal.code(), 0);
}

#[test]
fn a_terminal_that_takes_a_byte_a_second_keeps_nobody() {
    let fleet = Fleet::with_manager();
    fleet.add("a/b/c", &[], &["true"]);
    let mut terminal = Terminal::open(&fleet, &["--client"], (120, 40));
    terminal.until_text("[client]");
    terminal.be_slow(Duration::from_secs(1));
    // More than the pseudo terminal holds, if all of it were written.
    let keys = terminal.keyboard();
    for _ in 0..30 {
        keys.press("\x0c");
        std::thread::park_timeout(Duration::from_millis(10));
    }
    let (begin, used) = (Instant::now(), processor_time(terminal.pid()));
    keys.press("q");
    assert_eq!(terminal.code(), 0);
    assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
    assert!(used < Duration::from_secs(3), "{used:?}");
}

#[test]
fn a_terminal_without_a_size_gets_a_picture_once_it_has_one() {
    let fleet = Fleet::with_manager();
    let mut terminal = Terminal::open(&fleet, &["--client"], (0, 0));
    terminal.until_written("\x1b[?1049h");
    terminal.renew((80, 24));
    terminal.until_text("[client]");
    terminal.press("q");
    assert_eq!(terminal.code(), 0);
}

#[test]
fn a_line_of_ten_megabytes_is_cut_and_kept_nowhere() {
    let fleet = Fleet::with_manager();
    let script = "head -c 10000000 /dev/zero | tr '\\0' x; echo; echo after the line; exec sleep 600";
    fleet.add("a/b/c", &[], &["sh", "-c", script]);
    let mut terminal = Terminal::open(&fleet, &["--client"], (100, 30));
    terminal.until_text("[client]");
    terminal.until_text("▾ b");
    fleet.dcm(&["start", "a/b/c", "--wait"]).ok();
    terminal.press("G");
    terminal.until_text("a/b/c");
    terminal.press("l");
    terminal.until_text("after the line");
    let status = std::fs::read_to_string(format!("/proc/{}/status", terminal.pid())).unwrap();
    let most = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let kilobytes: u64 = most.split_ascii_whitespace().next().unwrap().parse().unwrap();
    assert!(kilobytes < 100_000, "{kilobytes} kB");
    terminal.press("qq");
    assert_eq!(terminal.code(), 0);
}

#[test]
fn each_terminal_gets_what_it_can_show() {
    let fleet = Fleet::with_manager();
    fleet.add("croatia/fina/companies", &[], &["sleep", "600"]);
    fleet.dcm(&["start", "all", "--wait"]).ok();
    for (variables, has_unicode, has_colour) in [
        (vec![("TERM", "xterm-256color")], true, true),
        (vec![("TERM", "linux")], true, true),
        (vec![("TERM", "vt100")], true, false),
        (vec![("TERM", "xterm"), ("LC_ALL", "C")], false, true),
        (vec![("TERM", "xterm"), ("NO_COLOR", "1")], true, false),
        (vec![("TERM", "xterm"), ("DC_GLYPHS", "ascii"), ("NO_COLOR", "1")], false, false),
    ] {
        let mut terminal = Terminal::with(&fleet, &["--client"], (100, 30), &variables);
        terminal.until_text("companies");
        terminal.until("the running app", |screen| screen.contains('►') || screen.contains(">1"));
        terminal.press("q");
        assert_eq!(terminal.code(), 0);
        let written = terminal.written();
        let is_coloured = (30..38)
            .any(|code| written.contains(&format!("\x1b[{code}m")) || written.contains(&format!(";{code}m")));
        assert_eq!(is_coloured, has_colour, "{variables:?}");
        assert_eq!(!written.is_ascii(), has_unicode, "{variables:?}");
        assert!(!written.contains("38;5"), "{variables:?}");
    }
}

#[test]
fn a_database_that_goes_away_and_comes_back_is_told() {
    let (schema, proxy, store) = crate::postgres_cuts::behind_a_proxy();
    drop(store);
    let mut fleet = Fleet::bare();
    fleet.set("DC_DATABASE_URL", schema.url());
    fleet.add("croatia/fina/companies", &[], &["true"]);
    let url = proxy.url(schema.url());
    let mut terminal = Terminal::open(&fleet, &["--client", "--database", &url], (120, 30));
    terminal.until_text("companies");
    // One that is slow keeps no key waiting.
    proxy.delay(Duration::from_millis(1500));
    let begin = Instant::now();
    terminal.press("?");
    terminal.until_text("help: Fleet");
    assert!(begin.elapsed() < Duration::from_secs(1), "{:?}", begin.elapsed());
    terminal.press("q");
    proxy.cut();
    terminal.until_text("CONNECTION LOST");
    // What was known stays, and nothing can be done.
    terminal.press("Gs");
    let screen = terminal.until_text("actions are off");
    assert!(screen.contains("companies"), "{screen}");
    proxy.heal();
    terminal.until("the database again", |screen| !screen.contains("CONNECTION LOST"));
    assert_eq!(schema.number("SELECT count(*) FROM commands"), 0);
    terminal.press("q");
    assert_eq!(terminal.code(), 0);
}
