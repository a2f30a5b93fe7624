//! The name of an app as people write it: `GROUP/PARENT/APP`.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use super::AppId;

/// Before the key of an app in the place of its name.
const KEY_MARK: char = '-';

/// One part of a path: 1 to 64 of `A-Z a-z 0-9 _ - .`, not starting with `-` or `.`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Part(Arc<str>);

impl Part {
    /// The longest part that is accepted, in characters.
    pub const LENGTH_MAX: usize = 64;

    /// Checks a name.
    ///
    /// # Errors
    /// [`PathError`] says which rule the name breaks.
    pub fn new(text: &str) -> Result<Self, PathError> {
        let wrong = |why| Err(PathError { text: shorten(text), why });
        match text.chars().next() {
            None => return wrong("a part is empty"),
            Some('-' | '.') => return wrong("a part must not start with '-' or '.'"),
            Some(_) => {}
        }
        if !text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.')) {
            return wrong("only A-Z a-z 0-9 _ - . are allowed");
        }
        if text.len() > Self::LENGTH_MAX {
            return wrong("a part has more than 64 characters");
        }
        Ok(Self(text.into()))
    }

    /// The name itself.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A name by itself, such as that of a pool.
impl FromStr for Part {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::new(text).map_err(NameError)
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A name by itself that is not accepted, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid name {:?}: {}", .0.text, .0.why)]
pub struct NameError(PathError);

/// The three names of an app. Ordered as the console shows them: by group, parent, name.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AppPath {
    /// For example a country.
    pub group: Part,
    /// For example an agency.
    pub parent: Part,
    /// The app itself.
    pub name: Part,
}

impl AppPath {
    /// Checks three names.
    ///
    /// # Errors
    /// The first name that breaks a rule.
    pub fn new(group: &str, parent: &str, name: &str) -> Result<Self, PathError> {
        Ok(Self { group: Part::new(group)?, parent: Part::new(parent)?, name: Part::new(name)? })
    }
}

impl AppPath {
    /// Stands for the path of a row whose names are not valid: it is named by its key. No valid path
    /// equals it, since a part does not start with `-`. Group and parent are kept where they are valid.
    #[must_use]
    pub fn of_key(key: AppId, group: Option<Part>, parent: Option<Part>) -> Self {
        let none = || Part("-".into());
        Self {
            group: group.unwrap_or_else(none),
            parent: parent.unwrap_or_else(none),
            name: Part(format!("{KEY_MARK}{key}").into()),
        }
    }

    /// The key that stands in the place of names that are not valid.
    #[must_use]
    pub fn key(&self) -> Option<AppId> {
        self.name.as_str().strip_prefix(KEY_MARK)?.parse().ok()
    }
}

impl FromStr for AppPath {
    type Err = PathError;

    fn from_str(text: &str) -> Result<Self, PathError> {
        let mut parts = text.split('/');
        match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some(group), Some(parent), Some(name), None) => Self::new(group, parent, name),
            _ => Err(PathError { text: shorten(text), why: "expected GROUP/PARENT/APP" }),
        }
    }
}

impl fmt::Display for AppPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.key() {
            Some(key) => fmt::Display::fmt(&key, f),
            None => write!(f, "{}/{}/{}", self.group, self.parent, self.name),
        }
    }
}

impl fmt::Debug for AppPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A name that is not accepted, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid app path {text:?}: {why}")]
pub struct PathError {
    text: String,
    why: &'static str,
}

/// A hostile name may be long; a message shows its beginning.
fn shorten(text: &str) -> String {
    const SHOWN_MAX: usize = 80;
    if text.chars().count() <= SHOWN_MAX {
        return text.to_owned();
    }
    text.chars().take(SHOWN_MAX).chain(['…']).collect()
}

/// As apps are called together: by name, by what they share (`croatia/fina/* (2 apps)`), else by number.
#[must_use]
pub fn together<'a>(paths: impl IntoIterator<Item = &'a AppPath>) -> String {
    let mut paths = paths.into_iter();
    let Some(first) = paths.next() else { return "-".to_owned() };
    let (mut count, mut group, mut parent, mut app) = (1, true, true, true);
    for path in paths {
        count += 1;
        app &= path == first;
        group &= path.group == first.group;
        parent &= group && path.parent == first.parent;
    }
    match (app, parent, group) {
        (true, ..) => first.to_string(),
        (_, true, _) => format!("{}/{}/* ({count} apps)", first.group, first.parent),
        (_, _, true) => format!("{}/* ({count} apps)", first.group),
        (false, false, false) => format!("{count} apps"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn good_paths_come_back_as_they_were() {
        for text in ["croatia/fina/companies", "a/b/c", "A-1/b_2/c.d", "x/y/9"] {
            assert_eq!(text.parse::<AppPath>().unwrap().to_string(), text);
        }
        let longest = "x".repeat(64);
        assert!(AppPath::new(&longest, &longest, &longest).is_ok());
    }

    #[test]
    fn everything_else_is_refused_with_a_reason() {
        let cases = [
            ("", "GROUP/PARENT/APP"),
            ("a/b", "GROUP/PARENT/APP"),
            ("a/b/c/d", "GROUP/PARENT/APP"),
            ("a//c", "empty"),
            ("../b/c", "start"),
            ("a/../c", "start"),
            ("-a/b/c", "start"),
            ("a/.b/c", "start"),
            ("a b/b/c", "allowed"),
            ("a;b/b/c", "allowed"),
            ("a/b/č", "allowed"),
            ("a/b/c\n", "allowed"),
            ("a|b/b/c", "allowed"),
            ("a\\b/b/c", "allowed"),
        ];
        for (text, why) in cases {
            let message = text.parse::<AppPath>().unwrap_err().to_string();
            assert!(message.contains(why), "{text:?}: {message}");
        }
        assert!(Part::new(&"x".repeat(65)).unwrap_err().to_string().contains("64"));
    }

    #[test]
    fn apps_are_called_by_what_they_share() {
        for (paths, name) in [
            (vec![], "-"),
            (vec!["a/b/c"], "a/b/c"),
            (vec!["a/b/c", "a/b/c"], "a/b/c"),
            (vec!["a/b/c", "a/b/d"], "a/b/* (2 apps)"),
            (vec!["a/b/c", "a/x/b", "a/b/d"], "a/* (3 apps)"),
            (vec!["a/b/c", "b/b/c"], "2 apps"),
        ] {
            let paths: Vec<AppPath> = paths.iter().map(|path| path.parse().unwrap()).collect();
            assert_eq!(together(&paths), name);
        }
    }
}
