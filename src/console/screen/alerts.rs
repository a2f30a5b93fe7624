//! Alerts, one row a cause; and what the console concludes of managers that are not heard of.

use super::concluded::{lost_managers, troubled};
use super::{List, Page, Screen, Turn, history, logs};
use crate::console::keymap::Intent;
use crate::console::past::{Cause, causes};
use crate::console::request::{Answer, Question, Request, Ticket};
use crate::console::world::{Bell, World};
use crate::model::{AlertRow, AlertSubject, AppRef, ManagerRow};
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
    /// Open alerts that a person has acknowledged.
    pub(in crate::console) attended: usize,
    /// Rows that are muted.
    pub(in crate::console) muted: usize,
    pub(in crate::console) shows_muted: bool,
    pub(in crate::console) is_single: bool,
    sought: String,
    noted: Option<Ticket>,
}

/// The most lines of what a run wrote last to its standard error.
const DETAIL_MAX: u16 = 8;

/// From this height on they have a place of their own, however many rows there are.
const TALL: u16 = 24;

/// From this height on there is room for when, how often and whether it was sent.
const FACTS_FROM: u16 = 8;

/// The lines below the rows, all about the row under the cursor but the last one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::console) struct Foot {
    /// Whether there is a line of facts.
    pub(in crate::console) facts: bool,
    /// How many lines there are for the standard error.
    pub(in crate::console) detail: u16,
    /// All of them.
    pub(in crate::console) lines: u16,
}

impl Alerts {
    /// What is below the rows in this height. It is the same for each row, so that nothing jumps as the cursor moves.
    pub(in crate::console) fn foot(&self, height: u16) -> Foot {
        let facts = height >= FACTS_FROM;
        let fixed = height.min(2) + u16::from(facts);
        let rows = u16::try_from(self.causes.rows.len()).unwrap_or(u16::MAX);
        let free = height.saturating_sub(fixed).saturating_sub(rows.saturating_add(1));
        let reserved = if height >= TALL { DETAIL_MAX } else { 0 };
        let detail = free.clamp(reserved, DETAIL_MAX);
        Foot { facts, detail, lines: fixed + detail }
    }

    /// Makes the rows anew. The cursor stays on its cause.
    fn regroup(&mut self, world: &mut World) {
        let now = world.time();
        world.note_alerts(&self.asked.rows);
        let path_of = |app: &AppRef| world.fleet.path_of(app.id()?).cloned();
        let mut found = lost_managers(&self.managers.rows, world);
        found.extend(causes(&self.asked.rows, self.is_single, path_of));
        found.extend(troubled(world, self.is_single));
        found.sort_by_key(|cause| cause.sign);
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
        self.attended = self.asked.rows.iter().filter(|alert| alert.acknowledged.is_some()).count();
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
                    None => world.say(without_app(cause)),
                }
            }
            Wish::Log => {
                let cause = self.causes.current()?;
                let apps: Vec<_> = cause.apps.iter().take(logs::MERGED_MAX).cloned().collect();
                if apps.is_empty() {
                    world.say(without_app(cause));
                    return None;
                }
                return Some(Turn::open(Screen::Logs(Box::new(logs::Logs::new(apps)))));
            }
            Wish::History => {
                let cause = self.causes.current()?;
                if cause.apps.is_empty() {
                    // None is all of them there.
                    world.say(without_app(cause));
                    return None;
                }
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

/// Why there is no app to go to.
fn without_app(cause: &Cause) -> &'static str {
    match cause.alerts.first().map(|alert| &alert.subject) {
        Some(AlertSubject::Fleet) => "this is about the fleet, and not about one app",
        Some(AlertSubject::App(_)) => "the app is not registered any more",
        None => "no app is known of it",
    }
}

impl Page for Alerts {
    #[expect(clippy::wildcard_enum_match_arm, reason = "wishes of other screens are of no concern")]
    fn act(&mut self, world: &mut World, intent: Intent) -> Option<Turn> {
        match intent {
            Intent::Move(way) => {
                let body = world.body();
                let foot = self.foot(u16::try_from(body).unwrap_or(u16::MAX));
                self.causes.go(way, body.saturating_sub(usize::from(foot.lines) + 1));
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
        } else if self.asked.take_answer(ticket, answer) {
            self.causes.fault.clone_from(&self.asked.fault);
            if answer.is_ok() {
                self.regroup(world);
            }
        } else if self.managers.take_answer(ticket, answer) {
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
