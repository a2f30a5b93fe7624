//! `dcm status`: what apps are doing.

mod watch;

use std::collections::BTreeMap;

use super::args::StatusArgs;
use super::choice::{has_state, places};
use super::error::{Error, Kind};
use super::presence::Managers;
use super::session::{Fleet, Session, block_on, tell_faults};
use super::{format, output};
use crate::manager::coming::coming_of;
use crate::model::explain::State;
use crate::model::{AlertKind, AlertRow, Anomaly, AppRow, Timestamp, Word};
use crate::store::{AlertQuery, AlertsOf, OpenMode, OperatorStore};
use crate::wire;

pub(super) fn status(session: &Session, args: &StatusArgs) -> Result<(), Error> {
    if let Some(every) = args.watch {
        return watch::watch(session, args, every);
    }
    let store = session.store(OpenMode::Existing)?;
    block_on(async {
        let fleet = Fleet::read(store.as_ref()).await?;
        let page = Page::of(session, store.as_ref(), fleet, args).await?;
        if session.json {
            output::json_rows(page.apps.iter().map(|(row, state)| wire::App::of(row, *state)));
            return verdict(args, page.apps.len());
        }
        output::write_table(&page.table());
        output::lines(page.sums());
        tell_faults(page.apps.iter().map(|(row, _)| row));
        page.remarks(store.as_ref()).await?.into_iter().for_each(output::message);
        verdict(args, page.apps.len())
    })
}

/// What is shown at one moment.
struct Page {
    apps: Vec<(AppRow, State)>,
    managers: Managers,
    is_shared: bool,
    /// Nothing is registered, or meant.
    is_empty: bool,
}

impl Page {
    async fn of(
        session: &Session,
        store: &dyn OperatorStore,
        fleet: Fleet,
        args: &StatusArgs,
    ) -> Result<Self, Error> {
        let selected = fleet.select(&places(&args.which.selectors))?;
        let managers = Managers::read(session, store).await?;
        let is_empty = selected.is_empty();
        let apps = selected
            .into_iter()
            .map(|row| {
                let state = managers.state_of(&row);
                (row, state)
            })
            .filter(|(_, state)| has_state(&args.which.selectors, *state))
            .filter(|(row, state)| !args.failed || is_failed(row, *state))
            .collect();
        Ok(Self { apps, managers, is_shared: store.capabilities().is_shared, is_empty })
    }

    fn table(&self) -> String {
        let now = self.managers.now;
        // What runs under a manager that is lost may have ended long ago.
        let flags = |row: &AppRow| {
            let lost = row.state.manager.as_ref().and_then(|name| self.managers.lost(name));
            let lost = lost.filter(|_| self.is_shared);
            let since = lost.map(|lost| format!("unheard {}", format::duration(now - lost.heartbeat)));
            let flags = format::flags(row);
            [(!flags.is_empty()).then_some(flags), since].into_iter().flatten().collect::<Vec<_>>().join(",")
        };
        let rows: Vec<_> = self
            .apps
            .iter()
            .map(|(row, state)| {
                vec![
                    row.app.path.to_string(),
                    state.word().to_uppercase(),
                    format::result(row),
                    flags(row),
                    percent(row),
                    format::counts(row),
                    format::failed(row),
                    eta(row, *state, now),
                    next(row, now),
                    format::time(row.state.last_run, now),
                    format::memory(row),
                    format::cpu(row),
                    row.state.pid.map_or(String::new(), |pid| pid.to_string()),
                    row.state.manager.clone().unwrap_or_default(),
                ]
            })
            .collect();
        let inks: Vec<_> = self.apps.iter().map(|(_, state)| ink(*state)).collect();
        let head = [
            "APP", "STATE", "RESULT", "FLAGS", "%", "SOLVED", "FAILED", "ETA", "NEXT", "LAST", "MEMORY",
            "CPU", "PID", "MANAGER",
        ];
        let expendable = ["MANAGER", "PID", "CPU", "MEMORY", "LAST", "ETA", "FAILED", "SOLVED", "%"];
        output::table_text(&head, &rows, &expendable, &inks)
    }

    /// The line of sums, where there is something to add up.
    fn sums(&self) -> Option<String> {
        (self.apps.len() > 1).then(|| sums(self.apps.iter().map(|(_, state)| *state)))
    }

    /// What else a person should know.
    async fn remarks(&self, store: &dyn OperatorStore) -> Result<Vec<String>, Error> {
        let none = "no apps are registered; dcm app add GROUP/PARENT/APP registers one".to_owned();
        let of_documents = documents(store).await?;
        let remark = self.managers.remark("what is shown may be old");
        let none = self.is_empty.then_some(none);
        let of_exporters = not_exported(store).await?;
        let said = none.into_iter().chain(of_documents).chain(remark);
        Ok(said.chain(self.managers.broker_remarks()).chain(of_exporters).collect())
    }
}

/// How much is done. What runs always is never done.
fn percent(row: &AppRow) -> String {
    let percent = row.progress.known_percent().filter(|_| !row.app.schedule.always);
    percent.map_or(String::new(), |percent| format!("{percent}%"))
}

/// When it will be done; for what runs always, how long it has lived.
fn eta(row: &AppRow, state: State, now: Timestamp) -> String {
    if !row.app.schedule.always {
        return format::time(row.progress.eta, now);
    }
    let began = row.state.last_run.filter(|_| state.is_running() && state != State::Unknown);
    began.map_or(String::new(), |began| format!("up {}", format::duration(now - began)))
}

fn next(row: &AppRow, now: Timestamp) -> String {
    if row.app.schedule.always && !row.is_suspended() {
        return "always".to_owned();
    }
    format::time(coming_of(row, now), now)
}

/// What is to be said of documents that have failed.
async fn documents(store: &dyn OperatorStore) -> Result<Option<String>, Error> {
    let stages = store.stages(store.time().await?).await?;
    let dead: u64 = stages.iter().map(|stage| stage.dead).sum();
    let failed: u64 = stages.iter().map(|stage| stage.failed).sum();
    let dead = match dead {
        0 => None,
        1 => Some("1 document is dead".to_owned()),
        dead => Some(format!("{dead} documents are dead")),
    };
    let failed = match (failed, &dead) {
        (0, _) => None,
        (1, Some(_)) => Some("1 has failed".to_owned()),
        (1, None) => Some("1 document has failed".to_owned()),
        (failed, Some(_)) => Some(format!("{failed} have failed")),
        (failed, None) => Some(format!("{failed} documents have failed")),
    };
    let words: Vec<_> = dead.into_iter().chain(failed).collect();
    let hint = "dcm documents --status dead,failed lists them";
    Ok((!words.is_empty()).then(|| format!("{}; {hint}", words.join(" and "))))
}

/// Which managers cannot serve their metrics, and why.
async fn not_exported(store: &dyn OperatorStore) -> Result<Vec<String>, Error> {
    let of_fleet = AlertQuery { of: AlertsOf::Fleet, open_only: true, limit: 100, ..AlertQuery::default() };
    let mut alerts = store.alerts(of_fleet).await?;
    alerts.retain(|alert| alert.kind.known() == Some(AlertKind::MetricsNotServed));
    let say = |alert: AlertRow| format!("manager {}: {}", alert.manager.unwrap_or_default(), alert.message);
    Ok(alerts.into_iter().map(say).collect())
}

/// `12 apps: 2 failed, 4 running, 6 idle`.
fn sums(states: impl Iterator<Item = State>) -> String {
    let mut counts: BTreeMap<State, usize> = BTreeMap::new();
    for state in states {
        *counts.entry(state).or_default() += 1;
    }
    let parts: Vec<_> = counts.iter().map(|(state, count)| format!("{count} {state}")).collect();
    format!("{} apps: {}", counts.values().sum::<usize>(), parts.join(", "))
}

/// Red is what needs a person, yellow what may.
const fn ink(state: State) -> output::Ink {
    match state {
        State::SetAside | State::Fatal | State::GivenUp | State::Failed => output::Ink::Alarm,
        State::Unknown | State::Stalled | State::Late | State::Stopped => output::Ink::Warning,
        State::Waiting | State::Running | State::Idle => output::Ink::Plain,
        State::Disabled => output::Ink::Faint,
    }
}

/// Whether the last run of an app ended badly, or it carries a flag: both are over with its first good run, or ENABLE. A
/// stall and a broken limit set the flag too, and are no end yet.
fn is_failed(row: &AppRow, state: State) -> bool {
    let is_end =
        |cause: &Word<Anomaly>| !matches!(cause.known(), Some(Anomaly::Stalled | Anomaly::OverLimit));
    state.is_failed() || row.state.fatal.as_ref().is_some_and(|fatal| is_end(&fatal.cause))
}

/// With `--failed`, a list that is not empty is what a script asks for.
fn verdict(args: &StatusArgs, listed: usize) -> Result<(), Error> {
    match listed {
        count @ 1.. if args.failed => {
            let apps = if count == 1 { "1 app has".to_owned() } else { format!("{count} apps have") };
            Err(Error::new(Kind::Listed, format!("{apps} failed")).hint("dcm why PATH says why"))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_name_what_needs_a_person_first() {
        let states = [State::Idle, State::Running, State::Failed, State::Idle, State::Unknown];
        assert_eq!(sums(states.into_iter()), "5 apps: 1 unknown, 1 failed, 1 running, 2 idle");
    }
}
