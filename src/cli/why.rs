//! `dcm why`: why an app is or is not running, and what would change that.

use serde_json::json;

use super::args::WhyArgs;
use super::error::Error;
use super::presence::Managers;
use super::session::{Fleet, Session, block_on};
use super::{format, next, output};
use crate::manager::coming::coming_of;
use crate::model::{
    AppRow, CmdFlag, FatalFlag, Leftovers, ManagerRow, Run, RunStatus, Skip, SkipReason, Timestamp, Trigger,
};
use crate::process::{containment, log_end, logs_of};
use crate::store::{HistoryQuery, OpenMode, SkipQuery};

pub(super) fn why(session: &Session, args: &WhyArgs) -> Result<(), Error> {
    let store = session.store(OpenMode::Existing)?;
    block_on(async {
        let row = Fleet::find(store.as_ref(), &args.path).await?;
        let managers = Managers::read(session, store.as_ref()).await?;
        let now = managers.now;
        let query = HistoryQuery { apps: vec![row.app.id], limit: 1, ..HistoryQuery::default() };
        let last = store.history(query).await?.into_iter().next();
        let skip = store
            .skips(SkipQuery { apps: vec![row.app.id], limit: 1, ..SkipQuery::default() })
            .await?
            .into_iter()
            .next();
        let own = row.state.manager.as_deref();
        let mut reasons = explain(&Facts {
            row: &row,
            managers: &managers,
            last: last.as_ref(),
            skip: skip.as_ref(),
            is_shared: store.capabilities().is_shared,
            lost: own.and_then(|name| managers.lost(name)),
            now,
        });
        let own = managers.rows.iter().map(|(row, _)| row).find(|row| own == Some(row.name.as_str()));
        reasons.extend(missing_module(session, &row, last.as_ref(), own));
        let is_running = row.state.status == RunStatus::Running;
        let run = row.state.run.filter(|_| is_running);
        let held_by = run.and_then(|run| containment(&session.settings.state, run));
        reasons.extend(held_by.map(|held_by| held_by.to_string()));
        reasons.push(format!(
            "a next_run that SQL writes without a zone is read in {}",
            next::zone_of_sql(store.as_ref(), &row)
        ));
        if session.json {
            output::json(&json!({
                "path": row.app.path.to_string(),
                "status": row.state.status.word(),
                "state": managers.state_of(&row).word(),
                "reasons": reasons,
            }));
        } else {
            output::lines(&reasons);
        }
        Ok(())
    })
}

/// So much of the end of a log is looked at.
const LOG_END: usize = 4096;

/// Python that does not find a module says so in the log of this host; which Python it is decides the manager.
fn missing_module(
    session: &Session,
    row: &AppRow,
    last: Option<&Run>,
    manager: Option<&ManagerRow>,
) -> Option<String> {
    let run = last.filter(|run| run.exit_code.is_some_and(|code| code != 0))?;
    if row.app.program.command.is_some() {
        return None;
    }
    let (_, path) =
        logs_of(&session.settings.state, row.app.id).into_iter().find(|(id, _)| *id == run.run)?;
    let end = log_end(&path, LOG_END).ok()?;
    let text = String::from_utf8_lossy(&end).into_owned();
    let line = text.lines().rev().find(|line| line.contains("No module named"))?;
    let error = line.find("No module named").map_or(line, |at| &line[at..]);
    let python = manager.and_then(|row| row.python.clone()).unwrap_or_else(|| session.python());
    Some(format!(
        "Python says: {error}; apps without a command run with {python} (setting python, else VIRTUAL_ENV, else \
         python3 of PATH, when the manager starts)"
    ))
}

/// What is known when the question is asked.
struct Facts<'a> {
    row: &'a AppRow,
    managers: &'a Managers,
    last: Option<&'a Run>,
    skip: Option<&'a Skip>,
    /// Whether several managers may share the database.
    is_shared: bool,
    /// The app's own manager, if it is lost.
    lost: Option<&'a ManagerRow>,
    now: Timestamp,
}

/// The reasons, the strongest first.
fn explain(facts: &Facts<'_>) -> Vec<String> {
    let Facts { row, managers, last, skip, now, .. } = facts;
    let mut reasons = Vec::new();
    if let Some(fault) = &row.fault {
        let path = &row.app.path;
        reasons.push(format!(
            "its row is set aside, so it is not started: {}; dcm app set {path} sets it right, dcm app remove {path} \
             deletes it",
            fault.message
        ));
    }
    reasons.extend(managers.remark("nothing is started or stopped"));
    if let Some(lost) = facts.lost.filter(|_| facts.is_shared) {
        reasons.push(format!(
            "its manager {} on {} was last heard of {}; until it is back, or others take the app over \
             (failover: {}), nothing is started or stopped",
            lost.name,
            lost.host,
            format::relative(lost.heartbeat, *now),
            row.app.policy.failover.word()
        ));
    } else if facts.is_shared && row.state.manager.is_none() {
        let pool = row.app.policy.pool.as_ref().map_or("apps".to_owned(), |pool| format!("the pool {pool}"));
        reasons.push(format!("it has no manager: none that lives serves {pool}"));
    }
    match row.state.status {
        RunStatus::Running => reasons.push(running(row, *last, *now)),
        RunStatus::NotRunning | RunStatus::Stopped => reasons.extend(not_running(row, *now)),
    }
    if let Some(command) = row.command.as_ref().filter(|command| command.flag == CmdFlag::Pending) {
        let by = command.by.as_deref().unwrap_or("somebody");
        let since =
            command.time.map(|time| format!(", issued {}", format::relative(time, *now))).unwrap_or_default();
        reasons.push(format!("{} by {by} is under way{since}", command.name));
    }
    if let Some(run) = last.filter(|run| run.end.is_some()) {
        reasons.push(last_run(run, *now));
    }
    if let Some(skip) = skip {
        let count = skip.slots.map_or("many times".to_owned(), |count| match count {
            1 => "one time".to_owned(),
            count => format!("{count} times"),
        });
        reasons.push(format!(
            "{count} from {} on did not become runs: {}",
            format::time(Some(skip.first), *now),
            explain_skip(skip.reason)
        ));
    }
    reasons
}

const fn explain_skip(reason: SkipReason) -> &'static str {
    match reason {
        SkipReason::Overlap => "the run before was still going on",
        SkipReason::Superseded => "another next_run had been set",
        SkipReason::Retry => "it waited for its retry interval, or for the back-off after a crash",
        SkipReason::NoRoom => "a limit on running apps left no room",
        SkipReason::Missed => "missed: no manager was running that could start it",
        SkipReason::CatchUpLimit => "missed, and more of them than its catch_up_limit allows",
        SkipReason::Stopped => "it was stopped before they were run",
        SkipReason::Disabled => "it was disabled before they were run",
        SkipReason::GivenUp => "it had failed too often, or could not be started",
        SkipReason::Rescheduled => "its schedule was changed, or began again with ENABLE",
    }
}

fn running(row: &AppRow, last: Option<&Run>, now: Timestamp) -> String {
    let since =
        row.state.last_run.map(|time| format!(" since {}", format::duration(now - time))).unwrap_or_default();
    let trigger = last.filter(|run| run.end.is_none()).map(|run| match run.trigger.known() {
        Some(Trigger::Schedule) => format!(", started by its schedule (due {})", format::time(run.due, now)),
        Some(Trigger::CatchUp) => {
            format!(", started late for a time that was missed ({})", format::time(run.due, now))
        }
        Some(Trigger::Command) => ", started by a command".to_owned(),
        Some(Trigger::RunApp) | None => format!(", started by {}", run.trigger),
    });
    let pid = row.state.pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default();
    let disabled = if row.app.disabled { "; it is disabled and will not be started again" } else { "" };
    format!("it is running{since}{pid}{}{disabled}", trigger.unwrap_or_default())
}

fn not_running(row: &AppRow, now: Timestamp) -> Vec<String> {
    let mut reasons = Vec::new();
    let path = &row.app.path;
    if let Some(fatal) = &row.state.fatal {
        let what = match (row.awaits_enable(), fatal.flag) {
            (true, FatalFlag::UnexpectedBehavior) => "it is given up",
            (true, FatalFlag::FailedToStart | FatalFlag::AlertSent) => "it is fatal",
            (false, _) => "it keeps failing",
        };
        let remedy = if row.awaits_enable() {
            format!("mend the cause, then dcm enable {path}")
        } else {
            "it goes on, and the first good run clears that".to_owned()
        };
        reasons.push(format!(
            "{what} ({}) since {}: {}; {remedy}",
            fatal.flag,
            format::time(Some(fatal.time), now),
            fatal.message
        ));
    } else if row.app.disabled {
        reasons.push(format!("it is disabled; dcm enable {path} lets it run"));
    }
    if let Some(by) = &row.state.stopped_by {
        reasons.push(format!("{by} stopped it; it stays stopped until dcm start, restart or enable {path}"));
    } else if row.state.status == RunStatus::Stopped && !row.awaits_enable() && !row.app.disabled {
        reasons.push("its last run crashed; it is started again after a pause".to_owned());
    }
    if let Some(limit) = &row.state.waiting_for {
        reasons.push(format!("it is due and waits for room ({limit})"));
    }
    let is_barred = row.awaits_enable() || row.app.disabled || row.state.stopped_by.is_some();
    if !is_barred && row.state.waiting_for.is_none() {
        reasons.push(match (coming_of(row, now), next::is_scheduled(row)) {
            (Some(time), _) => {
                format!("it is due {} ({})", format::relative(time, now), format::time(Some(time), now))
            }
            (None, true) => {
                format!("its schedule ({}) has no next time yet: a manager sets it", next::describe(row))
            }
            (None, false) => format!("it has no schedule and runs on command only: dcm start {path}"),
        });
    }
    reasons
}

fn last_run(run: &Run, now: Timestamp) -> String {
    let exit = run.exit_code.map(|code| format!(", exit {code}")).unwrap_or_default();
    let message = run.message.as_ref().map(|message| format!(": {message}")).unwrap_or_default();
    let took = run.end.map(|end| format::duration(end - run.start)).unwrap_or_default();
    let leftovers = match run.leftovers {
        0 => String::new(),
        count => format!(
            "; {} (they outlived the app's main process: a run ends with its main process)",
            Leftovers::counted(count)
        ),
    };
    format!(
        "the last run began {} and took {took}: {}{exit}{message}{leftovers}",
        format::relative(run.start, now),
        run.outcome_word().unwrap_or("running").replace('_', " ")
    )
}
