//! The end of a log as bytes, for a database in between, and what is new in one end after another.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::Path;

use super::log_format::LogFiles;
use super::log_reader::{LogRecord, split};
use super::log_window::without_rests;

/// The last whole records of a log, at most so many bytes of them; empty where there is no log.
///
/// # Errors
/// When the log cannot be read.
pub fn log_end(path: &Path, bytes_max: usize) -> io::Result<Vec<u8>> {
    // One byte more shows whether the first record is whole.
    let wanted = bytes_max + 1;
    let mut bytes = Vec::new();
    for file in LogFiles::of(path).in_order().into_iter().rev() {
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

fn last_bytes(path: &Path, count: usize) -> io::Result<Vec<u8>> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
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
