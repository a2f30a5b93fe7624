//! The `reason` of the ledger: its texts are made and read here alone.

use std::fmt;

use super::{CmdName, CommandId};

/// Why a command was not executed, or what there was to do for one that was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// START of an app that runs.
    AlreadyRunning,
    /// START or RESTART of an app that waits for room.
    AlreadyWaiting,
    /// START or RESTART of a disabled app.
    Disabled,
    /// START or RESTART of an app that is not started before ENABLE.
    GivenUp,
    /// STOP of an app that does not run.
    NotRunning,
    /// STOP of an app that does not run, where that counts as executed.
    WasNotRunning,
    /// Its `expires` had passed.
    Expired,
    /// The ledger names an app that is not registered.
    NoSuchApp,
    /// The row of the app cannot be obeyed, and why.
    SetAside(Option<Box<str>>),
    /// A later command overruled it.
    Superseded {
        /// What was asked by the later one.
        name: CmdName,
        /// The number of the later one.
        id: CommandId,
    },
    /// There was no process, and why.
    CannotStart(Box<str>),
    /// Its arguments cannot be passed on, and why.
    Arguments(Box<str>),
    /// As many commands as this wait for the app already.
    QueueFull(usize),
    /// Anything else, also from a newer version.
    Other(Box<str>),
}

const SET_ASIDE: &str = "its row is set aside";
const SUPERSEDED: &str = "superseded by ";
const CANNOT_START: &str = "failed to start: ";
const ARGUMENTS: &str = "cmd_args ";
const QUEUE_FULL: &str = " commands are waiting already";

/// The reasons without details.
const PLAIN: [(Reason, &str); 8] = [
    (Reason::AlreadyRunning, "already running"),
    (Reason::AlreadyWaiting, "already waiting to start"),
    (Reason::Disabled, "disabled"),
    (Reason::GivenUp, "given up"),
    (Reason::NotRunning, "not running"),
    (Reason::WasNotRunning, "was not running"),
    (Reason::Expired, "expired"),
    (Reason::NoSuchApp, "no such app"),
];

impl Reason {
    /// Whether the same command may be executed later, once the app has ended or a person has enabled it.
    #[must_use]
    pub fn is_for_now(&self) -> bool {
        matches!(self, Self::AlreadyRunning | Self::Disabled | Self::GivenUp)
    }

    /// The kind of reason, for programs: the word beside the text.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::AlreadyRunning => "already_running",
            Self::AlreadyWaiting => "already_waiting",
            Self::Disabled => "disabled",
            Self::GivenUp => "given_up",
            Self::NotRunning => "not_running",
            Self::WasNotRunning => "was_not_running",
            Self::Expired => "expired",
            Self::NoSuchApp => "no_such_app",
            Self::SetAside(_) => "set_aside",
            Self::Superseded { .. } => "superseded",
            Self::CannotStart(_) => "failed_to_start",
            Self::Arguments(_) => "invalid_args",
            Self::QueueFull(_) => "too_many_commands",
            Self::Other(_) => "other",
        }
    }

    fn with_details(text: &str) -> Option<Self> {
        if let Some(fault) = text.strip_prefix(SET_ASIDE) {
            let fault = if fault.is_empty() { None } else { Some(fault.strip_prefix(": ")?.into()) };
            return Some(Self::SetAside(fault));
        }
        if let Some(later) = text.strip_prefix(SUPERSEDED) {
            let (name, id) = later.split_once(" #")?;
            return Some(Self::Superseded { name: name.parse().ok()?, id: CommandId(id.parse().ok()?) });
        }
        if let Some(count) = text.strip_suffix(QUEUE_FULL) {
            return Some(Self::QueueFull(count.parse().ok()?));
        }
        let start = || text.strip_prefix(CANNOT_START).map(|why| Self::CannotStart(why.into()));
        start().or_else(|| text.strip_prefix(ARGUMENTS).map(|why| Self::Arguments(why.into())))
    }
}

impl From<&str> for Reason {
    fn from(text: &str) -> Self {
        if let Some((reason, _)) = PLAIN.into_iter().find(|(_, word)| *word == text) {
            return reason;
        }
        // What another program wrote almost like this is shown as it stands, too.
        let found = Self::with_details(text).filter(|reason| reason.to_string() == text);
        found.unwrap_or_else(|| Self::Other(text.into()))
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SetAside(None) => f.write_str(SET_ASIDE),
            Self::SetAside(Some(fault)) => write!(f, "{SET_ASIDE}: {fault}"),
            Self::Superseded { name, id } => write!(f, "{SUPERSEDED}{name} {id}"),
            Self::CannotStart(why) => write!(f, "{CANNOT_START}{why}"),
            Self::Arguments(why) => write!(f, "{ARGUMENTS}{why}"),
            Self::QueueFull(count) => write!(f, "{count}{QUEUE_FULL}"),
            Self::Other(text) => f.write_str(text),
            Self::AlreadyRunning
            | Self::AlreadyWaiting
            | Self::Disabled
            | Self::GivenUp
            | Self::NotRunning
            | Self::WasNotRunning
            | Self::Expired
            | Self::NoSuchApp => {
                let word = PLAIN.iter().find(|(reason, _)| reason == self).map(|(_, word)| word);
                f.write_str(word.unwrap_or(&""))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_reason_comes_back_as_it_went_out() {
        let detailed = [
            (Reason::SetAside(None), "its row is set aside"),
            (Reason::SetAside(Some("env: no JSON".into())), "its row is set aside: env: no JSON"),
            (Reason::Superseded { name: CmdName::Stop, id: CommandId(12) }, "superseded by STOP #12"),
            (Reason::CannotStart("no python3".into()), "failed to start: no python3"),
            (Reason::Arguments("hold a NUL character".into()), "cmd_args hold a NUL character"),
            (Reason::QueueFull(16), "16 commands are waiting already"),
            (Reason::Other("on strike".into()), "on strike"),
        ];
        let mut codes = BTreeSet::new();
        for (reason, text) in PLAIN.into_iter().chain(detailed) {
            codes.insert(reason.code());
            assert_eq!((reason.to_string().as_str(), Reason::from(text)), (text, reason));
        }
        assert_eq!(codes.len(), 14, "each kind has a code of its own: {codes:?}");
    }

    #[test]
    fn what_is_almost_a_reason_stays_as_it_stands() {
        for text in [
            "superseded by STOP #012",
            "superseded by nobody",
            "its row is set aside, they say",
            "07 commands are waiting already",
            "",
        ] {
            assert_eq!(Reason::from(text), Reason::Other(text.into()));
        }
    }

    #[test]
    fn what_may_be_executed_later_is_refused_for_now() {
        let now: Vec<_> =
            PLAIN.into_iter().filter(|(reason, _)| reason.is_for_now()).map(|(_, word)| word).collect();
        assert_eq!(now, ["already running", "disabled", "given up"]);
    }
}
