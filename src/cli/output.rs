//! The only printing: data to standard output, messages to standard error.

use std::io::{self, IsTerminal as _, Write as _};

use serde::{Serialize, Serializer as _};

use crate::model::Printable;

/// Prints data. A reader that has gone away (`| head`) is not an error.
pub(super) fn data(text: &str) {
    let mut out = io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// Prints bytes as they are; `false` when nobody reads any more.
pub(super) fn bytes(bytes: &[u8]) -> bool {
    let mut out = io::stdout().lock();
    out.write_all(bytes).and_then(|()| out.flush()).is_ok()
}

/// Prints a value as JSON.
pub(super) fn json(value: &impl Serialize) {
    write_json(|out| value.serialize(out).map(drop));
}

/// Prints values as a JSON array, one after the other: they need not be there all at once.
pub(super) fn json_rows(rows: impl Iterator<Item = impl Serialize>) {
    write_json(|out| out.collect_seq(rows).map(drop));
}

/// A file that is written through a buffer of this size takes few calls of the system.
const BUFFER: usize = 256 * 1024;

type JsonWriter<'a> = serde_json::Serializer<&'a mut io::BufWriter<io::StdoutLock<'static>>>;

fn write_json(write: impl FnOnce(&mut JsonWriter<'_>) -> serde_json::Result<()>) {
    let mut out = io::BufWriter::with_capacity(BUFFER, io::stdout().lock());
    let written = write(&mut serde_json::Serializer::new(&mut out)).map_err(io::Error::from);
    let _ = written.and_then(|()| out.write_all(b"\n")).and_then(|()| out.flush());
}

/// Prints a message.
pub(super) fn message(text: &str) {
    let _ = writeln!(io::stderr().lock(), "dcm: {text}");
}

/// Asks a person on the terminal; anything but yes is no.
pub(super) fn confirm(question: &str) -> bool {
    let mut err = io::stderr().lock();
    let _ = write!(err, "{question} [y/N] ").and_then(|()| err.flush());
    let mut answer = String::new();
    io::stdin().read_line(&mut answer).is_ok() && matches!(answer.trim(), "y" | "Y" | "yes")
}

/// Asks a person; `None` when there is no answer any more.
pub(super) fn ask(question: &str) -> Option<String> {
    let mut err = io::stderr().lock();
    let _ = write!(err, "{question}").and_then(|()| err.flush());
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

/// Lines of cells, each column as wide as its widest cell; the last one is not filled up.
pub(super) fn table(head: &[&str], rows: &[Vec<String>]) {
    let mut widths: Vec<usize> = head.iter().map(|cell| cell.len()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    let head: Vec<String> = head.iter().map(|cell| (*cell).to_owned()).collect();
    for row in std::iter::once(&head).chain(rows) {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            let cell = Printable(cell).to_string();
            line.push_str(&cell);
            line.extend(std::iter::repeat_n(' ', width.saturating_sub(cell.chars().count()) + 2));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    data(&text);
}
