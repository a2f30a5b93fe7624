//! How the command line names apps: a path, a prefix, a glob, or `all`.

use std::fmt;
use std::str::FromStr;

use super::{AppId, AppPath};

/// Names zero or more apps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selector {
    /// One pattern for each leading part of the path; none stands for `all`.
    parts: Vec<String>,
    /// The key that the text is: so a row is named whose names are not valid.
    key: Option<AppId>,
}

impl Selector {
    /// Every app.
    #[must_use]
    pub fn all() -> Self {
        Self { parts: Vec::new(), key: None }
    }

    /// Whether every app is meant, by the word `all`.
    #[must_use]
    pub fn is_all(&self) -> bool {
        self.parts.is_empty()
    }

    /// Whether this key is what the selector names.
    #[must_use]
    pub fn names_key(&self, key: AppId) -> bool {
        self.key == Some(key)
    }

    /// Whether this app is meant.
    #[must_use]
    pub fn matches(&self, path: &AppPath) -> bool {
        if self.key.is_some_and(|key| key == AppId::of(path)) {
            return true;
        }
        let names = [&path.group, &path.parent, &path.name];
        self.parts
            .iter()
            .zip(names)
            .all(|(pattern, name)| matches_glob(pattern.as_bytes(), name.as_str().as_bytes()))
    }

    /// The one app that is meant, when the selector is a key, or a whole path without wildcards.
    #[must_use]
    pub fn exact(&self) -> Option<AppPath> {
        if let Some(key) = self.key {
            return Some(AppPath::of_key(key, None, None));
        }
        match self.parts.as_slice() {
            [group, parent, name] => AppPath::new(group, parent, name).ok(),
            _ => None,
        }
    }
}

impl FromStr for Selector {
    type Err = SelectorError;

    fn from_str(text: &str) -> Result<Self, SelectorError> {
        if text == "all" {
            return Ok(Self::all());
        }
        let wrong = |why| Err(SelectorError { text: text.chars().take(80).collect(), why });
        let parts: Vec<_> = text.strip_suffix('/').unwrap_or(text).split('/').map(str::to_owned).collect();
        if parts.len() > 3 {
            return wrong("more than GROUP/PARENT/APP");
        }
        if parts.iter().any(|part| part.is_empty() || part.len() > 128) {
            return wrong("a part is empty or too long");
        }
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '*' | '?');
        if !parts.iter().all(|part| part.chars().all(allowed) && !part.starts_with(['-', '.'])) {
            return wrong("only A-Z a-z 0-9 _ - . and the wildcards * ? are allowed");
        }
        Ok(Self { parts, key: text.parse().ok() })
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.parts.is_empty() { f.write_str("all") } else { f.write_str(&self.parts.join("/")) }
    }
}

/// The text selects nothing that could exist.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "invalid selector {text:?}: {why}; expected a path, a prefix such as croatia/fina, a glob such as */fina/*, or all"
)]
pub struct SelectorError {
    text: String,
    why: &'static str,
}

/// `*` stands for any run of characters, `?` for one. Linear in practice: it keeps one fallback.
fn matches_glob(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut fallback = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                fallback = Some((p, t));
                p += 1;
            }
            Some(&c) if c == b'?' || c == text[t] => {
                p += 1;
                t += 1;
            }
            _ => match fallback {
                Some((star, start)) => {
                    fallback = Some((star, start + 1));
                    p = star + 1;
                    t = start + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_prefixes_globs_and_all() {
        let path: AppPath = "croatia/fina/companies".parse().unwrap();
        for text in [
            "all",
            "croatia",
            "croatia/",
            "croatia/fina",
            "croatia/fina/companies",
            "*/fina/*",
            "cro*",
            "*/*/comp?nies",
            "c*a/f*/*s",
        ] {
            assert!(text.parse::<Selector>().unwrap().matches(&path), "{text}");
        }
        for text in ["croat", "italy", "croatia/fin", "croatia/fina/companie", "*/*/x*", "?"] {
            assert!(!text.parse::<Selector>().unwrap().matches(&path), "{text}");
        }
    }

    #[test]
    fn a_key_is_a_selector_too() {
        let path: AppPath = "croatia/fina/companies".parse().unwrap();
        let key = AppId::of(&path);
        let selector: Selector = key.to_string().parse().unwrap();
        assert!(selector.matches(&path) && selector.names_key(key));
        assert!(!selector.matches(&"croatia/fina/owners".parse().unwrap()));
        // A row whose names are not valid is in its group all the same, and shown by its key.
        let nameless = AppPath::of_key(key, Some(path.group.clone()), None);
        assert_eq!((nameless.to_string(), AppId::of(&nameless)), (key.to_string(), key));
        assert!(selector.matches(&nameless));
        for (text, is_meant) in [("croatia", true), ("all", true), ("croatia/fina", false), ("italy", false)]
        {
            assert_eq!(text.parse::<Selector>().unwrap().matches(&nameless), is_meant, "{text}");
        }
        assert!(nameless.to_string().parse::<AppPath>().is_err(), "a key is no path");
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["", "/", "a//b", "a/b/c/d", "../x", "a b", "a;b", "-x"] {
            assert!(text.parse::<Selector>().is_err(), "{text}");
        }
        assert_eq!("a/b/c".parse::<Selector>().unwrap().exact().unwrap().to_string(), "a/b/c");
        assert_eq!("a/b/*".parse::<Selector>().unwrap().exact(), None);
    }
}
