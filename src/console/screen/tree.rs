//! Which lines of the fleet are there to be seen: group, parent, app; opened and closed; filtered.

use std::collections::BTreeSet;

use crate::console::fleet::{Condition, Fleet, Row};
use crate::model::{AppPath, Part};

/// One line of the tree. It is named by what it shows, so that it is found again when others move.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::console) enum Line {
    Group(Part),
    Parent(Part, Part),
    App(AppPath),
}

impl Line {
    /// Whether an app is this line or below it.
    pub(in crate::console) fn holds(&self, path: &AppPath) -> bool {
        match self {
            Self::Group(group) => path.group == *group,
            Self::Parent(group, parent) => path.group == *group && path.parent == *parent,
            Self::App(app) => app == path,
        }
    }

    /// As it is written.
    pub(in crate::console) fn name(&self) -> String {
        match self {
            Self::Group(group) => group.to_string(),
            Self::Parent(group, parent) => format!("{group}/{parent}"),
            Self::App(path) => path.to_string(),
        }
    }

    fn above(&self) -> Option<Self> {
        match self {
            Self::Group(_) => None,
            Self::Parent(group, _) => Some(Self::Group(group.clone())),
            Self::App(path) => Some(Self::Parent(path.group.clone(), path.parent.clone())),
        }
    }
}

/// What is opened, what is asked for, and the lines that follow from both.
#[derive(Debug, Default)]
pub(in crate::console) struct Tree {
    opened: BTreeSet<Line>,
    filter: Filter,
    lines: Vec<Line>,
    cursor: usize,
}

impl Tree {
    /// All lines, from the top.
    pub(in crate::console) fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// The place of the cursor among them.
    pub(in crate::console) fn cursor(&self) -> usize {
        self.cursor
    }

    /// The line under the cursor.
    pub(in crate::console) fn current(&self) -> Option<&Line> {
        self.lines.get(self.cursor)
    }

    pub(in crate::console) fn filter(&self) -> &Filter {
        &self.filter
    }

    pub(in crate::console) fn is_opened(&self, line: &Line) -> bool {
        self.opened.contains(line) || self.filter.is_active()
    }

    /// Makes the lines anew. The cursor stays on what it was on; if that is gone, on its place.
    pub(in crate::console) fn rebuild(&mut self, fleet: &Fleet) {
        let before = self.current().cloned();
        self.lines.clear();
        let (mut group, mut parent) = (None, None);
        for row in fleet.rows().filter(|row| self.filter.shows(row)) {
            if group.as_ref() != Some(&row.path.group) {
                group = Some(row.path.group.clone());
                parent = None;
                self.lines.push(Line::Group(row.path.group.clone()));
            }
            let group_line = Line::Group(row.path.group.clone());
            if !self.is_opened(&group_line) {
                continue;
            }
            let parent_line = Line::Parent(row.path.group.clone(), row.path.parent.clone());
            if parent.as_ref() != Some(&row.path.parent) {
                parent = Some(row.path.parent.clone());
                self.lines.push(parent_line.clone());
            }
            if self.is_opened(&parent_line) {
                self.lines.push(Line::App(row.path.clone()));
            }
        }
        if let Some(line) = before {
            self.go_to(&line);
        }
        self.cursor = self.cursor.min(self.lines.len().saturating_sub(1));
    }

    /// Puts the cursor on a line, or on the nearest line above it that is shown.
    pub(in crate::console) fn go_to(&mut self, line: &Line) {
        let mut wanted = Some(line.clone());
        while let Some(line) = wanted {
            if let Some(at) = self.lines.iter().position(|shown| *shown == line) {
                self.cursor = at;
                return;
            }
            wanted = line.above();
        }
    }

    pub(in crate::console) fn move_by(&mut self, by: isize) {
        let last = self.lines.len().saturating_sub(1);
        self.cursor = self.cursor.saturating_add_signed(by).min(last);
    }

    /// Opens the line under the cursor; `false` if it is an app.
    pub(in crate::console) fn open(&mut self, fleet: &Fleet) -> bool {
        match self.current().cloned() {
            Some(line @ (Line::Group(_) | Line::Parent(..))) => {
                self.opened.insert(line);
                self.rebuild(fleet);
                true
            }
            Some(Line::App(_)) | None => false,
        }
    }

    /// Closes the line under the cursor, or goes to the one above it.
    pub(in crate::console) fn close(&mut self, fleet: &Fleet) {
        let Some(line) = self.current().cloned() else { return };
        if self.opened.remove(&line) {
            self.rebuild(fleet);
        } else if let Some(above) = line.above() {
            self.go_to(&above);
        }
    }

    /// Opens everything, or closes it.
    pub(in crate::console) fn set_all(&mut self, opened: bool, fleet: &Fleet) {
        self.opened.clear();
        if opened {
            for row in fleet.rows() {
                self.opened.insert(Line::Group(row.path.group.clone()));
                self.opened.insert(Line::Parent(row.path.group.clone(), row.path.parent.clone()));
            }
        }
        self.rebuild(fleet);
    }

    pub(in crate::console) fn set_filter(&mut self, text: &str, fleet: &Fleet) {
        self.filter = Filter::parse(text);
        self.rebuild(fleet);
    }

    /// Goes to the next app that needs somebody, wherever it is, and opens the way to it.
    pub(in crate::console) fn go_to_problem(&mut self, fleet: &Fleet, backwards: bool) -> bool {
        let problems: Vec<_> = fleet
            .rows()
            .filter(|row| row.needs_somebody() && self.filter.shows(row))
            .map(|row| &row.path)
            .collect();
        let Some(first) = problems.first() else { return false };
        let here = match self.current() {
            Some(Line::App(path)) => Some(path.clone()),
            Some(Line::Group(_) | Line::Parent(..)) | None => None,
        };
        let at = here.and_then(|here| problems.iter().position(|path| **path == here));
        let next = match (at, backwards) {
            (None, _) => first,
            (Some(at), false) => problems[(at + 1) % problems.len()],
            (Some(at), true) => problems[(at + problems.len() - 1) % problems.len()],
        };
        let next = next.clone();
        self.show(&next, fleet);
        true
    }

    /// Goes to an app and opens the way to it.
    pub(in crate::console) fn show(&mut self, app: &AppPath, fleet: &Fleet) {
        let line = Line::App(app.clone());
        let mut above = line.above();
        while let Some(open) = above {
            above = open.above();
            self.opened.insert(open);
        }
        self.rebuild(fleet);
        self.go_to(&line);
    }
}

/// What is asked for: words that the path must hold, and conditions such as `is:fatal`. A word with
/// `!` in front must not apply.
#[derive(Debug, Default, Clone, PartialEq)]
pub(in crate::console) struct Filter {
    text: String,
    terms: Vec<Term>,
}

#[derive(Debug, Clone, PartialEq)]
struct Term {
    negated: bool,
    test: Test,
}

#[derive(Debug, Clone, PartialEq)]
enum Test {
    /// The path holds this, in lower case.
    Holds(String),
    Is(Vec<Quality>),
    Group(String),
    Parent(String),
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Quality {
    Condition(Condition),
    Disabled,
    Pending,
}

impl Filter {
    pub(in crate::console) fn parse(text: &str) -> Self {
        let terms = text.split_whitespace().map(|word| {
            let (negated, word) = match word.strip_prefix('!') {
                Some(rest) => (true, rest),
                None => (false, word),
            };
            let test = match word.split_once(':') {
                Some(("is", names)) => Test::Is(names.split(',').filter_map(quality).collect()),
                Some(("g", name)) => Test::Group(name.to_lowercase()),
                Some(("p", name)) => Test::Parent(name.to_lowercase()),
                _ => Test::Holds(word.to_lowercase()),
            };
            Term { negated, test }
        });
        Self { text: text.to_owned(), terms: terms.collect() }
    }

    pub(in crate::console) fn text(&self) -> &str {
        &self.text
    }

    pub(in crate::console) fn is_active(&self) -> bool {
        !self.terms.is_empty()
    }

    fn shows(&self, row: &Row) -> bool {
        self.terms.iter().all(|term| term.test.applies(row) != term.negated)
    }
}

impl Test {
    fn applies(&self, row: &Row) -> bool {
        let holds = |text: &str, part: &str| text.to_lowercase().contains(part);
        match self {
            Self::Holds(text) => holds(&row.path.to_string(), text),
            Self::Group(text) => holds(row.path.group.as_str(), text),
            Self::Parent(text) => holds(row.path.parent.as_str(), text),
            Self::Is(qualities) => qualities.iter().any(|quality| match quality {
                Quality::Condition(Condition::Fatal) => row.fatal.is_some(),
                Quality::Condition(condition) => row.condition == *condition,
                Quality::Disabled => row.disabled,
                Quality::Pending => {
                    row.command.is_some_and(|(_, flag)| flag == crate::model::CmdFlag::Pending)
                }
            }),
        }
    }
}

fn quality(name: &str) -> Option<Quality> {
    Some(match name {
        "running" | "run" => Quality::Condition(Condition::Running),
        "idle" => Quality::Condition(Condition::Idle),
        "stopped" => Quality::Condition(Condition::Stopped),
        "waiting" => Quality::Condition(Condition::Waiting),
        "fatal" => Quality::Condition(Condition::Fatal),
        "disabled" => Quality::Disabled,
        "pending" => Quality::Pending,
        _ => return None,
    })
}
