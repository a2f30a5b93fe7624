//! Lines of a log, put together from the records that they came in.

use super::log_format::Stream;
use super::log_reader::LogRecord;

/// Puts the pieces of lines together. A line stands where its first piece is; one whose end is not among
/// the records stays incomplete.
#[must_use]
pub fn join_lines(records: Vec<LogRecord>) -> Vec<LogRecord> {
    let mut lines: Vec<LogRecord> = Vec::with_capacity(records.len());
    let mut begun: [Option<usize>; 2] = [None; 2];
    for record in records {
        let open = match record.stream {
            Stream::Out => &mut begun[0],
            Stream::Err => &mut begun[1],
            Stream::Dcm => {
                lines.push(record);
                continue;
            }
        };
        match open.and_then(|at| lines.get_mut(at)) {
            Some(line) => {
                line.is_complete = record.is_complete;
                line.text.extend_from_slice(&record.text);
            }
            None => {
                *open = Some(lines.len());
                lines.push(record.clone());
            }
        }
        if record.is_complete {
            *open = None;
        }
    }
    lines
}

/// Puts the pieces of lines together as they are read.
#[derive(Debug, Default)]
pub struct LineJoiner {
    /// Of standard output and standard error.
    begun: [Option<LogRecord>; 2],
}

/// A line that is longer than this is handed out in pieces.
const JOINED_MAX: usize = 1024 * 1024;

impl LineJoiner {
    /// Takes a record and gives back the line that it ends.
    pub fn push(&mut self, record: LogRecord) -> Option<LogRecord> {
        let begun = match record.stream {
            Stream::Out => &mut self.begun[0],
            Stream::Err => &mut self.begun[1],
            Stream::Dcm => return Some(record),
        };
        let line = match begun.take() {
            None => record,
            Some(mut line) => {
                line.is_complete = record.is_complete;
                line.text.extend_from_slice(&record.text);
                line
            }
        };
        if line.is_complete || line.text.len() >= JOINED_MAX {
            return Some(line);
        }
        *begun = Some(line);
        None
    }

    /// What is there of lines that have no end, or have none yet.
    pub fn finish(&mut self) -> Vec<LogRecord> {
        self.begun.iter_mut().filter_map(Option::take).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_of_a_line_are_put_together() {
        let record = |stream, is_complete, text: &str| LogRecord {
            time: None,
            stream,
            is_complete,
            text: text.as_bytes().to_vec(),
        };
        let records = vec![
            record(Stream::Out, false, "a"),
            record(Stream::Err, true, "error"),
            record(Stream::Dcm, true, "remark"),
            record(Stream::Out, false, "b"),
            record(Stream::Out, true, "c"),
            record(Stream::Out, true, "d"),
            record(Stream::Out, false, "e"),
        ];
        let lines: Vec<_> = join_lines(records)
            .into_iter()
            .map(|line| (String::from_utf8(line.text).unwrap(), line.is_complete))
            .collect();
        let expected = [("abc", true), ("error", true), ("remark", true), ("d", true), ("e", false)]
            .map(|(t, c)| (t.to_owned(), c));
        assert_eq!(lines, expected);
    }
}
