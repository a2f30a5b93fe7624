//! The channels that people set up, by `[notify.NAME]` in the file of settings.

use std::str::FromStr;

use chrono::NaiveTime;
use chrono_tz::Tz;

use super::Secret;
use crate::model::{HttpUrl, Route, Selector, Severity, words};

/// Everything that `[notify]` says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NotifySettings {
    /// In the order of their names.
    pub channels: Vec<Channel>,
    /// The zone in which quiet hours and times in messages are read; without it, that of the host.
    pub time_zone: Option<Tz>,
    /// Called after each minute in which the manager worked.
    pub ping_url: Option<HttpUrl>,
}

impl NotifySettings {
    /// Which alerts go to which channels.
    #[must_use]
    pub fn routes(&self) -> Vec<Route> {
        self.channels.iter().map(Channel::route).collect()
    }

    /// The channel of this name.
    #[must_use]
    pub fn channel(&self, name: &str) -> Option<&Channel> {
        self.channels.iter().find(|channel| channel.name == name)
    }
}

/// One way to reach people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Channel {
    /// As it is written in `[notify.NAME]`.
    pub name: String,
    /// The service behind it, with what that service needs.
    pub kind: ChannelKind,
    /// The apps that it is for; all if there are none.
    pub groups: Vec<Selector>,
    /// The least severity that is sent there.
    pub severity: Severity,
    /// When nothing is sent there.
    pub quiet: Option<Quiet>,
    /// Whether critical alerts wait for the end of the quiet hours as well.
    pub quiet_critical: bool,
    /// The most messages within an hour.
    pub max_per_hour: Option<u32>,
    /// Root certificates beside those of the system, in PEM.
    pub roots: Option<Vec<u8>>,
}

impl Channel {
    /// The alerts that go there.
    #[must_use]
    pub fn route(&self) -> Route {
        Route { channel: self.name.clone(), groups: self.groups.clone(), severity: self.severity }
    }

    /// Where it leads, without secrets.
    #[must_use]
    pub fn target(&self) -> String {
        match &self.kind {
            ChannelKind::Telegram { chat_id, api, .. } => format!("{api}, chat {chat_id}"),
            ChannelKind::Teams { url, .. }
            | ChannelKind::Slack { url }
            | ChannelKind::Webhook { url, .. } => url.to_string(),
            ChannelKind::Email(email) => format!("{} by {}:{}", email.to.join(", "), email.host, email.port),
        }
    }
}

/// A service, with what it needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChannelKind {
    /// A bot of Telegram.
    Telegram {
        /// The token of the bot.
        token: Secret,
        /// A number, or `@NAME` of a public channel.
        chat_id: String,
        /// Where the service is, without the token.
        api: HttpUrl,
    },
    /// A webhook of Microsoft Teams.
    Teams {
        /// A secret: with it anyone may post.
        url: HttpUrl,
        /// In which form it takes messages.
        form: TeamsForm,
    },
    /// A webhook of Slack.
    Slack {
        /// A secret: with it anyone may post.
        url: HttpUrl,
    },
    /// A mail server.
    Email(Email),
    /// Any program that takes the JSON of a notice.
    Webhook {
        /// Its address.
        url: HttpUrl,
        /// Signs the body, so that the program knows who sent it.
        secret: Option<Secret>,
    },
}

impl ChannelKind {
    /// As it is written in the file of settings.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Telegram { .. } => "telegram",
            Self::Teams { .. } => "teams",
            Self::Slack { .. } => "slack",
            Self::Email(_) => "email",
            Self::Webhook { .. } => "webhook",
        }
    }
}

words! {
    /// In which form a webhook of Teams takes messages.
    TeamsForm {
        /// An Adaptive Card, for a workflow.
        Workflow = "workflow",
        /// A MessageCard, for the connectors that came before.
        Connector = "connector",
    }
}

/// A mail server, and who gets mail through it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Email {
    /// The name in its certificate.
    pub server: String,
    /// Where it is reached.
    pub host: String,
    /// At which port.
    pub port: u16,
    /// How the connection is made secret.
    pub tls: SmtpTls,
    /// User and password, if it asks for them.
    pub login: Option<(String, Secret)>,
    /// The sender.
    pub from: String,
    /// At least one.
    pub to: Vec<String>,
}

words! {
    /// How the connection to a mail server is made secret.
    SmtpTls {
        /// It begins plain, and nothing is said before TLS is agreed on.
        StartTls = "starttls",
        /// TLS from the first byte.
        Tls = "tls",
        /// Not at all, to this host alone.
        None = "none",
    }
}

/// Hours of each day in which nothing is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quiet {
    /// The first moment.
    pub from: NaiveTime,
    /// The first moment after; on the next day if it is not later than `from`.
    pub to: NaiveTime,
}

impl Quiet {
    /// Whether a time of the day is in them.
    #[must_use]
    pub fn contains(&self, time: NaiveTime) -> bool {
        if self.from < self.to {
            self.from <= time && time < self.to
        } else {
            self.from <= time || time < self.to
        }
    }
}

/// A text does not say which hours are quiet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be two different times of the day such as \"22:00-06:00\"")]
pub struct QuietError;

impl FromStr for Quiet {
    type Err = QuietError;

    fn from_str(text: &str) -> Result<Self, QuietError> {
        let (from, to) = text.split_once('-').ok_or(QuietError)?;
        let time = |text: &str| NaiveTime::parse_from_str(text.trim(), "%H:%M").map_err(|_| QuietError);
        let quiet = Self { from: time(from)?, to: time(to)? };
        if quiet.from == quiet.to { Err(QuietError) } else { Ok(quiet) }
    }
}

impl std::fmt::Display for Quiet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.from.format("%H:%M"), self.to.format("%H:%M"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quiet_hours_may_go_over_midnight() {
        let time = |text: &str| NaiveTime::parse_from_str(text, "%H:%M").unwrap();
        for (quiet, inside, outside) in [
            ("22:00-06:00", ["22:00", "23:59", "05:59"], ["06:00", "12:00", "21:59"]),
            ("12:30-13:00", ["12:30", "12:45", "12:59"], ["13:00", "00:00", "12:29"]),
        ] {
            let parsed: Quiet = quiet.parse().unwrap();
            assert_eq!(parsed.to_string(), quiet);
            assert!(inside.iter().all(|text| parsed.contains(time(text))), "{quiet}");
            assert!(!outside.iter().any(|text| parsed.contains(time(text))), "{quiet}");
        }
        for wrong in ["", "22:00", "22:00-22:00", "25:00-06:00", "22-6", "a-b"] {
            assert_eq!(wrong.parse::<Quiet>(), Err(QuietError), "{wrong}");
        }
    }
}
