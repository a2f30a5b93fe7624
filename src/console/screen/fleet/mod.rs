//! The fleet: what is shown of it, in which order, what is marked, and where the cursor is. All of it
//! is remembered by the ids of apps: rows may move, the cursor may not.

mod act;
pub(in crate::console) mod columns;
mod detail;
mod kept;
mod lines;
mod marks;
mod sort;
mod usual;
mod views;

use std::collections::BTreeSet;
use std::time::Duration;

pub(in crate::console) use act::Wish;
pub(in crate::console) use columns::{Column, Columns};
pub(in crate::console) use detail::{Detail, Part};
pub(in crate::console) use lines::{Line, Spot};
pub(in crate::console) use marks::Marks;
pub(in crate::console) use sort::{Key, Sort};
pub(in crate::console) use views::View;

use lines::{Query, Ranks};

use crate::console::filter::Filter;
use crate::console::fleet::{Change, Row};
use crate::console::world::World;
use crate::model::{AppId, AppPath, CmdFlag, CommandId};

/// A live order changes at most so often.
const ORDER_EVERY: Duration = Duration::from_secs(1);

/// Rows do not move so soon after a key.
const HANDS_OFF: Duration = Duration::from_millis(1500);

/// The details follow the cursor when no key was pressed for so long: who holds a key down sees the
/// list move, and a slow link need not carry what nobody reads.
const DETAILS_REST: Duration = Duration::from_millis(150);

/// So many refusals are remembered as seen.
const SEEN_MAX: usize = 10_000;

/// The state of the screen.
#[derive(Debug, Default)]
pub(in crate::console) struct Table {
    filter: Filter,
    pub(in crate::console) is_flat: bool,
    pub(in crate::console) sort: Sort,
    pub(in crate::console) columns: Columns,
    lines: Vec<Line>,
    /// How many apps pass the filter.
    found: usize,
    cursor: usize,
    /// What the cursor is on.
    spot: Option<Spot>,
    opened: BTreeSet<Spot>,
    pub(in crate::console) marks: Marks,
    /// Apps that need somebody, the worst first.
    problems: Vec<AppId>,
    ranks: Ranks,
    /// When the order was made, and when a key was pressed.
    ordered: Duration,
    /// When the lines were made.
    looked: Duration,
    /// Of which state of the fleet the order is.
    version: u64,
    touched: Duration,
    /// What the details tell of.
    looked_at: Option<Spot>,
    pub(in crate::console) detail: Detail,
    usual: usual::Asked,
    /// Refused commands that the cursor has rested on.
    seen: BTreeSet<CommandId>,
}

/// Whether rows may move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    Held,
    Fresh,
}

impl Table {
    /// All lines, from the top.
    pub(in crate::console) fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// The place of the cursor among them.
    pub(in crate::console) fn cursor(&self) -> usize {
        self.cursor
    }

    /// What the cursor is on.
    pub(in crate::console) fn spot(&self) -> Option<&Spot> {
        self.spot.as_ref()
    }

    /// The app under the cursor.
    pub(in crate::console) fn app(&self) -> Option<AppId> {
        match self.spot {
            Some(Spot::App(id)) => Some(id),
            Some(Spot::Group(_) | Spot::Parent(..)) | None => None,
        }
    }

    /// What the details tell of: what the cursor was on when it last came to rest.
    pub(in crate::console) fn looked_at(&self) -> Option<&Spot> {
        self.looked_at.as_ref()
    }

    /// When the details will follow the cursor, if they have not yet.
    pub(in crate::console) fn details_due(&self) -> Option<Duration> {
        (self.looked_at != self.spot).then_some(self.touched + DETAILS_REST)
    }

    /// The details follow the cursor.
    fn look(&mut self, now: Duration) {
        self.looked_at.clone_from(&self.spot);
        self.detail.follow(self.app(), now);
    }

    pub(in crate::console) fn filter(&self) -> &Filter {
        &self.filter
    }

    /// How many apps pass the filter.
    pub(in crate::console) fn found(&self) -> usize {
        self.found
    }

    /// Apps that need somebody, the worst first.
    pub(in crate::console) fn problems(&self) -> &[AppId] {
        &self.problems
    }

    pub(in crate::console) fn is_open(&self, line: &Line) -> bool {
        let spot = match line {
            Line::Group(group) => Spot::Group(group.clone()),
            Line::Parent(group, parent) => Spot::Parent(group.clone(), parent.clone()),
            Line::App(_) => return false,
        };
        self.opened.contains(&spot) || self.filter.is_active()
    }

    /// Refused commands that a person has seen.
    pub(in crate::console) fn seen(&self) -> &BTreeSet<CommandId> {
        &self.seen
    }

    /// The cursor rests on an app: its refusal is seen.
    fn see(&mut self, world: &World) {
        let row = self.app().and_then(|id| world.fleet.by_id(id));
        let refused = row.and_then(|row| row.command.as_deref());
        let refused = refused.filter(|command| command.flag == CmdFlag::NotExecuted);
        if let Some(id) = refused.and_then(|command| command.id).filter(|_| self.rests(world)) {
            if self.seen.len() >= SEEN_MAX {
                self.seen.pop_first();
            }
            self.seen.insert(id);
        }
    }

    fn rests(&self, world: &World) -> bool {
        world.now.mono >= self.touched + HANDS_OFF
    }

    /// How old the order is, where rows would stand otherwise if it were made now.
    pub(in crate::console) fn order_age(&self, world: &World) -> Option<Duration> {
        let age = world.now.mono.saturating_sub(self.ordered);
        let is_old = age > ORDER_EVERY * 3 && self.sort.key.version(&world.fleet) != self.version;
        (self.sort.is_live() && is_old).then_some(age)
    }

    /// The fleet changed.
    pub(in crate::console) fn follow(&mut self, world: &World, is_first: bool, change: Change) {
        if is_first && world.fleet.total.apps <= world.body().saturating_sub(2) {
            // A small fleet is shown as a whole.
            self.open_all(world, true);
            self.rebuild(world, Order::Fresh);
        } else if is_first {
            self.rebuild(world, Order::Fresh);
        } else if change.is_reshaped {
            self.marks.retain(|id| world.fleet.by_id(*id).is_some());
            self.rebuild(world, Order::Held);
        }
    }

    /// Time passed: a live order is made anew, if no hand is on it.
    fn time_passed(&mut self, world: &World) {
        self.see(world);
        let now = world.now.mono;
        let has_changed = self.sort.key.version(&world.fleet) != self.version || self.sort.key.is_of_time();
        let is_due = self.sort.is_live() && has_changed && now >= self.ordered + ORDER_EVERY;
        let is_free = self.rests(world) && self.marks.is_empty() && !world.has_dialog;
        if is_due && is_free {
            self.rebuild(world, Order::Fresh);
        } else if self.filter.is_volatile() && now >= self.looked + ORDER_EVERY {
            self.rebuild(world, Order::Held);
        }
    }

    fn query<'a>(&'a self, world: &'a World) -> Query<'a> {
        Query {
            fleet: &world.fleet,
            filter: &self.filter,
            opened: &self.opened,
            sort: self.sort,
            is_flat: self.is_flat,
            now: world.time(),
        }
    }

    /// Makes the lines anew. The cursor stays on what it was on; if that is gone, on what it was in.
    fn rebuild(&mut self, world: &World, order: Order) {
        let query = self.query(world);
        let passing = query.passing();
        let is_held = order == Order::Held && self.sort.is_live();
        let (lines, ranks) = if is_held {
            (query.lines(&passing, Some(&self.ranks)), None)
        } else {
            let ranks = self.sort.is_live().then(|| query.ranks(&passing));
            (query.lines(&passing, None), ranks)
        };
        self.lines = lines;
        self.found = passing.len();
        self.looked = world.now.mono;
        if let Some(ranks) = ranks {
            self.ranks = ranks;
            self.ordered = world.now.mono;
            self.version = self.sort.key.version(&world.fleet);
        }
        let mut problems: Vec<&Row> = world.fleet.rows().filter(|row| row.trouble.is_some()).collect();
        problems.sort_by_key(|row| row.trouble);
        self.problems = problems.into_iter().map(|row| row.id).collect();
        match self.spot.clone() {
            Some(spot) => self.go_to_spot(world, &spot),
            None => self.put_cursor(world, self.cursor),
        }
        if self.looked_at.is_none() {
            self.looked_at.clone_from(&self.spot);
        }
    }

    /// Puts the cursor on a place.
    fn put_cursor(&mut self, world: &World, place: usize) {
        self.cursor = place.min(self.lines.len().saturating_sub(1));
        self.spot = self.lines.get(self.cursor).and_then(|line| line.spot(&world.fleet));
    }

    /// A line was chosen by its place.
    pub(in crate::console) fn click(&mut self, world: &World, place: usize) {
        self.touched = world.now.mono;
        self.put_cursor(world, place);
    }

    /// Puts the cursor on something, or on the nearest line above it that is shown.
    fn go_to_spot(&mut self, world: &World, spot: &Spot) {
        let mut wanted = Some(spot.clone());
        while let Some(spot) = wanted {
            if let Some(at) = self.lines.iter().position(|line| line.is(&spot, &world.fleet)) {
                self.put_cursor(world, at);
                return;
            }
            wanted = spot.above(&world.fleet);
        }
        self.put_cursor(world, self.cursor);
    }

    /// Puts the cursor on an app and opens the way to it. A filter that hides it is lifted.
    pub(in crate::console) fn go_to(&mut self, world: &World, app: &AppPath) {
        let id = AppId::of(app);
        let spot = Spot::App(id);
        let mut above = spot.above(&world.fleet);
        while let Some(open) = above {
            above = open.above(&world.fleet);
            self.opened.insert(open);
        }
        let is_hidden = world
            .fleet
            .by_id(id)
            .is_some_and(|row| !self.filter.shows(row, &world.fleet, world.time(), &mut String::new()));
        if is_hidden {
            self.filter = Filter::default();
        }
        self.rebuild(world, Order::Held);
        self.go_to_spot(world, &spot);
    }

    fn open_all(&mut self, world: &World, is_open: bool) {
        self.opened.clear();
        if is_open {
            self.opened.extend(world.fleet.groups().cloned().map(Spot::Group));
            let parents = world.fleet.parents().cloned();
            self.opened.extend(parents.map(|(group, parent)| Spot::Parent(group, parent)));
        }
    }

    /// The marks have served: an action was sent.
    pub(in crate::console) fn marks_are_used(&mut self) {
        self.marks.clear();
    }

    /// All apps of a group or parent, whatever the filter.
    pub(in crate::console) fn all_below(world: &World, spot: &Spot) -> Vec<AppId> {
        Self::default().below(world, spot)
    }

    /// The apps that a line stands for: itself, or what is below it and passes the filter.
    pub(in crate::console) fn below(&self, world: &World, spot: &Spot) -> Vec<AppId> {
        let mut path = String::new();
        let mut passes = |row: &Row| self.filter.shows(row, &world.fleet, world.time(), &mut path);
        match spot {
            Spot::App(id) => vec![*id],
            Spot::Group(group) => {
                let rows = world.fleet.rows().filter(|row| row.path.group == *group);
                rows.filter(|row| passes(row)).map(|row| row.id).collect()
            }
            Spot::Parent(group, parent) => {
                let rows = world.fleet.rows();
                let own = rows.filter(|row| row.path.group == *group && row.path.parent == *parent);
                own.filter(|row| passes(row)).map(|row| row.id).collect()
            }
        }
    }

    /// What is looked for, and how it is shown, in one line.
    pub(in crate::console) fn view(&self) -> View {
        View {
            filter: self.filter.text().to_owned(),
            sort: self.sort,
            is_flat: self.is_flat,
            columns: self.columns.clone(),
        }
    }

    pub(in crate::console) fn set_view(&mut self, world: &World, view: View) {
        self.filter = Filter::parse(&view.filter);
        self.sort = view.sort;
        self.is_flat = view.is_flat;
        self.columns = view.columns;
        self.rebuild(world, Order::Fresh);
    }

    pub(in crate::console) fn set_sort(&mut self, world: &World, sort: Sort) {
        self.sort = sort;
        self.rebuild(world, Order::Fresh);
    }

    pub(in crate::console) fn set_filter(&mut self, world: &mut World, text: &str) {
        self.filter = Filter::parse(text);
        self.rebuild(world, Order::Fresh);
        if let Some(fault) = self.filter.fault() {
            world.say(fault.to_owned());
        }
    }
}
