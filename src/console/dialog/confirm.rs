//! The question before a command: who is meant, what will happen, and how much it takes to say yes.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::TimeDelta;

use super::field::Field;
use crate::console::batch::{Order, Pace};
use crate::console::fleet::Row;
use crate::console::view::span;
use crate::console::world::World;
use crate::model::explain::State;
use crate::model::{AppId, CmdName, RunStatus};

/// More apps, or documents, than this need their number to be typed.
pub(super) const TYPED_FROM: usize = 10;

/// What somebody else did so lately is told before it is overruled.
const LATELY: TimeDelta = TimeDelta::seconds(10);

/// At most so many of these are told.
const OTHERS_MAX: usize = 2;

/// A share of failures at which the rest is not sent, and those to choose from.
const STOP_AT: u8 = 20;
pub(in crate::console) const STOPS: [Option<u8>; 4] = [Some(STOP_AT), Some(50), None, Some(0)];

/// Who is meant, by what will happen to them. The apps are those of the moment in which the key was
/// pressed.
#[derive(Debug)]
pub(in crate::console) struct Confirm {
    pub(in crate::console) name: CmdName,
    /// As the action is called.
    pub(in crate::console) verb: String,
    /// As the apps are called together.
    pub(in crate::console) what: String,
    /// They get the command.
    pub(in crate::console) sent: Vec<AppId>,
    /// How many of them run.
    pub(in crate::console) running: usize,
    pub(in crate::console) protected: usize,
    /// It would change nothing for them.
    pub(in crate::console) without_effect: usize,
    /// Their manager gives no sign of life: how many, and for how long.
    pub(in crate::console) unreachable: BTreeMap<String, (usize, Option<TimeDelta>)>,
    /// A command for them is under way already.
    pub(in crate::console) pending: usize,
    /// What others did to them a moment ago.
    pub(in crate::console) others: Vec<String>,
    pub(in crate::console) asks_for: Consent,
    pub(in crate::console) needs_reason: bool,
    pub(in crate::console) typed: Field,
    pub(in crate::console) reason: Field,
    pub(in crate::console) pace: Pace,
    pub(in crate::console) stop_at: Option<u8>,
    pub(in crate::console) focus: Part,
    pub(in crate::console) opened: Duration,
}

/// What it takes to say yes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Consent {
    /// It is sent at once.
    #[default]
    Nothing,
    /// A key.
    Yes,
    /// The number of commands must be typed.
    Number,
}

/// What the owner of a fleet demands before something is done, more than the console itself does.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Caution {
    /// A reason must be given wherever something is asked.
    pub needs_reason: bool,
    /// The least that it takes.
    pub at_least: BTreeMap<CmdName, Consent>,
}

/// What of the question has the keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::console) enum Part {
    Number,
    Cancel,
    Yes,
    Pace,
    Stop,
    Reason,
}

/// What will happen to some of those who are meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::console) struct Effect {
    pub(in crate::console) count: usize,
    pub(in crate::console) whose: String,
    pub(in crate::console) what: String,
    pub(in crate::console) weight: Weight,
}

/// How much an effect matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::console) enum Weight {
    Sent,
    Alarm,
    None,
}

/// What is asked for.
#[derive(Debug, Clone)]
pub(in crate::console) struct Wanted {
    pub(in crate::console) name: CmdName,
    pub(in crate::console) verb: String,
    pub(in crate::console) apps: Vec<AppId>,
    pub(in crate::console) what: String,
    /// They were chosen as a group or parent, not one by one.
    pub(in crate::console) is_group: bool,
}

impl Confirm {
    /// Finds out who is meant.
    pub(in crate::console) fn new(wanted: Wanted, world: &World) -> Self {
        let Wanted { name, verb, apps, what, is_group } = wanted;
        let mut confirm = Self {
            name,
            verb,
            what,
            sent: Vec::new(),
            running: 0,
            protected: 0,
            without_effect: 0,
            unreachable: BTreeMap::new(),
            pending: 0,
            others: Vec::new(),
            asks_for: Consent::Nothing,
            needs_reason: world.caution.needs_reason,
            typed: Field::default(),
            reason: Field::default(),
            pace: Pace::default(),
            stop_at: Some(STOP_AT),
            focus: Part::Cancel,
            opened: world.now.mono,
        };
        let is_single = apps.len() == 1;
        for row in apps.iter().filter_map(|id| world.fleet.by_id(*id)) {
            confirm.sort_in(row, is_single, world);
        }
        let is_harmless = matches!(name, CmdName::Start | CmdName::Enable) && confirm.verb == name.word();
        confirm.asks_for = match confirm.sent.len() {
            _ if is_group || confirm.protected > 0 => Consent::Number,
            // What somebody else did a moment ago is told first.
            0..=1 if is_harmless && confirm.others.is_empty() => Consent::Nothing,
            0..=TYPED_FROM => Consent::Yes,
            _ => Consent::Number,
        };
        let at_least = world.caution.at_least.get(&name).copied().unwrap_or_default();
        confirm.asks_for = confirm.asks_for.max(at_least);
        if confirm.asks_for == Consent::Number {
            confirm.focus = Part::Number;
        }
        confirm
    }

    fn sort_in(&mut self, row: &Row, is_single: bool, world: &World) {
        let now = world.time();
        let lost = row
            .manager
            .as_deref()
            .filter(|_| row.is_running() && !world.fleet.managers.is_empty())
            .filter(|name| !world.fleet.has_live(name, now));
        if let Some(name) = lost {
            let age = world.fleet.manager(name).map(|manager| now - manager.heartbeat);
            self.unreachable.entry(name.to_owned()).or_insert((0, age)).0 += 1;
        } else if row.is_pending() && !is_single {
            self.pending += 1;
        } else if has_effect(self.name, row) {
            self.sent.push(row.id);
            self.running += usize::from(row.is_running());
            self.protected += usize::from(row.protected);
            self.tell_others(row, world);
        } else {
            self.without_effect += 1;
        }
    }

    fn tell_others(&mut self, row: &Row, world: &World) {
        let Some(command) = row.command.as_deref() else { return };
        let (Some(by), Some(time)) = (&command.by, command.time) else { return };
        let age = world.time() - time;
        if *by != world.identity.user && age < LATELY && self.others.len() < OTHERS_MAX {
            let seconds = age.num_seconds().max(0);
            self.others.push(format!("{by} sent {} {seconds} s ago to {}", command.name, row.path));
        }
    }

    /// Why there is nothing to be sent, if that is so.
    pub(in crate::console) fn nothing_to_send(&self) -> Option<String> {
        if !self.sent.is_empty() {
            return None;
        }
        Some(match (self.unreachable.is_empty(), self.pending) {
            (false, _) => {
                let managers: Vec<_> = self.unreachable.keys().map(String::as_str).collect();
                format!("nothing is sent: manager {} gives no sign of life", managers.join(", "))
            }
            (true, pending @ 1..) => format!("{pending} commands are under way already"),
            (true, 0) => format!("{} would change nothing for {}", self.verb, self.what),
        })
    }

    /// What will happen, and to how many.
    pub(in crate::console) fn effects(&self) -> Vec<Effect> {
        let (of_running, of_resting) = match self.name {
            CmdName::Stop => ("will be stopped (TERM, then KILL)", "schedule keeps away"),
            CmdName::Restart => ("will be stopped and started", "will be started"),
            CmdName::Start => ("", "will be started"),
            CmdName::Enable => ("schedule and START allowed again", "schedule and START allowed again"),
            CmdName::Disable => ("will be stopped and kept off", "kept from being started"),
        };
        let effect = |count, whose: &str, what: &str, weight| Effect {
            count,
            whose: whose.to_owned(),
            what: what.to_owned(),
            weight,
        };
        let resting = self.sent.len() - self.running;
        let lost = self.unreachable.iter().map(|(manager, (count, age))| {
            let age = age.map(|age| format!(" {}", span(age.num_seconds()))).unwrap_or_default();
            effect(*count, &format!("on {manager}"), &format!("heartbeat lost{age}: not sent"), Weight::None)
        });
        [
            effect(self.running, "running", of_running, Weight::Sent),
            effect(resting, "not running", of_resting, Weight::Sent),
            effect(self.protected, "of these", "are protected", Weight::Alarm),
            effect(self.without_effect, "other", "no effect, not sent", Weight::None),
            effect(self.pending, "pending", "a command is under way: not sent", Weight::None),
        ]
        .into_iter()
        .chain(lost)
        .filter(|effect| effect.count > 0)
        .collect()
    }

    /// What can have the keys, in its order.
    pub(in crate::console) fn parts(&self) -> Vec<Part> {
        let mut parts = match self.asks_for {
            Consent::Number => vec![Part::Number],
            Consent::Yes | Consent::Nothing => vec![Part::Cancel, Part::Yes],
        };
        if self.sent.len() > 1 {
            parts.extend([Part::Pace, Part::Stop]);
        }
        parts.push(Part::Reason);
        parts
    }

    pub(in crate::console) fn move_focus(&mut self, is_back: bool) {
        let parts = self.parts();
        let at = parts.iter().position(|part| *part == self.focus).unwrap_or(0);
        let step = if is_back { parts.len() - 1 } else { 1 };
        self.focus = parts[(at + step) % parts.len()];
    }

    /// The next choice of the pace or the limit of failures.
    pub(in crate::console) fn turn(&mut self, is_back: bool) {
        fn next<T: Copy + PartialEq>(all: &[T], now: T, is_back: bool) -> T {
            let at = all.iter().position(|one| *one == now).unwrap_or(0);
            all[(at + if is_back { all.len() - 1 } else { 1 }) % all.len()]
        }
        match self.focus {
            Part::Pace => self.pace = next(&Pace::ALL, self.pace, is_back),
            Part::Stop => self.stop_at = next(&STOPS, self.stop_at, is_back),
            Part::Number | Part::Cancel | Part::Yes | Part::Reason => {}
        }
    }

    /// What was pasted goes to what is being typed.
    pub(in crate::console) fn paste(&mut self, text: &str) {
        if self.focus == Part::Reason {
            self.reason.paste(text);
        }
    }

    /// Whether a reason must be given first.
    pub(in crate::console) fn lacks_reason(&self) -> bool {
        self.needs_reason && self.reason.text().trim().is_empty()
    }

    /// Whether the number that was typed is the right one.
    pub(in crate::console) fn is_typed(&self) -> bool {
        self.typed.text() == self.sent.len().to_string()
    }

    /// What is to be sent, now that it is agreed to.
    pub(in crate::console) fn order(&self) -> Order {
        let note = self.reason.text().trim().to_owned();
        Order {
            name: self.name,
            apps: self.sent.clone(),
            what: self.what.clone(),
            note: (!note.is_empty()).then_some(note),
            pace: self.pace,
            stop_at: self.stop_at,
        }
    }
}

/// Whether a command would change anything.
pub(in crate::console) fn has_effect(name: CmdName, row: &Row) -> bool {
    let is_barred = row.disabled || row.awaits_enable;
    match name {
        CmdName::Start => !row.is_running() && !is_barred,
        CmdName::Restart => !is_barred,
        // On an idle app it keeps the schedule away.
        CmdName::Stop => row.state != State::Stopped,
        CmdName::Enable => is_barred || row.fatal.is_some() || row.status == RunStatus::Stopped,
        CmdName::Disable => !row.disabled,
    }
}

/// Why a command would change nothing for this app.
pub(in crate::console) fn why_not(name: CmdName, row: &Row) -> Option<&'static str> {
    if has_effect(name, row) {
        return None;
    }
    Some(match name {
        CmdName::Start if row.is_running() => "it runs already",
        CmdName::Start | CmdName::Restart if row.awaits_enable => "it is fatal: enable clears that",
        CmdName::Start | CmdName::Restart => "it is disabled: enable first",
        CmdName::Stop => "it is stopped already",
        CmdName::Enable => "it is enabled already",
        CmdName::Disable => "it is disabled already",
    })
}
