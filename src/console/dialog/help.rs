//! The help: the keys of a screen, and of them those that hold what is looked for.

use super::field::Field;
use crate::console::keymap::{Keymap, Section};
use crate::console::screen::Tab;

/// What can be typed as a filter of the fleet.
const FILTERS: &[(&str, &str)] = &[
    ("is:", "failed given_up fatal"),
    ("", "stalled late unknown"),
    ("", "flapping problem"),
    ("", "running idle stopped"),
    ("", "waiting disabled pending"),
    ("", "refused protected"),
    ("g: p:", "group, parent"),
    ("tag: owner:", "what is written on it"),
    ("mgr: host:", "where it runs"),
    ("msg:", "its message holds this"),
    ("fail>100", "prog solved size rate"),
    ("age>5m", "eta next last fails"),
    ("exit!=0", "the last run failed"),
    ("~word", "letters in this order"),
    ("/a.*b/", "a pattern"),
    ("!word", "not this"),
];

/// A column of the help.
pub(in crate::console) const COLUMN: u16 = 38;

/// Lines at the end: what the signs mean, where the keys are changed, and who looks at what.
pub(in crate::console) const CLOSING: usize = 5;

/// The help of a screen.
#[derive(Debug)]
pub(in crate::console) struct Help {
    pub(in crate::console) tab: Tab,
    pub(in crate::console) top: usize,
    /// What is looked for, while it is typed and after.
    pub(in crate::console) sought: Field,
    pub(in crate::console) is_typing: bool,
}

impl Help {
    pub(in crate::console) fn new(tab: Tab) -> Self {
        Self { tab, top: 0, sought: Field::default(), is_typing: false }
    }

    /// The sections that have something to show: keys and what they do.
    pub(in crate::console) fn sections(&self, keys: &Keymap) -> Vec<(Section, Vec<(String, &'static str)>)> {
        let sought = self.sought.text().to_lowercase();
        let lines = |section| {
            let mut lines: Vec<(String, &'static str)> = keys
                .of(self.tab)
                .iter()
                .filter(|binding| binding.section() == section)
                .map(|binding| (binding.keys(), binding.help()))
                .filter(|(keys, help)| {
                    sought.is_empty() || help.to_lowercase().contains(&sought) || keys.contains(&sought)
                })
                .collect();
            if section == Section::Find && self.tab == Tab::Fleet {
                let examples = FILTERS.iter().map(|(filter, help)| ((*filter).to_owned(), *help));
                lines.extend(examples.filter(|(filter, help)| {
                    sought.is_empty() || help.to_lowercase().contains(&sought) || filter.contains(&sought)
                }));
            }
            lines.dedup();
            lines
        };
        Section::ALL
            .into_iter()
            .map(|section| (section, lines(section)))
            .filter(|(_, lines)| !lines.is_empty())
            .collect()
    }

    /// How long the columns of keys are: as long as it takes to show all, or as there is room.
    pub(in crate::console) fn length(&self, keys: &Keymap, (width, height): (u16, usize)) -> usize {
        let lines: usize = self.sections(keys).iter().map(|(_, lines)| lines.len() + 2).sum();
        let columns = usize::from((width / COLUMN).max(1));
        // A title at the foot of a column moves on to the next one.
        let lines = lines + columns - 1;
        lines.div_ceil(columns).max(height.saturating_sub(CLOSING).min(lines))
    }

    /// So far it can be scrolled.
    pub(in crate::console) fn top_max(&self, keys: &Keymap, size: (u16, usize)) -> usize {
        (self.length(keys, size) + CLOSING).saturating_sub(size.1)
    }
}
