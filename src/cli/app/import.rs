//! `dcm app import`: registers or changes the apps of a file, all or none.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::json;

use super::definitions::{Document, Entry};
use super::export;
use super::foreign::{Foreign, read};
use crate::cli::args::ImportArgs;
use crate::cli::error::{Error, Kind};
use crate::cli::output;
use crate::cli::session::{Fleet, Session, block_on, needs_env};
use crate::model::{
    AppId, AppPath, AppRow, CmdFlag, CmdName, CommandSource, NewCommand, RunStatus, Schedule,
};
use crate::process::{clock, user_name};
use crate::store::{Existing, LedgerQuery, OpenMode, OperatorStore, Registration, submit};

pub(super) fn import(session: &Session, args: &ImportArgs) -> Result<(), Error> {
    let name = args.file.display().to_string();
    let found = read(args, &name)?;
    let origin = origin(&args.file)?;
    if args.prune && origin.is_none() {
        return Err(Error::usage("--prune needs a file: what came from standard input has no origin"));
    }
    let mode = if args.dry_run { OpenMode::Existing } else { OpenMode::Create };
    let store = session.store(mode)?;
    block_on(async {
        needs_env(store.as_ref()).await?;
        let fleet = Fleet::read(store.as_ref()).await?;
        let (Document { apps: entries, limits }, foreign) =
            found.settled(args, &fleet.apps, &folder(&args.file)?)?;
        let plan = Plan::new(entries, &fleet.apps, origin.as_deref(), args.enable);
        let surplus = plan.removable();
        if args.prune && !args.dry_run && !surplus.is_empty() {
            let question = format!("remove {} apps that are not in {name} any more?", surplus.len());
            super::consent(args.yes, &question)?;
        }
        plan.warn(store.as_ref(), args).await?;
        if !args.dry_run {
            carry_out(store.as_ref(), &plan, args).await?;
        }
        for (place, limit) in &limits {
            if args.dry_run {
                output::message(format_args!("at most {limit} apps of {place} would run at once"));
            } else if place.set(store.as_ref(), Some(*limit)).await? {
                output::message(format_args!("at most {limit} apps of {place} run at once now"));
            }
        }
        plan.show(session, args, foreign.as_ref());
        let running = plan.surplus.iter().find(|row| is_running(row));
        match running.filter(|_| args.prune && !args.dry_run) {
            Some(row) => Err(Error::new(
                Kind::RefusedForNow,
                format!("a run of {} is under way, so it was not removed; stop it first", row.app.path),
            )),
            None => Ok(()),
        }
    })
}

/// What the file would change.
struct Plan<'a> {
    changes: Vec<Planned>,
    unchanged: usize,
    /// Came from the same file and are not in it any more.
    surplus: Vec<&'a AppRow>,
}

/// One app of the file that is new or different.
struct Planned {
    registration: Registration,
    /// The keys that differ; `None` for a new app.
    differences: Option<Vec<String>>,
    /// Whether it stays disabled although the file says otherwise.
    stays_disabled: bool,
    /// Whether it is enabled against an earlier DISABLE.
    is_enabled: bool,
    /// Whether a run goes on with the program as it was.
    runs_old_program: bool,
}

impl Planned {
    fn path(&self) -> &AppPath {
        &self.registration.app.path
    }
}

impl<'a> Plan<'a> {
    fn new(entries: Vec<Entry>, fleet: &'a [AppRow], origin: Option<&str>, enable: bool) -> Self {
        let known: BTreeMap<AppId, &AppRow> =
            fleet.iter().map(|row| (AppId::of(&row.app.path), row)).collect();
        let named: BTreeSet<AppId> = entries.iter().map(|entry| entry.app.id).collect();
        let total = entries.len();
        let is_surplus = |row: &&AppRow| {
            origin.is_some() && row.app.origin.as_deref() == origin && !named.contains(&row.app.id)
        };
        let changes: Vec<_> =
            entries.into_iter().filter_map(|entry| planned(entry, &known, origin, enable)).collect();
        let differing = changes.iter().filter(|planned| planned.is_difference()).count();
        Self { changes, unchanged: total - differing, surplus: fleet.iter().filter(is_surplus).collect() }
    }

    fn removable(&self) -> Vec<AppId> {
        self.surplus.iter().filter(|row| !is_running(row)).map(|row| row.app.id).collect()
    }

    fn added(&self) -> impl Iterator<Item = &Planned> {
        self.changes.iter().filter(|planned| planned.differences.is_none())
    }

    fn changed(&self) -> impl Iterator<Item = &Planned> {
        self.changes.iter().filter(|planned| planned.differences.is_some() && planned.is_difference())
    }

    /// Says what a person might not expect.
    async fn warn(&self, store: &dyn OperatorStore, args: &ImportArgs) -> Result<(), Error> {
        for planned in &self.changes {
            let path = planned.path();
            super::tell_unused_pause(&planned.registration.app, &Schedule::default());
            if planned.stays_disabled {
                let by = disabled_by(store, planned.registration.app.id).await?;
                output::message(format_args!("{path} stays disabled{by}; --enable lets it run"));
            }
            if planned.runs_old_program {
                output::message(format_args!(
                    "{path} is running and goes on with its old program; dcm restart {path} starts the new one"
                ));
            }
        }
        if !args.prune && !args.dry_run {
            for row in &self.surplus {
                output::message(format_args!(
                    "{} came from this file and is not in it any more; --prune removes it",
                    row.app.path
                ));
            }
        }
        Ok(())
    }

    fn show(&self, session: &Session, args: &ImportArgs, foreign: Option<&Foreign>) {
        let removed: Vec<_> = self
            .surplus
            .iter()
            .filter(|row| !is_running(row))
            .filter(|_| args.prune || args.dry_run)
            .collect();
        if session.json {
            let change = |planned: &Planned, change: &str| {
                json!({
                    "path": planned.path().to_string(),
                    "change": change,
                    "differences": planned.differences,
                    "disable": planned.registration.app.disabled,
                })
            };
            let apps = self.added().map(|planned| change(planned, "added"));
            let apps = apps.chain(self.changed().map(|planned| change(planned, "changed")));
            let gone =
                removed.iter().map(|row| json!({ "path": row.app.path.to_string(), "change": "removed" }));
            output::json(&json!({
                "added": self.added().count(),
                "changed": self.changed().count(),
                "unchanged": self.unchanged,
                "removed": removed.len(),
                "dry_run": args.dry_run,
                "apps": apps.chain(gone).collect::<Vec<_>>(),
                "notes": foreign.map_or_else(Vec::new, Foreign::json),
            }));
            return;
        }
        if let Some(foreign) = foreign {
            foreign.tell();
        }
        let would = if args.dry_run { "would be " } else { "" };
        let added = self.added().map(|planned| format!("{} {would}added", planned.path()));
        let changed = self.changed().map(|planned| {
            let differences = planned.differences.iter().flatten().cloned().collect::<Vec<_>>();
            format!("{} {would}changed ({})", planned.path(), differences.join(", "))
        });
        let by = if args.dry_run && !args.prune { " by --prune" } else { "" };
        let gone = removed.iter().map(|row| format!("{} {would}removed{by}", row.app.path));
        let counts = format!(
            "{} added, {} changed, {} unchanged",
            self.added().count(),
            self.changed().count(),
            self.unchanged
        );
        let pruned = if args.prune { format!(", {} removed", removed.len()) } else { String::new() };
        let dry = if args.dry_run { "dry run: " } else { "" };
        output::lines(added.chain(changed).chain(gone).chain([format!("{dry}{counts}{pruned}")]));
        let new = self.added().filter(|planned| planned.registration.app.disabled).count();
        if let Some(foreign) = foreign.filter(|_| new > 0) {
            foreign.tell_next(new, args);
        }
    }
}

impl Planned {
    /// Whether more than the origin differs.
    fn is_difference(&self) -> bool {
        self.differences.as_ref().is_none_or(|differences| !differences.is_empty())
    }
}

/// What becomes of one app of the file; `None` when it is so already.
fn planned(
    entry: Entry,
    known: &BTreeMap<AppId, &AppRow>,
    origin: Option<&str>,
    enable: bool,
) -> Option<Planned> {
    let Entry { mut app, enabled } = entry;
    let before = known.get(&app.id);
    app.origin = origin.map(str::to_owned).or_else(|| before.and_then(|row| row.app.origin.clone()));
    let was_disabled = before.is_none_or(|row| row.app.disabled);
    let is_lifted = before.is_some() && was_disabled && enabled == Some(true);
    app.disabled = match (before, enabled) {
        // Registered apps are enabled by people; a file that says otherwise would undo their DISABLE.
        (Some(_), Some(true)) => was_disabled && !enable,
        (_, Some(enabled)) => !enabled,
        (_, None) => was_disabled,
    };
    let registration = Registration { app, next_run: None, existing: Existing::Replace };
    let Some(before) = before else {
        return Some(Planned {
            registration,
            differences: None,
            stays_disabled: false,
            is_enabled: false,
            runs_old_program: false,
        });
    };
    let app = &registration.app;
    let (old, new) = (export::table(&before.app), export::table(app));
    let keys: BTreeSet<_> = old.keys().chain(new.keys()).collect();
    let mut differences: Vec<_> =
        keys.into_iter().filter(|key| old.get(*key) != new.get(*key)).cloned().collect();
    // A faulty column may be shown by its default, and is written all the same.
    let faulty = before.fault.iter().flat_map(|fault| &fault.columns);
    differences.extend(faulty.map(|column| (*column).to_owned()).filter(|column| !old.contains_key(column)));
    let stays_disabled = is_lifted && !enable;
    if before.app == *app && before.fault.is_none() && !stays_disabled {
        return None;
    }
    Some(Planned {
        differences: Some(differences),
        stays_disabled,
        is_enabled: is_lifted && enable,
        runs_old_program: is_running(before) && before.app.program != app.program,
        registration,
    })
}

fn is_running(row: &AppRow) -> bool {
    row.state.status == RunStatus::Running
}

/// Who disabled the app and why, as far as the ledger says.
async fn disabled_by(store: &dyn OperatorStore, app: AppId) -> Result<String, Error> {
    let query =
        LedgerQuery { app: Some(app), name: Some(CmdName::Disable), limit: 1, ..LedgerQuery::default() };
    let last = store.ledger(query).await?.into_iter().find(|row| row.flag == CmdFlag::Executed);
    Ok(last.map_or_else(String::new, |row| {
        let note = row.note.map(|note| format!(": {note}")).unwrap_or_default();
        format!(" (DISABLE by {}{note})", row.by)
    }))
}

async fn carry_out(store: &dyn OperatorStore, plan: &Plan<'_>, args: &ImportArgs) -> Result<(), Error> {
    let registrations: Vec<_> = plan.changes.iter().map(|planned| planned.registration.clone()).collect();
    if !registrations.is_empty() {
        store.register(registrations).await?;
    }
    // For the ledger, and for what else keeps an app from being started: a fatal flag, a STOP.
    let time = clock::wall();
    let enabled = plan.changes.iter().filter(|planned| planned.is_enabled).map(|planned| NewCommand {
        app: planned.registration.app.id,
        name: CmdName::Enable,
        args: None,
        by: user_name(),
        source: CommandSource::Cli,
        time,
        expires: None,
        batch: None,
        note: Some(format!("dcm app import --enable {}", args.file.display()).chars().take(1000).collect()),
    });
    let commands: Vec<_> = enabled.collect();
    if !commands.is_empty() {
        submit(store, commands).await?;
    }
    let surplus = plan.removable();
    if args.prune && !surplus.is_empty() {
        store.remove(surplus).await?;
    }
    Ok(())
}

/// The file as the column `origin` names it; `None` for standard input.
fn origin(path: &Path) -> Result<Option<String>, Error> {
    if path == Path::new("-") {
        return Ok(None);
    }
    Ok(Some(std::fs::canonicalize(path)?.to_string_lossy().into_owned()))
}

/// Where relative paths of the file start.
pub(super) fn folder(path: &Path) -> std::io::Result<PathBuf> {
    std::path::absolute(Path::new(".").join(path.parent().unwrap_or(path)))
}
