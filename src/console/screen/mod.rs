//! The screens: each with its state and what its keys do, in a file of its own.
//!
//! A screen never waits: what it wants to know it asks with a ticket, and shows what it has until
//! the answer comes.

mod afar;
pub(super) mod alerts;
pub(super) mod commands;
pub(super) mod concluded;
pub(super) mod detail;
pub(super) mod fleet;
pub(super) mod history;
mod list;
pub(super) mod logs;
pub(super) mod managers;
pub(super) mod pipeline;
mod stack;

use super::dialog::retry::Retry;
use super::keymap::Intent;
use super::request::{Answer, Request, Ticket};
use super::world::World;
use crate::model::{AppId, AppPath, CmdName};
use crate::store::StoreError;

pub(super) use list::List;
pub(super) use stack::Stack;

/// What a screen is about; its number is the key that selects it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tab {
    /// One app; it has no key of its own.
    Detail = 0,
    Fleet = 1,
    Alerts = 2,
    Logs = 3,
    History = 4,
    Pipeline = 5,
    Managers = 6,
    Commands = 7,
}

impl Tab {
    pub(super) const ALL: [Self; 7] = [
        Self::Fleet,
        Self::Alerts,
        Self::Logs,
        Self::History,
        Self::Pipeline,
        Self::Managers,
        Self::Commands,
    ];

    pub(super) const fn title(self) -> &'static str {
        match self {
            Self::Detail => "App",
            Self::Fleet => "Fleet",
            Self::Alerts => "Alerts",
            Self::Logs => "Logs",
            Self::History => "History",
            Self::Pipeline => "Pipeline",
            Self::Managers => "Mgrs",
            Self::Commands => "Audit",
        }
    }

    /// Its name in the configuration of keys.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Detail => "app",
            Self::Fleet => "fleet",
            Self::Alerts => "alerts",
            Self::Logs => "logs",
            Self::History => "history",
            Self::Pipeline => "pipeline",
            Self::Managers => "managers",
            Self::Commands => "audit",
        }
    }

    /// The key that selects it.
    pub(super) const fn number(self) -> u8 {
        self as u8
    }
}

/// A screen with its state. That of the fleet is always there and lives in the model.
#[derive(Debug)]
pub(super) enum Screen {
    Fleet,
    Detail(Box<detail::Detail>),
    Alerts(alerts::Alerts),
    Logs(Box<logs::Logs>),
    History(history::History),
    Pipeline(Box<pipeline::Pipeline>),
    Managers(managers::Managers),
    Commands(commands::Commands),
}

impl Screen {
    pub(super) fn new(tab: Tab) -> Self {
        match tab {
            // An app has to be chosen first.
            Tab::Fleet | Tab::Detail => Self::Fleet,
            Tab::Alerts => Self::Alerts(alerts::Alerts::default()),
            Tab::Logs => Self::Logs(Box::default()),
            Tab::History => Self::History(history::History::default()),
            Tab::Pipeline => Self::Pipeline(Box::default()),
            Tab::Managers => Self::Managers(managers::Managers::default()),
            Tab::Commands => Self::Commands(commands::Commands::default()),
        }
    }

    pub(super) const fn tab(&self) -> Tab {
        match self {
            Self::Fleet => Tab::Fleet,
            Self::Detail(_) => Tab::Detail,
            Self::Alerts(_) => Tab::Alerts,
            Self::Logs(_) => Tab::Logs,
            Self::History(_) => Tab::History,
            Self::Pipeline(_) => Tab::Pipeline,
            Self::Managers(_) => Tab::Managers,
            Self::Commands(_) => Tab::Commands,
        }
    }

    /// `None` for the fleet.
    pub(super) fn page(&self) -> Option<&dyn Page> {
        Some(match self {
            Self::Fleet => return None,
            Self::Detail(page) => page.as_ref(),
            Self::Alerts(page) => page,
            Self::Logs(page) => page.as_ref(),
            Self::History(page) => page,
            Self::Pipeline(page) => page.as_ref(),
            Self::Managers(page) => page,
            Self::Commands(page) => page,
        })
    }

    /// `None` for the fleet.
    pub(super) fn page_mut(&mut self) -> Option<&mut dyn Page> {
        Some(match self {
            Self::Fleet => return None,
            Self::Detail(page) => page.as_mut(),
            Self::Alerts(page) => page,
            Self::Logs(page) => page.as_mut(),
            Self::History(page) => page,
            Self::Pipeline(page) => page.as_mut(),
            Self::Managers(page) => page,
            Self::Commands(page) => page,
        })
    }
}

/// What every screen can do. Only `act` has to be written.
pub(super) trait Page {
    /// A key of this screen, or a move.
    fn act(&mut self, world: &mut World, intent: Intent) -> Option<Turn>;

    /// It is shown now, for the first time or again.
    fn enter(&mut self, world: &mut World) -> Option<Request> {
        self.refresh(world)
    }

    /// Another screen is shown now.
    fn leave(&mut self) -> Option<Request> {
        None
    }

    /// Asks for what it shows, at once.
    fn refresh(&mut self, _world: &mut World) -> Option<Request> {
        None
    }

    /// Time passed, while it is shown. It may ask again for what has grown old.
    fn tick(&mut self, _world: &mut World) -> Option<Request> {
        None
    }

    /// An answer has come. `false` if it was to no question of this screen.
    fn answer(&mut self, _world: &mut World, _ticket: Ticket, _answer: &Result<Answer, StoreError>) -> bool {
        false
    }

    /// What is looked for.
    fn sought(&self) -> String {
        String::new()
    }

    /// Something else is looked for; called with every letter that is typed.
    fn seek(&mut self, _world: &mut World, _text: &str) -> Option<Request> {
        None
    }

    /// One step back inside the screen: what is looked for, marks. `false` if there is none.
    fn back(&mut self, _world: &mut World) -> bool {
        false
    }
}

/// What a key of a screen leads to outside of it.
#[derive(Debug)]
pub(super) enum Turn {
    /// Something for the worker.
    Work(Request),
    /// One screen deeper.
    Open(Box<Screen>),
    /// To the fleet, with the cursor on this app.
    GoTo(AppPath),
    /// To the fleet, with this filter.
    Filter(String),
    /// A command for these apps, which are called so together; it is asked about first, as its weight
    /// demands.
    Issue(CmdName, Vec<AppId>, String),
    /// ENABLE, for what it does to a fatal flag.
    ClearFatal(Vec<AppId>, String),
    /// Documents are to be sent again; it is asked about first, as their number demands.
    Retry(Retry),
    /// For the clipboard of the terminal.
    Copy(String),
    /// The rows of these apps, for the clipboard.
    CopyRows(Vec<AppId>),
    /// A menu.
    Ask(Ask),
}

/// A menu that is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ask {
    Sort,
    Columns,
    Actions,
    Palette,
    Messages,
    Export,
}

impl Turn {
    /// A command for these apps, which are called by their name or number.
    pub(super) fn issue(name: CmdName, apps: &[AppPath]) -> Self {
        let what = match apps {
            [one] => one.to_string(),
            _ => format!("{} apps", apps.len()),
        };
        Self::Issue(name, apps.iter().map(AppId::of).collect(), what)
    }

    pub(super) fn open(screen: Screen) -> Self {
        Self::Open(Box::new(screen))
    }
}
