//! What a check has found.

use serde_json::{Value, json};

use crate::cli::error::Error;
use crate::cli::output::Ink;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Level {
    /// As it should be.
    Ok,
    /// It works, and will not always.
    Warning,
    /// Something does not work.
    Error,
    /// It could not be looked at.
    Unknown,
}

impl Level {
    const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Error => "error",
            Self::Unknown => "unknown",
        }
    }

    const fn ink(self) -> Ink {
        match self {
            Self::Ok => Ink::Plain,
            Self::Warning => Ink::Warning,
            Self::Error => Ink::Alarm,
            Self::Unknown => Ink::Faint,
        }
    }
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finding {
    /// A stable name: `state.rights`.
    pub(super) check: &'static str,
    pub(super) level: Level,
    /// What was seen, in one line and without secrets.
    pub(super) seen: String,
    /// What to do about it.
    pub(super) cure: Option<String>,
}

/// The width of a level and of the name of a check, with the blanks behind.
const LEVEL: usize = 9;
const CHECK: usize = 22;

impl Finding {
    pub(super) fn ok(check: &'static str, seen: impl Into<String>) -> Self {
        Self { check, level: Level::Ok, seen: seen.into(), cure: None }
    }

    pub(super) fn warning(check: &'static str, seen: impl Into<String>, cure: impl Into<String>) -> Self {
        Self { check, level: Level::Warning, seen: seen.into(), cure: Some(cure.into()) }
    }

    pub(super) fn error(check: &'static str, seen: impl Into<String>, cure: impl Into<String>) -> Self {
        Self { check, level: Level::Error, seen: seen.into(), cure: Some(cure.into()) }
    }

    pub(super) fn unknown(check: &'static str, seen: impl Into<String>) -> Self {
        Self { check, level: Level::Unknown, seen: seen.into(), cure: None }
    }

    /// An error with the hint that its text ends with; `otherwise` is the cure where it has none.
    pub(super) fn of_error(check: &'static str, error: &Error, otherwise: &str) -> Self {
        let text = error.to_string();
        let (seen, cure) = text.split_once("; ").unwrap_or((&text, otherwise));
        Self::error(check, seen, cure)
    }

    pub(super) fn lines(&self) -> Vec<(Ink, String)> {
        let ink = self.level.ink();
        let head = format!("{:LEVEL$}{:CHECK$}{}", self.level.word(), self.check, self.seen);
        let cure = self.cure.as_ref().map(|cure| format!("{:1$}cure: {cure}", "", LEVEL + CHECK));
        std::iter::once((ink, head)).chain(cure.map(|cure| (Ink::Plain, cure))).collect()
    }

    pub(super) fn in_json(&self) -> Value {
        json!({ "check": self.check, "level": self.level.word(), "seen": self.seen, "cure": self.cure })
    }
}
