//! `dcm start|stop|restart|enable|disable`: enters commands, and waits for the verdicts.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;
use tokio::time::{Instant, sleep, timeout_at};

use super::args::IssueArgs;
use super::error::{Error, Kind};
use super::session::{Fleet, Session, block_on, live_managers};
use super::{json, output};
use crate::model::{CmdFlag, CmdName, CommandId, CommandRow, CommandSource, NewCommand};
use crate::process::{clock, user_name};
use crate::store::{OpenMode, OperatorStore, StoreError, submit};

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
        let apps = Fleet::meant(store.as_ref(), &args.selectors).await;
        let apps = apps.map_err(|error| hint_at_wait(error, &args))?;
        let ends_runs = matches!(name, CmdName::Stop | CmdName::Restart | CmdName::Disable);
        if ends_runs && apps.len() > UNASKED_MAX && !args.yes && output::is_interactive() {
            let question = format!("{name} {} apps?", apps.len());
            if !output::confirm(&question) {
                return Err(Error::failed("nothing was done"));
            }
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
        let (live, _) = live_managers(store.as_ref()).await?;
        if live.is_empty() {
            output::message(
                "no manager is running: the commands wait for one (dcm starts one, or dcm --headless)",
            );
        }
        match args.wait {
            Some(wait) => {
                let rows = wait_for_verdicts(store.as_ref(), &ids, wait).await?;
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

/// The rows of the ledger once each has its verdict, or the time is over.
async fn wait_for_verdicts(
    store: &dyn OperatorStore,
    ids: &[CommandId],
    wait: Duration,
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
        let _ = timeout_at(deadline.min(Instant::now() + LOOK_EVERY), changed.changed()).await;
    }
}

fn show(session: &Session, rows: &[CommandRow], paths: &BTreeMap<CommandId, String>) {
    let path = |row: &CommandRow| paths.get(&row.id).map(String::as_str);
    if session.json {
        let rows: Vec<_> = rows.iter().map(|row| json::command(row, path(row))).collect();
        output::json(&json!(rows));
        return;
    }
    output::lines(rows.iter().map(|row| {
        let verdict = match (row.flag, &row.reason) {
            (CmdFlag::Pending, _) => "pending".to_owned(),
            (CmdFlag::Executed, _) => "executed".to_owned(),
            (CmdFlag::NotExecuted, reason) => {
                format!("not executed: {}", reason.as_deref().unwrap_or("unknown"))
            }
        };
        format!("{} {} {}  {verdict}", row.id, row.name, path(row).unwrap_or(&row.app))
    }));
}

/// The exit code of all verdicts together.
fn judge(rows: &[CommandRow], paths: &BTreeMap<CommandId, String>) -> Result<(), Error> {
    let refusals = ["already running", "disabled"];
    let reason = |row: &CommandRow| row.reason.clone().unwrap_or_default();
    let of_kind = |kind: Kind| {
        rows.iter().find(|row| match (row.flag, kind) {
            (CmdFlag::NotExecuted, Kind::RefusedForNow) => refusals.contains(&reason(row).as_str()),
            (CmdFlag::NotExecuted, Kind::Failed) => !refusals.contains(&reason(row).as_str()),
            (CmdFlag::Pending, Kind::TimedOut) => true,
            _ => false,
        })
    };
    for kind in [Kind::Failed, Kind::TimedOut, Kind::RefusedForNow] {
        if let Some(row) = of_kind(kind) {
            let path = paths.get(&row.id).map_or(row.app.as_str(), String::as_str);
            let why = if kind == Kind::TimedOut { "no verdict in time".to_owned() } else { reason(row) };
            return Err(Error::new(kind, format!("{} {path}: {why}", row.name)));
        }
    }
    Ok(())
}
