//! Commands that were sent together: how far they are, what became of them, and how an ENABLE or
//! DISABLE is undone.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use super::fleet::Fleet;
use super::request::{Request, Ticket};
use crate::model::{AppId, CmdFlag, CmdName, CommandId, CommandRow, Reason};
use crate::store::StoreError;

/// Without any verdict for so long, nobody seems to be there.
const SILENCE: Duration = Duration::from_secs(15);

/// What went well is told for so long, what did not for longer.
const STAYS: Duration = Duration::from_secs(15);

/// How fast the commands of a batch are sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Pace {
    #[default]
    All,
    /// The next ten when the ten before have their verdicts.
    Tens,
    Ones,
}

impl Pace {
    pub(super) const ALL: [Self; 3] = [Self::All, Self::Tens, Self::Ones];

    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Tens => "10 at a time",
            Self::Ones => "1 by 1",
        }
    }

    const fn count(self) -> usize {
        match self {
            Self::All => usize::MAX,
            Self::Tens => 10,
            Self::Ones => 1,
        }
    }
}

/// What is to be sent.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Order {
    pub(super) name: CmdName,
    pub(super) apps: Vec<AppId>,
    /// As the apps are called together.
    pub(super) what: String,
    /// Why, for the audit.
    pub(super) note: Option<String>,
    pub(super) pace: Pace,
    /// When more than this share of the verdicts is bad, the rest is not sent. In percent.
    pub(super) stop_at: Option<u8>,
}

/// Commands that were sent together.
#[derive(Debug)]
pub(super) struct Batch {
    ticket: Ticket,
    pub(super) order: Order,
    queue: VecDeque<AppId>,
    rows: BTreeMap<CommandId, CommandRow>,
    /// So many were given to the worker, which has not said whether they are in the ledger.
    unsure: usize,
    sent: Duration,
    /// Why the rest is not sent.
    pub(super) halted: Option<String>,
    /// Which apps were disabled before.
    before: Vec<(AppId, bool)>,
}

/// What became of a batch so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Score {
    pub(super) executed: usize,
    pub(super) refused: usize,
    pub(super) pending: usize,
    /// Not sent yet.
    pub(super) waiting: usize,
}

impl Batch {
    pub(super) fn new(ticket: Ticket, order: Order, fleet: &Fleet, now: Duration) -> Self {
        let disabled = |id: &AppId| fleet.by_id(*id).map(|row| (*id, row.disabled));
        Self {
            ticket,
            queue: order.apps.iter().copied().collect(),
            rows: BTreeMap::new(),
            unsure: 0,
            sent: now,
            halted: None,
            before: order.apps.iter().filter_map(disabled).collect(),
            order,
        }
    }

    /// The next commands to be sent, if it is time for them.
    pub(super) fn next(&mut self, now: Duration) -> Option<Request> {
        let score = self.score();
        if self.queue.is_empty() || self.unsure > 0 || score.pending > 0 || self.halted.is_some() {
            return None;
        }
        let verdicts = score.executed + score.refused;
        if let Some(stop_at) = self.order.stop_at
            && verdicts > 0
            && score.refused * 100 > verdicts * usize::from(stop_at)
        {
            self.halt(format!("more than {stop_at}% failed"));
            return None;
        }
        let count = self.queue.len().min(self.order.pace.count());
        let apps: Vec<_> = self.queue.drain(..count).collect();
        self.unsure = apps.len();
        self.sent = now;
        Some(Request::Submit {
            ticket: self.ticket,
            name: self.order.name,
            apps,
            note: self.order.note.clone(),
        })
    }

    /// Nothing more is sent.
    pub(super) fn halt(&mut self, why: String) {
        self.halted = Some(why);
    }

    pub(super) fn is_under_way(&self) -> bool {
        let score = self.score();
        self.unsure > 0 || score.pending > 0 || (score.waiting > 0 && self.halted.is_none())
    }

    /// The worker has entered commands into the ledger, or failed to.
    pub(super) fn submitted(&mut self, ticket: Ticket, result: &Result<Vec<CommandRow>, StoreError>) -> bool {
        if self.ticket != ticket {
            return false;
        }
        self.unsure = 0;
        match result {
            Ok(rows) => self.rows.extend(rows.iter().map(|row| (row.id, row.clone()))),
            Err(why) => self.halt(why.to_string()),
        }
        true
    }

    /// Verdicts have come.
    pub(super) fn learn(&mut self, rows: &[CommandRow]) {
        for row in rows {
            if let Some(own) = self.rows.get_mut(&row.id) {
                own.clone_from(row);
            }
        }
    }

    pub(super) fn score(&self) -> Score {
        let count = |flag| self.rows.values().filter(|row| row.flag == flag).count();
        Score {
            executed: count(CmdFlag::Executed),
            refused: count(CmdFlag::NotExecuted),
            pending: count(CmdFlag::Pending),
            waiting: self.queue.len(),
        }
    }

    /// Why the first refused one was refused.
    pub(super) fn reason(&self) -> Option<&Reason> {
        let mut refused = self.rows.values().filter(|row| row.flag == CmdFlag::NotExecuted);
        refused.find_map(|row| row.reason.as_ref())
    }

    /// Whether it is still to be told of: until all is well for a while.
    pub(super) fn is_news(&self, now: Duration) -> bool {
        let stays = if self.score().refused > 0 || self.halted.is_some() { STAYS * 4 } else { STAYS };
        self.is_under_way() || now < self.sent + stays
    }

    /// For how long no manager has taken what is pending, once that is strange.
    pub(super) fn silence(&self, now: Duration) -> Option<Duration> {
        let silent = now.saturating_sub(self.sent);
        (self.score().pending > 0 && silent >= SILENCE).then_some(silent)
    }

    /// One of the apps for which nobody has given a verdict.
    pub(super) fn waits_for(&self) -> Option<AppId> {
        self.rows.values().find(|row| row.flag == CmdFlag::Pending)?.app.id()
    }

    /// Whether it can be undone.
    pub(super) fn is_undoable(&self) -> bool {
        matches!(self.order.name, CmdName::Enable | CmdName::Disable) && !self.rows.is_empty()
    }

    /// What gives each app its former value again. Apps that somebody else has changed since then are
    /// left alone, and named.
    pub(super) fn undo(&self, fleet: &Fleet) -> Undo {
        let now_disabled = self.order.name == CmdName::Disable;
        let mut undo = Undo {
            name: if now_disabled { CmdName::Enable } else { CmdName::Disable },
            apps: Vec::new(),
            changed_since: Vec::new(),
        };
        // Looked up for each app, so that all of the fleet is undone within one key press.
        let sent: BTreeSet<AppId> = self.rows.values().filter_map(|command| command.app.id()).collect();
        for (id, was_disabled) in &self.before {
            let Some(row) = fleet.by_id(*id) else { continue };
            let is_ours = row
                .command
                .as_ref()
                .and_then(|command| command.id)
                .is_none_or(|command| self.rows.contains_key(&command));
            if !sent.contains(id) || *was_disabled == now_disabled {
                // Nothing was done to it, or it was so before.
            } else if !is_ours || row.disabled != now_disabled {
                undo.changed_since.push(row.path.to_string());
            } else {
                undo.apps.push(*id);
            }
        }
        undo
    }
}

/// How an action is undone.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Undo {
    pub(super) name: CmdName,
    pub(super) apps: Vec<AppId>,
    /// Somebody changed them since.
    pub(super) changed_since: Vec<String>,
}

#[cfg(test)]
mod tests;
