//! Values of tables that may hold secrets: texts with variables of the environment, secrets from files, words, numbers.
//!
//! A secret that is missing is no reason to refuse `dcm status`: operators read the same file, and the secrets may be
//! for the service alone. So what cannot be resolved is a [`Fault`] of its own, which fails what needs the secret.

use std::collections::BTreeSet;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{ConfigError, env, line_of, paths};
use crate::model::HttpUrl;
use crate::notify::Secret;

/// Keys whose value may be in a file that `KEY_file` names.
pub(super) const SECRETS: [&str; 5] = ["token", "url", "password", "secret", "ping_url"];

/// The largest file with a secret, in bytes. Tokens are short; certificates of a private root are some KiB.
const SECRET_MAX: u64 = 256 * 1024;

pub(super) type Value<'a> = Spanned<DeValue<'a>>;

/// The file that is read, and what its values may refer to.
pub(super) struct Source<'a> {
    pub(super) path: &'a Path,
    pub(super) text: &'a str,
    /// A variable of the environment.
    pub(super) get: &'a dyn Fn(&str) -> Option<String>,
}

/// Why the values of a table are not known.
pub(super) enum Fault {
    /// The file is wrong.
    Wrong(ConfigError),
    /// A secret that it refers to is not there.
    Missing(ConfigError),
}

pub(super) struct Reader<'a, 'w> {
    pub(super) source: &'a Source<'a>,
    pub(super) warn: &'w mut dyn FnMut(String),
}

/// A table with its name, for messages.
pub(super) struct Fields<'a> {
    /// `notify.ops`
    pub(super) name: String,
    /// Where it begins.
    pub(super) at: usize,
    pub(super) table: &'a DeTable<'a>,
}

/// The content of a file that holds a secret or certificates.
fn read_small(path: &Path) -> std::io::Result<String> {
    // A pipe would keep each command waiting that reads the settings.
    if !std::fs::metadata(path)?.is_file() {
        return Err(std::io::Error::other("it is no regular file"));
    }
    let mut content = String::new();
    std::fs::File::open(path)?.take(SECRET_MAX).read_to_string(&mut content).map(|_| content)
}

/// The end of a line is no part of a secret.
fn without_line_end(text: &str) -> &str {
    text.trim_end_matches(['\r', '\n', ' ', '\t'])
}

/// The secret of a variable, or of the file that another variable names.
///
/// # Errors
/// Both are set, or the file cannot be read or is empty.
pub(super) fn secret_of_environment(
    variable: &str,
    of_file: &str,
    get: &impl Fn(&str) -> Option<String>,
) -> Result<Option<Secret>, ConfigError> {
    let wrong = |why: String| ConfigError { origin: of_file.to_owned(), why };
    let path = match (get(variable), get(of_file)) {
        (Some(_), Some(_)) => return Err(wrong(format!("{variable} and {of_file} exclude each other"))),
        (secret, None) => return Ok(secret.map(Secret::new)),
        (None, Some(path)) => path,
    };
    let text = read_small(Path::new(&path)).map_err(|error| wrong(format!("cannot read {path}: {error}")))?;
    let text = without_line_end(&text);
    if text.is_empty() {
        return Err(wrong(format!("{path} is empty")));
    }
    Ok(Some(Secret::new(text)))
}

impl<'a> Fields<'a> {
    pub(super) fn get(&self, key: &str) -> Option<&'a Value<'a>> {
        self.table.iter().find(|(name, _)| name.get_ref() == key).map(|(_, value)| value)
    }
}

impl Reader<'_, '_> {
    pub(super) fn url(&self, fields: &Fields<'_>, key: &str) -> Result<Option<HttpUrl>, Fault> {
        let text = self.secret(fields, key)?;
        text.map(|text| self.parsed(fields, key, text.reveal())).transpose()
    }

    pub(super) fn required_secret(
        &self,
        fields: &Fields<'_>,
        key: &str,
        kind: &str,
    ) -> Result<Secret, Fault> {
        self.secret(fields, key)?.ok_or_else(|| self.lacks(fields, key, kind))
    }

    /// By itself or from a file.
    pub(super) fn secret(&self, fields: &Fields<'_>, key: &str) -> Result<Option<Secret>, Fault> {
        let of_file = format!("{key}_file");
        match (fields.get(key), fields.get(&of_file)) {
            (None, None) => Ok(None),
            (Some(value), None) => self.text(fields, key, value).map(|text| Some(Secret::new(text))),
            (None, Some(value)) => {
                let text = self.file(fields, &of_file, value)?;
                let text = without_line_end(&text);
                if text.is_empty() {
                    return Err(self.missing(value, format!("{}.{of_file}: the file is empty", fields.name)));
                }
                Ok(Some(Secret::new(text)))
            }
            (Some(value), Some(_)) => {
                let why = format!("{0}.{key} and {0}.{of_file} exclude each other", fields.name);
                Err(self.wrong(value, why))
            }
        }
    }

    /// What a file holds. A relative path is one of a credential of systemd if there is such a credential, else it starts
    /// at the folder of the configuration file.
    pub(super) fn file(&self, fields: &Fields<'_>, key: &str, value: &Value<'_>) -> Result<String, Fault> {
        let text = self.text(fields, key, value)?;
        let name = format!("{}.{key}", fields.name);
        let folder = self.source.path.parent();
        let home = || (self.source.get)(env::HOME).map(PathBuf::from).or_else(env::home);
        let path = paths::expand(Path::new(&text), &name, folder, home)
            .map_err(|error| self.wrong(value, error.to_string()))?;
        let credentials = (self.source.get)(env::CREDENTIALS_DIRECTORY).map(PathBuf::from);
        let credential = credentials.filter(|_| Path::new(&text).is_relative());
        let credential = credential.map(|folder| folder.join(&text)).filter(|path| path.exists());
        let path = credential.unwrap_or(path);
        read_small(&path)
            .map_err(|error| self.missing(value, format!("{name}: cannot read {}: {error}", path.display())))
    }

    /// Certificates that are trusted beside those of the system.
    pub(super) fn roots(&self, fields: &Fields<'_>) -> Result<Option<Vec<u8>>, Fault> {
        let Some(value) = fields.get("ca_file") else { return Ok(None) };
        let text = self.file(fields, "ca_file", value)?;
        if !crate::notify::is_certificates(text.as_bytes()) {
            return Err(self.missing(value, format!("{}.ca_file holds no certificate in PEM", fields.name)));
        }
        Ok(Some(text.into_bytes()))
    }

    /// A text, in which `${NAME}` stands for a variable of the environment.
    pub(super) fn text(&self, fields: &Fields<'_>, key: &str, value: &Value<'_>) -> Result<String, Fault> {
        let name = || format!("{}.{key}", fields.name);
        let Some(text) = value.get_ref().as_str().filter(|text| !text.is_empty()) else {
            return Err(self.wrong(value, format!("{} must be a text", name())));
        };
        let mut expanded = String::new();
        let mut rest = text;
        while let Some((before, variable, after)) = split_variable(rest) {
            let found = (self.source.get)(variable).ok_or_else(|| {
                self.missing(value, format!("{}: the environment variable {variable} is not set", name()))
            })?;
            expanded.push_str(before);
            expanded.push_str(&found);
            rest = after;
        }
        expanded.push_str(rest);
        Ok(expanded)
    }

    pub(super) fn text_or_number(
        &self,
        fields: &Fields<'_>,
        key: &str,
        value: &Value<'_>,
    ) -> Result<String, Fault> {
        match value.get_ref().as_integer().filter(|number| number.radix() == 10) {
            Some(number) => Ok(number.as_str().to_owned()),
            None => self.text(fields, key, value),
        }
    }

    pub(super) fn texts(
        &self,
        fields: &Fields<'_>,
        key: &str,
        value: &Value<'_>,
    ) -> Result<Vec<String>, Fault> {
        let wrong = || self.wrong(value, format!("{}.{key} must be an array of texts", fields.name));
        let array = value.get_ref().as_array().ok_or_else(wrong)?;
        array.iter().map(|value| self.text(fields, key, value)).collect()
    }

    pub(super) fn flag(&self, fields: &Fields<'_>, key: &str, value: &Value<'_>) -> Result<bool, Fault> {
        let wrong = || self.wrong(value, format!("{}.{key} must be true or false", fields.name));
        value.get_ref().as_bool().ok_or_else(wrong)
    }

    pub(super) fn number(
        &self,
        fields: &Fields<'_>,
        key: &str,
        range: std::ops::RangeInclusive<u32>,
    ) -> Result<Option<u32>, Fault> {
        let Some(value) = fields.get(key) else { return Ok(None) };
        let number = value.get_ref().as_integer();
        let number = number.and_then(|number| u32::from_str_radix(number.as_str(), number.radix()).ok());
        number.filter(|number| range.contains(number)).map(Some).ok_or_else(|| {
            let (min, max) = (range.start(), range.end());
            self.wrong(value, format!("{}.{key} must be a whole number of {min} to {max}", fields.name))
        })
    }

    /// What one of these words stands for.
    pub(super) fn word<T: Copy>(
        &self,
        fields: &Fields<'_>,
        key: &str,
        choices: &[(&str, T)],
    ) -> Result<Option<T>, Fault> {
        let Some(value) = fields.get(key) else { return Ok(None) };
        let text = value.get_ref().as_str();
        let found = choices.iter().find(|(word, _)| Some(*word) == text);
        found.map(|(_, what)| Some(*what)).ok_or_else(|| {
            let words: Vec<_> = choices.iter().map(|(word, _)| *word).collect();
            self.wrong(value, format!("{}.{key} must be {}", fields.name, words.join(" or ")))
        })
    }

    pub(super) fn optional<T>(
        &self,
        fields: &Fields<'_>,
        key: &str,
        read: impl Fn(&Self, &Fields<'_>, &str, &Value<'_>) -> Result<T, Fault>,
    ) -> Result<Option<T>, Fault> {
        fields.get(key).map(|value| read(self, fields, key, value)).transpose()
    }

    /// The message of a type's own parser, which must not repeat a secret.
    pub(super) fn parsed<T: std::str::FromStr<Err: std::fmt::Display>>(
        &self,
        fields: &Fields<'_>,
        key: &str,
        text: &str,
    ) -> Result<T, Fault> {
        text.parse().map_err(|error: T::Err| self.wrong_key(fields, key, &error.to_string()))
    }

    pub(super) fn lacks(&self, fields: &Fields<'_>, key: &str, kind: &str) -> Fault {
        let file = if SECRETS.contains(&key) { format!(" or {key}_file") } else { String::new() };
        self.wrong_at(fields.at, format!("{}: {kind} needs {key}{file}", fields.name))
    }

    pub(super) fn wrong_key(&self, fields: &Fields<'_>, key: &str, why: &str) -> Fault {
        let value = fields.get(key).or_else(|| fields.get(&format!("{key}_file")));
        let at = value.map_or(fields.at, |value| value.span().start);
        self.wrong_at(at, format!("{}.{key} {why}", fields.name))
    }

    pub(super) fn wrong(&self, value: &Value<'_>, why: String) -> Fault {
        self.wrong_at(value.span().start, why)
    }

    pub(super) fn wrong_at(&self, at: usize, why: String) -> Fault {
        Fault::Wrong(ConfigError { origin: self.place(at), why })
    }

    pub(super) fn missing(&self, value: &Value<'_>, why: String) -> Fault {
        Fault::Missing(ConfigError { origin: self.place(value.span().start), why })
    }

    pub(super) fn unknown(&mut self, at: usize, name: &str) {
        let place = self.place(at);
        (self.warn)(format!("{place}: unknown setting {name}"));
    }

    pub(super) fn place(&self, at: usize) -> String {
        format!("{}:{}", self.source.path.display(), line_of(self.source.text, at))
    }
}

/// Splits a text at its first `${NAME}`. What is not such a name stays as it stands.
pub(super) fn split_variable(text: &str) -> Option<(&str, &str, &str)> {
    let is_name = |name: &str| {
        name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
            && name.bytes().next().is_some_and(|byte| !byte.is_ascii_digit())
    };
    text.match_indices("${").find_map(|(at, _)| {
        let (name, after) = text[at + 2..].split_once('}')?;
        is_name(name).then_some((&text[..at], name, after))
    })
}

/// The variables of the environment that the texts of a table refer to.
pub(super) fn collect_variables(table: &DeTable<'_>, variables: &mut BTreeSet<String>) {
    let mut values: Vec<_> = table.iter().map(|(_, value)| value).collect();
    while let Some(value) = values.pop() {
        match value.get_ref() {
            DeValue::Table(inner) => values.extend(inner.iter().map(|(_, value)| value)),
            DeValue::Array(inner) => values.extend(inner.iter()),
            DeValue::String(text) => {
                let mut rest = text.as_ref();
                while let Some((_, variable, after)) = split_variable(rest) {
                    variables.insert(variable.to_owned());
                    rest = after;
                }
            }
            DeValue::Integer(_) | DeValue::Float(_) | DeValue::Boolean(_) | DeValue::Datetime(_) => {}
        }
    }
}
