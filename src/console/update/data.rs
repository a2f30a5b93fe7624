//! Rows for other programs: copied, or saved as a file. The console knows of each app only what it shows, so whole rows
//! are read first.

use crate::console::cmd::Cmd;
use crate::console::export::{Format, Purpose, rows};
use crate::console::model::Model;
use crate::console::request::{Answer, Question, Request};
use crate::model::AppId;
use crate::store::StoreError;

/// Saves what is shown.
pub(super) fn export(model: &mut Model, format: Format) -> Option<Cmd> {
    if !format.is_data() {
        return Some(Cmd::Export(format));
    }
    match rows::of_screen(model, format) {
        Some(Ok(content)) => Some(Cmd::Save(format, content)),
        Some(Err(error)) => say_failed(model, Purpose::Save(format), &error.to_string()),
        None => {
            let apps = rows::shown_apps(model);
            Some(want(model, apps, Purpose::Save(format)))
        }
    }
}

/// Reads the rows of these apps.
pub(super) fn want(model: &mut Model, apps: Vec<AppId>, purpose: Purpose) -> Cmd {
    let ticket = model.world.ticket();
    model.wanted_rows = Some((ticket, purpose));
    Cmd::Work(vec![Request::Ask(ticket, Question::Apps(apps))])
}

/// Rows that were asked for have come, or not.
pub(super) fn answered(
    model: &mut Model,
    purpose: Purpose,
    answer: Result<Answer, StoreError>,
) -> Option<Cmd> {
    let apps = match answer {
        Ok(Answer::Apps(apps)) => apps,
        Ok(_) => return None,
        Err(error) => return say_failed(model, purpose, &error.to_string()),
    };
    match (rows::of_apps(&model.world, &apps, purpose), purpose) {
        (Ok(text), Purpose::Copy) => Some(copy(model, text)),
        (Ok(content), Purpose::Save(format)) => Some(Cmd::Save(format, content)),
        (Err(error), _) => say_failed(model, purpose, &error.to_string()),
    }
}

/// Gives a text to the clipboard.
pub(super) fn copy(model: &mut Model, text: String) -> Cmd {
    model.world.say(format!("copied {} characters", text.chars().count()));
    Cmd::Copy(text)
}

fn say_failed(model: &mut Model, purpose: Purpose, why: &str) -> Option<Cmd> {
    let what = match purpose {
        Purpose::Copy => "copied",
        Purpose::Save(_) => "saved",
    };
    model.world.say(format!("nothing is {what}: {why}"));
    None
}

#[cfg(test)]
mod tests {
    use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

    use super::*;
    use crate::console::msg::Msg;
    use crate::console::request::Ticket;
    use crate::console::testing::{go_to, hash, model, noon, press, small_fleet, type_keys};
    use crate::console::update::update;
    use crate::model::explain::State;
    use crate::model::{CmdFlag, CmdName, CommandId, CommandRow, CommandSource};

    /// The apps that are asked for.
    fn asked(cmd: Option<Cmd>) -> (Ticket, Vec<AppId>) {
        match cmd {
            Some(Cmd::Work(work)) => match &work[..] {
                [Request::Ask(ticket, Question::Apps(apps))] => (*ticket, apps.clone()),
                _ => panic!("{work:?}"),
            },
            cmd => panic!("{cmd:?}"),
        }
    }

    fn chosen(model: &mut Model, what: &str) -> Option<Cmd> {
        update(model, Msg::Key(KeyEvent::new(KeyCode::Char('s'), KeyModifiers::CONTROL)));
        type_keys(model, what);
        press(model, KeyCode::Enter)
    }

    #[test]
    fn whole_rows_are_read_before_they_are_copied() {
        let mut model = model((100, 30), small_fleet());
        go_to(&mut model, "liens");
        let (ticket, apps) = asked(type_keys(&mut model, "Y"));
        assert_eq!(apps.len(), 1);
        let rows: Vec<_> = small_fleet().into_iter().filter(|row| row.app.id == apps[0]).collect();
        let expected = serde_json::to_value([crate::wire::App::of(&rows[0], State::Late)]).unwrap();
        let answer = Ok(Answer::Apps(rows));
        let Some(Cmd::Copy(text)) = update(&mut model, Msg::Answer { ticket, answer }) else { panic!() };
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), expected);
        // The same answer again is not for this question.
        assert_eq!(update(&mut model, Msg::Answer { ticket, answer: Ok(Answer::Apps(Vec::new())) }), None);
    }

    #[test]
    fn a_database_that_is_away_is_no_empty_file() {
        let mut model = model((100, 30), small_fleet());
        let (ticket, apps) = asked(chosen(&mut model, "table"));
        assert_eq!(apps.len(), small_fleet().len());
        assert_eq!(
            update(
                &mut model,
                Msg::Answer { ticket, answer: Err(StoreError::Unavailable("it is away".to_owned())) }
            ),
            None
        );
        assert_eq!(
            model.world.remark.as_ref().map(|remark| remark.text.as_str()),
            Some("nothing is saved: the database is not available: it is away")
        );
    }

    #[test]
    fn a_file_holds_the_rows_of_the_screen() {
        let mut model = model((80, 24), small_fleet());
        let Some(Cmd::Work(work)) = press(&mut model, KeyCode::Char('7')) else { panic!() };
        let [Request::Ask(ticket, _)] = work[..] else { panic!("{work:?}") };
        let command = CommandRow {
            id: CommandId(7),
            app: hash("croatia/fina/companies").as_str().into(),
            name: CmdName::Stop,
            flag: CmdFlag::NotExecuted,
            by: "ana".to_owned(),
            source: CommandSource::Cli.into(),
            time: noon(),
            executed: Some(noon()),
            reason: Some("not running".into()),
            batch: None,
            note: None,
        };
        update(&mut model, Msg::Answer { ticket, answer: Ok(Answer::Commands(vec![command])) });
        let Some(Cmd::Save(Format::Csv, table)) = chosen(&mut model, "table") else { panic!() };
        let end = ",croatia/fina/companies,2,STOP,2,NOT_EXECUTED,ana,cli,2026-11-23T12:00:00.000Z,\
            2026-11-23T12:00:00.000Z,not running,not_running,,\r\n";
        assert!(table.starts_with("id,app_id,path,") && table.ends_with(end), "{table}");
        let Some(Cmd::Save(Format::Json, data)) = chosen(&mut model, "data") else { panic!() };
        let data: serde_json::Value = serde_json::from_str(&data).unwrap();
        assert_eq!((&data[0]["id"], &data[0]["batch"]), (&7.into(), &serde_json::Value::Null));
    }
}
