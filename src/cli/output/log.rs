//! What the manager logs about itself, on its way to a terminal, a journal or a file.

use std::io::{self, Write};

use super::json;
use crate::model::Printable;

/// The form of a line of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) enum Form {
    /// For people; its colours stay.
    Text,
    Json,
}

/// Makes each event that is written to it one printable line.
#[derive(Debug, Clone)]
pub(in crate::cli) struct LogWriter<W> {
    form: Form,
    inner: W,
}

impl LogWriter<io::Stderr> {
    /// To standard error.
    pub(in crate::cli) fn stderr(form: Form) -> Self {
        Self { form, inner: io::stderr() }
    }
}

impl<W> LogWriter<W> {
    /// To elsewhere.
    pub(in crate::cli) fn new(form: Form, inner: W) -> Self {
        Self { form, inner }
    }
}

/// An event comes in one write.
impl<W: Write> Write for LogWriter<W> {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(event);
        let text = text.strip_suffix('\n').unwrap_or(&text);
        let line = match self.form {
            Form::Text => coloured(text),
            Form::Json => json::escape(text),
        };
        self.inner.write_all(format!("{line}\n").as_bytes())?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Escapes all but colours. Those are the log's own: the layer that writes it escapes ESC in values.
fn coloured(text: &str) -> String {
    let mut pieces = text.split("\x1b[");
    let mut line = Printable(pieces.next().unwrap_or_default()).to_string();
    for piece in pieces {
        let length = piece.find(|c: char| !c.is_ascii_digit() && c != ';').unwrap_or(piece.len());
        match piece[length..].strip_prefix('m') {
            Some(rest) => {
                line.push_str("\x1b[");
                line.push_str(&piece[..=length]);
                line.push_str(&Printable(rest).text());
            }
            None => {
                line.push_str("\\x1b[");
                line.push_str(&Printable(piece).text());
            }
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_printable_line() {
        let written = |form, text: &str| {
            let mut bytes = Vec::new();
            LogWriter::new(form, &mut bytes).write_all(text.as_bytes()).unwrap();
            String::from_utf8(bytes).unwrap()
        };
        assert_eq!(
            written(Form::Text, "\x1b[32m INFO\x1b[0m a\nb \x1b[2J\x1b]0;x\x07\u{9b}1m\n"),
            "\x1b[32m INFO\x1b[0m a\\nb \\x1b[2J\\x1b]0;x\\x07\\x9b1m\n"
        );
        assert_eq!(written(Form::Json, "{\"a\":\"\u{9b}\u{202e}\"}\n"), "{\"a\":\"\\u009b\\u202e\"}\n");
    }
}
