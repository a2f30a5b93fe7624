//! What all screens share: the fleet, the database, the clock, the size of the terminal.

use std::time::Duration;

use super::fleet::Fleet;
use super::request::Ticket;
use super::sent::Sent;
use crate::model::{Now, Timestamp};

/// How long a remark stays in the footer.
const REMARK_STAYS: Duration = Duration::from_secs(6);

/// What all screens share.
#[derive(Debug)]
pub(super) struct World {
    pub(super) identity: Identity,
    pub(super) fleet: Fleet,
    pub(super) link: Link,
    /// How many managers live.
    pub(super) managers: Option<usize>,
    /// How many alerts are open, where that was asked.
    pub(super) alerts: Option<usize>,
    pub(super) sent: Option<Sent>,
    pub(super) remark: Option<Remark>,
    /// Columns and rows of the terminal.
    pub(super) size: (u16, u16),
    pub(super) now: Now,
    /// How far the clock of the database is ahead of ours: ages are told by it.
    pub(super) ahead: chrono::TimeDelta,
    tickets: u64,
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

impl World {
    pub(super) fn new(identity: Identity, size: (u16, u16), now: Now) -> Self {
        Self {
            identity,
            fleet: Fleet::default(),
            link: Link::Fresh,
            managers: None,
            alerts: None,
            sent: None,
            remark: None,
            size,
            now,
            ahead: chrono::TimeDelta::zero(),
            tickets: 0,
        }
    }

    /// The time of the database.
    pub(super) fn time(&self) -> Timestamp {
        self.now.wall + self.ahead
    }

    pub(super) fn say(&mut self, text: impl Into<String>) {
        self.remark = Some(Remark { text: text.into(), until: self.now.mono + REMARK_STAYS });
    }

    /// Why nothing can be changed from here now.
    pub(super) fn refusal(&self) -> Option<String> {
        match &self.link {
            _ if self.identity.is_read_only => Some("this console is read-only".to_owned()),
            Link::Lost { why, .. } => Some(format!("actions are off until the database answers: {why}")),
            Link::Up { .. } | Link::Fresh => None,
        }
    }

    /// A number for a question, by which its answer is known.
    pub(super) fn ticket(&mut self) -> Ticket {
        self.tickets += 1;
        Ticket(self.tickets)
    }

    /// Rows between header and footer.
    pub(super) fn body(&self) -> usize {
        usize::from(super::view::Places::of(self.size).body_rows())
    }
}
