//! Prints records of a log: lines for people, bytes for pipes, JSON for programs.

use serde_json::json;

use super::args::LogsArgs;
use super::output;
use super::session::Session;
use crate::model::{AppPath, Printable, RunId, format_timestamp};
use crate::process::{LogRecord, Stream};
use crate::wire;

/// Moves to the beginning of the line of a terminal and clears it.
const DRAW_AGAIN: &[u8] = b"\r\x1b[K";

pub(super) struct Printer {
    form: Form,
    has_times: bool,
    pub(super) run: RunId,
    /// The stream of the line whose end was not printed yet.
    open: Option<Stream>,
    /// The paths of the apps whose lines come.
    labels: Vec<String>,
    /// As wide as so many characters, the path stands before each line.
    label_width: Option<usize>,
}

/// A whole line of one of several logs.
pub(super) struct Said {
    /// Which of the apps.
    pub(super) origin: usize,
    pub(super) run: RunId,
    pub(super) line: LogRecord,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Json,
    /// What the app wrote, byte by byte.
    Bytes,
    /// What a terminal may show.
    Terminal,
}

impl Form {
    fn of(session: &Session, args: &LogsArgs) -> Self {
        match (session.json, output::is_terminal() && !args.raw) {
            (true, _) => Self::Json,
            (false, true) => Self::Terminal,
            (false, false) => Self::Bytes,
        }
    }
}

impl Printer {
    pub(super) fn new(session: &Session, args: &LogsArgs, path: &AppPath, run: RunId) -> Self {
        let form = Form::of(session, args);
        let labels = vec![path.to_string()];
        Self { form, has_times: args.timestamps, run, open: None, labels, label_width: None }
    }

    /// Of whole lines of several logs, with the path of its app before each if a width is given for it.
    pub(super) fn merged(
        session: &Session,
        args: &LogsArgs,
        labels: Vec<String>,
        label_width: Option<usize>,
    ) -> Self {
        let form = Form::of(session, args);
        let run = RunId::from_random_bits(0);
        Self { form, has_times: args.timestamps, run, open: None, labels, label_width }
    }

    /// `false` when there is no reader any more.
    pub(super) fn print_said(&mut self, lines: &[Said]) -> bool {
        let mut bytes = Vec::new();
        for Said { origin, run, line } in lines {
            let label = self.labels.get(*origin).map_or("", String::as_str);
            match self.form {
                Form::Json => format_json((label, *run), line, &mut bytes),
                Form::Bytes | Form::Terminal => {
                    if let Some(width) = self.label_width {
                        bytes.extend(format!("{label:width$} | ").into_bytes());
                    }
                    self.open = None;
                    self.format(line, &mut bytes);
                    if self.open.take().is_some() {
                        bytes.push(b'\n');
                    }
                }
            }
        }
        bytes.is_empty() || output::write_raw(&bytes)
    }

    /// `false` when there is no reader any more.
    pub(super) fn print(&mut self, records: &[LogRecord]) -> bool {
        let mut bytes = Vec::new();
        for record in records {
            match self.form {
                Form::Json => format_json((self.label(), self.run), record, &mut bytes),
                Form::Bytes | Form::Terminal => self.format(record, &mut bytes),
            }
        }
        bytes.is_empty() || output::write_raw(&bytes)
    }

    /// On a terminal the shell must find an empty line.
    pub(super) fn finish(&mut self) {
        if self.form == Form::Terminal && self.open.take().is_some() {
            output::write_raw(b"\n");
        }
    }

    /// The path of the one app.
    fn label(&self) -> &str {
        self.labels.first().map_or("", String::as_str)
    }

    fn format(&mut self, record: &LogRecord, out: &mut Vec<u8>) {
        let goes_on = self.open == Some(record.stream);
        if self.open.is_some() && !goes_on {
            // Another stream writes while a line has no end: each has a line of its own.
            out.push(b'\n');
        }
        let is_drawn_again =
            self.form == Form::Terminal && goes_on && record.visible().len() < record.text.len();
        if is_drawn_again && !is_line_end(record) {
            out.extend_from_slice(DRAW_AGAIN);
        }
        if !goes_on || (is_drawn_again && !is_line_end(record)) {
            self.begin_line(record, out);
        }
        match self.form {
            Form::Terminal => {
                let visible = String::from_utf8_lossy(record.visible());
                out.extend(Printable(&visible).to_string().into_bytes());
            }
            Form::Bytes | Form::Json => out.extend_from_slice(&record.text),
        }
        let is_complete = record.is_complete || record.stream == Stream::Dcm;
        if is_complete {
            out.push(b'\n');
        }
        self.open = (!is_complete).then_some(record.stream);
    }

    fn begin_line(&self, record: &LogRecord, out: &mut Vec<u8>) {
        if let Some(time) = record.time.filter(|_| self.has_times) {
            out.extend(format_timestamp(time).into_bytes());
            out.push(b' ');
        }
        if record.stream == Stream::Dcm {
            out.extend_from_slice(b"[dcm] ");
        }
    }
}

fn format_json((path, run): (&str, RunId), record: &LogRecord, out: &mut Vec<u8>) {
    let end = usize::from(record.is_complete && record.text.ends_with(b"\r"));
    let value = json!({
        "path": path,
        "time": wire::time(record.time),
        "runtime": run.to_string(),
        "stream": match record.stream { Stream::Out => "stdout", Stream::Err => "stderr", Stream::Dcm => "dcm" },
        "complete": record.is_complete,
        "text": String::from_utf8_lossy(&record.text[..record.text.len() - end]),
    });
    out.extend(output::json_text(&value).into_bytes());
    out.push(b'\n');
}

/// Whether all that comes is the carriage return of a line end.
fn is_line_end(record: &LogRecord) -> bool {
    record.text == b"\r"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(form: Form, records: &[(Stream, bool, &str)]) -> String {
        let mut printer = Printer {
            form,
            has_times: false,
            run: RunId::from_random_bits(1),
            open: None,
            labels: Vec::new(),
            label_width: None,
        };
        let mut bytes = Vec::new();
        for (stream, is_complete, text) in records {
            let text = text.as_bytes().to_vec();
            let record = LogRecord { time: None, stream: *stream, is_complete: *is_complete, text };
            printer.format(&record, &mut bytes);
        }
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn lines_in_pieces_are_printed_as_they_come() {
        use Stream::{Dcm, Err, Out};
        for (records, bytes, terminal) in [
            (vec![(Out, false, "prompt> "), (Out, true, "yes")], "prompt> yes\n", "prompt> yes\n"),
            (vec![(Out, false, "a"), (Err, true, "b"), (Out, true, "c")], "a\nb\nc\n", "a\nb\nc\n"),
            (vec![(Out, false, "a"), (Dcm, true, "ended")], "a\n[dcm] ended\n", "a\n[dcm] ended\n"),
            (
                vec![(Err, false, "\r10%"), (Err, false, "\r20%\r30%"), (Err, true, "")],
                "\r10%\r20%\r30%\n",
                "10%\r\x1b[K30%\n",
            ),
            (vec![(Out, true, "crlf\r"), (Out, false, "x"), (Out, true, "\r")], "crlf\r\nx\r\n", "crlf\nx\n"),
        ] {
            assert_eq!(printed(Form::Bytes, &records), bytes);
            assert_eq!(printed(Form::Terminal, &records), terminal);
        }
    }
}
