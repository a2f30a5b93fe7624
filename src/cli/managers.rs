//! `dcm managers`: who serves the database, and who is to have whose apps.

use std::collections::BTreeMap;

use serde_json::json;

use super::args::ManagersCommand;
use super::error::Error;
use super::presence::{Managers, Presence};
use super::session::{Fleet, Session, block_on};
use super::{format, output};
use crate::model::{ManagerRow, Released, owner_of};
use crate::process::{home_of, manager_of};
use crate::store::{OpenMode, OperatorStore, take_from};
use crate::wire::{self, ManagerFacts};

pub(super) fn managers(session: &Session, command: Option<ManagersCommand>) -> Result<(), Error> {
    if matches!(command, Some(ManagersCommand::Check)) {
        return check(session);
    }
    let store = session.store(OpenMode::Existing)?;
    block_on(async {
        match command.unwrap_or(ManagersCommand::List) {
            ManagersCommand::List => list(session, store.as_ref()).await,
            // Done above: it is asked also while the database is away.
            ManagersCommand::Check => Ok(()),
            ManagersCommand::Drain { name } => {
                let released = store.drain(&name, true).await?;
                told(session, &name, released, "it starts nothing new");
                Ok(())
            }
            ManagersCommand::Resume { name } => {
                store.drain(&name, false).await?;
                told(session, &name, Released::default(), "it starts apps again");
                Ok(())
            }
            ManagersCommand::Takeover { name, pinned, yes } => {
                let question = format!(
                    "is the host of {name} dead for sure? If its apps still run there, they will run twice"
                );
                if !yes && output::is_interactive() && !output::confirm(question) {
                    return Err(Error::failed("nothing was done"));
                }
                let released = take_from(store.as_ref(), &name, pinned).await?;
                told(session, &name, released, "its apps are free for others");
                Ok(())
            }
        }
    })
}

/// How many apps each manager has; `None` are those of no manager.
pub(super) type Counts = BTreeMap<Option<String>, usize>;

/// Counts the apps of each manager.
pub(super) async fn counts(store: &dyn OperatorStore, managers: &Managers) -> Result<Counts, Error> {
    let mut apps = Counts::new();
    let is_shared = store.capabilities().is_shared;
    for app in Fleet::read(store).await?.apps {
        let rows = managers.rows.iter().map(|(row, _)| row);
        let owner = owner_of(app.state.manager.as_deref(), rows, (is_shared, managers.now));
        *apps.entry(owner.map(str::to_owned)).or_default() += 1;
    }
    Ok(apps)
}

async fn list(session: &Session, store: &dyn OperatorStore) -> Result<(), Error> {
    let managers = Managers::read(session, store).await?;
    let remarks: Vec<_> = managers.broker_remarks().collect();
    let apps = counts(store, &managers).await?;
    let Managers { rows: managers, now, .. } = managers;
    if session.json {
        output::json_rows(
            managers.iter().map(|(row, presence)| wire::Manager::of(row, facts(row, *presence, &apps))),
        );
        return Ok(());
    }
    let has_broker = managers.iter().any(|(row, _)| row.broker.is_some());
    let rows: Vec<_> = managers
        .iter()
        .map(|(row, presence)| {
            // What one said long ago of its load is not so any more.
            let load = (*presence == Presence::Live).then_some(row.load);
            let unknown = || "-".to_owned();
            vec![
                row.name.clone(),
                state(row, *presence).to_owned(),
                format::duration(now - row.heartbeat),
                row.host.clone(),
                row.pid.to_string(),
                apps.get(&Some(row.name.clone())).copied().unwrap_or(0).to_string(),
                load.map_or_else(unknown, |load| match load.running_max {
                    Some(max) => format!("{}/{max}", load.running),
                    None => load.running.to_string(),
                }),
                load.map_or_else(unknown, |load| load.waiting.to_string()),
                row.pools.join(","),
                row.version.clone(),
                row.python.clone().unwrap_or_else(|| "-".to_owned()),
            ]
            .into_iter()
            .chain(has_broker.then(|| broker(row, *presence)))
            .collect()
        })
        .collect();
    let mut head = vec![
        "NAME", "STATE", "HEARD", "HOST", "PID", "APPS", "RUNNING", "WAITING", "POOLS", "VERSION", "PYTHON",
    ];
    if has_broker {
        head.push("BROKER");
    }
    output::table(&head, &rows);
    remarks.into_iter().for_each(output::message);
    let unowned = apps.get(&None).copied().unwrap_or(0);
    if unowned > 0 && managers.iter().any(|(row, _)| row.lease_until.is_some()) {
        output::message(format_args!(
            "{unowned} apps belong to no manager: nobody who lives serves their pool"
        ));
    }
    Ok(())
}

/// A manager whose database is away works all the same, and a container with it must not be restarted for that.
fn check(session: &Session) -> Result<(), Error> {
    let state = &session.settings.state;
    let place = state.path().display();
    let Some(pid) = manager_of(state)? else {
        return Err(Error::failed(format!("no manager works in {place}")).hint("dcm --headless starts one"));
    };
    let pid = pid.map_or_else(String::new, |pid| format!(" (pid {pid})"));
    let (name, is_silent, remark) = match own_row(session) {
        Ok(Some((row, presence))) => (Some(row.name), presence == Presence::Silent, None),
        Ok(None) => (None, false, Some("it is starting".to_owned())),
        Err(error) if error.is_refusal_for_now() => (None, false, Some(error.to_string())),
        Err(error) => return Err(error),
    };
    if session.json {
        output::json(&json!({ "manager": name, "is_live": !is_silent, "remark": remark }));
    }
    let name = name.map_or_else(|| "a manager".to_owned(), |name| format!("manager {name}"));
    if is_silent {
        return Err(Error::failed(format!(
            "{name}{pid} in {place} has said nothing for longer than its lease"
        ))
        .hint("its process stands still, or it cannot write to the database: its log says more"));
    }
    if !session.json {
        let remark = remark.map_or_else(String::new, |remark| format!("; {remark}"));
        output::line(format_args!("{name}{pid} works in {place}{remark}"));
    }
    Ok(())
}

/// What the database says of the manager of this state directory.
fn own_row(session: &Session) -> Result<Option<(ManagerRow, Presence)>, Error> {
    let home = home_of(&session.settings.state);
    let store = session.store(OpenMode::Existing)?;
    let managers = block_on(Managers::read(session, store.as_ref()))?;
    let own = managers.rows.into_iter().filter(|(row, _)| home.is_some() && row.home == home);
    let is_there = |presence: &Presence| matches!(presence, Presence::Live | Presence::Silent);
    Ok(own.filter(|(_, presence)| is_there(presence)).max_by_key(|(row, _)| row.heartbeat))
}

/// What can be said of a manager, in one word.
fn state(row: &ManagerRow, presence: Presence) -> &'static str {
    match (presence, row.draining) {
        (Presence::Stopped, _) => "stopped",
        (Presence::Lost, _) => "lost",
        (Presence::Silent, _) => "silent",
        (Presence::Live, true) => "draining",
        (Presence::Live, false) => "live",
    }
}

/// How it stands with the broker, in a word.
fn broker(row: &ManagerRow, presence: Presence) -> String {
    let state = row.broker.as_deref().filter(|_| presence == Presence::Live);
    let word = state.and_then(|state| state.split(' ').next()).unwrap_or("-").to_owned();
    match row.dead_letters {
        0 => word,
        count => format!("{word}, {count} dead"),
    }
}

/// What is known of a manager besides its row.
pub(super) fn facts(row: &ManagerRow, presence: Presence, apps: &Counts) -> ManagerFacts {
    ManagerFacts {
        state: state(row, presence),
        is_live: presence == Presence::Live,
        apps: apps.get(&Some(row.name.clone())).copied().unwrap_or(0) as u64,
    }
}

fn told(session: &Session, name: &str, released: Released, what: &str) {
    let Released { apps, runs, kept } = released;
    if session.json {
        output::json(&json!({ "manager": name, "released": apps, "runs_lost": runs, "kept": kept }));
        return;
    }
    let lost = if runs > 0 { format!(", {runs} runs lost") } else { String::new() };
    let released = if apps > 0 { format!("; {apps} apps released{lost}") } else { String::new() };
    let kept = match kept {
        0 => String::new(),
        kept => format!("; {kept} apps stay with it (they run now, or their failover or pool says so)"),
    };
    output::line(format_args!("{name}: {what}{released}{kept}"));
}
