//! The log of one app as it is read: a window on its last lines.

use std::collections::VecDeque;

use crate::model::AppPath;
use crate::process::{LogRecord, Stream};

/// At most so many lines are kept; older ones are in the file.
const LINES_MAX: usize = 5000;

/// The longest line that is shown, in bytes.
const LINE_MAX: usize = 16 * 1024;

/// A log that is open.
#[derive(Debug)]
pub(super) struct LogView {
    pub(super) app: AppPath,
    lines: VecDeque<LogLine>,
    /// The first line of the window; `None`: it follows the end.
    top: Option<usize>,
    /// So many lines came since the window was held.
    pub(super) unseen: usize,
    pub(super) fault: Option<String>,
    pub(super) is_read: bool,
}

/// A line as it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LogLine {
    pub(super) time: Option<crate::model::Timestamp>,
    pub(super) stream: Stream,
    pub(super) text: String,
}

impl LogView {
    pub(super) fn new(app: AppPath) -> Self {
        Self { app, lines: VecDeque::new(), top: None, unseen: 0, fault: None, is_read: false }
    }

    pub(super) fn len(&self) -> usize {
        self.lines.len()
    }

    pub(super) fn is_following(&self) -> bool {
        self.top.is_none()
    }

    pub(super) fn add(&mut self, records: Vec<LogRecord>, is_start: bool) {
        self.is_read = true;
        self.fault = None;
        if is_start {
            self.lines.clear();
            self.top = None;
        }
        if self.top.is_some() {
            self.unseen += records.len();
        }
        for record in records {
            let end = record.text.len().min(LINE_MAX);
            let text = String::from_utf8_lossy(&record.text[..end]).into_owned();
            self.lines.push_back(LogLine { time: record.time, stream: record.stream, text });
        }
        let surplus = self.lines.len().saturating_sub(LINES_MAX);
        self.lines.drain(..surplus);
        self.top = self.top.map(|top| top.saturating_sub(surplus));
    }

    /// The lines of a window of this height.
    pub(super) fn window(&self, height: usize) -> impl Iterator<Item = &LogLine> {
        self.lines.iter().skip(self.first(height)).take(height)
    }

    /// Moves the window; at the end it follows again.
    pub(super) fn scroll(&mut self, by: isize, height: usize) {
        let last = self.lines.len().saturating_sub(height);
        let top = self.first(height).saturating_add_signed(by).min(last);
        if top >= last && by > 0 {
            self.follow();
        } else {
            self.top = Some(top);
        }
    }

    pub(super) fn show_start(&mut self) {
        self.top = Some(0);
    }

    pub(super) fn follow(&mut self) {
        self.top = None;
        self.unseen = 0;
    }

    fn first(&self, height: usize) -> usize {
        let last = self.lines.len().saturating_sub(height);
        self.top.map_or(last, |top| top.min(last))
    }
}
