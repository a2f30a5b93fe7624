use super::*;
use crate::console::request::{Answer, Question, Ticket};
use crate::model::{Load, Released};
use crate::store::StoreError;

fn some() -> Vec<ManagerRow> {
    let row = |name: &str, beat: i64| ManagerRow {
        name: name.to_owned(),
        heartbeat: noon() - TimeDelta::seconds(beat),
        ..manager()
    };
    let load = |running, waiting| Load { running, running_max: Some(500), waiting };
    vec![
        ManagerRow { draining: true, load: load(498, 212), ..row("st-01", 0) },
        ManagerRow { version: "0.0.9".to_owned(), load: load(301, 0), ..row("vie-01", 2) },
        ManagerRow { stopped: Some(noon() - TimeDelta::minutes(9)), ..row("zd-01", 540) },
        ManagerRow { load: load(410, 0), pools: vec!["proxies".to_owned()], ..row("zg-01", 1) },
        ManagerRow { host: "10.0.3.12".to_owned(), load: load(388, 47), ..row("zg-02", 252) },
    ]
}

fn asked(cmd: Option<Cmd>) -> (Ticket, Question) {
    let Some(Cmd::Work(mut work)) = cmd else { panic!("{cmd:?}") };
    let Some(Request::Ask(ticket, question)) = work.pop() else { panic!("{work:?}") };
    (ticket, question)
}

fn opened(size: (u16, u16)) -> Model {
    let mut rows = fleet();
    for (row, name) in rows.iter_mut().zip(["zg-01", "zg-02", "zg-01", "zg-02", "st-01", "zg-02"]) {
        row.state.manager = Some(name.to_owned());
    }
    let mut model = model(size, rows);
    let (ticket, _) = asked(press(&mut model, KeyCode::Char('6')));
    update(&mut model, Msg::Answer { ticket, answer: Ok(Answer::Managers(some())) });
    model
}

#[test]
fn at_every_size_in_all_signs_and_colours() {
    let on_the_lost = |size| {
        let mut model = opened(size);
        press(&mut model, KeyCode::Char('G'));
        model
    };
    for (name, picture) in pictures("managers", on_the_lost) {
        insta::assert_snapshot!(name, picture);
    }
    let mut model = on_the_lost((80, 24));
    press(&mut model, KeyCode::Char('t'));
    insta::assert_snapshot!("managers_question", screen(&model, unicode()));
}

#[test]
fn a_lost_manager_gives_up_its_apps_after_a_question() {
    let mut model = opened((80, 24));
    press(&mut model, KeyCode::Char('G'));
    assert_eq!(press(&mut model, KeyCode::Char('y')), None, "nothing was asked");
    assert_eq!(press(&mut model, KeyCode::Char('t')), None);
    assert_eq!(press(&mut model, KeyCode::Char('y')), None, "too soon to be meant");
    press(&mut model, KeyCode::Esc);
    wait(&mut model, 1);
    assert_eq!(press(&mut model, KeyCode::Char('y')), None, "it was taken back");
    press(&mut model, KeyCode::Char('t'));
    wait(&mut model, 1);
    let (ticket, question) = asked(press(&mut model, KeyCode::Char('y')));
    assert_eq!(question, Question::TakeFrom("zg-02".to_owned()));
    let released = Released { apps: 47, runs: 3, kept: 2 };
    update(&mut model, Msg::Answer { ticket, answer: Ok(Answer::Released(released)) });
    let shown = screen(&model, unicode());
    assert!(
        shown.contains("zg-02 has given up its apps; 47 apps are free for others; 3 runs are lost"),
        "{shown}"
    );
    press(&mut model, KeyCode::Char('d'));
    assert!(screen(&model, unicode()).contains("zg-02 does not live"));
}

#[test]
fn draining_is_asked_and_ended() {
    let mut model = opened((80, 24));
    press(&mut model, KeyCode::Char('d'));
    wait(&mut model, 1);
    let (ticket, question) = asked(press(&mut model, KeyCode::Char('y')));
    assert_eq!(question, Question::Drain("st-01".to_owned(), false), "it drains already");
    update(
        &mut model,
        Msg::Answer { ticket, answer: Err(StoreError::Denied("read-only transaction".to_owned())) },
    );
    assert!(screen(&model, unicode()).contains("nothing was done with st-01: read-only transaction"));
    press(&mut model, KeyCode::Char('j'));
    press(&mut model, KeyCode::Char('t'));
    assert!(screen(&model, unicode()).contains("vie-01 lives: d lets it give away"));
    press(&mut model, KeyCode::Char('d'));
    assert!(screen(&model, unicode()).contains("Let vie-01 start nothing new"));
    model.world.identity.read_only = Some(crate::console::ReadOnly::Flag);
    press(&mut model, KeyCode::Char('d'));
    assert!(screen(&model, unicode()).contains("read-only"));
}

#[test]
fn its_apps_are_seen_in_the_fleet() {
    let mut model = opened((80, 24));
    type_keys(&mut model, "jjj");
    press(&mut model, KeyCode::Enter);
    let shown = screen(&model, unicode());
    assert!(shown.contains("[1 Fleet]") && shown.contains("mgr:zg-01"), "{shown}");
    assert_eq!(model.table.found(), 2);
}
