//! Commands: what people and programs ask of apps, and the verdicts.

use super::vocabulary::words;
use super::{AppId, AppRef, CmdFlag, CmdName, CommandId, Reason, Timestamp, Word};

words! {
    /// The way by which a command came.
    CommandSource {
        /// An UPDATE of the apps table.
        Apps = "apps",
        /// The command line.
        Cli = "cli",
        /// The console.
        Console = "console",
        /// RabbitMQ.
        Rabbitmq = "rabbitmq",
    }
}

/// A command that is to be entered into the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewCommand {
    /// For which app.
    pub app: AppId,
    /// What is asked.
    pub name: CmdName,
    /// Arguments for the app, as JSON; START and RESTART only.
    pub args: Option<String>,
    /// Who asks.
    pub by: String,
    /// By which way.
    pub source: CommandSource,
    /// When it was issued.
    pub time: Timestamp,
    /// After this moment it is not carried out any more.
    pub expires: Option<Timestamp>,
    /// The name of the commands that are sent together with it.
    pub batch: Option<String>,
    /// Why it is sent, for people.
    pub note: Option<String>,
}

/// A command without a verdict, as the manager takes it from the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// Its number in the ledger.
    pub id: CommandId,
    /// For which app; `None` when the row names none.
    pub app: Option<AppId>,
    /// What is asked.
    pub name: CmdName,
    /// Arguments for the app, as JSON.
    pub args: Option<String>,
    /// Who asks.
    pub by: String,
    /// When it was issued.
    pub time: Timestamp,
    /// After this moment it is not carried out any more.
    pub expires: Option<Timestamp>,
    /// Why it cannot be carried out at all: something in its row cannot be read.
    pub fault: Option<&'static str>,
}

/// What became of a command: exactly one for each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Done.
    Executed,
    /// STOP of an app of which nothing ran: it is stopped now, and not scheduled.
    WasNotRunning,
    /// Refused or failed, and why.
    NotExecuted(Reason),
}

impl Verdict {
    /// The code for the database.
    #[must_use]
    pub fn flag(&self) -> CmdFlag {
        match self {
            Self::Executed | Self::WasNotRunning => CmdFlag::Executed,
            Self::NotExecuted(_) => CmdFlag::NotExecuted,
        }
    }

    /// Why it was not executed, or what there was to do.
    #[must_use]
    pub fn reason(&self) -> Option<&Reason> {
        match self {
            Self::Executed => None,
            Self::WasNotRunning => Some(&Reason::WasNotRunning),
            Self::NotExecuted(reason) => Some(reason),
        }
    }
}

/// A row of the ledger, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandRow {
    /// Its number.
    pub id: CommandId,
    /// For which app.
    pub app: AppRef,
    /// What was asked.
    pub name: CmdName,
    /// Whether it is pending, executed or not.
    pub flag: CmdFlag,
    /// Who asked.
    pub by: String,
    /// By which way.
    pub source: Word<CommandSource>,
    /// When it was issued.
    pub time: Timestamp,
    /// When the verdict fell.
    pub executed: Option<Timestamp>,
    /// Why it was not executed.
    pub reason: Option<Reason>,
    /// The name of the commands that were sent together with it.
    pub batch: Option<String>,
    /// Why it was sent, for people.
    pub note: Option<String>,
}

impl CommandRow {
    /// The reason in words; empty where there is none.
    #[must_use]
    pub fn reason_text(&self) -> String {
        self.reason.as_ref().map(ToString::to_string).unwrap_or_default()
    }
}
