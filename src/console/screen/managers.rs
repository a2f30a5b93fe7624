//! The managers of the database: who lives, how much each has to do, and who is to give up its apps.

use std::time::Duration;

use super::{List, Page, Turn};
use crate::console::dialog::DEAF;
use crate::console::fleet::Fleet;
use crate::console::keymap::Intent;
use crate::console::request::{Answer, Question, Request, Ticket};
use crate::console::world::World;
use crate::model::{ManagerRow, Released, Timestamp};
use crate::store::StoreError;

/// Wishes of this screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::console) enum Wish {
    /// Its apps in the fleet.
    Open,
    Drain,
    TakeOver,
    Yes,
}

/// How a manager is, as far as is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::console) enum Life {
    Alive,
    /// It did not end in order, and its lease is over.
    Silent,
    Ended,
}

pub(in crate::console) fn life(row: &ManagerRow, fleet: &Fleet, now: Timestamp) -> Life {
    match row.stopped {
        Some(_) => Life::Ended,
        None if row.is_live(fleet.managers_time(now)) => Life::Alive,
        None => Life::Silent,
    }
}

/// What is asked before something is done with a manager.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::console) struct Plan {
    pub(in crate::console) name: String,
    pub(in crate::console) deed: Deed,
    opened: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::console) enum Deed {
    Drain,
    Resume,
    TakeOver,
}

/// The state of the screen.
#[derive(Debug, Default)]
pub(in crate::console) struct Managers {
    pub(in crate::console) list: List<ManagerRow>,
    /// The question that is open.
    pub(in crate::console) plan: Option<Plan>,
    sent: Option<(Ticket, Plan)>,
}

impl Managers {
    fn plan(&mut self, world: &mut World, deed: Deed) -> Option<()> {
        if let Some(why) = world.refusal() {
            world.say(why);
            return None;
        }
        let name = self.list.current()?.name.clone();
        self.plan = Some(Plan { name, deed, opened: world.now.mono });
        None
    }

    fn wish(&mut self, world: &mut World, wish: Wish) -> Option<Turn> {
        let now = world.time();
        match wish {
            Wish::Open => {
                let name = &self.list.current()?.name;
                return Some(Turn::Filter(format!("mgr:{name}")));
            }
            Wish::Drain => {
                let row = self.list.current()?;
                let deed = if row.draining { Deed::Resume } else { Deed::Drain };
                if life(row, &world.fleet, now) == Life::Alive {
                    self.plan(world, deed)?;
                } else {
                    world.say(format!("{} does not live: there is nothing to drain", row.name));
                }
            }
            Wish::TakeOver => {
                let row = self.list.current()?;
                if life(row, &world.fleet, now) == Life::Alive {
                    world.say(format!("{} lives: d lets it give away what others may have", row.name));
                } else {
                    self.plan(world, Deed::TakeOver)?;
                }
            }
            Wish::Yes => {
                // What was typed before the question was read is no answer.
                let plan = self.plan.take_if(|plan| world.now.mono >= plan.opened + DEAF)?;
                let ticket = world.ticket();
                let question = match plan.deed {
                    Deed::Drain => Question::Drain(plan.name.clone(), true),
                    Deed::Resume => Question::Drain(plan.name.clone(), false),
                    Deed::TakeOver => Question::TakeFrom(plan.name.clone()),
                };
                self.sent = Some((ticket, plan));
                return Some(Turn::Work(Request::Ask(ticket, question)));
            }
        }
        None
    }
}

/// What became of it, in a line.
fn told(plan: &Plan, answer: &Result<Answer, StoreError>) -> String {
    let name = &plan.name;
    match answer {
        Ok(Answer::Released(Released { apps, runs, kept })) => {
            let what = match plan.deed {
                Deed::Drain => "starts nothing new",
                Deed::Resume => "starts apps again",
                Deed::TakeOver => "has given up its apps",
            };
            let mut words = vec![format!("{name} {what}")];
            let parts =
                [(apps, "apps are free for others"), (runs, "runs are lost"), (kept, "apps stay with it")];
            words.extend(
                parts.iter().filter(|(count, _)| **count > 0).map(|(count, text)| format!("{count} {text}")),
            );
            words.join("; ")
        }
        Ok(_) => format!("{name}: the answer was another one"),
        Err(why) => format!("nothing was done with {name}: {why}"),
    }
}

impl Page for Managers {
    #[expect(clippy::wildcard_enum_match_arm, reason = "wishes of other screens are of no concern")]
    fn act(&mut self, world: &mut World, intent: Intent) -> Option<Turn> {
        if !matches!(intent, Intent::Managers(Wish::Yes)) {
            self.plan = None;
        }
        match intent {
            Intent::Move(way) => {
                self.list.go(way, world.body());
                None
            }
            Intent::Managers(wish) => self.wish(world, wish),
            _ => None,
        }
    }

    fn leave(&mut self) -> Option<Request> {
        self.plan = None;
        None
    }

    fn refresh(&mut self, world: &mut World) -> Option<Request> {
        Some(self.list.ask(world, Question::Managers))
    }

    fn tick(&mut self, world: &mut World) -> Option<Request> {
        self.list.is_old(world).then(|| self.refresh(world)).flatten()
    }

    fn answer(&mut self, world: &mut World, ticket: Ticket, answer: &Result<Answer, StoreError>) -> bool {
        if let Some((_, plan)) = self.sent.take_if(|(sent, _)| *sent == ticket) {
            world.say(told(&plan, answer));
            self.list.expire();
            return true;
        }
        self.list.take_answer(ticket, answer)
    }

    fn back(&mut self, _world: &mut World) -> bool {
        self.plan.take().is_some()
    }
}
