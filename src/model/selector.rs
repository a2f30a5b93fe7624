//! How the command line names apps: a path, a prefix, a glob, a tag, an owner, or `all`.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use super::{AppId, AppPath, Part};

/// Names zero or more apps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selector(Meant);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Meant {
    All,
    Place {
        /// One pattern for each leading part of the path.
        parts: Vec<String>,
        /// The key that the text is: so a row is named whose names are not valid.
        key: Option<AppId>,
    },
    /// What has a tag of this pattern.
    Tag(String),
    /// What has an owner of this pattern.
    Owner(String),
}

/// What people have written on an app, by which it can be selected.
#[derive(Debug, Clone, Copy)]
pub struct Labels<'a> {
    /// Who looks after it.
    pub owner: Option<&'a str>,
    /// Its tags.
    pub tags: &'a BTreeSet<Part>,
}

impl Labels<'static> {
    /// Those of an app on which nothing is written.
    pub const NONE: Self = Self { owner: None, tags: &BTreeSet::new() };
}

/// Before a tag.
const TAG: &str = "tag:";

/// Before the name of an owner.
const OWNER: &str = "owner:";

impl Selector {
    /// Every app.
    #[must_use]
    pub fn all() -> Self {
        Self(Meant::All)
    }

    /// Whether every app is meant, by the word `all`.
    #[must_use]
    pub fn is_all(&self) -> bool {
        self.0 == Meant::All
    }

    /// Whether it goes by what people have written on apps, and not by their paths.
    #[must_use]
    pub fn is_label(&self) -> bool {
        matches!(self.0, Meant::Tag(_) | Meant::Owner(_))
    }

    /// Whether this key is what the selector names.
    #[must_use]
    pub fn names_key(&self, key: AppId) -> bool {
        matches!(&self.0, Meant::Place { key: Some(own), .. } if *own == key)
    }

    /// Whether this app is meant.
    #[must_use]
    pub fn matches(&self, path: &AppPath, labels: Labels<'_>) -> bool {
        let (parts, key) = match &self.0 {
            Meant::All => return true,
            Meant::Tag(pattern) => {
                let is_meant = |tag: &Part| matches_glob(pattern.as_bytes(), tag.as_str().as_bytes());
                return labels.tags.iter().any(is_meant);
            }
            Meant::Owner(pattern) => {
                let is_meant = |owner: &str| matches_glob(pattern.as_bytes(), owner.as_bytes());
                return labels.owner.is_some_and(is_meant);
            }
            Meant::Place { parts, key } => (parts, key),
        };
        if key.is_some_and(|key| key == AppId::of(path)) {
            return true;
        }
        let names = [&path.group, &path.parent, &path.name];
        parts
            .iter()
            .zip(names)
            .all(|(pattern, name)| matches_glob(pattern.as_bytes(), name.as_str().as_bytes()))
    }

    /// The one app that is meant, when the selector is a key, or a whole path without wildcards.
    #[must_use]
    pub fn exact(&self) -> Option<AppPath> {
        let Meant::Place { parts, key } = &self.0 else { return None };
        if let Some(key) = key {
            return Some(AppPath::of_key(*key, None, None));
        }
        match parts.as_slice() {
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
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '*' | '?');
        if let Some(tag) = text.strip_prefix(TAG) {
            if tag.is_empty() || tag.len() > 128 || !tag.chars().all(allowed) {
                return wrong("a tag is A-Z a-z 0-9 _ - . and the wildcards * ?");
            }
            return Ok(Self(Meant::Tag(tag.to_owned())));
        }
        if let Some(owner) = text.strip_prefix(OWNER) {
            if owner.is_empty() || owner.chars().count() > 200 {
                return wrong("an owner has 1 to 200 characters");
            }
            return Ok(Self(Meant::Owner(owner.to_owned())));
        }
        let parts: Vec<_> = text.strip_suffix('/').unwrap_or(text).split('/').map(str::to_owned).collect();
        if parts.len() > 3 {
            return wrong("more than GROUP/PARENT/APP");
        }
        if parts.iter().any(|part| part.is_empty() || part.len() > 128) {
            return wrong("a part is empty or too long");
        }
        if !parts.iter().all(|part| part.chars().all(allowed) && !part.starts_with(['-', '.'])) {
            return wrong("only A-Z a-z 0-9 _ - . and the wildcards * ? are allowed");
        }
        Ok(Self(Meant::Place { parts, key: text.parse().ok() }))
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Meant::All => f.write_str("all"),
            Meant::Place { parts, .. } => f.write_str(&parts.join("/")),
            Meant::Tag(tag) => write!(f, "{TAG}{tag}"),
            Meant::Owner(owner) => write!(f, "{OWNER}{owner}"),
        }
    }
}

/// The text selects nothing that could exist.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "invalid selector {text:?}: {why}; expected a path, a prefix such as croatia/fina, a glob such as */fina/*, tag:TAG, owner:NAME, or all"
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
            assert!(text.parse::<Selector>().unwrap().matches(&path, Labels::NONE), "{text}");
        }
        for text in ["croat", "italy", "croatia/fin", "croatia/fina/companie", "*/*/x*", "?"] {
            assert!(!text.parse::<Selector>().unwrap().matches(&path, Labels::NONE), "{text}");
        }
    }

    #[test]
    fn a_key_is_a_selector_too() {
        let path: AppPath = "croatia/fina/companies".parse().unwrap();
        let key = AppId::of(&path);
        let selector: Selector = key.to_string().parse().unwrap();
        assert!(selector.matches(&path, Labels::NONE) && selector.names_key(key));
        assert!(!selector.matches(&"croatia/fina/owners".parse().unwrap(), Labels::NONE));
        // A row whose names are not valid is in its group all the same, and shown by its key.
        let nameless = AppPath::of_key(key, Some(path.group.clone()), None);
        assert_eq!((nameless.to_string(), AppId::of(&nameless)), (key.to_string(), key));
        assert!(selector.matches(&nameless, Labels::NONE));
        for (text, is_meant) in [("croatia", true), ("all", true), ("croatia/fina", false), ("italy", false)]
        {
            assert_eq!(
                text.parse::<Selector>().unwrap().matches(&nameless, Labels::NONE),
                is_meant,
                "{text}"
            );
        }
        assert!(nameless.to_string().parse::<AppPath>().is_err(), "a key is no path");
    }

    #[test]
    fn tags_and_owners_select_across_paths() {
        let path: AppPath = "croatia/fina/companies".parse().unwrap();
        let tags = ["nightly", "eu.sales"].map(|tag| tag.parse().unwrap()).into();
        let labels = Labels { owner: Some("Ana Horvat <ana@example.org>"), tags: &tags };
        for (text, is_meant) in [
            ("tag:nightly", true),
            ("tag:night*", true),
            ("tag:eu.*", true),
            ("tag:night", false),
            ("tag:Nightly", false),
            ("owner:Ana Horvat <ana@example.org>", true),
            ("owner:*ana@*", true),
            ("owner:Ana", false),
        ] {
            let selector: Selector = text.parse().unwrap();
            assert_eq!(selector.matches(&path, labels), is_meant, "{text}");
            assert!(!selector.matches(&path, Labels::NONE) && selector.exact().is_none(), "{text}");
            assert!(selector.is_label() && selector.to_string() == text);
        }
        for text in ["tag:", "tag:a b", "tag:a/b", "owner:"] {
            assert!(text.parse::<Selector>().is_err(), "{text}");
        }
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
