//! The manager as a service of its host: installed, controlled and looked at by the host's own service manager.
//!
//! [`mod@unit`] is pure; `systemd` is what is done with it. `windows` has the same functions for the service control
//! manager.

mod systemd;
pub mod unit;
mod windows;

use std::path::PathBuf;

/// The name of the service.
pub const NAME: &str = if cfg!(windows) { windows::NAME } else { "data-collector-manager" };

/// Whose service it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// The host's: it is started with the host.
    Host,
    /// This user's: it is started when the user logs in, or with the host for users that linger.
    User,
}

/// What the service runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Definition {
    /// This program, by the path that an upgrade replaces.
    pub program: PathBuf,
    /// Its arguments. None of them is a secret: everyone may read them.
    pub arguments: Vec<String>,
    /// The state directory.
    pub state: PathBuf,
    /// Whether the state directory is the one that the host gives to a service of this kind (`/var/lib/dcm`).
    pub is_state_of_host: bool,
    /// Where apps begin that name no working directory; `None` leaves it to the service manager.
    pub cwd: Option<PathBuf>,
    /// Variables of its environment; no secrets.
    pub environment: Vec<(String, String)>,
    /// A file with further variables, secrets among them; it need not be there.
    pub environment_file: Option<PathBuf>,
}

/// What is asked of the service manager.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// Begin.
    Start,
    /// End the manager; its apps run on.
    Stop,
    /// Both.
    Restart,
}

impl Verb {
    /// The word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Restart => "restart",
        }
    }
}

/// What an installation did to the definition of the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// There was none.
    Created,
    /// It was another one.
    Updated,
    /// It was the same.
    Unchanged,
}

/// What came of an installation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installed {
    /// Where the definition is.
    pub place: PathBuf,
    /// What was done to it.
    pub change: Change,
    /// Where the one is that was edited by hand, if it was replaced.
    pub backup: Option<PathBuf>,
    /// What the operator should know.
    pub remarks: Vec<String>,
}

/// What came of the removal of the service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uninstalled {
    /// Where the definition was.
    pub place: PathBuf,
    /// Whether there was one.
    pub was_installed: bool,
    /// Where the one is that was edited by hand.
    pub backup: Option<PathBuf>,
}

/// How the service stands. What is `None` is not known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Status {
    /// Where its definition is, or would be.
    pub place: PathBuf,
    /// Whether it is there.
    pub installed: bool,
    /// Whether it was edited by hand.
    pub edited: Option<bool>,
    /// Whether it starts by itself (`enabled`, `disabled`, `masked`).
    pub enabled: Option<String>,
    /// Whether it runs (`active`, `inactive`, `failed`, `activating`, `reloading`).
    pub active: Option<String>,
    /// The same in more detail (`running`, `dead`, `auto-restart`).
    pub sub_state: Option<String>,
    /// How it ended the last time (`success`, `exit-code`, `watchdog`).
    pub result: Option<String>,
    /// How often it was started again by itself.
    pub restarts: Option<u64>,
    /// The manager's process.
    pub pid: Option<u32>,
    /// What the manager says of itself.
    pub says: Option<String>,
    /// What the operator should know.
    pub remarks: Vec<String>,
}

/// Why something could not be done with the service.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// Another service manager runs this host, or none.
    #[error("this host is not run by systemd ({missing} is not there)")]
    NoSystemd {
        /// What was looked for.
        missing: PathBuf,
    },
    /// The definition is not as dcm wrote it.
    #[error("{} was edited by hand, or was not written by dcm", place.display())]
    Edited {
        /// Where it is.
        place: PathBuf,
    },
    /// There is no definition.
    #[error("the service is not installed ({} is not there)", place.display())]
    NotInstalled {
        /// Where it would be.
        place: PathBuf,
    },
    /// This user may not.
    #[error("this user may not {what}")]
    Denied {
        /// What was tried.
        what: String,
    },
    /// The service manager of this host has nothing of the kind.
    #[error("Windows does not have {what}")]
    Unsupported {
        /// What was asked for.
        what: &'static str,
        /// What to do.
        instead: &'static str,
    },
    /// A path or argument cannot be written down.
    #[error("a unit cannot hold {text:?}: control characters have no form there")]
    Unwritable {
        /// The text.
        text: String,
    },
    /// The service manager did not do it.
    #[error("{command}: {why}")]
    Refused {
        /// What was called.
        command: String,
        /// What it said.
        why: String,
    },
    /// It has been asked for, and has not come about yet.
    #[error("{command} has not finished after {seconds} s{}", says.as_ref().map_or_else(String::new, |says| format!(": {says}")))]
    Unfinished {
        /// What was called.
        command: String,
        /// How long it was waited for.
        seconds: u64,
        /// What the manager says of itself.
        says: Option<String>,
    },
    /// A file cannot be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// What [`install`] would write or call, for those who do it themselves.
///
/// # Errors
/// [`ServiceError`] for what the service manager cannot keep.
pub fn describe(scope: Scope, definition: &Definition) -> Result<String, ServiceError> {
    if cfg!(windows) { windows::describe(scope, definition) } else { systemd::describe(scope, definition) }
}

/// Lets the host, or this user, start the manager. What is there already is done once.
///
/// # Errors
/// [`ServiceError`], also when a definition is there that was edited by hand and `force` is not given.
pub fn install(scope: Scope, definition: &Definition, force: bool) -> Result<Installed, ServiceError> {
    if cfg!(windows) {
        windows::install(scope, definition, force)
    } else {
        systemd::install(scope, definition, force)
    }
}

/// Stops the manager, whose apps run on, and removes the definition.
///
/// # Errors
/// [`ServiceError`], also when it was edited by hand and `force` is not given.
pub fn uninstall(scope: Scope, force: bool) -> Result<Uninstalled, ServiceError> {
    if cfg!(windows) { windows::uninstall(scope, force) } else { systemd::uninstall(scope, force) }
}

/// Starts, stops or restarts the manager; apps run on.
///
/// # Errors
/// [`ServiceError`]; [`ServiceError::Unfinished`] when the manager has begun and waits for something.
pub fn control(scope: Scope, verb: Verb) -> Result<(), ServiceError> {
    if cfg!(windows) { windows::control(scope, verb) } else { systemd::control(scope, verb) }
}

/// How the service stands.
///
/// # Errors
/// When it cannot be looked at.
pub fn status(scope: Scope) -> Result<Status, ServiceError> {
    if cfg!(windows) { windows::status(scope) } else { systemd::status(scope) }
}
