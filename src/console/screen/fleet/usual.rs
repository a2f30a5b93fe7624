//! How long the runs of apps that have just begun take as a rule: asked for those that are seen, once.

use super::{Line, Table};
use crate::console::fleet::{Row, Usual};
use crate::console::past::p50;
use crate::console::request::{Answer, Question, Request, Ticket};
use crate::console::view::top_of;
use crate::console::world::World;
use crate::model::{AppId, Run};
use crate::store::{HistoryQuery, StoreError};

/// So many apps are asked about at once, and so many runs of each are enough.
const APPS_MAX: usize = 8;
const RUNS: u32 = 20;

/// The question that is open.
#[derive(Debug, Default)]
pub(super) struct Asked {
    ticket: Option<Ticket>,
    apps: Vec<AppId>,
}

impl Table {
    /// Asks about those on the screen of which it is not known.
    pub(super) fn ask_usual(&mut self, world: &mut World) -> Option<Request> {
        if self.usual.ticket.is_some() {
            return None;
        }
        let height = world.table_rows();
        let seen = self.lines().iter().skip(top_of(self.cursor, height, self.lines().len())).take(height);
        let is_meant = |row: &&Row| row.usual == Usual::Unasked && row.has_just_begun();
        let rows = seen.filter_map(|line| match line {
            Line::App(slot) => world.fleet.row(*slot),
            Line::Group(_) | Line::Parent(..) => None,
        });
        let apps: Vec<_> = rows.filter(is_meant).map(|row| row.id).take(APPS_MAX).collect();
        let count = u32::try_from(apps.len()).ok().filter(|count| *count > 0)?;
        let ticket = world.ticket();
        let query = HistoryQuery { apps: apps.clone(), limit: RUNS * count, ..HistoryQuery::default() };
        self.usual = Asked { ticket: Some(ticket), apps };
        Some(Request::Ask(ticket, Question::History(query)))
    }

    /// Takes the answer, if it is to that question.
    pub(super) fn learn_usual(
        &mut self,
        world: &mut World,
        ticket: Ticket,
        answer: &Result<Answer, StoreError>,
    ) -> bool {
        if self.usual.ticket != Some(ticket) {
            return false;
        }
        let asked = std::mem::take(&mut self.usual);
        // What was not answered is not asked again: it is an estimate, and the database has its trouble.
        let runs: &[Run] = match answer {
            Ok(Answer::History(runs)) => runs,
            Ok(_) | Err(_) => &[],
        };
        for app in asked.apps {
            let own = runs.iter().filter(|run| run.app == app);
            world.fleet.learn(app, p50(own).map_or(Usual::Unknown, Usual::Takes));
        }
        true
    }
}
