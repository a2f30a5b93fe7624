//! The end of what a run wrote to its standard error, as alerts show it.

use super::Printable;

/// The last lines that a run wrote to its standard error: printable text of limited length.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StderrTail {
    text: String,
    error: String,
}

/// Stands before the lines where earlier ones were left out.
const EARLIER: &str = "[earlier lines are in the log]\n";

/// Stands at the end of a line that was cut.
const CUT: &str = " [cut]";

/// Last lines that do not say what went wrong: the farewell of an interpreter, where to read more.
const ASIDES: [&str; 3] = ["Node.js v", "note: run with `RUST_BACKTRACE", "(Background on this error at:"];

/// What begins the error of a Go program; its stacks follow, in lines that look like messages.
const PANICS: [&str; 2] = ["panic: ", "fatal error: "];

impl StderrTail {
    /// Lines that are kept: a traceback of usual depth with its error.
    pub const LINES_MAX: usize = 20;

    /// The longest text, in bytes: some messengers take no more than 4 KiB.
    pub const BYTES_MAX: usize = 4096;

    /// The longest line, in characters as they are shown. A page of HTML in an exception is one.
    const LINE_MAX: usize = 500;

    /// Of the last lines, as a terminal would show them; `is_whole` when there was nothing before them. `None` when all of them
    /// are empty.
    #[must_use]
    pub fn of<'a>(lines: impl IntoIterator<Item = &'a [u8]>, is_whole: bool) -> Option<Self> {
        let is_empty = |line: &String| line.trim().is_empty();
        let lines: Vec<_> = lines.into_iter().map(printable).skip_while(is_empty).collect();
        let end = lines.iter().rposition(|line| !is_empty(line))? + 1;
        let lines = &lines[..end];
        let error = error_among(lines)?.trim().to_owned();
        let room = Self::BYTES_MAX - EARLIER.len();
        let mut length = 0;
        let kept = lines.iter().rev().take(Self::LINES_MAX).take_while(|line| {
            length += line.len() + 1;
            length <= room
        });
        let begin = lines.len() - kept.count();
        let has_earlier = begin > 0 || !is_whole;
        let text = lines[begin..].join("\n").trim_start_matches('\n').to_owned();
        let text = if has_earlier { format!("{EARLIER}{text}") } else { text };
        Some(Self { text, error })
    }

    /// The line that says what went wrong: the last one that is neither empty nor, where there are others, an indented
    /// one of a stack.
    #[must_use]
    pub fn error(&self) -> &str {
        &self.error
    }

    /// The lines, with a note where there were more before them. Empty once it was taken.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Gives the lines away; the line of the error stays.
    #[must_use]
    pub fn take_text(&mut self) -> String {
        std::mem::take(&mut self.text)
    }
}

fn printable(line: &[u8]) -> String {
    // No character of UTF-8 is longer than four bytes.
    let cut = &line[..line.len().min(4 * (StderrTail::LINE_MAX + 1))];
    let text = Printable(&String::from_utf8_lossy(cut)).to_string();
    match text.char_indices().nth(StderrTail::LINE_MAX) {
        None => text,
        Some((end, _)) => format!("{}{CUT}", &text[..end]),
    }
}

/// The line that says what went wrong.
fn error_among(lines: &[String]) -> Option<&String> {
    let stack = lines.iter().rposition(|line| line.starts_with("goroutine "));
    let panic = stack.and_then(|stack| {
        lines[..stack].iter().rfind(|line| PANICS.iter().any(|start| line.starts_with(start)))
    });
    let says_something = |line: &&String| line.contains(char::is_alphanumeric);
    let is_message = |line: &&String| {
        says_something(line)
            && !line.starts_with(char::is_whitespace)
            && !ASIDES.iter().any(|start| line.starts_with(start))
    };
    panic
        .or_else(|| lines.iter().rfind(is_message))
        .or_else(|| lines.iter().rfind(says_something))
        .or_else(|| lines.iter().rfind(|line| !line.trim().is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tail(text: &str) -> Option<StderrTail> {
        StderrTail::of(text.lines().map(str::as_bytes), true)
    }

    #[test]
    fn the_error_of_a_traceback_is_its_last_line() {
        let python = "Traceback (most recent call last):\n  File \"main.py\", line 3, in <module>\n    run()\nValueError: no rows for 2026\n\n";
        let found = tail(python).unwrap();
        assert_eq!(found.error(), "ValueError: no rows for 2026");
        assert_eq!(found.text(), python.trim_end());
        for (text, error) in [
            ("fetching\n  giving up\n", "fetching"),
            ("  giving up\n", "giving up"),
            (
                "x.js:1\nthrow new Error(\"x\")\n^\n\nError: gone\n    at x.js:1:7\n\nNode.js v18.19.0\n",
                "Error: gone",
            ),
            (
                "panic: no rows\n\ngoroutine 1 [running]:\nmain.main()\n\t/tmp/x.go:4 +0x18\nexit status 2\n",
                "panic: no rows",
            ),
            (
                "thread 'main' panicked at src/main.rs:2:5:\nno rows\nnote: run with `RUST_BACKTRACE=1` ...\n",
                "no rows",
            ),
            (
                "Exception in thread \"main\" java.io.IOException: gone\n\tat Main.main(Main.java:3)\n",
                "Exception in thread \"main\" java.io.IOException: gone",
            ),
            (
                "OperationalError: refused\n(Background on this error at: https://sqlalche.me/e/20/e3q8)\n",
                "OperationalError: refused",
            ),
            ("ERROR:  syntax\nLINE 1: SELEC 1\n        ^\n", "LINE 1: SELEC 1"),
            ("---\n", "---"),
        ] {
            assert_eq!(tail(text).unwrap().error(), error, "{text}");
        }
        assert_eq!(tail(""), None);
        assert_eq!(tail("\n \n"), None);
    }

    #[test]
    fn what_is_left_out_is_said() {
        let many: Vec<_> = (0..30).map(|n| format!("line {n}")).collect();
        let found = tail(&many.join("\n")).unwrap();
        assert!(found.text().starts_with(&format!("{EARLIER}line 10\n")), "{}", found.text());
        assert!(found.text().ends_with("\nline 29"));
        let long = format!("<html>{}", "č".repeat(100_000));
        let found = tail(&format!("{long}\n").repeat(40)).unwrap();
        assert!(found.text().len() <= StderrTail::BYTES_MAX);
        assert!(found.text().lines().skip(1).all(|line| line.starts_with("<html>č") && line.ends_with(CUT)));
        assert!(found.error().chars().count() <= StderrTail::LINE_MAX + CUT.len());
        assert_eq!(StderrTail::of([b"end".as_slice()], false).unwrap().text(), format!("{EARLIER}end"));
        assert_eq!(tail("\n\nend").unwrap().text(), "end", "empty lines are nothing that is missed");
    }

    #[test]
    fn nothing_that_commands_a_terminal_comes_through() {
        let found = StderrTail::of([b"\x1b[31mred\x1b[0m \xff\0".as_slice()], true).unwrap();
        assert_eq!(found.text(), "\\x1b[31mred\\x1b[0m \u{fffd}\\x00");
    }
}
