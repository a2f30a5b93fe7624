//! `dcm why`: why an app is or is not running, and what would change that.

use serde_json::json;

use super::args::WhyArgs;
use super::error::Error;
use super::presence::Managers;
use super::session::{Fleet, Session, block_on};
use super::{format, next, output};
use crate::manager::coming::coming_of;
use crate::model::explain::State;
use crate::model::reasons::{Facts, Keeper, Lost, Phrasing, reasons};
use crate::model::{
    AppRow, CmdFlag, Leftovers, ManagerRow, Run, RunId, RunStatus, Skip, SkipReason, Timestamp, Trigger,
    format_memory,
};
use crate::process::{containment, held_limits, limits_remark, log_end, logs_of};
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
        let mut reasons: Vec<_> = managers.remark("nothing is started or stopped").into_iter().collect();
        reasons.extend(explain(&row, &managers, store.capabilities().is_shared));
        reasons.extend(told_by_ledgers(&row, last.as_ref(), skip.as_ref(), now));
        let own = managers.rows.iter().map(|(row, _)| row).find(|row| own == Some(row.name.as_str()));
        reasons.extend(missing_module(session, &row, last.as_ref(), own));
        let is_running = row.state.status == RunStatus::Running;
        let run = row.state.run.filter(|_| is_running);
        let held_by = run.and_then(|run| containment(&session.settings.state, run));
        reasons.extend(held_by.map(|held_by| held_by.to_string()));
        reasons.extend(run.into_iter().flat_map(|run| limits(session, &row, run)));
        reasons.extend(row.app.owner.as_ref().map(|owner| format!("its owner: {owner}")));
        if row.app.schedule.is_timed() {
            reasons.push(format!("its schedule: {}", next::describe(&row)));
        }
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

/// Who sees to the limits of a run on this host.
fn limits(session: &Session, row: &AppRow, run: RunId) -> Vec<String> {
    let settings = &session.settings;
    let Some(held) = held_limits(&settings.state, run) else { return Vec::new() };
    let (policy, usage) = (&row.app.policy, row.usage.as_deref().copied().unwrap_or_default());
    let sentence = |limit: Option<u32>, held: Option<u32>, name: &str, unit: &str, used: Option<String>| {
        let limit = limit?;
        let used = used.map(|used| format!("it uses {used}; ")).unwrap_or_default();
        Some(match held {
            Some(held) => format!("{used}{name} ({held}{unit}) is held by the kernel"),
            None => format!("{used}{name} is {limit}{unit}; {}", limits_remark(settings.sample_every)),
        })
    };
    let memory = usage.memory.map(format_memory);
    let cpu = usage.cpu.map(|cpu| format!("{cpu:.1}% of a core"));
    let of_memory = sentence(policy.max_memory, held.memory, "max_memory", " MiB", memory);
    let of_cpu = sentence(policy.max_cpu, held.cpu, "max_cpu", "%", cpu);
    of_memory.into_iter().chain(of_cpu).collect()
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

/// What is known of the app's manager: its lock tells of its end before its lease does.
fn keeper<'a>(row: &'a AppRow, managers: &'a Managers, is_shared: bool) -> Keeper<'a> {
    let Some(name) = row.state.manager.as_deref() else {
        return if is_shared { Keeper::Missing(row.app.policy.pool.as_ref()) } else { Keeper::Live };
    };
    let is_lost = is_shared && managers.lost(name).is_some();
    if !is_lost && managers.state_of(row) != State::Unknown {
        return Keeper::Live;
    }
    let own = managers.rows.iter().map(|(row, _)| row).find(|row| row.name == name);
    Keeper::Lost(Lost { name: Some(name), row: own, failover: row.app.policy.failover })
}

/// What the row says, put into words for a shell.
fn explain(row: &AppRow, managers: &Managers, is_shared: bool) -> Vec<String> {
    let now = managers.now;
    let phrasing =
        Phrasing { now, clock: |time, now| format::time(Some(time), now), shell: Some(&row.app.path) };
    let keeper = keeper(row, managers, is_shared);
    let facts = Facts::of(row, managers.state_of(row), coming_of(row, now), keeper);
    reasons(&facts).iter().map(|because| because.sentence(&phrasing)).collect()
}

/// What the ledgers add to that: how the run began, the command under way, the run before, times that became no run.
fn told_by_ledgers(row: &AppRow, last: Option<&Run>, skip: Option<&Skip>, now: Timestamp) -> Vec<String> {
    let mut reasons = Vec::new();
    let is_running = row.state.status == RunStatus::Running;
    reasons.extend(last.filter(|run| is_running && run.end.is_none()).map(|run| started_by(run, row, now)));
    if let Some(command) = row.command.as_ref().filter(|command| command.flag == CmdFlag::Pending) {
        let by = command.by.as_deref().unwrap_or("an unknown person");
        let since =
            command.time.map(|time| format!(", issued {}", format::relative(time, now))).unwrap_or_default();
        reasons.push(format!("{} by {by} is under way{since}", command.name));
    }
    reasons.extend(last.filter(|run| run.end.is_some()).map(|run| last_run(run, now)));
    if let Some(skip) = skip {
        let count = skip.slots.map_or("many times".to_owned(), |count| match count {
            1 => "one time".to_owned(),
            count => format!("{count} times"),
        });
        reasons.push(format!(
            "{count} from {} on did not become runs: {}",
            format::time(Some(skip.first), now),
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

fn started_by(run: &Run, row: &AppRow, now: Timestamp) -> String {
    match run.trigger.known() {
        Some(Trigger::Schedule) if row.app.schedule.always => {
            "this run was started by the manager, since the app runs always".to_owned()
        }
        Some(Trigger::Schedule) => {
            format!("this run was started by its schedule (due {})", format::time(run.due, now))
        }
        Some(Trigger::CatchUp) => {
            format!("this run was started late for a time that was missed ({})", format::time(run.due, now))
        }
        Some(Trigger::Command) => "this run was started by a command".to_owned(),
        Some(Trigger::RunApp) | None => format!("this run was started by {}", run.trigger),
    }
}

fn last_run(run: &Run, now: Timestamp) -> String {
    let exit = run.exit_code.map(|code| format!(", exit {code}")).unwrap_or_default();
    let message = run.message.as_ref().map(|message| format!(": {message}")).unwrap_or_default();
    let outcome = run.outcome_word().unwrap_or("running").replace('_', " ");
    let course = match run.end {
        Some(end) => format!("took {}: {outcome}", format::duration(end - run.start)),
        None => "goes on".to_owned(),
    };
    let leftovers = match run.leftovers {
        0 => String::new(),
        count => format!(
            "; {} (they outlived the app's main process: a run ends with its main process)",
            Leftovers::counted(count)
        ),
    };
    format!("the last run began {} and {course}{exit}{message}{leftovers}", format::relative(run.start, now))
}
