//! `dcm demo` where there is no terminal: the same fleet for a while, its events as lines, its table at the end.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::sync::mpsc::unbounded_channel;
use tokio::time::{Instant, sleep, sleep_until};

use crate::cli::args::{SelectorsArgs, StatusArgs};
use crate::cli::attached::Manager;
use crate::cli::error::Error;
use crate::cli::logging::{self, Stderr};
use crate::cli::session::{Fleet, Session, block_on};
use crate::cli::{format, output, status};
use crate::model::{AppId, CmdFlag, CommandId, CommandRow, Run, RunId, Timestamp};
use crate::process::{on_hangup, on_termination};
use crate::store::{HistoryQuery, LedgerQuery, OpenMode, OperatorStore};

/// Changes that come together are told together.
const TOGETHER: Duration = Duration::from_millis(200);

/// Runs and commands that are looked at after a change: more than the fleet has in that time.
const PAGE: u32 = 200;

/// The number of the signal that a closed terminal sends.
const HANGUP: i32 = 1;

/// Runs the fleet for so long, or until a signal or the end of the reader; gives back the exit code.
pub(super) fn run(session: &Session, length: Duration) -> Result<u8, Error> {
    let (signals, mut asked) = unbounded_channel();
    let hangups = signals.clone();
    // The receiver may have ended with the demo.
    on_termination(move |signal| {
        let _ = signals.send(signal);
    })?;
    on_hangup(move || {
        let _ = hangups.send(HANGUP);
    })?;
    let _guard = logging::begin(&session.settings, Stderr::Untouched)?;
    let manager = Manager::start(session)?
        .ok_or_else(|| Error::failed("another manager serves the demo already; it goes on"))?;
    let store = session.store(OpenMode::Existing)?;
    let signal = block_on(async {
        let end = Instant::now() + length;
        let mut changed = store.changed();
        let mut events = Events::default();
        output::line(format_args!(
            "the demo runs for {} s without a terminal; its events:",
            length.as_secs()
        ));
        loop {
            changed.mark_unchanged();
            if !output::lines(events.news(store.as_ref()).await?) {
                return Ok(None);
            }
            tokio::select! {
                signal = asked.recv() => return Ok(signal),
                () = sleep_until(end) => return Ok(None),
                _ = changed.changed() => sleep(TOGETHER.min(end - Instant::now())).await,
            }
        }
    });
    if matches!(signal, Ok(None)) {
        status::status(
            session,
            &StatusArgs { which: SelectorsArgs { selectors: Vec::new() }, failed: false, watch: None },
        )?;
    }
    manager.end()?;
    Ok(signal?.map_or(0, |signal| u8::try_from(128 + signal).unwrap_or(1)))
}

/// What has been told.
#[derive(Default)]
struct Events {
    begun: BTreeSet<RunId>,
    ended: BTreeSet<RunId>,
    settled: BTreeSet<CommandId>,
}

impl Events {
    /// A line for each run that has begun or ended and each verdict since the last call, oldest first.
    async fn news(&mut self, store: &dyn OperatorStore) -> Result<Vec<String>, Error> {
        let fleet = Fleet::read(store).await?;
        let paths: BTreeMap<AppId, String> =
            fleet.apps.iter().map(|row| (row.app.id, row.app.path.to_string())).collect();
        let ids: Vec<_> = paths.keys().copied().collect();
        let runs = store.history(HistoryQuery { apps: ids, limit: PAGE, ..HistoryQuery::default() }).await?;
        let commands = store.ledger(LedgerQuery { limit: PAGE, ..LedgerQuery::default() }).await?;
        let now = store.time().await?;
        let mut lines: Vec<(Timestamp, String)> = Vec::new();
        for run in &runs {
            let path = paths.get(&run.app).map_or("?", String::as_str);
            if self.begun.insert(run.run) {
                lines.push((run.start, format!("{path} started ({})", run.trigger)));
            }
            if let Some(end) = run.end.filter(|_| self.ended.insert(run.run)) {
                lines.push((end, format!("{path} {}", ending(run, end))));
            }
        }
        for row in commands.iter().filter(|row| row.flag != CmdFlag::Pending) {
            if self.settled.insert(row.id) {
                let path = row.app.id().and_then(|id| paths.get(&id));
                let path = path.cloned().unwrap_or_else(|| row.app.to_string());
                lines.push((row.executed.unwrap_or(row.time), verdict(row, &path)));
            }
        }
        lines.sort();
        Ok(lines
            .into_iter()
            .map(|(time, what)| format!("{} {what}", format::time(Some(time), now)))
            .collect())
    }
}

fn ending(run: &Run, end: Timestamp) -> String {
    let outcome = run.outcome_word().unwrap_or("ended").replace('_', " ");
    let exit = run.exit_code.map(|code| format!(", exit {code}")).unwrap_or_default();
    let message = run.message.as_ref().map(|message| format!(": {message}")).unwrap_or_default();
    format!("{outcome} after {}{exit}{message}", format::duration(end - run.start))
}

fn verdict(row: &CommandRow, path: &str) -> String {
    let verdict = if row.flag == CmdFlag::NotExecuted { "not executed" } else { "executed" };
    let reason = row.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
    format!("{} {path} by {}: {verdict}{reason}", row.name, row.by)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{AppRef, CmdName, CommandSource, Reason};

    #[test]
    fn a_command_is_executed_by_its_verdict_and_not_for_want_of_a_reason() {
        let row = |flag, reason| CommandRow {
            id: CommandId(1),
            app: AppRef::from("a/b/c"),
            name: CmdName::Stop,
            flag,
            by: "ana".to_owned(),
            source: CommandSource::Cli.into(),
            time: Timestamp::UNIX_EPOCH,
            executed: None,
            reason,
            batch: None,
            note: None,
        };
        for (row, expected) in [
            (row(CmdFlag::Executed, None), "STOP a/b/c by ana: executed"),
            (
                row(CmdFlag::Executed, Some(Reason::WasNotRunning)),
                "STOP a/b/c by ana: executed: was not running",
            ),
            (row(CmdFlag::NotExecuted, Some(Reason::Expired)), "STOP a/b/c by ana: not executed: expired"),
        ] {
            assert_eq!(verdict(&row, "a/b/c"), expected);
        }
    }
}
