//! Reads the output of runs back from disk.

use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use super::layout::StateDir;
use super::log_writer::{Stream, older};
use crate::model::{AppId, RunId, Timestamp, parse_timestamp};

/// One record of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogRecord {
    /// When it arrived; `None` for something that dcm did not write.
    pub time: Option<Timestamp>,
    /// Where it comes from.
    pub stream: Stream,
    /// Whether a line feed followed.
    pub is_complete: bool,
    /// The bytes of the app, without the line feed.
    pub text: Vec<u8>,
}

impl LogRecord {
    /// Takes a line of the file apart.
    fn parse(line: &[u8]) -> Self {
        const TIME: usize = 24;
        const TEXT: usize = TIME + 5;
        let strange = || Self { time: None, stream: Stream::Dcm, is_complete: true, text: line.to_vec() };
        let [b' ', letter, b' ', flag, b' '] = *line.get(TIME..TEXT).unwrap_or_default() else {
            return strange();
        };
        let stream =
            [Stream::Out, Stream::Err, Stream::Dcm].into_iter().find(|stream| stream.letter() == letter);
        let time = std::str::from_utf8(&line[..TIME]).ok().and_then(|text| parse_timestamp(text).ok());
        match (stream, time) {
            (Some(stream), Some(time)) => {
                Self { time: Some(time), stream, is_complete: flag == b'F', text: line[TEXT..].to_vec() }
            }
            (None, _) | (_, None) => strange(),
        }
    }
}

/// Reads a log file whole, the older part first. For tests and small logs.
#[cfg(test)]
pub(super) fn read_all(path: &Path) -> io::Result<Vec<LogRecord>> {
    let mut bytes = fs::read(older(path)).unwrap_or_default();
    bytes.extend(fs::read(path)?);
    Ok(split(&bytes))
}

pub(super) fn split(bytes: &[u8]) -> Vec<LogRecord> {
    bytes
        .split_inclusive(|byte| *byte == b'\n')
        .map(|line| LogRecord::parse(line.strip_suffix(b"\n").unwrap_or(line)))
        .collect()
}

/// The logs of an app that are on this host, newest run first.
pub fn logs_of(state: &StateDir, app: AppId) -> Vec<(RunId, PathBuf)> {
    let Ok(entries) = fs::read_dir(state.logs(app)) else { return Vec::new() };
    let mut logs: Vec<_> = entries
        .filter_map(Result::ok)
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let run = name.strip_suffix(".log")?.split_once('-')?.1.parse().ok()?;
            Some((name, run, entry.path()))
        })
        .collect();
    logs.sort_by(|(a, ..), (b, ..)| b.cmp(a));
    logs.into_iter().map(|(_, run, path)| (run, path)).collect()
}

/// Gives the logs of an app on this host to another key, beside those that it may have already.
///
/// # Errors
/// When a file cannot be moved; the others are moved then.
pub fn move_logs(state: &StateDir, from: AppId, to: AppId) -> io::Result<()> {
    let (old, new) = (state.logs(from), state.logs(to));
    let entries = match fs::read_dir(&old) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    if fs::rename(&old, &new).is_ok() {
        return Ok(());
    }
    let moved = entries.map(|entry| {
        let entry = entry?;
        fs::rename(entry.path(), new.join(entry.file_name()))
    });
    moved.fold(Ok(()), Result::and)?;
    fs::remove_dir(&old)
}

/// A place in a log from which reading goes on as it grows and rotates.
#[derive(Debug)]
pub struct LogTail {
    path: PathBuf,
    /// Kept open: after a rotation the rest of the file is still read through it.
    file: Option<File>,
    carry: Vec<u8>,
}

/// How much is read at once.
const CHUNK: usize = 64 * 1024;

impl LogTail {
    /// The last `count` records of a log, and the place after them.
    ///
    /// # Errors
    /// When the log cannot be read; a log that does not exist yet is empty.
    pub fn open(path: &Path, count: usize) -> io::Result<(Self, Vec<LogRecord>)> {
        let mut tail = Self::from_start(path);
        let mut bytes = Vec::new();
        if let Some(mut file) = open(path)? {
            bytes = last_lines(&mut file, count)?;
            tail.file = Some(file);
        }
        let found = bytes.iter().filter(|byte| **byte == b'\n').count();
        if found < count
            && let Some(mut file) = open(&older(path))?
        {
            let mut before = last_lines(&mut file, count - found)?;
            before.extend(bytes);
            bytes = before;
        }
        let end = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        tail.carry = bytes.split_off(end);
        Ok((tail, split(&bytes)))
    }

    /// The place before the first record of a log, which may not exist yet.
    #[must_use]
    pub fn from_start(path: &Path) -> Self {
        Self { path: path.to_owned(), file: None, carry: Vec::new() }
    }

    /// What was written since, at most some 64 KiB of it; empty when there is nothing new.
    pub fn more(&mut self) -> io::Result<Vec<LogRecord>> {
        if self.file.is_none() {
            self.file = open(&self.path)?;
        }
        let Some(file) = &mut self.file else { return Ok(Vec::new()) };
        let mut chunk = vec![0; CHUNK];
        let mut length = file.read(&mut chunk)?;
        if length == 0 && was_replaced(file, &self.path) {
            self.file = open(&self.path)?;
            length = self.file.as_mut().map_or(Ok(0), |file| file.read(&mut chunk))?;
        }
        self.carry.extend_from_slice(&chunk[..length]);
        let end = self.carry.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        let rest = self.carry.split_off(end);
        Ok(split(&std::mem::replace(&mut self.carry, rest)))
    }
}

fn open(path: &Path) -> io::Result<Option<File>> {
    match File::open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether the file at the path is another one by now; told by its time of creation, and where the
/// file system keeps none, by its size.
fn was_replaced(file: &mut File, path: &Path) -> bool {
    let (Ok(ours), Ok(theirs)) = (file.metadata(), fs::metadata(path)) else { return true };
    let is_shorter = file.stream_position().is_ok_and(|position| position > theirs.len());
    is_shorter || ours.created().ok() != theirs.created().ok()
}

/// The last `count` lines of a file, read backwards in pieces; leaves the file at its end.
fn last_lines(file: &mut File, count: usize) -> io::Result<Vec<u8>> {
    let end = file.seek(SeekFrom::End(0))?;
    let mut begin = end;
    let mut bytes = Vec::new();
    let mut lines = 0;
    while begin > 0 && lines <= count {
        let size = begin.min(CHUNK as u64);
        begin -= size;
        file.seek(SeekFrom::Start(begin))?;
        let mut piece = vec![0; usize::try_from(size).unwrap_or(CHUNK)];
        file.read_exact(&mut piece)?;
        lines += piece.iter().filter(|byte| **byte == b'\n').count();
        piece.extend(bytes);
        bytes = piece;
    }
    file.seek(SeekFrom::Start(end))?;
    if count == 0 {
        return Ok(Vec::new());
    }
    // The line feed at the very end closes the last line and separates nothing.
    let body = bytes.strip_suffix(b"\n").unwrap_or(&bytes).len();
    let mut seen = 0;
    let cut = bytes[..body].iter().rposition(|byte| {
        seen += usize::from(*byte == b'\n');
        seen == count
    });
    Ok(bytes.split_off(cut.map_or(0, |at| at + 1)))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn record(number: usize) -> String {
        format!("2026-11-23T14:02:11.{:03}Z o F line {number}\n", number % 1000)
    }

    fn texts(records: &[LogRecord]) -> Vec<String> {
        records.iter().map(|record| String::from_utf8_lossy(&record.text).into_owned()).collect()
    }

    #[test]
    fn the_tail_of_small_large_and_rotated_logs() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.log");
        assert!(LogTail::open(&path, 10).unwrap().1.is_empty());
        fs::write(older(&path), (0..5000).map(record).collect::<String>()).unwrap();
        fs::write(&path, (5000..10_000).map(record).collect::<String>()).unwrap();
        for count in [0, 1, 2, 100, 4999, 5000, 5001, 9999, 10_000, 20_000] {
            let (_, records) = LogTail::open(&path, count).unwrap();
            assert_eq!(records.len(), count.min(10_000), "{count}");
            if count > 0 {
                assert_eq!(texts(&records).last().unwrap(), "line 9999");
            }
        }
    }

    #[test]
    fn following_goes_on_through_a_rotation() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.log");
        fs::write(&path, record(0)).unwrap();
        let (mut tail, records) = LogTail::open(&path, 10).unwrap();
        assert_eq!(texts(&records), ["line 0"]);
        let mut file = fs::OpenOptions::new().append(true).open(&path).unwrap();
        let second = record(1);
        file.write_all(&second.as_bytes()[..20]).unwrap();
        assert_eq!(texts(&tail.more().unwrap()), Vec::<String>::new());
        file.write_all(&second.as_bytes()[20..]).unwrap();
        assert_eq!(texts(&tail.more().unwrap()), ["line 1"]);
        file.write_all(record(2).as_bytes()).unwrap();
        fs::rename(&path, older(&path)).unwrap();
        fs::write(&path, record(3)).unwrap();
        assert_eq!(texts(&tail.more().unwrap()), ["line 2"]);
        assert_eq!(texts(&tail.more().unwrap()), ["line 3"]);
        assert!(tail.more().unwrap().is_empty());
    }

    #[test]
    fn what_is_no_record_is_shown_as_it_is() {
        let record = LogRecord::parse(b"half a rec");
        assert_eq!((record.time, record.text.as_slice()), (None, &b"half a rec"[..]));
    }
}
