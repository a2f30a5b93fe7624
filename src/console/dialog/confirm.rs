//! The question before a command: who is meant, what will happen, and how much it takes to say yes.

use std::time::Duration;

use crate::console::fleet::{Condition, Fleet, Row};
use crate::console::screen::tree::Line;
use crate::model::{AppPath, CmdFlag, CmdName};

/// More apps than this need their number to be typed.
const TYPED_FROM: usize = 10;

/// Who is meant, by what will happen to them. The apps are those of the moment in which the key was
/// pressed.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::console) struct Confirm {
    pub(in crate::console) name: CmdName,
    /// As the line is called.
    pub(in crate::console) what: String,
    /// They get the command.
    pub(in crate::console) sent: Vec<AppPath>,
    /// It would change nothing for them.
    pub(in crate::console) without_effect: usize,
    /// A command for them is under way already.
    pub(in crate::console) pending: usize,
    pub(in crate::console) asks_for: Consent,
    pub(in crate::console) typed: String,
    pub(in crate::console) opened: Duration,
}

/// What it takes to say yes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::console) enum Consent {
    Nothing,
    Yes,
    Number,
}

impl Confirm {
    /// Finds out who is meant.
    pub(in crate::console) fn new(name: CmdName, line: &Line, fleet: &Fleet, now: Duration) -> Self {
        let mut confirm = Self {
            name,
            what: line.name(),
            sent: Vec::new(),
            without_effect: 0,
            pending: 0,
            asks_for: Consent::Nothing,
            typed: String::new(),
            opened: now,
        };
        for row in fleet.rows().filter(|row| line.holds(&row.path)) {
            if row.command.is_some_and(|(_, flag)| flag == CmdFlag::Pending) && !matches!(line, Line::App(_))
            {
                confirm.pending += 1;
            } else if has_effect(name, row) {
                confirm.sent.push(row.path.clone());
            } else {
                confirm.without_effect += 1;
            }
        }
        let is_harmless = matches!(name, CmdName::Start | CmdName::Enable);
        confirm.asks_for = match (confirm.sent.len(), line) {
            (0..=1, Line::App(_)) if is_harmless => Consent::Nothing,
            (0..=TYPED_FROM, _) => Consent::Yes,
            _ => Consent::Number,
        };
        confirm
    }

    /// Whether the number that was typed is the right one.
    pub(in crate::console) fn is_typed(&self) -> bool {
        self.typed == self.sent.len().to_string()
    }
}

fn has_effect(name: CmdName, row: &Row) -> bool {
    let is_running = row.condition == Condition::Running;
    let is_barred = row.disabled || row.fatal.is_some();
    match name {
        CmdName::Start => !is_running && !is_barred,
        CmdName::Restart => !is_barred,
        // On an idle app it keeps the schedule away.
        CmdName::Stop => row.condition != Condition::Stopped,
        CmdName::Enable => is_barred || row.condition == Condition::Stopped,
        CmdName::Disable => !row.disabled,
    }
}
