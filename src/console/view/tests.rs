mod alerts;
mod always;
mod commands;
mod detail;
mod history;
mod logs;
mod managers;
mod pipeline;

use std::time::Duration;

use chrono::TimeDelta;
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::style::Modifier;

use crate::console::cmd::{Cmd, Leave};
use crate::console::model::Model;
use crate::console::msg::Msg;
use crate::console::request::Request;
use crate::console::testing::{
    delta, drawn, go_to, hash, model, noon, now, pass, pictures, press, rest, row, running, screen,
    small_fleet, stalled, submitted, type_keys, under_cursor, unicode, wait,
};
use crate::console::update::update;
use crate::model::{
    AppId, CmdFlag, CmdName, CommandId, CommandRow, Counted, Delta, ManagerRow, Movement, Progress,
    Registered, Revision, Samples,
};
use crate::process::clock;
use crate::store::StoreError;

fn fleet() -> Vec<crate::model::AppRow> {
    small_fleet()
}

fn manager() -> ManagerRow {
    crate::console::testing::manager("zg-01", noon() - TimeDelta::seconds(1))
}

#[test]
fn every_screen_at_every_size_without_a_panic() {
    let sizes = (1..=12).flat_map(|height| (1..=40).step_by(3).map(move |width| (width, height)));
    for size in sizes.chain([(1, 1), (500, 200), (0, 0), (u16::MAX, 1)]) {
        let mut model = model(size, fleet());
        for keys in ["+", "?", "q", "/", "x"] {
            type_keys(&mut model, keys);
            screen(&model, unicode());
            press(&mut model, KeyCode::Esc);
        }
        wait(&mut model, 1);
        press(&mut model, KeyCode::Esc);
        type_keys(&mut model, "GGl");
        screen(&model, unicode());
    }
}

#[test]
fn an_empty_fleet_says_what_to_do() {
    let model = model((80, 24), Vec::new());
    assert!(screen(&model, unicode()).contains("dcm app add GROUP/PARENT/APP registers one"));
}

#[test]
fn only_rows_that_are_seen_are_drawn() {
    let cost = |count| {
        let rows = (0..count).map(|number| row(&format!("g{}/p{}/app{number}", number % 10, number % 100)));
        let mut model = model((120, 40), rows.collect());
        press(&mut model, KeyCode::Char('+'));
        press(&mut model, KeyCode::Char('G'));
        assert!(screen(&model, unicode()).contains(&format!("app{}", count - 1)));
        let draw = || {
            let begin = clock::boot_time();
            screen(&model, unicode());
            clock::boot_time().saturating_sub(begin)
        };
        (0..20).map(|_| draw()).min().unwrap()
    };
    let (few, many) = (cost(100), cost(10_000));
    assert!(many < few * 3, "{few:?} for 100 rows, {many:?} for 10,000");
}

#[test]
fn a_dangerous_key_asks_first_and_is_deaf_to_what_was_typed_before() {
    let mut model = model((80, 24), fleet());
    type_keys(&mut model, "/insolvency");
    press(&mut model, KeyCode::Enter);
    press(&mut model, KeyCode::Char('G'));
    assert_eq!(press(&mut model, KeyCode::Char('x')), None);
    insta::assert_snapshot!("confirm_stop", screen(&model, unicode()));
    assert_eq!(press(&mut model, KeyCode::Char('y')), None, "too soon to be meant");
    wait(&mut model, 1);
    assert_eq!(press(&mut model, KeyCode::Enter), None, "enter is not yes");
    let sent = submitted(press(&mut model, KeyCode::Char('y')));
    assert_eq!(sent, (CmdName::Stop, vec![hash("croatia/fina/insolvency")]));
}

#[test]
fn starting_one_app_needs_no_question_and_what_changes_nothing_is_not_sent() {
    let mut model = model((80, 24), fleet());
    type_keys(&mut model, "/liens");
    press(&mut model, KeyCode::Enter);
    press(&mut model, KeyCode::Char('G'));
    let sent = submitted(press(&mut model, KeyCode::Char('s')));
    assert_eq!(sent, (CmdName::Start, vec![hash("austria/tax/liens")]));
    press(&mut model, KeyCode::Esc);
    type_keys(&mut model, "/insolvency");
    press(&mut model, KeyCode::Enter);
    press(&mut model, KeyCode::Char('G'));
    assert_eq!(press(&mut model, KeyCode::Char('s')), None);
    assert!(screen(&model, unicode()).contains("START would change nothing for croatia/fina/insolvency"));
}

#[test]
fn a_whole_group_takes_its_number() {
    let rows = (0..12).map(|number| running(&format!("g/p/app{number}"), 5, 5, 100));
    let mut model = model((80, 24), rows.collect());
    press(&mut model, KeyCode::Char('g'));
    assert_eq!(press(&mut model, KeyCode::Char('x')), None);
    wait(&mut model, 1);
    assert_eq!(type_keys(&mut model, "y"), None);
    assert_eq!(type_keys(&mut model, "1"), None);
    assert_eq!(press(&mut model, KeyCode::Enter), None);
    insta::assert_snapshot!("confirm_number", screen(&model, unicode()));
    assert_eq!(type_keys(&mut model, "2"), None);
    let (name, apps) = submitted(press(&mut model, KeyCode::Enter));
    assert_eq!((name, apps.len()), (CmdName::Stop, 12));
}

#[test]
fn the_cursor_stays_on_its_app_when_others_come_and_go() {
    let mut model = model((80, 24), fleet());
    type_keys(&mut model, "n");
    assert!(screen(&model, unicode()).contains("croatia/fina/companies  FAILED_TO_START: python3.13"));
    let delta = Delta {
        rows: vec![Registered::App(Box::new(row("aaa/first/new")))],
        removed: vec![AppId::of(&"austria/tax/liens".parse().unwrap())],
        revision: Revision(2),
        ..Delta::default()
    };
    update(&mut model, Msg::Changes { delta, read: noon() });
    assert_eq!(under_cursor(&model), "croatia/fina/companies");
}

#[test]
fn filters_narrow_and_esc_brings_all_back() {
    let mut model = model((80, 24), fleet());
    let count = |model: &mut Model, filter: &str| {
        type_keys(model, "/");
        update(model, Msg::Paste(filter.to_owned()));
        press(model, KeyCode::Enter);
        let found = model.table.found();
        press(model, KeyCode::Esc);
        found
    };
    for (filter, expected) in [
        ("fina", 4),
        ("is:running", 2),
        ("is:fatal", 1),
        ("is:stopped,waiting", 2),
        ("is:disabled", 1),
        ("is:pending", 1),
        ("g:croatia !is:running", 3),
        ("p:registry", 1),
        ("INSOLVENCY", 1),
        ("nothing-like-that", 0),
    ] {
        assert_eq!(count(&mut model, filter), expected, "{filter}");
    }
    // While it is typed, esc brings back the filter before.
    type_keys(&mut model, "/fina");
    press(&mut model, KeyCode::Esc);
    assert!(!model.table.filter().is_active());
}

#[test]
fn pasted_text_is_never_taken_for_keys() {
    let mut model = model((80, 24), fleet());
    assert_eq!(update(&mut model, Msg::Paste("xDyyy\n".to_owned())), None);
    assert!(model.dialog.is_none());
}

#[test]
fn a_lost_database_is_said_and_actions_wait_for_it() {
    let mut model = model((80, 24), fleet());
    type_keys(&mut model, "n");
    update(&mut model, Msg::Lost("another program holds its lock".to_owned()));
    wait(&mut model, 42);
    let shown = screen(&model, unicode());
    assert!(shown.contains("CONNECTION LOST 00:42 - data of 12:00:00 - ^r tries now - another"), "{shown}");
    let buffer = drawn(&model, unicode());
    let faint = (0..80).filter(|x| buffer[(*x, 4)].modifier.contains(Modifier::DIM)).count();
    assert_eq!(faint, 80, "what is old is faint");
    assert_eq!(press(&mut model, KeyCode::Char('E')), None);
    assert!(screen(&model, unicode()).contains("actions are off until the database answers"));
    let mut insolvency = row("croatia/fina/insolvency");
    insolvency.state.fatal = fleet()[0].state.fatal.clone();
    let delta = crate::console::testing::delta(vec![insolvency, row("croatia/fina/owners")]);
    update(&mut model, Msg::Changes { delta, read: now(42).wall });
    let shown = screen(&model, unicode());
    assert!(shown.contains("back after 42 s: 2 apps changed, 1 new FATAL"), "{shown}");
    update(&mut model, Msg::Lost("gone".to_owned()));
    let delta = Delta { revision: Revision(3), ..Delta::default() };
    update(&mut model, Msg::Changes { delta, read: now(43).wall });
    assert!(screen(&model, unicode()).contains("0 apps changed, nothing new is wrong"));
}

#[test]
fn verdicts_are_told_as_they_come() {
    let mut model = model((80, 24), fleet());
    go_to(&mut model, "austria/tax/liens");
    let Some(Cmd::Work(work)) = press(&mut model, KeyCode::Char('s')) else { panic!() };
    let [Request::Submit { ticket, .. }] = work[..] else { panic!("{work:?}") };
    let verdict = |flag, reason: Option<&str>| CommandRow {
        id: CommandId(1),
        app: hash("austria/tax/liens").as_str().into(),
        name: CmdName::Start,
        flag,
        by: "ana".to_owned(),
        source: crate::model::CommandSource::Console.into(),
        time: noon(),
        executed: None,
        reason: reason.map(Into::into),
        batch: None,
        note: None,
    };
    update(&mut model, Msg::Submitted { ticket, result: Ok(vec![verdict(CmdFlag::Pending, None)]) });
    assert!(screen(&model, unicode()).contains("START austria/tax/liens: …1"));
    wait(&mut model, 16);
    update(&mut model, Msg::Managers(Vec::new()));
    assert!(screen(&model, unicode()).contains("16s no manager took it: none is running"));
    let mut liens = row("austria/tax/liens");
    liens.state.manager = Some("zg-02".to_owned());
    update(&mut model, Msg::Changes { delta: delta(vec![liens]), read: noon() + TimeDelta::seconds(16) });
    for (heartbeat, expected) in [(15, "zg-02 lives (beat 1s)"), (-224, "zg-02 is silent for 4m")] {
        let manager = crate::console::testing::manager("zg-02", noon() + TimeDelta::seconds(heartbeat));
        update(&mut model, Msg::Managers(vec![manager]));
        let shown = screen(&model, unicode());
        assert!(shown.contains(&format!("no manager took it: {expected}")), "{shown}");
    }
    update(&mut model, Msg::Verdicts(vec![verdict(CmdFlag::NotExecuted, Some("already running"))]));
    assert!(screen(&model, unicode()).contains("START austria/tax/liens: ✗1 already running"));
}

#[test]
fn help_is_the_table_of_keys() {
    let mut model = model((80, 40), fleet());
    press(&mut model, KeyCode::Char('?'));
    insta::assert_snapshot!("help", screen(&model, unicode()));
}

#[test]
fn leaving_asks_when_the_manager_lives_here() {
    let mut model = model((80, 24), fleet());
    assert_eq!(press(&mut model, KeyCode::Char('q')), Some(Cmd::Leave(Leave::Client)));
    model.world.identity.is_attached = true;
    assert_eq!(press(&mut model, KeyCode::Char('q')), None);
    insta::assert_snapshot!("leave", screen(&model, unicode()));
    wait(&mut model, 1);
    assert_eq!(press(&mut model, KeyCode::Char('b')), Some(Cmd::Leave(Leave::Headless)));
    assert_eq!(press(&mut model, KeyCode::Char('s')), Some(Cmd::Leave(Leave::Stop)));
    press(&mut model, KeyCode::Esc);
    let interrupt = || Msg::Key(KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL));
    assert_eq!(update(&mut model, interrupt()), None);
    assert_eq!(update(&mut model, interrupt()), Some(Cmd::Leave(Leave::Headless)));
    assert_eq!(update(&mut model, Msg::HungUp), Some(Cmd::Leave(Leave::HungUp)));
}

#[test]
fn a_read_only_console_sends_nothing() {
    let mut model = model((80, 24), fleet());
    model.world.identity.read_only = Some(crate::console::ReadOnly::Flag);
    type_keys(&mut model, "n");
    for key in "sxrED".chars() {
        assert_eq!(press(&mut model, KeyCode::Char(key)), None);
    }
    let shown = screen(&model, unicode());
    assert!(shown.contains("[RO]") && shown.contains("this console is read-only"), "{shown}");
}

#[test]
fn screens_are_a_step_away_and_esc_leads_back() {
    use crate::console::request::{Answer, Question, Ticket};
    let mut model = model((80, 24), fleet());
    let asked = press(&mut model, KeyCode::Char('6'));
    let Some(Cmd::Work(work)) = asked else { panic!("{asked:?}") };
    let [Request::Ask(ticket, Question::Managers)] = work[..] else { panic!("{work:?}") };
    assert!(screen(&model, unicode()).contains("reading ..."));
    let answer = |ticket| Msg::Answer { ticket, answer: Ok(Answer::Managers(Vec::new())) };
    update(&mut model, answer(Ticket(ticket.0 + 1)));
    assert!(
        !screen(&model, unicode()).contains("no manager has served"),
        "that was an answer to somebody else"
    );
    update(&mut model, answer(ticket));
    assert!(
        screen(&model, unicode()).contains("[6 Mgrs]")
            && screen(&model, unicode()).contains("no manager has served")
    );
    // The answer to a screen that has gone is dropped.
    let Some(Cmd::Work(work)) = press(&mut model, KeyCode::Char('2')) else { panic!() };
    let [Request::Ask(late, _)] = work[..] else { panic!("{work:?}") };
    press(&mut model, KeyCode::Esc);
    assert!(screen(&model, unicode()).contains("[1 Fleet]"));
    update(
        &mut model,
        Msg::Answer { ticket: late, answer: Err(StoreError::Unavailable("too late".to_owned())) },
    );
    assert!(!screen(&model, unicode()).contains("too late"));
}

/// A fleet that has all that there is to be seen.
fn lively(size: (u16, u16)) -> Model {
    let mut rows = small_fleet();
    rows[2] = stalled(rows[2].clone(), noon());
    let mut hanging = stalled(running("italy/court/rulings", 73, 73_112, 100_000), noon());
    hanging.state.last_run = Some(noon() - TimeDelta::hours(3));
    let mut lost = running("bosnia/banks/boards", 12, 1200, 10_000);
    lost.state.manager = Some("zg-02".to_owned());
    rows.extend([hanging, lost]);
    let mut model = model(size, rows);
    update(&mut model, Msg::Managers(vec![manager(), zg_02()]));
    wait(&mut model, 290);
    let mut moved = running("croatia/fina/insolvency", 88, 8812, 10_000);
    moved.state.manager = Some("zg-01".to_owned());
    let mut samples = Samples::none(noon());
    for second in 0..290 {
        let counted = Counted { solved: 1 + second % 7, failed: u64::from(second % 90 == 0) };
        samples.add(counted, noon() + TimeDelta::seconds(i64::try_from(second).unwrap()));
    }
    moved.samples = Some(Box::new(samples));
    moved.progress.eta = Some(noon() + TimeDelta::minutes(8));
    let read = model.world.now.wall;
    moved.movement = Some(Box::new(Movement { last: read, usual_pause: None }));
    update(&mut model, Msg::Changes { delta: crate::console::testing::delta(vec![moved]), read });
    let alive = ManagerRow { heartbeat: read, ..manager() };
    update(&mut model, Msg::Managers(vec![alive, zg_02()]));
    update(&mut model, Msg::Begun(4));
    wait(&mut model, 10);
    type_keys(&mut model, "+n");
    look_closer(&mut model);
    model
}

/// What the pane beside or below the fleet asks for is answered.
fn look_closer(model: &mut Model) {
    for _ in 0..6 {
        let cmd = pass(model, Duration::from_millis(400));
        if let Some(ticket) = detail::answers(model, cmd) {
            update(model, Msg::Log(detail::log(ticket)));
        }
    }
}

#[test]
fn a_run_that_has_just_begun_is_judged_by_those_before_it() {
    use crate::console::request::{Answer, Question};
    let mut model = model((80, 24), vec![running("a/b/c", 1, 19, 20_000), running("a/b/d", 50, 50, 100)]);
    type_keys(&mut model, "+");
    let now = model.world.now;
    let Some(Cmd::Work(work)) = update(&mut model, Msg::Tick(now)) else { panic!("it is asked for") };
    let [Request::Ask(ticket, Question::History(query))] = &work[..] else { panic!("{work:?}") };
    assert_eq!(query.apps, [AppId::of(&"a/b/c".parse().unwrap())]);
    let runs = (0..3).map(|day| {
        let run = detail::run(day, 1440, Some(1320), "ok");
        crate::model::Run { app: query.apps[0], ..run }
    });
    update(&mut model, Msg::Answer { ticket: *ticket, answer: Ok(Answer::History(runs.collect())) });
    let shown = screen(&model, unicode());
    assert!(shown.contains("≈9m"), "22 minutes, of which 13 have passed: {shown}");
    assert_eq!(update(&mut model, Msg::Tick(now)), None, "once is enough");
}

#[test]
fn the_parts_of_the_details_take_turns() {
    let mut model = lively((120, 40));
    for (part, seen) in [
        ("[log]", "E python3.13: No such file or directory"),
        ("[runs]", "✗ failed_to_start"),
        ("[audit]", "START   ana        ✗ NOT_EXECUTED spawn failed"),
        ("[detail]", "schedule"),
    ] {
        press(&mut model, KeyCode::Tab);
        let shown = screen(&model, unicode());
        assert!(shown.contains(part) && shown.contains(seen), "{part}: {shown}");
    }
    press(&mut model, KeyCode::BackTab);
    assert!(screen(&model, unicode()).contains("[audit]"));
    // Its log is closed when another screen is shown.
    let Some(Cmd::Work(work)) = press(&mut model, KeyCode::Char('2')) else { panic!() };
    assert_eq!(work.first(), Some(&Request::CloseLog));
    let mut small = lively((80, 24));
    press(&mut small, KeyCode::Tab);
    assert!(screen(&small, unicode()).contains("there is no room for the details"));
}

fn zg_02() -> ManagerRow {
    crate::console::testing::manager("zg-02", noon() - TimeDelta::minutes(4))
}

#[test]
fn a_lively_fleet_at_every_size_in_all_signs_and_colours() {
    for (name, picture) in pictures("lively", lively) {
        insta::assert_snapshot!(name, picture);
    }
}

#[test]
fn the_details_follow_a_cursor_that_has_come_to_rest() {
    let mut model = lively((120, 40));
    let titles = |model: &Model| {
        let screen = screen(model, unicode());
        screen
            .lines()
            .filter(|line| line.starts_with("─ ") && line.contains('/'))
            .map(str::to_owned)
            .collect::<String>()
    };
    assert!(titles(&model).starts_with("─ croatia/fina/companies ─"));
    // The first key after a rest is followed at once, those that come soon after it are not.
    press(&mut model, KeyCode::Down);
    assert!(titles(&model).starts_with("─ croatia/fina/documents ─"));
    type_keys(&mut model, "jj");
    assert!(titles(&model).starts_with("─ croatia/fina/documents ─"));
    assert!(model.due().is_some_and(|due| due > model.world.now.mono));
    rest(&mut model);
    assert!(titles(&model).starts_with("─ croatia/fina/owners ─"), "{}", titles(&model));
    assert_eq!(model.due(), None);
    // Another screen is not woken for it.
    type_keys(&mut model, "kk7");
    assert_eq!(model.due(), None);
}

#[test]
fn menus_detail_and_a_lost_connection() {
    let mut model = lively((80, 24));
    press(&mut model, KeyCode::Enter);
    insta::assert_snapshot!("detail_80x24", screen(&model, unicode()));
    press(&mut model, KeyCode::Esc);
    for (name, keys) in
        [("palette", ":rest fin"), ("sort_menu", "o"), ("column_menu", "c"), ("action_menu", "a")]
    {
        type_keys(&mut model, keys);
        insta::assert_snapshot!(name, screen(&model, unicode()));
        press(&mut model, KeyCode::Esc);
    }
    update(&mut model, Msg::Lost("connection refused 10.0.3.7:5432".to_owned()));
    wait(&mut model, 42);
    insta::assert_snapshot!("lost_80x24", screen(&model, unicode()));
}

#[test]
fn filters_and_orders_of_a_large_fleet_are_quick() {
    let rows = (0..10_000).map(|number| {
        running(&format!("g{}/p{}/app{number:05}", number % 12, number % 800), 5, number % 100, 100)
    });
    let mut model = model((120, 40), rows.collect());
    // What one letter or one order costs at most; a build with optimization takes a tenth.
    for keys in ["t", "o", "O", "/", "a", "p", "p", "1"] {
        let begin = clock::boot_time();
        type_keys(&mut model, keys);
        screen(&model, unicode());
        let took = clock::boot_time().saturating_sub(begin);
        assert!(took < Duration::from_millis(500), "{keys}: {took:?}");
    }
}
