//! Where in all the output of a run a place in its log files is.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom};
use std::path::Path;

use super::log_format::{Amount, Entry, LogFiles};

/// So much of a file is read to find out where it is.
const SCANNED_MAX: u64 = 64 * 1024 * 1024;

/// Where a log goes on.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct End {
    /// All output so far, what is missing included.
    pub(super) position: Amount,
    /// Whether the newest file is, or will be, the beginning of the output.
    pub(super) is_beginning: bool,
    /// Whether the newest file ends with half a record.
    pub(super) is_torn: bool,
}

/// The end of a log; one that cannot be read counts as one that is not there.
pub(super) fn end_of(files: &LogFiles) -> End {
    let [head, older, newest] = files.in_order();
    let written = scan(newest).unwrap_or_default();
    if !written.is_empty {
        let has_older = older.exists() || head.exists();
        return End {
            position: written.position(),
            is_beginning: written.mark.is_none() && !has_older,
            is_torn: written.is_torn,
        };
    }
    // It was not begun again after a rotation, or somebody removed it.
    let before = [older, head].into_iter().map(|path| scan(path).unwrap_or_default());
    match before.into_iter().find(|file| !file.is_empty) {
        Some(file) => End { position: file.position(), is_beginning: false, is_torn: false },
        None => End { is_beginning: true, ..End::default() },
    }
}

/// What a file holds.
#[derive(Debug)]
struct Scanned {
    mark: Option<Amount>,
    /// What comes after the last mark.
    amount: Amount,
    is_empty: bool,
    is_torn: bool,
}

impl Scanned {
    /// Where its end is in all the output.
    fn position(&self) -> Amount {
        let mut position = self.mark.unwrap_or_default();
        position.add(self.amount);
        position
    }
}

impl Default for Scanned {
    fn default() -> Self {
        Self { mark: None, amount: Amount::default(), is_empty: true, is_torn: false }
    }
}

fn scan(path: &Path) -> io::Result<Scanned> {
    scan_up_to(&File::open(path)?, u64::MAX)
}

fn scan_up_to(mut file: &File, length: u64) -> io::Result<Scanned> {
    let mut scanned = Scanned::default();
    file.seek(SeekFrom::Start(0))?;
    let mut reader = BufReader::new(file.take(length));
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line)? > 0 {
        scanned.is_empty = false;
        scanned.is_torn = line.pop_if(|last| *last == b'\n').is_none();
        let entry = Entry::parse(&line);
        if let Entry::Mark { amount, .. } = entry {
            scanned.mark = Some(amount);
            scanned.amount = Amount::default();
        }
        scanned.amount.add(entry.amount());
        line.clear();
    }
    Ok(scanned)
}

/// The position of a place in a file of a log. `None` where nothing tells: a log of an older version, or one
/// so large that somebody would wait for it.
pub(super) fn position_at(file: &File, offset: u64, is_beginning: bool) -> io::Result<Option<Amount>> {
    if offset > SCANNED_MAX {
        return Ok(None);
    }
    let scanned = scan_up_to(file, offset)?;
    let is_known = scanned.mark.is_some() || is_beginning;
    Ok(is_known.then(|| scanned.position()))
}
