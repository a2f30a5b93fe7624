//! The settings with their meaning, read from the commented `defaults.toml`: the one list of them, for `dcm config`, for
//! completions and for the documentation.

use super::values::SECRETS;
use super::{DEFAULTS, env};

/// What `NAME` stands for in the key of a setting: the operator chooses it.
const NAMED: &str = "NAME";

/// A table of the file, and the settings in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Section {
    /// `limits`, `notify.NAME`; empty for what stands before the first table.
    pub name: String,
    /// What the table is for; empty where its settings say it all.
    pub doc: String,
    /// Its settings, in the order of the file.
    pub settings: Vec<Setting>,
}

/// One setting.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Setting {
    /// `limits.running`, or `notify.NAME.token`.
    pub key: String,
    /// `text`, `number`, `boolean` or `array`.
    pub kind: &'static str,
    /// The default as it is written in a file; `None` where the text of `doc` says what holds without the setting.
    pub default: Option<String>,
    /// A value as it could stand in a file, where there is no default.
    pub example: Option<String>,
    /// What it means, in sentences.
    pub doc: String,
    /// The flag that comes before the file, if there is one.
    pub flag: Option<&'static str>,
    /// The variables of the environment that come before the file, the strongest first.
    pub variables: &'static [&'static str],
    /// Whether its value is never shown.
    pub is_secret: bool,
}

/// All settings, in the order of `defaults.toml`.
#[must_use]
pub fn reference() -> Vec<Section> {
    let mut sections = vec![Section::default()];
    let mut current = 0;
    let mut doc = String::new();
    for line in DEFAULTS.lines() {
        let comment = line.strip_prefix("# ");
        let content = comment.unwrap_or(line).trim();
        if content.is_empty() {
            doc.clear();
        } else if let Some(name) = table_name(content) {
            let name = name.strip_prefix("notify.").map_or(name.to_owned(), |_| format!("notify.{NAMED}"));
            let found = sections.iter().position(|section| section.name == name);
            current = found.unwrap_or_else(|| {
                let doc = std::mem::take(&mut doc);
                sections.push(Section { name, doc, settings: Vec::new() });
                sections.len() - 1
            });
            doc.clear();
        } else if let Some((key, value)) = assignment(content) {
            let section = &mut sections[current];
            let key =
                if section.name.is_empty() { key.to_owned() } else { format!("{}.{key}", section.name) };
            let doc = std::mem::take(&mut doc);
            if section.settings.iter().all(|setting| setting.key != key) {
                section.settings.push(setting(key, value, comment.is_none(), doc));
            }
        } else if comment.is_some() {
            if !doc.is_empty() {
                doc.push(' ');
            }
            doc.push_str(content);
        }
    }
    sections
}

/// The setting that a key of a file belongs to: `notify.phone.token` to `notify.NAME.token`, and `..._file` to its secret.
#[must_use]
pub fn setting_of(sections: &[Section], key: &str) -> Option<Setting> {
    let general = match key.split('.').collect::<Vec<_>>().as_slice() {
        ["notify", _, field] => format!("notify.{NAMED}.{field}"),
        _ => key.to_owned(),
    };
    let find =
        |key: &str| sections.iter().flat_map(|section| &section.settings).find(|setting| setting.key == key);
    let of_file = || general.strip_suffix("_file").and_then(find).filter(|setting| setting.is_secret);
    let found = find(&general).cloned();
    // The path of a secret is none itself.
    found.or_else(|| of_file().map(|setting| Setting { is_secret: false, ..setting.clone() }))
}

fn setting(key: String, value: &str, is_in_force: bool, doc: String) -> Setting {
    let (flag, variables) = sources(&key);
    let field = key.rsplit('.').next().unwrap_or_default();
    Setting {
        kind: kind_of(value),
        default: is_in_force.then(|| value.to_owned()),
        example: (!is_in_force).then(|| value.to_owned()),
        is_secret: SECRETS.contains(&field),
        doc,
        flag,
        variables,
        key,
    }
}

/// What comes before the file.
fn sources(key: &str) -> (Option<&'static str>, &'static [&'static str]) {
    match key {
        "database" => (
            Some("--database"),
            &[
                env::DATABASE_URL,
                env::DB_MAIN_IP,
                env::DB_MAIN_PORT,
                env::DB_MAIN_DATABASENAME,
                env::DB_MAIN_USERNAME,
                env::DB_MAIN_PASSWORD,
                env::DB_MAIN_PASSWORD_FILE,
            ],
        ),
        "state_dir" => (Some("--state-dir"), &[env::STATE_DIR]),
        "name" => (Some("--name"), &[env::MANAGER_NAME]),
        "log.level" => (None, &[env::LOG]),
        "rabbitmq.url" => (None, &[env::RABBITMQ_URL, env::RABBITMQ_URL_FILE]),
        "stop_apps_on_exit" => (Some("--stop-apps-on-exit"), &[env::STOP_APPS_ON_EXIT]),
        "stop_apps_within" => (None, &[env::STOP_APPS_WITHIN]),
        _ => (None, &[]),
    }
}

fn table_name(line: &str) -> Option<&str> {
    line.strip_prefix('[')?.strip_suffix(']').filter(|name| is_key(name))
}

/// A line such as `key = "value"`. Sentences hold an equals sign at most.
fn assignment(line: &str) -> Option<(&str, &str)> {
    let (key, value) = line.split_once(" = ")?;
    let is_value = value.starts_with(['"', '[', '-'])
        || value.bytes().all(|byte| byte.is_ascii_digit())
        || matches!(value, "true" | "false");
    (is_key(key) && is_value).then_some((key, value))
}

fn is_key(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_lowercase() || matches!(byte, b'_' | b'.'))
}

fn kind_of(value: &str) -> &'static str {
    match value.as_bytes().first() {
        Some(b'"') => "text",
        Some(b'[') => "array",
        Some(b't' | b'f') => "boolean",
        Some(_) | None => "number",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_setting_has_a_meaning_and_stands_once() {
        let sections = reference();
        let mut keys: Vec<_> = sections
            .iter()
            .flat_map(|section| &section.settings)
            .map(|setting| setting.key.clone())
            .collect();
        for setting in sections.iter().flat_map(|section| &section.settings) {
            let is_kind = matches!(setting.key.as_str(), "notify.NAME.kind");
            assert!(is_kind || setting.doc.ends_with(['.', '?']), "{}: {:?}", setting.key, setting.doc);
            assert!(setting.default.is_some() != setting.example.is_some(), "{}", setting.key);
        }
        let all = keys.len();
        keys.sort();
        keys.dedup();
        assert_eq!(keys.len(), all);
        for key in
            ["database", "lease", "limits.running", "notify.ping_url", "notify.NAME.to", "rabbitmq.ca_file"]
        {
            assert!(keys.iter().any(|known| known == key), "{key}: {keys:?}");
        }
        let lines = DEFAULTS.lines().filter(|line| !line.starts_with('#') && line.contains('='));
        let defaults = sections.iter().flat_map(|section| &section.settings);
        assert_eq!(lines.count(), defaults.filter(|setting| setting.default.is_some()).count());
    }

    #[test]
    fn a_key_of_a_file_is_found() {
        let sections = reference();
        let found = |key: &str| setting_of(&sections, key).map(|setting| (setting.key, setting.is_secret));
        assert_eq!(found("limits.running"), Some(("limits.running".to_owned(), false)));
        assert_eq!(found("notify.phone.token"), Some(("notify.NAME.token".to_owned(), true)));
        assert_eq!(found("notify.phone.token_file"), Some(("notify.NAME.token".to_owned(), false)));
        assert_eq!(found("rabbitmq.url_file"), Some(("rabbitmq.url".to_owned(), false)));
        assert_eq!(found("lease_file"), None);
    }
}
