//! Alerts, one row a cause; and what the console concludes of managers that are not heard of.

use super::concluded::{lost_managers, troubled};
use super::{List, Page, Screen, Turn, history, logs};
use crate::console::keymap::Intent;
use crate::console::past::{Cause, causes};
use crate::console::request::{Answer, Question, Request, Ticket};
use crate::console::world::{Bell, World};
use crate::model::{AlertRow, AppRef, ManagerRow};
use crate::store::{AlertNote, StoreError};

/// Muted so long.
const MUTED_FOR: chrono::TimeDelta = chrono::TimeDelta::hours(1);

/// Wishes of this screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::console) enum Wish {
    /// To the app.
    Open,
    Log,
    History,
    Acknowledge,
    Mute,
    Ungroup,
    ShowMuted,
    Bell,
}

/// The state of the screen.
#[derive(Debug, Default)]
pub(in crate::console) struct Alerts {
    asked: List<AlertRow>,
    managers: List<ManagerRow>,
    /// What is shown, made of both.
    pub(in crate::console) causes: List<Cause>,
    /// Open alerts, all of them.
    pub(in crate::console) count: usize,
    /// Rows that are muted.
    pub(in crate::console) muted: usize,
    pub(in crate::console) shows_muted: bool,
    pub(in crate::console) is_single: bool,
    sought: String,
    noted: Option<Ticket>,
}

impl Alerts {
    /// Makes the rows anew. The cursor stays on its cause.
    fn regroup(&mut self, world: &mut World) {
        let now = world.time();
        let path_of = |app: &AppRef| world.fleet.path_of(app.id()?).cloned();
        let mut found = lost_managers(&self.managers.rows, world);
        found.extend(causes(&self.asked.rows, self.is_single, path_of));
        found.extend(troubled(world, self.is_single));
        found.sort_by_key(|cause| cause.sign);
        self.count = self.asked.rows.len()
            + found
                .iter()
                .filter(|cause| cause.alerts.is_empty())
                .map(|cause| cause.apps.len().max(1))
                .sum::<usize>();
        let all = found.len();
        found.retain(|cause| self.shows_muted || cause.muted(now).is_none());
        self.muted = all - found.len();
        let words: Vec<_> = self.sought.split_whitespace().map(str::to_lowercase).collect();
        let holds = |cause: &Cause| {
            let text = format!("{} {}", cause.who, cause.what).to_lowercase();
            words.iter().all(|word| text.contains(word))
        };
        found.retain(holds);
        // What somebody looks after comes last.
        found.sort_by_key(|cause| cause.acknowledged().is_some());
        world.note_alerts(&self.asked.rows);
        self.causes.take(Ok(found), |before, row| before.key == row.key);
    }

    fn note(&mut self, world: &mut World, note: AlertNote) -> Option<Turn> {
        if let Some(why) = world.refusal() {
            world.say(why);
            return None;
        }
        let ids = self.causes.current()?.ids();
        if ids.is_empty() {
            world.say("that is a conclusion of this console: it goes when it is no longer so");
            return None;
        }
        let ticket = world.ticket();
        self.noted = Some(ticket);
        Some(Turn::Work(Request::Ask(ticket, Question::NoteAlerts(ids, note))))
    }

    fn wish(&mut self, world: &mut World, wish: Wish) -> Option<Turn> {
        match wish {
            Wish::Open => {
                let cause = self.causes.current()?;
                match cause.apps.first() {
                    Some(app) => return Some(Turn::GoTo(app.clone())),
                    None => world.say("the app is not registered any more"),
                }
            }
            Wish::Log => {
                let apps: Vec<_> =
                    self.causes.current()?.apps.iter().take(logs::MERGED_MAX).cloned().collect();
                if apps.is_empty() {
                    world.say("the app is not registered any more");
                    return None;
                }
                return Some(Turn::open(Screen::Logs(Box::new(logs::Logs::new(apps)))));
            }
            Wish::History => {
                let cause = self.causes.current()?;
                let apps = cause.apps.iter().map(crate::model::AppId::of).collect();
                return Some(Turn::open(Screen::History(history::History::new(apps, cause.who.clone()))));
            }
            Wish::Acknowledge => {
                let note = match self.causes.current()?.acknowledged() {
                    Some(_) => AlertNote::Unacknowledged,
                    None => AlertNote::Acknowledged { by: world.identity.user.clone(), at: world.time() },
                };
                return self.note(world, note);
            }
            Wish::Mute => {
                let until = world.time().checked_add_signed(MUTED_FOR);
                let is_muted = self.causes.current()?.muted(world.time()).is_some();
                return self.note(world, AlertNote::Muted(until.filter(|_| !is_muted)));
            }
            Wish::Ungroup => {
                self.is_single = !self.is_single;
                self.regroup(world);
            }
            Wish::Bell => {
                let (bell, said) = match world.bell {
                    Bell::Off => (Bell::On, "the bell rings when an app is newly in trouble"),
                    Bell::On => (Bell::Off, "the bell is off"),
                };
                world.bell = bell;
                world.say(said);
            }
            Wish::ShowMuted => {
                self.shows_muted = !self.shows_muted;
                self.regroup(world);
            }
        }
        None
    }
}

impl Page for Alerts {
    #[expect(clippy::wildcard_enum_match_arm, reason = "wishes of other screens are of no concern")]
    fn act(&mut self, world: &mut World, intent: Intent) -> Option<Turn> {
        match intent {
            Intent::Move(way) => {
                self.causes.go(way, world.body().saturating_sub(3));
                None
            }
            Intent::Alerts(wish) => self.wish(world, wish),
            _ => None,
        }
    }

    fn refresh(&mut self, world: &mut World) -> Option<Request> {
        Some(self.asked.ask(world, Question::open_alerts()))
    }

    fn tick(&mut self, world: &mut World) -> Option<Request> {
        if self.asked.is_old(world) {
            self.refresh(world)
        } else if self.managers.is_old(world) {
            Some(self.managers.ask(world, Question::Managers))
        } else {
            None
        }
    }

    fn answer(&mut self, world: &mut World, ticket: Ticket, answer: &Result<Answer, StoreError>) -> bool {
        if self.noted == Some(ticket) {
            self.noted = None;
            if let Err(why) = answer {
                world.say(format!("nothing was noted: {why}"));
            }
            self.asked.expire();
        } else if self.asked.awaits(ticket) {
            let rows = match answer {
                Ok(Answer::Alerts(rows)) => Ok(rows.clone()),
                Ok(_) => return false,
                Err(why) => Err(why.clone()),
            };
            self.causes.fault = rows.as_ref().err().map(ToString::to_string);
            let is_read = rows.is_ok();
            self.asked.take(rows, |before, row| before.id == row.id);
            if is_read {
                self.regroup(world);
            }
        } else if self.managers.awaits(ticket) {
            let rows = match answer {
                Ok(Answer::Managers(rows)) => Ok(rows.clone()),
                Ok(_) => return false,
                Err(why) => Err(why.clone()),
            };
            self.managers.take(rows, |before, row| before.name == row.name);
            if self.asked.is_read {
                self.regroup(world);
            }
        } else {
            return false;
        }
        true
    }

    fn sought(&self) -> String {
        self.sought.clone()
    }

    fn seek(&mut self, world: &mut World, text: &str) -> Option<Request> {
        text.clone_into(&mut self.sought);
        self.regroup(world);
        None
    }

    fn back(&mut self, world: &mut World) -> bool {
        let is_seeking = !self.sought.is_empty();
        if is_seeking {
            self.seek(world, "");
        }
        is_seeking
    }
}
