//! The ledger of commands, newest first: what was sent together is one row.

use super::{List, Page, Screen, Turn, logs};
use crate::console::keymap::Intent;
use crate::console::past::{Batch, LedgerFilter, batches};
use crate::console::request::{Answer, Question, Request, Ticket};
use crate::console::world::World;
use crate::model::{AppId, AppPath, CmdFlag, CommandRow};
use crate::store::StoreError;

/// So many commands are asked for at first, and so many more at the end of the list.
const PAGE: u32 = 500;

/// At most so many are kept; older ones are found by `since:` and `who:`.
const LIMIT_MAX: u32 = 10_000;

/// Wishes of this screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::console) enum Wish {
    /// The commands of a batch; the app of a command.
    Open,
    Log,
    RetryFailed,
    Undo,
}

/// The state of the screen.
#[derive(Debug, Default)]
pub(in crate::console) struct Commands {
    asked: List<CommandRow>,
    pub(in crate::console) batches: List<Batch>,
    /// The batch of which each command is seen.
    pub(in crate::console) opened: Option<List<CommandRow>>,
    /// For this app only.
    app: Option<AppPath>,
    sought: String,
    pub(in crate::console) filter: LedgerFilter,
    more: u32,
}

impl Commands {
    /// The commands of one app.
    pub(in crate::console) fn of_app(app: AppPath) -> Self {
        Self { app: Some(app), ..Self::default() }
    }

    pub(in crate::console) fn app(&self) -> Option<&AppPath> {
        self.app.as_ref()
    }

    /// Whether there is more in the ledger than was read.
    pub(in crate::console) fn is_cut(&self) -> bool {
        self.asked.rows.len() >= self.limit() as usize
    }

    fn limit(&self) -> u32 {
        (PAGE + self.more).min(LIMIT_MAX)
    }

    fn regroup(&mut self, world: &World) {
        let is_meant = |row: &&CommandRow| self.filter.holds(&world.fleet.name_of(&row.app));
        let rows: Vec<_> = self.asked.rows.iter().filter(is_meant).cloned().collect();
        self.batches.take(Ok(batches(&rows)), |before, row| before.key == row.key);
        if let (Some(items), Some(batch)) = (&mut self.opened, self.batches.current()) {
            items.take(Ok(batch.commands.clone()), |before, row| before.id == row.id);
        }
    }

    fn wish(&mut self, world: &mut World, wish: Wish) -> Option<Turn> {
        match wish {
            Wish::Open => match &self.opened {
                None => {
                    let mut items = List::default();
                    items.take(Ok(self.batches.current()?.commands.clone()), |_, _| false);
                    self.opened = Some(items);
                }
                Some(items) => return path_of(world, items.current()?).map(Turn::GoTo),
            },
            Wish::Log => {
                let command = match &self.opened {
                    Some(items) => items.current(),
                    None => self.batches.current()?.commands.first(),
                };
                let app = path_of(world, command?)?;
                return Some(Turn::open(Screen::Logs(Box::new(logs::Logs::new(vec![app])))));
            }
            Wish::RetryFailed => {
                let batch = self.batches.current()?;
                let apps = paths(world, batch, CmdFlag::NotExecuted);
                if apps.is_empty() {
                    world.say("none of these commands was refused");
                    return None;
                }
                return Some(Turn::issue(batch.name, &apps));
            }
            Wish::Undo => {
                let batch = self.batches.current()?;
                let Some(opposite) = batch.opposite() else {
                    let name = batch.name;
                    world.say(format!("{name} cannot be undone: only ENABLE and DISABLE have an opposite"));
                    return None;
                };
                let apps = paths(world, batch, CmdFlag::Executed);
                if apps.is_empty() {
                    world.say("none of these commands was executed");
                    return None;
                }
                let (apps, changed): (Vec<_>, Vec<_>) =
                    apps.into_iter().partition(|app| is_latest(world, batch, app));
                if !changed.is_empty() {
                    let named: Vec<_> = changed.iter().take(3).map(ToString::to_string).collect();
                    let count = changed.len();
                    world.say(format!("left alone, {count} changed by others since: {}", named.join(", ")));
                }
                return (!apps.is_empty()).then(|| Turn::issue(opposite, &apps));
            }
        }
        None
    }
}

/// The app of a command, where it is still registered.
fn path_of(world: &World, command: &CommandRow) -> Option<AppPath> {
    command.app.id().and_then(|id| world.fleet.path_of(id)).cloned().or_else(|| command.app.path())
}

/// Whether nothing was asked of an app since this batch.
fn is_latest(world: &World, batch: &Batch, app: &AppPath) -> bool {
    let latest = world.fleet.by_id(AppId::of(app)).and_then(|row| row.command.as_ref()?.id);
    latest.is_none_or(|latest| batch.commands.iter().any(|command| command.id == latest))
}

/// The apps of a batch whose command became this.
fn paths(world: &World, batch: &Batch, flag: CmdFlag) -> Vec<AppPath> {
    let meant = batch.commands.iter().filter(|command| command.flag == flag);
    meant.filter_map(|command| path_of(world, command)).collect()
}

impl Page for Commands {
    #[expect(clippy::wildcard_enum_match_arm, reason = "wishes of other screens are of no concern")]
    fn act(&mut self, world: &mut World, intent: Intent) -> Option<Turn> {
        let page = world.body().saturating_sub(2);
        match intent {
            Intent::Move(way) => {
                if let Some(items) = &mut self.opened {
                    items.go(way, page);
                    return None;
                }
                self.batches.go(way, page);
                let is_at_end = self.batches.cursor + 1 >= self.batches.rows.len();
                if is_at_end && self.is_cut() && self.limit() < LIMIT_MAX {
                    self.more += PAGE;
                    return self.refresh(world).map(Turn::Work);
                }
            }
            Intent::Commands(wish) => return self.wish(world, wish),
            _ => {}
        }
        None
    }

    fn refresh(&mut self, world: &mut World) -> Option<Request> {
        let mut query = self.filter.query(world.time(), self.limit());
        query.app = self.app.as_ref().map(AppId::of);
        Some(self.asked.ask(world, Question::Commands(query)))
    }

    fn tick(&mut self, world: &mut World) -> Option<Request> {
        self.asked.is_old(world).then(|| self.refresh(world)).flatten()
    }

    fn answer(&mut self, world: &mut World, ticket: Ticket, answer: &Result<Answer, StoreError>) -> bool {
        if !self.asked.take_answer(ticket, answer) {
            return false;
        }
        self.batches.fault.clone_from(&self.asked.fault);
        if answer.is_ok() {
            self.regroup(world);
        }
        true
    }

    fn sought(&self) -> String {
        self.sought.clone()
    }

    fn seek(&mut self, world: &mut World, text: &str) -> Option<Request> {
        text.clone_into(&mut self.sought);
        self.opened = None;
        let before = std::mem::replace(&mut self.filter, LedgerFilter::parse(text));
        self.regroup(world);
        // Words are looked for in what was read; the rest is asked of the database.
        let now = world.time();
        (before.query(now, 0) != self.filter.query(now, 0)).then(|| self.refresh(world)).flatten()
    }

    fn back(&mut self, world: &mut World) -> bool {
        if self.opened.take().is_some() {
            return true;
        }
        let is_seeking = !self.sought.is_empty();
        if is_seeking {
            self.seek(world, "");
            self.asked.expire();
        }
        is_seeking
    }
}
