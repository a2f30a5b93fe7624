//! Where in all the output of a run a place in its log files is.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom};
use std::path::Path;

use super::log_format::{Amount, Entry, LogFiles};

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
    let [head, older, newest] = files.in_order().map(|path| scan(path).unwrap_or_default());
    let mut end = End { is_torn: newest.is_torn, is_beginning: true, position: Amount::default() };
    for (file, is_newest) in [(&head, false), (&older, false), (&newest, true)] {
        match file.mark {
            Some(mark) => end.position = mark,
            None if file.is_empty => continue,
            None => {}
        }
        end.position.add(file.amount);
        end.is_beginning = is_newest && file.mark.is_none() && head.is_empty && older.is_empty;
    }
    end
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

/// The position of a place in a file of a log. `None` where nothing tells: a log of an older version.
pub(super) fn position_at(file: &File, offset: u64, is_beginning: bool) -> io::Result<Option<Amount>> {
    let Scanned { mark, mut amount, .. } = scan_up_to(file, offset)?;
    let Some(base) = mark.or(is_beginning.then(Amount::default)) else { return Ok(None) };
    amount.add(base);
    Ok(Some(amount))
}
