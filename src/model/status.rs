//! The codes of the contract. They are stored as integers and shown as words.

use std::fmt;
use std::str::FromStr;

/// A number or word that stands for none of the codes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown {what} {value:?}")]
pub struct UnknownCode {
    what: &'static str,
    value: String,
}

impl UnknownCode {
    /// Names the kind of code and the value that was found.
    pub(super) fn new(what: &'static str, value: &str) -> Self {
        Self { what, value: value.chars().take(40).collect() }
    }
}

/// Declares an enum of codes with its number, its word and the way back from both.
macro_rules! codes {
    ($(#[$meta:meta])* $name:ident, $what:literal { $($(#[$doc:meta])* $variant:ident = $code:literal $word:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$doc])* $variant,)+ }

        impl $name {
            /// All values, in the order of their numbers.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The number that the database stores.
            #[must_use]
            pub const fn code(self) -> i64 {
                match self { $(Self::$variant => $code,)+ }
            }

            /// The word that people read.
            #[must_use]
            pub const fn word(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }

            /// The value that has this number.
            ///
            /// # Errors
            /// [`UnknownCode`] when there is none.
            pub fn from_code(code: i64) -> Result<Self, UnknownCode> {
                match code {
                    $($code => Ok(Self::$variant),)+
                    _ => Err(UnknownCode::new($what, &code.to_string())),
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.word())
            }
        }

        impl FromStr for $name {
            type Err = UnknownCode;

            fn from_str(text: &str) -> Result<Self, UnknownCode> {
                match text {
                    $($word => Ok(Self::$variant),)+
                    _ => Err(UnknownCode::new($what, text)),
                }
            }
        }
    };
}

codes! {
    /// What an app is doing, as its row says.
    RunStatus, "run status" {
        /// Idle: the last run ended by itself, or there was none.
        NotRunning = 0 "NOT_RUNNING",
        /// A run is under way.
        Running = 1 "RUNNING",
        /// Ended by STOP, DISABLE or a crash.
        Stopped = 2 "STOPPED",
    }
}

codes! {
    /// What a person or program asks of an app.
    CmdName, "command" {
        /// Run the app now.
        Start = 1 "START",
        /// End the run and do not start again by schedule.
        Stop = 2 "STOP",
        /// End the run, if there is one, and start anew.
        Restart = 3 "RESTART",
        /// Let the schedule start the app; clears a fatal flag.
        Enable = 4 "ENABLE",
        /// End the run and keep the app from being started.
        Disable = 5 "DISABLE",
    }
}

codes! {
    /// What became of a command.
    CmdFlag, "command flag" {
        /// Issued, no verdict yet.
        Pending = 0 "PENDING",
        /// Done.
        Executed = 1 "EXECUTED",
        /// Refused or failed; the ledger says why.
        NotExecuted = 2 "NOT_EXECUTED",
    }
}

codes! {
    /// What is wrong with an app.
    FatalFlag, "fatal flag" {
        /// The process could not be started, or keeps dying while starting.
        FailedToStart = 1 "FAILED_TO_START",
        /// The alert about it was delivered.
        AlertSent = 2 "ALERT_SENT",
        /// Repeated failures at run time; the app goes on unless it is to be given up.
        UnexpectedBehavior = 3 "UNEXPECTED_BEHAVIOR",
    }
}

codes! {
    /// How far a document has come in a stage.
    TaskStatus, "status of a document" {
        /// It is to be published, or waits for a route.
        Pending = 0 "PENDING",
        /// The broker has confirmed it; no worker has begun.
        Sent = 1 "SENT",
        /// A worker is at it.
        Running = 2 "RUNNING",
        /// The stage is done.
        Done = 3 "DONE",
        /// A try has failed; the worker's own retries go on.
        Failed = 4 "FAILED",
        /// It is not tried any more: the retries are over, or it could not be published for a day.
        Dead = 5 "DEAD",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_words_are_those_of_the_contract() {
        let commands: Vec<_> = CmdName::ALL.iter().map(|c| (c.code(), c.word())).collect();
        assert_eq!(commands, [(1, "START"), (2, "STOP"), (3, "RESTART"), (4, "ENABLE"), (5, "DISABLE")]);
        let statuses: Vec<_> = RunStatus::ALL.iter().map(|c| (c.code(), c.word())).collect();
        assert_eq!(statuses, [(0, "NOT_RUNNING"), (1, "RUNNING"), (2, "STOPPED")]);
        let flags: Vec<_> = CmdFlag::ALL.iter().map(|c| (c.code(), c.word())).collect();
        assert_eq!(flags, [(0, "PENDING"), (1, "EXECUTED"), (2, "NOT_EXECUTED")]);
        let statuses: Vec<_> = TaskStatus::ALL.iter().map(|c| (c.code(), c.word())).collect();
        assert_eq!(
            statuses,
            [(0, "PENDING"), (1, "SENT"), (2, "RUNNING"), (3, "DONE"), (4, "FAILED"), (5, "DEAD")]
        );
        for flag in FatalFlag::ALL {
            assert_eq!(FatalFlag::from_code(flag.code()).unwrap(), *flag);
            assert_eq!(flag.word().parse::<FatalFlag>().unwrap(), *flag);
        }
        assert!(RunStatus::from_code(3).is_err());
        assert!("start".parse::<CmdName>().is_err());
    }
}
