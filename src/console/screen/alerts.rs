//! Alerts, newest first.

use super::{List, Page, Turn};
use crate::console::keymap::Intent;
use crate::console::request::{Answer, Question, Request, Ticket};
use crate::console::world::World;
use crate::model::AlertRow;
use crate::store::AlertQuery;

/// At most so many are asked for.
const LIMIT: u32 = 500;

/// Wishes of this screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::console) enum Wish {
    /// To the app.
    Open,
}

/// The state of the screen.
#[derive(Debug, Default)]
pub(in crate::console) struct Alerts {
    pub(in crate::console) list: List<AlertRow>,
}

impl Page for Alerts {
    #[expect(clippy::wildcard_enum_match_arm, reason = "wishes of other screens are of no concern")]
    fn act(&mut self, world: &mut World, intent: Intent) -> Option<Turn> {
        match intent {
            Intent::Move(way) => self.list.go(way, world.body().saturating_sub(1)),
            Intent::Alerts(Wish::Open) => {
                let app = self.list.current()?.app.parse().ok();
                return app.and_then(|app| world.fleet.path_of(app)).cloned().map(Turn::GoTo);
            }
            _ => {}
        }
        None
    }

    fn refresh(&mut self, world: &mut World) -> Option<Request> {
        Some(self.list.ask(world, Question::Alerts(AlertQuery { limit: LIMIT, ..AlertQuery::default() })))
    }

    fn tick(&mut self, world: &mut World) -> Option<Request> {
        self.list.is_old(world).then(|| self.refresh(world)).flatten()
    }

    fn answer(&mut self, _world: &mut World, ticket: Ticket, answer: &Result<Answer, String>) -> bool {
        if !self.list.awaits(ticket) {
            return false;
        }
        let rows = match answer {
            Ok(Answer::Alerts(rows)) => Ok(rows.clone()),
            Ok(_) => return false,
            Err(why) => Err(why.clone()),
        };
        self.list.take(rows, |before, row| before.id == row.id);
        true
    }
}
