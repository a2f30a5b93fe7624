//! All about one app: its state and why, its last runs, the end of its log.

use super::{List, Page, Screen, Turn, commands, history, logs};
use crate::console::keymap::Intent;
use crate::console::request::{Answer, Question, Request, Ticket};
use crate::console::world::World;
use crate::model::{AppId, AppPath, AppRow, CommandRow, Run};
use crate::store::{HistoryQuery, LedgerQuery, StoreError};

/// So many runs are asked for.
const RUNS: u32 = 20;

/// Wishes of this screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::console) enum Wish {
    /// The log of the run under the cursor.
    Run,
    Log,
    History,
    Audit,
    GoTo,
}

/// The state of the screen.
#[derive(Debug)]
pub(in crate::console) struct Detail {
    pub(in crate::console) path: AppPath,
    row: List<AppRow>,
    pub(in crate::console) runs: List<Run>,
    commands: List<CommandRow>,
    pub(in crate::console) logs: logs::Logs,
}

impl Detail {
    pub(in crate::console) fn new(path: AppPath) -> Self {
        Self {
            logs: logs::Logs::new(vec![path.clone()]),
            path,
            row: List::default(),
            runs: List::default(),
            commands: List::default(),
        }
    }

    /// The app as it was read last; and whether it was read at all.
    pub(in crate::console) fn app(&self) -> (Option<&AppRow>, bool) {
        (self.row.rows.first(), self.row.is_read)
    }

    /// Why something could not be read.
    pub(in crate::console) fn fault(&self) -> Option<&str> {
        [&self.row.fault, &self.runs.fault, &self.commands.fault]
            .into_iter()
            .find_map(|fault| fault.as_deref())
    }

    /// The latest command.
    pub(in crate::console) fn command(&self) -> Option<&CommandRow> {
        self.commands.rows.first()
    }

    fn id(&self) -> AppId {
        AppId::of(&self.path)
    }

    fn ask_row(&mut self, world: &mut World) -> Request {
        self.row.ask_about(world, self.id(), Question::App(self.id()))
    }

    fn ask_runs(&mut self, world: &mut World) -> Request {
        let query = HistoryQuery { apps: vec![self.id()], limit: RUNS, ..HistoryQuery::default() };
        self.runs.ask_about(world, self.id(), Question::History(query))
    }

    fn ask_commands(&mut self, world: &mut World) -> Request {
        let query = LedgerQuery { app: Some(self.id()), limit: 1, ..LedgerQuery::default() };
        self.commands.ask_about(world, self.id(), Question::Commands(query))
    }

    fn wish(&self, world: &mut World, wish: Wish) -> Option<Turn> {
        let path = self.path.clone();
        match wish {
            Wish::Run => match self.runs.current() {
                Some(run) => Some(Turn::open(Screen::Logs(Box::new(logs::Logs::of_run(path, run.run))))),
                None => {
                    world.say("it has not run yet");
                    None
                }
            },
            Wish::Log => Some(Turn::open(Screen::Logs(Box::new(logs::Logs::new(vec![path]))))),
            Wish::History => {
                let name = path.to_string();
                Some(Turn::open(Screen::History(history::History::new(vec![self.id()], name))))
            }
            Wish::Audit => Some(Turn::open(Screen::Commands(commands::Commands::of_app(path)))),
            Wish::GoTo => Some(Turn::GoTo(path)),
        }
    }
}

impl Page for Detail {
    #[expect(clippy::wildcard_enum_match_arm, reason = "wishes of other screens are of no concern")]
    fn act(&mut self, world: &mut World, intent: Intent) -> Option<Turn> {
        match intent {
            Intent::Move(way) => {
                self.runs.go(way, 4);
                None
            }
            Intent::Issue(name) => Some(Turn::issue(name, std::slice::from_ref(&self.path))),
            Intent::Detail(wish) => self.wish(world, wish),
            _ => None,
        }
    }

    fn enter(&mut self, world: &mut World) -> Option<Request> {
        // The rest is asked for by and by.
        self.row.expire();
        self.runs.expire();
        self.commands.expire();
        self.logs.enter(world)
    }

    fn leave(&mut self) -> Option<Request> {
        self.logs.leave()
    }

    fn refresh(&mut self, world: &mut World) -> Option<Request> {
        self.runs.expire();
        self.commands.expire();
        Some(self.ask_row(world))
    }

    fn tick(&mut self, world: &mut World) -> Option<Request> {
        let app = self.id();
        if self.row.is_old_about(world, app) {
            Some(self.ask_row(world))
        } else if self.runs.is_old_about(world, app) {
            Some(self.ask_runs(world))
        } else if self.commands.is_old_about(world, app) {
            Some(self.ask_commands(world))
        } else {
            self.logs.tick(world)
        }
    }

    fn answer(&mut self, world: &mut World, ticket: Ticket, answer: &Result<Answer, StoreError>) -> bool {
        self.row.take_answer(ticket, answer)
            || self.runs.take_answer(ticket, answer)
            || self.commands.take_answer(ticket, answer)
            || self.logs.answer(world, ticket, answer)
    }
}
