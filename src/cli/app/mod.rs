//! `dcm app`: the definitions of apps.

mod add;
pub(in crate::cli) mod definitions;
mod export;
mod foreign;
mod import;
mod limit;
mod list;
mod program;
mod remove;
mod rename;
mod set;
mod show;
mod spread;

pub(in crate::cli) use limit::Place;

use std::path::Path;

use super::args::{AppCommand, DefinitionArgs};
use super::error::Error;
use super::output;
use super::session::Session;
use crate::model::settings::{ENV_FILES, TAGS};
use crate::model::{App, Kind, Schedule, Setting, Value};

pub(super) fn app(session: &Session, command: AppCommand) -> Result<(), Error> {
    match command {
        AppCommand::Add(args) => add::add(session, args),
        AppCommand::Set(args) => set::set(session, args),
        AppCommand::List(args) => list::list(session, &args),
        AppCommand::Show(args) => show::show(session, &args.path),
        AppCommand::Remove(args) => remove::remove(session, &args),
        AppCommand::Rename(args) => rename::rename(session, args),
        AppCommand::Spread(args) => spread::spread(session, &args),
        AppCommand::Import(args) => import::import(session, &args),
        AppCommand::Export(args) => export::export(session, &args),
        AppCommand::Limit(args) => limit::limit(session, &args),
    }
}

/// Puts what the options say into a definition; what they do not mention stays.
fn apply(definition: DefinitionArgs, app: &mut App) -> Result<(), Error> {
    let DefinitionArgs { values, variables, lists } = definition;
    let before = app.schedule.clone();
    for (setting, value) in values {
        put(setting, app, value, &std::env::current_dir()?)?;
    }
    let of_lists = [(&ENV_FILES, lists.env_files()), (&TAGS, lists.all_tags())];
    for (setting, value) in of_lists.into_iter().filter_map(|(setting, value)| Some((setting, value?))) {
        put(setting, app, value, &std::env::current_dir()?)?;
    }
    if !(lists.tag.is_empty() && lists.untag.is_empty()) {
        let mut tags = app.tags.clone();
        tags.extend(lists.tag);
        let tags = tags.difference(&lists.untag.into_iter().collect()).map(ToString::to_string).collect();
        put(&TAGS, app, Value::List(tags), Path::new(""))?;
    }
    let schedule = &app.schedule;
    schedule.check().map_err(|error| {
        Error::usage(error.to_string()).hint(
            "--interval none and --cron none take a schedule away, --always=false lets the app have one",
        )
    })?;
    tell_unused_pause(app, &before);
    let interval = schedule.interval.filter(|_| schedule.interval != before.interval);
    if interval.is_some_and(|interval| interval.duration().is_zero()) {
        return Err(Error::usage("--interval 0 would run it without a pause")
            .hint("a second is 0.017; the least pause is 0.002"));
    }
    if interval.is_some() && schedule.cron.is_some() {
        output::message(format_args!(
            "{} has a cron expression: --interval is only the pause after a failed run, where --retry-interval is not set",
            app.path
        ));
    }
    let program = &mut app.program;
    for (name, value) in variables.env {
        program.unset.remove(&name);
        if value.is_empty() {
            program.env.remove(&name);
        } else {
            program.env.insert(name, value);
        }
    }
    for name in variables.unset_env {
        program.env.remove(&name);
        program.unset.insert(name);
    }
    Ok(())
}

/// Says that what runs always has no use for `retry_interval`, where one of them is new.
fn tell_unused_pause(app: &App, before: &Schedule) {
    let Schedule { always, retry_interval, .. } = &app.schedule;
    let is_new = (*always, *retry_interval) != (before.always, before.retry_interval);
    if *always && retry_interval.is_some() && is_new {
        output::message(format_args!(
            "{} runs always: retry_interval has no effect, it is started again at once or after the back-off",
            app.path
        ));
    }
}

/// Gives an app the value of a setting. A relative directory starts at `base`; an empty one stands for none.
fn put(setting: &Setting, app: &mut App, value: Value<'_>, base: &Path) -> Result<(), Error> {
    let value = match (setting.kind, value) {
        (Kind::Directory, Value::Text(path)) if path.is_empty() => Value::Null,
        (Kind::Directory, Value::Text(path)) => program::directory(&path, base)?.into(),
        (Kind::List, Value::List(files)) if setting.key == ENV_FILES.key => program::files(&files)?,
        (_, value) => value,
    };
    setting.put(app, value).map_err(|error| Error::usage(error.to_string()))
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
