//! The file of `dcm app import`: `[[app]]` and `[[limit]]` tables, read with the line of every fault.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

use super::limit::Place;
use crate::config::line_of;
use crate::model::settings::ALWAYS;
use crate::model::{App, AppId, AppPath, Kind, Setting, Value};

/// What a file says.
#[derive(Debug, Clone, Default, PartialEq)]
pub(in crate::cli) struct Document {
    pub(in crate::cli) apps: Vec<Entry>,
    /// How many apps of a place may run at once.
    pub(in crate::cli) limits: Vec<(Place, u32)>,
}

/// One `[[app]]` table.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::cli) struct Entry {
    pub(in crate::cli) app: App,
    /// `None` where the file does not say.
    pub(in crate::cli) enabled: Option<bool>,
}

/// Something is wrong in a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) struct Fault {
    pub(in crate::cli) line: usize,
    pub(in crate::cli) what: String,
}

/// Reads the file. A `cwd` that is relative starts at `base`, an absolute path.
///
/// # Errors
/// Every fault, in the order of lines.
pub(in crate::cli) fn parse(text: &str, base: &Path) -> Result<Document, Vec<Fault>> {
    let document = DeTable::parse(text).map_err(|error| {
        let line = error.span().map_or(1, |span| line_of(text, span.start));
        vec![Fault { line, what: error.message().to_owned() }]
    })?;
    let mut parser = Parser { text, base, faults: Vec::new(), first: BTreeMap::new() };
    let mut found = Document::default();
    for (key, value) in document.get_ref() {
        match (key.get_ref().as_ref(), value.get_ref()) {
            ("app", DeValue::Array(tables)) => {
                found.apps.extend(tables.iter().filter_map(|table| parser.entry(table)));
            }
            ("limit", DeValue::Array(tables)) => {
                found.limits.extend(tables.iter().filter_map(|table| parser.limit(table)));
            }
            ("limit", _) => parser.fault(value.span().start, "limit must be tables: [[limit]]"),
            ("app", _) => parser.fault(value.span().start, "app must be tables: [[app]]"),
            (other, _) => {
                parser.fault(key.span().start, &format!("unknown key {other:?}; apps are [[app]] tables"));
            }
        }
    }
    parser.faults.sort_by_key(|fault| fault.line);
    if parser.faults.is_empty() { Ok(found) } else { Err(parser.faults) }
}

struct Parser<'a> {
    text: &'a str,
    base: &'a Path,
    faults: Vec<Fault>,
    /// The line of each path that was seen.
    first: BTreeMap<AppPath, usize>,
}

/// A value with its place.
type Item<'a> = Spanned<DeValue<'a>>;

impl Parser<'_> {
    fn fault(&mut self, at: usize, what: &str) {
        self.faults.push(Fault { line: line_of(self.text, at), what: what.to_owned() });
    }

    fn entry(&mut self, value: &Item<'_>) -> Option<Entry> {
        let DeValue::Table(table) = value.get_ref() else {
            self.fault(value.span().start, "app must be a table: [[app]]");
            return None;
        };
        let (mut path, mut enabled) = (None, None);
        let mut app = App::unnamed();
        for (key, value) in table {
            let name = key.get_ref().as_ref();
            match (name, Setting::of_key(name)) {
                ("path", _) => path = self.path(value),
                ("enabled", _) => enabled = self.boolean(name, value),
                (_, Some(setting)) => self.setting(setting, value, &mut app),
                (_, None) => self.fault(key.span().start, &format!("unknown key {name:?}")),
            }
        }
        let Some(path) = path else {
            if !table.keys().any(|key| key.get_ref() == "path") {
                self.fault(value.span().start, "an app has no path");
            }
            return None;
        };
        if let Err(error) = super::program::settle(&mut app.program, self.base) {
            self.fault(value.span().start, &error.to_string());
        }
        if let Err(error) = app.schedule.check() {
            let at = table.iter().find(|(key, _)| key.get_ref() == ALWAYS.key);
            self.fault(at.map_or(value.span().start, |(_, item)| item.span().start), &error.to_string());
        }
        app = App { id: AppId::of(&path), path, disabled: enabled != Some(true), ..app };
        Some(Entry { app, enabled })
    }

    fn setting(&mut self, setting: &Setting, item: &Item<'_>, app: &mut App) {
        let value = match (setting.kind, item.get_ref()) {
            (Kind::Variables, DeValue::Table(table)) => self.variables(setting, table),
            (_, value) => value_of(value),
        };
        if let Err(error) = super::put(setting, app, value, self.base) {
            self.fault(item.span().start, &error.to_string());
        }
    }

    /// The variables of the app, and those that it does not inherit: `NAME = false`. Each is checked by itself, since each
    /// has a line of its own.
    fn variables<'a>(&mut self, setting: &Setting, table: &'a DeTable<'_>) -> Value<'a> {
        let (mut variables, mut scratch) = (BTreeMap::new(), App::unnamed());
        for (key, item) in table {
            let name = key.get_ref().as_ref();
            let text = match item.get_ref() {
                DeValue::String(text) => Some(Cow::Borrowed(text.as_ref())),
                DeValue::Boolean(false) => None,
                DeValue::Boolean(true)
                | DeValue::Integer(_)
                | DeValue::Float(_)
                | DeValue::Datetime(_)
                | DeValue::Array(_)
                | DeValue::Table(_) => {
                    let key_of = setting.key;
                    let what =
                        format!("{key_of}.{name} is no variable with a text, nor false, which unsets it");
                    self.fault(key.span().start, &what);
                    continue;
                }
            };
            let one = BTreeMap::from([(Cow::Borrowed(name), text.clone())]);
            match setting.put(&mut scratch, Value::Variables(one)) {
                Ok(()) => drop(variables.insert(Cow::Borrowed(name), text)),
                Err(error) => self.fault(key.span().start, &error.to_string()),
            }
        }
        Value::Variables(variables)
    }

    fn limit(&mut self, value: &Item<'_>) -> Option<(Place, u32)> {
        let DeValue::Table(table) = value.get_ref() else {
            self.fault(value.span().start, "limit must be a table: [[limit]]");
            return None;
        };
        let (mut place, mut limit) = (None, None);
        for (key, value) in table {
            match key.get_ref().as_ref() {
                "place" => place = self.parsed::<Place>("place", value),
                "max_running" => limit = Some(self.whole("max_running", value)),
                name => self.fault(key.span().start, &format!("unknown key {name:?}")),
            }
        }
        if place.is_none() || limit.is_none() {
            self.fault(value.span().start, "a limit has a place (GROUP or GROUP/PARENT) and max_running");
        }
        place.zip(limit)
    }

    fn path(&mut self, value: &Item<'_>) -> Option<AppPath> {
        let path = self.parsed::<AppPath>("path", value)?;
        let line = line_of(self.text, value.span().start);
        match self.first.get(&path) {
            Some(first) => {
                let what = format!("{path} is in this file already, in line {first}");
                self.fault(value.span().start, &what);
                None
            }
            None => {
                self.first.insert(path.clone(), line);
                Some(path)
            }
        }
    }

    fn text(&mut self, name: &str, value: &Item<'_>) -> Option<String> {
        let text = value.get_ref().as_str().map(str::to_owned);
        if text.as_ref().is_none_or(|text| text.contains('\0')) {
            self.fault(value.span().start, &format!("{name} must be a text"));
        }
        text
    }

    fn parsed<T: std::str::FromStr>(&mut self, name: &str, value: &Item<'_>) -> Option<T>
    where
        T::Err: std::fmt::Display,
    {
        let text = self.text(name, value)?;
        text.parse().map_err(|error: T::Err| self.fault(value.span().start, &error.to_string())).ok()
    }

    fn boolean(&mut self, name: &str, value: &Item<'_>) -> Option<bool> {
        let found = value.get_ref().as_bool();
        if found.is_none() {
            self.fault(value.span().start, &format!("{name} must be true or false"));
        }
        found
    }

    fn whole(&mut self, name: &str, value: &Item<'_>) -> u32 {
        let number = value.get_ref().as_integer();
        let number = number.and_then(|number| u32::from_str_radix(number.as_str(), number.radix()).ok());
        number.unwrap_or_else(|| {
            self.fault(value.span().start, &format!("{name} must be a whole number from 0 to {}", u32::MAX));
            0
        })
    }
}

/// A value of the file as settings take it.
fn value_of<'a>(value: &'a DeValue<'_>) -> Value<'a> {
    let texts = |array: &DeArray<'_>| {
        array.iter().map(|item| item.get_ref().as_str().map(str::to_owned)).collect::<Option<Vec<_>>>()
    };
    match value {
        DeValue::String(text) => Value::from(text.as_ref()),
        DeValue::Boolean(flag) => Value::Flag(*flag),
        DeValue::Integer(number) => {
            i64::from_str_radix(number.as_str(), number.radix()).map_or(Value::Other, Value::Whole)
        }
        DeValue::Float(number) => number.as_str().parse().map_or(Value::Other, Value::Number),
        DeValue::Array(array) => texts(array).map_or(Value::Other, |texts| Value::List(texts.into())),
        DeValue::Datetime(_) | DeValue::Table(_) => Value::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::CatchUp;

    #[test]
    fn every_fault_is_named_with_its_line() {
        let text = "\
[[app]]
path = 'a/b/c'
interval = -1
colour = 'red'

[[app]]
path = 'a/../c'
command = 'not an array'
cron = '99 * * * *'

[[app]]
path = 'a/b/c'
time_zone = 'Mars/Base'
enabled = 'yes'
[app.env]
GOOD = 'x'
BAD = 3

[[app]]
interval = 5

[other]
";
        let faults = parse(text, Path::new("/srv")).unwrap_err();
        let lines: Vec<_> = faults.iter().map(|fault| fault.line).collect();
        assert_eq!(lines, [3, 4, 7, 8, 9, 12, 13, 14, 17, 19, 22], "{faults:?}");
        assert!(faults[5].what.contains("line 2"));
        assert_eq!(parse("[[app]\n", Path::new("/srv")).unwrap_err()[0].line, 1);
    }

    #[test]
    fn a_whole_definition() {
        let text = "\
[[app]]
path = 'croatia/fina/companies'
command = ['python3', '-m', 'x y']
cron = '0 6 * * *'
time_zone = 'Europe/Zagreb'
cwd = 'apps/./x'
retry_interval = 0.5
enabled = true
catch_up = 'all'
stop_grace = 30
max_runtime = 90
[app.env]
LANG = 'C'
";
        let entries = parse(text, Path::new("/srv")).unwrap();
        let app = &entries.apps[0].app;
        assert_eq!(app.path.to_string(), "croatia/fina/companies");
        assert_eq!(app.program.command.as_ref().unwrap()[2], "x y");
        assert_eq!(app.schedule.retry_interval.unwrap().to_string(), "0.5");
        assert_eq!(app.policy.catch_up, CatchUp::All);
        assert_eq!(app.policy.max_runtime.unwrap().as_secs(), 5400);
        assert_eq!(app.program.cwd.as_deref(), Some("/srv/apps/x"));
        assert!(!app.disabled);
    }
}
