//! What each key means where. Dispatch, footer and help are made of the same table, so none of them
//! can lie.

mod choice;
mod key;
mod presets;
mod table;

use std::borrow::Cow;

use crossterm::event::KeyEvent;

pub use choice::{KeyChoice, KeyFault, Keymap, Preset};
pub use key::Cyrillic;

use super::screen::{Tab, alerts, commands, detail, fleet, history, logs, managers, pipeline};
use crate::model::CmdName;
use key::Key;

/// What a person wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Intent {
    /// The same on every screen.
    Common(Common),
    /// Through a table, a list or a text.
    Move(Move),
    /// Send a command to what is marked, else to what is under the cursor.
    Issue(CmdName),
    /// What only this screen knows.
    Fleet(fleet::Wish),
    Detail(detail::Wish),
    Alerts(alerts::Wish),
    Logs(logs::Wish),
    History(history::Wish),
    Pipeline(pipeline::Wish),
    Managers(managers::Wish),
    Commands(commands::Wish),
}

/// Wishes that every screen knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Common {
    Help,
    Back,
    Quit,
    QuitNow,
    Redraw,
    Suspend,
    /// Whether the mouse is heard, or left to the terminal.
    Mouse,
    /// A shell, while the manager in here goes on.
    Shell,
    /// What is shown, as a file.
    Export,
    ReadAgain,
    Palette,
    /// What was said lately.
    Messages,
    /// The display stands still.
    Pause,
    /// Nothing is sent, only told.
    DryRun,
    /// The last ENABLE or DISABLE.
    Undo,
    /// Type what is looked for.
    Find,
    Go(Tab),
}

/// Ways through a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Move {
    Up,
    Down,
    PageUp,
    PageDown,
    HalfUp,
    HalfDown,
    Top,
    Bottom,
}

impl Move {
    /// By how many rows, where a page has so many.
    pub(super) fn rows(self, page: usize) -> isize {
        let page = isize::try_from(page.max(1)).unwrap_or(isize::MAX);
        let half = (page / 2).max(1);
        match self {
            Self::Up => -1,
            Self::Down => 1,
            Self::PageUp => -page,
            Self::PageDown => page,
            Self::HalfUp => -half,
            Self::HalfDown => half,
            Self::Top => isize::MIN,
            Self::Bottom => isize::MAX,
        }
    }

    /// A place among so many rows after this move.
    pub(super) fn from(self, at: usize, page: usize, rows: usize) -> usize {
        at.saturating_add_signed(self.rows(page)).min(rows.saturating_sub(1))
    }
}

/// Under which heading the help shows a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Section {
    Move,
    Look,
    Act,
    Select,
    Find,
    Other,
}

impl Section {
    pub(super) const ALL: [Self; 6] =
        [Self::Move, Self::Look, Self::Act, Self::Select, Self::Find, Self::Other];

    pub(super) const fn title(self) -> &'static str {
        match self {
            Self::Move => "MOVE",
            Self::Look => "LOOK",
            Self::Act => "ACT (marks or cursor)",
            Self::Select => "SELECT",
            Self::Find => "FIND",
            Self::Other => "OTHER",
        }
    }
}

impl Intent {
    /// Its name in the configuration: that of the wish, so `Fleet(NextProblem)` is `next-problem`. A
    /// test lists all names.
    pub(super) fn name(self) -> String {
        let mut name = String::new();
        let told = format!("{self:?}");
        for (at, c) in told.split_once('(').map_or("", |(_, wish)| wish).chars().enumerate() {
            match c {
                '(' => name.push('-'),
                ')' => {}
                c if c.is_uppercase() && at > 0 && !name.ends_with('-') => {
                    name.push('-');
                    name.push(c.to_ascii_lowercase());
                }
                c => name.push(c.to_ascii_lowercase()),
            }
        }
        name
    }
}

/// Keys that mean one thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Binding {
    section: Section,
    keys: Cow<'static, [Key]>,
    intent: Intent,
    help: &'static str,
    /// The word of the footer; most keys are only in the help.
    foot: &'static str,
}

impl Binding {
    fn has(&self, event: KeyEvent) -> bool {
        self.keys.iter().any(|key| key.is(event))
    }

    /// The keys as people read them.
    pub(super) fn keys(&self) -> String {
        if self.keys.is_empty() {
            // It is in the palette.
            return ":".to_owned();
        }
        self.keys.iter().map(|key| key.name()).collect::<Vec<_>>().join(" ")
    }

    /// The first of them, with the word of the footer.
    pub(super) fn foot(&self) -> Option<String> {
        let key = self.keys.first()?;
        (!self.foot.is_empty()).then(|| format!("{} {}", key.name(), self.foot))
    }

    /// Whether it changes anything but the view.
    pub(super) const fn is_action(&self) -> bool {
        matches!(self.section, Section::Act)
            && !matches!(self.intent, Intent::Fleet(fleet::Wish::Actions) | Intent::Common(Common::DryRun))
    }

    /// Whether the palette offers it: not the moves, and not what only leads back.
    pub(super) const fn is_in_palette(&self) -> bool {
        !matches!(
            self.intent,
            Intent::Move(_) | Intent::Common(Common::Back | Common::Quit | Common::Palette | Common::Suspend)
        )
    }

    pub(super) const fn intent(&self) -> Intent {
        self.intent
    }

    pub(super) const fn section(&self) -> Section {
        self.section
    }

    pub(super) const fn help(&self) -> &'static str {
        self.help
    }
}

#[cfg(test)]
mod tests {
    use crossterm::event::{KeyCode, KeyModifiers};

    use super::*;
    use crate::model::CmdName;

    fn intent(tab: Tab, event: KeyEvent) -> Option<Intent> {
        Keymap::default().intent(tab, event)
    }

    #[test]
    fn no_key_means_two_things_in_one_list() {
        let own = table::SCREENS.iter().map(|(_, list)| *list);
        for list in own.chain([table::EVERYWHERE, table::MOVES]) {
            for (at, binding) in list.iter().enumerate() {
                for other in &list[at + 1..] {
                    let shared: Vec<_> = binding.keys.iter().filter(|key| other.keys.contains(key)).collect();
                    assert!(shared.is_empty(), "{shared:?}: {} and {}", binding.help, other.help);
                }
            }
        }
    }

    #[test]
    fn leaving_and_help_are_the_same_everywhere() {
        for tab in Tab::ALL {
            for (code, intent_of) in [
                (KeyCode::Esc, Common::Back),
                (KeyCode::Char('?'), Common::Help),
                (KeyCode::Char('q'), Common::Quit),
            ] {
                let event = KeyEvent::new(code, KeyModifiers::NONE);
                assert_eq!(intent(tab, event), Some(Intent::Common(intent_of)), "{tab:?}");
            }
        }
    }

    #[test]
    fn modifiers_make_another_key() {
        let key = |code, modifiers| intent(Tab::Fleet, KeyEvent::new(code, modifiers));
        assert_eq!(key(KeyCode::Char('d'), KeyModifiers::CONTROL), Some(Intent::Move(Move::HalfDown)));
        assert_eq!(key(KeyCode::Char('D'), KeyModifiers::SHIFT), Some(Intent::Issue(CmdName::Disable)));
        assert_eq!(key(KeyCode::Char('x'), KeyModifiers::ALT), None);
    }

    #[test]
    fn a_cyrillic_layout_has_the_same_commands_in_the_same_places() {
        let key = |letter| intent(Tab::Fleet, KeyEvent::new(KeyCode::Char(letter), KeyModifiers::NONE));
        assert_eq!(key('ы'), Some(Intent::Issue(CmdName::Start)));
        assert_eq!(key('В'), Some(Intent::Issue(CmdName::Disable)));
        assert_eq!(key('т'), Some(Intent::Fleet(fleet::Wish::NextProblem)));
    }
}
