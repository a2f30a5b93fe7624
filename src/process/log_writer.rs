//! Writes the output of a run: limited in size, with a note for everything that is missing.
//!
//! The beginning of the output stays, in a file of its own once that has a quarter of the limit. What
//! follows goes into two files, the older of which is dropped when the newer is full. Other programs may
//! rename, truncate or remove the files meanwhile.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::PathBuf;

use super::lines::{LINE_MAX, Line};
use super::log_format::{self, Amount, LogFiles, Stream, entries};
use super::log_position;
use super::sys;
use crate::model::{Timestamp, format_timestamp};

/// Records are collected up to this many bytes before they are written.
const BUFFER: usize = 64 * 1024;

/// What a buffer keeps of its memory while there is nothing to be written.
const BUFFER_AT_REST: usize = 4 * 1024;

/// The smallest limit: a few lines at the beginning and at the end.
const LIMIT_MIN: u64 = 4096;

/// The output of one run on disk.
pub(super) struct LogWriter {
    files: LogFiles,
    quota: Quota,
    /// `None`: it is opened, or made, with the next record.
    open: Option<OpenFile>,
    /// Whether the file at the path is, or will be, the beginning of the output.
    is_beginning: bool,
    /// Whether the file at the path ends with half a record of a writer that was killed.
    is_torn: bool,
    /// Where the next record belongs: all output before it, what is missing included.
    position: Amount,
    buffer: Vec<u8>,
    lost: Amount,
    lost_why: String,
    stamp: (Timestamp, String),
}

struct OpenFile {
    file: File,
    id: (u64, u64),
    size: u64,
}

/// How the limit is divided.
#[derive(Debug, Clone, Copy)]
struct Quota {
    beginning: u64,
    /// Each of the two files of the end.
    end: u64,
    /// The longest text of a record.
    piece: usize,
}

impl Quota {
    fn of(limit: u64) -> Self {
        let limit = limit.max(LIMIT_MIN);
        let beginning = limit / 4;
        let piece = usize::try_from(beginning / 2).unwrap_or(LINE_MAX).min(LINE_MAX);
        Self { beginning, end: (limit - beginning) / 2, piece }
    }
}

impl LogWriter {
    /// Continues the log at `path`, or begins it. The file is made with the first record.
    pub(super) fn new(path: PathBuf, limit: u64) -> Self {
        let files = LogFiles::of(&path);
        let end = log_position::end_of(&files);
        Self {
            is_beginning: end.is_beginning,
            position: end.position,
            files,
            is_torn: end.is_torn,
            quota: Quota::of(limit),
            open: None,
            buffer: Vec::new(),
            lost: Amount::default(),
            lost_why: String::new(),
            stamp: (Timestamp::UNIX_EPOCH, String::new()),
        }
    }

    /// Adds a line or a piece of one.
    pub(super) fn line(&mut self, stream: Stream, line: Line<'_>, now: Timestamp) {
        if self.stamp.0 != now || self.stamp.1.is_empty() {
            self.stamp = (now, format_timestamp(now));
        }
        let mut text = line.text;
        while text.len() > self.quota.piece {
            let (piece, rest) = text.split_at(self.quota.piece);
            log_format::push(&mut self.buffer, &self.stamp.1, stream, false, piece);
            text = rest;
        }
        log_format::push(&mut self.buffer, &self.stamp.1, stream, line.is_complete, text);
        if self.buffer.len() >= BUFFER {
            self.flush(now);
        }
    }

    /// Writes what is buffered. What cannot be written is counted as lost, and said so as soon as
    /// something can be written again.
    pub(super) fn flush(&mut self, now: Timestamp) {
        if self.buffer.is_empty() {
            return;
        }
        let mut buffer = std::mem::take(&mut self.buffer);
        let mut rest = buffer.as_slice();
        if let Err(error) = self.write(&mut rest, now) {
            self.lost.add(amount_of(rest));
            self.lost_why = error.to_string();
            self.open = None;
        }
        buffer.clear();
        buffer.shrink_to(BUFFER_AT_REST);
        self.buffer = buffer;
    }

    /// Writes records; `rest` is what is not written yet.
    fn write(&mut self, rest: &mut &[u8], now: Timestamp) -> io::Result<()> {
        self.open(now)?;
        if !self.lost.is_nothing() {
            let mut remark = Vec::new();
            let text = self.lost.missing(&self.lost_why);
            log_format::push(&mut remark, &format_timestamp(now), Stream::Dcm, true, text.as_bytes());
            self.write_limited(&mut remark.as_slice(), now)?;
            self.lost = Amount::default();
        }
        self.write_limited(rest, now)
    }

    fn write_limited(&mut self, rest: &mut &[u8], now: Timestamp) -> io::Result<()> {
        loop {
            let (fits, after) = split_at_record(rest, self.room());
            self.append(fits)?;
            self.position.add(amount_of(fits));
            *rest = after;
            if rest.is_empty() {
                return Ok(());
            }
            self.rotate()?;
            self.drop_surplus(rest);
            self.open(now)?;
        }
    }

    /// How many bytes the file at the path may still take.
    fn room(&self) -> usize {
        let quota = if self.is_beginning { self.quota.beginning } else { self.quota.end };
        let size = self.open.as_ref().map_or(0, |open| open.size);
        usize::try_from(quota.saturating_sub(size)).unwrap_or(usize::MAX)
    }

    /// Leaves out what would be dropped again before this call returns.
    fn drop_surplus(&mut self, rest: &mut &[u8]) {
        let kept = usize::try_from(self.quota.end * 2).unwrap_or(usize::MAX);
        if let Some(surplus) = rest.len().checked_sub(kept).filter(|surplus| *surplus > 0) {
            let (dropped, after) = rest.split_at(end_of_record(rest, surplus));
            self.position.add(amount_of(dropped));
            *rest = after;
        }
    }

    fn rotate(&mut self) -> io::Result<()> {
        self.open = None;
        let target = if self.is_beginning { &self.files.head } else { &self.files.older };
        match fs::rename(&self.files.newest, target) {
            // Somebody cleaned up, and there is nothing to keep.
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        self.is_beginning = false;
        Ok(())
    }

    /// Opens the file at the path, if it is not the one that is open or was cut off.
    fn open(&mut self, now: Timestamp) -> io::Result<()> {
        let found = fs::symlink_metadata(&self.files.newest).ok();
        match (&mut self.open, found) {
            (Some(open), Some(found)) if open.id == sys::file_id(&found) => {
                // Larger if others write to it as well, smaller after `copytruncate`.
                let is_cut_off = found.len() < open.size;
                open.size = found.len();
                if !is_cut_off {
                    return Ok(());
                }
            }
            (_, _) => {
                if let Some(folder) = self.files.newest.parent() {
                    fs::create_dir_all(folder)?;
                }
                let file = sys::open_log(&self.files.newest)?;
                let metadata = file.metadata()?;
                let (id, size) = (sys::file_id(&metadata), metadata.len());
                self.open = Some(OpenFile { file, id, size });
            }
        }
        let is_torn = std::mem::take(&mut self.is_torn);
        if self.open.as_ref().is_some_and(|open| open.size > 0) {
            if is_torn {
                self.append(b"\n")?;
            }
        } else {
            self.is_beginning = self.position.is_nothing();
            if !self.is_beginning {
                self.append(log_format::mark(now, self.position).as_bytes())?;
            }
        }
        Ok(())
    }

    /// Writes all or nothing: half a record would be taken for the beginning of the next.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let Some(open) = &mut self.open else { return Err(io::Error::other("not open")) };
        match open.file.write_all(bytes) {
            Ok(()) => {
                open.size += bytes.len() as u64;
                Ok(())
            }
            Err(error) => {
                // If this fails as well, the reader meets half a record, which it can tell.
                let _ = open.file.set_len(open.size);
                Err(error)
            }
        }
    }
}

fn amount_of(records: &[u8]) -> Amount {
    let mut sum = Amount::default();
    entries(records).for_each(|entry| sum.add(entry.amount()));
    sum
}

/// The whole records that fit into so many bytes, and the others. At least one is taken: no file is
/// smaller than a record.
fn split_at_record(records: &[u8], room: usize) -> (&[u8], &[u8]) {
    if records.len() <= room {
        return (records, &[]);
    }
    let end = records[..room].iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    records.split_at(end)
}

/// Where the record ends that holds this byte.
fn end_of_record(records: &[u8], at: usize) -> usize {
    records[at..].iter().position(|byte| *byte == b'\n').map_or(records.len(), |found| at + found + 1)
}

#[cfg(test)]
mod tests;
