//! Finds the last lines of a log, over all its files.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};

use super::log_format::{Amount, Entry, LogFiles, Stream, entries};
use super::log_position::position_at;
use super::log_reader::{LogRecord, open, open_all};

/// How much of the end is looked through at first; if that is not enough, four times as much.
const LOOKED_THROUGH_FIRST: u64 = 64 * 1024;

/// The end of a log.
#[derive(Debug)]
pub(super) struct Window {
    /// Whole records, but for the last one, which may still be written.
    pub(super) bytes: Vec<u8>,
    /// Where it begins in all the output; `None` where nothing tells.
    pub(super) position: Option<Amount>,
    /// Whether that is the beginning of all that is there.
    pub(super) is_whole: bool,
    /// The file that is being written, read to its end.
    pub(super) last: Option<File>,
}

/// The end of a log with at least so many lines in it, if there are as many.
pub(super) fn last_lines(files: &LogFiles, count: usize) -> io::Result<Window> {
    let has_head = open(&files.head)?.is_some();
    let mut found = open_all(files)?;
    let mut sizes = Vec::with_capacity(found.len());
    for file in &found {
        sizes.push(file.metadata()?.len());
    }
    let total: u64 = sizes.iter().sum();
    let mut looked_through = LOOKED_THROUGH_FIRST;
    let (begin, mut bytes) = loop {
        let begin = total.saturating_sub(looked_through);
        let mut bytes = read_from(&mut found, &sizes, begin)?;
        // Where reading does not begin with a file, it begins within a record.
        let is_cut = begin > 0 && !is_start_of_file(&sizes, begin);
        let cut = if is_cut { first_record(&bytes) } else { 0 };
        bytes.drain(..cut);
        let begin = begin + cut as u64;
        let lines = if count == 0 { 0 } else { lines_begun(&bytes, begin == 0) };
        if begin == 0 || lines >= count {
            break (begin, bytes);
        }
        looked_through = looked_through.saturating_mul(4);
    };
    if count == 0 {
        bytes.clear();
    }
    let begin = if count == 0 { total } else { begin };
    let position = position(&found, &sizes, begin, has_head)?;
    Ok(Window { bytes, position, is_whole: begin == 0, last: found.pop_back() })
}

/// Reads everything from a place in all the files together on.
fn read_from(files: &mut VecDeque<File>, sizes: &[u64], begin: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut before = 0;
    for (file, size) in files.iter_mut().zip(sizes) {
        if before + size > begin {
            let from = begin.saturating_sub(before);
            file.seek(SeekFrom::Start(from))?;
            if bytes.last().is_some_and(|last| *last != b'\n') {
                // Half a record at the end of the file before.
                bytes.push(b'\n');
            }
            file.by_ref().take(size - from).read_to_end(&mut bytes)?;
        }
        file.seek(SeekFrom::Start(*size))?;
        before += size;
    }
    Ok(bytes)
}

fn is_start_of_file(sizes: &[u64], place: u64) -> bool {
    let mut before = 0;
    sizes.iter().any(|size| {
        let is_start = before == place;
        before += size;
        is_start
    })
}

/// Where the first whole record begins.
fn first_record(bytes: &[u8]) -> usize {
    bytes.iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |at| at + 1)
}

/// Where a place in all the files together is in all the output.
fn position(files: &VecDeque<File>, sizes: &[u64], begin: u64, has_head: bool) -> io::Result<Option<Amount>> {
    if begin == 0 {
        return Ok(Some(Amount::default()));
    }
    let mut before = 0;
    for (number, (file, size)) in files.iter().zip(sizes).enumerate() {
        if begin <= before + size {
            // Reading leaves the place in the file, and that is where the follower goes on.
            let place = (&*file).stream_position()?;
            let is_beginning = number == 0 && (has_head || files.len() == 1);
            let position = position_at(file, begin - before, is_beginning)?;
            (&*file).seek(SeekFrom::Start(place))?;
            return Ok(position);
        }
        before += size;
    }
    Ok(None)
}

/// How many lines begin here. Of the first records it is not known whether they begin one, unless they
/// are the first of all.
fn lines_begun(bytes: &[u8], is_whole: bool) -> usize {
    let mut starts = Starts::new(is_whole);
    entries(bytes)
        .filter(|entry| match entry {
            Entry::Text { stream, is_complete, .. } => starts.is_start(*stream, *is_complete),
            Entry::Foreign(_) => true,
            Entry::Mark { .. } => false,
        })
        .count()
}

/// The last `count` lines of these records, without the rests of lines that began before them.
pub(super) fn without_rests(records: Vec<LogRecord>, count: usize, is_whole: bool) -> Vec<LogRecord> {
    let mut starts = Starts::new(is_whole);
    let begun: Vec<_> =
        records.iter().map(|record| starts.is_start(record.stream, record.is_complete)).collect();
    let lines = begun.iter().filter(|is_start| **is_start).count();
    let mut surplus = lines.saturating_sub(count);
    let mut has_begun = [false; 3];
    records
        .into_iter()
        .zip(begun)
        .filter(|(record, is_start)| {
            if *is_start && surplus > 0 {
                surplus -= 1;
                has_begun[place(record.stream)] = false;
                return false;
            }
            has_begun[place(record.stream)] |= *is_start;
            has_begun[place(record.stream)]
        })
        .map(|(record, _)| record)
        .collect()
}

/// Tells which records begin a line: those before which the line of their stream was ended.
struct Starts([bool; 3]);

impl Starts {
    /// Whether the first record of each stream begins a line; remarks always do.
    fn new(is_whole: bool) -> Self {
        Self([is_whole, is_whole, true])
    }

    fn is_start(&mut self, stream: Stream, is_complete: bool) -> bool {
        std::mem::replace(&mut self.0[place(stream)], is_complete)
    }
}

fn place(stream: Stream) -> usize {
    match stream {
        Stream::Out => 0,
        Stream::Err => 1,
        Stream::Dcm => 2,
    }
}
