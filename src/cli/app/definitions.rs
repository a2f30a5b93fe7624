//! The file of `dcm app import`: `[[app]]` and `[[limit]]` tables, read with the line of every fault.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::limit::Place;
use crate::config::line_of;
use crate::model::{
    App, AppId, AppPath, CatchUp, Cron, Failover, Minutes, OnFailures, Part, Policy, Program, Schedule,
};

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
type Value<'a> = Spanned<DeValue<'a>>;

impl Parser<'_> {
    fn fault(&mut self, at: usize, what: &str) {
        self.faults.push(Fault { line: line_of(self.text, at), what: what.to_owned() });
    }

    fn entry(&mut self, value: &Value<'_>) -> Option<Entry> {
        let DeValue::Table(table) = value.get_ref() else {
            self.fault(value.span().start, "app must be a table: [[app]]");
            return None;
        };
        let (mut path, mut enabled) = (None, None);
        let (mut program, mut schedule, mut policy) =
            (Program::default(), Schedule::default(), Policy::default());
        for (key, value) in table {
            let name = key.get_ref().as_ref();
            match name {
                "path" => path = self.path(value),
                "enabled" => enabled = self.boolean(name, value),
                "command" => program.command = self.command(value),
                "cwd" => program.cwd = self.cwd(value),
                "env" => (program.env, program.unset) = self.env(value),
                "pass_database" => program.pass_database = self.boolean(name, value).unwrap_or_default(),
                _ if self.schedule(name, value, &mut schedule) || self.policy(name, value, &mut policy) => {}
                _ => self.fault(key.span().start, &format!("unknown key {name:?}")),
            }
        }
        let Some(path) = path else {
            if !table.keys().any(|key| key.get_ref() == "path") {
                self.fault(value.span().start, "an app has no path");
            }
            return None;
        };
        if let Err(error) = super::program::settle(&mut program, self.base) {
            self.fault(value.span().start, &error.to_string());
        }
        let app = App {
            id: AppId::of(&path),
            path,
            program,
            schedule,
            policy,
            disabled: enabled != Some(true),
            origin: None,
        };
        Some(Entry { app, enabled })
    }

    fn limit(&mut self, value: &Value<'_>) -> Option<(Place, u32)> {
        let DeValue::Table(table) = value.get_ref() else {
            self.fault(value.span().start, "limit must be a table: [[limit]]");
            return None;
        };
        let (mut place, mut limit) = (None, None);
        for (key, value) in table {
            match key.get_ref().as_ref() {
                "place" => place = self.parsed::<Place>("place", value),
                "max_running" => limit = Some(self.whole("max_running", value, 0, u32::MAX.into())),
                name => self.fault(key.span().start, &format!("unknown key {name:?}")),
            }
        }
        if place.is_none() || limit.is_none() {
            self.fault(value.span().start, "a limit has a place (GROUP or GROUP/PARENT) and max_running");
        }
        place.zip(limit)
    }

    fn schedule(&mut self, name: &str, value: &Value<'_>, schedule: &mut Schedule) -> bool {
        match name {
            "interval" => schedule.interval = self.minutes(name, value),
            "retry_interval" => schedule.retry_interval = self.minutes(name, value),
            "cron" => schedule.cron = self.parsed::<Cron>(name, value),
            "time_zone" => {
                if let Some(text) = self.text(name, value) {
                    match text.parse() {
                        Ok(zone) => schedule.time_zone = zone,
                        Err(_) => self.fault(value.span().start, &format!("unknown time zone {text:?}")),
                    }
                }
            }
            "jitter" => schedule.jitter = self.seconds(name, value).unwrap_or_default(),
            _ => return false,
        }
        true
    }

    fn policy(&mut self, name: &str, value: &Value<'_>, policy: &mut Policy) -> bool {
        match name {
            "catch_up" => policy.catch_up = self.parsed::<CatchUp>(name, value).unwrap_or(policy.catch_up),
            "catch_up_limit" => policy.catch_up_limit = self.whole(name, value, 1, 1000),
            "max_failures" => policy.max_failures = self.whole(name, value, 0, 1_000_000),
            "on_failures" => {
                policy.on_failures = self.parsed::<OnFailures>(name, value).unwrap_or(policy.on_failures);
            }
            "stop_grace" => policy.stop_grace = self.seconds(name, value).unwrap_or(policy.stop_grace),
            "max_runtime" => policy.max_runtime = self.minutes(name, value).map(Minutes::duration),
            "log_limit" => policy.log_limit = self.whole(name, value, 4096, 1 << 40),
            "log_keep" => policy.log_keep = self.whole(name, value, 0, 1_000_000),
            "pool" => policy.pool = self.parsed::<Part>(name, value),
            "failover" => policy.failover = self.parsed::<Failover>(name, value).unwrap_or(policy.failover),
            "protected" => policy.protected = self.boolean(name, value).unwrap_or_default(),
            _ => return false,
        }
        true
    }

    fn path(&mut self, value: &Value<'_>) -> Option<AppPath> {
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

    fn command(&mut self, value: &Value<'_>) -> Option<Vec<String>> {
        let arguments = value.get_ref().as_array().and_then(|array| {
            array
                .iter()
                .map(|argument| argument.get_ref().as_str().map(str::to_owned))
                .collect::<Option<Vec<_>>>()
        });
        match arguments {
            Some(command) if command.first().is_some_and(|program| !program.is_empty()) => {
                if command.iter().any(|argument| argument.contains('\0')) {
                    self.fault(value.span().start, "command holds a NUL character");
                }
                Some(command)
            }
            Some(_) | None => {
                self.fault(
                    value.span().start,
                    "command must be an array of texts, for example [\"python3\", \"app.py\"]",
                );
                None
            }
        }
    }

    fn cwd(&mut self, value: &Value<'_>) -> Option<String> {
        let cwd = self.text("cwd", value).filter(|cwd| !cwd.is_empty())?;
        super::program::directory(&cwd, self.base)
            .map_err(|error| self.fault(value.span().start, &error.to_string()))
            .ok()
    }

    /// The variables of the app, and those that it does not inherit: `NAME = false`.
    fn env(&mut self, value: &Value<'_>) -> (BTreeMap<String, String>, BTreeSet<String>) {
        let (mut env, mut unset) = (BTreeMap::new(), BTreeSet::new());
        let Some(table) = value.get_ref().as_table() else {
            self.fault(value.span().start, "env must be a table of texts");
            return (env, unset);
        };
        for (key, value) in table {
            let name = key.get_ref().as_ref();
            let is_name = !name.is_empty() && !name.contains(['=', '\0']);
            if is_name && value.get_ref().as_bool() == Some(false) {
                unset.insert(name.to_owned());
                continue;
            }
            match value.get_ref().as_str() {
                Some(text) if is_name && !text.contains('\0') => {
                    env.insert(name.to_owned(), text.to_owned());
                }
                Some(_) | None => {
                    self.fault(
                        key.span().start,
                        &format!("env.{name} is no variable with a text, nor false, which unsets it"),
                    );
                }
            }
        }
        (env, unset)
    }

    fn text(&mut self, name: &str, value: &Value<'_>) -> Option<String> {
        let text = value.get_ref().as_str().map(str::to_owned);
        if text.as_ref().is_none_or(|text| text.contains('\0')) {
            self.fault(value.span().start, &format!("{name} must be a text"));
        }
        text
    }

    fn parsed<T: std::str::FromStr>(&mut self, name: &str, value: &Value<'_>) -> Option<T>
    where
        T::Err: std::fmt::Display,
    {
        let text = self.text(name, value)?;
        text.parse().map_err(|error: T::Err| self.fault(value.span().start, &error.to_string())).ok()
    }

    fn boolean(&mut self, name: &str, value: &Value<'_>) -> Option<bool> {
        let found = value.get_ref().as_bool();
        if found.is_none() {
            self.fault(value.span().start, &format!("{name} must be true or false"));
        }
        found
    }

    fn number(&mut self, name: &str, value: &Value<'_>) -> Option<f64> {
        let found = match value.get_ref() {
            DeValue::Integer(number) => {
                i64::from_str_radix(number.as_str(), number.radix()).ok().map(as_float)
            }
            DeValue::Float(number) => number.as_str().parse().ok(),
            DeValue::String(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_)
            | DeValue::Array(_)
            | DeValue::Table(_) => None,
        };
        if found.is_none() {
            self.fault(value.span().start, &format!("{name} must be a number"));
        }
        found
    }

    fn minutes(&mut self, name: &str, value: &Value<'_>) -> Option<Minutes> {
        let number = self.number(name, value)?;
        Minutes::new(number).map_err(|error| self.fault(value.span().start, &format!("{name}: {error}"))).ok()
    }

    fn seconds(&mut self, name: &str, value: &Value<'_>) -> Option<std::time::Duration> {
        let number = self.number(name, value)?;
        if !(0.0..=86_400.0).contains(&number) {
            self.fault(value.span().start, &format!("{name} must be 0 to 86400 seconds"));
            return None;
        }
        Some(std::time::Duration::from_secs_f64(number))
    }

    fn whole<T: TryFrom<i64> + Default>(&mut self, name: &str, value: &Value<'_>, min: i64, max: i64) -> T {
        let found = value
            .get_ref()
            .as_integer()
            .and_then(|number| i64::from_str_radix(number.as_str(), number.radix()).ok())
            .filter(|number| (min..=max).contains(number))
            .and_then(|number| T::try_from(number).ok());
        if found.is_none() {
            self.fault(value.span().start, &format!("{name} must be a whole number from {min} to {max}"));
        }
        found.unwrap_or_default()
    }
}

#[expect(clippy::cast_precision_loss, reason = "numbers of minutes and seconds are small")]
fn as_float(number: i64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::*;

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
