//! A list to choose from: the menus of order, columns and actions, and the palette.

use super::field::Field;
use crate::console::export::Format;
use crate::console::fleet::Row;
use crate::console::keymap::Intent;
use crate::console::screen::fleet::{Column, Key};
use crate::model::{AppPath, CmdName, Part};

/// What a line of a menu does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::console) enum Choice {
    /// As if its key were pressed.
    Intent(Intent),
    Sort(Key),
    Column(Column),
    /// A command for apps of a group, or of a parent in it.
    Issue(CmdName, Which, Part, Option<Part>),
    GoTo(AppPath),
    /// The saved view of this name.
    View(String),
    /// The view that is shown gets this name.
    Save(String),
    Filter(String),
    /// What is shown, as a file.
    Export(Format),
    /// Only to be read.
    Nothing,
}

/// Which apps of a group are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::console) enum Which {
    All,
    Running,
    Fatal,
}

impl Which {
    pub(in crate::console) const fn word(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Running => "running",
            Self::Fatal => "fatal only",
        }
    }

    pub(in crate::console) fn holds(self, row: &Row) -> bool {
        match self {
            Self::All => true,
            Self::Running => row.is_running(),
            Self::Fatal => row.is_flagged_for_ends(),
        }
    }
}

/// A line of a menu.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::console) struct Item {
    pub(in crate::console) text: String,
    /// The keys that do the same, or a sign.
    pub(in crate::console) hint: String,
    pub(in crate::console) choice: Choice,
    /// Why it cannot be chosen now.
    pub(in crate::console) why_not: Option<String>,
}

impl Item {
    pub(in crate::console) fn new(text: impl Into<String>, hint: impl Into<String>, choice: Choice) -> Self {
        Self { text: text.into(), hint: hint.into(), choice, why_not: None }
    }
}

/// A menu. What is typed narrows it.
#[derive(Debug)]
pub(in crate::console) struct Menu {
    pub(in crate::console) title: String,
    /// All lines; for the palette, those that do not depend on what is typed.
    pub(in crate::console) items: Vec<Item>,
    /// Those that are shown.
    pub(in crate::console) shown: Vec<Item>,
    pub(in crate::console) cursor: usize,
    pub(in crate::console) query: Field,
    /// How many there would be if all were shown.
    pub(in crate::console) found: usize,
    pub(in crate::console) kind: Kind,
}

/// What a menu is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::console) enum Kind {
    /// One choice closes it.
    Once,
    /// It stays, to choose more.
    Stays,
    /// Everything that can be done, by name.
    Palette,
}

/// More lines are not shown, but counted.
const SHOWN_MAX: usize = 200;

impl Menu {
    pub(in crate::console) fn new(title: impl Into<String>, kind: Kind, items: Vec<Item>) -> Self {
        let mut menu = Self {
            title: title.into(),
            shown: Vec::new(),
            cursor: 0,
            query: Field::default(),
            found: 0,
            kind,
            items,
        };
        menu.narrow(Vec::new());
        menu
    }

    /// Shows what goes with what was typed, the best first. `more` are lines that were made for it.
    pub(in crate::console) fn narrow(&mut self, more: Vec<Item>) {
        let query = self.query.text().to_lowercase();
        let words: Vec<&str> = query.split_whitespace().collect();
        let mut scored: Vec<(i32, Item)> = self
            .items
            .iter()
            .cloned()
            .chain(more)
            .filter_map(|item| {
                // What was typed as a filter goes with everything, so it comes last.
                let handicap = if matches!(item.choice, Choice::Filter(_)) { 1000 } else { 0 };
                Some((score(&words, &item.text.to_lowercase())? - handicap, item))
            })
            .collect();
        if !words.is_empty() {
            scored.sort_by_key(|(score, _)| -score);
        }
        self.found = scored.len();
        scored.truncate(SHOWN_MAX);
        self.shown = scored.into_iter().map(|(_, item)| item).collect();
        self.cursor = self.cursor.min(self.shown.len().saturating_sub(1));
    }

    pub(in crate::console) fn current(&self) -> Option<&Item> {
        self.shown.get(self.cursor)
    }
}

/// How well a text goes with all words; `None` if one of them is not in it, letter by letter.
pub(in crate::console) fn score(words: &[&str], text: &str) -> Option<i32> {
    words.iter().map(|word| score_word(word, text)).sum()
}

fn score_word(word: &str, text: &str) -> Option<i32> {
    let length = i32::try_from(text.len()).unwrap_or(i32::MAX) / 8;
    if let Some(at) = text.find(word) {
        let begins = at == 0 || !text.as_bytes()[at - 1].is_ascii_alphanumeric();
        let ends = text[at + word.len()..].chars().next().is_none_or(|c| !c.is_alphanumeric());
        return Some(100 + if begins { 50 } else { 0 } + if ends { 20 } else { 0 } - length);
    }
    // Letters in their order: runs of them and beginnings of words count.
    let mut score = 0;
    let mut before = ' ';
    let mut was_hit = false;
    let mut rest = word.chars().peekable();
    for c in text.chars() {
        let is_hit = rest.peek() == Some(&c);
        if is_hit {
            rest.next();
            score += if was_hit {
                5
            } else if before.is_alphanumeric() {
                1
            } else {
                8
            };
        }
        (before, was_hit) = (c, is_hit);
    }
    rest.peek().is_none().then_some(score - length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_meant_comes_first() {
        let item = |text: &str| Item::new(text, "", Choice::Nothing);
        let texts = [
            "go to serbia/first/interest",
            "restart croatia/fina (21)",
            "restart croatia/finance-old (2)",
            "filter p:fina",
        ];
        let mut menu = Menu::new(":", Kind::Once, texts.map(item).into());
        menu.query = Field::new("rest fina");
        menu.narrow(Vec::new());
        let shown: Vec<_> = menu.shown.iter().map(|item| item.text.as_str()).collect();
        assert_eq!(shown, ["restart croatia/fina (21)", "restart croatia/finance-old (2)"]);
        menu.query = Field::new("rsa");
        menu.narrow(Vec::new());
        assert_eq!(menu.found, 2);
        menu.query = Field::new("xyz");
        menu.narrow(vec![item("x-y-z")]);
        assert_eq!(menu.current().unwrap().text, "x-y-z");
        menu.query = Field::new("čćž");
        menu.narrow(Vec::new());
        assert_eq!(menu.current(), None);
    }
}
