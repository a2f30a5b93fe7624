//! The key map in force: the table, changed by a preset and by what a person has chosen.

use crate::console::UnknownName;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::str::FromStr;

use crossterm::event::KeyEvent;

use super::key::{self, Cyrillic, Key};
use super::{Binding, Intent, presets, table};
use crate::console::screen::Tab;

/// Which habits the keys go with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Preset {
    /// `l d / : ? esc space` as in k9s; nothing dangerous below control.
    #[default]
    K9s,
    /// `h j k l` lead through the tree, `^f ^b` are pages.
    Vim,
    /// Arrows and function keys, as in the tools that are operated by these.
    Arrows,
}

impl Preset {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::K9s, Self::Vim, Self::Arrows];

    /// As it is written in settings.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::K9s => "k9s",
            Self::Vim => "vim",
            Self::Arrows => "arrows",
        }
    }
}

impl FromStr for Preset {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, UnknownName> {
        Self::ALL
            .into_iter()
            .find(|preset| preset.name() == text)
            .ok_or_else(|| UnknownName::new(text, "map of keys", "k9s, vim or arrows"))
    }
}

/// What a person has chosen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeyChoice {
    /// What the rest is based on.
    pub preset: Preset,
    /// The layout of Cyrillic letters.
    pub cyrillic: Cyrillic,
    /// Keys by the name of what they do; none takes its keys away.
    pub keys: BTreeMap<String, Vec<String>>,
}

/// A choice that is not carried out as it stands: whose, and why.
pub type KeyFault = (String, String);

/// What each key means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keymap {
    pub(in crate::console) preset: Preset,
    cyrillic: Cyrillic,
    /// How many bindings a person has changed.
    pub(in crate::console) changed: usize,
    screens: Vec<(Tab, Vec<Binding>)>,
}

impl Default for Keymap {
    fn default() -> Self {
        Self::new(&KeyChoice::default()).0
    }
}

impl Keymap {
    /// Makes the map. What cannot be as it was chosen is left as it is, and told.
    #[must_use]
    pub fn new(choice: &KeyChoice) -> (Self, Vec<KeyFault>) {
        let mut faults = Vec::new();
        let own = read(&choice.keys, &mut faults);
        let preset: BTreeMap<_, _> = presets::of(choice.preset)
            .iter()
            .map(|(name, keys)| ((*name).to_owned(), keys.to_vec()))
            .collect();
        let screens = table::SCREENS
            .iter()
            .map(|(tab, list)| (*tab, screen(*tab, list, &preset, &own, &mut faults)))
            .collect();
        // The same on several screens is told once.
        faults.sort();
        faults.dedup();
        (Self { preset: choice.preset, cyrillic: choice.cyrillic, changed: own.len(), screens }, faults)
    }

    /// The bindings of a screen: its own come first, and win.
    pub(in crate::console) fn of(&self, tab: Tab) -> &[Binding] {
        let found = self.screens.iter().find(|(known, _)| *known == tab);
        found.map_or(&[], |(_, bindings)| bindings)
    }

    /// What a key means on a screen.
    pub(in crate::console) fn intent(&self, tab: Tab, event: KeyEvent) -> Option<Intent> {
        let means =
            |event| self.of(tab).iter().find(|binding| binding.has(event)).map(|binding| binding.intent);
        means(event).or_else(|| means(self.latin(event)))
    }

    /// What the key would be on a Latin layout.
    pub(in crate::console) fn latin(&self, event: KeyEvent) -> KeyEvent {
        key::latin(event, self.cyrillic)
    }

    /// The first key of what is wanted, for texts that name one.
    pub(in crate::console) fn key(&self, tab: Tab, intent: Intent) -> String {
        let binding = self.of(tab).iter().find(|binding| binding.intent == intent);
        binding.and_then(|binding| binding.keys.first()).map_or_else(|| ":".to_owned(), |key| key.name())
    }

    /// All names with their keys and what they do, as they are written in the configuration.
    #[must_use]
    pub fn listed(&self) -> String {
        let own =
            |tab| table::SCREENS.iter().find(|(known, _)| *known == tab).map_or(0, |(_, own)| own.len());
        let mut text = format!("[keys]\nmap = {:?}\n", self.preset.name());
        let common = self.screens.first().map_or(&[][..], |(tab, bindings)| &bindings[own(*tab)..]);
        list(common, &mut text);
        for (tab, bindings) in &self.screens {
            let _ = write!(text, "\n[keys.{}]\n", tab.word());
            list(&bindings[..own(*tab)], &mut text);
        }
        text
    }
}

fn list(bindings: &[Binding], text: &mut String) {
    for binding in bindings {
        let keys: Vec<_> = binding.keys.iter().map(|key| format!("{:?}", key.name())).collect();
        let name = binding.intent.name();
        let mark = if FIXED.contains(&name.as_str()) { "# " } else { "" };
        let _ = writeln!(text, "{:34} # {}", format!("{mark}{name} = [{}]", keys.join(", ")), binding.help);
    }
}

/// What keeps its keys: esc always leads back, and ^c twice leaves.
const FIXED: [&str; 2] = ["back", "quit-now"];

/// By name, or by screen and name: `fleet.open`.
type Keys = BTreeMap<String, Vec<Key>>;

/// Understands what was chosen.
fn read(choice: &BTreeMap<String, Vec<String>>, faults: &mut Vec<KeyFault>) -> Keys {
    let is_known = |name: &str| {
        table::SCREENS.iter().any(|(tab, list)| {
            let plain = name.strip_prefix(tab.word()).and_then(|rest| rest.strip_prefix('.')).unwrap_or(name);
            table::whole(list).any(|binding| binding.intent.name() == plain)
        })
    };
    let mut keys = Keys::new();
    for (name, texts) in choice {
        let mut refuse = |why: &str| faults.push((name.clone(), why.to_owned()));
        let parsed: Result<Vec<Key>, UnknownName> = texts.iter().map(|text| text.parse()).collect();
        let plain = name.rsplit('.').next().unwrap_or(name);
        match parsed {
            _ if !is_known(name) => refuse("is nothing that a key does; dcm console --list-keys shows all"),
            _ if FIXED.contains(&plain) => {
                refuse("cannot be changed: esc always leads back, and ^c twice leaves");
            }
            Err(why) => refuse(&why.to_string()),
            Ok(parsed) if parsed.iter().any(|key| key.is_fixed()) => refuse("esc and ^c keep their meaning"),
            Ok(parsed) if parsed.is_empty() && plain == "help" => refuse("the help needs a key"),
            Ok(parsed) => drop(keys.insert(name.clone(), parsed)),
        }
    }
    keys
}

/// What was chosen for a binding, and under which name.
fn chosen<'a>(keys: &'a Keys, tab: Tab, binding: &Binding) -> Option<(&'a String, &'a Vec<Key>)> {
    let name = binding.intent.name();
    keys.get_key_value(&format!("{}.{name}", tab.word())).or_else(|| keys.get_key_value(&name))
}

/// Whether a name belongs to one screen.
fn is_of_screen(name: &str) -> bool {
    name.contains('.')
}

/// The bindings of a screen. What a person chose wins over the preset, that over the table, and what
/// was chosen for the screen over what was chosen for all; among equals the first one wins.
fn screen(
    tab: Tab,
    list: &'static [Binding],
    preset: &Keys,
    own: &Keys,
    faults: &mut Vec<KeyFault>,
) -> Vec<Binding> {
    let mut bindings: Vec<Binding> = table::whole(list).cloned().collect();
    let mut taken: Vec<(Key, &str)> = Vec::new();
    for (choice, of_screen) in [(own, true), (own, false), (preset, true), (preset, false)] {
        let is_own = std::ptr::eq(choice, own);
        for binding in &mut bindings {
            let Some((name, keys)) = chosen(choice, tab, binding) else { continue };
            if is_of_screen(name) != of_screen || !is_own && chosen(own, tab, binding).is_some() {
                continue;
            }
            let holder = |key: &Key| taken.iter().find(|(other, _)| other == key).map(|(_, name)| *name);
            let lost = keys.iter().filter_map(|key| Some((key, holder(key)?)));
            for (key, other) in lost.filter(|(_, other)| is_own && is_of_screen(other) == of_screen) {
                faults.push((name.clone(), format!("{} is the key of {other} already", key.name())));
            }
            let left: Vec<Key> = keys.iter().copied().filter(|key| holder(key).is_none()).collect();
            taken.extend(left.iter().map(|key| (*key, name.as_str())));
            binding.keys = left.into();
        }
    }
    for binding in &mut bindings {
        if chosen(own, tab, binding).is_some() || chosen(preset, tab, binding).is_some() {
            continue;
        }
        let Some((key, other)) = taken.iter().find(|(key, _)| binding.keys.contains(key)).copied() else {
            continue;
        };
        binding.keys =
            binding.keys.iter().filter(|key| taken.iter().all(|(taken, _)| taken != *key)).copied().collect();
        if binding.keys.is_empty() && own.contains_key(other) {
            let name = binding.intent.name();
            let why = format!("{} was the key of {name}, which has none now", key.name());
            faults.push((other.to_owned(), why));
        }
    }
    bindings
}

#[cfg(test)]
mod tests {
    use crossterm::event::{KeyCode, KeyModifiers};

    use super::*;
    use crate::console::keymap::Move;
    use crate::model::CmdName;

    fn map(preset: Preset, keys: &[(&str, &str)]) -> (Keymap, Vec<String>) {
        let keys = keys
            .iter()
            .map(|(name, keys)| ((*name).to_owned(), keys.split_whitespace().map(str::to_owned).collect()));
        let choice = KeyChoice { preset, keys: keys.collect(), ..KeyChoice::default() };
        let (map, faults) = Keymap::new(&choice);
        (map, faults.into_iter().map(|(name, why)| format!("{name}: {why}")).collect())
    }

    fn name(map: &Keymap, tab: Tab, key: KeyCode) -> String {
        map.intent(tab, KeyEvent::new(key, KeyModifiers::NONE)).map(Intent::name).unwrap_or_default()
    }

    #[test]
    fn a_key_that_was_chosen_does_what_was_chosen_and_the_old_one_nothing() {
        let (map, faults) = map(Preset::K9s, &[("stop", "X f8"), ("logs.hold", "x")]);
        assert_eq!((faults, map.changed), (Vec::new(), 2));
        for (tab, key, expected) in [
            (Tab::Fleet, KeyCode::Char('X'), "stop"),
            (Tab::Detail, KeyCode::F(8), "stop"),
            (Tab::Fleet, KeyCode::Char('x'), ""),
            (Tab::Logs, KeyCode::Char('x'), "hold"),
            (Tab::Logs, KeyCode::Char(' '), ""),
            (Tab::Fleet, KeyCode::Char(' '), "mark"),
        ] {
            assert_eq!(name(&map, tab, key), expected, "{tab:?} {key}");
        }
        assert_eq!(map.key(Tab::Fleet, Intent::Issue(CmdName::Stop)), "X");
    }

    #[test]
    fn what_cannot_be_is_told_by_name_and_the_rest_is_in_force() {
        let (map, faults) = map(
            Preset::K9s,
            &[
                ("back", "b"),
                ("fly", "w"),
                ("help", ""),
                ("mark", "m"),
                ("range", "m M"),
                ("restart", "esc"),
                ("sort", "ctrl-o"),
                ("start", "x"),
            ],
        );
        let told = faults.join("\n");
        for part in [
            "back: cannot be changed",
            "fly: is nothing that a key does",
            "help: the help needs a key",
            "range: m is the key of mark already",
            "restart: esc and ^c keep their meaning",
            "sort: \"ctrl-o\" is no key",
            "start: x was the key of stop, which has none now",
        ] {
            assert!(told.contains(part), "{part}\n{told}");
        }
        assert_eq!(name(&map, Tab::Fleet, KeyCode::Char('x')), "start");
        assert_eq!(name(&map, Tab::Fleet, KeyCode::Char('m')), "mark");
        assert_eq!(name(&map, Tab::Fleet, KeyCode::Char('M')), "range");
        assert_eq!(name(&map, Tab::Fleet, KeyCode::Char('o')), "sort");
        assert_eq!(name(&map, Tab::Fleet, KeyCode::Esc), "back");
    }

    #[test]
    fn presets_take_nothing_away_unasked() {
        for preset in Preset::ALL {
            let (map, faults) = map(preset, &[]);
            assert_eq!(faults, Vec::<String>::new());
            for (tab, list) in table::SCREENS {
                for binding in table::whole(list) {
                    let is_it = |own: &&Binding| own.intent == binding.intent;
                    let has_key = map.of(*tab).iter().filter(is_it).any(|own| !own.keys.is_empty());
                    assert!(has_key || binding.keys.is_empty(), "{preset:?} {tab:?} {}", binding.help);
                }
            }
        }
        let (vim, _) = map(Preset::Vim, &[]);
        assert_eq!(name(&vim, Tab::Fleet, KeyCode::Char('l')), "open");
        assert_eq!(name(&vim, Tab::History, KeyCode::Char('l')), "later");
        assert_eq!(name(&vim, Tab::Detail, KeyCode::Char('L')), "log");
        let page = KeyEvent::new(KeyCode::Char('f'), KeyModifiers::CONTROL);
        assert_eq!(vim.intent(Tab::Fleet, page), Some(Intent::Move(Move::PageDown)));
        let (arrows, _) = map(Preset::Arrows, &[]);
        assert_eq!(name(&arrows, Tab::Fleet, KeyCode::Char('j')), "");
        assert_eq!(name(&arrows, Tab::Alerts, KeyCode::F(10)), "quit");
    }

    #[test]
    fn a_name_means_one_thing_on_a_screen() {
        for (tab, list) in table::SCREENS {
            let mut names: Vec<_> =
                table::whole(list).map(|binding| (binding.intent.name(), binding.intent)).collect();
            names.sort_by(|a, b| a.0.cmp(&b.0));
            for pair in names.windows(2) {
                assert!(pair[0].0 != pair[1].0 || pair[0].1 == pair[1].1, "{tab:?} {pair:?}");
            }
        }
        // Names are part of what people write down.
        insta::assert_snapshot!(Keymap::default().listed());
    }
}
