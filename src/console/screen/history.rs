//! Runs, as a line of time for each app, or as a table. Only what is on the screen is asked for.

use std::collections::BTreeSet;

use super::{List, Page, Screen, Turn, logs};
use crate::console::keymap::{Intent, Move};
use crate::console::past::{Span, TableRow, Window, table};
use crate::console::request::{Answer, Question, Request, Ticket};
use crate::console::world::World;
use crate::model::{AppId, AppPath, Run, Skip, Timestamp};
use crate::store::{HistoryQuery, SkipQuery, StoreError};

/// At most so many runs of a window are asked for. A window with more is said to be cut.
pub(in crate::console) const RUNS_MAX: u32 = 4000;

/// At most so many runs are in the table at first, and so many more at its end.
const PAGE: u32 = 500;

/// The table does not grow beyond this.
const TABLE_MAX: u32 = 10_000;

/// Rows of the timeline that are no apps: title, hours, how many at once.
pub(in crate::console) const FRAME: usize = 3;

/// Rows of the pane below, with its title, and from which height of the body on it is there.
pub(in crate::console) const PANE: usize = 3;
pub(in crate::console) const ROOMY: usize = 14;

/// Below this width there are no lengths at the right.
pub(in crate::console) const NARROW: u16 = 60;

/// Wishes of this screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::console) enum Wish {
    Nearer,
    Wider,
    Earlier,
    Later,
    PageEarlier,
    PageLater,
    Now,
    Table,
    OnlyBad,
    AtOnce,
    Open,
    Log,
}

/// The state of the screen.
#[derive(Debug, Default)]
pub(in crate::console) struct History {
    /// Of these only; empty: of all.
    apps: BTreeSet<AppId>,
    /// As they are called together.
    pub(in crate::console) what: String,
    sought: String,
    pub(in crate::console) window: Window,
    /// Cells from the right end to the one under the cursor.
    pub(in crate::console) back: usize,
    /// A line for each app.
    pub(in crate::console) lines: List<AppPath>,
    runs: List<Run>,
    skips: List<Skip>,
    /// The apps whose runs were asked for last.
    seen: Vec<AppId>,
    pub(in crate::console) hides_at_once: bool,
    pub(in crate::console) is_table: bool,
    pub(in crate::console) only_bad: bool,
    pub(in crate::console) table: List<TableRow>,
    more: u32,
}

impl History {
    /// The runs of these apps; of none: of all.
    pub(in crate::console) fn new(apps: Vec<AppId>, what: String) -> Self {
        Self { apps: apps.into_iter().collect(), what, ..Self::default() }
    }

    pub(in crate::console) fn runs(&self) -> &[Run] {
        &self.runs.rows
    }

    pub(in crate::console) fn skips(&self) -> &[Skip] {
        &self.skips.rows
    }

    /// Why nothing is shown, or whether anything was read yet.
    pub(in crate::console) fn state(&self) -> (Option<&str>, bool) {
        (self.runs.fault.as_deref(), self.runs.is_read)
    }

    /// Whether there were more runs than were asked for.
    pub(in crate::console) fn is_cut(&self) -> bool {
        self.runs.rows.len() >= RUNS_MAX as usize
    }

    /// Rows for apps on a screen of this height.
    pub(in crate::console) fn height(&self, body: usize) -> usize {
        let once = usize::from(!self.hides_at_once);
        let pane = if body >= ROOMY { PANE } else { 0 };
        body.saturating_sub(FRAME - 1 + once + pane).max(1)
    }

    /// The cells of a screen of this width.
    pub(in crate::console) fn span(&self, world: &World) -> Span {
        let width = world.size.0;
        let aside = usize::from(name_width(width)) + 2 + usize::from(length_width(width));
        self.window.span(usize::from(width).saturating_sub(aside), world.time())
    }

    /// The cell under the cursor.
    pub(in crate::console) fn cell(&self, span: &Span) -> usize {
        span.cells.saturating_sub(1).saturating_sub(self.back)
    }

    /// The run under the cursor: of those in its cell the last, else the one that goes on there.
    pub(in crate::console) fn current(&self, world: &World) -> Option<&Run> {
        if self.is_table {
            return self.table.current().map(|row| &row.run);
        }
        let app = AppId::of(self.lines.current()?);
        let span = self.span(world);
        let cell = self.cell(&span);
        let (begin, end) = (span.time(cell), span.time(cell + 1));
        let own = self.runs.rows.iter().filter(|run| run.app == app);
        own.filter(|run| run.start < end && run.end.is_none_or(|ended| ended >= begin))
            .max_by_key(|run| run.start)
    }

    /// Finds out which apps have a line.
    fn choose(&mut self, world: &World) {
        let words: Vec<_> = self.sought.split_whitespace().map(str::to_lowercase).collect();
        let is_meant = |path: &AppPath, id: AppId| {
            let text = path.to_string().to_lowercase();
            (self.apps.is_empty() || self.apps.contains(&id)) && words.iter().all(|word| text.contains(word))
        };
        let rows = world.fleet.rows().filter(|row| is_meant(&row.path, row.id)).map(|row| row.path.clone());
        let rows = rows.collect();
        self.lines.take(Ok(rows), |before, row| before == row);
    }

    /// The apps that are on the screen.
    pub(in crate::console) fn on_screen(&self, body: usize) -> impl Iterator<Item = (usize, &AppPath)> {
        let height = self.height(body);
        let top = crate::console::view::top_of(self.lines.cursor, height, self.lines.rows.len());
        self.lines.rows.iter().enumerate().skip(top).take(height)
    }

    fn ask_runs(&mut self, world: &mut World) -> Request {
        if self.is_table {
            let apps = if self.sought.is_empty() {
                self.apps.iter().copied().collect()
            } else {
                self.lines.rows.iter().map(AppId::of).collect()
            };
            let limit = (PAGE + self.more).min(TABLE_MAX);
            let query = HistoryQuery { apps, limit, ..HistoryQuery::default() };
            return self.runs.ask(world, Question::History(query));
        }
        let span = self.span(world);
        self.seen = self.on_screen(world.body()).map(|(_, path)| AppId::of(path)).collect();
        let query = HistoryQuery {
            apps: self.seen.clone(),
            since: Some(span.begin),
            before: Some(span.end()),
            limit: RUNS_MAX,
            ..HistoryQuery::default()
        };
        self.runs.ask(world, Question::History(query))
    }

    fn ask_skips(&mut self, world: &mut World) -> Request {
        let span = self.span(world);
        let query = SkipQuery {
            apps: self.seen.clone(),
            since: Some(span.begin),
            before: Some(span.end()),
            limit: RUNS_MAX,
        };
        self.skips.ask(world, Question::Skips(query))
    }

    /// The first look at a fleet that is younger than the window is as near as shows all of it.
    fn fit(&mut self, world: &World) {
        let span = self.span(world);
        if let Some(oldest) = self.runs.rows.iter().map(|run| run.start).min() {
            self.window.fit(oldest, &span, world.time());
        }
    }

    fn fold(&mut self) {
        let rows = table(&self.runs.rows, self.only_bad);
        self.table.take(Ok(rows), |before, row| before.run.run == row.run.run);
        self.table.is_read = self.runs.is_read;
        self.table.fault.clone_from(&self.runs.fault);
    }

    fn move_cursor(&mut self, world: &mut World, by: i64) -> Option<Turn> {
        let span = self.span(world);
        let last = i64::try_from(span.cells.saturating_sub(1)).unwrap_or(0);
        let back = i64::try_from(self.back).unwrap_or(0).saturating_sub(by);
        self.back = usize::try_from(back.clamp(0, last)).unwrap_or(0);
        if (0..=last).contains(&back) {
            return None;
        }
        // The window goes along with the cursor.
        Some(self.shift(world, by))
    }

    fn shift(&mut self, world: &mut World, by: i64) -> Turn {
        self.window.shift(by, world.time());
        Turn::Work(self.ask_runs(world))
    }

    fn wish(&mut self, world: &mut World, wish: Wish) -> Option<Turn> {
        let half = i64::try_from(self.span(world).cells / 2).unwrap_or(1).max(1);
        match wish {
            Wish::Nearer | Wish::Wider => {
                let span = self.span(world);
                let around: Timestamp = span.time(self.cell(&span));
                self.window.zoom(wish == Wish::Nearer, around, world.time());
                return Some(Turn::Work(self.ask_runs(world)));
            }
            Wish::Earlier => return self.move_cursor(world, -1),
            Wish::Later => return self.move_cursor(world, 1),
            Wish::PageEarlier => return Some(self.shift(world, -half)),
            Wish::PageLater => return Some(self.shift(world, half)),
            Wish::Now => {
                self.window.go_to_now();
                self.back = 0;
                return Some(Turn::Work(self.ask_runs(world)));
            }
            Wish::Table => {
                self.is_table = !self.is_table;
                self.runs.rows.clear();
                self.fold();
                return Some(Turn::Work(self.ask_runs(world)));
            }
            Wish::OnlyBad => {
                self.only_bad = !self.only_bad;
                self.fold();
            }
            Wish::AtOnce => self.hides_at_once = !self.hides_at_once,
            Wish::Open => {
                let app = match self.current(world) {
                    Some(run) => world.fleet.path_of(run.app).cloned(),
                    None => self.lines.current().filter(|_| !self.is_table).cloned(),
                };
                return app.map(Turn::GoTo);
            }
            Wish::Log => {
                let Some(run) = self.current(world) else {
                    world.say("no run is under the cursor: left and right move it");
                    return None;
                };
                let app = world.fleet.path_of(run.app)?.clone();
                let logs = logs::Logs::of_run(app, run.run);
                return Some(Turn::open(Screen::Logs(Box::new(logs))));
            }
        }
        None
    }

    fn go(&mut self, world: &mut World, way: Move) -> Option<Turn> {
        if self.is_table {
            self.table.go(way, world.body().saturating_sub(2));
            let is_at_end = self.table.cursor + 1 >= self.table.rows.len();
            let limit = (PAGE + self.more).min(TABLE_MAX);
            if is_at_end && self.runs.rows.len() >= limit as usize && limit < TABLE_MAX {
                self.more += PAGE;
                return Some(Turn::Work(self.ask_runs(world)));
            }
            return None;
        }
        self.lines.go(way, self.height(world.body()));
        let is_new = self.on_screen(world.body()).any(|(_, path)| !self.seen.contains(&AppId::of(path)));
        is_new.then(|| Turn::Work(self.ask_runs(world)))
    }
}

/// Cells of an app's name.
pub(in crate::console) const fn name_width(width: u16) -> u16 {
    match width {
        0..NARROW => 12,
        NARROW..100 => 20,
        _ => 34,
    }
}

/// Cells of the lengths at the right.
pub(in crate::console) const fn length_width(width: u16) -> u16 {
    if width < NARROW { 0 } else { 14 }
}

impl Page for History {
    #[expect(clippy::wildcard_enum_match_arm, reason = "wishes of other screens are of no concern")]
    fn act(&mut self, world: &mut World, intent: Intent) -> Option<Turn> {
        match intent {
            Intent::Move(way) => self.go(world, way),
            Intent::History(wish) => self.wish(world, wish),
            _ => None,
        }
    }

    fn refresh(&mut self, world: &mut World) -> Option<Request> {
        self.choose(world);
        Some(self.ask_runs(world))
    }

    fn tick(&mut self, world: &mut World) -> Option<Request> {
        if self.runs.is_old(world) {
            self.refresh(world)
        } else if !self.is_table && self.skips.is_old(world) {
            Some(self.ask_skips(world))
        } else {
            None
        }
    }

    fn answer(&mut self, world: &mut World, ticket: Ticket, answer: &Result<Answer, StoreError>) -> bool {
        if self.runs.take_answer(ticket, answer) {
            if self.is_table {
                self.fold();
            } else {
                self.fit(world);
            }
            return true;
        }
        self.skips.take_answer(ticket, answer)
    }

    fn sought(&self) -> String {
        self.sought.clone()
    }

    fn seek(&mut self, world: &mut World, text: &str) -> Option<Request> {
        text.clone_into(&mut self.sought);
        self.refresh(world)
    }

    fn back(&mut self, world: &mut World) -> bool {
        let is_seeking = !self.sought.is_empty();
        if is_seeking {
            self.sought.clear();
            self.choose(world);
            self.runs.expire();
        }
        is_seeking
    }
}
