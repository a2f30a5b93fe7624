//! `dcm config`: whether the settings are right, and which values are in force. It needs no valid settings itself.

use serde_json::{Value, json};

use super::args::{ConfigCommand, Global};
use super::error::Error;
use super::session::flags_of;
use super::{format, output};
use crate::config::console::ConsoleFile;
use crate::config::{
    ConfigError, Effective, Flags, Origin, Settings, effective, env, exposed_secrets, reference, setting_of,
    used_file,
};

pub(super) fn config(global: Global, command: &ConfigCommand) -> Result<(), Error> {
    let is_json = global.json;
    let flags = flags_of(global)?;
    match command {
        ConfigCommand::Check => check(flags, is_json),
        ConfigCommand::Show { key } => show(&flags, key.as_deref(), is_json),
    }
}

/// What is wrong with the settings, without being in the way of dcm.
pub(super) struct Warning {
    /// A stable name for its kind.
    pub(super) name: &'static str,
    /// What it is, with file and line where it has one.
    pub(super) message: String,
}

/// What was found in the settings.
pub(super) struct Checked {
    /// The settings, as far as they can be understood.
    pub(super) settings: Result<Settings, ConfigError>,
    /// All that dcm refuses.
    pub(super) faults: Vec<ConfigError>,
    pub(super) warnings: Vec<Warning>,
    /// The configuration file, if there is one.
    pub(super) file: Option<std::path::PathBuf>,
}

/// Looks at the settings of this call.
pub(super) fn checked(flags: &Flags) -> Checked {
    let mut warnings = Vec::new();
    let mut warn = |name, message| warnings.push(Warning { name, message });
    let (settings, mut faults) = Settings::examine(flags.clone(), env::get, &mut |message| {
        warn("unknown_setting", with_proposal(message));
    });
    if let Err(error) = &settings {
        faults.push(error.clone());
    }
    let file = used_file(flags, &env::get).ok().flatten();
    if let Ok(settings) = &settings {
        let missing = [settings.notify.as_ref().err(), settings.rabbitmq.as_ref().err()];
        for error in missing.into_iter().flatten().filter(|error| !faults.contains(error)) {
            warn("missing_secret", error.to_string());
        }
    }
    for (key, path) in file.iter().flat_map(|file| exposed_secrets(file)) {
        warn(
            "exposed_secret",
            format!(
                "{}: everybody on this host can read it, and it holds {key}; chmod 640 it",
                path.display()
            ),
        );
    }
    ConsoleFile::of_user(&mut |message| warn("console_file", message));
    Checked { settings, faults, warnings, file }
}

/// Adds the setting that comes near.
fn with_proposal(message: String) -> String {
    let proposal = message.rsplit_once("unknown setting ").and_then(|(_, key)| nearest(key));
    match proposal {
        Some(known) => format!("{message}; did you mean {known}?"),
        None => message,
    }
}

fn nearest(key: &str) -> Option<String> {
    let sections = reference();
    let keys = sections.into_iter().flat_map(|section| section.settings).map(|setting| setting.key);
    let key = match key.split('.').collect::<Vec<_>>().as_slice() {
        ["notify", _, field] => format!("notify.NAME.{field}"),
        _ => key.to_owned(),
    };
    let of_key = |known: String| (distance(&key, &known), known);
    keys.map(of_key).min().filter(|(far, _)| *far <= 2).map(|(_, known)| known)
}

/// How many letters must be added, left out or changed.
fn distance(from: &str, to: &str) -> usize {
    let mut row: Vec<usize> = (0..=to.chars().count()).collect();
    for (line, letter) in from.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], line + 1);
        for (column, other) in to.chars().enumerate() {
            let changed = diagonal + usize::from(letter != other);
            diagonal = row[column + 1];
            row[column + 1] = changed.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row.last().copied().unwrap_or_default()
}

fn check(flags: Flags, is_json: bool) -> Result<(), Error> {
    let Checked { settings: _, faults, warnings, file } = checked(&flags);
    if is_json {
        let fault = |error: &ConfigError| {
            let place = error.line();
            json!({
                "file": place.map(|(file, _)| file),
                "line": place.map(|(_, line)| line),
                "message": error.to_string(),
            })
        };
        let warning = |warning: &Warning| json!({ "name": warning.name, "message": warning.message });
        output::json(&json!({
            "ok": faults.is_empty(),
            "file": file.as_ref().map(|file| file.display().to_string()),
            "faults": faults.iter().map(fault).collect::<Vec<_>>(),
            "warnings": warnings.iter().map(warning).collect::<Vec<_>>(),
        }));
    } else {
        output::lines(faults.iter().map(|fault| format!("error: {fault}")));
        output::lines(
            warnings.iter().map(|warning| format!("warning: {} ({})", warning.message, warning.name)),
        );
    }
    let what = file.map_or_else(
        || "the settings (there is no configuration file)".to_owned(),
        |file| file.display().to_string(),
    );
    match faults.len() {
        0 if is_json => Ok(()),
        0 => {
            let warned = match warnings.len() {
                0 => String::new(),
                count => format!(", with {}", format::counted(count, "warning")),
            };
            output::line(format_args!("{what}: ok{warned}"));
            Ok(())
        }
        count => Err(Error::usage(format!("{what}: {}", format::counted(count, "fault")))
            .hint("a manager does not start with these settings")),
    }
}

fn show(flags: &Flags, key: Option<&str>, is_json: bool) -> Result<(), Error> {
    let settings = Settings::load(flags.clone(), env::get, &mut |warning| output::message(warning))
        .map_err(|error| Error::from(error).hint("dcm config check lists every fault"))?;
    let mut shown = effective(flags, &env::get, &settings)?;
    if let Some(key) = key {
        let table = format!("{key}.");
        shown.retain(|one| one.key == key || one.key.starts_with(&table));
        if shown.is_empty() && setting_of(&reference(), key).is_none() {
            let error = Error::usage(format!("there is no setting {key}"));
            return Err(match nearest(key) {
                Some(known) => error.hint(format!("did you mean {known}?")),
                None => error.hint("dcm config show lists all"),
            });
        }
    }
    if is_json {
        output::json_rows(shown.iter().map(in_json));
        return Ok(());
    }
    let rows: Vec<_> =
        shown.iter().map(|one| vec![one.key.clone(), text_of(&one.value), one.origin.to_string()]).collect();
    output::table(&["KEY", "VALUE", "FROM"], &rows);
    let alone = shown.first().filter(|_| shown.len() == 1).and_then(|one| one.setting.as_ref());
    if let Some(setting) = alone {
        output::line("");
        output::line(&setting.doc);
    }
    Ok(())
}

fn text_of(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    }
}

fn in_json(one: &Effective) -> Value {
    let (from, name, file, line) = match &one.origin {
        Origin::Flag(name) => ("flag", Some(*name), None, None),
        Origin::Variable(name) => ("variable", Some(*name), None, None),
        Origin::File(path, line) => ("file", None, Some(path.display().to_string()), Some(*line)),
        Origin::Default => ("default", None, None, None),
    };
    let setting = one.setting.as_ref();
    json!({
        "key": one.key,
        "value": one.value,
        "from": from,
        "name": name,
        "file": file,
        "line": line,
        "secret": setting.is_some_and(|setting| setting.is_secret),
        "description": setting.map(|setting| &setting.doc),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_that_comes_near_is_proposed() {
        for (key, expected) in [
            ("limits.runing", Some("limits.running")),
            ("lesae", Some("lease")),
            ("notify.phone.tokne", Some("notify.NAME.token")),
            ("colour", None),
        ] {
            assert_eq!(nearest(key).as_deref(), expected, "{key}");
        }
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("abc", "abc"), 0);
    }
}
