//! The output of the app: from its pipes to the log, with the reports taken out.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::{AsFd as _, BorrowedFd};

use super::open_pipe;
use crate::model::Timestamp;
use crate::process::intake::{Intake, Reports};
use crate::process::layout::RunDir;
use crate::process::lines::{Line, Splitter};
use crate::process::log_writer::Stream;
use crate::process::record::Spec;

/// How much is read from a pipe before the other one and the commands have their turn.
const TURN: usize = 256 * 1024;

pub(super) struct Output {
    out: Source,
    err: Source,
    intake: Intake,
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
            intake: Intake::new(spec, passes_through),
            chunk: Vec::new(),
        })
    }

    pub(super) fn fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        [self.out.pipe.as_fd(), self.err.pipe.as_fd()].into_iter()
    }

    /// Takes what is there, up to a limit, and writes it to the log. Gives back whether there was
    /// anything.
    pub(super) fn pump(&mut self, reports: &mut Reports, now: Timestamp) -> bool {
        let Self { out, err, intake, chunk } = self;
        // Only while there is output is there memory for it.
        chunk.resize(64 * 1024, 0);
        let mut take = |stream, line: Line<'_>| intake.take(stream, line, reports, now);
        let from_out = out.read(chunk, &mut take);
        let from_err = err.read(chunk, &mut take);
        if from_out + from_err == 0 {
            chunk.clear();
            chunk.shrink_to_fit();
        }
        intake.flush(now);
        from_out + from_err > 0
    }

    /// Adds a remark of dcm to the log.
    pub(super) fn remark(&mut self, text: &str, now: Timestamp) {
        self.intake.remark(text, now);
        self.intake.flush(now);
    }

    /// Takes everything that is left, with a line that was not ended.
    pub(super) fn finish(&mut self, reports: &mut Reports, now: Timestamp) {
        let Self { out, err, intake, .. } = self;
        for source in [out, err] {
            let stream = source.stream;
            source.splitter.finish(|line| intake.take(stream, line, reports, now));
        }
        intake.flush(now);
    }
}

impl Source {
    fn read(&mut self, chunk: &mut [u8], take: &mut impl FnMut(Stream, Line<'_>)) -> usize {
        let mut total = 0;
        while total < TURN {
            match self.pipe.read(chunk) {
                Ok(0) | Err(_) => break,
                Ok(length) => {
                    total += length;
                    let stream = self.stream;
                    self.splitter.push(&chunk[..length], |line| take(stream, line));
                }
            }
        }
        total
    }
}
