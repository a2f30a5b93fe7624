//! The end of a log as bytes, for a database in between, and what is new in one end after another.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::Path;

use super::lines::LINE_MAX;
use super::log_format::{LogFiles, OVERHEAD, Stream};
use super::log_lines::join_lines;
use super::log_pack::unpack;
use super::log_reader::{LogRecord, split};
use super::log_window::without_rests;
use super::sys;
use crate::model::{Blame, Closing, Ending, StderrTail};

/// The longest record, with its line feed.
const RECORD_MAX: usize = OVERHEAD + LINE_MAX + 1;

/// The last whole records of a log, at most so many bytes of them; empty where there is no log.
///
/// # Errors
/// When the log cannot be read.
pub fn log_end(path: &Path, bytes_max: usize) -> io::Result<Vec<u8>> {
    // One byte more shows whether the first record is whole.
    let wanted = bytes_max + 1;
    let mut bytes = Vec::new();
    for file in open_for_end(&LogFiles::of(path))?.into_iter().rev() {
        let mut before = last_bytes(file, wanted - bytes.len())?;
        before.append(&mut bytes);
        bytes = before;
    }
    let has_more_before = bytes.len() == wanted;
    let end = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    bytes.truncate(end);
    if has_more_before {
        let begin = bytes.iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |at| at + 1);
        bytes.drain(..begin);
    }
    Ok(bytes)
}

/// How much of the end of a log is looked through for lines of standard error; if these are too few, at most so much
/// more. An app that also writes to standard output has its lines in between.
const STDERR_WITHIN: [usize; 2] = [32 * 1024, 256 * 1024];

/// Adds the end of its standard error to what is known of a run that ended badly.
pub(super) fn add_stderr(closing: &mut Closing, log: &Path) {
    let has_run = !matches!(closing.ending, Ending::StartFailed(_));
    if has_run && closing.ending.outcome().blame() == Blame::Bad {
        // A log that cannot be read says nothing; the end of the run is known without it.
        closing.stderr = stderr_tail(log).ok().flatten().map(Box::new);
    }
}

fn stderr_tail(log: &Path) -> io::Result<Option<StderrTail>> {
    let [first, most] = STDERR_WITHIN;
    let (tail, is_enough) = stderr_within(log, first)?;
    if is_enough { Ok(tail) } else { Ok(stderr_within(log, most)?.0) }
}

/// The end of standard error within so many bytes of the log's end, and whether more bytes would add nothing to it.
fn stderr_within(log: &Path, bytes_max: usize) -> io::Result<(Option<StderrTail>, bool)> {
    let bytes = log_end(log, bytes_max)?;
    // Whole records: where less comes back than was asked for by no more than a record, there may be more.
    let is_whole = bytes.len() + RECORD_MAX < bytes_max;
    let mut records = split(&bytes);
    records.retain(|record| record.stream == Stream::Err);
    let lines = join_lines(records);
    let is_enough = is_whole || lines.len() > StderrTail::LINES_MAX;
    Ok((StderrTail::of(lines.iter().map(LogRecord::visible), is_whole), is_enough))
}

/// The files of a log from its beginning on. What is no file, such as a pipe that an app put there, is not waited for.
fn open_for_end(files: &LogFiles) -> io::Result<Vec<File>> {
    let unpacked =
        files.in_order().into_iter().filter_map(|path| sys::open_journal(path).transpose()).collect();
    match sys::open_journal(&files.packed)? {
        Some(packed) => Ok(vec![unpack(packed)?]),
        None => unpacked,
    }
}

fn last_bytes(mut file: File, count: usize) -> io::Result<Vec<u8>> {
    let size = file.metadata()?.len();
    file.seek(SeekFrom::Start(size.saturating_sub(count as u64)))?;
    let mut bytes = Vec::new();
    file.take(count as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Follows a log by its ends.
#[derive(Debug, Default)]
pub struct LogEnds {
    last: Vec<u8>,
    has_begun: bool,
}

/// What an end of a log holds that the one before did not.
#[derive(Debug, PartialEq, Eq)]
pub struct News {
    /// Something between the two was never seen.
    pub has_gap: bool,
    /// The new records.
    pub records: Vec<LogRecord>,
}

impl News {
    /// The last lines of it. Where the end of a log begins, a line may have begun before.
    #[must_use]
    pub fn last_lines(self, count: usize) -> Vec<LogRecord> {
        without_rests(self.records, count, true)
    }
}

impl LogEnds {
    /// Takes the next end of the same log.
    pub fn take(&mut self, bytes: Vec<u8>) -> News {
        // The longest end of the one that is the beginning of the other is what both show.
        let known = (0..=self.last.len().min(bytes.len()))
            .rev()
            .find(|length| self.last.ends_with(&bytes[..*length]))
            .unwrap_or(0);
        let has_gap = self.has_begun && known == 0 && !self.last.is_empty() && !bytes.is_empty();
        let records = split(&bytes[known..]);
        self.has_begun = true;
        self.last = bytes;
        News { has_gap, records }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(number: usize) -> String {
        format!("2026-11-23T14:02:11.{:03}Z o F line {number}\n", number % 1000)
    }

    fn text(numbers: std::ops::Range<usize>) -> String {
        numbers.map(record).collect()
    }

    #[test]
    fn the_end_of_a_log_is_whole_records_of_both_files() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.log");
        assert_eq!(log_end(&path, 100).unwrap(), b"");
        std::fs::write(LogFiles::of(&path).older, text(0..5)).unwrap();
        std::fs::write(&path, format!("{}2026-11-23T14:02:11.000Z o F half a rec", text(5..8))).unwrap();
        let one = record(0).len();
        assert_eq!(log_end(&path, 100 * one).unwrap(), text(0..8).into_bytes());
        assert_eq!(log_end(&path, 5 * one).unwrap(), text(5..8).into_bytes(), "the half one counts");
        assert_eq!(log_end(&path, one / 2).unwrap(), b"");
    }

    /// A log of these lines: stream, text.
    fn stderr_of(lines: &[(char, &str)]) -> Option<StderrTail> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.log");
        let records =
            lines.iter().map(|(stream, text)| format!("2026-11-23T14:02:11.123Z {stream} F {text}\n"));
        std::fs::write(&path, records.collect::<String>()).unwrap();
        let ending = Ending::Exited(crate::model::Exit::Code(3));
        let mut closing = Closing::unseen(ending, crate::model::Timestamp::UNIX_EPOCH);
        add_stderr(&mut closing, &path);
        closing.stderr.map(|stderr| *stderr)
    }

    #[test]
    fn the_end_of_standard_error_is_found_among_other_lines() {
        assert_eq!(stderr_of(&[]), None);
        assert_eq!(stderr_of(&[('o', "only output"), ('d', "a remark")]), None);
        let found =
            stderr_of(&[('e', "Traceback:"), ('o', "bye"), ('d', "x"), ('e', "ValueError: x")]).unwrap();
        assert_eq!((found.text(), found.error()), ("Traceback:\nValueError: x", "ValueError: x"));
        let output = "o".repeat(1000);
        let chatty: Vec<_> = std::iter::once(('e', "the reason")).chain(vec![('o', &*output); 100]).collect();
        assert_eq!(stderr_of(&chatty).unwrap().error(), "the reason");
        let flood = vec![('e', &*output); 1000];
        assert!(stderr_of(&flood).unwrap().text().starts_with("[earlier lines"));
        assert_eq!(stderr_of(&[('e', "50%\r100%\r"), ('e', "")]).unwrap().text(), "100%");
    }

    #[cfg(unix)]
    #[test]
    fn a_pipe_in_the_place_of_a_log_is_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.log");
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert_eq!(log_end(&path, 100).unwrap(), b"");
    }

    #[test]
    fn each_record_is_news_once_and_a_gap_is_told() {
        let mut ends = LogEnds::default();
        let mut take = |numbers| {
            let News { has_gap, records } = ends.take(text(numbers).into_bytes());
            let lines: Vec<_> =
                records.iter().map(|record| String::from_utf8_lossy(&record.text).into_owned()).collect();
            (has_gap, lines.join(" "))
        };
        assert_eq!(take(0..2), (false, "line 0 line 1".to_owned()));
        assert_eq!(take(0..2), (false, String::new()));
        assert_eq!(take(0..4), (false, "line 2 line 3".to_owned()));
        assert_eq!(take(3..6), (false, "line 4 line 5".to_owned()));
        assert_eq!(take(8..10), (true, "line 8 line 9".to_owned()));
    }
}
