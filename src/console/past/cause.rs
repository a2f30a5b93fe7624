//! Alerts by their cause: what broke at once for one reason is one row.

use std::collections::{BTreeMap, BTreeSet};

use super::together;
use crate::model::{AlertId, AlertKind, AlertRow, AppPath, AppRef, InARow, Timestamp};

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

/// A text without its numbers: two that differ in nothing else have one cause.
pub(in crate::console) fn template(text: &str) -> String {
    let mut found = String::with_capacity(text.len());
    for c in text.chars() {
        if !c.is_ascii_digit() {
            found.push(c);
        } else if !found.ends_with('#') {
            found.push('#');
        }
    }
    found
}

/// What broke comes first: `F3 exit 137 x3`.
fn short(alert: &AlertRow) -> String {
    let flag = match alert.kind.known() {
        Some(AlertKind::FailedToStart) => "F1 ",
        Some(AlertKind::UnexpectedBehavior) => "F3 ",
        Some(
            AlertKind::HostExhausted | AlertKind::SetAside | AlertKind::BadReport | AlertKind::RowLocked,
        )
        | None => "",
    };
    let (count, what) = match InARow::read(&alert.message) {
        Some(InARow { count, last }) => (format!(" x{count}"), last),
        None => (String::new(), alert.message.as_str()),
    };
    format!("{flag}{what}{count}")
}

/// Puts alerts (newest first) together by their kind and text, unless `is_single`; the worst come
/// first, then the newest.
pub(in crate::console) fn causes(
    alerts: &[AlertRow],
    is_single: bool,
    path_of: impl Fn(&AppRef) -> Option<AppPath>,
) -> Vec<Cause> {
    let mut found: BTreeMap<String, Vec<AlertRow>> = BTreeMap::new();
    for alert in alerts {
        let key = if is_single {
            format!("#{}", alert.id.0)
        } else {
            format!("{} {}", alert.kind, template(&alert.message))
        };
        found.entry(key).or_default().push(alert.clone());
    }
    let mut causes: Vec<_> = found
        .into_iter()
        .filter_map(|(key, alerts)| {
            let first = alerts.first()?;
            let mut seen = BTreeSet::new();
            let named = alerts.iter().filter(|alert| seen.insert(&alert.app));
            let apps: Vec<_> = named.filter_map(|alert| path_of(&alert.app)).collect();
            Some(Cause {
                key,
                sign: if first.kind == AlertKind::HostExhausted.into() { Sign::Warning } else { Sign::Fatal },
                since: alerts.iter().map(|alert| alert.raised).min()?,
                who: if apps.is_empty() { "an app that is gone".to_owned() } else { together(&apps) },
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
    use chrono::TimeDelta;

    fn alert(id: i64, app: &str, message: &str) -> AlertRow {
        AlertRow {
            id: AlertId(id),
            app: app.into(),
            kind: AlertKind::UnexpectedBehavior.into(),
            message: message.to_owned(),
            raised: Timestamp::UNIX_EPOCH + TimeDelta::minutes(id),
            delivered: None,
            cleared: None,
            run: None,
            acknowledged: None,
            muted_until: None,
        }
    }

    #[test]
    fn what_differs_in_numbers_alone_has_one_cause() {
        assert_eq!(template("HTTP 403 after 12.5 s"), "HTTP # after #.# s");
        assert_eq!(template("no number"), "no number");
    }

    #[test]
    fn what_broke_comes_first() {
        let crashed = alert(1, "a/b/c", "3 failures in a row, the last: killed by signal 6");
        assert_eq!(short(&crashed), "F3 killed by signal 6 x3");
        let unstarted = AlertRow { kind: AlertKind::FailedToStart.into(), ..alert(1, "a/b/c", "no python3") };
        assert_eq!(short(&unstarted), "F1 no python3");
    }

    #[test]
    fn alerts_of_one_cause_are_one_row() {
        let alerts = [
            alert(5, "serbia/notary/b", "HTTP 403 after 9 s"),
            AlertRow { kind: AlertKind::HostExhausted.into(), ..alert(4, "a/b/c", "no memory") },
            alert(3, "serbia/notary/a", "HTTP 403 after 12 s"),
            alert(2, "serbia/notary/a", "HTTP 404 after 1 s"),
            alert(1, "gone", "exit 1"),
        ];
        let grouped = causes(&alerts, false, AppRef::path);
        let rows: Vec<_> =
            grouped.iter().map(|cause| (cause.who.as_str(), cause.alerts.len(), cause.sign)).collect();
        assert_eq!(
            rows,
            [
                ("serbia/notary/* (2 apps)", 3, Sign::Fatal),
                ("an app that is gone", 1, Sign::Fatal),
                ("a/b/c", 1, Sign::Warning)
            ]
        );
        assert_eq!(grouped[0].what, "F3 HTTP 403 after 9 s");
        assert_eq!(grouped[0].since, Timestamp::UNIX_EPOCH + TimeDelta::minutes(2));
        assert_eq!(causes(&alerts, true, AppRef::path).len(), 5);
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
