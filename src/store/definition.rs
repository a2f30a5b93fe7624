//! An app's definition in a row, shared by the databases: its settings, its names, and the faults of both.

use std::collections::BTreeMap;

use crate::model::{App, AppId, AppPath, BadReport, Fault, InvalidSetting, Kind, Part, Setting, Value};

/// The manager's writes of a row are counted from here on anew: a number beyond it was written by a hand,
/// and counting further would soon come to the end.
pub(super) const SEQUENCE_MAX: i64 = 1 << 62;

/// The count of the manager's writes that a row shows.
pub(super) fn known_sequence(stored: i64) -> u64 {
    u64::try_from(stored).ok().filter(|_| stored < SEQUENCE_MAX).unwrap_or(0)
}

/// Collects what of the reports in a row cannot be read.
#[derive(Debug, Default)]
pub(super) struct Remarks {
    messages: Vec<String>,
    times: Vec<&'static str>,
}

impl Remarks {
    /// A time was not understood. It is in two columns until it is dealt with.
    pub(super) fn not_a_time(&mut self, column: &'static str, text: &str) {
        if self.times.is_empty() {
            let shown: String = text.chars().take(60).collect();
            self.messages.push(format!(
                "next_run {shown:?} is not a time and is ignored; expected a form such as 2026-11-23T14:02:11Z",
            ));
        }
        self.times.push(column);
    }

    /// A counter, of which a negative one is taken for 0.
    pub(super) fn count(&mut self, column: &str, number: i64) -> u64 {
        u64::try_from(number).unwrap_or_else(|_| {
            self.messages.push(format!("{column} {number} is negative and is taken for 0"));
            0
        })
    }

    pub(super) fn of_row(self) -> Option<Box<BadReport>> {
        let Self { messages, times } = self;
        (!messages.is_empty()).then(|| Box::new(BadReport { message: messages.join("; "), times }))
    }
}

/// Collects what is wrong, so that a row names all its faults at once.
#[derive(Debug, Default)]
pub(super) struct Faults(Vec<(&'static str, String)>);

impl Faults {
    pub(super) fn add(&mut self, column: &'static str, fault: impl ToString) {
        self.0.push((column, fault.to_string()));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The path of a row by its names; null counts as an empty one. `key` names the row when its names do not.
    pub(super) fn path(&mut self, names: [Value<'_>; 3], key: AppId) -> AppPath {
        let mut part = |column, name: Value<'_>| {
            let text = match &name {
                Value::Text(text) => text,
                Value::Null => "",
                Value::Flag(_)
                | Value::Whole(_)
                | Value::Number(_)
                | Value::List(_)
                | Value::Variables(_)
                | Value::Other => {
                    self.add(column, format!("{column} is not a text in UTF-8"));
                    return None;
                }
            };
            Part::new(text).map_err(|error| self.add(column, error)).ok()
        };
        let [group, parent, name] = names;
        match (part("app_group", group), part("app_parent", parent), part("app_name", name)) {
            (Some(group), Some(parent), Some(name)) => AppPath { group, parent, name },
            (group, parent, _) => AppPath::of_key(key, group, parent),
        }
    }

    /// Gives an app what its row says. A faulty column, and one that is null, leaves the default.
    pub(super) fn setting(&mut self, app: &mut App, setting: &'static Setting, stored: Value<'_>) {
        if stored == Value::Null {
            return;
        }
        if let Err(fault) = of_stored(setting, stored).and_then(|value| setting.put(app, value)) {
            self.add(setting.column, fault);
        }
    }

    /// Settings that exclude each other.
    pub(super) fn schedule(&mut self, app: &App) {
        if let Err(fault) = app.schedule.check() {
            self.add("always", fault);
        }
    }

    /// All faults of a row with these names; `None` where there is none.
    pub(super) fn of_row(self, names: [String; 3]) -> Option<Box<Fault>> {
        let columns: Vec<_> = self.0.iter().map(|(column, _)| *column).collect();
        let messages: Vec<_> = self.0.into_iter().map(|(_, message)| message).collect();
        let message = messages.join("; ");
        (!columns.is_empty()).then(|| Box::new(Fault { names, columns, message }))
    }
}

/// The text that databases hold of a list and of variables; null where there are none.
pub(super) fn json(value: Value<'_>) -> Option<String> {
    match value {
        Value::List(list) if !list.is_empty() => serde_json::to_string(&list).ok(),
        Value::Variables(variables) if !variables.is_empty() => serde_json::to_string(&variables).ok(),
        Value::List(_)
        | Value::Variables(_)
        | Value::Null
        | Value::Flag(_)
        | Value::Whole(_)
        | Value::Number(_)
        | Value::Text(_)
        | Value::Other => None,
    }
}

/// Takes a list and variables out of the text that the database holds.
fn of_stored<'a>(setting: &Setting, stored: Value<'a>) -> Result<Value<'a>, InvalidSetting> {
    let Value::Text(text) = &stored else { return Ok(stored) };
    let column = setting.column;
    match setting.kind {
        Kind::List => {
            serde_json::from_str(text).map(|list: Vec<String>| Value::List(list.into())).map_err(|error| {
                InvalidSetting::new(format!(
                    "{column} is no JSON array of strings ({error}), for example [\"a\", \"b\"]"
                ))
            })
        }
        Kind::Variables => serde_json::from_str::<BTreeMap<String, Option<String>>>(text)
            .map(|variables| {
                Value::Variables(
                    variables.into_iter().map(|(name, value)| (name.into(), value.map(Into::into))).collect(),
                )
            })
            .map_err(|error| InvalidSetting::new(format!("{column} is no JSON object of strings ({error})"))),
        Kind::Flag | Kind::Whole | Kind::Number | Kind::Text | Kind::Word(_) | Kind::Directory => Ok(stored),
    }
}
