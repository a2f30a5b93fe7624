//! Runs, newest first.

use super::{List, Page, Turn};
use crate::console::keymap::Intent;
use crate::console::request::{Answer, Question, Request, Ticket};
use crate::console::world::World;
use crate::model::{AppId, Run};
use crate::store::HistoryQuery;

/// At most so many are asked for.
const LIMIT: u32 = 500;

/// Wishes of this screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::console) enum Wish {}

/// The state of the screen.
#[derive(Debug, Default)]
pub(in crate::console) struct History {
    /// Of these only; empty: of all.
    pub(in crate::console) apps: Vec<AppId>,
    /// As they are called together.
    pub(in crate::console) what: String,
    pub(in crate::console) list: List<Run>,
}

impl History {
    /// The runs of these apps.
    pub(in crate::console) fn new(apps: Vec<AppId>, what: String) -> Self {
        Self { apps, what, list: List::default() }
    }
}

impl Page for History {
    fn act(&mut self, world: &mut World, intent: Intent) -> Option<Turn> {
        if let Intent::Move(way) = intent {
            self.list.go(way, world.body());
        }
        None
    }

    fn refresh(&mut self, world: &mut World) -> Option<Request> {
        let query = HistoryQuery { apps: self.apps.clone(), limit: LIMIT, ..HistoryQuery::default() };
        Some(self.list.ask(world, Question::History(query)))
    }

    fn tick(&mut self, world: &mut World) -> Option<Request> {
        self.list.is_old(world).then(|| self.refresh(world)).flatten()
    }

    fn answer(&mut self, _world: &mut World, ticket: Ticket, answer: &Result<Answer, String>) -> bool {
        if !self.list.awaits(ticket) {
            return false;
        }
        let rows = match answer {
            Ok(Answer::History(rows)) => Ok(rows.clone()),
            Ok(_) => return false,
            Err(why) => Err(why.clone()),
        };
        self.list.take(rows, |before, row| before.run == row.run);
        true
    }
}
