//! What is known when a manager or a console begins.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::{
    AppId, Closing, Command, CommandId, OpenFleetAlert, Part, Registered, Revision, RunId, StopCause,
    Timestamp, Trigger,
};

/// All that a manager needs from the database to begin.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Snapshot {
    /// Every row of the apps table.
    pub apps: Vec<Registered>,
    /// Every run without an end.
    pub open_runs: Vec<OpenRun>,
    /// Every command without a verdict, oldest first.
    pub commands: Vec<Command>,
    /// How many apps may run at once.
    pub limits: Limits,
    /// Apps of which the host still knows runs, and which are another manager's by now.
    pub elsewhere: BTreeSet<AppId>,
    /// Apps whose rows were deleted and are not there again.
    pub removed: BTreeSet<AppId>,
    /// Apps about whose reports an alert is open.
    pub bad_reports: BTreeSet<AppId>,
    /// Apps about whose locked rows one is.
    pub locked_rows: BTreeSet<AppId>,
    /// The open alerts about the fleet that are this manager's to close.
    pub fleet_alerts: Vec<OpenFleetAlert>,
    /// The state of the apps table that this is.
    pub revision: Revision,
}

/// A run without an end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenRun {
    /// Its id.
    pub run: RunId,
    /// Whose.
    pub app: AppId,
    /// When it began.
    pub start: Timestamp,
    /// When it was due.
    pub due: Option<Timestamp>,
    /// Why it was begun.
    pub trigger: Trigger,
    /// Which try it is.
    pub attempt: u32,
    /// The command that asked for it.
    pub command: Option<CommandId>,
    /// Its main process, where that was entered.
    pub pid: Option<u32>,
    /// Who runs it: a manager, or `run-app@HOST`.
    pub manager: Option<String>,
}

/// A run that the host still knows of, found by its run directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Survivor {
    /// Its id.
    pub run: RunId,
    /// Whose.
    pub app: AppId,
    /// Its main process, where it noted one.
    pub pid: Option<u32>,
    /// How it is.
    pub state: SurvivorState,
}

/// How a run is that was found on the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SurvivorState {
    /// Its process lives.
    Running {
        /// The main process; 0 where it is not known.
        pid: u32,
        /// When it began.
        started: Timestamp,
        /// Who is ending it right now.
        stop: Option<StopCause>,
    },
    /// It ended, was lost, or never began.
    Over(Closing),
}

/// How many apps may run at once; what is not in it is not limited.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Limits {
    /// The manager starts nothing new.
    pub draining: bool,
    /// On this host.
    pub host: Option<u32>,
    /// In a group.
    pub groups: BTreeMap<Part, u32>,
    /// In a parent of a group.
    pub parents: BTreeMap<(Part, Part), u32>,
}

/// For people: `at most 200 on this host, 5 of croatia, 2 of croatia/fina`.
impl fmt::Display for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = self.host.map(|limit| format!("{limit} on this host"));
        let groups = self.groups.iter().map(|(group, limit)| format!("{limit} of {group}"));
        let parents =
            self.parents.iter().map(|((group, parent), limit)| format!("{limit} of {group}/{parent}"));
        let all: Vec<_> = host.into_iter().chain(groups).chain(parents).collect();
        match (self.draining, all.as_slice()) {
            (true, _) => f.write_str("draining, nothing is started"),
            (false, []) => f.write_str("none"),
            (false, all) => write!(f, "at most {}", all.join(", ")),
        }
    }
}

/// What changed in the apps table since some revision.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Delta {
    /// Rows that are new or changed, in the order of their changes.
    pub rows: Vec<Registered>,
    /// Rows that are gone. One that was registered again since then is among the rows as well:
    /// these come first.
    pub removed: Vec<AppId>,
    /// Those of them that were registered again.
    pub replaced: Vec<AppId>,
    /// The state of the table after it.
    pub revision: Revision,
    /// Whether more follows right away: pages keep one answer small.
    pub more: bool,
}

/// What others changed that concerns a manager.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Foreign {
    /// Rows of its apps.
    pub rows: Vec<Registered>,
    /// Apps whose rows are gone.
    pub removed: Vec<AppId>,
    /// Those of them that were registered again.
    pub replaced: Vec<AppId>,
    /// Apps that changed their manager. Those that are this one's now are among the rows as well: these
    /// come first.
    pub lost: Vec<AppId>,
    /// Whether some of the rows were not its own before: commands for them may have waited long.
    pub gained: bool,
    /// Whether there are apps that belong to nobody and are to be this manager's.
    pub claimable: bool,
    /// The state of the table after it.
    pub revision: Revision,
    /// Whether more follows right away.
    pub more: bool,
}

/// What others wrote for a manager, read in one look.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct News {
    /// Commands without a verdict that were not handed out before.
    pub commands: Vec<Command>,
    /// In a thorough look: of those that were handed out, the ones that still have no verdict.
    pub pending: Option<BTreeSet<CommandId>>,
    /// Changes of the apps table.
    pub foreign: Foreign,
    /// The limits, in a thorough look.
    pub limits: Option<Limits>,
    /// In a thorough look: its apps at whose log somebody looks from another host.
    pub wanted_logs: Vec<AppId>,
}

impl News {
    /// Of all commands without a verdict, those that were not handed out before, and which of the others remain.
    #[must_use]
    pub fn of_all_pending(commands: Vec<Command>, handed: &[CommandId]) -> Self {
        let handed: BTreeSet<_> = handed.iter().copied().collect();
        let (known, commands): (Vec<_>, Vec<_>) =
            commands.into_iter().partition(|command| handed.contains(&command.id));
        let pending = known.into_iter().map(|command| command.id).collect();
        Self { commands, pending: Some(pending), ..Self::default() }
    }
}

impl From<Delta> for Foreign {
    /// Where there is one manager, all apps are its own.
    fn from(delta: Delta) -> Self {
        let Delta { rows, removed, replaced, revision, more } = delta;
        Self { rows, removed, replaced, revision, more, ..Self::default() }
    }
}
