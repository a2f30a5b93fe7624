//! What the console asks its terminal, and that no answer becomes a key.

use crate::fleet::Fleet;
use crate::terminal::Terminal;

fn commands(fleet: &Fleet) -> String {
    format!("{:?}", fleet.query("SELECT count(*) FROM commands"))
}

#[test]
fn answers_of_the_terminal_are_used_and_never_keys() {
    let fleet = Fleet::with_manager();
    fleet.add("a/b/c", &[], &["sleep", "600"]);
    let mut terminal = Terminal::open(&fleet, &["--client"], (120, 40));
    // The first question is harmless; what might be printed is asked of those only that answer.
    terminal.until_written("\x1b[>0q\x1b[c");
    for piece in ["\x1bP>|str", "ange 1\x1b", "\\\x1b[?62;2", "2c"] {
        terminal.press(piece);
    }
    terminal.until_written("\x1bP$qm\x1b\\\x1b8\x1b[c");
    terminal.press("\x1bP1$r0;48:2::1:2:3m\x1b\\\x1b[?62;22c");
    terminal.until_written("\x1b[5n");
    terminal.press("\x1b[0n");
    terminal.until_text("  term ");
    // Late, twice, not asked for, and of the kind that would type a command: s starts, x stops.
    terminal.press(
        "\x1bP>|sxDy\x1b\\\x1bP1$rsss\x1b\\\x1bP0$r\x1b\\\x1b[?2026;2$y\x1b[0n\x1b[?62;22c\x1b[12;40R",
    );
    terminal.press("\x1b]11;rgb:sxsx/xxxx/0000\x07\x1b_Gi=1;sss\x1b\\");
    terminal.press("\x1b[O\x1b[I?");
    terminal.until_text("help: Fleet");
    terminal.press("qq");
    assert_eq!(terminal.code(), 0);
    assert_eq!(commands(&fleet), "[[Integer(0)]]");
}

#[test]
fn a_terminal_that_might_print_it_is_asked_nothing() {
    let fleet = Fleet::with_manager();
    for (variables, arguments, is_probed) in [
        (vec![("TERM", "xterm-256color")], vec![], true),
        (vec![("TERM", "xterm")], vec!["--color", "16"], false),
        (vec![("TERM", "xterm"), ("NO_COLOR", "1")], vec![], false),
        (vec![("TERM", "linux")], vec![], false),
        (vec![("TERM", "vt100")], vec![], false),
    ] {
        let all = [&["console"][..], &arguments].concat();
        let mut terminal = Terminal::with(&fleet, &all, (80, 24), &variables);
        terminal.until_text("[client]");
        terminal.press("?");
        terminal.until_text("help: Fleet");
        terminal.press("qq");
        assert_eq!(terminal.code(), 0);
        let written = terminal.written();
        assert_eq!(written.contains("\x1b[>0q"), is_probed, "{variables:?}");
        // It did not answer, so it is not asked on.
        assert!(!written.contains("\x1bP"), "{variables:?}");
    }
}

#[test]
fn a_dumb_terminal_gets_lines_and_no_sequences() {
    let fleet = Fleet::with_manager();
    fleet.add("a/b/c", &[], &["true"]);
    let mut terminal = Terminal::with(&fleet, &["console"], (80, 24), &[("TERM", "dumb")]);
    terminal.press("list\n");
    terminal.until_text("a/b/c");
    terminal.press("quit\n");
    assert_eq!(terminal.code(), 0);
    let written = terminal.written();
    assert!(!written.contains('\x1b'), "{}", written.escape_debug());
}
