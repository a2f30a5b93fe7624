//! The ledger of commands in memory.

use super::Tables;
use crate::model::{
    AppRef, CmdFlag, Command, CommandId, CommandRow, CommandSource, LastCommand, NewCommand, Request,
    Timestamp, Verdict,
};
use crate::store::LedgerQuery;

#[derive(Debug, Clone)]
pub(super) struct LedgerRow {
    pub(super) command: Command,
    source: CommandSource,
    pub(super) batch: Option<String>,
    note: Option<String>,
    pub(super) verdict: Option<(Verdict, Timestamp)>,
    /// The message by which it came.
    pub(super) request: Option<Request>,
}

impl Tables {
    /// Enters a command; the counterpart of `OperatorStore::submit`.
    pub fn submit(&mut self, new: &NewCommand) -> CommandId {
        let known = |row: &&LedgerRow| {
            new.batch.is_some()
                && row.batch == new.batch
                && row.command.app == Some(new.app)
                && row.command.name == new.name
        };
        if let Some(row) = self.commands.iter().find(known) {
            return row.command.id;
        }
        let id = CommandId(self.commands.last().map_or(0, |row| row.command.id.0) + 1);
        self.commands.push(LedgerRow {
            command: Command {
                id,
                app: Some(new.app),
                name: new.name,
                args: new.args.clone(),
                by: new.by.clone(),
                time: new.time,
                expires: new.expires,
                fault: None,
            },
            source: new.source,
            batch: new.batch.clone(),
            note: new.note.clone(),
            verdict: None,
            request: None,
        });
        if let Some(row) = self.apps.get_mut(&new.app) {
            row.command = Some(LastCommand {
                id: Some(id),
                name: new.name,
                flag: CmdFlag::Pending,
                by: Some(new.by.clone()),
                time: Some(new.time),
                executed: None,
            });
            self.touch(new.app);
        }
        id
    }

    pub(super) fn settle(&mut self, id: CommandId, verdict: &Verdict, at: Timestamp) {
        let Some(row) = usize::try_from(id.0 - 1).ok().and_then(|index| self.commands.get_mut(index)) else {
            return;
        };
        if row.verdict.is_some() {
            return;
        }
        row.verdict = Some((verdict.clone(), at));
        let app = row.command.app;
        self.answer(id);
        let Some(app) = app else { return };
        if let Some(command) = self
            .apps
            .get_mut(&app)
            .and_then(|row| row.command.as_mut())
            .filter(|command| command.id == Some(id))
        {
            command.flag = verdict.flag();
            command.executed = Some(at);
            self.touch(app);
        }
    }

    /// Commands without a verdict after `last`.
    #[must_use]
    pub fn pending(&self, last: CommandId) -> Vec<Command> {
        self.commands
            .iter()
            .filter(|row| row.verdict.is_none() && row.command.id > last)
            .map(|row| row.command.clone())
            .collect()
    }

    /// The verdict on a command, once it has one.
    #[must_use]
    pub fn verdict(&self, id: CommandId) -> Option<&Verdict> {
        let row = usize::try_from(id.0 - 1).ok().and_then(|index| self.commands.get(index))?;
        row.verdict.as_ref().map(|(verdict, _)| verdict)
    }

    pub(super) fn ledger(&self, query: &LedgerQuery) -> Vec<CommandRow> {
        let by = query.by.as_ref().map(|by| by.to_lowercase());
        let is_meant = |row: &&LedgerRow| {
            let command = &row.command;
            query.app.is_none_or(|app| command.app == Some(app))
                && by.as_ref().is_none_or(|by| command.by.to_lowercase().contains(by))
                && query.name.is_none_or(|name| command.name == name)
                && query.since.is_none_or(|since| command.time >= since)
                && query.batch.as_ref().is_none_or(|batch| row.batch.as_ref() == Some(batch))
                && query.before.is_none_or(|before| command.id < before)
        };
        let newest = self.commands.iter().rev().filter(is_meant);
        newest.take(query.limit as usize).map(Self::command_row).collect()
    }

    pub(super) fn command_row(row: &LedgerRow) -> CommandRow {
        CommandRow {
            id: row.command.id,
            app: row.command.app.map_or_else(|| AppRef::from(""), AppRef::from),
            name: row.command.name,
            flag: row.verdict.as_ref().map_or(CmdFlag::Pending, |(verdict, _)| verdict.flag()),
            by: row.command.by.clone(),
            source: row.source.into(),
            time: row.command.time,
            executed: row.verdict.as_ref().map(|(_, at)| *at),
            reason: row.verdict.as_ref().and_then(|(verdict, _)| verdict.reason().cloned()),
            batch: row.batch.clone(),
            note: row.note.clone(),
        }
    }
}
