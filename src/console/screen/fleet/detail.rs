//! What is known of the app under the cursor besides its row: its last runs and commands. It is asked
//! for when the cursor has come to rest.

use std::time::Duration;

use crate::console::request::{Answer, Question, Request, Ticket};
use crate::console::screen::List;
use crate::console::world::World;
use crate::model::{AppId, CommandRow, Run};
use crate::store::{HistoryQuery, LedgerQuery};

/// The cursor rests when it has been on an app for so long.
const REST: Duration = Duration::from_millis(300);

/// Runs and commands that are shown at most.
const RUNS: u32 = 20;
const COMMANDS: u32 = 5;

/// The detail of one app.
#[derive(Debug, Default)]
pub(in crate::console) struct Detail {
    pub(in crate::console) app: Option<AppId>,
    pub(in crate::console) runs: List<Run>,
    pub(in crate::console) commands: List<CommandRow>,
    /// Since when the cursor is on the app.
    since: Duration,
    is_asked: bool,
    /// It takes the place of the table.
    pub(in crate::console) is_zoomed: bool,
}

impl Detail {
    /// The cursor is on this app now, or on none.
    pub(super) fn follow(&mut self, app: Option<AppId>, now: Duration) {
        if self.app != app {
            let is_zoomed = self.is_zoomed && app.is_some();
            *self = Self { app, since: now, is_zoomed, ..Self::default() };
        }
    }

    /// What is to be asked now; one question at a time.
    pub(super) fn tick(&mut self, world: &mut World, is_seen: bool) -> Option<Request> {
        let app = self.app.filter(|_| is_seen && world.now.mono >= self.since + REST)?;
        if !self.is_asked || self.runs.is_old(world) {
            self.is_asked = true;
            let query = HistoryQuery { apps: vec![app], limit: RUNS, ..HistoryQuery::default() };
            return Some(self.runs.ask(world, Question::History(query)));
        }
        if !self.commands.is_waiting() && self.commands.is_old(world) {
            let query = LedgerQuery { app: Some(app), limit: COMMANDS, ..LedgerQuery::default() };
            return Some(self.commands.ask(world, Question::Commands(query)));
        }
        None
    }

    pub(super) fn answer(&mut self, ticket: Ticket, answer: &Result<Answer, String>) -> bool {
        if self.runs.awaits(ticket) {
            let runs = match answer {
                Ok(Answer::History(runs)) => Ok(runs.clone()),
                Ok(_) => return false,
                Err(why) => Err(why.clone()),
            };
            self.runs.take(runs, |before, run| before.run == run.run);
            return true;
        }
        if self.commands.awaits(ticket) {
            let commands = match answer {
                Ok(Answer::Commands(commands)) => Ok(commands.clone()),
                Ok(_) => return false,
                Err(why) => Err(why.clone()),
            };
            self.commands.take(commands, |before, command| before.id == command.id);
            return true;
        }
        false
    }
}
