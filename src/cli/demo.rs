//! `dcm demo`: a small fleet of real apps, in a directory and on a database of its own.

mod lines;
mod pipeline;

use std::fs;
use std::path::Path;

use super::app::definitions;
use super::args::{ConsoleArgs, DemoArgs, Global};
use super::attached::{self, Role};
use super::error::Error;
use super::headless::{self, Hangup};
use super::output;
use super::presence::Managers;
use super::session::{Session, block_on};
use crate::config::OnHangup;
use crate::metrics::MetricsSettings;
use crate::model::{AppId, CmdName, CommandSource, NewCommand, Schedule};
use crate::notify::NotifySettings;
use crate::process::{Grace, clock, stop_all, user_name};
use crate::store::{Existing, NextRun, OpenMode, Registration, submit};
use pipeline::Office;

/// Names files of `examples/` and takes them into the program.
macro_rules! examples {
    ($($name:literal),* $(,)?) => {
        [$(($name, include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/", $name)))),*]
    };
}

use examples;

/// The fleet, as it is in `examples/`.
const FILES: &[(&str, &str)] = &examples![
    "fleet.toml",
    "data/companies.csv",
    "apps/croatia/court/register/main.py",
    "apps/croatia/fina/companies/main.py",
    "apps/croatia/fina/summary/main.py",
    "apps/italy/court/rulings/main.py",
    "apps/local/disk/usage/usage.sh",
    "apps/local/files/crawl/main.py",
    "apps/local/site/server/main.py",
    "apps/slovenia/bank/archive/main.py",
    "apps/slovenia/bank/rates/main.py",
    "apps/slovenia/legacy/importer/main.py",
    "apps/slovenia/mail/inbox/main.py",
];

pub(super) fn demo(global: Global, args: DemoArgs) -> Result<u8, Error> {
    if global.database.is_some() || global.state_dir.is_some() {
        return Err(Error::usage("the demo has a database and a state directory of its own")
            .hint("dcm demo DIR says where they are to be"));
    }
    let is_kept = args.dir.is_some() || args.prepare;
    let dir = match args.dir {
        Some(dir) => std::path::absolute(&dir)?,
        None => std::env::temp_dir().join(format!("dcm-demo-{}", uuid::Uuid::new_v4().simple())),
    };
    let state = dir.join("state");
    let database = format!("sqlite:{}", state.join("dcm.db").display());
    let mut session =
        Session::new(Global { database: Some(database), state_dir: Some(state.clone()), ..global })?;
    // There is nothing in it that should outlive whoever looks at it.
    session.settings.console.on_hangup = OnHangup::Stop;
    // The troubles of made-up apps are not for the people of a real fleet.
    session.settings.notify = Ok(NotifySettings::default());
    // The port is for the manager of the host.
    session.settings.metrics = MetricsSettings::default();
    let office = args.pipeline.then(|| Office::find(&session, &dir)).transpose()?;
    // Nor are they for the broker of a real fleet, unless it is asked for; then by a name of its own.
    session.settings.rabbitmq = Ok(office.as_ref().map(|office| office.broker.clone()));
    if let Some(office) = &office {
        session.settings.name.clone_from(&office.name);
    }
    if !state.join("dcm.db").exists() {
        let prepared = match &office {
            Some(office) => office.prepare(&session, &dir),
            None => prepare(&session, &dir),
        };
        prepared.map_err(|error| {
            if !is_kept {
                let _ = fs::remove_dir_all(&dir);
            }
            Error::failed(format!("{}: {error}", dir.display()))
        })?;
    }
    let elsewhere = format!("dcm --state-dir {}", state.display());
    if args.prepare {
        output::line(dir.display());
        output::message(format_args!("the demo is ready: {elsewhere}"));
        return Ok(0);
    }
    let result = if args.without_console {
        output::message(format_args!("the demo is looked at by {elsewhere} status"));
        headless::headless(&session, Hangup::Ends).map(|()| 0)
    } else if !output::is_terminal() {
        lines::run(&session, args.seconds)
    } else {
        attached::open(&session, &ConsoleArgs::default(), Role::AttachedIfNeeded)
    };
    let is_served = block_on(async {
        let managers = Managers::read(&session, session.store(OpenMode::Existing)?.as_ref()).await?;
        Ok(managers.live().next().is_some())
    });
    if matches!(is_served, Ok(true)) {
        output::message(format_args!("the demo goes on: {elsewhere}"));
        return result;
    }
    let stopped = stop_all(&session.settings.state, &user_name(), Grace::All(GRACE));
    if is_kept || !stopped.left.is_empty() {
        output::message(format_args!("the demo is kept in {}; its apps are stopped", dir.display()));
    } else if fs::remove_dir_all(&dir).is_ok() {
        if let Some(office) = &office {
            office.leave();
        }
        output::message("the demo is over; its apps are stopped and its directory is removed");
    }
    result
}

/// The examples keep nothing that a sudden end could spoil.
const GRACE: std::time::Duration = std::time::Duration::from_secs(1);

/// Writes files into a directory that is empty or not there.
fn write_files(dir: &Path, files: &[(&str, &str)]) -> Result<(), Error> {
    if fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(Error::usage("it is not empty, and holds no demo"));
    }
    for (name, text) in files {
        let file = dir.join(name);
        fs::create_dir_all(file.parent().unwrap_or(dir))?;
        fs::write(&file, text)?;
    }
    Ok(())
}

/// Apps as they are registered: those with a schedule are due now.
fn registrations(entries: Vec<definitions::Entry>) -> Vec<Registration> {
    let now = clock::now().wall;
    let due = |entry: definitions::Entry| Registration {
        next_run: (entry.app.schedule != Schedule::default()).then_some(NextRun::At(now)),
        app: entry.app,
        existing: Existing::Refuse,
    };
    entries.into_iter().map(due).collect()
}

/// Writes the apps and registers them.
fn prepare(session: &Session, dir: &Path) -> Result<(), Error> {
    write_files(dir, FILES)?;
    let fleet = definitions::parse(FILES[0].1, dir)
        .unwrap_or_else(|faults| unreachable!("a test reads the definitions: {faults:?}"));
    let now = clock::now().wall;
    let store = session.store(OpenMode::Create)?;
    // Commands wait for the manager, so that there are some to be seen: one that is carried out, and
    // one that is refused.
    let commands = COMMANDS.iter().map(|(name, path, note)| NewCommand {
        app: AppId::of(&path.parse().unwrap_or_else(|_| unreachable!("a test reads it"))),
        name: *name,
        args: None,
        by: user_name(),
        source: CommandSource::Cli,
        time: now,
        expires: None,
        batch: None,
        note: Some((*note).to_owned()),
    });
    block_on(async {
        store.register(registrations(fleet.apps)).await?;
        for command in commands {
            submit(store.as_ref(), vec![command]).await?;
        }
        Ok(())
    })
}

/// What was commanded before anybody looks.
const COMMANDS: &[(CmdName, &str, &str)] = &[
    (CmdName::Enable, "local/disk/usage", "the disk was exchanged"),
    (CmdName::Start, "slovenia/bank/archive", "the yearly archive"),
    (CmdName::Start, "slovenia/bank/archive", "was it started?"),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn all_examples_are_in_the_program() {
        let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("examples");
        let mut found = BTreeSet::new();
        let mut folders = vec![root.clone()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                match path.is_dir() {
                    // For what runs beside dcm, or before it.
                    true if ["airflow", "grafana", "moving-in", "prometheus"]
                        .iter()
                        .any(|name| path.ends_with(name)) => {}
                    true if path.ends_with("__pycache__") || path.ends_with("out") => {}
                    true => folders.push(path),
                    false => {
                        let name = path.strip_prefix(&root).unwrap().to_str().unwrap();
                        found.insert(name.replace('\\', "/"));
                    }
                }
            }
        }
        let known: BTreeSet<_> =
            [FILES, pipeline::FILES].concat().iter().map(|(name, _)| (*name).to_owned()).collect();
        assert_eq!(known, found);
    }

    #[test]
    fn the_definitions_are_sound() {
        let entries = definitions::parse(FILES[0].1, Path::new("/demo")).unwrap().apps;
        assert!(entries.len() >= 10);
        for (_, path, _) in COMMANDS {
            assert!(entries.iter().any(|entry| entry.app.path.to_string() == *path), "{path}");
        }
        assert!(entries.iter().all(|entry| entry.enabled == Some(true)));
        assert!(entries.iter().all(|entry| entry.app.program.cwd.as_deref() == Some("/demo")));
    }
}
