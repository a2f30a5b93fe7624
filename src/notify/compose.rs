//! Puts a message together out of the alerts that it is about.

use super::{Notice, NoticeAlert};
use crate::model::{AlertKind, AlertRow, AlertSubject, AppPath, Delivery, NoticeEvent, Severity};

/// Apps that a message names; of the others it says how many they are.
const APPS_MAX: usize = 40;

/// Alerts of further causes in one summary.
const OTHERS_MAX: usize = 20;

/// The message about groups of rows, each of one event and cause. The first group is the one that matters most.
pub(super) fn compose(fleet: &str, groups: &[(NoticeEvent, &[&Delivery])], note: Option<String>) -> Notice {
    let mut events = groups.iter().map(|(event, _)| *event);
    // Something is over only if all of it is.
    let event = events
        .clone()
        .find(|event| *event != NoticeEvent::Recovered)
        .or_else(|| events.next())
        .unwrap_or(NoticeEvent::Opened);
    let mut alerts = Vec::new();
    let mut apps = Vec::<String>::new();
    for (_, rows) in groups {
        let mut of_group: Vec<_> = rows.iter().filter_map(|row| row.alert.as_ref()).collect();
        of_group.sort_by_key(|(alert, _)| {
            (std::cmp::Reverse(alert.severity.known() == Some(Severity::Critical)), alert.opened, alert.id.0)
        });
        alerts.extend(of_group.first().copied());
        for (alert, path) in of_group {
            if alert.subject != AlertSubject::Fleet && !apps.contains(path) {
                apps.push(path.clone());
            }
        }
    }
    let more = apps.len().saturating_sub(APPS_MAX);
    apps.truncate(APPS_MAX);
    let as_notice =
        |(alert, path): &(AlertRow, String)| NoticeAlert::of(alert, path.parse::<AppPath>().ok().as_ref());
    Notice {
        event,
        alert: alerts.first().map(|alert| as_notice(alert)),
        apps,
        fleet: fleet.to_owned(),
        apps_more: more as u64,
        others: alerts.iter().skip(1).take(OTHERS_MAX).map(|alert| as_notice(alert)).collect(),
        note,
        look: alerts.first().map(|alert| look(alert)),
    }
}

/// The command that shows more.
fn look((alert, path): &(AlertRow, String)) -> String {
    // What was never started has written nothing.
    let run = alert.run.filter(|_| alert.kind.known() != Some(AlertKind::FailedToStart));
    match (run, path.parse::<AppPath>()) {
        (Some(run), Ok(path)) => format!("dcm logs {path} --run {run}"),
        (None, Ok(path)) => format!("dcm why {path}"),
        (_, Err(_)) => "dcm alerts".to_owned(),
    }
}
