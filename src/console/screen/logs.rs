//! The log of one app as it is read: a window on its last lines.

use std::collections::VecDeque;

use super::{Page, Turn};
use crate::console::keymap::{Intent, Move};
use crate::console::request::Request;
use crate::console::world::World;
use crate::model::AppPath;
use crate::process::{LogRecord, Stream};

/// At most so many lines are kept; older ones are in the file.
const LINES_MAX: usize = 5000;

/// The longest line that is shown, in bytes.
const LINE_MAX: usize = 16 * 1024;

/// Wishes of this screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::console) enum Wish {
    Follow,
}

/// A log that is open; none, until an app is chosen.
#[derive(Debug, Default)]
pub(in crate::console) struct Logs {
    app: Option<AppPath>,
    lines: VecDeque<LogLine>,
    /// The first line of the window; `None`: it follows the end.
    top: Option<usize>,
    /// So many lines came since the window was held.
    pub(in crate::console) unseen: usize,
    pub(in crate::console) fault: Option<String>,
    pub(in crate::console) is_read: bool,
}

/// A line as it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::console) struct LogLine {
    pub(in crate::console) time: Option<crate::model::Timestamp>,
    pub(in crate::console) stream: Stream,
    pub(in crate::console) text: String,
}

impl Logs {
    pub(in crate::console) fn new(app: AppPath) -> Self {
        Self { app: Some(app), ..Self::default() }
    }

    pub(in crate::console) fn app(&self) -> Option<&AppPath> {
        self.app.as_ref()
    }

    pub(in crate::console) fn len(&self) -> usize {
        self.lines.len()
    }

    pub(in crate::console) fn is_following(&self) -> bool {
        self.top.is_none()
    }

    pub(in crate::console) fn add(&mut self, records: Vec<LogRecord>, is_start: bool) {
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
    pub(in crate::console) fn window(&self, height: usize) -> impl Iterator<Item = &LogLine> {
        self.lines.iter().skip(self.first(height)).take(height)
    }

    /// Moves the window; at the end it follows again.
    pub(in crate::console) fn scroll(&mut self, by: isize, height: usize) {
        let last = self.lines.len().saturating_sub(height);
        let top = self.first(height).saturating_add_signed(by).min(last);
        if top >= last && by > 0 {
            self.follow();
        } else {
            self.top = Some(top);
        }
    }

    pub(in crate::console) fn show_start(&mut self) {
        self.top = Some(0);
    }

    pub(in crate::console) fn follow(&mut self) {
        self.top = None;
        self.unseen = 0;
    }

    fn first(&self, height: usize) -> usize {
        let last = self.lines.len().saturating_sub(height);
        self.top.map_or(last, |top| top.min(last))
    }
}

impl Page for Logs {
    #[expect(clippy::wildcard_enum_match_arm, reason = "wishes of other screens are of no concern")]
    fn act(&mut self, world: &mut World, intent: Intent) -> Option<Turn> {
        let height = world.body();
        match intent {
            Intent::Move(Move::Top) => self.show_start(),
            Intent::Move(Move::Bottom) | Intent::Logs(Wish::Follow) => self.follow(),
            Intent::Move(way) => self.scroll(way.rows(height), height),
            _ => {}
        }
        None
    }

    fn enter(&mut self, _world: &mut World) -> Option<Request> {
        self.app.clone().map(Request::OpenLog)
    }

    fn leave(&mut self) -> Option<Request> {
        Some(Request::CloseLog)
    }
}
