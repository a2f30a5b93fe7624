//! The fleet: what is marked and filtered, and where the cursor is.

use super::tree::{Line, Tree};
use super::{Page, Screen, Turn, commands, detail, history, logs};
use crate::console::keymap::Intent;
use crate::console::request::Request;
use crate::console::world::World;
use crate::model::AppPath;

/// Wishes of this screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::console) enum Wish {
    Open,
    Close,
    OpenAll,
    CloseAll,
    NextProblem,
    PreviousProblem,
    Detail,
    Log,
    History,
    Audit,
}

/// The state of the screen.
#[derive(Debug, Default)]
pub(in crate::console) struct Table {
    pub(in crate::console) tree: Tree,
}

impl Table {
    /// The fleet changed; `reshaped` when other rows may be shown.
    pub(in crate::console) fn follow(&mut self, world: &World, is_first: bool, reshaped: bool) {
        if is_first && world.fleet.total.apps <= world.body() {
            // A small fleet is shown as a whole.
            self.tree.set_all(true, &world.fleet);
        } else if reshaped {
            self.tree.rebuild(&world.fleet);
        }
    }

    /// The app under the cursor.
    pub(in crate::console) fn app(&self) -> Option<&AppPath> {
        match self.tree.current() {
            Some(Line::App(path)) => Some(path),
            Some(Line::Group(_) | Line::Parent(..)) | None => None,
        }
    }

    /// Puts the cursor on an app and opens the way to it.
    pub(in crate::console) fn go_to(&mut self, world: &World, app: &AppPath) {
        self.tree.show(app, &world.fleet);
    }

    fn wish(&mut self, world: &mut World, wish: Wish) -> Option<Turn> {
        match wish {
            Wish::Open => {
                if !self.tree.open(&world.fleet) {
                    return self.detail(world);
                }
            }
            Wish::Detail => return self.detail(world),
            Wish::Close => self.tree.close(&world.fleet),
            Wish::OpenAll => self.tree.set_all(true, &world.fleet),
            Wish::CloseAll => self.tree.set_all(false, &world.fleet),
            Wish::NextProblem | Wish::PreviousProblem => {
                if !self.tree.go_to_problem(&world.fleet, wish == Wish::PreviousProblem) {
                    world.say("no app needs anybody");
                }
            }
            Wish::Log => return self.log(world),
            Wish::History => return self.history(world),
            Wish::Audit => {
                let Some(app) = self.app() else {
                    world.say("choose an app; 7 shows the commands of all");
                    return None;
                };
                return Some(Turn::open(Screen::Commands(commands::Commands::of_app(app.clone()))));
            }
        }
        None
    }

    fn detail(&self, world: &mut World) -> Option<Turn> {
        let Some(app) = self.app() else {
            world.say("choose an app: right opens the group");
            return None;
        };
        Some(Turn::open(Screen::Detail(Box::new(detail::Detail::new(app.clone())))))
    }

    fn history(&self, world: &World) -> Option<Turn> {
        let line = self.tree.current()?;
        let apps = world.fleet.rows().filter(|row| line.holds(&row.path)).map(|row| row.id);
        Some(Turn::open(Screen::History(history::History::new(apps.collect(), line.name()))))
    }

    fn log(&self, world: &mut World) -> Option<Turn> {
        let line = self.tree.current()?;
        let apps: Vec<_> =
            world.fleet.rows().map(|row| &row.path).filter(|path| line.holds(path)).cloned().collect();
        if apps.len() > logs::MERGED_MAX {
            world.say(format!(
                "that is {} logs in one: at most {} can be read",
                apps.len(),
                logs::MERGED_MAX
            ));
            return None;
        }
        Some(Turn::open(Screen::Logs(Box::new(logs::Logs::new(apps)))))
    }
}

impl Page for Table {
    #[expect(clippy::wildcard_enum_match_arm, reason = "wishes of other screens are of no concern")]
    fn act(&mut self, world: &mut World, intent: Intent) -> Option<Turn> {
        match intent {
            Intent::Move(way) => {
                self.tree.move_by(way.rows(world.body().saturating_sub(2)));
                None
            }
            Intent::Fleet(wish) => self.wish(world, wish),
            Intent::Issue(name) => {
                let line = self.tree.current()?;
                let apps = world.fleet.rows().map(|row| &row.path).filter(|path| line.holds(path));
                Some(Turn::Issue(name, apps.cloned().collect()))
            }
            _ => None,
        }
    }

    fn refresh(&mut self, _world: &mut World) -> Option<Request> {
        Some(Request::Look)
    }

    fn enter(&mut self, _world: &mut World) -> Option<Request> {
        None
    }

    fn sought(&self) -> String {
        self.tree.filter().text().to_owned()
    }

    fn seek(&mut self, world: &mut World, text: &str) -> Option<Request> {
        self.tree.set_filter(text, &world.fleet);
        None
    }

    fn back(&mut self, world: &mut World) -> bool {
        let is_active = self.tree.filter().is_active();
        if is_active {
            self.tree.set_filter("", &world.fleet);
        }
        is_active
    }
}
