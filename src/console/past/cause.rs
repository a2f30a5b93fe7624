//! Alerts by their cause: what broke at once for one reason is one row.

use std::collections::{BTreeMap, BTreeSet};

use super::together;
use crate::model::{AlertId, AlertKind, AlertRow, AlertSubject, AppPath, AppRef, Severity, Timestamp};

/// How bad it is, by the sign that the fleet shows for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::console) enum Sign {
    /// A manager is not heard of; its apps are unseen.
    Unknown,
    Fatal,
    Stalled,
    /// It may mend by itself.
    Warning,
    Late,
    Flapping,
    Failed,
}

/// One row of the alerts.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::console) struct Cause {
    /// Tells it from others while alerts come and go.
    pub(in crate::console) key: String,
    pub(in crate::console) sign: Sign,
    /// The oldest.
    pub(in crate::console) since: Timestamp,
    /// Whom it concerns, as they are called together.
    pub(in crate::console) who: String,
    /// The newest text, as short as it can be.
    pub(in crate::console) what: String,
    /// Newest first.
    pub(in crate::console) alerts: Vec<AlertRow>,
    /// The apps, newest alert first, without repetition.
    pub(in crate::console) apps: Vec<AppPath>,
}

impl Cause {
    pub(in crate::console) fn ids(&self) -> Vec<AlertId> {
        self.alerts.iter().map(|alert| alert.id).collect()
    }

    /// Who looks after it, if somebody looks after all of it.
    pub(in crate::console) fn acknowledged(&self) -> Option<&str> {
        let mut people =
            self.alerts.iter().map(|alert| alert.acknowledged.as_ref().map(|(by, _)| by.as_str()));
        let first = people.next()??;
        people.all(|by| by.is_some()).then_some(first)
    }

    /// Until when all of it is muted.
    pub(in crate::console) fn muted(&self, now: Timestamp) -> Option<Timestamp> {
        let until = self.alerts.iter().map(|alert| alert.muted_until.filter(|until| *until > now));
        until.min().flatten()
    }
}

/// What broke comes first: `F3 exit 137 x3`.
fn short(alert: &AlertRow) -> String {
    let flag = alert.kind.known().and_then(AlertKind::flag);
    let flag = flag.map(|flag| format!("F{} ", flag.code())).unwrap_or_default();
    let count = if alert.count > 1 { format!(" x{}", alert.count) } else { String::new() };
    format!("{flag}{}{count}", alert.cause)
}

fn sign_of(alert: &AlertRow) -> Sign {
    match alert.severity.known() {
        _ if alert.kind == AlertKind::Stalled.into() => Sign::Stalled,
        Some(Severity::Warning) => Sign::Warning,
        Some(Severity::Critical) | None => Sign::Fatal,
    }
}

/// Puts alerts (newest first) together by their kind and cause, unless `is_single`; the worst come
/// first, then the newest.
pub(in crate::console) fn causes(
    alerts: &[AlertRow],
    is_single: bool,
    path_of: impl Fn(&AppRef) -> Option<AppPath>,
) -> Vec<Cause> {
    let mut found: BTreeMap<String, Vec<AlertRow>> = BTreeMap::new();
    for alert in alerts {
        let key =
            if is_single { format!("#{}", alert.id.0) } else { format!("{} {}", alert.kind, alert.cause) };
        found.entry(key).or_default().push(alert.clone());
    }
    let mut causes: Vec<_> = found
        .into_iter()
        .filter_map(|(key, alerts)| {
            let first = alerts.first()?;
            let mut seen = BTreeSet::new();
            let named = alerts.iter().filter_map(|alert| alert.subject.app());
            let apps: Vec<_> = named.filter(|app| seen.insert(*app)).filter_map(&path_of).collect();
            let who = match &first.subject {
                AlertSubject::Fleet => AlertSubject::FLEET.to_owned(),
                AlertSubject::App(_) if apps.is_empty() => "an app that is gone".to_owned(),
                AlertSubject::App(_) => together(&apps),
            };
            Some(Cause {
                key,
                sign: sign_of(first),
                since: alerts.iter().map(|alert| alert.opened).min()?,
                who,
                what: short(first),
                apps,
                alerts,
            })
        })
        .collect();
    causes.sort_by_key(|cause| (cause.sign, std::cmp::Reverse(cause.alerts.first().map(|alert| alert.id))));
    causes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::AlertCause;
    use chrono::TimeDelta;

    fn alert(id: i64, app: &str, cause: &str) -> AlertRow {
        AlertRow {
            id: AlertId(id),
            subject: AlertSubject::App(app.into()),
            manager: None,
            kind: AlertKind::UnexpectedBehavior.into(),
            cause: AlertCause::of_text(cause),
            severity: Severity::Critical.into(),
            opened: Timestamp::UNIX_EPOCH + TimeDelta::minutes(id),
            last_seen: Timestamp::UNIX_EPOCH + TimeDelta::minutes(id),
            count: 1,
            message: cause.to_owned(),
            detail: None,
            acknowledged: None,
            muted_until: None,
            closed: None,
            delivered: None,
            run: None,
            owner: None,
        }
    }

    #[test]
    fn what_broke_comes_first() {
        let crashed = AlertRow { count: 3, ..alert(1, "a/b/c", "killed by SIGABRT") };
        assert_eq!(short(&crashed), "F3 killed by SIGABRT x3");
        let unstarted = AlertRow { kind: AlertKind::FailedToStart.into(), ..alert(1, "a/b/c", "no python3") };
        assert_eq!(short(&unstarted), "F1 no python3");
    }

    #[test]
    fn alerts_of_one_cause_are_one_row() {
        let no_memory = AlertRow { kind: AlertKind::HostExhausted.into(), ..alert(4, "a/b/c", "no memory") };
        let alerts = [
            alert(5, "serbia/notary/b", "HTTP 403 after 9 s"),
            AlertRow { severity: Severity::Warning.into(), ..no_memory },
            alert(3, "serbia/notary/a", "HTTP 403 after 12 s"),
            alert(2, "serbia/notary/a", "HTTP 404 after 1 s"),
            alert(1, "gone", "exit 1"),
        ];
        let grouped = causes(&alerts, false, AppRef::path);
        let rows: Vec<_> = grouped
            .iter()
            .map(|cause| (cause.who.as_str(), cause.what.as_str(), cause.alerts.len(), cause.sign))
            .collect();
        assert_eq!(
            rows,
            [
                ("serbia/notary/* (2 apps)", "F3 HTTP 403 after # s", 2, Sign::Fatal),
                ("serbia/notary/a", "F3 HTTP 404 after # s", 1, Sign::Fatal),
                ("an app that is gone", "F3 exit 1", 1, Sign::Fatal),
                ("a/b/c", "no memory", 1, Sign::Warning)
            ]
        );
        assert_eq!(grouped[0].since, Timestamp::UNIX_EPOCH + TimeDelta::minutes(3));
        assert_eq!(causes(&alerts, true, AppRef::path).len(), 5);
    }

    #[test]
    fn an_alert_about_the_fleet_names_no_app() {
        let lost = AlertRow {
            subject: AlertSubject::Fleet,
            kind: AlertKind::ManagerLost.into(),
            cause: AlertCause::of_manager("zg-02"),
            ..alert(1, "a/b/c", "")
        };
        let row = causes(&[lost], false, AppRef::path).remove(0);
        assert_eq!(
            (row.who.as_str(), row.what.as_str(), row.sign),
            ("fleet", "manager zg-02 is lost", Sign::Fatal)
        );
        assert_eq!(row.apps, Vec::<AppPath>::new());
    }

    #[test]
    fn a_cause_is_acknowledged_and_muted_when_all_of_it_is() {
        let now = Timestamp::UNIX_EPOCH;
        let mut alerts = vec![alert(2, "a/b/c", "x 1"), alert(1, "a/b/d", "x 2")];
        alerts[0].acknowledged = Some(("marko".to_owned(), now));
        alerts[0].muted_until = Some(now + TimeDelta::hours(1));
        let cause = |alerts: &[AlertRow]| causes(alerts, false, AppRef::path).remove(0);
        assert_eq!((cause(&alerts).acknowledged(), cause(&alerts).muted(now)), (None, None));
        alerts[1].acknowledged = Some(("ana".to_owned(), now));
        alerts[1].muted_until = Some(now + TimeDelta::hours(2));
        let both = cause(&alerts);
        assert_eq!((both.acknowledged(), both.muted(now)), (Some("marko"), Some(now + TimeDelta::hours(1))));
        assert_eq!(both.muted(now + TimeDelta::minutes(90)), None);
    }
}
