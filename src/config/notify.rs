//! `[notify]` and `[notify.NAME]` of the configuration file: the channels, and where their secrets come from.

use std::collections::BTreeSet;

use toml::de::{DeTable, DeValue};

use super::ConfigError;
use super::values::{Fault, Fields, Reader, SECRETS, Source, collect_variables};
use crate::model::{Part, Selector, Severity, is_loopback};
use crate::notify::{Channel, ChannelKind, Email, NotifySettings, Quiet, SmtpTls, TeamsForm};

/// The most addresses of one e-mail channel: more is a mailing list.
const RECIPIENTS_MAX: usize = 50;

/// Keys of every channel.
const COMMON: [&str; 8] =
    ["kind", "groups", "severity", "quiet", "quiet_critical", "max_per_hour", "api", "ca_file"];

/// Keys of each kind of channel.
const KINDS: [(&str, &[&str]); 5] = [
    ("telegram", &["token", "chat_id"]),
    ("teams", &["url", "form"]),
    ("slack", &["url"]),
    ("email", &["server", "port", "tls", "user", "password", "from", "to"]),
    ("webhook", &["url", "secret"]),
];

/// What `[notify]` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Notify {
    /// The channels, or which secret of them is missing.
    pub(super) settings: Result<NotifySettings, ConfigError>,
    /// The variables of the environment that hold secrets.
    pub(super) variables: BTreeSet<String>,
}

impl Default for Notify {
    fn default() -> Self {
        Self { settings: Ok(NotifySettings::default()), variables: BTreeSet::new() }
    }
}

/// Reads the table. What is wrong in the file itself is added to `faults`, with file and line; keys that dcm does not know
/// are warned of.
pub(super) fn read(
    source: &Source<'_>,
    table: &DeTable<'_>,
    warn: &mut dyn FnMut(String),
    faults: &mut Vec<ConfigError>,
) -> Notify {
    let mut variables = BTreeSet::new();
    collect_variables(table, &mut variables);
    let settings = match (Reader { source, warn }).settings(table, faults) {
        Ok(settings) => Ok(settings),
        Err(Fault::Missing(error)) => Err(error),
        Err(Fault::Wrong(error)) => {
            faults.push(error);
            Ok(NotifySettings::default())
        }
    };
    Notify { settings, variables }
}

impl Reader<'_, '_> {
    fn settings(
        &mut self,
        table: &DeTable<'_>,
        faults: &mut Vec<ConfigError>,
    ) -> Result<NotifySettings, Fault> {
        let own = Fields { name: "notify".to_owned(), at: 0, table };
        let mut settings = NotifySettings::default();
        let mut missing = None;
        if let Some(value) = own.get("time_zone") {
            let zone = self.text(&own, "time_zone", value)?;
            let unknown = |_| self.wrong(value, format!("notify.time_zone: unknown time zone {zone:?}"));
            settings.time_zone = Some(zone.parse().map_err(unknown)?);
        }
        for (key, value) in table {
            let name = key.get_ref().as_ref();
            match value.get_ref() {
                _ if matches!(name, "time_zone" | "ping_url" | "ping_url_file") => {}
                DeValue::Table(inner) => {
                    let valid =
                        Part::new(name).map_err(|error| self.wrong_at(key.span().start, error.to_string()));
                    if let Err(Fault::Wrong(error) | Fault::Missing(error)) = valid {
                        faults.push(error);
                        continue;
                    }
                    let fields =
                        Fields { name: format!("notify.{name}"), at: key.span().start, table: inner };
                    match self.channel(name, &fields) {
                        Ok(channel) => settings.channels.push(channel),
                        // What is wrong in another channel is more: nothing would help that.
                        Err(Fault::Missing(error)) => missing = missing.or(Some(error)),
                        Err(Fault::Wrong(error)) => faults.push(error),
                    }
                }
                DeValue::String(_)
                | DeValue::Integer(_)
                | DeValue::Float(_)
                | DeValue::Boolean(_)
                | DeValue::Datetime(_)
                | DeValue::Array(_) => self.unknown(key.span().start, &format!("notify.{name}")),
            }
        }
        settings.channels.sort_by(|a, b| a.name.cmp(&b.name));
        settings.ping_url = self.url(&own, "ping_url")?;
        missing.map_or(Ok(settings), |error| Err(Fault::Missing(error)))
    }

    fn channel(&mut self, name: &str, fields: &Fields<'_>) -> Result<Channel, Fault> {
        let kind = self.kind(fields)?;
        self.check_keys(fields, kind)?;
        let quiet = self.optional(fields, "quiet", Self::text)?;
        let quiet = quiet.map(|text| self.parsed::<Quiet>(fields, "quiet", &text)).transpose()?;
        let severities = [("warning", Severity::Warning), ("critical", Severity::Critical)];
        let severity = self.word(fields, "severity", &severities)?.unwrap_or(Severity::Warning);
        let groups = self.optional(fields, "groups", Self::texts)?.unwrap_or_default();
        let groups = groups.iter().map(|text| self.parsed::<Selector>(fields, "groups", text));
        Ok(Channel {
            groups: groups.collect::<Result<_, _>>()?,
            severity,
            quiet,
            quiet_critical: self.optional(fields, "quiet_critical", Self::flag)?.unwrap_or(false),
            max_per_hour: self.number(fields, "max_per_hour", 1..=10_000)?,
            roots: self.roots(fields)?,
            name: name.to_owned(),
            kind: self.service(fields, kind)?,
        })
    }

    fn kind(&self, fields: &Fields<'_>) -> Result<&'static str, Fault> {
        let choices = KINDS.map(|(kind, _)| (kind, kind));
        self.word(fields, "kind", &choices)?.ok_or_else(|| self.lacks(fields, "kind", "a channel"))
    }

    /// Warns of keys that no channel has, and refuses those of other kinds.
    fn check_keys(&mut self, fields: &Fields<'_>, kind: &str) -> Result<(), Fault> {
        for (key, value) in fields.table {
            let key_name = key.get_ref().as_ref();
            let base =
                key_name.strip_suffix("_file").filter(|base| SECRETS.contains(base)).unwrap_or(key_name);
            let of = |(_, keys): &(&str, &[&str])| keys.contains(&base);
            let name = format!("{}.{key_name}", fields.name);
            if COMMON.contains(&base) || KINDS.iter().any(|entry| entry.0 == kind && of(entry)) {
                continue;
            }
            let others: Vec<_> = KINDS.iter().filter(|entry| of(entry)).map(|(kind, _)| *kind).collect();
            if !others.is_empty() {
                let why = format!("{name} is for {}, and this channel is {kind}", others.join(" and "));
                return Err(self.wrong(value, why));
            }
            self.unknown(key.span().start, &name);
        }
        Ok(())
    }

    fn service(&self, fields: &Fields<'_>, kind: &str) -> Result<ChannelKind, Fault> {
        if kind == "email" {
            return self.email(fields).map(ChannelKind::Email);
        }
        let api = self.url(fields, "api")?;
        if kind == "telegram" {
            let api = match api {
                Some(api) => api,
                None => self.parsed(fields, "api", "https://api.telegram.org")?,
            };
            let token = self.required_secret(fields, "token", kind)?;
            if !token.reveal().bytes().all(|c| c.is_ascii_alphanumeric() || matches!(c, b':' | b'_' | b'-')) {
                return Err(self.wrong_key(fields, "token", "is no token of a bot, such as 123456:ABC-def"));
            }
            let chat_id = self.optional(fields, "chat_id", Self::text_or_number)?;
            let chat_id = chat_id.ok_or_else(|| self.lacks(fields, "chat_id", kind))?;
            return Ok(ChannelKind::Telegram { token, chat_id, api });
        }
        let url = self.url(fields, "url")?.ok_or_else(|| self.lacks(fields, "url", kind))?;
        let reached = api.map_or_else(|| url.clone(), |api| url.moved_to(&api));
        Ok(match kind {
            "teams" => {
                let forms = TeamsForm::ALL.iter().map(|form| (form.word(), *form)).collect::<Vec<_>>();
                // The connectors of Office 365 have this host, and workflows never do.
                let host = url.host().to_ascii_lowercase();
                let is_connector = host == "webhook.office.com" || host.ends_with(".webhook.office.com");
                let default = if is_connector { TeamsForm::Connector } else { TeamsForm::Workflow };
                ChannelKind::Teams {
                    url: reached,
                    form: self.word(fields, "form", &forms)?.unwrap_or(default),
                }
            }
            "slack" => ChannelKind::Slack { url: reached },
            _ => ChannelKind::Webhook { url: reached, secret: self.secret(fields, "secret")? },
        })
    }

    fn email(&self, fields: &Fields<'_>) -> Result<Email, Fault> {
        let required = |key: &'static str| self.lacks(fields, key, "email");
        let server = self.optional(fields, "server", Self::text)?.ok_or_else(|| required("server"))?;
        let modes = SmtpTls::ALL.iter().map(|mode| (mode.word(), *mode)).collect::<Vec<_>>();
        let tls = self.word(fields, "tls", &modes)?.unwrap_or(SmtpTls::StartTls);
        let port = self.number(fields, "port", 1..=65_535)?.and_then(|port| u16::try_from(port).ok());
        let port = port.unwrap_or(match tls {
            SmtpTls::StartTls => 587,
            SmtpTls::Tls => 465,
            SmtpTls::None => 25,
        });
        let (host, port) = match self.optional(fields, "api", Self::text)? {
            None => (server.clone(), port),
            Some(api) => {
                let place = api.trim_start_matches("smtp://").rsplit_once(':');
                let place = place.and_then(|(host, port)| Some((host.to_owned(), port.parse().ok()?)));
                place.ok_or_else(|| self.wrong_key(fields, "api", "must be HOST:PORT for e-mail"))?
            }
        };
        if tls == SmtpTls::None && !is_loopback(&host) {
            let why = "\"none\" is only for a server on this host: anyone on the way could read the mail and the password";
            return Err(self.wrong_key(fields, "tls", why));
        }
        let user = self.optional(fields, "user", Self::text)?;
        let login = match (user, self.secret(fields, "password")?) {
            (Some(user), Some(password)) => Some((user, password)),
            (None, None) => None,
            (Some(_), None) => return Err(required("password")),
            (None, Some(_)) => return Err(required("user")),
        };
        let address = |key, text: String| {
            if crate::notify::is_mailbox(&text) {
                Ok(text)
            } else {
                let why = format!("holds {text:?}, which is no address such as ops@example.com");
                Err(self.wrong_key(fields, key, &why))
            }
        };
        let from = self.optional(fields, "from", Self::text)?.ok_or_else(|| required("from"))?;
        let to = self.optional(fields, "to", Self::texts)?.unwrap_or_default();
        if to.is_empty() || to.len() > RECIPIENTS_MAX {
            return Err(self.wrong_key(fields, "to", &format!("must name 1 to {RECIPIENTS_MAX} addresses")));
        }
        let to = to.into_iter().map(|text| address("to", text)).collect::<Result<_, _>>()?;
        Ok(Email { server, host, port, tls, login, from: address("from", from)?, to })
    }
}

#[cfg(test)]
#[path = "notify_tests.rs"]
mod tests;
