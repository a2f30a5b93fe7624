//! The apps: can they be started here, and does anything wait for a person.

use std::path::{Path, PathBuf};

use super::finding::Finding;
use super::host::PROCESSES_PER_RUN;
use super::python::{Silent, ask};
use super::{Context, Reporter};
use crate::cli::format;
use crate::cli::presence::Managers;
use crate::cli::session::{Fleet, Session};
use crate::config::env;
use crate::model::AppRow;
use crate::model::explain::State;
use crate::process::{directory_of, find_command, group_limits, manager_of, process_limits, variable_of};
use crate::store::OperatorStore;

/// The largest number of apps whose programs are looked for.
const LOOKED_FOR_MAX: usize = 2000;

/// How many apps are named.
const NAMED_MAX: usize = 3;

/// Processes that a manager needs itself, and what an operator runs beside it.
const PROCESSES_BESIDE: u64 = 50;

/// The surroundings in which the manager starts apps: its own, where one works here, else those of this call.
struct Surroundings {
    cwd: PathBuf,
    path: Option<String>,
    python_path: Option<String>,
}

impl Surroundings {
    fn of(session: &Session) -> Self {
        let manager = manager_of(&session.settings.state).ok().flatten().flatten();
        let cwd = manager.and_then(directory_of).or_else(|| std::env::current_dir().ok());
        let variable = |name: &str| manager.map_or_else(|| env::get(name), |pid| variable_of(pid, name));
        Self {
            cwd: cwd.unwrap_or_else(|| "/".into()),
            path: variable(env::PATH),
            python_path: variable(env::PYTHONPATH),
        }
    }

    fn cwd_of(&self, row: &AppRow) -> PathBuf {
        row.app.program.cwd.as_ref().map_or_else(|| self.cwd.clone(), |cwd| self.cwd.join(cwd))
    }
}

pub(super) async fn look(
    context: &Context,
    session: &Session,
    (store, managers): (&dyn OperatorStore, &Managers),
    report: &Reporter,
) {
    let apps = match Fleet::read(store).await {
        Ok(fleet) => fleet.apps,
        Err(error) => return report.add(Finding::of_error("apps", &error, "try again")),
    };
    let enabled = apps.iter().filter(|row| !row.app.disabled && row.fault.is_none()).count();
    let registered = format!("{} registered, {enabled} of them enabled", format::counted(apps.len(), "app"));
    report.add(Finding::ok("apps", registered));
    let aside: Vec<_> = apps.iter().filter(|row| row.fault.is_some()).collect();
    if !aside.is_empty() {
        report.add(Finding::warning(
            "apps.set_aside",
            format!("{} cannot be understood: {}", format::counted(aside.len(), "row"), named(&aside)),
            "dcm app show PATH says what is wrong, dcm app set PATH sets it right; nothing of them begins meanwhile",
        ));
    }
    flags(&apps, managers, report);
    schedules(&apps, report);
    let is_shared = store.capabilities().is_shared;
    let is_here = |row: &&AppRow| {
        let manager = row.state.manager.as_deref();
        let is_own = !is_shared || manager.is_none_or(|name| name == session.settings.name);
        row.fault.is_none() && !row.app.disabled && is_own
    };
    let here: Vec<_> = apps.iter().filter(is_here).collect();
    let surroundings = Surroundings::of(session);
    programs(context, session, (&here, &surroundings), report);
    modules(context, session, (&here, &surroundings), report);
    room(session, here.len(), report);
}

fn flags(apps: &[AppRow], managers: &Managers, report: &Reporter) {
    let of = |wanted: State| apps.iter().filter(|row| managers.state_of(row) == wanted).collect::<Vec<_>>();
    let (fatal, given_up, failed) = (of(State::Fatal), of(State::GivenUp), of(State::Failed));
    for (rows, check, what) in [
        (&fatal, "apps.fatal", "could not be started and wait for a person"),
        (&given_up, "apps.given_up", "failed too often in a row and were given up"),
    ] {
        if !rows.is_empty() {
            let seen = format!("{} {what}: {}", format::counted(rows.len(), "app"), named(rows));
            report.add(Finding::warning(
                check,
                seen,
                "dcm why PATH says why; dcm enable PATH when it is set right",
            ));
        }
    }
    if !failed.is_empty() {
        let seen =
            format!("the last run of {} failed: {}", format::counted(failed.len(), "app"), named(&failed));
        report.add(Finding::warning(
            "apps.failed",
            seen,
            "dcm why PATH says why, dcm logs PATH shows the output",
        ));
    }
}

fn schedules(apps: &[AppRow], report: &Reporter) {
    let is_idle = |row: &&AppRow| {
        let schedule = &row.app.schedule;
        row.fault.is_none()
            && !row.app.disabled
            && !schedule.always
            && !schedule.is_timed()
            && row.next_run.is_none()
    };
    let idle: Vec<_> = apps.iter().filter(is_idle).collect();
    if !idle.is_empty() {
        let seen = format!(
            "{} without a schedule, on command only: {}",
            format::counted(idle.len(), "app"),
            named(&idle)
        );
        report.add(Finding::ok("apps.schedules", seen));
    }
    let offset = chrono::Local::now().offset().local_minus_utc();
    let by_utc: Vec<_> = apps
        .iter()
        .filter(|row| row.app.schedule.cron.is_some() && row.app.schedule.time_zone == chrono_tz::UTC)
        .collect();
    if offset != 0 && !by_utc.is_empty() {
        let seen = format!(
            "{} with a cron expression by UTC, while this host shows {}: {}",
            format::counted(by_utc.len(), "app"),
            chrono::Local::now().format("UTC%:z"),
            named(&by_utc)
        );
        report.add(Finding::ok("apps.time_zones", seen));
    }
}

/// Whether the program of each app is found.
fn programs(
    context: &Context,
    session: &Session,
    (here, surroundings): (&[&AppRow], &Surroundings),
    report: &Reporter,
) {
    let mut missing = Vec::new();
    let mut why = None;
    for row in here.iter().take(LOOKED_FOR_MAX) {
        let program = &row.app.program;
        let found = match program.command.as_ref().map(|command| command.first()) {
            Some(Some(name)) => {
                let path = program.env.get(env::PATH).or(surroundings.path.as_ref());
                let cwd = surroundings.cwd_of(row);
                find_command(
                    name,
                    &cwd.to_string_lossy(),
                    path.map(String::as_str),
                    session.settings.batch_files,
                )
                .map(drop)
                .map_err(|failure| failure.message)
            }
            Some(None) => Err("its command is empty".to_owned()),
            None => match ask(context, session) {
                Ok(_) => Ok(()),
                Err(Silent::Missing(why) | Silent::Broken(why)) => Err(why.clone()),
            },
        };
        if let Err(message) = found {
            why.get_or_insert(message);
            missing.push(*row);
        }
    }
    let bounded = if here.len() > LOOKED_FOR_MAX {
        format!(" (of {LOOKED_FOR_MAX} looked for)")
    } else {
        String::new()
    };
    report.add(match why {
        Some(why) => Finding::error(
            "apps.programs",
            format!(
                "{} cannot be started here{bounded}: {}: {why}",
                format::counted(missing.len(), "app"),
                named(&missing)
            ),
            "install the program, or set the command right: dcm app set PATH -- ARGV",
        ),
        None => Finding::ok("apps.programs", format!("the program of each enabled app is found{bounded}")),
    });
}

/// Whether the module of each app with the default command lies where Python looks for it.
fn modules(
    context: &Context,
    session: &Session,
    (here, surroundings): (&[&AppRow], &Surroundings),
    report: &Reporter,
) {
    let Ok(python) = ask(context, session) else { return };
    let of_modules: Vec<_> = here.iter().filter(|row| row.app.program.command.is_none()).copied().collect();
    let is_missing = |row: &&AppRow| {
        let path = &row.app.path;
        let module =
            Path::new("apps").join(path.group.as_str()).join(path.parent.as_str()).join(path.name.as_str());
        let own = row.app.program.env.get(env::PYTHONPATH).or(surroundings.python_path.as_ref());
        let own = own.into_iter().flat_map(std::env::split_paths).collect::<Vec<_>>();
        let cwd = surroundings.cwd_of(row);
        let mut folders = std::iter::once(&cwd).chain(&own).chain(&python.folders);
        let files = ["main.py", "main.pyc", "main/__main__.py"];
        !folders.any(|folder| files.iter().any(|file| folder.join(&module).join(file).exists()))
    };
    let missing: Vec<_> = of_modules.iter().take(LOOKED_FOR_MAX).copied().filter(is_missing).collect();
    if let Some(row) = missing.first() {
        report.add(Finding::warning(
            "apps.modules",
            format!(
                "the module of {} is neither in {}, nor in PYTHONPATH or that Python: {}",
                format::counted(missing.len(), "app"),
                surroundings.cwd_of(row).display(),
                named(&missing)
            ),
            "set the directory that holds apps/ by dcm app set PATH --cwd DIR, or start the manager there",
        ));
    } else if !of_modules.is_empty() {
        let seen = format!("the modules of {} are found", format::counted(of_modules.len(), "app"));
        report.add(Finding::ok("apps.modules", seen));
    }
}

/// Whether all apps may run at once, as far as limits of processes go.
fn room(session: &Session, apps: usize, report: &Reporter) {
    let most = session.settings.running_max.map_or(apps, |most| apps.min(most as usize)) as u64;
    let needed = most * PROCESSES_PER_RUN + PROCESSES_BESIDE;
    let manager = manager_of(&session.settings.state).ok().flatten().flatten();
    let of_user = process_limits(manager).and_then(|limits| limits.processes);
    let of_group = group_limits().pids.map(|(_, most)| most);
    let Some(limit) = of_user.into_iter().chain(of_group).min() else { return };
    report.add(if limit < needed {
        Finding::warning(
            "limits.enough",
            format!("{limit} processes are allowed, and {most} runs at once need about {needed}"),
            "raise TasksMax and LimitNPROC of the service (ulimit -u), or set limits.running",
        )
    } else {
        Finding::ok("limits.enough", format!("{limit} processes are allowed, for {most} runs at once"))
    });
}

/// The first of them by their paths.
fn named(rows: &[&AppRow]) -> String {
    let name = |row: &&AppRow| {
        row.fault.as_ref().map_or_else(|| row.app.path.to_string(), |fault| fault.written_path())
    };
    let names: Vec<_> = rows.iter().take(NAMED_MAX).map(name).collect();
    let more = rows.len().saturating_sub(NAMED_MAX);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{more}", names.join(", "))
}
