use super::*;
use crate::console::request::{Answer, Question, Ticket};
use crate::model::LastCommand;

fn command(id: i64, path: &str, name: CmdName, flag: CmdFlag, batch: Option<&str>) -> CommandRow {
    CommandRow {
        id: CommandId(id),
        app: AppId::of(&path.parse().unwrap()).into(),
        name,
        flag,
        by: if id < 3 { "marko" } else { "ana" }.to_owned(),
        source: crate::model::CommandSource::Console.into(),
        time: noon() - TimeDelta::minutes(10 - id),
        executed: (flag != CmdFlag::Pending)
            .then(|| noon() - TimeDelta::minutes(10 - id) + TimeDelta::milliseconds(820)),
        reason: (flag == CmdFlag::NotExecuted).then(|| "not running".into()),
        batch: batch.map(str::to_owned),
        note: batch.map(|_| "proxy ban on fina, ticket 4411".to_owned()),
    }
}

fn some() -> Vec<CommandRow> {
    use CmdFlag::{Executed, NotExecuted, Pending};
    let at = |row: CommandRow| CommandRow { time: noon() - TimeDelta::minutes(5), ..row };
    vec![
        at(command(6, "croatia/fina/documents", CmdName::Stop, Pending, Some("b1"))),
        at(command(5, "croatia/fina/owners", CmdName::Stop, NotExecuted, Some("b1"))),
        at(command(4, "croatia/fina/insolvency", CmdName::Stop, Executed, Some("b1"))),
        command(3, "austria/tax/liens", CmdName::Disable, Executed, None),
        command(2, "croatia/fina/companies", CmdName::Start, NotExecuted, None),
        command(1, "croatia/registry/parcels", CmdName::Restart, Executed, None),
    ]
}

fn asked(cmd: Option<Cmd>) -> (Ticket, Question) {
    let Some(Cmd::Work(mut work)) = cmd else { panic!("{cmd:?}") };
    let Some(Request::Ask(ticket, question)) = work.pop() else { panic!("{work:?}") };
    (ticket, question)
}

fn opened(size: (u16, u16)) -> Model {
    let mut model = model(size, fleet());
    let (ticket, _) = asked(press(&mut model, KeyCode::Char('7')));
    update(&mut model, Msg::Answer { ticket, answer: Ok(Answer::Commands(some())) });
    model
}

#[test]
fn at_every_size_in_all_signs_and_colours() {
    for (name, picture) in pictures("commands", opened) {
        insta::assert_snapshot!(name, picture);
    }
    for (name, size) in [("80x24", (80, 24)), ("40x12", (40, 12))] {
        let mut model = opened(size);
        press(&mut model, KeyCode::Enter);
        insta::assert_snapshot!(format!("commands_items_{name}"), screen(&model, unicode()));
    }
}

#[test]
fn items_are_opened_and_lead_to_their_app() {
    let mut model = opened((80, 24));
    press(&mut model, KeyCode::Enter);
    press(&mut model, KeyCode::Char('j'));
    press(&mut model, KeyCode::Esc);
    assert!(screen(&model, unicode()).contains("[7 Audit]"), "esc leads to the batches first");
    press(&mut model, KeyCode::Enter);
    press(&mut model, KeyCode::Char('j'));
    press(&mut model, KeyCode::Enter);
    assert_eq!(super::under_cursor(&model), "croatia/fina/owners");
}

#[test]
fn what_was_refused_is_sent_again_and_only_what_can_be_undone_is() {
    use crate::console::dialog::Dialog;
    let mut model = opened((80, 24));
    press(&mut model, KeyCode::Char('u'));
    assert!(screen(&model, unicode()).contains("STOP cannot be undone"));
    type_keys(&mut model, "jj");
    press(&mut model, KeyCode::Char('u'));
    assert!(screen(&model, unicode()).contains("START cannot be undone"));
    type_keys(&mut model, "j");
    press(&mut model, KeyCode::Char('r'));
    assert!(screen(&model, unicode()).contains("none of these commands was refused"));
    assert!(!matches!(model.dialog, Some(Dialog::Confirm(_))));
}

#[test]
fn an_undo_leaves_alone_what_others_have_changed_since() {
    use crate::console::dialog::Dialog;
    let mut rows = fleet();
    let latest = |id| LastCommand {
        id: Some(CommandId(id)),
        name: CmdName::Disable,
        flag: CmdFlag::Executed,
        by: Some("marko".to_owned()),
        time: None,
        executed: None,
    };
    rows[0].command = Some(latest(9));
    rows[1].command = Some(latest(2));
    let names: Vec<_> = rows[..2].iter().map(|row| row.app.path.to_string()).collect();
    let mut model = model((80, 24), rows);
    let (ticket, _) = asked(press(&mut model, KeyCode::Char('7')));
    let rows = [(1, &names[0]), (2, &names[1])]
        .map(|(id, app)| command(id, app, CmdName::Enable, CmdFlag::Executed, Some("b1")));
    update(&mut model, Msg::Answer { ticket, answer: Ok(Answer::Commands(rows.into())) });
    press(&mut model, KeyCode::Char('u'));
    let shown = screen(&model, unicode());
    assert!(shown.contains(&format!("1 changed by others since: {}", names[0])), "{shown}");
    let Some(Dialog::Confirm(confirm)) = &model.dialog else { panic!("{shown}") };
    assert_eq!((confirm.name, &confirm.what), (CmdName::Disable, &names[1]));
}

#[test]
fn the_ledger_is_asked_for_what_is_looked_for() {
    let mut model = opened((80, 24));
    type_keys(&mut model, "/");
    let cmd = update(&mut model, Msg::Paste("who:ana cmd:stop since:1d fina".to_owned()));
    let (ticket, Question::Commands(query)) = asked(cmd) else { panic!() };
    assert_eq!((query.by.as_deref(), query.name), (Some("ana"), Some(CmdName::Stop)));
    assert_eq!(query.since, Some(noon() - TimeDelta::days(1)));
    update(&mut model, Msg::Answer { ticket, answer: Ok(Answer::Commands(some())) });
    let shown = screen(&model, unicode());
    assert!(shown.contains("2 rows") && !shown.contains("liens"), "{shown}");
    update(&mut model, Msg::Paste(" at:9".to_owned()));
    assert!(screen(&model, unicode()).contains("at:9 means nothing"));
    press(&mut model, KeyCode::Enter);
    press(&mut model, KeyCode::Esc);
    assert!(screen(&model, unicode()).contains("4 rows"));
}

#[test]
fn more_is_read_at_the_end_of_the_list() {
    let mut model = model((80, 24), fleet());
    let (ticket, Question::Commands(query)) = asked(press(&mut model, KeyCode::Char('7'))) else { panic!() };
    let rows = (0..i64::from(query.limit))
        .rev()
        .map(|id| command(id, "a/b/c", CmdName::Start, CmdFlag::Executed, None));
    update(&mut model, Msg::Answer { ticket, answer: Ok(Answer::Commands(rows.collect())) });
    assert_eq!(press(&mut model, KeyCode::Char('j')), None);
    let (_, Question::Commands(more)) = asked(press(&mut model, KeyCode::Char('G'))) else { panic!() };
    assert!(more.limit > query.limit);
}

#[test]
fn the_commands_of_one_app() {
    let mut model = model((80, 24), fleet());
    type_keys(&mut model, "n");
    let (_, Question::Commands(query)) = asked(press(&mut model, KeyCode::Char('A'))) else { panic!() };
    assert_eq!(query.app, Some(AppId::of(&"croatia/fina/companies".parse().unwrap())));
    assert!(screen(&model, unicode()).contains("of croatia/fina/companies"));
}

#[test]
fn a_retry_is_for_those_that_were_refused_wherever_the_cursor_of_the_fleet_is() {
    use crate::console::dialog::Dialog;
    let mut model = model((80, 24), fleet());
    type_keys(&mut model, "n");
    let (ticket, _) = asked(press(&mut model, KeyCode::Char('7')));
    let rows = vec![
        command(2, "croatia/registry/parcels", CmdName::Stop, CmdFlag::Executed, Some("b1")),
        command(1, "croatia/fina/insolvency", CmdName::Stop, CmdFlag::NotExecuted, Some("b1")),
    ];
    update(&mut model, Msg::Answer { ticket, answer: Ok(Answer::Commands(rows)) });
    press(&mut model, KeyCode::Char('r'));
    let Some(Dialog::Confirm(confirm)) = &model.dialog else { panic!("it is asked") };
    let id = AppId::of(&"croatia/fina/insolvency".parse().unwrap());
    assert_eq!((confirm.name, &confirm.sent[..]), (CmdName::Stop, &[id][..]));
}
