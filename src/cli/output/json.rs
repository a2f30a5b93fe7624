//! JSON on standard output. All that could command a terminal stands in it as `\u` escapes: serde escapes C0
//! only, and JSON is looked at on terminals too.

use std::fmt::Write as _;
use std::io::{self, Write};

use serde::{Serialize, Serializer as _};
use serde_json::ser::Formatter;

use super::raw;
use crate::model::Printable;

/// A file that is written through a buffer of this size takes few calls of the system.
const BUFFER: usize = 256 * 1024;

/// Prints a value as JSON.
pub(in crate::cli) fn json(value: &impl Serialize) {
    write_json(|out| value.serialize(out).map(drop));
}

/// Prints values as a JSON array, one after the other: they need not be there all at once.
pub(in crate::cli) fn json_rows(rows: impl Iterator<Item = impl Serialize>) {
    write_json(|out| out.collect_seq(rows).map(drop));
}

/// A value as JSON, in one line.
pub(in crate::cli) fn json_text(value: &serde_json::Value) -> String {
    escape(&value.to_string())
}

type JsonWriter<'a> = serde_json::Serializer<&'a mut io::BufWriter<io::StdoutLock<'static>>, Escaping>;

fn write_json(write: impl FnOnce(&mut JsonWriter<'_>) -> serde_json::Result<()>) {
    let mut out = io::BufWriter::with_capacity(BUFFER, raw());
    let mut json = serde_json::Serializer::with_formatter(&mut out, Escaping);
    let written = write(&mut json).map_err(io::Error::from);
    let _ = written.and_then(|()| out.write_all(b"\n")).and_then(|()| out.flush());
}

/// The compact form of JSON, with more escapes.
struct Escaping;

impl Formatter for Escaping {
    fn write_string_fragment<W: ?Sized + Write>(&mut self, writer: &mut W, text: &str) -> io::Result<()> {
        if text.chars().all(Printable::is_printable) {
            return writer.write_all(text.as_bytes());
        }
        writer.write_all(escape(text).as_bytes())
    }
}

/// Escapes what is left in a JSON text. Such characters can stand within its strings only.
pub(super) fn escape(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for c in json.chars() {
        if Printable::is_printable(c) {
            text.push(c);
        } else {
            for unit in c.encode_utf16(&mut [0; 2]) {
                // Writing to a string cannot fail.
                let _ = write!(text, "\\u{unit:04x}");
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_printable_and_means_the_same() {
        let text = "a\u{1b}[2J\u{7f}\u{9b}31m\u{202e}č\u{e0041}\r\n\"\\";
        let mut written = Vec::new();
        text.serialize(&mut serde_json::Serializer::with_formatter(&mut written, Escaping)).unwrap();
        let written = String::from_utf8(written).unwrap();
        assert_eq!(written, json_text(&text.into()));
        assert!(written.chars().all(Printable::is_printable), "{written}");
        assert_eq!(serde_json::from_str::<String>(&written).unwrap(), text);
    }
}
