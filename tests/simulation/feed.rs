//! What others wrote into the database comes to the manager, as in `src/runtime/feed.rs`.

use dcm::manager::Event;

use crate::faults::Planted;
use crate::shell::overlook_always;
use crate::world::{Happening, World};

/// How often the database is looked at, in milliseconds.
const POLL: u64 = 1000;

impl World {
    /// What others wrote: commands are read first and told last.
    pub(crate) fn poll(&mut self, manager: u32) {
        let Some(last) = self.shell_of(manager).map(|shell| shell.last_command) else { return };
        let pause = if self.swarm.is_slow { self.random.between(0, POLL) } else { POLL };
        self.after(pause.max(50), Happening::Poll { manager });
        if self.database.can_read(self.time, &self.swarm, &mut self.random) {
            let commands = self.database.tables.pending(last);
            let moment = self.random.between(0, 3);
            self.after(moment, Happening::Rows { manager, commands });
        }
    }

    pub(crate) fn read_rows(&mut self, manager: u32, commands: Vec<dcm::model::Command>) {
        let Some(revision) = self.shell_of(manager).map(|shell| shell.revision) else { return };
        if !self.database.can_read(self.time, &self.swarm, &mut self.random) {
            return;
        }
        let mut delta = self.database.tables.changes_since(revision);
        let limits = self.database.tables.limits.clone();
        delta.removed.retain(|app| !delta.replaced.contains(app));
        if !delta.replaced.is_empty() {
            self.send(Event::AppsReplaced(delta.replaced));
        }
        if !delta.removed.is_empty() && self.planted != Some(Planted::OverlooksDeletions) {
            self.send(Event::AppsRemoved(delta.removed));
        }
        if self.planted == Some(Planted::OverlooksAlways) {
            overlook_always(&mut delta.rows);
        }
        if !delta.rows.is_empty() && self.planted != Some(Planted::LosesEdits) {
            self.send(Event::AppsChanged(delta.rows));
        }
        let mut fresh = Vec::new();
        let Some(shell) = self.shell_of(manager) else { return };
        shell.revision = delta.revision;
        for command in commands {
            if command.id > shell.last_command {
                shell.last_command = command.id;
                fresh.push(command);
            }
        }
        let has_new_limits = shell.limits != limits;
        shell.limits = limits.clone();
        for command in fresh {
            if !self.errs(Planted::LosesCommands, 200) {
                self.send(Event::Command(command));
            }
        }
        if has_new_limits {
            self.send(Event::LimitsChanged(limits));
        }
        if self.errs(Planted::RepeatsCommands, 300)
            && let Some(command) = self.oracle.some_settled_command()
        {
            self.send(Event::Command(command));
        }
    }
}
