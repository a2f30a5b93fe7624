//! What a person has chosen for the console, once for all terminals that are alike:
//! `~/.config/dcm/console.toml`.

use std::collections::BTreeMap;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{env, line_of};
use crate::console::{Cyrillic, KeyChoice, Keymap};

/// The file. Every value may be missing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConsoleFile {
    /// `unicode`, `safe` or `ascii`.
    pub glyphs: Option<String>,
    /// `ansi`, `cb-rg` or `mono`.
    pub theme: Option<String>,
    /// `auto`, `never`, `8`, `16`, `256` or `true`.
    pub color: Option<String>,
    /// Whether signs that are wide in East Asia are wide on this terminal.
    pub ambiguous_wide: bool,
    /// Saved views of the fleet: `night = "is:running sort:eta flat"`. The first nine, by name, are on
    /// `g1` to `g9`.
    pub views: BTreeMap<String, String>,
    /// What each key means: `keys = "vim"`, or a table `[keys]` with `map = "vim"` and names of what
    /// keys do: `stop = "X"`, `palette = [":", "f2"]`.
    pub keys: Keymap,
}

impl ConsoleFile {
    /// That of the user who runs the program.
    pub fn of_user(warn: &mut dyn FnMut(String)) -> Self {
        Self::read(env::console_file().as_deref(), &env::locale(), warn)
    }

    /// Reads it. A file that cannot be read or understood keeps nobody from opening a console: it is
    /// told of, and counts as empty. So is a value that cannot be understood.
    fn read(path: Option<&Path>, locale: &str, warn: &mut dyn FnMut(String)) -> Self {
        let text = path.map(|path| (path, std::fs::read_to_string(path)));
        let text = match text {
            Some((_, Ok(text))) => text,
            Some((path, Err(error))) if error.kind() != std::io::ErrorKind::NotFound => {
                warn(format!("{}: {error}", path.display()));
                String::new()
            }
            Some((_, Err(_))) | None => String::new(),
        };
        let name = path.map(|path| path.display().to_string()).unwrap_or_default();
        let mut reader = Reader { name, text: &text, warn, file: Self::default() };
        reader.read(Cyrillic::of_locale(locale));
        reader.file
    }
}

struct Reader<'a> {
    name: String,
    text: &'a str,
    warn: &'a mut dyn FnMut(String),
    file: ConsoleFile,
}

type Value<'a> = Spanned<DeValue<'a>>;

impl Reader<'_> {
    fn read(&mut self, cyrillic: Cyrillic) {
        let table = match DeTable::parse(self.text) {
            Ok(table) => table,
            Err(error) => {
                let place = error.span().map_or(0, |span| span.start);
                return self.tell(place, error.message());
            }
        };
        let mut choice = KeyChoice { cyrillic, ..KeyChoice::default() };
        let mut places = BTreeMap::new();
        for (key, value) in table.get_ref() {
            let at = key.span().start;
            match (key.get_ref().as_ref(), value.get_ref()) {
                ("glyphs", _) => self.file.glyphs = self.string("glyphs", value),
                ("theme", _) => self.file.theme = self.string("theme", value),
                ("color", _) => self.file.color = self.string("color", value),
                ("ambiguous_wide", DeValue::Boolean(is_wide)) => self.file.ambiguous_wide = *is_wide,
                ("views", DeValue::Table(views)) => {
                    let views = views.iter().filter_map(|(name, view)| {
                        Some((name.get_ref().to_string(), self.string("a view", view)?))
                    });
                    self.file.views = views.collect();
                }
                ("keys", DeValue::String(_)) => self.preset(value, &mut choice),
                ("keys", DeValue::Table(keys)) => self.keys("", keys, &mut choice, &mut places),
                ("ambiguous_wide" | "views" | "keys", _) => {
                    self.tell(at, &format!("{} cannot be understood", key.get_ref()));
                }
                (name, _) => self.tell(at, &format!("unknown setting {name}")),
            }
        }
        let (keys, faults) = Keymap::new(&choice);
        self.file.keys = keys;
        for (name, why) in faults {
            let place = places.get(&name).copied().unwrap_or_default();
            self.tell(place, &format!("keys.{name}: {why}"));
        }
    }

    fn preset(&mut self, value: &Value<'_>, choice: &mut KeyChoice) {
        let Some(text) = self.string("keys", value) else { return };
        match text.parse() {
            Ok(preset) => choice.preset = preset,
            Err(why) => self.tell(value.span().start, &why.to_string()),
        }
    }

    /// `[keys]`, and what belongs to one screen: `[keys.fleet]`.
    fn keys(
        &mut self,
        prefix: &str,
        keys: &DeTable<'_>,
        choice: &mut KeyChoice,
        places: &mut BTreeMap<String, usize>,
    ) {
        for (key, value) in keys {
            let name = format!("{prefix}{}", key.get_ref());
            let at = key.span().start;
            let texts = match value.get_ref() {
                DeValue::Table(inner) if prefix.is_empty() => {
                    self.keys(&format!("{name}."), inner, choice, places);
                    continue;
                }
                DeValue::String(_) if name == "map" => {
                    self.preset(value, choice);
                    continue;
                }
                DeValue::String(text) if name == "cyrillic" => {
                    match text.parse() {
                        Ok(layout) => choice.cyrillic = layout,
                        Err(why) => self.tell(at, &why.to_string()),
                    }
                    continue;
                }
                DeValue::String(text) => Some(vec![text.to_string()]),
                DeValue::Array(all) => {
                    all.iter().map(|one| Some(one.get_ref().as_str()?.to_owned())).collect()
                }
                DeValue::Integer(_)
                | DeValue::Float(_)
                | DeValue::Boolean(_)
                | DeValue::Datetime(_)
                | DeValue::Table(_) => None,
            };
            let Some(texts) = texts else {
                self.tell(at, &format!("keys.{name} must be a key or an array of keys"));
                continue;
            };
            places.insert(name.clone(), at);
            choice.keys.insert(name, texts);
        }
    }

    fn string(&mut self, name: &str, value: &Value<'_>) -> Option<String> {
        let text = value.get_ref().as_str().map(str::to_owned);
        if text.is_none() {
            self.tell(value.span().start, &format!("{name} must be a text"));
        }
        text
    }

    fn tell(&mut self, at: usize, why: &str) {
        (self.warn)(format!("{}:{}: {why}", self.name, line_of(self.text, at)));
    }
}

/// The text of the file with a value set. Everything else in it stays as it was written.
#[must_use]
pub fn with_setting(text: &str, name: &str, value: &str) -> String {
    let line = format!("{name} = \"{value}\"");
    let is_it = |line: &str| line.split_once('=').is_some_and(|(key, _)| key.trim() == name);
    // What belongs to no table stands before the first one.
    let tables = text.lines().position(|line| line.trim_start().starts_with('[')).unwrap_or(usize::MAX);
    let mut lines: Vec<&str> = text.lines().collect();
    match lines.iter().take(tables).position(|line| is_it(line)) {
        Some(at) => lines[at] = &line,
        None => lines.insert(tables.min(lines.len()), &line),
    }
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::Preset;

    #[test]
    fn a_value_is_set_and_the_rest_stays() {
        assert_eq!(with_setting("", "glyphs", "safe"), "glyphs = \"safe\"\n");
        let text = "# mine\nglyphs = 'ascii'\n\n[keys]\nglyphs = 'x'\n";
        let expected = "# mine\nglyphs = \"safe\"\n\n[keys]\nglyphs = 'x'\n";
        assert_eq!(with_setting(text, "glyphs", "safe"), expected);
        assert_eq!(with_setting("[keys]\na = 1\n", "theme", "mono"), "theme = \"mono\"\n[keys]\na = 1\n");
    }

    #[test]
    fn a_bad_file_counts_as_empty_and_is_told_of() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("console.toml");
        let read = |text: &str| {
            std::fs::write(&path, text).unwrap();
            let mut warnings = Vec::new();
            let file = ConsoleFile::read(Some(&path), "", &mut |warning| warnings.push(warning));
            let prefix = format!("{}:", path.display());
            let warnings: Vec<_> =
                warnings.iter().map(|text| text.strip_prefix(&prefix).unwrap().to_owned()).collect();
            (file, warnings)
        };
        assert_eq!(read("glyphs = 3"), (ConsoleFile::default(), vec!["1: glyphs must be a text".to_owned()]));
        assert_eq!(read("theme = 'mono'\n[views\n").0, ConsoleFile::default());
        let (file, warnings) = read("theme = 'mono'\nambiguous_wide = true\n[views]\nnight = 'is:fatal'");
        assert_eq!((file.theme.as_deref(), file.ambiguous_wide), (Some("mono"), true));
        assert_eq!(file.views["night"], "is:fatal");
        assert_eq!(warnings, Vec::<String>::new());
        let none =
            ConsoleFile::read(Some(&folder.path().join("none")), "", &mut |_| panic!("it may be missing"));
        assert_eq!(none, ConsoleFile::default());
        let (file, warnings) = read("keys = 'vim'\ncolour = 'x'");
        let vim = KeyChoice { preset: Preset::Vim, ..KeyChoice::default() };
        assert_eq!(
            (file.keys, warnings),
            (Keymap::new(&vim).0, vec!["2: unknown setting colour".to_owned()])
        );
        let (_, warnings) = read(
            "[keys]\nmap = 'emacs'\ncyrillic = 'sr'\nstop = 'X'\nfly = 'w'\nstart = 3\n[keys.fleet]\nmark = 'esc'",
        );
        assert_eq!(
            warnings,
            [
                "2: \"emacs\" is no map of keys: expected k9s, vim or arrows",
                "6: keys.start must be a key or an array of keys",
                "8: keys.fleet.mark: esc and ^c keep their meaning",
                "5: keys.fly: is nothing that a key does; dcm console --list-keys shows all",
            ]
        );
    }

    #[test]
    fn what_is_listed_can_be_written_into_the_file() {
        for preset in Preset::ALL {
            let choice = KeyChoice { preset, ..KeyChoice::default() };
            let listed = Keymap::new(&choice).0.listed();
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("console.toml");
            std::fs::write(&path, &listed).unwrap();
            let mut warnings = Vec::new();
            let file = ConsoleFile::read(Some(&path), "", &mut |warning| warnings.push(warning));
            assert_eq!((file.keys.listed(), warnings), (listed, Vec::new()));
        }
    }
}
