//! `dcm watch`: the directories whose files become documents.

use std::path::{Path, PathBuf};

use serde_json::json;

use crate::cli::args::WatchAddArgs;
use crate::cli::error::{Error, Kind};
use crate::cli::session::Session;
use crate::cli::{format, output};
use crate::model::{RootState, Timestamp, WatchRoot, route_of};
use crate::store::OperatorStore;
use crate::wire;

/// A manager looks through its directories several times a minute; one that was not looked at for so long has none.
const SCANNED_LATELY_S: i64 = 60;

pub(super) async fn add(
    session: &Session,
    store: &dyn OperatorStore,
    args: WatchAddArgs,
) -> Result<(), Error> {
    let is_elsewhere = args.manager.as_ref().is_some_and(|name| *name != session.settings.name);
    let path = directory(&args.dir, is_elsewhere)?;
    let root = WatchRoot {
        app_group: args.group.unwrap_or_else(|| args.name.clone()),
        name: args.name,
        path,
        pattern: args.pattern,
        recursive: args.recursive,
        topic: args.topic,
        stable_seconds: args.stable_seconds,
        enabled: !args.disabled,
        manager: args.manager,
        state: RootState::default(),
    };
    store.add_watch_root(root.clone()).await?;
    if session.json {
        output::json(&wire::WatchRoot::of(&root));
    } else {
        output::line(format_args!("{} watches {}", root.name, root.path));
    }
    if route_of(&store.document_routes().await?, &root.topic).is_none() {
        output::message(format_args!(
            "no route takes the topic {0} yet: its documents wait; dcm route add {0} --queue QUEUE --actor ACTOR adds one",
            root.topic
        ));
    }
    Ok(())
}

/// An absolute directory without `.` and `..`; one of this host is there.
fn directory(given: &Path, is_elsewhere: bool) -> Result<String, Error> {
    let absolute =
        std::path::absolute(given).map_err(|error| Error::usage(format!("{}: {error}", given.display())))?;
    let mut path = PathBuf::new();
    for part in absolute.components() {
        if part == std::path::Component::ParentDir {
            path.pop();
        } else {
            path.push(part);
        }
    }
    if !is_elsewhere {
        let what = std::fs::metadata(&path).map_err(|error| {
            Error::usage(format!("{} cannot be watched: {error}", path.display()))
                .hint("make it first, or name the manager of another host with --manager")
        })?;
        if !what.is_dir() {
            return Err(Error::usage(format!("{} is not a directory", path.display())));
        }
    }
    path.into_os_string().into_string().map_err(|path| {
        Error::usage(format!("the name of {} is not UTF-8", path.display()))
            .hint("watch a directory above it with --recursive")
    })
}

/// What can be said of a root, in one word.
fn state_of(root: &WatchRoot, now: Timestamp) -> &'static str {
    match (&root.state.fault, root.state.scanned) {
        _ if !root.enabled => "disabled",
        (Some(_), _) => "fault",
        (None, None) => "new",
        (None, Some(at)) if (now - at).num_seconds() > SCANNED_LATELY_S => "silent",
        (None, Some(_)) => "watching",
    }
}

pub(super) async fn list(session: &Session, store: &dyn OperatorStore) -> Result<(), Error> {
    let roots = store.watch_roots().await?;
    if session.json {
        output::json_rows(roots.iter().map(wire::WatchRoot::of));
        return Ok(());
    }
    if roots.is_empty() {
        output::message("no directory is watched; dcm watch add NAME DIR --topic TOPIC adds one");
        return Ok(());
    }
    let now = store.time().await?;
    let cells = |root: &WatchRoot| {
        let place = if root.recursive { format!("{}/**", root.path) } else { root.path.clone() };
        vec![
            root.name.clone(),
            state_of(root, now).to_owned(),
            format::or_dash(root.state.files),
            format::or_dash(root.state.scanned.map(|at| format::relative(at, now))),
            root.topic.clone(),
            root.app_group.clone(),
            root.pattern.clone(),
            root.manager.clone().unwrap_or_default(),
            place,
        ]
    };
    let rows: Vec<_> = roots.iter().map(cells).collect();
    let inks: Vec<_> = roots
        .iter()
        .map(|root| match state_of(root, now) {
            "fault" => output::Ink::Alarm,
            "silent" => output::Ink::Warning,
            "disabled" => output::Ink::Faint,
            _ => output::Ink::Plain,
        })
        .collect();
    let head = ["NAME", "STATE", "FILES", "SCANNED", "TOPIC", "GROUP", "PATTERN", "MANAGER", "DIRECTORY"];
    output::table_of(&head, &rows, &["GROUP", "MANAGER", "PATTERN", "SCANNED"], &inks);
    for root in roots.iter().filter(|root| root.enabled) {
        if let Some(fault) = &root.state.fault {
            output::message(format_args!("{}: {fault}", root.name));
        }
    }
    Ok(())
}

/// All of these names are those of roots.
///
/// # Errors
/// With exit code 4 where one is not, before anything is done.
async fn known(store: &dyn OperatorStore, names: &[String]) -> Result<(), Error> {
    let roots = store.watch_roots().await?;
    match names.iter().find(|name| roots.iter().all(|root| root.name != **name)) {
        None => Ok(()),
        Some(name) => Err(Error::new(Kind::NoSuchApp, format!("no such watched directory: {name}"))
            .hint("dcm watch list names them")),
    }
}

pub(super) async fn remove(
    session: &Session,
    store: &dyn OperatorStore,
    names: &[String],
) -> Result<(), Error> {
    known(store, names).await?;
    for name in names {
        store.remove_watch_root(name).await?;
    }
    told(session, names, "removed");
    Ok(())
}

pub(super) async fn enable(
    session: &Session,
    store: &dyn OperatorStore,
    names: &[String],
    is_enabled: bool,
) -> Result<(), Error> {
    known(store, names).await?;
    for name in names {
        store.enable_watch_root(name, is_enabled).await?;
    }
    told(session, names, if is_enabled { "enabled" } else { "disabled" });
    Ok(())
}

fn told(session: &Session, names: &[String], what: &str) {
    if session.json {
        output::json(&json!({ "names": names, what: names.len() }));
    } else {
        output::lines(names.iter().map(|name| format!("{name} {what}")));
    }
}
