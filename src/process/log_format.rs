//! What a log file is made of: one record a line, `TIME STREAM FLAG TEXT`, as containers keep it.
//!
//! The time of arrival; `o` for stdout, `e` for stderr, `d` for dcm itself; `F` if a line feed followed,
//! `P` if more of the line may follow in a later record of the same stream. The text is the bytes of the
//! app, unchanged. A record `TIME d @ BYTES LINES` at the head of a file is a mark: so much of the app's
//! output came before it, wherever that is by now. From marks follows exactly what is missing.

use std::path::{Path, PathBuf};

use crate::model::{Timestamp, format_timestamp, parse_timestamp};

/// The bytes of a record besides its text and its line feed.
pub(super) const OVERHEAD: usize = TIME + 5;

/// The length of a time.
const TIME: usize = 24;

/// What every remark about missing output says, between the amount and the reason.
const MISSING: &str = "are missing here: ";

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

/// An amount of output of the app.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Amount {
    /// Bytes, line feeds included.
    pub(super) bytes: u64,
    /// Line feeds.
    pub(super) lines: u64,
}

impl Amount {
    pub(super) fn of(text: &[u8], is_complete: bool) -> Self {
        Self { bytes: text.len() as u64 + u64::from(is_complete), lines: u64::from(is_complete) }
    }

    pub(super) fn add(&mut self, other: Self) {
        self.bytes = self.bytes.saturating_add(other.bytes);
        self.lines = self.lines.saturating_add(other.lines);
    }

    /// What lies between two marks; nothing when they are in the wrong order.
    pub(super) fn since(self, earlier: Self) -> Self {
        Self {
            bytes: self.bytes.saturating_sub(earlier.bytes),
            lines: self.lines.saturating_sub(earlier.lines),
        }
    }

    pub(super) fn is_nothing(self) -> bool {
        self == Self::default()
    }

    /// The remark about output that is missing.
    pub(super) fn missing(self, why: &str) -> String {
        format!("{} bytes in {} lines {MISSING}{why}", self.bytes, self.lines)
    }

    /// Reads the amount out of such a remark.
    fn of_missing(remark: &[u8]) -> Option<Self> {
        let (amount, _) = std::str::from_utf8(remark).ok()?.split_once(MISSING)?;
        let (bytes, lines) = amount.trim_end().strip_suffix(" lines")?.split_once(" bytes in ")?;
        Some(Self { bytes: bytes.parse().ok()?, lines: lines.parse().ok()? })
    }
}

/// One record of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Entry<'a> {
    Text {
        /// Not read yet: most entries are only counted.
        time: &'a [u8],
        stream: Stream,
        is_complete: bool,
        text: &'a [u8],
    },
    /// So much came before.
    Mark { time: &'a [u8], amount: Amount },
    /// Something that dcm did not write, or half a record.
    Foreign(&'a [u8]),
}

impl<'a> Entry<'a> {
    /// Takes a line of the file apart; it comes without its line feed.
    pub(super) fn parse(line: &'a [u8]) -> Self {
        Self::parse_record(line).unwrap_or(Self::Foreign(line))
    }

    fn parse_record(line: &'a [u8]) -> Option<Self> {
        let [b' ', letter, b' ', flag, b' '] = *line.get(TIME..OVERHEAD)? else { return None };
        let stream = [Stream::Out, Stream::Err, Stream::Dcm].into_iter().find(|s| s.letter() == letter)?;
        let (time, text) = (&line[..TIME], &line[OVERHEAD..]);
        match flag {
            b'F' | b'P' => Some(Self::Text { time, stream, is_complete: flag == b'F', text }),
            b'@' if stream == Stream::Dcm => {
                let (bytes, lines) = std::str::from_utf8(text).ok()?.split_once(' ')?;
                let amount = Amount { bytes: bytes.parse().ok()?, lines: lines.parse().ok()? };
                Some(Self::Mark { time, amount })
            }
            _ => None,
        }
    }

    /// How much of the app's output it stands for, what is missing included.
    pub(super) fn amount(&self) -> Amount {
        match self {
            Self::Text { stream: Stream::Out | Stream::Err, text, is_complete, .. } => {
                Amount::of(text, *is_complete)
            }
            Self::Text { stream: Stream::Dcm, text, .. } => Amount::of_missing(text).unwrap_or_default(),
            Self::Mark { .. } | Self::Foreign(_) => Amount::default(),
        }
    }
}

/// Reads the time of an entry.
pub(super) fn time_of(time: &[u8]) -> Option<Timestamp> {
    std::str::from_utf8(time).ok().and_then(|time| parse_timestamp(time).ok())
}

/// The entries of whole lines.
pub(super) fn entries(bytes: &[u8]) -> impl Iterator<Item = Entry<'_>> {
    bytes
        .split_inclusive(|byte| *byte == b'\n')
        .map(|line| Entry::parse(line.strip_suffix(b"\n").unwrap_or(line)))
}

/// Adds a record to a buffer. The time comes as text: many records have the same.
pub(super) fn push(buffer: &mut Vec<u8>, time: &str, stream: Stream, is_complete: bool, text: &[u8]) {
    buffer.extend_from_slice(time.as_bytes());
    buffer.extend_from_slice(&[b' ', stream.letter(), b' ', if is_complete { b'F' } else { b'P' }, b' ']);
    buffer.extend_from_slice(text);
    buffer.push(b'\n');
}

/// The mark at the head of a file.
pub(super) fn mark(time: Timestamp, Amount { bytes, lines }: Amount) -> String {
    format!("{} d @ {bytes} {lines}\n", format_timestamp(time))
}

/// The files of one log, in the order of what they hold.
#[derive(Debug, Clone)]
pub(super) struct LogFiles {
    /// The beginning of the output, once there is more than that.
    pub(super) head: PathBuf,
    /// The older part of its end.
    pub(super) older: PathBuf,
    /// What is being written.
    pub(super) newest: PathBuf,
    /// All of it, once it is old. While this is there the others are not read.
    pub(super) packed: PathBuf,
}

impl LogFiles {
    /// By the path of the file that is being written.
    pub(super) fn of(path: &Path) -> Self {
        let with = |suffix: &str| {
            let mut name = path.as_os_str().to_owned();
            name.push(suffix);
            PathBuf::from(name)
        };
        Self { head: with(".head"), older: with(".1"), newest: path.to_owned(), packed: with(".gz") }
    }

    pub(super) fn in_order(&self) -> [&Path; 3] {
        [&self.head, &self.older, &self.newest]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_come_back_as_they_were_written() {
        const AT: &str = "2026-11-23T14:02:11.123Z";
        let time = time_of(AT.as_bytes()).unwrap();
        let binary: Vec<u8> = (0..=255).filter(|byte| *byte != b'\n').collect();
        for (stream, is_complete, text) in
            [(Stream::Out, true, binary.as_slice()), (Stream::Err, false, b"part"), (Stream::Dcm, true, b"")]
        {
            let mut bytes = Vec::new();
            push(&mut bytes, AT, stream, is_complete, text);
            assert_eq!(bytes.len(), OVERHEAD + text.len() + 1);
            let time = AT.as_bytes();
            let expected = Entry::Text { time, stream, is_complete, text };
            assert_eq!(entries(&bytes).collect::<Vec<_>>(), [expected]);
        }
        let amount = Amount { bytes: 12, lines: 3 };
        let mark = mark(time, amount);
        assert_eq!(entries(mark.as_bytes()).next(), Some(Entry::Mark { time: AT.as_bytes(), amount }));
        for foreign in
            ["half a rec", "", "2026-11-23T14:02:11.123Z o @ 1 2", "2026-11-23T14:02:11.123Z x F x"]
        {
            assert_eq!(Entry::parse(foreign.as_bytes()), Entry::Foreign(foreign.as_bytes()));
        }
    }

    #[test]
    fn a_remark_about_missing_output_says_how_much() {
        let amount = Amount { bytes: 14, lines: 2 };
        assert_eq!(Amount::of_missing(amount.missing("disk full").as_bytes()), Some(amount));
        assert_eq!(Amount::of_missing(b"the next line is not understood"), None);
    }
}
