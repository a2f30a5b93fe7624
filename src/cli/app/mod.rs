//! `dcm app`: the definitions of apps.

mod add;
pub(in crate::cli) mod definitions;
mod export;
mod import;
mod limit;
mod list;
mod program;
mod remove;
mod rename;
mod set;
mod show;

pub(in crate::cli) use limit::Place;

use super::args::{AppCommand, DefinitionArgs};
use super::error::Error;
use super::output;
use super::session::Session;
use crate::model::App;

pub(super) fn app(session: &Session, command: AppCommand) -> Result<(), Error> {
    match command {
        AppCommand::Add(args) => add::add(session, args),
        AppCommand::Set(args) => set::set(session, args),
        AppCommand::List(args) => list::list(session, &args),
        AppCommand::Show(args) => show::show(session, &args.path),
        AppCommand::Remove(args) => remove::remove(session, &args),
        AppCommand::Rename(args) => rename::rename(session, args),
        AppCommand::Import(args) => import::import(session, &args),
        AppCommand::Export(args) => export::export(session, &args),
        AppCommand::Limit(args) => limit::limit(session, &args),
    }
}

/// Puts what the options say into a definition; what they do not mention stays.
fn apply(definition: DefinitionArgs, app: &mut App) -> Result<(), Error> {
    let (schedule, policy) = (&mut app.schedule, &mut app.policy);
    let has_interval = definition.interval.is_some();
    if let Some(interval) = definition.interval {
        schedule.interval = interval.into_option();
    }
    if let Some(retry_interval) = definition.retry_interval {
        schedule.retry_interval = retry_interval.into_option();
    }
    if let Some(cron) = definition.cron {
        schedule.cron = cron.into_option();
    }
    if has_interval && schedule.interval.is_some_and(|interval| interval.duration().is_zero()) {
        return Err(Error::usage("--interval 0 would run it without a pause")
            .hint("a second is 0.017; the least pause is 0.002"));
    }
    if has_interval && schedule.interval.is_some() && schedule.cron.is_some() {
        output::message(format_args!(
            "{} has a cron expression: --interval is only the pause after a failed run, where --retry-interval is not set",
            app.path
        ));
    }
    schedule.time_zone = definition.time_zone.unwrap_or(schedule.time_zone);
    schedule.jitter = definition.jitter.unwrap_or(schedule.jitter);
    if let Some(cwd) = definition.cwd {
        app.program.cwd = match cwd.as_str() {
            "" | "none" => None,
            _ => Some(program::directory(&cwd, &std::env::current_dir()?)?),
        };
    }
    for (name, value) in definition.env {
        app.program.unset.remove(&name);
        if value.is_empty() {
            app.program.env.remove(&name);
        } else {
            app.program.env.insert(name, value);
        }
    }
    let program = &mut app.program;
    for name in definition.unset_env {
        program.env.remove(&name);
        program.unset.insert(name);
    }
    program.pass_database = definition.pass_database.unwrap_or(program.pass_database);
    policy.catch_up = definition.catch_up.unwrap_or(policy.catch_up);
    policy.catch_up_limit = definition.catch_up_limit.unwrap_or(policy.catch_up_limit);
    policy.max_failures = definition.max_failures.unwrap_or(policy.max_failures);
    policy.on_failures = definition.on_failures.unwrap_or(policy.on_failures);
    policy.stop_grace = definition.stop_grace.unwrap_or(policy.stop_grace);
    if let Some(limit) = definition.max_runtime {
        policy.max_runtime = limit.into_option().map(crate::model::Minutes::duration);
    }
    policy.log_limit = definition.log_limit.unwrap_or(policy.log_limit);
    policy.log_keep = definition.log_keep.unwrap_or(policy.log_keep);
    if let Some(pool) = definition.pool {
        policy.pool = pool.into_option();
    }
    policy.failover = definition.failover.unwrap_or(policy.failover);
    policy.protected = definition.protected.unwrap_or(policy.protected);
    check_command(program.command.as_deref())
}

/// Asks before something that cannot be undone. Without a terminal there is no one to ask, and it takes `--yes`.
fn consent(yes: bool, question: &str) -> Result<(), Error> {
    if yes {
        return Ok(());
    }
    if !output::is_interactive() {
        return Err(Error::usage(format!("{question} there is no terminal to ask on, and nothing was done"))
            .hint("--yes does it without a question"));
    }
    if output::confirm(question) { Ok(()) } else { Err(Error::failed("nothing was done")) }
}

/// An argument vector that no system could execute.
fn check_command(command: Option<&[String]>) -> Result<(), Error> {
    match command {
        Some([program, ..]) if program.is_empty() => Err(Error::usage("the command names no program")),
        Some(command) if command.iter().any(|argument| argument.contains('\0')) => {
            Err(Error::usage("the command holds a NUL character"))
        }
        Some(_) | None => Ok(()),
    }
}
