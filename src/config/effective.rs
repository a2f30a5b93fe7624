//! The values that are in force, and where each comes from. Secrets are masked here, so that none gets further.

use std::fmt;
use std::path::{Path, PathBuf};

use serde_json::Value;
use toml::de::{DeTable, DeValue};

use super::reference::{Setting, reference, setting_of};
use super::values::split_variable;
use super::{ConfigError, Flags, Settings, config_file, file, line_of};

/// What stands in the place of a secret.
const MASK: &str = "***";

/// The value of a setting that is in force.
#[derive(Debug, Clone, PartialEq)]
pub struct Effective {
    /// `limits.running`, `notify.phone.token`.
    pub key: String,
    /// The value; null where there is none. That of a secret is `***`, or the variables that it is made of.
    pub value: Value,
    /// Where it comes from.
    pub origin: Origin,
    /// The setting, where it is one that dcm knows.
    pub setting: Option<Setting>,
}

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A flag of this call.
    Flag(&'static str),
    /// A variable of the environment.
    Variable(&'static str),
    /// A line of the configuration file.
    File(PathBuf, usize),
    /// The default, or what the program found on this host.
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(name) | Self::Variable(name) => f.write_str(name),
            Self::File(path, line) => write!(f, "{}:{line}", path.display()),
            Self::Default => f.write_str("default"),
        }
    }
}

/// Whether `postgres://USER:PASSWORD@HOST/...` has a password in it.
fn has_password(url: &str) -> bool {
    let user = url.split_once("://").and_then(|(_, rest)| rest.rsplit_once('@'));
    user.is_some_and(|(user, _)| user.contains(':')) || url.contains("password=")
}

/// All settings with the values that are in force, in the order of `defaults.toml`; then what else stands in the file.
///
/// # Errors
/// [`ConfigError`] when the file cannot be read.
pub fn effective(
    flags: &Flags,
    get: &impl Fn(&str) -> Option<String>,
    settings: &Settings,
) -> Result<Vec<Effective>, ConfigError> {
    let config = config_file(flags, get)?;
    let mut written = match &config {
        Some(path) => lines_of(&file::text_of(path)?),
        None => Vec::new(),
    };
    let sections = reference();
    let mut found = Vec::new();
    let origin = |line: usize| match &config {
        Some(path) => Origin::File(path.clone(), line),
        None => Origin::Default,
    };
    for setting in sections.iter().flat_map(|section| &section.settings) {
        if setting.key.starts_with("notify.NAME.") {
            continue;
        }
        let at = written.iter().position(|(key, _, _)| *key == setting.key);
        let of_file = at.map(|at| written.remove(at));
        let before = before_file(setting, flags, get);
        let (value, origin) = match (before, of_file) {
            (Some(origin), _) => (Value::Null, origin),
            (None, Some((_, value, line))) => (masked(setting, value), origin(line)),
            (None, None) => (default_of(setting), Origin::Default),
        };
        let value = resolved(setting, settings, get).unwrap_or(value);
        found.push(Effective { key: setting.key.clone(), value, origin, setting: Some(setting.clone()) });
    }
    found.extend(written.into_iter().map(|(key, value, line)| {
        let setting = setting_of(&sections, &key);
        // What is not known may be a secret that is misspelt.
        let value = setting.as_ref().map_or_else(|| MASK.into(), |setting| masked(setting, value));
        Effective { key, value, origin: origin(line), setting }
    }));
    Ok(found)
}

/// The flag or variable that comes before the file.
fn before_file(setting: &Setting, flags: &Flags, get: &impl Fn(&str) -> Option<String>) -> Option<Origin> {
    let is_flag = match setting.key.as_str() {
        "database" => flags.database.is_some(),
        "state_dir" => flags.state_dir.is_some(),
        "name" => flags.name.is_some(),
        "stop_apps_on_exit" => flags.stop_apps_on_exit.is_some(),
        _ => false,
    };
    let of_flag = setting.flag.filter(|_| is_flag).map(Origin::Flag);
    // The parts of a server count where there is its host.
    let of_parts = setting.key == "database";
    let mut variables = setting.variables.iter().take(if of_parts { 2 } else { usize::MAX });
    of_flag.or_else(|| variables.find(|name| get(name).is_some()).map(|name| Origin::Variable(name)))
}

/// What the program makes of a setting: of an address without its password, of a path or a name as it is used.
fn resolved(setting: &Setting, settings: &Settings, get: &impl Fn(&str) -> Option<String>) -> Option<Value> {
    Some(match setting.key.as_str() {
        "database" => settings.database.to_string().into(),
        "state_dir" => settings.state.path().display().to_string().into(),
        "name" => settings.name.clone().into(),
        "python" => settings.python.clone().into(),
        "log.level" => settings.log_level.clone().into(),
        "stop_apps_on_exit" => settings.stop_apps.is_some().into(),
        "stop_apps_within" => settings.stop_apps?.within?.as_secs_f64().into(),
        "rabbitmq.url" => match &settings.rabbitmq {
            Ok(Some(broker)) => broker.url.to_string().into(),
            Ok(None) => return None,
            Err(_) => [super::env::RABBITMQ_URL, super::env::RABBITMQ_URL_FILE]
                .into_iter()
                .find_map(get)
                .map(|_| MASK)?
                .into(),
        },
        _ => return None,
    })
}

fn default_of(setting: &Setting) -> Value {
    let Some(text) = &setting.default else { return Value::Null };
    let line = format!("value = {text}");
    lines_of(&line).pop().map_or(Value::Null, |(_, value, _)| value)
}

/// A secret is shown only as far as it is made of variables of the environment, which are none themselves.
fn masked(setting: &Setting, value: Value) -> Value {
    if !setting.is_secret {
        return value;
    }
    let Value::String(text) = &value else { return MASK.into() };
    let mut rest = text.as_str();
    while let Some(("", _, after)) = split_variable(rest) {
        rest = after;
    }
    if rest.is_empty() { value } else { MASK.into() }
}

/// The keys of a file with their values and lines. There are none where the file is no TOML.
fn lines_of(text: &str) -> Vec<(String, Value, usize)> {
    let mut found = Vec::new();
    if let Ok(table) = DeTable::parse(text) {
        collect("", table.get_ref(), text, &mut found);
    }
    found.sort_by_key(|(_, _, line)| *line);
    found
}

fn collect(prefix: &str, table: &DeTable<'_>, text: &str, found: &mut Vec<(String, Value, usize)>) {
    for (key, value) in table {
        let name = format!("{prefix}{}", key.get_ref());
        match value.get_ref() {
            DeValue::Table(inner) => collect(&format!("{name}."), inner, text, found),
            DeValue::String(_)
            | DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_)
            | DeValue::Array(_) => {
                found.push((name, in_json(value.get_ref()), line_of(text, key.span().start)));
            }
        }
    }
}

fn in_json(value: &DeValue<'_>) -> Value {
    match value {
        DeValue::String(text) => text.as_ref().into(),
        DeValue::Boolean(flag) => (*flag).into(),
        DeValue::Integer(number) => {
            i64::from_str_radix(number.as_str(), number.radix()).map_or(Value::Null, Value::from)
        }
        DeValue::Float(number) => number.as_str().parse::<f64>().map_or(Value::Null, Value::from),
        DeValue::Datetime(time) => time.to_string().into(),
        DeValue::Array(values) => values.iter().map(|value| in_json(value.get_ref())).collect(),
        DeValue::Table(table) => {
            table.iter().map(|(key, value)| (key.get_ref().to_string(), in_json(value.get_ref()))).collect()
        }
    }
}

/// The file that is read, if there is one.
///
/// # Errors
/// [`ConfigError`] when its name cannot be understood.
pub fn used_file(
    flags: &Flags,
    get: &impl Fn(&str) -> Option<String>,
) -> Result<Option<PathBuf>, ConfigError> {
    config_file(flags, get)
}

/// Files with secrets that everybody on this host can read, each with the key that says so: the file itself where a secret
/// is written in it, and those that a `..._file` names.
#[must_use]
pub fn exposed_secrets(config: &Path) -> Vec<(String, PathBuf)> {
    let sections = reference();
    let folder = config.parent().unwrap_or(Path::new("."));
    let written = file::text_of(config).map(|text| lines_of(&text)).unwrap_or_default();
    let mut found: Vec<(String, PathBuf)> = Vec::new();
    for (key, value, _) in written {
        let (Some(setting), Some(text)) = (setting_of(&sections, &key), value.as_str()) else { continue };
        let is_written = setting.is_secret && masked(&setting, value.clone()) == MASK
            || key == "database" && has_password(text);
        let path = if is_written {
            Some(config.to_owned())
        } else if setting.key != key && key.ends_with("_file") {
            super::paths::expand(Path::new(text), &key, Some(folder), super::env::home).ok()
        } else {
            None
        };
        found.extend(path.filter(|path| crate::files::is_for_all(path)).map(|path| (key, path)));
    }
    found
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::config::env;

    fn check(text: &str, flags: Flags, variables: &[(&str, &str)]) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("dcm.toml");
        std::fs::write(&config, text).unwrap();
        let variables: BTreeMap<_, _> = variables.iter().copied().collect();
        let get = |name: &str| variables.get(name).map(|value| (*value).to_owned());
        let state_dir = flags.state_dir.clone().or(Some("/state".into()));
        let flags = Flags { config: Some(config), state_dir, ..flags };
        let settings = Settings::load(flags.clone(), get, &mut |_| {}).unwrap();
        let shown = effective(&flags, &get, &settings).unwrap();
        let folder = format!("{}/", folder.path().display());
        shown
            .iter()
            .map(|one| format!("{} = {} ({})", one.key, one.value, one.origin).replace(&folder, ""))
            .collect()
    }

    #[test]
    fn each_value_says_where_it_comes_from() {
        let text = "name = 'zg'\nlease = 20\n\n[limits]\nrunning = 3\n[log]\nlevel = 'warn'\n";
        let flags = Flags { name: Some("st".to_owned()), ..Flags::default() };
        let shown = check(text, flags, &[(env::LOG, "debug"), (env::DATABASE_URL, "sqlite:/x.db")]);
        for expected in [
            "database = \"sqlite:/x.db\" (DC_DATABASE_URL)",
            "state_dir = \"/state\" (--state-dir)",
            "name = \"st\" (--name)",
            "python = \"python3\" (default)",
            "pools = null (default)",
            "lease = 20 (dcm.toml:2)",
            "limits.running = 3 (dcm.toml:5)",
            "limits.sample_seconds = 10 (default)",
            "log.level = \"debug\" (DC_LOG)",
            "logs.max_total = \"20GiB\" (default)",
            "console.read_only = false (default)",
            "rabbitmq.url = null (default)",
        ] {
            assert!(shown.iter().any(|line| line == expected), "{expected}: {shown:#?}");
        }
    }

    #[test]
    fn secrets_are_never_shown() {
        let text = "database = 'postgres://ana:hunter2@h/d'\n\
             [rabbitmq]\nurl = 'amqp://dcm:hunter2@mq/x'\n\
             [notify]\nping_url = 'https://hc/hunter2'\n\
             [notify.a]\nkind = 'slack'\nurl = 'https://hooks.slack.com/hunter2'\ntokne = 'hunter2'\n\
             [notify.b]\nkind = 'slack'\nurl = '${SLACK}'\n\
             [notify.c]\nkind = 'email'\nserver = 's'\nfrom = 'a@b.c'\nto = ['a@b.c']\nuser = 'ana'\npassword = '${P}hunter2'\n";
        let variables = [("SLACK", "https://hooks.slack.com/hunter2"), ("P", "x")];
        let shown = check(text, Flags::default(), &variables);
        assert!(!shown.join("\n").contains("hunter2"), "{shown:#?}");
        for expected in [
            "database = \"postgres://h/d\" (dcm.toml:1)",
            "rabbitmq.url = \"amqp://mq:5672/x\" (dcm.toml:3)",
            "notify.ping_url = \"***\" (dcm.toml:5)",
            "notify.a.url = \"***\" (dcm.toml:8)",
            "notify.a.tokne = \"***\" (dcm.toml:9)",
            "notify.b.url = \"${SLACK}\" (dcm.toml:12)",
            "notify.c.user = \"ana\" (dcm.toml:18)",
            "notify.c.password = \"***\" (dcm.toml:19)",
        ] {
            assert!(shown.iter().any(|line| line == expected), "{expected}: {shown:#?}");
        }
    }
}
