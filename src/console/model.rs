//! The state of the console: plain data.

use std::time::Duration;

use super::dialog::Dialog;
use super::export::Purpose;
use super::request::Ticket;
use super::screen::fleet::Table;
use super::screen::{Page, Stack, Tab};
use super::world::{Identity, World};
use crate::model::Now;

/// Everything that the console shows and remembers.
#[derive(Debug)]
pub(super) struct Model {
    pub(super) world: World,
    /// The screen of the fleet.
    pub(super) table: Table,
    pub(super) stack: Stack,
    /// What lies above the screen and has the keys.
    pub(super) dialog: Option<Dialog>,
    /// `g` was pressed: a digit after it is a saved view.
    pub(super) is_after_top: bool,
    /// ^c was pressed at this time; pressed again soon, it leaves.
    pub(super) quit_asked: Option<Duration>,
    /// Whole rows are asked for, to be copied or saved.
    pub(super) wanted_rows: Option<(Ticket, Purpose)>,
}

impl Model {
    pub(super) fn new(identity: Identity, size: (u16, u16), now: Now, filter: &str) -> Self {
        let mut world = World::new(identity, size, now);
        let mut table = Table::default();
        table.set_filter(&mut world, filter);
        Self {
            world,
            table,
            stack: Stack::default(),
            dialog: None,
            is_after_top: false,
            quit_asked: None,
            wanted_rows: None,
        }
    }

    /// Saved views besides those that are always there, and the one that is shown at first.
    pub(super) fn set_views(&mut self, views: Vec<(String, String)>, first: Option<&str>) {
        let known = &mut self.world.views;
        known.retain(|(name, _)| views.iter().all(|(other, _)| other != name));
        known.splice(..0, views);
        if let Some(name) = first {
            super::update::open_view(self, name);
        }
    }

    /// Which screen is shown.
    pub(super) fn tab(&self) -> Tab {
        self.stack.top().tab()
    }

    /// When something is to change though nothing happens.
    pub(super) fn due(&self) -> Option<Duration> {
        self.table.details_due().filter(|_| self.tab() == Tab::Fleet)
    }

    pub(super) fn page(&self) -> &dyn Page {
        self.stack.top().page().unwrap_or(&self.table)
    }

    /// The screen that is shown, and what it may change besides itself.
    pub(super) fn parts(&mut self) -> (&mut dyn Page, &mut World) {
        (self.stack.top_mut().page_mut().unwrap_or(&mut self.table), &mut self.world)
    }
}
