//! The log of an app whose runs are on another host: its end, by way of the database.

use std::time::Duration;

use super::List;
use crate::console::request::{Answer, Question, Request, Ticket};
use crate::console::world::World;
use crate::model::{AppId, KeptLog, RunId};
use crate::process::{LogEnds, LogRecord};
use crate::store::StoreError;

/// The wish for a fresh end is renewed this often: managers keep it for a little longer.
const WISH_EVERY: Duration = Duration::from_secs(5);

/// What is known of a log that is elsewhere.
#[derive(Debug, Default)]
pub(in crate::console) struct Afar {
    asked: List<()>,
    wished: Option<Duration>,
    ends: LogEnds,
    run: Option<RunId>,
    /// The manager whose host has the whole log.
    pub(in crate::console) manager: Option<String>,
    /// Nothing of it is kept in the database either.
    pub(in crate::console) is_nowhere: bool,
    pub(in crate::console) fault: Option<String>,
}

/// What is new in it.
#[derive(Debug, Default)]
pub(super) struct News {
    pub(super) begun: Option<RunId>,
    pub(super) has_gap: bool,
    pub(super) records: Vec<LogRecord>,
}

impl Afar {
    /// Asks for its end, if that is time.
    pub(super) fn tick(&mut self, world: &mut World, app: AppId, run: Option<RunId>) -> Option<Request> {
        if self.asked.is_waiting() || !self.asked.is_old(world) {
            return None;
        }
        let now = world.now.mono;
        let is_wish = self.wished.is_none_or(|wished| now >= wished + WISH_EVERY);
        if is_wish {
            self.wished = Some(now);
        }
        Some(self.asked.ask(world, Question::KeptLog { app, run, is_wish }))
    }

    /// `None` if that was the answer to another question.
    pub(super) fn answer(&mut self, ticket: Ticket, answer: &Result<Answer, StoreError>) -> Option<News> {
        if !self.asked.awaits(ticket) {
            return None;
        }
        self.asked.take(Ok(Vec::new()), |(), ()| true);
        self.fault = answer.as_ref().err().map(ToString::to_string);
        let Ok(Answer::KeptLog(kept)) = answer else { return Some(News::default()) };
        self.is_nowhere = kept.is_none() && self.run.is_none();
        let Some(KeptLog { run, manager, bytes, .. }) = kept else { return Some(News::default()) };
        let begun = (self.run != Some(*run)).then_some(*run);
        if begun.is_some() {
            self.run = Some(*run);
            self.ends = LogEnds::default();
        }
        self.manager = Some(manager.clone());
        let news = self.ends.take(bytes.clone());
        Some(News { begun, has_gap: news.has_gap, records: news.records })
    }
}
