//! What a shim takes in: lines of the app go to the log, the reports among them are taken out.

use std::io::{self, Write as _};
use std::time::Duration;

use super::lines::Line;
use super::log_writer::{LogWriter, Stream};
use super::record::Spec;
use super::report;
use crate::model::{Report, Timestamp};

/// Reports that cannot be understood are remarked upon in the log, but not without end.
const REMARKS_MAX: u32 = 20;

/// What the app reported.
#[derive(Default)]
pub(super) struct Reports {
    pub(super) all: Report,
    pub(super) is_new: bool,
    pub(super) told_at: Option<Duration>,
}

impl Reports {
    pub(super) fn merge(&mut self, report: Report) {
        let before = self.all.clone();
        self.all.merge(report);
        self.is_new |= self.all != before;
    }
}

/// Where lines go.
pub(super) struct Intake {
    log: LogWriter,
    remarks: u32,
    /// Whether what the app writes also goes to the standard streams of this process.
    passes_through: bool,
}

impl Intake {
    pub(super) fn new(spec: &Spec, passes_through: bool) -> Self {
        Self { log: LogWriter::new(spec.log.clone(), spec.log_limit), remarks: 0, passes_through }
    }

    /// Writes to the log what was taken.
    pub(super) fn flush(&mut self, now: Timestamp) {
        self.log.flush(now);
    }

    /// Adds a remark of dcm to the log.
    pub(super) fn remark(&mut self, text: &str, now: Timestamp) {
        self.log.line(Stream::Dcm, Line { text: text.as_bytes(), is_complete: true, is_start: true }, now);
    }

    pub(super) fn take(&mut self, stream: Stream, line: Line<'_>, reports: &mut Reports, now: Timestamp) {
        if stream == Stream::Out
            && line.is_complete
            && line.is_start
            && let Some(text) = line.text.strip_prefix(report::PREFIX)
        {
            match report::parse(text.strip_suffix(b"\r").unwrap_or(text)) {
                Ok(report) => {
                    reports.merge(report);
                    return;
                }
                Err(error) if self.remarks < REMARKS_MAX => {
                    self.remarks += 1;
                    self.remark(&format!("the next line is not understood as a report: {error}"), now);
                }
                Err(_) => {}
            }
        }
        if self.passes_through {
            pass_through(stream, line);
        }
        self.log.line(stream, line, now);
    }
}

/// A reader who has gone away is no reason to end the app.
fn pass_through(stream: Stream, line: Line<'_>) {
    let end: &[u8] = if line.is_complete { b"\n" } else { b"" };
    let _ = match stream {
        Stream::Err => {
            let mut stderr = io::stderr().lock();
            stderr.write_all(line.text).and_then(|()| stderr.write_all(end))
        }
        Stream::Out | Stream::Dcm => {
            let mut stdout = io::stdout().lock();
            stdout.write_all(line.text).and_then(|()| stdout.write_all(end)).and_then(|()| stdout.flush())
        }
    };
}
