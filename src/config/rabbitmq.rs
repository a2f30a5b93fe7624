//! `[rabbitmq]` of the configuration file, and `DC_RABBITMQ_URL`: where commands come from and documents go to.

use std::collections::BTreeSet;

use toml::de::DeTable;

use super::values::{Fault, Fields, Reader, Source, collect_variables, secret_of_environment};
use super::{ConfigError, env};
use crate::broker::BrokerSettings;

/// The broker, if there is one, or which secret of it is missing.
type Settings = Result<Option<BrokerSettings>, ConfigError>;

/// What `[rabbitmq]` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rabbitmq {
    /// The broker's URL; `None` where there is none, or which secret of it is missing.
    url: Result<Option<crate::notify::Secret>, ConfigError>,
    /// Where the URL stands, for messages.
    origin: String,
    /// Certificates in PEM that are trusted beside those of the system.
    roots: Result<Option<Vec<u8>>, ConfigError>,
    /// The variables of the environment that hold secrets.
    pub(super) variables: BTreeSet<String>,
}

impl Default for Rabbitmq {
    fn default() -> Self {
        Self { url: Ok(None), origin: String::new(), roots: Ok(None), variables: BTreeSet::new() }
    }
}

/// Reads the table.
///
/// # Errors
/// [`ConfigError`] with file and line for what is wrong in the file itself. Keys that dcm does not know are warned of.
pub(super) fn read(
    source: &Source<'_>,
    table: &DeTable<'_>,
    at: usize,
    warn: &mut dyn FnMut(String),
) -> Result<Rabbitmq, ConfigError> {
    let mut variables = BTreeSet::new();
    collect_variables(table, &mut variables);
    let fields = Fields { name: "rabbitmq".to_owned(), at, table };
    let mut reader = Reader { source, warn };
    for (key, _) in table {
        let key_name = key.get_ref().as_ref();
        if !matches!(key_name, "url" | "url_file" | "ca_file") {
            reader.unknown(key.span().start, &format!("rabbitmq.{key_name}"));
        }
    }
    let key = if fields.get("url").is_some() { "url" } else { "url_file" };
    let line = fields.get(key).map_or(at, |value| value.span().start);
    Ok(Rabbitmq {
        origin: format!("{}: rabbitmq.{key}", reader.place(line)),
        url: or_missing(reader.secret(&fields, "url"))?,
        roots: or_missing(reader.roots(&fields))?,
        variables,
    })
}

/// What is missing is no fault of the file.
fn or_missing<T>(read: Result<T, Fault>) -> Result<Result<T, ConfigError>, ConfigError> {
    match read {
        Ok(value) => Ok(Ok(value)),
        Err(Fault::Missing(error)) => Ok(Err(error)),
        Err(Fault::Wrong(error)) => Err(error),
    }
}

impl Rabbitmq {
    /// The settings, with the variable of the environment before the file.
    ///
    /// # Errors
    /// The URL is wrong. A secret that is missing is an error in the value.
    pub(super) fn settings(self, get: &impl Fn(&str) -> Option<String>) -> Result<Settings, ConfigError> {
        let of_environment = match secret_of_environment(env::RABBITMQ_URL, env::RABBITMQ_URL_FILE, get) {
            Ok(url) => url,
            Err(missing) => return Ok(Err(missing)),
        };
        let (url, origin) = match of_environment {
            Some(url) => (url.reveal().to_owned(), env::RABBITMQ_URL.to_owned()),
            None => match self.url {
                Ok(Some(url)) => (url.reveal().to_owned(), self.origin),
                Ok(None) => return Ok(Ok(None)),
                Err(missing) => return Ok(Err(missing)),
            },
        };
        let url = url.trim().parse().map_err(|error| ConfigError { origin, why: format!("it {error}") })?;
        Ok(self.roots.map(|roots| Some(BrokerSettings { url, roots })))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;

    use super::*;

    fn check(text: &str, variables: &[(&str, &str)]) -> (Result<Settings, ConfigError>, Vec<String>) {
        let variables: BTreeMap<_, _> = variables.iter().copied().collect();
        let get = |name: &str| variables.get(name).map(|value| (*value).to_owned());
        let mut warnings = Vec::new();
        let table = DeTable::parse(text).unwrap();
        let source = Source { path: Path::new("/etc/dcm/dcm.toml"), text, get: &get };
        let found = table.get_ref().iter().find(|(key, _)| key.get_ref() == "rabbitmq");
        let rabbitmq = match found {
            None => Ok(Rabbitmq::default()),
            Some((key, value)) => {
                let table = value.get_ref().as_table().unwrap();
                read(&source, table, key.span().start, &mut |warning| warnings.push(warning))
            }
        };
        (rabbitmq.and_then(|rabbitmq| rabbitmq.settings(&get)), warnings)
    }

    fn place(text: &str, variables: &[(&str, &str)]) -> String {
        match check(text, variables).0 {
            Ok(Ok(Some(settings))) => settings.url.to_string(),
            Ok(Ok(None)) => "none".to_owned(),
            Ok(Err(missing)) => format!("missing: {missing}"),
            Err(wrong) => format!("wrong: {wrong}"),
        }
    }

    #[test]
    fn the_url_comes_from_the_environment_the_file_or_a_file_of_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let secret = folder.path().join("url");
        std::fs::write(&secret, "amqp://dcm:hunter2@secret/x\n").unwrap();
        let by_file = format!("[rabbitmq]\nurl_file = '{}'\n", secret.display());
        let variable = [("DC_RABBITMQ_URL", "amqp://dcm:hunter2@env/")];
        let file = "[rabbitmq]\nurl = 'amqp://dcm:${P}@file/'\n";
        for (text, variables, expected) in [
            ("", &[][..], "none"),
            ("[rabbitmq]\n", &[], "none"),
            ("", &variable, "amqp://env:5672/"),
            (file, &variable, "amqp://env:5672/"),
            (file, &[("DC_RABBITMQ_URL_FILE", secret.to_str().unwrap())], "amqp://secret:5672/x"),
            (
                file,
                &[("DC_RABBITMQ_URL_FILE", "/nowhere/url")],
                "missing: DC_RABBITMQ_URL_FILE: cannot read /nowhere/url: No such file or directory (os error 2)",
            ),
            (file, &[("P", "hunter2")], "amqp://file:5672/"),
            (&by_file, &[], "amqp://secret:5672/x"),
            (file, &[], "missing: /etc/dcm/dcm.toml:2: rabbitmq.url: the environment variable P is not set"),
            ("[rabbitmq]\nurl = 3\n", &[], "wrong: /etc/dcm/dcm.toml:2: rabbitmq.url must be a text"),
            (
                "\n[rabbitmq]\nurl = 'amqp://mq.example.com'\n",
                &[],
                "wrong: /etc/dcm/dcm.toml:3: rabbitmq.url: it has the account guest (or none) for another host: \
                 everybody knows its password; make a user of its own with rabbitmqctl add_user",
            ),
            (
                "",
                &[("DC_RABBITMQ_URL", "http://dcm:hunter2@h")],
                "wrong: DC_RABBITMQ_URL: it must begin with amqp:// or amqps://",
            ),
        ] {
            assert_eq!(place(text, variables), expected, "{text}");
        }
        let warnings = check("[rabbitmq]\nvhost = 'x'\n", &[]).1;
        assert_eq!(warnings, ["/etc/dcm/dcm.toml:2: unknown setting rabbitmq.vhost"]);
        assert!(!format!("{:?}", check(file, &[("P", "hunter2")]).0).contains("hunter2"));
    }

    #[test]
    fn a_root_that_is_missing_is_named() {
        let text = "[rabbitmq]\nurl = 'amqps://dcm:x@h/'\nca_file = '/nowhere/ca.pem'\n";
        let found = place(text, &[]);
        assert!(
            found.starts_with("missing: /etc/dcm/dcm.toml:3: rabbitmq.ca_file: cannot read /nowhere/ca.pem"),
            "{found}"
        );
    }
}
