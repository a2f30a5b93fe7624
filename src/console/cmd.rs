//! What the console wants done outside.

use crate::model::{AppPath, CmdName};

/// Something that takes time or ends the console.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Cmd {
    /// Enter commands into the ledger.
    Submit { name: CmdName, apps: Vec<AppPath> },
    /// Read the log of an app, and go on with it.
    OpenLog(AppPath),
    /// The log is not shown any more.
    CloseLog,
    /// Draw everything anew.
    Redraw,
    /// Stand still until the shell lets this job go on.
    Suspend,
    /// Leave the console.
    Leave(Leave),
}

/// How a console was left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leave {
    /// By a client: nothing else changes.
    Client,
    /// The manager of this process is to go on without a console.
    Headless,
    /// The manager of this process is to end; its apps run on.
    Stop,
    /// The terminal went away.
    HungUp,
    /// This signal asked the process to end.
    Interrupted(i32),
}
