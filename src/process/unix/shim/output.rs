//! The output of the app: from its pipes to the log, with the reports taken out.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd as _, BorrowedFd};

use super::{Reports, open_pipe};
use crate::model::Timestamp;
use crate::process::layout::RunDir;
use crate::process::lines::{Line, Splitter};
use crate::process::log_writer::{LogWriter, Stream};
use crate::process::record::Spec;
use crate::process::report;

/// How much is read from a pipe before the other one and the commands have their turn.
const TURN: usize = 256 * 1024;

/// Reports that cannot be understood are remarked upon in the log, but not without end.
const REMARKS_MAX: u32 = 20;

pub(super) struct Output {
    out: Source,
    err: Source,
    log: LogWriter,
    remarks: u32,
    /// Whether what the app writes also goes to the standard streams of this process.
    passes_through: bool,
    chunk: Vec<u8>,
}

struct Source {
    pipe: File,
    splitter: Splitter,
    stream: Stream,
}

impl Output {
    pub(super) fn open(dir: &RunDir, spec: &Spec, passes_through: bool) -> io::Result<Self> {
        let source = |name: &str, stream| {
            Ok::<_, io::Error>(Source {
                pipe: open_pipe(&dir.path().join(name))?,
                splitter: Splitter::default(),
                stream,
            })
        };
        Ok(Self {
            out: source("out", Stream::Out)?,
            err: source("err", Stream::Err)?,
            log: LogWriter::new(spec.log.clone(), spec.log_limit),
            remarks: 0,
            passes_through,
            chunk: Vec::new(),
        })
    }

    pub(super) fn fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        [self.out.pipe.as_fd(), self.err.pipe.as_fd()].into_iter()
    }

    /// Takes what is there, up to a limit, and writes it to the log. Gives back whether there was
    /// anything.
    pub(super) fn pump(&mut self, reports: &mut Reports, now: Timestamp) -> bool {
        let Self { out, err, log, remarks, passes_through, chunk } = self;
        // Only while there is output is there memory for it.
        chunk.resize(64 * 1024, 0);
        let mut sink = Sink { log, reports, remarks, passes_through: *passes_through, now };
        let from_out = out.read(chunk, &mut sink);
        let from_err = err.read(chunk, &mut sink);
        if from_out + from_err == 0 {
            chunk.clear();
            chunk.shrink_to_fit();
        }
        log.flush(now);
        from_out + from_err > 0
    }

    /// Takes everything that is left, with a line that was not ended.
    pub(super) fn finish(&mut self, reports: &mut Reports, now: Timestamp) {
        let Self { out, err, log, remarks, passes_through, .. } = self;
        let mut sink = Sink { log, reports, remarks, passes_through: *passes_through, now };
        for source in [out, err] {
            let stream = source.stream;
            source.splitter.finish(|line| sink.take(stream, line));
        }
        log.flush(now);
    }
}

impl Source {
    fn read(&mut self, chunk: &mut [u8], sink: &mut Sink<'_>) -> usize {
        let mut total = 0;
        while total < TURN {
            match self.pipe.read(chunk) {
                Ok(0) | Err(_) => break,
                Ok(length) => {
                    total += length;
                    let stream = self.stream;
                    self.splitter.push(&chunk[..length], |line| sink.take(stream, line));
                }
            }
        }
        total
    }
}

/// Where lines go.
struct Sink<'a> {
    log: &'a mut LogWriter,
    reports: &'a mut Reports,
    remarks: &'a mut u32,
    passes_through: bool,
    now: Timestamp,
}

impl Sink<'_> {
    fn take(&mut self, stream: Stream, line: Line<'_>) {
        if stream == Stream::Out
            && line.is_complete
            && line.is_start
            && let Some(text) = line.text.strip_prefix(report::PREFIX)
        {
            match report::parse(text.strip_suffix(b"\r").unwrap_or(text)) {
                Ok(report) => {
                    self.reports.merge(report);
                    return;
                }
                Err(error) if *self.remarks < REMARKS_MAX => {
                    *self.remarks += 1;
                    let remark = format!("the next line is not understood as a report: {error}");
                    let remark = Line { text: remark.as_bytes(), is_complete: true, is_start: true };
                    self.log.line(Stream::Dcm, remark, self.now);
                }
                Err(_) => {}
            }
        }
        if self.passes_through {
            pass_through(stream, line);
        }
        self.log.line(stream, line, self.now);
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
