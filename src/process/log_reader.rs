//! Reads the output of runs back from disk.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use super::layout::StateDir;
use super::log_format::{Amount, Entry, LogFiles, Stream, entries, time_of};
use super::log_pack::unpack;
use super::log_window::{self, Window};
use super::sys;
use crate::model::{AppId, RunId, Timestamp};

/// One record of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogRecord {
    /// When it arrived; `None` for something that dcm did not write.
    pub time: Option<Timestamp>,
    /// Where it comes from.
    pub stream: Stream,
    /// Whether a line feed followed. If not, the line goes on with the next record of the same stream.
    pub is_complete: bool,
    /// The bytes of the app, without the line feed.
    pub text: Vec<u8>,
}

impl LogRecord {
    /// `None` for what only readers of the file need.
    pub(super) fn of(entry: Entry<'_>) -> Option<Self> {
        let foreign =
            |text: &[u8]| Self { time: None, stream: Stream::Dcm, is_complete: true, text: text.to_vec() };
        match entry {
            Entry::Text { time, stream, is_complete, text } => match time_of(time) {
                Some(time) => Some(Self { time: Some(time), stream, is_complete, text: text.to_vec() }),
                None => Some(foreign(text)),
            },
            Entry::Mark { .. } => None,
            Entry::Foreign(text) => Some(foreign(text)),
        }
    }

    /// What a terminal shows of it: a carriage return begins the line anew, and what is drawn over it is
    /// seen. At the end of a line it belongs to the line feed.
    #[must_use]
    pub fn visible(&self) -> &[u8] {
        let text = self.text.strip_suffix(b"\r").unwrap_or(&self.text);
        let begin = text.iter().rposition(|byte| *byte == b'\r').map_or(0, |at| at + 1);
        &text[begin..]
    }
}

pub(super) fn split(bytes: &[u8]) -> Vec<LogRecord> {
    entries(bytes).filter_map(LogRecord::of).collect()
}

/// The logs of an app that are on this host, newest run first. A path names a log, whose files may be several, or packed.
pub fn logs_of(state: &StateDir, app: AppId) -> Vec<(RunId, PathBuf)> {
    let Ok(entries) = fs::read_dir(state.logs(app)) else { return Vec::new() };
    let mut logs: Vec<_> = entries
        .filter_map(Result::ok)
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let name = name.strip_suffix(".gz").unwrap_or(&name).to_owned();
            let run = name.strip_suffix(".log")?.split_once('-')?.1.parse().ok()?;
            let path = entry.path().with_file_name(&name);
            Some((name, run, path))
        })
        .collect();
    logs.sort_by(|(a, ..), (b, ..)| b.cmp(a));
    // A log that is being packed is there twice.
    logs.dedup_by(|(a, ..), (b, ..)| a == b);
    logs.into_iter().map(|(_, run, path)| (run, path)).collect()
}

/// The files of a log that are there, from its beginning on.
#[must_use]
pub fn log_files(path: &Path) -> Vec<PathBuf> {
    let files = LogFiles::of(path);
    if files.packed.exists() {
        return vec![files.packed];
    }
    files.in_order().into_iter().filter(|file| file.exists()).map(Path::to_owned).collect()
}

/// When a log was written to last; `None` where that cannot be seen.
#[must_use]
pub fn written_last(path: &Path) -> Option<Timestamp> {
    let modified = |file: &PathBuf| fs::metadata(file).and_then(|metadata| metadata.modified()).ok();
    log_files(path).iter().filter_map(modified).max().map(Timestamp::from)
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
    files: LogFiles,
    /// Kept open: after a rotation the rest of the file is still read through it.
    file: Option<File>,
    /// What is read after it.
    next: VecDeque<File>,
    carry: Vec<u8>,
    gaps: Gaps,
}

/// How much is read at once.
const CHUNK: usize = 64 * 1024;

impl LogTail {
    /// The last `count` lines of a log, and the place after them. A line may be several records.
    ///
    /// # Errors
    /// When the log cannot be read; a log that does not exist yet is empty.
    pub fn open(path: &Path, count: usize) -> io::Result<(Self, Vec<LogRecord>)> {
        let mut tail = Self::from_start(path);
        let Window { bytes, position, is_whole, last } = log_window::last_lines(&tail.files, count)?;
        tail.gaps.position = position;
        tail.file = last;
        let records = tail.take(&bytes);
        Ok((tail, log_window::without_rests(records, count, is_whole)))
    }

    /// The place before the first record of a log, which may not exist yet.
    #[must_use]
    pub fn from_start(path: &Path) -> Self {
        Self {
            files: LogFiles::of(path),
            file: None,
            next: VecDeque::new(),
            carry: Vec::new(),
            gaps: Gaps { position: Some(Amount::default()) },
        }
    }

    /// What was written since, at most some 64 KiB of it; empty when there is nothing new.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn more(&mut self) -> io::Result<Vec<LogRecord>> {
        let mut chunk = vec![0; CHUNK];
        loop {
            let length = self.file.as_mut().map_or(Ok(0), |file| file.read(&mut chunk))?;
            if length > 0 {
                return Ok(self.take(&chunk[..length]));
            }
            if !self.go_on()? {
                return Ok(Vec::new());
            }
        }
    }

    /// Goes on in the next file, when this one has become an older one.
    fn go_on(&mut self) -> io::Result<bool> {
        if self.next.is_empty() {
            let Some(file) = &mut self.file else {
                self.next = open_all(&self.files)?;
                self.file = self.next.pop_front();
                return Ok(self.file.is_some());
            };
            let Some(found) = open(&self.files.newest)? else { return Ok(false) };
            if is_same(file, &found) {
                // Cut off by `copytruncate`.
                let is_cut_off = file.stream_position()? > found.metadata()?.len();
                if is_cut_off {
                    file.seek(SeekFrom::Start(0))?;
                    self.carry.clear();
                }
                return Ok(is_cut_off);
            }
            // If this one is not even the older one by now, more than one was begun after it.
            let is_older = |path| Ok::<_, io::Error>(open(path)?.is_some_and(|found| is_same(file, &found)));
            let has_one_between = !is_older(&self.files.older)? && !is_older(&self.files.head)?;
            let between = if has_one_between { open(&self.files.older)? } else { None };
            self.next = between.into_iter().chain([found]).collect();
        }
        // Half a record of a writer that was killed.
        self.carry.clear();
        self.file = self.next.pop_front();
        Ok(true)
    }

    fn take(&mut self, bytes: &[u8]) -> Vec<LogRecord> {
        self.carry.extend_from_slice(bytes);
        let end = self.carry.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        let rest = self.carry.split_off(end);
        let whole = std::mem::replace(&mut self.carry, rest);
        entries(&whole).flat_map(|entry| [self.gaps.before(&entry), LogRecord::of(entry)]).flatten().collect()
    }
}

/// Notices what is missing: a mark that lies behind what was read so far.
#[derive(Debug)]
struct Gaps {
    /// All output up to here; `None` where nothing tells.
    position: Option<Amount>,
}

impl Gaps {
    /// The remark about what is missing before an entry.
    fn before(&mut self, entry: &Entry<'_>) -> Option<LogRecord> {
        if let Entry::Mark { time, amount } = entry {
            let missing = self.position.replace(*amount).map(|position| amount.since(position));
            let missing = missing.filter(|missing| !missing.is_nothing())?;
            let text = missing.missing("log_limit was reached, or files of the log were removed");
            let time = time_of(time);
            return Some(LogRecord { time, stream: Stream::Dcm, is_complete: true, text: text.into_bytes() });
        }
        if let Some(position) = &mut self.position {
            position.add(entry.amount());
        }
        None
    }
}

pub(super) fn open(path: &Path) -> io::Result<Option<File>> {
    match File::open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// The files of a log from its beginning on.
pub(super) fn open_all(files: &LogFiles) -> io::Result<VecDeque<File>> {
    let unpacked = files.in_order().into_iter().filter_map(|path| open(path).transpose()).collect();
    // In this order: it is whole before the others are removed.
    match open(&files.packed)? {
        Some(packed) => Ok(VecDeque::from([unpack(packed)?])),
        None => unpacked,
    }
}

fn is_same(ours: &File, theirs: &File) -> bool {
    let id = |file: &File| file.metadata().ok().map(|metadata| sys::file_id(&metadata));
    id(ours) == id(theirs)
}

#[cfg(test)]
mod tests;
