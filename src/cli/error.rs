//! Errors of commands: what happened, what to do next, and the exit code.

use std::fmt;

use crate::config::ConfigError;
use crate::console;
use crate::process::OpenError;
use crate::runtime::RunError;
use crate::service::ServiceError;
use crate::store::StoreError;

/// Why a command failed. The kind decides the exit code.
#[derive(Debug)]
pub(super) struct Error {
    kind: Kind,
    message: String,
    hint: Option<String>,
}

/// The documented exit codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// It was tried and did not work, or a command was not executed.
    Failed,
    /// Wrong use or configuration.
    Usage,
    /// What was looked for was found and listed, and that is not good.
    Listed,
    /// No app is meant by the selector.
    NoSuchApp,
    /// It may work later: already running, disabled, locked.
    RefusedForNow,
    /// No answer in time.
    TimedOut,
    /// A fault of the program.
    Fault,
}

impl Kind {
    pub(super) const fn code(self) -> u8 {
        match self {
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Listed => 3,
            Self::NoSuchApp => 4,
            Self::RefusedForNow => 75,
            Self::TimedOut => 124,
            Self::Fault => 101,
        }
    }
}

impl Error {
    pub(super) fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), hint: None }
    }

    pub(super) fn failed(message: impl Into<String>) -> Self {
        Self::new(Kind::Failed, message)
    }

    pub(super) fn usage(message: impl Into<String>) -> Self {
        Self::new(Kind::Usage, message)
    }

    /// Adds what the person can do about it.
    pub(super) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// Whether waiting may help.
    pub(super) fn is_refusal_for_now(&self) -> bool {
        self.kind == Kind::RefusedForNow
    }

    /// Whether no app is meant by the selector.
    pub(super) fn is_no_such_app(&self) -> bool {
        self.kind == Kind::NoSuchApp
    }

    pub(super) fn code(&self) -> u8 {
        self.kind.code()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match &self.hint {
            Some(hint) => write!(f, "; {hint}"),
            None => Ok(()),
        }
    }
}

impl From<ConfigError> for Error {
    fn from(error: ConfigError) -> Self {
        Self::usage(error.to_string())
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        let kind = match &error {
            StoreError::Unavailable(_)
            | StoreError::Locked(_)
            | StoreError::Served(_)
            | StoreError::Deposed
            | StoreError::Replaced => Kind::RefusedForNow,
            StoreError::Schema { .. }
            | StoreError::Corrupt(_)
            | StoreError::Denied(_)
            | StoreError::Missing(_) => Kind::Usage,
            StoreError::Refused(_) => Kind::Failed,
        };
        Self::new(kind, error.to_string())
    }
}

impl From<ServiceError> for Error {
    fn from(error: ServiceError) -> Self {
        let message = error.to_string();
        match error {
            ServiceError::NoSystemd { .. } => Self::failed(message).hint(
                "let what starts services here run dcm --headless; dcm service print shows the unit for another host",
            ),
            ServiceError::Edited { .. } => Self::failed(message)
                .hint("--force replaces it, and keeps a copy; systemctl edit keeps changes beside the unit"),
            ServiceError::NotInstalled { .. } => Self::failed(message).hint("dcm service install does that"),
            ServiceError::Denied { .. } => Self::failed(message).hint(if cfg!(windows) {
                "do it in a terminal that was started as administrator"
            } else {
                "do it as root (sudo), or add --user for a service of this user"
            }),
            ServiceError::Unsupported { instead, .. } => Self::usage(message).hint(instead),
            ServiceError::Unwritable { .. } => Self::usage(message).hint("choose another path"),
            ServiceError::Unfinished { .. } => {
                Self::new(Kind::TimedOut, message).hint("it goes on; dcm service status shows how it stands")
            }
            ServiceError::Refused { .. } => Self::failed(message).hint(if cfg!(windows) {
                "dcm service status, and service.log and log in the state directory say more"
            } else {
                "dcm service status and journalctl -u data-collector-manager say more"
            }),
            ServiceError::Io { .. } => Self::failed(message),
        }
    }
}

impl From<OpenError> for Error {
    fn from(error: OpenError) -> Self {
        let kind = match &error {
            OpenError::Locked { .. } => Kind::RefusedForNow,
            OpenError::Io { .. } => Kind::Failed,
        };
        Self::new(kind, error.to_string())
    }
}

impl From<RunError> for Error {
    fn from(error: RunError) -> Self {
        match error {
            RunError::State(error) => error.into(),
            RunError::Store(error) => error.into(),
            error @ RunError::Part(_) => Self::failed(error.to_string()),
        }
    }
}

impl From<console::RunError> for Error {
    fn from(error: console::RunError) -> Self {
        let message = error.to_string();
        match error {
            console::RunError::Terminal(_) => Self::failed(message),
            console::RunError::Failed { report, .. } => {
                let error = Self::new(Kind::Fault, message);
                match report {
                    Some(path) => error.hint(format!("please report it with {}", path.display())),
                    None => error,
                }
            }
        }
    }
}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        Self::failed(error.to_string())
    }
}
