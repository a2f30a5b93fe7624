//! The line of the footer that tells what became of the commands sent last.

use crate::model::{CmdFlag, CommandRow};

/// The commands that were sent together last.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Sent {
    pub(super) executed: usize,
    pub(super) refused: usize,
    pub(super) pending: usize,
    pub(super) what: String,
    /// Why the first refused one was refused.
    pub(super) reason: Option<String>,
}

impl Sent {
    pub(super) fn new(rows: &[CommandRow], what: String) -> Self {
        let count = |flag| rows.iter().filter(|row| row.flag == flag).count();
        Self {
            executed: count(CmdFlag::Executed),
            refused: count(CmdFlag::NotExecuted),
            pending: count(CmdFlag::Pending),
            what,
            reason: rows.iter().find_map(|row| row.reason.clone()),
        }
    }
}
