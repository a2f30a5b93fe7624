//! The output of the app: from its pipes to the log, with the reports taken out.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::time::Duration;

use super::open_pipe;
use crate::model::{Now, Timestamp};
use crate::process::intake::{Inlet, Intake, Reports};
use crate::process::layout::RunDir;
use crate::process::log_format::Stream;
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
    inlet: Inlet,
}

impl Output {
    pub(super) fn open(dir: &RunDir, spec: &Spec, passes_through: bool) -> io::Result<Self> {
        let source = |name: &str, stream| {
            Ok::<_, io::Error>(Source { pipe: open_pipe(&dir.path().join(name))?, inlet: Inlet::new(stream) })
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

    /// When [`Self::pump`] has something to do though nothing comes.
    pub(super) fn deadline(&self) -> Option<Duration> {
        [&self.out, &self.err].into_iter().filter_map(|source| source.inlet.deadline()).min()
    }

    /// Takes what is there, up to a limit, and writes it to the log. Gives back whether there was
    /// anything.
    pub(super) fn pump(&mut self, reports: &mut Reports, now: Now) -> bool {
        let Self { out, err, intake, chunk } = self;
        // Only while there is output is there memory for it.
        chunk.resize(64 * 1024, 0);
        let mut total = 0;
        for source in [out, err] {
            total += source.read(chunk, intake, reports, now);
            source.inlet.flush(intake, reports, now);
        }
        if total == 0 {
            chunk.clear();
            chunk.shrink_to_fit();
        }
        intake.flush(now.wall);
        total > 0
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
            source.inlet.finish(intake, reports, now);
        }
        intake.flush(now);
    }
}

impl Source {
    fn read(&mut self, chunk: &mut [u8], intake: &mut Intake, reports: &mut Reports, now: Now) -> usize {
        let mut total = 0;
        while total < TURN {
            match self.pipe.read(chunk) {
                Ok(0) | Err(_) => break,
                Ok(length) => {
                    total += length;
                    self.inlet.push(&chunk[..length], intake, reports, now);
                }
            }
        }
        total
    }
}
