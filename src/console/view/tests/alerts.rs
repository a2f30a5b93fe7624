use super::*;
use crate::console::request::{Answer, Question, Ticket};
use crate::model::{AlertCause, AlertId, AlertKind, AlertRow, AlertSubject, ManagerRow, Severity};
use crate::store::AlertNote;

fn alert(id: i64, path: &str, minutes: i64, cause: &str) -> AlertRow {
    AlertRow {
        id: AlertId(id),
        subject: AppId::of(&path.parse().unwrap()).into(),
        manager: None,
        kind: AlertKind::UnexpectedBehavior.into(),
        cause: AlertCause::of_text(cause),
        severity: Severity::Critical.into(),
        opened: noon() - TimeDelta::minutes(minutes),
        last_seen: noon(),
        count: 3,
        message: format!("3 failures in a row, the last: {cause}"),
        detail: None,
        acknowledged: None,
        muted_until: None,
        closed: None,
        delivered: None,
        run: None,
        owner: None,
    }
}

fn some() -> Vec<AlertRow> {
    let mut acknowledged = alert(4, "austria/tax/liens", 9, "exit 137, out of memory");
    acknowledged.acknowledged = Some(("marko".to_owned(), noon()));
    let mut muted = alert(3, "croatia/fina/owners", 30, "no such page");
    muted.muted_until = Some(noon() + TimeDelta::minutes(20));
    let mut sent = alert(6, "croatia/fina/documents", 3, "HTTP 403 after 12 s");
    sent.delivered = Some(noon() - TimeDelta::minutes(1));
    sent.detail =
        Some("Traceback (most recent call last):\n  File \"main.py\", line 7\nHTTPError: 403".to_owned());
    vec![sent, alert(5, "croatia/fina/companies", 4, "HTTP 403 after 9 s"), acknowledged, muted]
}

fn silent() -> ManagerRow {
    ManagerRow {
        name: "zg-02".to_owned(),
        host: "10.0.3.12".to_owned(),
        started: noon() - TimeDelta::hours(1),
        heartbeat: noon() - TimeDelta::minutes(4),
        ..super::manager()
    }
}

/// The question that a key or time leads to.
fn asked(cmd: Option<Cmd>) -> (Ticket, Question) {
    match cmd {
        Some(Cmd::Work(mut work)) => match work.pop() {
            Some(Request::Ask(ticket, question)) => (ticket, question),
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}

fn tell(model: &mut Model, ticket: Ticket, answer: Answer) {
    update(model, Msg::Answer { ticket, answer: Ok(answer) });
}

fn opened(size: (u16, u16)) -> Model {
    let mut rows = fleet();
    rows[1].state.manager = Some("zg-02".to_owned());
    let mut model = model(size, rows);
    let (ticket, _) = asked(press(&mut model, KeyCode::Char('2')));
    tell(&mut model, ticket, Answer::Alerts(some()));
    let wall = model.world.now;
    let (ticket, question) = asked(update(&mut model, Msg::Tick(wall)));
    assert_eq!(question, Question::Managers);
    tell(&mut model, ticket, Answer::Managers(vec![silent()]));
    model
}

#[test]
fn at_every_size_in_all_signs_and_colours() {
    for (name, picture) in pictures("alerts", opened) {
        insta::assert_snapshot!(name, picture);
    }
}

#[test]
fn one_key_acknowledges_all_of_a_cause() {
    // The cursor stayed on its row when the manager came above it.
    let mut model = opened((80, 24));
    let (ticket, question) = asked(press(&mut model, KeyCode::Char('a')));
    let by = "ana".to_owned();
    let note = AlertNote::Acknowledged { by, at: noon() };
    assert_eq!(question, Question::NoteAlerts(vec![AlertId(6), AlertId(5)], note));
    tell(&mut model, ticket, Answer::Noted);
    let wall = model.world.now;
    let (ticket, _) = asked(update(&mut model, Msg::Tick(wall)));
    let mut rows = some();
    rows[0].acknowledged = Some(("ana".to_owned(), noon()));
    rows[1].acknowledged = Some(("ana".to_owned(), noon()));
    tell(&mut model, ticket, Answer::Alerts(rows));
    let (_, question) = asked(press(&mut model, KeyCode::Char('a')));
    assert_eq!(question, Question::NoteAlerts(vec![AlertId(6), AlertId(5)], AlertNote::Unacknowledged));
    let (_, question) = asked(press(&mut model, KeyCode::Char('m')));
    let until = Some(noon() + TimeDelta::hours(1));
    assert_eq!(question, Question::NoteAlerts(vec![AlertId(6), AlertId(5)], AlertNote::Muted(until)));
}

#[test]
fn what_is_concluded_cannot_be_acknowledged_and_nothing_is_in_a_read_only_console() {
    let mut model = opened((80, 24));
    press(&mut model, KeyCode::Char('g'));
    assert_eq!(press(&mut model, KeyCode::Char('a')), None);
    assert!(screen(&model, unicode()).contains("a conclusion of this console"));
    model.world.identity.read_only = Some(crate::console::ReadOnly::Flag);
    press(&mut model, KeyCode::Char('j'));
    assert_eq!(press(&mut model, KeyCode::Char('a')), None);
    assert!(screen(&model, unicode()).contains("read-only"));
}

#[test]
fn an_alert_about_the_fleet_is_among_the_others() {
    let mut model = model((120, 40), fleet());
    let (ticket, _) = asked(press(&mut model, KeyCode::Char('2')));
    let fleet_alert = |id, kind: AlertKind, manager: Option<&str>| AlertRow {
        subject: AlertSubject::Fleet,
        manager: manager.map(str::to_owned),
        kind: kind.into(),
        severity: kind.severity().into(),
        muted_until: None,
        count: 1,
        ..alert(id, "a/b/c", 4, "another transaction holds a row")
    };
    let mut lost = fleet_alert(8, AlertKind::ManagerLost, None);
    lost.cause = AlertCause::of_manager("zg-02");
    lost.message = "the manager zg-02 on 10.0.3.12 has not renewed its lease".to_owned();
    tell(
        &mut model,
        ticket,
        Answer::Alerts(vec![lost, fleet_alert(7, AlertKind::DatabaseLocked, Some("zg-01"))]),
    );
    let wall = model.world.now;
    let (ticket, _) = asked(update(&mut model, Msg::Tick(wall)));
    tell(&mut model, ticket, Answer::Managers(vec![silent()]));
    let shown = screen(&model, unicode());
    assert_eq!(shown.matches("zg-02 is lost").count(), 1, "once, not as a conclusion besides: {shown}");
    assert!(!shown.contains("heartbeat lost"), "{shown}");
    press(&mut model, KeyCode::Char('g'));
    let shown = screen(&model, unicode());
    assert!(shown.contains("fleet: the manager zg-02 on 10.0.3.12 has not renewed its lease"), "{shown}");
    assert!(shown.contains("critical, once since 11:56, last 12:00, not sent yet"), "{shown}");
    for key in ['l', 'H'] {
        assert_eq!(press(&mut model, KeyCode::Char(key)), None);
        assert!(screen(&model, unicode()).contains("about the fleet, and not about one app"));
    }
    let (_, question) = asked(press(&mut model, KeyCode::Char('m')));
    let until = Some(noon() + TimeDelta::hours(1));
    assert_eq!(question, Question::NoteAlerts(vec![AlertId(8)], AlertNote::Muted(until)));
    press(&mut model, KeyCode::Char('j'));
    assert!(screen(&model, unicode()).contains("seen by zg-01"));
}

#[test]
fn rows_are_looked_through_ungrouped_and_gone_to() {
    let mut model = opened((120, 30));
    assert!(!screen(&model, unicode()).contains("no such page"), "it is muted");
    type_keys(&mut model, "v");
    assert!(screen(&model, unicode()).contains("no such page"));
    let rows = |model: &Model| screen(model, unicode()).matches("HTTP 403 after # s").count();
    let before = rows(&model);
    type_keys(&mut model, "t");
    assert!(rows(&model) > before, "each alert has a row");
    type_keys(&mut model, "/companies");
    press(&mut model, KeyCode::Enter);
    let Some(Cmd::Work(work)) = press(&mut model, KeyCode::Char('l')) else { panic!() };
    let [Request::OpenLog(query)] = &work[..] else { panic!("{work:?}") };
    assert_eq!(query.apps[0].to_string(), "croatia/fina/companies");
    press(&mut model, KeyCode::Esc);
    assert!(screen(&model, unicode()).contains("[2 Alerts"));
    press(&mut model, KeyCode::Enter);
    assert!(screen(&model, unicode()).contains("[1 Fleet]"));
    assert_eq!(super::under_cursor(&model), "croatia/fina/companies");
}

#[test]
fn what_the_console_concludes_is_a_row_a_parent_and_cannot_be_acknowledged() {
    let mut rows: Vec<_> = ["a", "b"].map(|name| row(&format!("italy/court/{name}"))).into();
    for row in &mut rows {
        row.next_run = Some(noon() - TimeDelta::minutes(10));
    }
    rows.push(row("italy/tax/fine"));
    let mut model = model((120, 40), rows);
    let (ticket, _) = asked(press(&mut model, KeyCode::Char('2')));
    tell(&mut model, ticket, Answer::Alerts(Vec::new()));
    let shown = screen(&model, unicode());
    assert!(shown.contains("! italy/court/* (2 apps)"), "{shown}");
    assert!(shown.contains("missed its start at 11:50") && shown.contains("2 open in 1 rows"), "{shown}");
    assert_eq!(press(&mut model, KeyCode::Char('a')), None);
    assert!(screen(&model, unicode()).contains("a conclusion of this console"));
    press(&mut model, KeyCode::Char('t'));
    assert!(screen(&model, unicode()).contains("2 open in 2 rows"));
}

#[test]
fn alerts_are_counted_from_any_screen() {
    let mut model = model((80, 24), fleet());
    model.world.answer(Ticket(1), &Ok(Answer::Alerts(Vec::new())));
    // What the console concludes is counted as well: an app is late.
    assert!(screen(&model, unicode()).contains("─2 Alerts 1─"));
    press(&mut model, KeyCode::Char('6'));
    let later = crate::console::testing::now(20);
    let Some(Cmd::Work(work)) = update(&mut model, Msg::Tick(later)) else { panic!() };
    let Some(Request::Ask(ticket, Question::Alerts(_))) = work.first() else { panic!("{work:?}") };
    tell(&mut model, *ticket, Answer::Alerts(some()));
    assert!(screen(&model, unicode()).contains("─2 Alerts 4─"), "one of four is acknowledged");
}

#[test]
fn the_bell_rings_for_what_is_newly_wrong_and_for_nothing_else() {
    let mut model = model((80, 24), fleet());
    let fail = |model: &mut Model, name: &str| {
        let mut bad = row(name);
        bad.state.fatal = fleet()[0].state.fatal.clone();
        let delta = crate::console::testing::delta(vec![bad]);
        update(model, Msg::Changes { delta, read: noon() })
    };
    assert_eq!(fail(&mut model, "croatia/fina/owners"), None, "it is off at first");
    type_keys(&mut model, "2b");
    assert_eq!(fail(&mut model, "croatia/fina/owners"), None, "that was known");
    assert_eq!(fail(&mut model, "croatia/fina/documents"), Some(Cmd::Ring));
}
