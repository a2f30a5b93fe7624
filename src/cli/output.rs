//! The only way to standard output and standard error. Data goes to the first, messages to the second.
//!
//! Whatever is printed here is escaped by [`Printable`], line by line, whoever wrote the text: an app, another
//! program, a file name or the caller's arguments. Bytes leave as they are only through [`write_raw`] and [`raw`],
//! and `tests/it/architecture.rs` names their callers.

mod frame;
mod json;
mod log;
mod panic;

use std::fmt::{self, Display, Write as _};
use std::io::{self, IsTerminal as _, Write as _};

pub(super) use frame::{Pressed, Screen};
pub(super) use json::{json, json_rows, json_text};
pub(super) use log::{Form, LogWriter};
pub(super) use panic::report_panics;

use crate::config::env;
use crate::console::cells::{cells, cut, padded};
use crate::model::Printable;

/// Prints one line of data.
pub(super) fn line(text: impl Display) {
    lines([text]);
}

/// Prints lines of data in one write; `false` once the reader has gone away. Line feeds inside a line are escaped
/// like other control characters.
pub(super) fn lines(lines: impl IntoIterator<Item = impl Display>) -> bool {
    let mut text = String::new();
    for line in lines {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{}", Printable(&line.to_string()));
    }
    write_raw(text.as_bytes())
}

/// Prints a text that is meant for another program: as it is into a file or pipe, escaped on a terminal.
pub(super) fn document(text: &str) {
    if is_terminal() {
        lines(text.lines());
    } else {
        write_raw(text.as_bytes());
    }
}

/// Prints bytes as they are; `false` once the reader has gone away, which is no error (`| head`).
pub(super) fn write_raw(bytes: &[u8]) -> bool {
    let mut out = raw();
    out.write_all(bytes).and_then(|()| out.flush()).is_ok()
}

/// Standard output without any escaping.
pub(super) fn raw() -> io::StdoutLock<'static> {
    io::stdout().lock()
}

/// In one write, since standard error has no buffer: what others write there meanwhile stands before or after it.
fn to_stderr(text: &str) {
    let mut err = io::stderr().lock();
    let _ = err.write_all(text.as_bytes()).and_then(|()| err.flush());
}

/// Prints a message: one line.
pub(super) fn message(text: impl Display) {
    to_stderr(&format!("dcm: {}\n", Printable(&text.to_string())));
}

/// Prints what the parser of the command line has to say, and gives back the exit code.
pub(super) fn usage(error: &clap::Error) -> u8 {
    let plain = error.render().to_string();
    let is_own = plain.chars().all(|c| c == '\n' || Printable::is_printable(c));
    if is_own {
        // In colour, where the terminal has some.
        let _ = error.print();
    } else {
        // It repeats an argument.
        plain.lines().for_each(|line| to_stderr(&format!("{}\n", Printable(line))));
    }
    u8::try_from(error.exit_code()).unwrap_or(2)
}

/// Asks a person on the terminal; anything but yes is no.
pub(super) fn confirm(question: impl Display) -> bool {
    let answer = ask(format_args!("{question} [y/N] "));
    answer.is_some_and(|answer| matches!(answer.trim(), "y" | "Y" | "yes"))
}

/// Asks a person; `None` when the input has ended.
pub(super) fn ask(question: impl Display) -> Option<String> {
    to_stderr(&Printable(&question.to_string()).text());
    let mut answer = String::new();
    matches!(io::stdin().read_line(&mut answer), Ok(1..)).then_some(answer)
}

/// Whether a person sits in front of input and messages.
pub(super) fn is_interactive() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Whether data goes to a terminal.
pub(super) fn is_terminal() -> bool {
    io::stdout().is_terminal()
}

/// Whether messages go to a terminal.
pub(super) fn is_stderr_terminal() -> bool {
    io::stderr().is_terminal()
}

/// Prints lines of cells, each column as wide as its widest cell; the last one is not filled up, and cut where the
/// terminal ends.
pub(super) fn table(head: &[&str], rows: &[Vec<String>]) {
    table_of(head, rows, &[], &[]);
}

/// Prints what [`table_text`] gave back; `false` once the reader has gone away.
pub(super) fn write_table(text: &str) -> bool {
    write_raw(text.as_bytes())
}

/// The colour of a row of a table, on a terminal and without NO_COLOR.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ink {
    Plain,
    Faint,
    Warning,
    Alarm,
}

impl Ink {
    const fn code(self) -> Option<&'static str> {
        match self {
            Self::Plain => None,
            Self::Faint => Some("2"),
            Self::Warning => Some("33"),
            Self::Alarm => Some("31"),
        }
    }
}

/// The same; on a terminal that is too narrow these columns are left out, the first one first. Rows without an ink are
/// plain.
pub(super) fn table_of(head: &[&str], rows: &[Vec<String>], expendable: &[&str], inks: &[Ink]) {
    write_raw(table_text(head, rows, expendable, inks).as_bytes());
}

/// The same as a text, as it is to be printed.
pub(super) fn table_text(head: &[&str], rows: &[Vec<String>], expendable: &[&str], inks: &[Ink]) -> String {
    let head: Vec<_> = head.iter().map(|cell| (*cell).to_owned()).collect();
    let mut rows: Vec<Vec<_>> = std::iter::once(&head)
        .chain(rows)
        .map(|row| row.iter().map(|cell| Printable(known(cell)).text()).collect())
        .collect();
    let room = terminal_size().map_or(u16::MAX, |(columns, _)| columns).max(ROOM_MIN);
    for column in expendable {
        let (_, total) = widths(&rows);
        if let Some(at) = rows[0].iter().position(|cell| cell == column).filter(|_| total > room) {
            for row in &mut rows {
                row.remove(at);
            }
        }
    }
    let (widths, total) = widths(&rows);
    let last = widths.last().copied().unwrap_or(0);
    let last_room = room.saturating_sub(total - last).max(LAST_MIN);
    for cell in rows.iter_mut().filter_map(|row| row.last_mut()) {
        if cells(cell) > last_room {
            *cell = (cut(cell, last_room - 1) + "…").into();
        }
    }
    let has_colour = has_colour();
    let inks = std::iter::once(Ink::Plain).chain(inks.iter().copied()).chain(std::iter::repeat(Ink::Plain));
    let mut text = String::new();
    for (row, ink) in rows.iter().zip(inks) {
        let line = Cells { row, widths: &widths }.to_string();
        // Writing to a string cannot fail.
        let _ = match ink.code().filter(|_| has_colour) {
            Some(code) => writeln!(text, "\x1b[{code}m{}\x1b[0m", Printable(&line)),
            None => writeln!(text, "{}", Printable(&line)),
        };
    }
    text
}

/// Prints lines in their colours, on a terminal and without NO_COLOR. None is cut.
pub(super) fn coloured(lines: impl IntoIterator<Item = (Ink, String)>) {
    let has_colour = has_colour();
    let mut text = String::new();
    for (ink, line) in lines {
        // Writing to a string cannot fail.
        let _ = match ink.code().filter(|_| has_colour) {
            Some(code) => writeln!(text, "\x1b[{code}m{}\x1b[0m", Printable(&line)),
            None => writeln!(text, "{}", Printable(&line)),
        };
    }
    write_raw(text.as_bytes());
}

fn has_colour() -> bool {
    is_terminal() && env::get(env::NO_COLOR).is_none()
}

/// Columns and lines of the terminal that data goes to.
pub(super) fn terminal_size() -> Option<(u16, u16)> {
    is_terminal().then(crossterm::terminal::size).and_then(Result::ok)
}

/// What a cell would say and is not known, or not there, is a dash: columns can be counted.
fn known(cell: &str) -> &str {
    if cell.is_empty() { "-" } else { cell }
}

/// The narrowest terminal that a table is cut for.
const ROOM_MIN: u16 = 40;

/// So much of the last column is shown on any terminal.
const LAST_MIN: u16 = 16;

/// The widths of the columns, and of all of them with the blanks between.
fn widths(rows: &[Vec<std::borrow::Cow<'_, str>>]) -> (Vec<u16>, u16) {
    let mut widths = vec![0; rows.first().map_or(0, Vec::len)];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cells(cell));
        }
    }
    let total = widths
        .iter()
        .fold(0_u16, |total, width| total.saturating_add(*width).saturating_add(2))
        .saturating_sub(2);
    (widths, total)
}

/// A line of a table.
struct Cells<'a> {
    row: &'a [std::borrow::Cow<'a, str>],
    widths: &'a [u16],
}

impl Display for Cells<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = String::new();
        for (cell, width) in self.row.iter().zip(self.widths) {
            write!(line, "{}  ", padded(cell, *width))?;
        }
        f.write_str(line.trim_end())
    }
}
