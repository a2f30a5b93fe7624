//! `dcm start|stop|restart|enable|disable`: enters commands, and waits for the verdicts.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

use super::args::{IssueArgs, Via};
use super::choice::chosen;
use super::error::{Error, Kind};
use super::presence::Managers;
use super::session::{Session, block_on};
use super::{output, via};
use crate::model::{CmdFlag, CmdName, CommandId, CommandRow, CommandSource, NewCommand, Reason};
use crate::process::{clock, user_name};
use crate::store::{OpenMode, OperatorStore, StoreError, submit};
use crate::wire;

/// A person is asked before a command that ends runs of more apps than this.
const UNASKED_MAX: usize = 10;

/// Verdicts are looked for at least so often.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// `arguments` are for the apps.
pub(super) fn issue(
    session: &Session,
    name: CmdName,
    args: IssueArgs,
    arguments: Option<String>,
) -> Result<(), Error> {
    let store = session.store(OpenMode::Existing)?;
    block_on(async {
        let apps = chosen(session, store.as_ref(), &args.selectors).await;
        let apps = apps.map_err(|error| hint_at_wait(error, &args))?;
        if apps.is_empty() {
            let states: Vec<_> = args.selectors.iter().map(ToString::to_string).collect();
            output::message(format_args!("no app is meant by {} now; nothing was done", states.join(" ")));
        }
        let ends_runs = matches!(name, CmdName::Stop | CmdName::Restart | CmdName::Disable);
        if ends_runs && apps.len() > UNASKED_MAX && !args.yes && output::is_interactive() {
            let question = format!("{name} {} apps?", apps.len());
            if !output::confirm(&question) {
                return Err(Error::failed("nothing was done"));
            }
        }
        if let Some(Via::Rabbitmq) = args.via {
            return via::issue(session, store.as_ref(), name, &apps, &args, arguments.as_deref()).await;
        }
        let by = user_name();
        let time = clock::wall();
        let commands = apps.iter().map(|row| NewCommand {
            app: row.app.id,
            name,
            args: arguments.clone(),
            by: by.clone(),
            source: CommandSource::Cli,
            time,
            expires: None,
            batch: None,
            note: args.note.clone(),
        });
        let ids = submit(store.as_ref(), commands.collect()).await?;
        let paths: BTreeMap<_, _> =
            ids.iter().copied().zip(apps.iter().map(|row| row.app.path.to_string())).collect();
        let remark = Managers::read(session, store.as_ref()).await?.remark(WAITING);
        if let Some(remark) = &remark {
            output::message(remark);
        }
        match args.wait {
            Some(wait) => {
                let rows = wait_for_verdicts(session, store.as_ref(), &ids, wait, remark.is_some()).await?;
                show(session, &rows, &paths);
                judge(&rows, &paths)
            }
            None => {
                let rows = store.commands(ids).await?;
                show(session, &rows, &paths);
                Ok(())
            }
        }
    })
}

/// `--wait 5` takes 5 for an app.
fn hint_at_wait(error: Error, args: &IssueArgs) -> Error {
    let mut selectors = args.selectors.iter().map(ToString::to_string);
    let number = selectors.rfind(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    match number.filter(|_| args.wait.is_some() && error.is_no_such_app()) {
        Some(number) => error.hint(format!("to wait {number} seconds, write --wait={number}")),
        None => error,
    }
}

/// What becomes of commands without a manager.
const WAITING: &str = "the commands wait for one";

/// The rows of the ledger once each has its verdict, or the time is over. `is_remarked`: it was said already that no
/// manager acts.
async fn wait_for_verdicts(
    session: &Session,
    store: &dyn OperatorStore,
    ids: &[CommandId],
    wait: Duration,
    mut is_remarked: bool,
) -> Result<Vec<CommandRow>, Error> {
    let deadline = Instant::now() + wait;
    let mut changed = store.changed();
    let mut is_away = false;
    loop {
        changed.mark_unchanged();
        match store.commands(ids.to_vec()).await {
            Ok(rows) if rows.iter().all(|row| row.flag != CmdFlag::Pending) || Instant::now() >= deadline => {
                return Ok(rows);
            }
            Ok(_) => is_away = false,
            // The commands are entered; a server that restarts takes none back.
            Err(StoreError::Unavailable(why)) if Instant::now() < deadline => {
                if !std::mem::replace(&mut is_away, true) {
                    output::message(format_args!("the database is not available: {why}; waiting for it"));
                }
                sleep(LOOK_EVERY).await;
            }
            Err(error) => return Err(error.into()),
        }
        // A hint, or time to look without one.
        let hint = timeout_at(deadline.min(Instant::now() + LOOK_EVERY), changed.changed()).await;
        if hint.is_err() && !is_remarked && !is_away {
            let remark =
                Managers::read(session, store).await.ok().and_then(|managers| managers.remark(WAITING));
            if let Some(remark) = &remark {
                output::message(remark);
                is_remarked = true;
            }
        }
    }
}

fn show(session: &Session, rows: &[CommandRow], paths: &BTreeMap<CommandId, String>) {
    let path = |row: &CommandRow| paths.get(&row.id).map(String::as_str);
    if session.json {
        output::json_rows(rows.iter().map(|row| wire::Command::of(row, paths.get(&row.id).cloned())));
        return;
    }
    output::lines(rows.iter().map(|row| {
        let verdict = match (row.flag, &row.reason) {
            (CmdFlag::Pending, _) => "pending".to_owned(),
            (CmdFlag::Executed, None) => "executed".to_owned(),
            (CmdFlag::Executed, Some(reason)) => format!("executed: {reason}"),
            (CmdFlag::NotExecuted, Some(reason)) => format!("not executed: {reason}"),
            (CmdFlag::NotExecuted, None) => "not executed: unknown".to_owned(),
        };
        format!(
            "{} {} {}  {verdict}",
            row.id,
            row.name,
            path(row).map_or_else(|| row.app.to_string(), str::to_owned)
        )
    }));
}

/// The exit code of all verdicts together.
fn judge(rows: &[CommandRow], paths: &BTreeMap<CommandId, String>) -> Result<(), Error> {
    let is_for_now = |row: &CommandRow| row.reason.as_ref().is_some_and(Reason::is_for_now);
    let of_kind = |kind: Kind| {
        rows.iter().find(|row| match (row.flag, kind) {
            (CmdFlag::NotExecuted, Kind::RefusedForNow) => is_for_now(row),
            (CmdFlag::NotExecuted, Kind::Failed) => !is_for_now(row),
            (CmdFlag::Pending, Kind::TimedOut) => true,
            _ => false,
        })
    };
    for kind in [Kind::Failed, Kind::TimedOut, Kind::RefusedForNow] {
        if let Some(row) = of_kind(kind) {
            let path = paths.get(&row.id).cloned().unwrap_or_else(|| row.app.to_string());
            let why =
                if kind == Kind::TimedOut { "no verdict in time".to_owned() } else { row.reason_text() };
            return Err(Error::new(kind, format!("{} {path}: {why}", row.name)));
        }
    }
    Ok(())
}
