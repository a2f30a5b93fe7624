//! What can be seen of a run from outside. An error says that a look failed and nothing about the run: only
//! what the system says is gone is gone.

use std::io;

use super::journal::{self, Journal, Lock};
use super::layout::RunDir;
use super::record::Identity;
use super::sys;
use crate::model::{Exit, RunId};

/// Looks at runs. Each call is one look, and between two of them anything may happen: a conclusion that
/// something is over needs the look at who could still write first, and at what was written after it.
pub(super) trait Looker {
    /// Whether a process of the run holds its lock.
    fn lock(&self, dir: &RunDir) -> io::Result<Lock>;

    /// What is on record; `None` when there is no journal, or nothing in it.
    fn journal(&self, dir: &RunDir) -> io::Result<Option<Journal>>;

    /// Whether this very process is running.
    fn is_alive(&self, process: Identity) -> io::Result<bool>;

    /// How a process ended that this one has reaped; `None` where it was the child of another.
    fn exit_of(&self, process: Identity) -> Option<Exit>;

    /// Whether any process says by its environment that it belongs to the run.
    fn has_processes(&self, run: RunId) -> io::Result<bool>;
}

/// Looks at this host.
pub(super) struct Host;

impl Looker for Host {
    fn lock(&self, dir: &RunDir) -> io::Result<Lock> {
        journal::lock(dir)
    }

    fn journal(&self, dir: &RunDir) -> io::Result<Option<Journal>> {
        journal::read(dir)
    }

    fn is_alive(&self, process: Identity) -> io::Result<bool> {
        sys::is_alive(process)
    }

    fn exit_of(&self, process: Identity) -> Option<Exit> {
        sys::exit_of(process)
    }

    fn has_processes(&self, run: RunId) -> io::Result<bool> {
        sys::has_processes(&run.to_string())
    }
}
