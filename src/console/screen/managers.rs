//! The managers of the database.

use super::{List, Page, Turn};
use crate::console::keymap::Intent;
use crate::console::request::{Answer, Question, Request, Ticket};
use crate::console::world::World;
use crate::model::{ManagerRow, Timestamp};

/// Wishes of this screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::console) enum Wish {}

/// Whether a manager lives, as far as is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::console) enum Life {
    Alive,
    /// It did not end in order, and is not heard of.
    Silent,
    Ended,
}

pub(in crate::console) fn life(row: &ManagerRow, now: Timestamp) -> Life {
    match row.stopped {
        Some(_) => Life::Ended,
        None if row.is_live(now) => Life::Alive,
        None => Life::Silent,
    }
}

/// The state of the screen.
#[derive(Debug, Default)]
pub(in crate::console) struct Managers {
    pub(in crate::console) list: List<ManagerRow>,
}

impl Page for Managers {
    fn act(&mut self, world: &mut World, intent: Intent) -> Option<Turn> {
        if let Intent::Move(way) = intent {
            self.list.go(way, world.body());
        }
        None
    }

    fn refresh(&mut self, world: &mut World) -> Option<Request> {
        Some(self.list.ask(world, Question::Managers))
    }

    fn tick(&mut self, world: &mut World) -> Option<Request> {
        self.list.is_old(world).then(|| self.refresh(world)).flatten()
    }

    fn answer(&mut self, _world: &mut World, ticket: Ticket, answer: &Result<Answer, String>) -> bool {
        if !self.list.awaits(ticket) {
            return false;
        }
        let rows = match answer {
            Ok(Answer::Managers(rows)) => Ok(rows.clone()),
            Ok(_) => return false,
            Err(why) => Err(why.clone()),
        };
        self.list.take(rows, |before, row| before.name == row.name);
        true
    }
}
