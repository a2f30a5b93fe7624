//! What the keys of the fleet do.

use super::{DETAILS_REST, Order, Sort, Spot, Table};
use crate::console::keymap::Intent;
use crate::console::request::{Answer, Request, Ticket};
use crate::console::screen::{Ask, Page, Screen, Turn, commands, detail, history, logs};
use crate::console::world::World;
use crate::model::{AppId, CmdName};
use crate::store::StoreError;

/// Wishes of this screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::console) enum Wish {
    Open,
    Close,
    OpenAll,
    CloseAll,
    OpenLevel,
    NextProblem,
    PreviousProblem,
    Log,
    History,
    Audit,
    Detail,
    Zoom,
    NextPart,
    PreviousPart,
    Flat,
    Sort,
    Reverse,
    Columns,
    Mark,
    Range,
    MarkAll,
    CopyPath,
    CopyJson,
    Actions,
    ClearFatal,
}

impl Table {
    #[expect(clippy::too_many_lines, reason = "one short arm a wish")]
    fn wish(&mut self, world: &mut World, wish: Wish) -> Option<Turn> {
        match wish {
            Wish::Open => match self.spot.clone()? {
                Spot::App(_) => return self.open_detail(world),
                spot @ (Spot::Group(_) | Spot::Parent(..)) => {
                    self.opened.insert(spot);
                    self.rebuild(world, Order::Held);
                }
            },
            Wish::Close if self.detail.is_zoomed => self.detail.is_zoomed = false,
            Wish::Close => self.close(world),
            Wish::OpenAll | Wish::CloseAll => {
                self.open_all(world, wish == Wish::OpenAll);
                self.rebuild(world, Order::Held);
            }
            Wish::OpenLevel => {
                let groups: Vec<_> = world.fleet.groups().cloned().map(Spot::Group).collect();
                if groups.iter().all(|group| self.opened.contains(group)) {
                    self.open_all(world, true);
                } else {
                    self.opened.extend(groups);
                }
                self.rebuild(world, Order::Held);
            }
            Wish::NextProblem => self.go_to_problem(world, false),
            Wish::PreviousProblem => self.go_to_problem(world, true),
            Wish::Log => {
                let (apps, what) = self.targets(world)?;
                if apps.len() > logs::MERGED_MAX {
                    let (count, most) = (apps.len(), logs::MERGED_MAX);
                    world.say(format!("{what}: that is {count} logs in one; at most {most} can be read"));
                    return None;
                }
                let paths = apps.iter().filter_map(|id| world.fleet.path_of(*id)).cloned().collect();
                return Some(Turn::open(Screen::Logs(Box::new(logs::Logs::new(paths)))));
            }
            Wish::History => {
                let (apps, what) = self.targets(world)?;
                return Some(Turn::open(Screen::History(history::History::new(apps, what))));
            }
            Wish::Audit => {
                let Some(app) = self.app().and_then(|id| world.fleet.path_of(id)) else {
                    world.say("choose an app; 7 shows the commands of all");
                    return None;
                };
                return Some(Turn::open(Screen::Commands(commands::Commands::of_app(app.clone()))));
            }
            Wish::Detail => return self.open_detail(world),
            Wish::Zoom => match self.app() {
                Some(_) => self.detail.is_zoomed = !self.detail.is_zoomed,
                None => world.say("the detail belongs to an app: open the group and choose one"),
            },
            Wish::NextPart => self.turn_details(world, false),
            Wish::PreviousPart => self.turn_details(world, true),
            Wish::Flat => {
                self.is_flat = !self.is_flat;
                self.rebuild(world, Order::Fresh);
            }
            Wish::Sort => return Some(Turn::Ask(Ask::Sort)),
            Wish::Reverse => {
                let sort = Sort { is_reversed: !self.sort.is_reversed, ..self.sort };
                self.set_sort(world, sort);
            }
            Wish::Columns => return Some(Turn::Ask(Ask::Columns)),
            Wish::Mark => {
                let apps = self.below(world, &self.spot.clone()?);
                self.marks.toggle(&apps);
                self.put_cursor(world, self.cursor + 1);
            }
            Wish::Range => self.range(world),
            Wish::MarkAll => {
                let passing = self.query(world).passing();
                let ids = passing.into_iter().filter_map(|slot| world.fleet.row(slot)).map(|row| row.id);
                self.marks.add(ids.collect::<Vec<_>>());
            }
            Wish::CopyPath => {
                let (apps, _) = self.targets(world)?;
                let paths = apps.iter().filter_map(|id| world.fleet.path_of(*id)).map(ToString::to_string);
                return Some(Turn::Copy(paths.collect::<Vec<_>>().join("\n")));
            }
            Wish::CopyJson => {
                let (apps, _) = self.targets(world)?;
                return Some(Turn::CopyRows(apps));
            }
            Wish::Actions => return Some(Turn::Ask(Ask::Actions)),
            Wish::ClearFatal => {
                let (apps, what) = self.targets(world)?;
                let is_fatal = |id: &AppId| world.fleet.by_id(*id).is_some_and(|row| row.fatal.is_some());
                let apps: Vec<_> = apps.into_iter().filter(is_fatal).collect();
                if apps.is_empty() {
                    world.say(format!("{what} has no fatal flag"));
                    return None;
                }
                return Some(Turn::ClearFatal(apps, what));
            }
        }
        None
    }

    /// All about the app under the cursor, on a screen of its own.
    fn open_detail(&self, world: &mut World) -> Option<Turn> {
        let Some(app) = self.app().and_then(|id| world.fleet.path_of(id)) else {
            world.say("the detail belongs to an app: open the group and choose one");
            return None;
        };
        Some(Turn::open(Screen::Detail(Box::new(detail::Detail::new(app.clone())))))
    }

    fn turn_details(&mut self, world: &mut World, is_backwards: bool) {
        if self.detail.is_zoomed || world.has_detail_pane() {
            self.detail.part = self.detail.part.turned(is_backwards);
        } else {
            world.say("there is no room for the details: z zooms them, d opens their screen");
        }
    }

    fn close(&mut self, world: &World) {
        let Some(spot) = self.spot.clone() else { return };
        if self.opened.remove(&spot) {
            self.rebuild(world, Order::Held);
        } else if let Some(above) = spot.above(&world.fleet).filter(|_| !self.is_flat) {
            self.go_to_spot(world, &above);
        }
    }

    /// Goes to the next app that needs somebody, wherever it is, and opens the way to it.
    fn go_to_problem(&mut self, world: &mut World, is_backwards: bool) {
        let Some(first) = self.problems.first() else {
            world.say("no app needs anybody");
            return;
        };
        let here = self.app();
        let at = here.and_then(|here| self.problems.iter().position(|id| *id == here));
        let count = self.problems.len();
        let next = match (at, is_backwards) {
            (None, _) => *first,
            (Some(at), false) => self.problems[(at + 1) % count],
            (Some(at), true) => self.problems[(at + count - 1) % count],
        };
        if let Some(path) = world.fleet.path_of(next).cloned() {
            self.go_to(world, &path);
        }
    }

    fn range(&mut self, world: &World) {
        let Some(start) = self.marks.range.take() else {
            self.marks.range.clone_from(&self.spot);
            return;
        };
        let Some(from) = self.lines.iter().position(|line| line.is(&start, &world.fleet)) else { return };
        let (from, to) = (from.min(self.cursor), from.max(self.cursor));
        let slots = self.lines[from..=to].iter().filter_map(|line| match line {
            super::Line::App(slot) => world.fleet.row(*slot).map(|row| row.id),
            super::Line::Group(_) | super::Line::Parent(..) => None,
        });
        self.marks.add(slots.collect::<Vec<_>>());
    }

    /// What an action is for: what is marked, else the line under the cursor; and how that is called.
    pub(in crate::console) fn targets(&self, world: &World) -> Option<(Vec<AppId>, String)> {
        if !self.marks.is_empty() {
            let apps: Vec<_> = self.marks.iter().collect();
            let what = match apps[..] {
                [one] => world.fleet.path_of(one).map(ToString::to_string).unwrap_or_default(),
                _ => format!("{} marked apps", apps.len()),
            };
            return Some((apps, what));
        }
        let spot = self.spot.as_ref()?;
        Some((self.below(world, spot), spot.name(&world.fleet)))
    }
}

impl Page for Table {
    #[expect(clippy::wildcard_enum_match_arm, reason = "wishes of other screens are of no concern")]
    fn act(&mut self, world: &mut World, intent: Intent) -> Option<Turn> {
        let now = world.now.mono;
        let is_at_rest = now >= self.touched + DETAILS_REST;
        self.touched = now;
        let turn = match intent {
            Intent::Move(way) => {
                let page = world.table_rows();
                self.put_cursor(world, way.from(self.cursor, page, self.lines.len()));
                None
            }
            Intent::Fleet(wish) => self.wish(world, wish),
            Intent::Issue(name) => self.issue(world, name),
            _ => None,
        };
        if is_at_rest || self.detail.is_zoomed {
            self.look(now);
        }
        turn
    }

    fn refresh(&mut self, _world: &mut World) -> Option<Request> {
        None
    }

    fn leave(&mut self) -> Option<Request> {
        self.detail.rest()
    }

    fn tick(&mut self, world: &mut World) -> Option<Request> {
        self.time_passed(world);
        if world.now.mono >= self.touched + DETAILS_REST {
            self.look(world.now.mono);
        }
        let is_seen = self.detail.is_zoomed || world.has_detail_pane();
        self.detail.tick(world, is_seen).or_else(|| self.ask_usual(world))
    }

    fn answer(&mut self, world: &mut World, ticket: Ticket, answer: &Result<Answer, StoreError>) -> bool {
        self.detail.answer(ticket, answer) || self.learn_usual(world, ticket, answer)
    }

    fn sought(&self) -> String {
        self.filter.text().to_owned()
    }

    fn seek(&mut self, world: &mut World, text: &str) -> Option<Request> {
        self.set_filter(world, text);
        None
    }

    fn back(&mut self, world: &mut World) -> bool {
        if self.detail.is_zoomed {
            self.detail.is_zoomed = false;
            return true;
        }
        if self.filter.is_active() {
            self.set_filter(world, "");
            return true;
        }
        let had_marks = !self.marks.is_empty() || self.marks.is_in_range();
        self.marks.clear();
        had_marks
    }
}

impl Table {
    fn issue(&self, world: &World, name: CmdName) -> Option<Turn> {
        let (apps, what) = self.targets(world)?;
        Some(Turn::Issue(name, apps, what))
    }
}
