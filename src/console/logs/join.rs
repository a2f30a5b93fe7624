//! Lines that come in pieces: what is there of them is shown, and grows.

use std::collections::BTreeMap;

use super::buffer::LogBuffer;
use super::fold::Number;
use super::line::{LINE_MAX, LogLine};
use crate::model::Timestamp;
use crate::process::{LogRecord, Stream};

/// So much of a line is kept while its end has not come. The rest is in the file.
const OPEN_MAX: usize = 4 * LINE_MAX;

/// Which line a piece belongs to: the app, and whether it is standard error.
type Key = (u16, bool);

/// The lines whose end has not come.
#[derive(Debug, Default)]
pub(in crate::console) struct Joiner {
    open: BTreeMap<Key, Open>,
}

#[derive(Debug)]
struct Open {
    record: LogRecord,
    place: Place,
}

/// Where a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Among those that are about to be added.
    Coming(usize),
    Added(Number),
}

/// A line to be added.
#[derive(Debug)]
pub(in crate::console) struct Coming {
    pub(in crate::console) line: LogLine,
    key: Option<Key>,
}

impl Coming {
    /// A line that came whole.
    pub(in crate::console) fn whole(line: LogLine) -> Self {
        Self { line, key: None }
    }
}

impl Joiner {
    /// Makes lines of records. Those that go on one that was shown already change it in the buffer.
    /// `begun` says from when on records of an app belong to another run, which ends no line of the
    /// one before.
    pub(in crate::console) fn take(
        &mut self,
        records: Vec<(u16, LogRecord)>,
        begun: &[(u16, Option<Timestamp>)],
        buffer: &mut LogBuffer,
    ) -> Vec<Coming> {
        let mut begun = begun.to_vec();
        let mut coming: Vec<Coming> = Vec::with_capacity(records.len());
        for (origin, record) in records {
            let is_new = |(app, time): &(u16, Option<Timestamp>)| *app == origin && record.time >= *time;
            while let Some(at) = begun.iter().position(is_new) {
                begun.swap_remove(at);
                self.end(origin, &mut coming);
            }
            let key = (origin, record.stream == Stream::Err);
            if record.stream == Stream::Dcm {
                coming.push(Coming::whole(LogLine::parse(&record, origin)));
                continue;
            }
            let is_complete = record.is_complete;
            if let Some(open) = self.open.get_mut(&key) {
                append(&mut open.record, &record);
                let line = LogLine::parse(&open.record, origin);
                match open.place {
                    Place::Coming(at) => coming[at].line = line,
                    Place::Added(number) => buffer.replace(number, line),
                }
            } else {
                let line = LogLine::parse(&record, origin);
                if !is_complete {
                    self.open.insert(key, Open { record, place: Place::Coming(coming.len()) });
                }
                coming.push(Coming { line, key: (!is_complete).then_some(key) });
            }
            if is_complete && let Some(Open { place: Place::Coming(at), .. }) = self.open.remove(&key) {
                coming[at].key = None;
            }
        }
        coming
    }

    /// What is open of an app will not go on.
    fn end(&mut self, origin: u16, coming: &mut [Coming]) {
        for is_error in [false, true] {
            if let Some(Open { place: Place::Coming(at), .. }) = self.open.remove(&(origin, is_error)) {
                coming[at].key = None;
            }
        }
    }

    /// Adds lines to the buffer and remembers where those are that go on.
    pub(in crate::console) fn add(&mut self, coming: Vec<Coming>, buffer: &mut LogBuffer) {
        for (number, coming) in (buffer.next()..).zip(&coming) {
            if let Some(open) = coming.key.and_then(|key| self.open.get_mut(&key)) {
                open.place = Place::Added(number);
            }
        }
        buffer.add(coming.into_iter().map(|coming| coming.line));
    }
}

/// Of a progress bar only what is drawn last is of interest.
fn append(line: &mut LogRecord, piece: &LogRecord) {
    line.text.extend_from_slice(&piece.text);
    line.is_complete = piece.is_complete;
    if line.text.len() > OPEN_MAX {
        let drawn = line.visible().len() + 1;
        if drawn <= OPEN_MAX {
            line.text.drain(..line.text.len().saturating_sub(drawn));
        } else {
            line.text.truncate(OPEN_MAX);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(stream: Stream, is_complete: bool, text: &str) -> (u16, LogRecord) {
        (0, LogRecord { time: None, stream, is_complete, text: text.as_bytes().to_vec() })
    }

    fn texts(buffer: &LogBuffer) -> Vec<String> {
        buffer.shown().iter().filter_map(|number| Some(buffer.line(*number)?.text.to_string())).collect()
    }

    #[test]
    fn a_line_without_end_does_not_go_on_in_the_next_run() {
        let (mut joiner, mut buffer) = (Joiner::default(), LogBuffer::default());
        let time = crate::model::parse_timestamp("2026-11-23T14:02:11Z").unwrap();
        let mut next = record(Stream::Out, true, "next");
        next.1.time = Some(time);
        let records = vec![record(Stream::Out, false, "cut o"), next];
        let coming = joiner.take(records, &[(0, Some(time))], &mut buffer);
        joiner.add(coming, &mut buffer);
        assert_eq!(texts(&buffer), ["cut o", "next"]);
    }

    #[test]
    fn a_line_grows_where_it_is_shown() {
        let (mut joiner, mut buffer) = (Joiner::default(), LogBuffer::default());
        let mut take = |records| {
            let coming = joiner.take(records, &[], &mut buffer);
            joiner.add(coming, &mut buffer);
            texts(&buffer)
        };
        let first = vec![
            record(Stream::Out, false, "a"),
            record(Stream::Err, true, "error"),
            record(Stream::Out, false, "b"),
            record(Stream::Out, true, "c"),
            record(Stream::Out, false, "prompt> "),
            record(Stream::Dcm, true, "remark"),
        ];
        assert_eq!(take(first), ["abc", "error", "prompt> ", "remark"]);
        assert_eq!(take(vec![record(Stream::Out, true, "yes")]), ["abc", "error", "prompt> yes", "remark"]);
        let bar = vec![record(Stream::Err, false, "\r10%"), record(Stream::Err, false, "\r20%")];
        assert_eq!(take(bar).last().unwrap(), "20%");
        for percent in 21..4000 {
            take(vec![record(Stream::Err, false, &format!("\r{percent}% {}", "#".repeat(50)))]);
        }
        let shown = take(vec![record(Stream::Err, true, "\rdone"), record(Stream::Err, true, "next")]);
        assert_eq!(shown, ["abc", "error", "prompt> yes", "remark", "done", "next"]);
    }
}
