//! What each key means where. Dispatch, footer and help are made of the same table, so none of them
//! can lie.

mod table;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::screen::{Tab, alerts, commands, detail, fleet, history, logs, managers};
use crate::model::CmdName;

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

/// Keys that mean one thing.
pub(super) struct Binding {
    section: Section,
    keys: &'static [Key],
    intent: Intent,
    help: &'static str,
    /// The word of the footer; most keys are only in the help.
    foot: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Key {
    Char(char),
    Ctrl(char),
    Code(KeyCode),
}

/// The bindings of a screen: its own come first, and win.
pub(super) fn bindings(tab: Tab) -> impl Iterator<Item = &'static Binding> {
    let own = match tab {
        Tab::Fleet => table::FLEET,
        Tab::Detail => table::DETAIL,
        Tab::Alerts => table::ALERTS,
        Tab::Logs => table::LOGS,
        Tab::History => table::HISTORY,
        Tab::Managers => table::MANAGERS,
        Tab::Commands => table::COMMANDS,
    };
    own.iter().chain(table::MOVES).chain(table::EVERYWHERE)
}

/// What a key means on a screen.
pub(super) fn intent(tab: Tab, event: KeyEvent) -> Option<Intent> {
    bindings(tab).find(|binding| binding.keys.iter().any(|key| key.is(event))).map(|binding| binding.intent)
}

impl Binding {
    /// The keys as people read them.
    pub(super) fn keys(&self) -> String {
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

impl Key {
    fn is(self, event: KeyEvent) -> bool {
        let ctrl = event.modifiers.contains(KeyModifiers::CONTROL);
        let alt = event.modifiers.contains(KeyModifiers::ALT);
        match self {
            Self::Char(c) => event.code == KeyCode::Char(c) && !ctrl && !alt,
            Self::Ctrl(c) => event.code == KeyCode::Char(c) && ctrl && !alt,
            Self::Code(code) => event.code == code && !ctrl && !alt,
        }
    }

    fn name(self) -> String {
        match self {
            Self::Char(' ') => "space".to_owned(),
            Self::Char(c) => c.to_string(),
            Self::Ctrl(c) => format!("^{c}"),
            Self::Code(KeyCode::PageUp) => "pgup".to_owned(),
            Self::Code(KeyCode::PageDown) => "pgdn".to_owned(),
            Self::Code(KeyCode::BackTab) => "S-tab".to_owned(),
            Self::Code(code) => code.to_string().to_lowercase(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_means_two_things_in_one_list() {
        let lists = [
            table::EVERYWHERE,
            table::MOVES,
            table::FLEET,
            table::DETAIL,
            table::ALERTS,
            table::LOGS,
            table::HISTORY,
            table::MANAGERS,
            table::COMMANDS,
        ];
        for list in lists {
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
}
