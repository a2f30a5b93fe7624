//! Actions and their weight; and any events in any order.

use std::time::Duration;

use chrono::TimeDelta;
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers, MouseButton, MouseEvent, MouseEventKind};

use super::update;
use crate::console::cmd::Cmd;
use crate::console::dialog::Dialog;
use crate::console::dialog::confirm::{Caution, Consent};
use crate::console::model::Model;
use crate::console::msg::Msg;
use crate::console::request::Request;
use crate::console::screen::Tab;
use crate::console::screen::fleet::Spot;
use crate::console::testing::{
    Dice, delta, go_to, hash, manager, model, noon, press, row, running, screen, small_fleet, submitted,
    type_keys, under_cursor, unicode, wait,
};
use crate::console::world::Focus;
use crate::model::{CmdFlag, CmdName, CommandId, Delta, LastCommand, Now, Revision, RunStatus};

fn consent(model: &Model) -> Option<Consent> {
    match &model.dialog {
        Some(Dialog::Confirm(confirm)) => Some(confirm.asks_for),
        Some(_) | None => None,
    }
}

fn twelve() -> Vec<crate::model::AppRow> {
    (0..12).map(|number| running(&format!("g/p/app{number:02}"), 5, 5, 100)).collect()
}

#[test]
fn the_weight_of_an_action_grows_with_what_it_does() {
    let mut protected = running("g/p/safe", 5, 5, 100);
    protected.app.policy.protected = true;
    let mut rows = twelve();
    rows.push(protected);
    rows.push(row("h/q/idle"));
    for (filter, keys, expected) in [
        ("h/q/idle", "s", None),
        ("h/q/idle", "D", Some(Consent::Yes)),
        ("app03", "x", Some(Consent::Yes)),
        ("app0", " kG^x", Some(Consent::Number)),
        ("safe", "r", Some(Consent::Number)),
        ("app03", "gx", Some(Consent::Number)),
    ] {
        let mut model = model((100, 30), rows.clone());
        go_to(&mut model, filter);
        for key in keys.chars() {
            match key {
                '^' => {
                    update(&mut model, Msg::Key(KeyEvent::new(KeyCode::Char('a'), KeyModifiers::CONTROL)));
                    press(&mut model, KeyCode::Esc);
                    update(&mut model, Msg::Key(KeyEvent::new(KeyCode::Char('a'), KeyModifiers::CONTROL)));
                }
                key => drop(press(&mut model, KeyCode::Char(key))),
            }
        }
        assert_eq!(consent(&model), expected, "{filter} {keys}\n{}", screen(&model, unicode()));
    }
}

#[test]
fn what_is_decided_on_are_the_apps_of_that_moment() {
    let mut model = model((100, 30), twelve());
    go_to(&mut model, "app03");
    press(&mut model, KeyCode::Char('x'));
    // Others come and go while the question is open.
    let gone = crate::model::AppId::of(&"g/p/app03".parse().unwrap());
    let news =
        Delta { removed: vec![gone], revision: Revision(2), ..delta(vec![running("g/p/app031", 1, 1, 9)]) };
    update(&mut model, Msg::Changes { delta: news, read: noon() });
    wait(&mut model, 1);
    let sent = submitted(press(&mut model, KeyCode::Char('y')));
    assert_eq!(sent, (CmdName::Stop, vec![hash("g/p/app03")]));
}

#[test]
fn apps_are_told_apart_by_what_would_happen_to_them() {
    let mut rows = twelve();
    rows[0].state.status = RunStatus::Stopped;
    rows[1].state.manager = Some("zg-02".to_owned());
    let last = |by: &str| LastCommand {
        id: Some(CommandId(7)),
        name: CmdName::Restart,
        flag: CmdFlag::Pending,
        by: Some(by.to_owned()),
        time: Some(noon() - TimeDelta::seconds(4)),
        executed: None,
    };
    rows[2].command = Some(last("marko"));
    rows[3].command = Some(LastCommand { flag: CmdFlag::Executed, ..last("marko") });
    let mut model = model((100, 30), rows);
    update(&mut model, Msg::Managers(vec![manager("zg-02", noon() - TimeDelta::minutes(4))]));
    type_keys(&mut model, "gx");
    insta::assert_snapshot!(screen(&model, unicode()));
}

#[test]
fn enter_alone_does_nothing_and_a_reason_goes_with_the_commands() {
    let mut model = model((100, 30), twelve());
    go_to(&mut model, "app03");
    type_keys(&mut model, "x");
    wait(&mut model, 1);
    assert_eq!(press(&mut model, KeyCode::Enter), None, "cancel has the focus");
    press(&mut model, KeyCode::Tab);
    press(&mut model, KeyCode::Tab);
    assert_eq!(type_keys(&mut model, "yes, ticket 4411"), None, "that is the reason");
    press(&mut model, KeyCode::BackTab);
    let Some(Cmd::Work(work)) = press(&mut model, KeyCode::Enter) else { panic!() };
    let [Request::Submit { note, .. }] = &work[..] else { panic!("{work:?}") };
    assert_eq!(note.as_deref(), Some("yes, ticket 4411"));
}

#[test]
fn the_owner_of_a_fleet_may_demand_more_and_never_less() {
    let mut model = model((100, 30), twelve());
    model.world.caution = Caution {
        needs_reason: true,
        at_least: [(CmdName::Enable, Consent::Yes), (CmdName::Stop, Consent::Yes)].into(),
    };
    go_to(&mut model, "app03");
    type_keys(&mut model, "gx");
    assert_eq!(consent(&model), Some(Consent::Number), "a group is not less than before");
    wait(&mut model, 1);
    press(&mut model, KeyCode::Esc);
    type_keys(&mut model, "Gx");
    wait(&mut model, 1);
    assert_eq!(type_keys(&mut model, "y"), None);
    assert!(screen(&model, unicode()).contains("a reason is needed"));
    assert_eq!(type_keys(&mut model, "  "), None);
    press(&mut model, KeyCode::Enter);
    assert_eq!(press(&mut model, KeyCode::Enter), None, "blanks are no reason");
    type_keys(&mut model, "leak");
    press(&mut model, KeyCode::Enter);
    let Some(Cmd::Work(work)) = press(&mut model, KeyCode::Enter) else { panic!() };
    let [Request::Submit { note, name: CmdName::Stop, .. }] = &work[..] else { panic!("{work:?}") };
    assert_eq!(note.as_deref(), Some("leak"));
}

#[test]
fn a_cyrillic_yes_is_a_yes_and_a_cyrillic_reason_stays_as_it_is() {
    let mut model = model((100, 30), twelve());
    go_to(&mut model, "app03");
    type_keys(&mut model, "ч");
    assert_eq!(consent(&model), Some(Consent::Yes));
    wait(&mut model, 1);
    press(&mut model, KeyCode::BackTab);
    type_keys(&mut model, "утечка");
    press(&mut model, KeyCode::Enter);
    let Some(Cmd::Work(work)) = type_keys(&mut model, "н") else { panic!() };
    let [Request::Submit { note, .. }] = &work[..] else { panic!("{work:?}") };
    assert_eq!(note.as_deref(), Some("утечка"));
}

#[test]
fn the_mouse_moves_and_chooses_once_it_is_heard() {
    let mouse = |model: &mut Model, kind, row: usize| {
        let row = u16::try_from(row).unwrap();
        update(model, Msg::Mouse(MouseEvent { kind, column: 12, row, modifiers: KeyModifiers::NONE }))
    };
    let click = MouseEventKind::Down(MouseButton::Left);
    let mut model = model((100, 30), small_fleet());
    let row_of = |model: &Model, text: &str| {
        let shown = screen(model, unicode());
        shown.lines().position(|line| line.contains(text)).unwrap_or_else(|| panic!("{text}\n{shown}"))
    };
    let parcels = row_of(&model, "parcels");
    mouse(&mut model, click, parcels);
    assert_eq!(under_cursor(&model), "croatia", "the terminal has the mouse");
    assert_eq!(type_keys(&mut model, "M"), Some(Cmd::Mouse(true)));
    mouse(&mut model, click, parcels);
    assert_eq!(under_cursor(&model), "croatia/registry/parcels");
    mouse(&mut model, MouseEventKind::ScrollUp, 0);
    assert_eq!(under_cursor(&model), "croatia/fina/insolvency");
    let problem = row_of(&model, "✗ croatia/fina/companies");
    mouse(&mut model, click, problem);
    assert_eq!(under_cursor(&model), "croatia/fina/companies");
    type_keys(&mut model, "E");
    wait(&mut model, 1);
    type_keys(&mut model, "x");
    mouse(&mut model, click, parcels);
    assert_eq!(under_cursor(&model), "croatia/fina/companies", "a question is answered by keys");
    press(&mut model, KeyCode::Esc);
    wait(&mut model, 1);
    press(&mut model, KeyCode::Esc);
    let tabs = row_of(&model, "2 Alerts");
    mouse(&mut model, click, tabs);
    assert_eq!(model.tab(), Tab::Alerts);
    assert_eq!(type_keys(&mut model, "M"), Some(Cmd::Mouse(false)));
}

#[test]
fn a_dry_run_sends_nothing() {
    let mut model = model((100, 30), small_fleet());
    go_to(&mut model, "liens");
    assert_eq!(type_keys(&mut model, "!s"), None);
    let shown = screen(&model, unicode());
    assert!(shown.contains("[DRY RUN]") && shown.contains("dry run: 1 × START would be sent"), "{shown}");
    assert_eq!(submitted(type_keys(&mut model, "!s")), (CmdName::Start, vec![hash("austria/tax/liens")]));
}

#[test]
fn a_fatal_flag_is_cleared_by_enable_and_asked_about() {
    let mut model = model((100, 30), small_fleet());
    type_keys(&mut model, "n");
    assert_eq!(under_cursor(&model), "croatia/fina/companies");
    assert_eq!(type_keys(&mut model, "F"), None);
    assert_eq!(consent(&model), Some(Consent::Yes));
    assert!(screen(&model, unicode()).contains("CLEAR FATAL croatia/fina/companies?"));
    wait(&mut model, 1);
    assert_eq!(
        submitted(type_keys(&mut model, "y")),
        (CmdName::Enable, vec![hash("croatia/fina/companies")])
    );
}

#[test]
fn marks_are_what_an_action_is_for_and_a_range_marks_all_between() {
    let mut model = model((100, 30), twelve());
    go_to(&mut model, "app0");
    press(&mut model, KeyCode::Home);
    type_keys(&mut model, "jj v");
    assert_eq!(model.table.marks.len(), 1);
    type_keys(&mut model, "jjv");
    assert_eq!(model.table.marks.len(), 4);
    type_keys(&mut model, "x");
    assert!(screen(&model, unicode()).contains("STOP 4 marked apps?"));
    press(&mut model, KeyCode::Esc);
    wait(&mut model, 1);
    press(&mut model, KeyCode::Esc);
    press(&mut model, KeyCode::Esc);
    press(&mut model, KeyCode::Esc);
    assert!(model.table.marks.is_empty());
}

#[test]
fn the_order_is_held_while_a_hand_is_on_the_keys() {
    let mut model = model((100, 30), twelve());
    type_keys(&mut model, "t/");
    update(&mut model, Msg::Paste("app".to_owned()));
    press(&mut model, KeyCode::Enter);
    press(&mut model, KeyCode::Home);
    assert_eq!(under_cursor(&model), "g/p/app00");
    // One becomes fatal: by severity it belongs to the top.
    let mut bad = running("g/p/app07", 5, 5, 100);
    bad.state.status = RunStatus::NotRunning;
    bad.state.fatal = small_fleet()[0].state.fatal.clone();
    update(&mut model, Msg::Changes { delta: delta(vec![bad]), read: noon() });
    let first = |model: &mut Model| {
        press(model, KeyCode::Home);
        under_cursor(model)
    };
    assert_eq!(first(&mut model), "g/p/app00");
    wait(&mut model, 1);
    assert_eq!(first(&mut model), "g/p/app00");
    wait(&mut model, 2);
    assert_eq!(first(&mut model), "g/p/app07");
    press(&mut model, KeyCode::End);
    assert_eq!(under_cursor(&model), "g/p/app11");
}

#[test]
fn a_display_that_is_paused_catches_up() {
    let mut model = model((100, 30), small_fleet());
    type_keys(&mut model, "p");
    update(&mut model, Msg::Changes { delta: delta(vec![row("new/one/app")]), read: noon() });
    assert!(screen(&model, unicode()).contains("PAUSED, 1 changes wait"));
    assert_eq!(model.world.fleet.total.apps, 6);
    type_keys(&mut model, "p");
    assert_eq!(model.world.fleet.total.apps, 7);
}

#[test]
fn views_are_saved_named_and_on_keys() {
    let mut model = model((100, 30), small_fleet());
    model.set_views(vec![("night".to_owned(), "is:running flat sort:name".to_owned())], Some("night"));
    assert_eq!((model.table.found(), model.table.is_flat), (2, true));
    type_keys(&mut model, "/");
    update(&mut model, Msg::Paste(" fina".to_owned()));
    press(&mut model, KeyCode::Enter);
    type_keys(&mut model, ":save fina");
    press(&mut model, KeyCode::Enter);
    type_keys(&mut model, "g1");
    assert_eq!(model.table.found(), 2);
    type_keys(&mut model, ":view fina");
    press(&mut model, KeyCode::Enter);
    assert_eq!(model.table.view().to_string(), "is:running fina sort:name flat");
    assert_eq!(model.table.found(), 1);
}

#[test]
fn everything_is_in_the_palette_by_name() {
    let mut model = model((100, 30), small_fleet());
    type_keys(&mut model, ":go parcels");
    press(&mut model, KeyCode::Enter);
    assert_eq!(under_cursor(&model), "croatia/registry/parcels");
    type_keys(&mut model, ":restart croatia/fina");
    press(&mut model, KeyCode::Enter);
    assert_eq!(consent(&model), Some(Consent::Number));
    assert!(screen(&model, unicode()).contains("RESTART croatia/fina?"));
    press(&mut model, KeyCode::Esc);
    wait(&mut model, 1);
    press(&mut model, KeyCode::Esc);
    type_keys(&mut model, ":restart running croatia/fina");
    press(&mut model, KeyCode::Tab);
    let Some(Dialog::Menu(menu)) = &model.dialog else { panic!() };
    assert_eq!(menu.query.text(), "restart running in croatia/fina (1)");
    press(&mut model, KeyCode::Enter);
    let Some(Dialog::Confirm(confirm)) = &model.dialog else { panic!() };
    assert_eq!((confirm.what.as_str(), confirm.sent.len()), ("running in croatia/fina", 1));
    assert_eq!(confirm.asks_for, Consent::Number, "what is in a group is a group");
    wait(&mut model, 1);
    press(&mut model, KeyCode::Esc);
    type_keys(&mut model, ":enable fatal");
    press(&mut model, KeyCode::Enter);
    assert!(screen(&model, unicode()).contains("ENABLE fatal only in"));
    wait(&mut model, 1);
    press(&mut model, KeyCode::Esc);
    type_keys(&mut model, ":sort by fail");
    press(&mut model, KeyCode::Enter);
    assert_eq!(model.table.sort.key.word(), "failed");
}

#[test]
fn paths_go_to_the_clipboard() {
    let mut model = model((100, 30), small_fleet());
    go_to(&mut model, "liens");
    assert_eq!(type_keys(&mut model, "y"), Some(Cmd::Copy("austria/tax/liens".to_owned())));
    assert_eq!(model.world.remark.as_ref().map(|remark| remark.text.as_str()), Some("copied 17 characters"));
}

/// Keys that a person may press, and some that nobody does.
fn any_key(dice: &mut Dice) -> KeyEvent {
    const KEYS: &[u8] = b"jkgGnNtoOcdzplLHA /:?aFuvyYq123467xsrED!+-*=mfb0123456789qwertz\x7f";
    let code = match dice.below(12) {
        0 => KeyCode::Esc,
        1 => KeyCode::Enter,
        2 => KeyCode::Tab,
        3 => KeyCode::Left,
        4 => KeyCode::Right,
        5 => KeyCode::PageDown,
        6 => KeyCode::F(u8::try_from(dice.below(12)).unwrap_or(1)),
        7 => KeyCode::Backspace,
        _ => KeyCode::Char(char::from(KEYS[usize::try_from(dice.below(KEYS.len() as u64)).unwrap()])),
    };
    let modifiers = match dice.below(8) {
        0 => KeyModifiers::CONTROL,
        1 => KeyModifiers::ALT,
        _ => KeyModifiers::NONE,
    };
    KeyEvent::new(code, modifiers)
}

fn any_event(model: &Model, dice: &mut Dice) -> Msg {
    let path = format!("g{}/p{}/a{}", dice.below(3), dice.below(3), dice.below(6));
    let read = model.world.time();
    match dice.below(20) {
        0 | 1 => {
            let mut changed = running(&path, 5, dice.below(200), 100);
            changed.app.disabled = dice.below(3) == 0;
            changed.app.policy.protected = dice.below(5) == 0;
            if dice.below(3) == 0 {
                changed.state.status = RunStatus::NotRunning;
                changed.state.fatal = small_fleet()[0].state.fatal.clone();
            }
            Msg::Changes { delta: delta(vec![changed]), read }
        }
        2 => {
            let gone = crate::model::AppId::of(&path.parse().unwrap());
            Msg::Changes {
                delta: Delta { removed: vec![gone], revision: Revision(3), ..Delta::default() },
                read,
            }
        }
        3 => Msg::Lost("away".to_owned()),
        4 => Msg::Managers(vec![manager("zg-01", read)]),
        5 => {
            let (columns, rows) = (dice.below(200) + 1, dice.below(60) + 1);
            Msg::Resize(u16::try_from(columns).unwrap(), u16::try_from(rows).unwrap())
        }
        6 => Msg::Paste("is:fatal \u{10d}\n\x1b[31m fina".to_owned()),
        7 | 8 => {
            let seconds = dice.below(40);
            let wall = model.world.now.wall + TimeDelta::seconds(i64::try_from(seconds).unwrap());
            Msg::Tick(Now { mono: model.world.now.mono + Duration::from_secs(seconds), wall })
        }
        _ => Msg::Key(any_key(dice)),
    }
}

/// Whatever comes in whatever order: the cursor is on something that is there, only apps that are
/// there are marked, and nothing that weighs anything is sent without having been agreed to.
#[test]
fn any_events_in_any_order() {
    for seed in 0..60 {
        let mut dice = Dice(seed);
        let mut model = model((80, 24), small_fleet());
        model.world.identity.is_attached = seed % 2 == 0;
        for turn in 0..400 {
            let asked = consent(&model);
            let was_open = model.dialog.is_some();
            let msg = any_event(&model, &mut dice);
            let told = format!("seed {seed}, turn {turn}: {msg:?}");
            let cmd = update(&mut model, msg);
            if let Some(Cmd::Work(work)) = &cmd {
                for request in work {
                    if let Request::Submit { name, apps, ticket, .. } = request {
                        let is_free = matches!(name, CmdName::Start | CmdName::Enable) && apps.len() == 1;
                        let batch = model.world.batches.last().map(|batch| batch.order.what.as_str());
                        let is_undo = batch.is_some_and(|what| what.starts_with("undo"));
                        let is_agreed = asked.is_some() && was_open;
                        assert!(
                            is_agreed || is_free || is_undo,
                            "{told} sent {name} {} {ticket:?}",
                            apps.len()
                        );
                        assert!(model.world.refusal().is_none(), "{told}");
                    }
                }
            }
            if let Some(Spot::App(id)) = model.table.spot() {
                let line = &model.table.lines()[model.table.cursor()];
                assert_eq!(line.spot(&model.world.fleet), Some(Spot::App(*id)), "{told}");
            }
            assert!(model.table.cursor() < model.table.lines().len().max(1), "{told}");
            assert!(model.table.marks.iter().all(|id| model.world.fleet.by_id(id).is_some()), "{told}");
            if turn % 7 == 0 {
                screen(&model, unicode());
            }
        }
    }
}

#[test]
fn the_database_is_asked_as_often_as_somebody_looks() {
    let pace = |cmd: Option<Cmd>| match cmd {
        Some(Cmd::Work(work)) => work.iter().find_map(|request| match request {
            Request::Pace(pace) => Some(pace.as_secs()),
            Request::Submit { .. }
            | Request::OpenLog(_)
            | Request::CloseLog
            | Request::Look
            | Request::Ask(..) => None,
        }),
        Some(_) | None => None,
    };
    let mut model = model((80, 24), small_fleet());
    let later = |model: &mut Model, seconds: u64| {
        let now = model.world.now;
        let wall = now.wall + TimeDelta::seconds(i64::try_from(seconds).unwrap());
        pace(update(model, Msg::Tick(Now { mono: now.mono + Duration::from_secs(seconds), wall })))
    };
    assert_eq!(later(&mut model, 1), None);
    assert_eq!(pace(update(&mut model, Msg::Focus(Focus::Elsewhere))), Some(5));
    assert_eq!(later(&mut model, 1), None);
    assert_eq!(pace(update(&mut model, Msg::Focus(Focus::Here))), Some(1));
    assert_eq!(later(&mut model, 600), Some(15));
    press(&mut model, KeyCode::Down);
    assert_eq!(later(&mut model, 0), Some(1));
}

#[test]
fn a_clock_that_is_set_changes_no_age() {
    let mut model = model((120, 40), small_fleet());
    let before = screen(&model, unicode());
    for hours in [5, -24 * 400] {
        let set = Now { wall: noon() + TimeDelta::hours(hours), ..model.world.now };
        update(&mut model, Msg::Tick(set));
        assert_eq!(screen(&model, unicode()), before);
    }
    // That of the database is believed.
    update(&mut model, Msg::Changes { delta: Delta::default(), read: noon() + TimeDelta::hours(2) });
    wait(&mut model, 2);
    assert!(screen(&model, unicode()).contains("LATE"), "{}", screen(&model, unicode()));
}

#[test]
fn a_heartbeat_is_as_old_as_it_was_when_it_was_read() {
    let mut model = model((120, 40), small_fleet());
    let live = |model: &Model| model.world.fleet.live_managers(model.world.time());
    // Nobody has asked for a while, so nothing is known to be wrong.
    wait(&mut model, 60);
    assert_eq!(live(&model), 1);
    let rows = model.world.fleet.managers.clone();
    update(&mut model, Msg::Managers(rows));
    assert_eq!(live(&model), 0);
}
