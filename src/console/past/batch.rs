//! Commands as they were sent: those of one keystroke are one row.

use std::collections::BTreeMap;

use chrono::TimeDelta;

use super::parse_span;
use crate::model::{CmdFlag, CmdName, CommandRow, CommandSource, Reason, Timestamp, Word};
use crate::store::LedgerQuery;

/// Commands that were sent together.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::console) struct Batch {
    /// Tells it from others, also when more of it is read.
    pub(in crate::console) key: String,
    pub(in crate::console) name: CmdName,
    pub(in crate::console) by: String,
    pub(in crate::console) source: Word<CommandSource>,
    pub(in crate::console) time: Timestamp,
    pub(in crate::console) note: Option<String>,
    /// The commands, in the order in which they were sent.
    pub(in crate::console) commands: Vec<CommandRow>,
    pub(in crate::console) executed: usize,
    pub(in crate::console) refused: usize,
    pub(in crate::console) pending: usize,
}

impl Batch {
    /// From the first command to the last verdict, once all have one.
    pub(in crate::console) fn took(&self) -> Option<TimeDelta> {
        if self.pending > 0 {
            return None;
        }
        self.commands.iter().filter_map(|command| command.executed).max().map(|last| last - self.time)
    }

    /// Why the first that was refused was refused.
    pub(in crate::console) fn reason(&self) -> Option<&Reason> {
        let mut refused = self.commands.iter().filter(|command| command.flag == CmdFlag::NotExecuted);
        refused.find_map(|command| command.reason.as_ref())
    }

    /// What would take it back: enable and disable alone have an opposite.
    pub(in crate::console) fn opposite(&self) -> Option<CmdName> {
        match self.name {
            CmdName::Enable => Some(CmdName::Disable),
            CmdName::Disable => Some(CmdName::Enable),
            CmdName::Start | CmdName::Stop | CmdName::Restart => None,
        }
    }
}

/// Puts commands together that were sent together; both come newest first.
pub(in crate::console) fn batches(commands: &[CommandRow]) -> Vec<Batch> {
    let mut places: BTreeMap<String, usize> = BTreeMap::new();
    let mut found: Vec<Batch> = Vec::new();
    for command in commands {
        // Programs that know no batches send their commands at one moment.
        let key = command.batch.clone().map_or_else(
            || format!("{} {} {} {}", command.by, command.source, command.name, command.time),
            |batch| format!("{} {batch}", command.name),
        );
        let place = *places.entry(key.clone()).or_insert_with(|| {
            found.push(Batch {
                key,
                name: command.name,
                by: command.by.clone(),
                source: command.source.clone(),
                time: command.time,
                note: None,
                commands: Vec::new(),
                executed: 0,
                refused: 0,
                pending: 0,
            });
            found.len() - 1
        });
        let batch = &mut found[place];
        match command.flag {
            CmdFlag::Executed => batch.executed += 1,
            CmdFlag::NotExecuted => batch.refused += 1,
            CmdFlag::Pending => batch.pending += 1,
        }
        batch.time = batch.time.min(command.time);
        batch.note = batch.note.take().or_else(|| command.note.clone());
        batch.commands.push(command.clone());
    }
    for batch in &mut found {
        batch.commands.reverse();
    }
    found
}

/// What is looked for: `who:ana cmd:stop since:1d`, and words that the app's name must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::console) struct LedgerFilter {
    by: Option<String>,
    name: Option<CmdName>,
    since: Option<TimeDelta>,
    words: Vec<String>,
    /// A word that means nothing.
    pub(in crate::console) fault: Option<String>,
}

impl LedgerFilter {
    pub(in crate::console) fn parse(text: &str) -> Self {
        let mut filter = Self::default();
        for word in text.split_whitespace() {
            match word.split_once(':') {
                Some(("who", by)) => filter.by = (!by.is_empty()).then(|| by.to_owned()),
                Some(("cmd", name)) => match command(name) {
                    Some(name) => filter.name = Some(name),
                    None => filter.fault = Some(word.to_owned()),
                },
                Some(("since", span)) => match parse_span(span) {
                    Some(span) => filter.since = Some(span),
                    None => filter.fault = Some(word.to_owned()),
                },
                Some(_) => filter.fault = Some(word.to_owned()),
                None => filter.words.push(word.to_lowercase()),
            }
        }
        filter
    }

    /// What the database is asked.
    pub(in crate::console) fn query(&self, now: Timestamp, limit: u32) -> LedgerQuery {
        LedgerQuery {
            by: self.by.clone(),
            name: self.name,
            since: self.since.and_then(|since| now.checked_sub_signed(since)),
            limit,
            ..LedgerQuery::default()
        }
    }

    /// Whether an app is meant, by its path.
    pub(in crate::console) fn holds(&self, path: &str) -> bool {
        let path = path.to_lowercase();
        self.words.iter().all(|word| path.contains(word))
    }
}

/// By its name or the beginning of it; half a name that is typed is none yet.
fn command(name: &str) -> Option<CmdName> {
    let names = [CmdName::Start, CmdName::Stop, CmdName::Restart, CmdName::Enable, CmdName::Disable];
    let name = name.to_uppercase();
    let mut found =
        names.into_iter().filter(|known| !name.is_empty() && known.to_string().starts_with(&name));
    let first = found.next()?;
    found.next().is_none().then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{CommandId, parse_timestamp};

    fn command(id: i64, flag: CmdFlag, batch: Option<&str>, time: &str) -> CommandRow {
        let time = parse_timestamp(time).unwrap();
        CommandRow {
            id: CommandId(id),
            app: "x".into(),
            name: CmdName::Stop,
            flag,
            by: "ana".to_owned(),
            source: CommandSource::Console.into(),
            time,
            executed: (flag != CmdFlag::Pending).then(|| time + TimeDelta::seconds(id)),
            reason: (flag == CmdFlag::NotExecuted).then_some(Reason::NotRunning),
            batch: batch.map(str::to_owned),
            note: batch.map(|_| "proxy ban".to_owned()),
        }
    }

    #[test]
    fn what_was_sent_together_is_one_row() {
        let (early, late) = ("2026-11-23T14:00:00Z", "2026-11-23T14:00:09Z");
        let rows = [
            command(6, CmdFlag::Pending, Some("b1"), late),
            command(5, CmdFlag::Executed, None, late),
            command(4, CmdFlag::NotExecuted, Some("b1"), early),
            command(3, CmdFlag::Executed, None, early),
            command(2, CmdFlag::Executed, None, early),
            command(1, CmdFlag::Executed, Some("b1"), early),
        ];
        let found = batches(&rows);
        let ids: Vec<Vec<_>> =
            found.iter().map(|batch| batch.commands.iter().map(|command| command.id.0).collect()).collect();
        assert_eq!(ids, [vec![1, 4, 6], vec![5], vec![2, 3]], "also when it was sent in waves");
        let first = &found[0];
        assert_eq!((first.executed, first.refused, first.pending), (1, 1, 1));
        assert_eq!((first.reason(), first.note.as_deref()), (Some(&Reason::NotRunning), Some("proxy ban")));
        assert_eq!((first.took(), found[2].took()), (None, Some(TimeDelta::seconds(3))));
        assert_eq!(batches(&[]), []);
    }

    #[test]
    fn the_filter_asks_the_database_what_it_can() {
        let now = parse_timestamp("2026-11-23T14:00:00Z").unwrap();
        let filter = LedgerFilter::parse("who:an cmd:sto since:1d Fina");
        let query = filter.query(now, 10);
        assert_eq!((query.by.as_deref(), query.name), (Some("an"), Some(CmdName::Stop)));
        assert_eq!(query.since, Some(now - TimeDelta::days(1)));
        assert!(filter.holds("croatia/fina/companies") && !filter.holds("croatia/court"));
        assert_eq!(filter.fault, None);
        for (text, fault) in
            [("cmd:st", "cmd:st"), ("since:soon", "since:soon"), ("at:9", "at:9"), ("cmd:", "cmd:")]
        {
            assert_eq!(LedgerFilter::parse(text).fault.as_deref(), Some(fault));
        }
        assert_eq!(LedgerFilter::parse("who: ").query(now, 10).by, None);
    }
}
