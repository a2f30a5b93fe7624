use super::*;
use crate::console::request::{Answer, Question, Ticket};
use crate::model::{Run, RunId, Skip, SkipReason, Trigger};

fn run(number: u128, path: &str, begin: i64, minutes: Option<i64>, outcome: &str) -> Run {
    let start = noon() - TimeDelta::minutes(begin);
    Run {
        run: RunId::from_random_bits(number << 96),
        app: AppId::of(&path.parse().unwrap()),
        start,
        end: minutes.map(|minutes| start + TimeDelta::minutes(minutes)),
        outcome: minutes.map(|_| outcome.into()),
        exit_code: (outcome == "ok").then_some(0).or((outcome == "failed").then_some(1)),
        signal: (outcome == "crashed").then_some(9),
        except_cnt: u64::from(outcome == "failed"),
        progress: Progress { task_size: Some(30_000), solved: 12_301, failed: 214, ..Progress::default() },
        trigger: Trigger::Schedule.into(),
        due: Some(start),
        attempt: 1,
        manager: "zg-01".to_owned(),
        pid: Some(4122),
        message: (outcome == "failed").then(|| "ProxyBanned".to_owned()),
        leftovers: 0,
        command: None,
        memory_peak: None,
    }
}

fn some() -> Vec<Run> {
    let mut waited = run(20, "croatia/fina/documents", 60, None, "");
    waited.due = Some(noon() - TimeDelta::minutes(120));
    let mut runs = vec![
        waited,
        run(1, "croatia/fina/companies", 300, Some(22), "ok"),
        run(2, "croatia/fina/companies", 240, Some(38), "failed"),
        run(3, "croatia/fina/owners", 200, Some(41), "stopped"),
        run(4, "croatia/fina/insolvency", 13, None, ""),
    ];
    runs.extend((5..12).map(|number| {
        run(number, "croatia/registry/parcels", i64::try_from(number).unwrap() * 25, Some(12), "ok")
    }));
    runs
}

fn asked(cmd: Option<Cmd>) -> (Ticket, Question) {
    let Some(Cmd::Work(mut work)) = cmd else { panic!("{cmd:?}") };
    let Some(Request::Ask(ticket, question)) = work.pop() else { panic!("{work:?}") };
    (ticket, question)
}

fn tell(model: &mut Model, ticket: Ticket, answer: Answer) {
    update(model, Msg::Answer { ticket, answer: Ok(answer) });
}

fn opened(size: (u16, u16)) -> Model {
    let mut model = model(size, fleet());
    let (ticket, _) = asked(press(&mut model, KeyCode::Char('4')));
    tell(&mut model, ticket, Answer::History(some()));
    let wall = model.world.now;
    let (ticket, Question::Skips(query)) = asked(update(&mut model, Msg::Tick(wall))) else { panic!() };
    assert!(!query.apps.is_empty());
    let skip = Skip {
        app: AppId::of(&"austria/tax/liens".parse().unwrap()),
        first: noon() - TimeDelta::minutes(100),
        last: noon() - TimeDelta::minutes(40),
        slots: Some(2),
        reason: SkipReason::Missed,
        at: noon(),
    };
    tell(&mut model, ticket, Answer::Skips(vec![skip]));
    model
}

#[test]
fn at_every_size_in_all_signs_and_colours() {
    let lower = |size| {
        let mut model = opened(size);
        type_keys(&mut model, "jj");
        model
    };
    for (name, picture) in pictures("history", lower) {
        insta::assert_snapshot!(name, picture);
    }
    for (name, size) in [("80x24", (80, 24)), ("40x12", (40, 12))] {
        let mut model = lower(size);
        let (ticket, _) = asked(press(&mut model, KeyCode::Char('T')));
        tell(&mut model, ticket, Answer::History(some()));
        insta::assert_snapshot!(format!("history_table_{name}"), screen(&model, unicode()));
    }
}

#[test]
fn the_cursor_finds_a_run_and_its_log() {
    let mut model = opened((80, 24));
    type_keys(&mut model, "j");
    assert_eq!(press(&mut model, KeyCode::Char('l')), None);
    assert!(screen(&model, unicode()).contains("no run is under the cursor: left"));
    type_keys(&mut model, "jj");
    let shown = screen(&model, unicode());
    assert!(shown.contains("insolvency 11:47:00 -> now"), "{shown}");
    let Some(Cmd::Work(work)) = press(&mut model, KeyCode::Char('l')) else { panic!() };
    let [Request::OpenLog(query)] = &work[..] else { panic!("{work:?}") };
    assert_eq!(query.run, Some(RunId::from_random_bits(4 << 96)));
    press(&mut model, KeyCode::Esc);
    type_keys(&mut model, "k");
    assert!(
        screen(&model, unicode()).contains("documents 11:00:00 -> now"),
        "esc leads back to where it was"
    );
}

#[test]
fn only_what_is_on_the_screen_is_asked_for() {
    let rows = (0..500).map(|number| row(&format!("g/p/app{number:03}")));
    let mut model = model((80, 24), rows.collect());
    let (_, Question::History(query)) = asked(press(&mut model, KeyCode::Char('4'))) else { panic!() };
    assert!((5..24).contains(&query.apps.len()), "{}", query.apps.len());
    assert_eq!((query.since.is_some(), query.before.is_some()), (true, true));
    let first = query.apps;
    assert_eq!(press(&mut model, KeyCode::Char('j')), None, "its row is there already");
    let (_, Question::History(query)) = asked(press(&mut model, KeyCode::Char('G'))) else { panic!() };
    assert!(!query.apps.contains(&first[0]));
    let (_, Question::History(earlier)) = asked(press(&mut model, KeyCode::Char(','))) else { panic!() };
    assert!(earlier.before < query.before);
    let (_, Question::History(near)) = asked(press(&mut model, KeyCode::Char('+'))) else { panic!() };
    assert!(near.before.unwrap() - near.since.unwrap() < earlier.before.unwrap() - earlier.since.unwrap());
    let (_, Question::History(now)) = asked(press(&mut model, KeyCode::Char('F'))) else { panic!() };
    assert!(now.before > Some(noon()));
    type_keys(&mut model, "/");
    let (_, Question::History(found)) = asked(update(&mut model, Msg::Paste("app07".to_owned()))) else {
        panic!()
    };
    assert_eq!(found.apps.len(), 10);
}

#[test]
fn the_table_folds_and_shows_failures_alone() {
    let mut model = opened((120, 30));
    let (ticket, Question::History(query)) = asked(press(&mut model, KeyCode::Char('T'))) else { panic!() };
    assert_eq!((query.since, query.before), (None, None));
    tell(&mut model, ticket, Answer::History(some()));
    let shown = screen(&model, unicode());
    assert!(shown.contains("ok 7 times since") && shown.contains("failed, exit 1  ProxyBanned"), "{shown}");
    type_keys(&mut model, "b");
    let shown = screen(&model, unicode());
    assert!(!shown.contains("7 times") && shown.contains("failed, exit 1"), "{shown}");
    press(&mut model, KeyCode::Enter);
    assert!(screen(&model, unicode()).contains("[1 Fleet]"));
}

#[test]
fn the_first_look_at_a_young_fleet_is_near_and_a_hand_on_the_zoom_is_obeyed() {
    let mut model = model((80, 24), fleet());
    let (ticket, _) = asked(press(&mut model, KeyCode::Char('4')));
    let recent = crate::model::Run {
        app: AppId::of(&"croatia/fina/companies".parse().unwrap()),
        ..super::detail::run(1, 1, Some(20), "ok")
    };
    tell(&mut model, ticket, Answer::History(vec![recent.clone()]));
    assert!(screen(&model, unicode()).contains("1 cell = 10s"), "{}", screen(&model, unicode()));
    let (ticket, _) = asked(press(&mut model, KeyCode::Char('-')));
    tell(&mut model, ticket, Answer::History(vec![recent]));
    assert!(screen(&model, unicode()).contains("1 cell = 30s"));
}
