//! What is known of the app under the cursor besides its row: its last runs and commands. It is asked
//! for when the cursor has come to rest.

use std::time::Duration;

use crate::console::request::{Answer, Question, Request, Ticket};
use crate::console::screen::logs::Logs;
use crate::console::screen::{List, Page as _};
use crate::console::world::World;
use crate::model::{AppId, CommandRow, Run};
use crate::store::{HistoryQuery, LedgerQuery, StoreError};

/// The cursor rests when it has been on an app for so long.
const REST: Duration = Duration::from_millis(300);

/// Runs and commands that are shown at most.
const RUNS: u32 = 20;
const COMMANDS: u32 = 5;

/// What is shown of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::console) enum Part {
    /// Something of everything.
    #[default]
    All,
    Log,
    Runs,
    Audit,
}

impl Part {
    pub(in crate::console) const ALL: [Self; 4] = [Self::All, Self::Log, Self::Runs, Self::Audit];

    pub(in crate::console) const fn word(self) -> &'static str {
        match self {
            Self::All => "detail",
            Self::Log => "log",
            Self::Runs => "runs",
            Self::Audit => "audit",
        }
    }

    /// The next one, or the one before.
    pub(super) fn turned(self, is_backwards: bool) -> Self {
        let by = if is_backwards { Self::ALL.len() - 1 } else { 1 };
        Self::ALL[(self as usize + by) % Self::ALL.len()]
    }
}

/// The detail of one app.
#[derive(Debug, Default)]
pub(in crate::console) struct Detail {
    pub(in crate::console) app: Option<AppId>,
    pub(in crate::console) runs: List<Run>,
    pub(in crate::console) commands: List<CommandRow>,
    pub(in crate::console) part: Part,
    /// The end of its log, as far as it is on this host.
    pub(in crate::console) log: Logs,
    /// Whether a log is being read for it.
    is_reading: bool,
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
            let (part, is_reading) = (self.part, self.is_reading);
            *self = Self { app, since: now, is_zoomed, part, is_reading, ..Self::default() };
        }
    }

    /// Another screen is shown, and may have read a log of its own.
    pub(super) fn rest(&mut self) -> Option<Request> {
        self.log = Logs::default();
        std::mem::take(&mut self.is_reading).then_some(Request::CloseLog)
    }

    /// Opens the log of the app, or closes one that nobody sees.
    fn read_log(&mut self, world: &mut World) -> Option<Request> {
        if !self.log.apps().is_empty() {
            return None;
        }
        self.log = Logs::new(vec![world.fleet.path_of(self.app?)?.clone()]);
        self.is_reading = true;
        self.log.enter(world)
    }

    /// What is to be asked now; one question at a time.
    pub(super) fn tick(&mut self, world: &mut World, is_seen: bool) -> Option<Request> {
        if !is_seen || self.app.is_none() {
            return self.rest();
        }
        let app = self.app.filter(|_| world.now.mono >= self.since + REST)?;
        if !self.is_asked || self.runs.is_old_about(world, app) {
            self.is_asked = true;
            let query = HistoryQuery { apps: vec![app], limit: RUNS, ..HistoryQuery::default() };
            return Some(self.runs.ask_about(world, app, Question::History(query)));
        }
        if let Some(request) = self.read_log(world) {
            return Some(request);
        }
        if !self.commands.is_waiting() && self.commands.is_old_about(world, app) {
            let query = LedgerQuery { app: Some(app), limit: COMMANDS, ..LedgerQuery::default() };
            return Some(self.commands.ask_about(world, app, Question::Commands(query)));
        }
        None
    }

    pub(super) fn answer(&mut self, ticket: Ticket, answer: &Result<Answer, StoreError>) -> bool {
        self.runs.take_answer(ticket, answer) || self.commands.take_answer(ticket, answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::cmd::Cmd;
    use crate::console::model::Model;
    use crate::console::msg::Msg;
    use crate::console::testing::{delta, go_to, model, now, pass, row};
    use crate::console::update::update;

    /// What is asked within some seconds; every question is answered.
    fn asked(model: &mut Model, seconds: u64) -> Vec<&'static str> {
        let mut asked = Vec::new();
        for _ in 0..seconds * 2 {
            let Some(Cmd::Work(work)) = pass(model, Duration::from_millis(500)) else { continue };
            for request in work {
                let Request::Ask(ticket, question) = request else { continue };
                let (what, answer) = if matches!(question, Question::History(_)) {
                    ("runs", Answer::History(Vec::new()))
                } else if matches!(question, Question::Commands(_)) {
                    ("commands", Answer::Commands(Vec::new()))
                } else {
                    continue;
                };
                asked.push(what);
                update(model, Msg::Answer { ticket, answer: Ok(answer) });
            }
        }
        asked
    }

    #[test]
    fn runs_and_commands_are_asked_for_again_only_when_the_row_has_changed() {
        let mut model = model((120, 40), vec![row("a/b/c"), row("a/b/d")]);
        go_to(&mut model, "a/b/c");
        assert_eq!(asked(&mut model, 5), ["runs", "commands"]);
        assert_eq!(asked(&mut model, 30), [""; 0]);
        let read = now(36).wall;
        let mut changed = delta(vec![row("a/b/c")]);
        changed.rows.iter_mut().for_each(|row| {
            if let crate::model::Registered::App(row) = row {
                row.revision.0 += 100;
            }
        });
        update(&mut model, Msg::Changes { delta: changed, read });
        assert_eq!(asked(&mut model, 10), ["runs", "commands"]);
    }
}
