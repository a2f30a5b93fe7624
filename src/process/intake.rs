//! What a shim takes in: lines of the app go to the log, the reports among them are taken out.

use std::collections::BTreeSet;
use std::io::{self, Write as _};
use std::time::Duration;

use super::lines::{Line, Splitter};
use super::log_format::Stream;
use super::log_writer::LogWriter;
use super::record::Spec;
use super::report;
use chrono_tz::Tz;

use crate::model::{Now, Report, Timestamp};

/// Reports that cannot be understood are remarked upon in the log, but not without end.
const REMARKS_MAX: u32 = 20;

/// How long the end of a line is waited for before what is there of it is shown: a prompt, a progress
/// bar. Programs that write a line in several calls make them within a few milliseconds.
const UNFINISHED_FOR: Duration = Duration::from_millis(250);

/// What the app reported.
pub(super) struct Reports {
    /// Of times without an offset.
    zone: Tz,
    pub(super) all: Report,
    pub(super) is_new: bool,
    pub(super) told_at: Option<Duration>,
}

impl Reports {
    pub(super) fn new(spec: &Spec) -> Self {
        Self { zone: spec.zone(), all: Report::default(), is_new: false, told_at: None }
    }

    /// Takes a report that `dcm report` sent; one that is wrong was refused there.
    pub(super) fn take(&mut self, value: &serde_json::Value) {
        if let Ok(report) = report::from_value(value, self.zone) {
            self.merge(report);
        }
    }

    pub(super) fn merge(&mut self, report: Report) {
        let before = self.all.clone();
        self.all.merge(report);
        self.is_new |= self.all != before;
    }

    /// Whether the beginning of a line is, or may become, a report, and is not for the log. One that is
    /// complete counts already; its line feed may never come.
    fn holds(&mut self, stream: Stream, line: Line<'_>) -> bool {
        if stream != Stream::Out
            || !line.is_start
            || line.text.len() > report::PREFIX.len() + report::LENGTH_MAX
        {
            return false;
        }
        if let Some(text) = line.text.strip_prefix(report::PREFIX) {
            if let Ok(read) = report::parse(text, self.zone) {
                self.merge(read.report);
            }
            return true;
        }
        // A colon alone is a prompt rather than the beginning of a report.
        line.text.len() >= 2 && report::PREFIX.starts_with(line.text)
    }
}

/// One of the two outputs of the app.
pub(super) struct Inlet {
    stream: Stream,
    splitter: Splitter,
    /// When what is there of a line is handed on though its end has not come.
    flush_at: Option<Duration>,
}

impl Inlet {
    pub(super) fn new(stream: Stream) -> Self {
        Self { stream, splitter: Splitter::default(), flush_at: None }
    }

    /// Takes bytes as they come.
    pub(super) fn push(&mut self, bytes: &[u8], intake: &mut Intake, reports: &mut Reports, now: Now) {
        let mut begun = self.flush_at;
        self.splitter.push(bytes, |line| {
            if line.is_complete {
                // What is left after it is another line.
                begun = None;
            }
            intake.take(self.stream, line, reports, now.wall);
        });
        let flush_at = begun.unwrap_or_else(|| now.mono.saturating_add(UNFINISHED_FOR));
        self.flush_at = self.splitter.unfinished().map(|_| flush_at);
    }

    /// When [`Self::flush`] has something to do.
    pub(super) fn deadline(&self) -> Option<Duration> {
        self.flush_at
    }

    /// Hands on what is there of a line whose end does not come.
    pub(super) fn flush(&mut self, intake: &mut Intake, reports: &mut Reports, now: Now) {
        if self.flush_at.is_none_or(|at| at > now.mono) {
            return;
        }
        self.flush_at = None;
        let is_held = self.splitter.unfinished().is_some_and(|line| reports.holds(self.stream, line));
        if !is_held {
            self.splitter.flush(|line| intake.take(self.stream, line, reports, now.wall));
        }
    }

    /// Hands on all that is left: the output is over.
    pub(super) fn finish(&mut self, intake: &mut Intake, reports: &mut Reports, now: Timestamp) {
        self.splitter.flush(|line| intake.take_last(self.stream, line, reports, now));
    }
}

/// Where lines go.
pub(super) struct Intake {
    log: LogWriter,
    remarks: u32,
    /// The unknown keys of reports that were remarked upon.
    unknown: BTreeSet<String>,
    /// Whether what the app writes also goes to the standard streams of this process.
    passes_through: bool,
}

impl Intake {
    pub(super) fn new(spec: &Spec, passes_through: bool) -> Self {
        let log = LogWriter::new(spec.log.clone(), spec.log_limit);
        Self { log, remarks: 0, unknown: BTreeSet::new(), passes_through }
    }

    /// Writes to the log what was taken.
    pub(super) fn flush(&mut self, now: Timestamp) {
        self.log.flush(now);
    }

    /// Adds a remark of dcm to the log.
    pub(super) fn remark(&mut self, text: &str, now: Timestamp) {
        self.log.line(Stream::Dcm, Line { text: text.as_bytes(), is_complete: true, is_start: true }, now);
    }

    /// Takes a line, or a piece of one.
    fn take(&mut self, stream: Stream, line: Line<'_>, reports: &mut Reports, now: Timestamp) {
        let is_whole = line.is_complete && line.is_start;
        if stream == Stream::Out && is_whole && self.take_report(line.text, reports, now) {
            return;
        }
        self.keep(stream, line, now);
    }

    /// Takes the end of the output, to which a line feed may be missing.
    fn take_last(&mut self, stream: Stream, line: Line<'_>, reports: &mut Reports, now: Timestamp) {
        if stream == Stream::Out && line.is_start && self.take_report(line.text, reports, now) {
            return;
        }
        self.keep(stream, line, now);
    }

    fn keep(&mut self, stream: Stream, line: Line<'_>, now: Timestamp) {
        if self.passes_through {
            pass_through(stream, line);
        }
        self.log.line(stream, line, now);
    }

    /// Whether this is a report and was understood. What looks like one and is none is remarked upon.
    fn take_report(&mut self, line: &[u8], reports: &mut Reports, now: Timestamp) -> bool {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let Some(text) = line.strip_prefix(report::PREFIX) else {
            if line.starts_with(report::ALMOST_PREFIX) {
                self.remark_on_report(
                    "the next line is no report: it begins with \"::dcm \", with a blank",
                    now,
                );
            }
            return false;
        };
        match report::parse(text, reports.zone) {
            Ok(read) => {
                for key in read.unknown {
                    if self.unknown.len() < REMARKS_MAX as usize && !self.unknown.contains(&key) {
                        self.remark(
                            &format!("a report has the unknown key {key:?}; known are {}", report::KEYS),
                            now,
                        );
                        self.unknown.insert(key);
                    }
                }
                reports.merge(read.report);
                true
            }
            Err(error) => {
                self.remark_on_report(&format!("the next line is not understood as a report: {error}"), now);
                false
            }
        }
    }

    fn remark_on_report(&mut self, text: &str, now: Timestamp) {
        if self.remarks < REMARKS_MAX {
            self.remarks += 1;
            self.remark(text, now);
        }
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

#[cfg(test)]
mod tests {
    use super::super::log_reader::LogTail;
    use super::super::record::tests::spec;
    use super::*;
    use crate::model::parse_timestamp;

    #[test]
    fn a_line_waits_for_its_end_from_its_own_beginning_on() {
        let folder = tempfile::tempdir().unwrap();
        let spec = Spec { log: folder.path().join("log"), ..spec() };
        let (mut intake, mut reports) = (Intake::new(&spec, false), Reports::new(&spec));
        let mut inlet = Inlet::new(Stream::Out);
        let wall = parse_timestamp("2026-11-23T14:02:11.123Z").unwrap();
        let at = |millis| Now { mono: Duration::from_millis(millis), wall };
        // A flood that ends within a line each time.
        for millis in (0..1000).step_by(100) {
            inlet.push(b"first half", &mut intake, &mut reports, at(millis));
            inlet.flush(&mut intake, &mut reports, at(millis + 50));
            inlet.push(b" and the other\n", &mut intake, &mut reports, at(millis + 50));
        }
        inlet.push(b"prompt> ", &mut intake, &mut reports, at(1000));
        inlet.flush(&mut intake, &mut reports, at(1249));
        assert_eq!(inlet.deadline(), Some(Duration::from_millis(1250)));
        inlet.flush(&mut intake, &mut reports, at(1250));
        assert_eq!(inlet.deadline(), None);
        // Both in one piece, and the beginning of a report is not for the log.
        inlet.push(b"yes\n::dcm {\"sol", &mut intake, &mut reports, at(1300));
        inlet.flush(&mut intake, &mut reports, at(9000));
        inlet.push(b"ved\": 3}", &mut intake, &mut reports, at(9000));
        inlet.flush(&mut intake, &mut reports, at(9900));
        assert_eq!(reports.all.solved, Some(3));
        inlet.finish(&mut intake, &mut reports, wall);
        intake.flush(wall);
        let records = LogTail::open(&spec.log, 100).unwrap().1;
        let texts: Vec<_> = records
            .iter()
            .map(|record| (String::from_utf8_lossy(&record.text).into_owned(), record.is_complete))
            .collect();
        let mut expected = vec![("first half and the other".to_owned(), true); 10];
        expected.extend([("prompt> ".to_owned(), false), ("yes".to_owned(), true)]);
        assert_eq!(texts, expected);
    }
}
