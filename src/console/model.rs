//! The state of the console: plain data.

use std::time::Duration;

use super::confirm::Confirm;
use super::fleet::Fleet;
use super::log::LogView;
use super::sent::Sent;
use super::tree::Tree;
use crate::model::{Now, Timestamp};

/// How long a remark stays in the footer.
pub(super) const REMARK_STAYS: Duration = Duration::from_secs(6);

/// Everything that the console shows and remembers.
#[derive(Debug)]
pub(super) struct Model {
    pub(super) identity: Identity,
    pub(super) fleet: Fleet,
    pub(super) tree: Tree,
    pub(super) focus: Focus,
    pub(super) link: Link,
    pub(super) managers: Option<usize>,
    pub(super) sent: Option<Sent>,
    pub(super) remark: Option<Remark>,
    /// Columns and rows of the terminal.
    pub(super) size: (u16, u16),
    pub(super) now: Now,
    /// How far the clock of the database is ahead of ours: ages are told by it.
    pub(super) ahead: chrono::TimeDelta,
    /// ^c was pressed at this time; pressed again soon, it leaves.
    pub(super) quit_asked: Option<Duration>,
}

/// Who looks at what.
#[derive(Debug, Clone)]
pub(super) struct Identity {
    /// The database, without a password.
    pub(super) database: String,
    pub(super) user: String,
    /// The manager lives in this process.
    pub(super) is_attached: bool,
    /// Nothing can be changed from here.
    pub(super) is_read_only: bool,
}

/// What the keys go to.
#[derive(Debug)]
pub(super) enum Focus {
    Fleet,
    /// The filter is being typed; holds the one before, for esc.
    Filter {
        text: String,
        before: String,
    },
    Confirm(Confirm),
    /// How to leave an attached console.
    Leave {
        opened: Duration,
    },
    Help {
        top: usize,
    },
    Log(LogView),
}

/// Whether the database answers.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Link {
    /// Not asked yet.
    Fresh,
    /// It answered at this time.
    Up { read: Timestamp },
    /// It does not.
    Lost { since: Duration, last: Option<Timestamp>, why: String },
}

/// A word to the person, for a while.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Remark {
    pub(super) text: String,
    pub(super) until: Duration,
}

impl Model {
    pub(super) fn new(identity: Identity, size: (u16, u16), now: Now, filter: &str) -> Self {
        let fleet = Fleet::default();
        let mut tree = Tree::default();
        tree.set_filter(filter, &fleet);
        Self {
            identity,
            fleet,
            tree,
            focus: Focus::Fleet,
            link: Link::Fresh,
            managers: None,
            sent: None,
            remark: None,
            size,
            now,
            ahead: chrono::TimeDelta::zero(),
            quit_asked: None,
        }
    }

    /// The time of the database.
    pub(super) fn time(&self) -> Timestamp {
        self.now.wall + self.ahead
    }

    pub(super) fn say(&mut self, text: impl Into<String>) {
        self.remark = Some(Remark { text: text.into(), until: self.now.mono + REMARK_STAYS });
    }

    /// Rows of the tree that fit on the screen.
    pub(super) fn page(&self) -> usize {
        usize::from(self.size.1.saturating_sub(super::view::FRAME_ROWS)).max(1)
    }
}
