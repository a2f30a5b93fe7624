//! What leaves when, by the clock of the test.

use super::super::notice::tests::row as a_row;
use super::*;
use crate::model::{AlertCause, AlertId, AlertKind, DeliveryKind, GATHER, parse_timestamp};
use crate::notify::{ChannelKind, Notice};

fn noon() -> Timestamp {
    parse_timestamp("2026-11-23T12:00:00Z").unwrap()
}

fn seconds(seconds: i64) -> Timestamp {
    noon() + TimeDelta::seconds(seconds)
}

fn channel() -> Channel {
    Channel {
        name: "chat".to_owned(),
        kind: ChannelKind::Slack { url: "https://hooks.slack.com/x".parse().unwrap() },
        groups: Vec::new(),
        severity: Severity::Warning,
        quiet: None,
        quiet_critical: false,
        max_per_hour: None,
        roots: None,
    }
}

fn dispatcher(channel: Channel) -> Dispatcher {
    let settings = NotifySettings {
        channels: vec![channel],
        time_zone: Some(chrono_tz::Tz::UTC),
        ..NotifySettings::default()
    };
    Dispatcher::new(&settings, "zg", Vec::new())
}

/// An alert of an app of this number.
fn alert(number: i64, cause: &str, opened: Timestamp) -> AlertRow {
    let path = format!("a/b/app{number}").parse().unwrap();
    AlertRow {
        id: AlertId(number),
        subject: crate::model::AppId::of(&path).into(),
        cause: AlertCause::read(cause.to_owned()),
        opened,
        last_seen: opened,
        run: None,
        owner: None,
        ..a_row(&format!("3 failures in a row, the last: {cause}"), None)
    }
}

fn row(event: NoticeEvent, alert: AlertRow, due: Timestamp) -> Delivery {
    let path = format!("a/b/app{}", alert.id.0);
    Delivery {
        id: DeliveryId(alert.id.0 * 10 + i64::from(event == NoticeEvent::Recovered)),
        kind: DeliveryKind::Notification.into(),
        event: Some(event.into()),
        alert: Some((alert, path)),
        stage: 0,
        body: "{}".to_owned(),
        created: due - GATHER,
        due,
        tries: 0,
    }
}

fn opened(number: i64, cause: &str, at: Timestamp) -> Delivery {
    row(NoticeEvent::Opened, alert(number, cause, at), at + GATHER)
}

fn message(decision: Decision) -> Message {
    let Decision::Send(message) = decision else { panic!("{decision:?}") };
    *message
}

fn notice(message: &Message) -> Notice {
    Notice::read(&message.body).unwrap()
}

fn apps(message: &Message) -> Vec<String> {
    notice(message).apps
}

#[test]
fn apps_with_the_same_error_are_one_message_after_ten_seconds() {
    let mut dispatcher = dispatcher(channel());
    let rows: Vec<_> = (1..=50).map(|number| opened(number, "exit 3", seconds(number / 10))).collect();
    assert_eq!(dispatcher.decide("chat", &rows, seconds(9)), Decision::Wait(Some(seconds(10))));
    let message = message(dispatcher.decide("chat", &rows, seconds(10)));
    assert_eq!(message.rows.len(), 50);
    assert_eq!((notice(&message).apps.len(), notice(&message).apps_more), (40, 10));
    let alert = notice(&message).alert.unwrap();
    assert_eq!(
        (alert.id, notice(&message).event, notice(&message).others.len()),
        (1, NoticeEvent::Opened, 0)
    );
    assert_eq!(notice(&message).look.as_deref(), Some("dcm why a/b/app1"));
}

#[test]
fn a_message_has_the_command_to_look_further() {
    let run = Some(crate::model::RunId::from_random_bits(7));
    for (kind, expected) in [
        (AlertKind::UnexpectedBehavior, "dcm logs a/b/app1 --run"),
        (AlertKind::FailedToStart, "dcm why a/b/app1"),
    ] {
        let alert = AlertRow { kind: kind.into(), run, ..alert(1, "exit 3", noon()) };
        let rows = [row(NoticeEvent::Opened, alert, noon())];
        let look = notice(&message(dispatcher(channel()).decide("chat", &rows, noon()))).look.unwrap();
        assert!(look.starts_with(expected), "{look}");
    }
}

#[test]
fn different_errors_are_messages_of_their_own_until_they_are_too_many() {
    let mut dispatcher = dispatcher(channel());
    let rows = [opened(1, "exit 3", noon()), opened(2, "exit 4", noon())];
    let first = message(dispatcher.decide("chat", &rows, seconds(10)));
    assert_eq!(apps(&first), ["a/b/app1"]);
    let _ = dispatcher.sent("chat", &first, seconds(10));
    // A chat is not flooded.
    assert_eq!(dispatcher.decide("chat", &rows[1..], seconds(11)), Decision::Wait(Some(seconds(13))));
    assert_eq!(apps(&message(dispatcher.decide("chat", &rows[1..], seconds(13)))), ["a/b/app2"]);

    let many: Vec<_> = (1..=1000).map(|number| opened(number, &format!("error {number}"), noon())).collect();
    let summary = message(dispatcher.decide("chat", &many, seconds(20)));
    assert_eq!(
        (summary.rows.len(), notice(&summary).apps.len(), notice(&summary).apps_more),
        (1000, 40, 960)
    );
    assert_eq!(notice(&summary).others.len(), 20);
}

#[test]
fn a_storm_of_one_cause_is_six_messages_an_hour() {
    let mut dispatcher = dispatcher(channel());
    let mut left = Vec::new();
    for second in (0..2 * 3600).step_by(5) {
        // An app more fails each ten seconds; what has not left waits.
        let first = left.last().map_or(0, |(_, last): &(i64, i64)| *last + 1);
        let waiting = (first..=second / 10).map(|app| opened(app, "exit 3", seconds(app * 10)));
        let now = seconds(second);
        let due: Vec<_> = waiting.filter(|row| row.due <= now + GATHER).collect();
        if let Decision::Send(message) = dispatcher.decide("chat", &due, now) {
            let last = message.rows.iter().map(|row| row.alert.as_ref().unwrap().0.id.0).max().unwrap();
            left.push((second, last));
            let _ = dispatcher.sent("chat", &message, now);
        }
    }
    for (second, _) in &left {
        let within = left.iter().filter(|(other, _)| (*second..second + 3600).contains(other)).count();
        assert!(within <= 6, "{left:?}");
    }
    assert!(left.len() >= 8, "{left:?}");
}

#[test]
fn what_left_before_a_restart_counts() {
    let sent = |at, cause: &str| SentMessage { channel: "chat".to_owned(), cause: cause.to_owned(), at };
    let settings = NotifySettings {
        channels: vec![Channel { max_per_hour: Some(2), ..channel() }],
        ..NotifySettings::default()
    };
    // Two causes that left at once were one message.
    let before =
        vec![sent(seconds(-60), "exit 3"), sent(seconds(-60), "exit 4"), sent(seconds(-30), "exit 5")];
    let mut dispatcher = Dispatcher::new(&settings, "zg", before);
    let rows = [opened(1, "exit 9", noon())];
    assert_eq!(dispatcher.decide("chat", &rows, seconds(10)), Decision::Wait(Some(seconds(3540))));
    let message = message(dispatcher.decide("chat", &rows, seconds(3540)));
    assert_eq!(message.rows.len(), 1);
}

#[test]
fn more_than_max_per_hour_is_one_summary() {
    let mut dispatcher = dispatcher(Channel { max_per_hour: Some(1), ..channel() });
    let rows = [opened(1, "exit 3", noon()), opened(2, "exit 4", noon())];
    assert_eq!(apps(&message(dispatcher.decide("chat", &rows, seconds(10)))), ["a/b/app1", "a/b/app2"]);
}

#[test]
fn quiet_hours_hold_warnings_and_end_with_one_summary() {
    let quiet = Some("22:00-06:00".parse().unwrap());
    let mut dispatcher = dispatcher(Channel { quiet, ..channel() });
    let night = parse_timestamp("2026-11-23T23:00:00Z").unwrap();
    let morning = parse_timestamp("2026-11-24T06:00:00Z").unwrap();
    let warning = |number, cause: &str| {
        let alert = AlertRow { severity: Severity::Warning.into(), ..alert(number, cause, night) };
        row(NoticeEvent::Opened, alert, night + GATHER)
    };
    let critical = opened(9, "exit 9", night);
    let mut rows = vec![warning(1, "exit 1"), warning(2, "exit 2"), critical];
    let first = message(dispatcher.decide("chat", &rows, night + GATHER));
    assert_eq!(
        (apps(&first), notice(&first).note),
        (vec!["a/b/app9".to_owned()], None),
        "critical alerts pass"
    );
    rows.pop();
    let _ = dispatcher.sent("chat", &first, night + GATHER);
    assert_eq!(dispatcher.decide("chat", &rows, night + GATHER), Decision::Wait(Some(morning)));
    // One of them is over before a message about it left.
    let mut over = warning(2, "exit 2");
    over.alert.as_mut().unwrap().0.closed = Some(night + TimeDelta::minutes(5));
    let mut recovered =
        row(NoticeEvent::Recovered, over.alert.clone().unwrap().0, night + TimeDelta::minutes(5));
    recovered.alert = over.alert.clone();
    let rows = [warning(1, "exit 1"), over, recovered];
    let summary = message(dispatcher.decide("chat", &rows, morning));
    assert_eq!((summary.rows.len(), apps(&summary)), (3, vec!["a/b/app1".to_owned(), "a/b/app2".to_owned()]));
    assert_eq!(notice(&summary).note.as_deref(), Some("held during quiet hours"));
    assert_eq!(notice(&summary).event, NoticeEvent::Opened);
    let mut strict = super::tests::dispatcher(Channel { quiet, quiet_critical: true, ..channel() });
    let waits = strict.decide("chat", &[opened(9, "exit 9", night)], night + GATHER);
    assert_eq!(waits, Decision::Wait(Some(morning)));
}

#[test]
fn who_acknowledged_or_muted_an_alert_is_left_alone() {
    let mut dispatcher = dispatcher(channel());
    let mut repeated = row(NoticeEvent::Repeated, alert(1, "exit 3", noon()), noon());
    repeated.alert.as_mut().unwrap().0.acknowledged = Some(("ana".to_owned(), noon()));
    let needless = Decision::Drop(vec![repeated.id]);
    assert_eq!(dispatcher.decide("chat", std::slice::from_ref(&repeated), noon()), needless);
    let mut muted = opened(2, "exit 3", noon());
    muted.alert.as_mut().unwrap().0.muted_until = Some(seconds(7200));
    let rows = [muted, opened(3, "exit 3", noon())];
    let sent = message(dispatcher.decide("chat", &rows, seconds(10)));
    assert_eq!(apps(&sent), ["a/b/app3"]);
    let _ = dispatcher.sent("chat", &sent, seconds(10));
    assert_eq!(dispatcher.decide("chat", &rows[..1], seconds(10)), Decision::Wait(Some(seconds(7200))));
    assert_eq!(apps(&message(dispatcher.decide("chat", &rows[..1], seconds(7200)))), ["a/b/app2"]);
    let mut unheard = row(NoticeEvent::Recovered, alert(4, "exit 3", noon()), noon());
    unheard.alert.as_mut().unwrap().0.closed = Some(noon());
    assert_eq!(
        dispatcher.decide("chat", std::slice::from_ref(&unheard), noon()),
        Decision::Drop(vec![unheard.id])
    );
}

#[test]
fn messages_of_an_open_alert_are_repeated_at_growing_distances() {
    let mut dispatcher = dispatcher(channel());
    let mut delivery = opened(1, "exit 3", noon());
    let mut at = seconds(10);
    for hours in [1, 4, 24, 24] {
        let message = message(dispatcher.decide("chat", std::slice::from_ref(&delivery), at));
        let Delivered::Sent { repeats, .. } = dispatcher.sent("chat", &message, at) else { panic!() };
        assert_eq!(repeats, [(delivery.id, at + TimeDelta::hours(hours))]);
        at = repeats[0].1;
        delivery.event = Some(NoticeEvent::Repeated.into());
        (delivery.stage, delivery.due) = (delivery.stage + 1, at);
    }
}

#[test]
fn a_failing_channel_is_tried_again_ever_later_and_given_up_after_a_day() {
    let mut dispatcher = dispatcher(channel());
    let rows = [opened(1, "exit 3", noon())];
    let error = |retry_after| Undelivered { why: "HTTP 500".to_owned(), retry_after };
    let mut now = seconds(10);
    let mut pauses = Vec::new();
    for _ in 0..12 {
        let message = message(dispatcher.decide("chat", &rows, now));
        let became = dispatcher.failed("chat", &message, &error(None), now, 0.5);
        let [(ids, Delivered::Failed { why, again })] = became.as_slice() else { panic!("{became:?}") };
        assert_eq!((ids.as_slice(), why.as_str()), (&[rows[0].id][..], "HTTP 500"));
        assert_eq!(dispatcher.decide("chat", &rows, now), Decision::Wait(Some(*again)));
        pauses.push((*again - now).num_seconds());
        now = *again;
    }
    assert_eq!(pauses, [5, 10, 20, 40, 80, 160, 320, 640, 900, 900, 900, 900]);
    let message = message(dispatcher.decide("chat", &rows, now));
    let asked = Some(Duration::from_secs(1800));
    let became = dispatcher.failed("chat", &message, &error(asked), now, 0.5);
    let again = now + TimeDelta::seconds(1800);
    assert_eq!(became[0].1, Delivered::Failed { why: "HTTP 500".to_owned(), again });
    let late = noon() + TimeDelta::days(1);
    let became = dispatcher.failed("chat", &message, &error(None), late, 0.5);
    assert_eq!(became, [(vec![rows[0].id], Delivered::GivenUp { why: "HTTP 500".to_owned() })]);
    // The channel is as good as new once something was taken.
    let _ = dispatcher.sent("chat", &message, late);
    let became = dispatcher.failed("chat", &message, &error(None), late, 0.0);
    assert!(matches!(became[0].1, Delivered::GivenUp { .. }));
}

#[test]
fn pings_leave_one_by_one_and_are_given_up_after_an_hour() {
    let mut dispatcher = dispatcher(channel());
    let row = |id, tries| Delivery {
        id: DeliveryId(id),
        kind: DeliveryKind::Ping.into(),
        event: None,
        alert: None,
        stage: 0,
        body: format!("{id}"),
        created: noon(),
        due: noon(),
        tries,
    };
    let first = message(dispatcher.decide(PING_CHANNEL, &[row(1, 0), row(2, 0)], noon()));
    assert_eq!((first.ids(), first.body.as_str()), (vec![DeliveryId(1)], "1"));
    assert_eq!(dispatcher.sent(PING_CHANNEL, &first, noon()), Delivered::Needless);
    let error = Undelivered { why: "HTTP 500".to_owned(), retry_after: None };
    for (tries, pause) in [(0, 5), (3, 40), (20, 900)] {
        let message = message(dispatcher.decide(PING_CHANNEL, &[row(1, tries)], noon()));
        let became = dispatcher.failed(PING_CHANNEL, &message, &error, noon(), 0.5);
        assert_eq!(
            became[0].1,
            Delivered::Failed { why: error.why.clone(), again: seconds(pause) },
            "{tries}"
        );
    }
    // Others are not held up by it.
    let _ = message(dispatcher.decide(PING_CHANNEL, &[row(2, 0)], noon()));
    let became = dispatcher.failed(PING_CHANNEL, &first, &error, seconds(3600), 0.5);
    assert!(matches!(became[0].1, Delivered::GivenUp { .. }), "{became:?}");
}
