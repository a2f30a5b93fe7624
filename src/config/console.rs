//! What a person has chosen for the console, once for all terminals that are alike:
//! `~/.config/dcm/console.toml`.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

/// The file. Every value may be missing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct ConsoleFile {
    /// `unicode`, `safe` or `ascii`.
    pub glyphs: Option<String>,
    /// `ansi`, `cb-rg` or `mono`.
    pub theme: Option<String>,
    /// `auto`, `never`, `8`, `16`, `256` or `true`.
    pub color: Option<String>,
    /// Whether signs that are wide in East Asia are wide on this terminal.
    #[serde(default)]
    pub ambiguous_wide: bool,
    /// Saved views of the fleet: `night = "is:running sort:eta flat"`. The first nine, by name, are on
    /// `g1` to `g9`.
    #[serde(default)]
    pub views: BTreeMap<String, String>,
}

impl ConsoleFile {
    /// Reads it. A file that cannot be read or understood keeps nobody from opening a console: it is
    /// told of, and counts as empty.
    pub fn read(path: Option<&Path>, warn: &mut dyn FnMut(String)) -> Self {
        let Some(path) = path else { return Self::default() };
        match std::fs::read_to_string(path) {
            Ok(text) => toml::from_str(&text).unwrap_or_else(|error| {
                warn(format!("{}: {}", path.display(), error.message()));
                Self::default()
            }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Self::default(),
            Err(error) => {
                warn(format!("{}: {error}", path.display()));
                Self::default()
            }
        }
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
            (ConsoleFile::read(Some(&path), &mut |warning| warnings.push(warning)), warnings.len())
        };
        assert_eq!(read("glyphs = 3"), (ConsoleFile::default(), 1));
        let (file, warnings) = read("theme = 'mono'\nambiguous_wide = true\n[views]\nnight = 'is:fatal'");
        assert_eq!((file.theme.as_deref(), file.ambiguous_wide, warnings), (Some("mono"), true, 0));
        assert_eq!(file.views["night"], "is:fatal");
        let none = ConsoleFile::read(Some(&folder.path().join("none")), &mut |_| panic!("it may be missing"));
        assert_eq!(none, ConsoleFile::default());
    }
}
