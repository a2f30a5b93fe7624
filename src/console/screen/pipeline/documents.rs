//! Documents, newest first, as they are asked for by a line of words.

use crate::console::keymap::Move;
use crate::console::pipeline::DocumentFilter;
use crate::console::request::{Question, Request};
use crate::console::screen::List;
use crate::console::world::World;
use crate::model::PipelineTask;

/// How many are asked for at first, and how many more at the end of the list.
const PAGE: u32 = 200;

/// The most that are kept; older ones are found by words.
const LIMIT_MAX: u32 = 5000;

/// The documents that were asked for.
#[derive(Debug, Default)]
pub(in crate::console) struct Documents {
    pub(in crate::console) list: List<PipelineTask>,
    /// What was typed, and what it means.
    pub(in crate::console) text: String,
    pub(in crate::console) filter: DocumentFilter,
    /// What the rows are the answer to.
    asked: DocumentFilter,
    more: u32,
}

impl Documents {
    pub(in crate::console) fn new(text: &str) -> Self {
        Self { text: text.to_owned(), filter: DocumentFilter::parse(text), ..Self::default() }
    }

    fn limit(&self) -> u32 {
        (PAGE + self.more).min(LIMIT_MAX)
    }

    /// Whether there are more of them than were read.
    pub(in crate::console) fn is_cut(&self) -> bool {
        self.list.rows.len() >= self.limit() as usize
    }

    /// Whether the rows are not those that are asked for yet.
    pub(in crate::console) fn is_late(&self) -> bool {
        self.asked != self.filter || self.list.is_waiting() && !self.list.is_read
    }

    pub(in crate::console) fn ask(&mut self, world: &mut World) -> Request {
        self.asked.clone_from(&self.filter);
        let query = self.filter.query(self.limit());
        self.list.ask(world, Question::Documents(query))
    }

    /// Looks for something else. One question is under way at a time: whoever types fast is asked for the last word.
    pub(in crate::console) fn seek(&mut self, world: &mut World, text: &str) -> Option<Request> {
        text.clone_into(&mut self.text);
        self.filter = DocumentFilter::parse(text);
        self.more = 0;
        let is_due = !self.list.is_waiting() && (self.filter != self.asked || !self.list.is_read);
        is_due.then(|| self.ask(world))
    }

    pub(in crate::console) fn tick(&mut self, world: &mut World) -> Option<Request> {
        let has_changed = self.filter != self.asked && !self.list.is_waiting();
        (has_changed || self.list.is_old(world)).then(|| self.ask(world))
    }

    pub(in crate::console) fn go(&mut self, world: &mut World, way: Move, page: usize) -> Option<Request> {
        self.list.go(way, page);
        let is_at_end = self.list.cursor + 1 >= self.list.rows.len();
        if is_at_end && self.is_cut() && self.limit() < LIMIT_MAX {
            self.more += PAGE;
            return Some(self.ask(world));
        }
        None
    }
}
