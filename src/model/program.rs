//! The program of an app, and what its process has of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use super::vocabulary::words;

/// What is to be run.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Program {
    /// The argument vector; `None` for the default module command `PYTHON -m apps.GROUP.PARENT.APP.main`.
    pub command: Option<Vec<String>>,
    /// The working directory; `None` for that of the manager.
    pub cwd: Option<String>,
    /// Variables on top of the environment of the manager.
    pub env: BTreeMap<String, String>,
    /// Variables of the manager that it does not inherit.
    pub unset: BTreeSet<String>,
    /// Files of variables that are read at each start, in this order; those of `env` count before them. A relative path
    /// starts at the working directory; one after a `-` may be missing.
    pub env_files: Vec<String>,
    /// Whether the app may see `DC_DATABASE_URL`.
    pub pass_database: bool,
    /// What its process has of its own.
    pub process: ProcessSettings,
}

/// Environments hold secrets: only the names are shown.
impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Program")
            .field("command", &self.command)
            .field("cwd", &self.cwd)
            .field("env", &self.env.keys())
            .field("unset", &self.unset)
            .field("env_files", &self.env_files)
            .field("pass_database", &self.pass_database)
            .field("process", &self.process)
            .finish()
    }
}

/// What a process has of its own; `None`: what the manager was started with.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProcessSettings {
    /// The user that it runs as, by name or number. Only a manager of root can do that.
    pub user: Option<String>,
    /// -20 to 19; the higher, the more it lets others go first.
    pub nice: Option<i8>,
    /// Which rights the files that it makes do not have.
    pub umask: Option<Umask>,
    /// The most files that one process may have open.
    pub max_open_files: Option<u32>,
    /// The most processes that its user may have, those of other programs included.
    pub max_processes: Option<u32>,
}

words! {
    /// What asks a run to end, before it is killed.
    StopSignal {
        /// The usual one.
        Term = "TERM",
        /// As by Ctrl+C; an interpreter of Python raises `KeyboardInterrupt`.
        Int = "INT",
        /// As when a terminal goes away.
        Hup = "HUP",
        /// As by Ctrl+\; many programs leave a core.
        Quit = "QUIT",
        /// Of the program's own meaning.
        Usr1 = "USR1",
        /// Of the program's own meaning.
        Usr2 = "USR2",
        /// Not a request: the run ends at once.
        Kill = "KILL",
    }
}

impl FromStr for StopSignal {
    type Err = UnknownSignal;

    /// Takes the name with and without `SIG`, in capitals or not.
    fn from_str(text: &str) -> Result<Self, UnknownSignal> {
        let name = text.to_ascii_uppercase();
        let name = name.strip_prefix("SIG").unwrap_or(&name);
        Self::ALL.iter().copied().find(|signal| signal.word() == name).ok_or(UnknownSignal)
    }
}

/// The text names no signal that asks a program to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be one of {}", StopSignal::WORDS.join(", "))]
pub struct UnknownSignal;

/// Rights that files do not get, `0o000` to `0o777`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Umask(u16);

impl Umask {
    /// The bits.
    #[must_use]
    pub const fn bits(self) -> u16 {
        self.0
    }
}

impl FromStr for Umask {
    type Err = InvalidUmask;

    fn from_str(text: &str) -> Result<Self, InvalidUmask> {
        let are_digits = (1..=4).contains(&text.len()) && text.bytes().all(|digit| digit.is_ascii_digit());
        let bits = u16::from_str_radix(text, 8).ok().filter(|bits| are_digits && *bits <= 0o777);
        bits.map(Self).ok_or(InvalidUmask)
    }
}

impl fmt::Display for Umask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04o}", self.0)
    }
}

/// The text is no umask.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be three octal digits, 000 to 777, for example 027")]
pub struct InvalidUmask;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_have_several_names_and_one_word() {
        for text in ["INT", "SIGINT", "int", "SigInt"] {
            assert_eq!(text.parse(), Ok(StopSignal::Int), "{text}");
        }
        for text in ["", "SIG", "STOP", "SIGSIGINT", "2"] {
            assert_eq!(text.parse::<StopSignal>(), Err(UnknownSignal), "{text}");
        }
    }

    #[test]
    fn a_umask_is_octal() {
        for (text, shown) in [("27", "0027"), ("0027", "0027"), ("777", "0777"), ("0", "0000")] {
            assert_eq!(text.parse::<Umask>().unwrap().to_string(), shown);
        }
        for text in ["", "9999", "1000", "00027", "+27", "0o27", "-1", "rwx"] {
            assert_eq!(text.parse::<Umask>(), Err(InvalidUmask), "{text}");
        }
    }
}
