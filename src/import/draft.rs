//! What an importer finds: apps without a path yet, and what it has to say about lines.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use crate::model::{App, InvalidSetting, Setting, Value};

/// The most apps of one file.
const APPS_MAX: usize = 10_000;

/// The most faults of a file that are named; one that is not of the tool at all has a fault in every line.
pub const FAULTS_MAX: usize = 1000;

/// The text that is read.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// As messages name it.
    pub name: &'a str,
    /// Where it lies, absolute; `None` for standard input.
    pub path: Option<&'a Path>,
    /// Its lines, which end in a line feed alone.
    pub text: &'a str,
}

impl<'a> Source<'a> {
    /// The folder that relative paths start in.
    #[must_use]
    pub fn folder(&self) -> Option<&'a Path> {
        self.path.and_then(Path::parent)
    }

    /// The name of the file without its ending.
    #[must_use]
    pub fn stem(&self) -> Option<&'a str> {
        self.path.and_then(Path::file_stem).and_then(|stem| stem.to_str())
    }
}

/// A line of a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct At {
    /// The file, as messages name it.
    pub file: Arc<str>,
    /// From 1.
    pub line: usize,
}

impl At {
    /// A line of this file.
    #[must_use]
    pub fn new(file: &str, line: usize) -> Self {
        Self { file: file.into(), line }
    }
}

/// Something is wrong in a line.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fault {
    /// The line.
    pub at: At,
    /// What is wrong, in a sentence.
    pub what: String,
}

/// What a person should know of a line that was understood.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Note {
    /// The line.
    pub at: At,
    /// The key as the file has it.
    pub key: String,
    /// Why it is not what it was, in a sentence.
    pub why: String,
    /// Whether it does what it did, in another way; else it could not be carried over.
    pub is_carried: bool,
}

/// An app whose path is not settled yet.
#[derive(Debug, Clone, PartialEq)]
pub struct Draft {
    /// Its definition; the path is not valid.
    pub app: App,
    /// The parent that the file suggests, in any characters.
    pub parent: String,
    /// The name that the file suggests, in any characters.
    pub name: String,
    /// Whether the tool starts it by itself.
    pub is_started: bool,
    /// Where it is defined.
    pub at: At,
}

/// What a file holds.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Imported {
    /// Its apps, in its order.
    pub drafts: Vec<Draft>,
    /// What was not carried over as it was, in the order of files and lines.
    pub notes: Vec<Note>,
}

/// What an importer has to say.
#[derive(Debug, Default)]
pub struct Report {
    notes: BTreeSet<Note>,
    faults: BTreeSet<Fault>,
}

impl Report {
    /// The file is wrong.
    pub(super) fn fault(&mut self, at: &At, what: impl Into<String>) {
        if self.faults.len() < FAULTS_MAX {
            self.faults.insert(Fault { at: at.clone(), what: what.into() });
        }
    }

    /// Whether a file makes more apps than are taken, which is a fault then.
    pub(super) fn is_too_much(&mut self, at: &At, count: usize) -> bool {
        let is_too_much = count > APPS_MAX;
        if is_too_much {
            self.fault(at, format!("more than {APPS_MAX} apps in one file"));
        }
        is_too_much
    }

    /// A key could not be carried over.
    pub(super) fn lost(&mut self, at: &At, key: &str, why: impl Into<String>) {
        self.note(at, key, why.into(), false);
    }

    /// A key is carried over by other means.
    pub(super) fn carried(&mut self, at: &At, key: &str, why: impl Into<String>) {
        self.note(at, key, why.into(), true);
    }

    fn note(&mut self, at: &At, key: &str, why: String, is_carried: bool) {
        // A section that makes several apps is read once for each.
        self.notes.insert(Note { at: at.clone(), key: key.to_owned(), why, is_carried });
    }

    pub(super) fn into_result(mut self, drafts: Vec<Draft>) -> Result<Imported, Vec<Fault>> {
        for draft in &drafts {
            draft.check(&mut self);
        }
        if self.faults.is_empty() {
            return Ok(Imported { drafts, notes: self.notes.into_iter().collect() });
        }
        Err(self.faults.into_iter().collect())
    }
}

impl Draft {
    pub(super) fn new(parent: &str, name: &str, at: &At) -> Self {
        Self {
            app: App::unnamed(),
            parent: parent.to_owned(),
            name: name.to_owned(),
            is_started: true,
            at: at.clone(),
        }
    }

    /// Gives it a setting; a value that dcm does not take is a fault of the line.
    pub(super) fn put<'v>(&mut self, report: &mut Report, at: &At, key: &str, value: impl Into<Value<'v>>) {
        if let Err(error) = self.try_put(key, value.into()) {
            report.fault(at, error.to_string());
        }
    }

    /// Gives it a setting for a key of the file; a value that dcm does not take is not carried over.
    pub(super) fn carry<'v>(
        &mut self,
        report: &mut Report,
        (at, of): (&At, &str),
        key: &str,
        value: impl Into<Value<'v>>,
    ) {
        if let Err(error) = self.try_put(key, value.into()) {
            report.lost(at, of, error.to_string());
        }
    }

    fn try_put(&mut self, key: &str, value: Value<'_>) -> Result<(), InvalidSetting> {
        let setting = Setting::of_key(key).expect("importers name keys of the table of settings");
        setting.put(&mut self.app, value)
    }

    /// Gives it a command.
    pub(super) fn run(&mut self, report: &mut Report, at: &At, words: Vec<String>) {
        self.put(report, at, "command", Value::List(Cow::Owned(words)));
    }

    /// Gives it a variable.
    pub(super) fn set(&mut self, name: &str, value: &str) {
        self.app.program.unset.remove(name);
        self.app.program.env.insert(name.to_owned(), value.to_owned());
    }

    /// Looks at what was not given by [`Self::put`].
    fn check(&self, report: &mut Report) {
        let env = Setting::of_key("env").expect("a setting of apps");
        if let Err(error) = env.put(&mut App::unnamed(), (env.get)(&self.app)) {
            report.fault(&self.at, error.to_string());
        }
        if let Err(error) = self.app.schedule.check() {
            report.fault(&self.at, error.to_string());
        }
    }
}

/// A whole number as a setting takes it.
pub(super) const fn whole(number: i64) -> Value<'static> {
    Value::Whole(number)
}
