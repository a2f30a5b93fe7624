//! The log of an app, or of several merged: what is kept of it, and how it is looked at.

use super::afar::{self, Afar};
use super::{Page, Screen, Turn, history};
use crate::console::keymap::{Intent, Move};
use crate::console::logs::{Coming, Joiner, LogBuffer, LogLine, Search, Source};
use crate::console::request::{Answer, LogNews, LogQuery, Request, Ticket};
use crate::console::world::World;
use crate::model::{AppId, AppPath, RunId};
use crate::store::StoreError;

/// More logs than this are not merged: nobody reads that.
pub(in crate::console) const MERGED_MAX: usize = 32;

/// Rows of the screen that are no lines of the log: the title, and the state of the search.
pub(in crate::console) const FRAME: usize = 2;

/// Wishes of this screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::console) enum Wish {
    Follow,
    Hold,
    NextHit,
    PreviousHit,
    OnlyHits,
    Wrap,
    Time,
    Level,
    Fold,
    RunBefore,
    RunAfter,
    Left,
    Right,
    History,
}

/// How times are shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::console) enum TimeForm {
    #[default]
    Clock,
    Age,
    Off,
}

/// Logs that are open; none, until an app is chosen.
#[derive(Debug, Default)]
pub(in crate::console) struct Logs {
    apps: Vec<AppPath>,
    /// One run; `None`: the newest, and those that follow.
    only: Option<RunId>,
    /// The run that was read last.
    current: Option<RunId>,
    /// Runs with a log on this host, newest first.
    runs: Vec<RunId>,
    ticket: Ticket,
    joiner: Joiner,
    pub(in crate::console) buffer: LogBuffer,
    pub(in crate::console) time: TimeForm,
    pub(in crate::console) wraps: bool,
    /// Columns that are left of the screen.
    pub(in crate::console) left: usize,
    pub(in crate::console) fault: Option<String>,
    pub(in crate::console) is_read: bool,
    /// Of one app without a log on this host.
    pub(in crate::console) afar: Afar,
}

impl Logs {
    /// The log of an app, or of several merged.
    pub(in crate::console) fn new(apps: Vec<AppPath>) -> Self {
        Self { apps, ..Self::default() }
    }

    /// The log of one run.
    pub(in crate::console) fn of_run(app: AppPath, run: RunId) -> Self {
        Self { apps: vec![app], only: Some(run), ..Self::default() }
    }

    pub(in crate::console) fn apps(&self) -> &[AppPath] {
        &self.apps
    }

    /// The run that is shown, and whether those that follow will be.
    pub(in crate::console) fn run(&self) -> (Option<RunId>, bool) {
        (self.only.or(self.current), self.only.is_none())
    }

    /// Takes in what is new. News of logs that were open before are dropped.
    pub(in crate::console) fn take(&mut self, news: LogNews) {
        if news.ticket != self.ticket {
            return;
        }
        if news.is_start {
            self.restart();
        }
        self.is_read = true;
        self.fault = news.fault;
        if !news.runs.is_empty() {
            if self.is_afar() && !news.is_start {
                self.buffer.clear();
            }
            self.runs = news.runs;
        }
        let mut lines = {
            let begun: Vec<_> = news.begun.iter().map(|(origin, _, time)| (*origin, *time)).collect();
            self.joiner.take(news.records, &begun, &mut self.buffer)
        };
        for (origin, time) in news.jumped {
            let text = "it grows faster than it can be read; this is its end again";
            lines.insert(0, Coming::whole(LogLine::remark(Source::Gap, time, origin, text)));
        }
        for (origin, run, time) in news.begun {
            self.current = Some(run);
            if news.is_start || self.apps.len() > 1 {
                continue;
            }
            let place =
                lines.iter().position(|Coming { line, .. }| line.time >= time && line.origin == origin);
            let text = format!("run {} begins", short(run));
            let remark = Coming::whole(LogLine::remark(Source::Run, time, origin, &text));
            lines.insert(place.unwrap_or(lines.len()), remark);
        }
        self.joiner.add(lines, &mut self.buffer);
    }

    /// What the database has of a log that is on another host.
    fn take_afar(&mut self, news: afar::News) {
        if let Some(run) = news.begun {
            if self.current.is_some() {
                let text = format!("run {} begins", short(run));
                self.buffer.add([LogLine::remark(Source::Run, None, 0, &text)]);
            }
            self.current = Some(run);
        }
        if news.has_gap {
            let text = "more was written than the database keeps; some lines are missing here";
            self.buffer.add([LogLine::remark(Source::Gap, None, 0, text)]);
        }
        let records = news.records.into_iter().map(|record| (0, record)).collect();
        let begun: Vec<_> = news.begun.iter().map(|_| (0, None)).collect();
        let lines = self.joiner.take(records, &begun, &mut self.buffer);
        self.joiner.add(lines, &mut self.buffer);
    }

    /// Whether all of the log is elsewhere, as far as this host can tell.
    fn is_afar(&self) -> bool {
        self.is_read && self.apps.len() == 1 && self.runs.is_empty()
    }

    /// What is looked for stays, and so does the choice of levels.
    fn restart(&mut self) {
        self.buffer.clear();
        self.joiner = Joiner::default();
        self.left = 0;
        self.current = None;
        self.afar = Afar::default();
    }

    fn ask(&mut self, world: &mut World) -> Option<Request> {
        if self.apps.is_empty() {
            return None;
        }
        self.ticket = world.ticket();
        Some(Request::OpenLog(LogQuery { ticket: self.ticket, apps: self.apps.clone(), run: self.only }))
    }

    fn go_to_run(&mut self, world: &mut World, older: bool) -> Option<Turn> {
        let place = self.runs.iter().position(|run| Some(*run) == self.only.or(self.current));
        let next = match (place, older) {
            (Some(at), true) => self.runs.get(at + 1),
            (Some(at), false) => at.checked_sub(1).and_then(|at| self.runs.get(at)),
            (None, _) => None,
        };
        let Some(next) = next.copied().filter(|_| self.apps.len() == 1) else {
            world.say(if older {
                "no log of an earlier run is on this host"
            } else {
                "this is the newest run"
            });
            return None;
        };
        // The newest is followed into those that come after it.
        self.only = (self.runs.first() != Some(&next)).then_some(next);
        self.buffer.follow();
        self.ask(world).map(Turn::Work)
    }

    fn wish(&mut self, world: &mut World, wish: Wish) -> Option<Turn> {
        let height = height(world);
        let width = usize::from(world.size.0 / 2).max(1);
        match wish {
            Wish::Follow => self.buffer.follow(),
            Wish::Hold => self.buffer.toggle_pause(height),
            Wish::NextHit | Wish::PreviousHit => {
                if !self.buffer.go_to_hit(wish == Wish::PreviousHit, height) {
                    world.say(self.nothing_found());
                }
            }
            Wish::OnlyHits => {
                if !self.buffer.toggle_only_hits() {
                    world.say("nothing is looked for: / does");
                }
            }
            Wish::Wrap => {
                self.wraps = !self.wraps;
                self.left = 0;
            }
            Wish::Time => {
                self.time = match self.time {
                    TimeForm::Clock => TimeForm::Age,
                    TimeForm::Age => TimeForm::Off,
                    TimeForm::Off => TimeForm::Clock,
                };
            }
            Wish::Level => self.buffer.next_level(),
            Wish::Fold => {
                if !self.buffer.toggle_folds(height) {
                    world.say("no traceback is in sight");
                }
            }
            Wish::RunBefore => return self.go_to_run(world, true),
            Wish::RunAfter => return self.go_to_run(world, false),
            Wish::Left => self.left = self.left.saturating_sub(width),
            Wish::Right => {
                if !self.wraps {
                    self.left = (self.left + width).min(crate::console::logs::LINE_MAX);
                }
            }
            Wish::History => {
                let apps = self.apps.iter().map(AppId::of).collect();
                let what = crate::console::past::together(&self.apps);
                return Some(Turn::open(Screen::History(history::History::new(apps, what))));
            }
        }
        None
    }

    fn nothing_found(&self) -> &'static str {
        if self.buffer.search().is_some() {
            "it is not in these lines"
        } else {
            "nothing is looked for: / does"
        }
    }
}

/// Lines of the log that fit on the screen.
fn height(world: &World) -> usize {
    world.body().saturating_sub(FRAME).max(1)
}

/// The beginning of the id, which is enough for people.
pub(in crate::console) fn short(run: RunId) -> String {
    run.to_string().chars().take(8).collect()
}

impl Page for Logs {
    #[expect(clippy::wildcard_enum_match_arm, reason = "wishes of other screens are of no concern")]
    fn act(&mut self, world: &mut World, intent: Intent) -> Option<Turn> {
        let height = height(world);
        match intent {
            Intent::Move(Move::Top) => self.buffer.go_to_start(),
            Intent::Move(Move::Bottom) => self.buffer.follow(),
            Intent::Move(way) => self.buffer.scroll(way.rows(height), height),
            Intent::Logs(wish) => return self.wish(world, wish),
            _ => {}
        }
        None
    }

    fn enter(&mut self, world: &mut World) -> Option<Request> {
        self.ask(world)
    }

    fn leave(&mut self) -> Option<Request> {
        Some(Request::CloseLog)
    }

    fn refresh(&mut self, world: &mut World) -> Option<Request> {
        self.ask(world)
    }

    fn tick(&mut self, world: &mut World) -> Option<Request> {
        let app = AppId::of(self.apps.first().filter(|_| self.is_afar())?);
        self.afar.tick(world, app, self.only)
    }

    fn answer(&mut self, _world: &mut World, ticket: Ticket, answer: &Result<Answer, StoreError>) -> bool {
        let news = self.afar.answer(ticket, answer);
        match news {
            // A log that has come to this host meanwhile is read from its file.
            Some(news) if self.is_afar() => self.take_afar(news),
            Some(_) => {}
            None => return false,
        }
        true
    }

    fn sought(&self) -> String {
        self.buffer.search().map(|search| search.text().to_owned()).unwrap_or_default()
    }

    fn seek(&mut self, world: &mut World, text: &str) -> Option<Request> {
        self.buffer.look_for(Search::new(text), height(world));
        None
    }

    fn back(&mut self, world: &mut World) -> bool {
        let is_seeking = self.buffer.search().is_some();
        if is_seeking {
            self.buffer.look_for(None, height(world));
        }
        is_seeking
    }
}
