//! `dcm alerts`: what is wrong, who looks after it, and what is muted.

use std::collections::{BTreeMap, BTreeSet};

use chrono::TimeDelta;

use super::args::{AlertListArgs, AlertTarget, AlertsArgs, AlertsCommand, MeantAlerts, MutedUntil};
use super::error::{Error, Kind};
use super::format;
use super::output::{self, Ink};
use super::session::{Fleet, Session, block_on};
use super::when::{Span, When};
use crate::model::{
    AlertId, AlertRow, AlertSubject, AppId, AppPath, Registered, Selector, Severity, Timestamp,
    format_timestamp, together,
};
use crate::process::user_name;
use crate::store::{AlertNote, AlertQuery, AlertsOf, OpenMode, OperatorStore};
use crate::wire;

/// What is muted for longer is forgotten by people.
const MUTED_MAX: TimeDelta = TimeDelta::days(365);

/// The most open alerts that are noted at once.
const NOTED_MAX: u32 = 100_000;

pub(super) fn alerts(session: &Session, args: AlertsArgs) -> Result<(), Error> {
    let store = session.store(OpenMode::Existing)?;
    let AlertsArgs { command, list: given } = args;
    block_on(async {
        let store = store.as_ref();
        match command.unwrap_or(AlertsCommand::List(given)) {
            AlertsCommand::List(args) => list(session, store, &args).await,
            AlertsCommand::Ack { meant, by } => {
                let note =
                    AlertNote::Acknowledged { by: by.unwrap_or_else(user_name), at: store.time().await? };
                note_alerts(session, store, &meant, note).await
            }
            AlertsCommand::Mute { meant, until } => {
                let until = end_of_mute(&until, store.time().await?)?;
                note_alerts(session, store, &meant, AlertNote::Muted(Some(until))).await
            }
            AlertsCommand::Unmute { meant } => {
                note_alerts(session, store, &meant, AlertNote::Muted(None)).await
            }
        }
    })
}

fn end_of_mute(until: &MutedUntil, now: Timestamp) -> Result<Timestamp, Error> {
    let end = match *until {
        MutedUntil { span: Some(Span(span)), .. } => now.checked_add_signed(span),
        MutedUntil { until: Some(When(end)), .. } => Some(end),
        MutedUntil { span: None, until: None } => None,
    };
    match end {
        Some(end) if end <= now => Err(Error::usage(format!("{} has passed", format_timestamp(end)))),
        Some(end) if end - now <= MUTED_MAX => Ok(end),
        Some(_) | None => {
            Err(Error::usage(format!("alerts are muted for at most {} days", MUTED_MAX.num_days())))
        }
    }
}

/// What one of the arguments means.
async fn meaning(store: &dyn OperatorStore, target: &AlertTarget) -> Result<AlertsOf, Error> {
    match target {
        AlertTarget::Alert(id) => Ok(AlertsOf::These(vec![*id])),
        AlertTarget::Fleet => Ok(AlertsOf::Fleet),
        AlertTarget::Apps(selector) if selector.is_all() => Ok(AlertsOf::All),
        AlertTarget::Apps(selector) => apps_of(store, selector).await.map(AlertsOf::Apps),
    }
}

/// The apps of a selector. A whole path also means an app that was removed and has left alerts.
async fn apps_of(store: &dyn OperatorStore, selector: &Selector) -> Result<Vec<AppId>, Error> {
    match (Fleet::meant(store, std::slice::from_ref(selector)).await, selector.exact()) {
        (Err(error), Some(path)) if error.is_no_such_app() => {
            let apps = vec![AppId::of(&path)];
            let query = AlertQuery { of: AlertsOf::Apps(apps.clone()), limit: 1, ..AlertQuery::default() };
            if store.alerts(query).await?.is_empty() { Err(error) } else { Ok(apps) }
        }
        (apps, _) => Ok(apps?.iter().map(|row| row.app.id).collect()),
    }
}

/// The alerts that the arguments mean, newest first, each once. Those that are named by their number come whether they
/// are over or not.
///
/// # Errors
/// With exit code 4 when there is no such alert or app.
async fn meant(
    store: &dyn OperatorStore,
    targets: &[AlertTarget],
    query: &AlertQuery,
) -> Result<Vec<AlertRow>, Error> {
    if targets.is_empty() {
        return Ok(store.alerts(query.clone()).await?);
    }
    let mut found = BTreeMap::new();
    for target in targets {
        let of = meaning(store, target).await?;
        let query = match &of {
            AlertsOf::These(_) => AlertQuery { of, limit: 1, ..AlertQuery::default() },
            AlertsOf::All | AlertsOf::Fleet | AlertsOf::Apps(_) => AlertQuery { of, ..query.clone() },
        };
        let rows = store.alerts(query).await?;
        if let (AlertTarget::Alert(id), true) = (target, rows.is_empty()) {
            let error = Error::new(Kind::NoSuchApp, format!("no such alert: {}", id.0));
            return Err(error.hint("dcm alerts --all lists them"));
        }
        found.extend(rows.into_iter().map(|row| (row.id, row)));
    }
    Ok(found.into_values().rev().take(query.limit as usize).collect())
}

/// The paths of the apps that alerts are about and that are registered.
async fn paths(store: &dyn OperatorStore, alerts: &[AlertRow]) -> Result<BTreeMap<AppId, AppPath>, Error> {
    let apps: BTreeSet<_> = alerts.iter().filter_map(|alert| alert.subject.id()).collect();
    let rows = store.apps(apps.into_iter().collect()).await?;
    let rows = rows.into_iter().map(Registered::into_row);
    Ok(rows.map(|row| (row.app.id, row.app.path)).collect())
}

type Paths = BTreeMap<AppId, AppPath>;

fn path_of<'a>(alert: &AlertRow, paths: &'a Paths) -> Option<&'a AppPath> {
    alert.subject.id().and_then(|app| paths.get(&app))
}

/// What an alert is about, in a line.
fn name_of(alert: &AlertRow, paths: &Paths) -> String {
    path_of(alert, paths).map_or_else(|| alert.subject.to_string(), ToString::to_string)
}

fn json(alerts: &[AlertRow], paths: &Paths) {
    output::json_rows(
        alerts.iter().map(|alert| wire::Alert::of(alert, path_of(alert, paths).map(ToString::to_string))),
    );
}

async fn list(session: &Session, store: &dyn OperatorStore, args: &AlertListArgs) -> Result<(), Error> {
    let query = AlertQuery {
        open_only: !args.all,
        since: args.since.map(|since| since.0),
        severity: args.severity,
        limit: args.limit,
        ..AlertQuery::default()
    };
    let alerts = meant(store, &args.targets, &query).await?;
    let paths = paths(store, &alerts).await?;
    if session.json {
        json(&alerts, &paths);
        return Ok(());
    }
    let now = store.time().await?;
    if let ([AlertTarget::Alert(_)], [alert]) = (args.targets.as_slice(), alerts.as_slice()) {
        output::lines(all_of(alert, &name_of(alert, &paths), now));
        return Ok(());
    }
    if alerts.is_empty() {
        output::message(if args.all { "there is no such alert" } else { "no such alert is open" });
        return Ok(());
    }
    table(&alerts, &paths, (args.each, args.all), now);
    if alerts.len() == args.limit as usize {
        output::message(format_args!("these are the newest {}; -n shows more", args.limit));
    }
    Ok(())
}

/// Alerts of one cause, newest first.
type Group<'a> = Vec<&'a AlertRow>;

fn grouped(alerts: &[AlertRow], is_each: bool) -> Vec<Group<'_>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    let mut places = BTreeMap::new();
    for alert in alerts {
        let key = (alert.kind.word(), &alert.cause, alert.closed.is_none());
        let place = *places.entry(key).or_insert(groups.len());
        match groups.get_mut(place) {
            Some(group) if !is_each => group.push(alert),
            Some(_) | None => groups.push(vec![alert]),
        }
    }
    // What is open and not looked after first, the worst of it before the rest, and the newest.
    groups.sort_by_key(|group| {
        let is_over = group.iter().all(|alert| alert.closed.is_some());
        let is_attended = group.iter().all(|alert| alert.acknowledged.is_some());
        let severity = group.iter().filter_map(|alert| alert.severity.known()).max();
        (is_over, is_attended, std::cmp::Reverse(severity))
    });
    groups
}

fn table(alerts: &[AlertRow], paths: &Paths, (is_each, is_all): (bool, bool), now: Timestamp) {
    let groups = grouped(alerts, is_each);
    let mut head = vec!["ID", "SEVERITY", "SINCE", "COUNT", "APP", "ACK", "MESSAGE"];
    if is_all {
        head.insert(3, "CLOSED");
    }
    let rows: Vec<_> = groups.iter().filter_map(|group| cells(group, paths, is_all, now)).collect();
    let inks: Vec<_> = groups.iter().map(|group| ink(group, now)).collect();
    output::table_of(&head, &rows, &["COUNT", "SEVERITY"], &inks);
    if groups.len() < alerts.len() {
        output::message(format_args!(
            "{} alerts of {} causes; --each shows each with its number",
            alerts.len(),
            groups.len()
        ));
    }
}

fn cells(group: &Group<'_>, paths: &Paths, is_all: bool, now: Timestamp) -> Option<Vec<String>> {
    let newest = *group.first()?;
    let others = group.len() - 1;
    let since = group.iter().map(|alert| alert.opened).min();
    let named: BTreeSet<_> = group.iter().map(|alert| name_of(alert, paths)).collect();
    let registered: Vec<_> = group.iter().filter_map(|alert| path_of(alert, paths)).collect();
    let app = match named.first() {
        Some(only) if named.len() == 1 => only.clone(),
        _ if registered.len() == group.len() => together(registered),
        _ => format!("{} apps", named.len()),
    };
    let mut cells = vec![
        if others == 0 { newest.id.0.to_string() } else { format!("{} +{others}", newest.id.0) },
        newest.severity.to_string(),
        format::time(since, now),
        group.iter().map(|alert| u64::from(alert.count)).sum::<u64>().to_string(),
        app,
        attention(group, now),
        format::brief(if others == 0 { &newest.message } else { newest.cause.text() }),
    ];
    if is_all {
        cells.insert(3, format::time(newest.closed, now));
    }
    Some(cells)
}

/// Until when an alert is muted.
fn muted(alert: &AlertRow, now: Timestamp) -> Option<Timestamp> {
    alert.muted_until.filter(|until| *until > now && alert.closed.is_none())
}

/// Who looks after all of it, and until when all of it is muted.
fn attention(group: &Group<'_>, now: Timestamp) -> String {
    let mut people = group.iter().map(|alert| alert.acknowledged.as_ref().map(|(by, _)| by.clone()));
    let first = people.next().flatten().filter(|_| people.all(|by| by.is_some()));
    let until = group.iter().map(|alert| muted(alert, now)).min().flatten();
    let until = until.map(|until| format!("muted {}", format::duration(until - now)));
    first.into_iter().chain(until).collect::<Vec<_>>().join(", ")
}

fn ink(group: &Group<'_>, now: Timestamp) -> Ink {
    let is_quiet = |alert: &&AlertRow| {
        alert.closed.is_some() || alert.acknowledged.is_some() || muted(alert, now).is_some()
    };
    if group.iter().all(is_quiet) {
        return Ink::Faint;
    }
    match group.iter().filter_map(|alert| alert.severity.known()).max() {
        Some(Severity::Critical) | None => Ink::Alarm,
        Some(Severity::Warning) => Ink::Warning,
    }
}

/// All that is known of an alert, a line each, and what its run wrote last to its standard error.
fn all_of(alert: &AlertRow, name: &str, now: Timestamp) -> Vec<String> {
    let time = |time: Timestamp| format!("{} ({})", format_timestamp(time), format::relative(time, now));
    let acknowledged = alert.acknowledged.as_ref().map(|(by, at)| format!("by {by}, {}", time(*at)));
    let facts = [
        ("alert", Some(alert.id.0.to_string())),
        ("app", Some(name.to_owned())),
        ("manager", alert.manager.clone()),
        ("kind", Some(alert.kind.to_string())),
        ("severity", Some(alert.severity.to_string())),
        ("message", Some(alert.message.clone())),
        ("cause", Some(alert.cause.to_string())),
        ("opened", Some(time(alert.opened))),
        ("last_seen", Some(time(alert.last_seen))),
        ("count", Some(alert.count.to_string())),
        ("closed", alert.closed.map(time)),
        ("acknowledged", acknowledged),
        ("muted_until", alert.muted_until.map(time)),
        ("delivered", Some(alert.delivered.map_or_else(|| "not sent yet".to_owned(), time))),
        ("runtime", alert.run.map(|run| run.to_string())),
    ];
    let mut lines: Vec<_> =
        facts.into_iter().filter_map(|(name, fact)| fact.map(|fact| format!("{name:<13} {fact}"))).collect();
    if let Some(detail) = &alert.detail {
        lines.push("detail".to_owned());
        lines.extend(detail.lines().map(|line| format!("  {line}")));
    }
    if let AlertSubject::App(_) = alert.subject {
        lines.push(format!("next          dcm why {name}; dcm logs {name}"));
    }
    lines
}

/// Notes something on the open alerts that are meant, and says what was done.
async fn note_alerts(
    session: &Session,
    store: &dyn OperatorStore,
    args: &MeantAlerts,
    note: AlertNote,
) -> Result<(), Error> {
    let query = AlertQuery { open_only: true, limit: NOTED_MAX, ..AlertQuery::default() };
    let alerts = meant(store, &args.targets, &query).await?;
    let (over, open): (Vec<_>, Vec<_>) = alerts.into_iter().partition(|alert| alert.closed.is_some());
    let ids: Vec<AlertId> = open.iter().map(|alert| alert.id).collect();
    if !ids.is_empty() {
        store.note_alerts(ids.clone(), note.clone()).await?;
    }
    // As it is noted: a server writes who is logged in, whatever the client says.
    let of = AlertsOf::These(ids.clone());
    let limit = u32::try_from(ids.len()).unwrap_or(u32::MAX);
    let noted = store.alerts(AlertQuery { of, limit, ..AlertQuery::default() }).await?;
    let paths = paths(store, &noted).await?;
    if session.json {
        json(&noted, &paths);
    } else {
        let now = store.time().await?;
        output::lines(noted.iter().map(|alert| {
            format!("{} {}: {}", alert.id.0, name_of(alert, &paths), what_is_noted(alert, &note, now))
        }));
    }
    if let Some(alert) = over.first() {
        let closed = alert.closed.map(format_timestamp).unwrap_or_default();
        return Err(Error::failed(format!(
            "alert {} was over at {closed}; nothing is noted on it",
            alert.id.0
        )));
    }
    if noted.is_empty() {
        output::message("no such alert is open; nothing was noted");
    }
    Ok(())
}

fn what_is_noted(alert: &AlertRow, note: &AlertNote, now: Timestamp) -> String {
    if alert.closed.is_some() {
        return "over meanwhile".to_owned();
    }
    match note {
        AlertNote::Acknowledged { by, .. } => {
            let by = alert.acknowledged.as_ref().map_or(by, |(by, _)| by);
            format!("acknowledged by {by}")
        }
        AlertNote::Unacknowledged => "not acknowledged any more".to_owned(),
        AlertNote::Muted(Some(until)) => format!("muted until {}", format::time(Some(*until), now)),
        AlertNote::Muted(None) => "not muted any more".to_owned(),
    }
}
