//! Writes the output of a run: limited in size, with a note for everything that is missing.
//!
//! One record a line, `TIME STREAM FLAG TEXT`, as containers keep it: the time of arrival, `o` for
//! stdout, `e` for stderr, `d` for dcm itself; `F` if a line feed followed, `P` if more of the line
//! follows in the next record. The text is the bytes of the app, unchanged.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use super::lines::Line;
use crate::model::{Timestamp, format_timestamp};

/// Where a line comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// The app's standard output.
    Out,
    /// The app's standard error.
    Err,
    /// A remark of dcm, such as a gap.
    Dcm,
}

impl Stream {
    pub(super) const fn letter(self) -> u8 {
        match self {
            Self::Out => b'o',
            Self::Err => b'e',
            Self::Dcm => b'd',
        }
    }
}

/// Records are collected up to this many bytes before they are written.
const BUFFER: usize = 64 * 1024;

/// The output of one run on disk: two files, the older one dropped when the newer one is full.
pub(super) struct LogWriter {
    path: PathBuf,
    /// How large each of the two files may become.
    half: u64,
    file: Option<File>,
    /// What the newer and the older file hold.
    newer: Amount,
    older: Amount,
    buffer: Vec<u8>,
    buffered: Amount,
    lost: Amount,
    lost_why: String,
    stamp: (Timestamp, String),
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Amount {
    /// As written to the file.
    size: u64,
    /// Bytes of the app.
    bytes: u64,
    lines: u64,
}

impl Amount {
    fn add(&mut self, other: Self) {
        self.size += other.size;
        self.bytes += other.bytes;
        self.lines += other.lines;
    }
}

impl LogWriter {
    /// Continues the log at `path`, or begins it. The file is made with the first record.
    pub(super) fn new(path: PathBuf, limit: u64) -> Self {
        let size = fs::metadata(&path).map_or(0, |metadata| metadata.len());
        Self {
            path,
            half: (limit / 2).max(1024),
            file: None,
            newer: Amount { size, ..Amount::default() },
            older: Amount::default(),
            buffer: Vec::new(),
            buffered: Amount::default(),
            lost: Amount::default(),
            lost_why: String::new(),
            stamp: (Timestamp::UNIX_EPOCH, String::new()),
        }
    }

    /// Adds a line.
    pub(super) fn line(&mut self, stream: Stream, line: Line<'_>, now: Timestamp) {
        if self.stamp.0 != now || self.stamp.1.is_empty() {
            self.stamp = (now, format_timestamp(now));
        }
        let begin = self.buffer.len();
        self.buffer.extend_from_slice(self.stamp.1.as_bytes());
        let flag = if line.is_complete { b'F' } else { b'P' };
        self.buffer.extend_from_slice(&[b' ', stream.letter(), b' ', flag, b' ']);
        self.buffer.extend_from_slice(line.text);
        self.buffer.push(b'\n');
        self.buffered.add(Amount {
            size: (self.buffer.len() - begin) as u64,
            bytes: line.text.len() as u64 + u64::from(line.is_complete),
            lines: u64::from(line.is_complete),
        });
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
        let buffer = std::mem::take(&mut self.buffer);
        let amount = std::mem::take(&mut self.buffered);
        if let Err(error) = self.write(&buffer, amount, now) {
            self.lost.add(amount);
            self.lost_why = error.to_string();
            self.file = None;
        }
        self.buffer = buffer;
        self.buffer.clear();
        self.buffer.shrink_to(BUFFER);
    }

    fn write(&mut self, records: &[u8], amount: Amount, now: Timestamp) -> io::Result<()> {
        if self.newer.size > 0 && self.newer.size + amount.size > self.half {
            self.rotate(now)?;
        }
        self.open()?;
        if self.lost != Amount::default() {
            self.remark_on_loss(now)?;
        }
        self.append(records)?;
        self.newer.add(amount);
        Ok(())
    }

    fn rotate(&mut self, now: Timestamp) -> io::Result<()> {
        self.file = None;
        if let Err(error) = fs::rename(&self.path, older(&self.path))
            // Otherwise somebody cleaned up, and there is nothing to keep.
            && error.kind() != io::ErrorKind::NotFound
        {
            return Err(error);
        }
        let dropped = std::mem::replace(&mut self.older, std::mem::take(&mut self.newer));
        self.open()?;
        if dropped != Amount::default() {
            self.remark(&gap(dropped, "log_limit was reached"), now)?;
        }
        Ok(())
    }

    /// Opens the file again if it is not the one at the path any more.
    fn open(&mut self) -> io::Result<&mut File> {
        let is_there = self.file.is_some() && fs::symlink_metadata(&self.path).is_ok();
        if !is_there {
            self.file = None;
            if let Some(folder) = self.path.parent() {
                fs::create_dir_all(folder)?;
            }
            let file = super::sys::open_log(&self.path)?;
            self.newer.size = file.metadata()?.len();
            self.file = Some(file);
        }
        self.file.as_mut().ok_or_else(|| io::Error::other("not open"))
    }

    fn remark_on_loss(&mut self, now: Timestamp) -> io::Result<()> {
        let why = std::mem::take(&mut self.lost_why);
        let result = self.remark(&gap(self.lost, &why), now);
        match &result {
            Ok(()) => self.lost = Amount::default(),
            Err(_) => self.lost_why = why,
        }
        result
    }

    fn remark(&mut self, text: &str, now: Timestamp) -> io::Result<()> {
        let record = format!("{} {} F {text}\n", format_timestamp(now), char::from(Stream::Dcm.letter()));
        self.append(record.as_bytes())?;
        self.newer.size += record.len() as u64;
        Ok(())
    }

    /// Writes all or nothing: half a record would be taken for the beginning of the next.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let Some(file) = &mut self.file else { return Err(io::Error::other("not open")) };
        file.write_all(bytes).inspect_err(|_| {
            // If this fails as well, the reader meets half a record, which it can tell.
            let _ = file.set_len(self.newer.size);
        })
    }
}

fn gap(amount: Amount, why: &str) -> String {
    format!("{} bytes in {} lines are missing here: {why}", amount.bytes, amount.lines)
}

/// The name of the older file.
pub(super) fn older(path: &Path) -> PathBuf {
    let mut name: OsString = path.as_os_str().to_owned();
    name.push(".1");
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use super::super::log_reader;
    use super::*;
    use crate::model::parse_timestamp;

    fn now() -> Timestamp {
        parse_timestamp("2026-11-23T14:02:11.123Z").unwrap()
    }

    fn line(text: &[u8]) -> Line<'_> {
        Line { text, is_complete: true, is_start: true }
    }

    #[test]
    fn bytes_are_kept_as_they_are() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("logs").join("run.log");
        let mut log = LogWriter::new(path.clone(), 1 << 20);
        let binary: Vec<u8> = (0..=255).filter(|byte| *byte != b'\n').collect();
        log.line(Stream::Out, line(&binary), now());
        log.line(Stream::Err, Line { text: b"part", is_complete: false, is_start: true }, now());
        log.flush(now());
        let records = log_reader::read_all(&path).unwrap();
        assert_eq!(records[0].text, binary);
        assert_eq!(records[0].stream, Stream::Out);
        assert_eq!(records[0].time, Some(now()));
        assert!(records[0].is_complete);
        assert_eq!(records[1].text, b"part");
        assert!(!records[1].is_complete);
    }

    #[test]
    fn the_limit_holds_and_what_is_dropped_is_counted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.log");
        let limit = 64 * 1024;
        let mut log = LogWriter::new(path.clone(), limit);
        let total = 20_000_u64;
        for number in 0..total {
            log.line(Stream::Out, line(format!("line {number:08}").as_bytes()), now());
            if number % 100 == 0 {
                log.flush(now());
            }
        }
        log.flush(now());
        let size = fs::metadata(&path).unwrap().len() + fs::metadata(older(&path)).unwrap().len();
        assert!(size <= limit + 1024, "{size}");
        let records = log_reader::read_all(&path).unwrap();
        let last = records.last().unwrap();
        assert_eq!(last.text, b"line 00019999");
        // Every gap that is still on disk counts what went before it; the last of them, and what
        // is there, add up with what older remarks counted.
        let kept = records.iter().filter(|record| record.stream == Stream::Out).count();
        let gaps: Vec<_> = records.iter().filter(|record| record.stream == Stream::Dcm).collect();
        assert!(!gaps.is_empty());
        assert!(kept > 100);
        for gap in gaps {
            let text = String::from_utf8(gap.text.clone()).unwrap();
            assert!(text.contains("lines are missing here: log_limit"), "{text}");
        }
    }

    #[test]
    fn a_log_that_was_deleted_is_begun_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep").join("run.log");
        let mut log = LogWriter::new(path.clone(), 1 << 20);
        log.line(Stream::Out, line(b"one"), now());
        log.flush(now());
        fs::remove_dir_all(folder.path().join("deep")).unwrap();
        log.line(Stream::Out, line(b"two"), now());
        log.flush(now());
        let texts: Vec<_> =
            log_reader::read_all(&path).unwrap().into_iter().map(|record| record.text).collect();
        assert_eq!(texts, [b"two"]);
    }

    #[test]
    fn what_cannot_be_written_is_counted_and_said_later() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.log");
        // A directory in the place of the file stands for every reason not to write.
        fs::create_dir(&path).unwrap();
        let mut log = LogWriter::new(path.clone(), 1 << 20);
        log.line(Stream::Out, line(b"lost"), now());
        log.flush(now());
        log.line(Stream::Out, line(b"lost too"), now());
        log.flush(now());
        fs::remove_dir(&path).unwrap();
        log.line(Stream::Out, line(b"kept"), now());
        log.flush(now());
        let records = log_reader::read_all(&path).unwrap();
        let remark = String::from_utf8(records[0].text.clone()).unwrap();
        assert!(remark.starts_with("14 bytes in 2 lines are missing here: "), "{remark}");
        assert_eq!(records[1].text, b"kept");
    }
}
