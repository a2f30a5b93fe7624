//! What a screen shows as a table, as CSV and JSON: alerts, runs, commands; elsewhere the apps that the
//! filter shows. The names are those of `--json` on the command line.

use std::io;

use serde_json::{Map, Value, json};

use crate::console::fleet::{Row, Trouble};
use crate::console::model::Model;
use crate::console::screen::Screen;
use crate::console::world::World;
use crate::model::{AlertRow, CommandRow, Run, Timestamp};

/// Columns and rows.
struct Sheet {
    head: &'static [&'static str],
    rows: Vec<Vec<Value>>,
}

const APPS: [&str; 15] = [
    "app",
    "status",
    "trouble",
    "disabled",
    "fatal",
    "percent",
    "solved",
    "task_size",
    "failed",
    "eta",
    "next_run",
    "last_run",
    "pid",
    "manager",
    "message",
];

const ALERTS: [&str; 11] = [
    "id",
    "path",
    "kind",
    "message",
    "raised",
    "delivered",
    "cleared",
    "runtime",
    "acknowledged_by",
    "acknowledged",
    "muted_until",
];

const RUNS: [&str; 16] = [
    "runtime",
    "path",
    "start_time",
    "end_time",
    "outcome",
    "exit_code",
    "signal",
    "except_cnt",
    "task_size",
    "solved",
    "failed",
    "trigger",
    "due_time",
    "attempt",
    "manager",
    "message",
];

const COMMANDS: [&str; 11] = [
    "id",
    "path",
    "command",
    "verdict",
    "cmd_by",
    "cmd_source",
    "cmd_time",
    "cmd_exec",
    "reason",
    "batch",
    "note",
];

fn sheet(model: &Model) -> Sheet {
    let world = &model.world;
    match model.stack.top() {
        Screen::Alerts(alerts) => {
            let rows = alerts.causes.rows.iter().flat_map(|cause| &cause.alerts);
            Sheet { head: &ALERTS, rows: rows.map(|row| alert(row, world)).collect() }
        }
        Screen::History(history) => {
            Sheet { head: &RUNS, rows: history.runs().iter().map(|row| run(row, world)).collect() }
        }
        Screen::Commands(commands) => {
            let rows = commands.batches.rows.iter().flat_map(|batch| &batch.commands);
            Sheet { head: &COMMANDS, rows: rows.map(|row| command(row, world)).collect() }
        }
        Screen::Fleet | Screen::Detail(_) | Screen::Logs(_) | Screen::Managers(_) => {
            let mut path = String::new();
            let shown = |row: &&Row| model.table.filter().shows(row, &world.fleet, world.time(), &mut path);
            Sheet { head: &APPS, rows: world.fleet.rows().filter(shown).map(app).collect() }
        }
    }
}

fn time(time: Option<Timestamp>) -> Value {
    json!(time.map(|time| time.to_rfc3339_opts(chrono::SecondsFormat::Millis, true)))
}

fn app(row: &Row) -> Vec<Value> {
    vec![
        json!(row.path.to_string()),
        json!(row.state.word()),
        json!(row.trouble.map(Trouble::word)),
        json!(row.disabled),
        json!(row.fatal.as_ref().map(|(_, why, _)| why.as_ref())),
        json!(row.progress()),
        json!(row.solved),
        json!(row.task_size),
        json!(row.failed),
        time(row.eta),
        time(row.next_run),
        time(row.last_run),
        json!(row.pid),
        json!(row.manager.as_deref()),
        json!(row.message.as_deref()),
    ]
}

fn alert(row: &AlertRow, world: &World) -> Vec<Value> {
    vec![
        json!(row.id.0),
        json!(world.fleet.name_of(&row.app)),
        json!(row.kind.word()),
        json!(row.message),
        time(Some(row.raised)),
        time(row.delivered),
        time(row.cleared),
        json!(row.run.map(|run| run.to_string())),
        json!(row.acknowledged.as_ref().map(|(by, _)| by)),
        time(row.acknowledged.as_ref().map(|(_, at)| *at)),
        time(row.muted_until),
    ]
}

fn run(run: &Run, world: &World) -> Vec<Value> {
    vec![
        json!(run.run.to_string()),
        json!(world.fleet.name_of(&run.app.into())),
        time(Some(run.start)),
        time(run.end),
        json!(run.outcome_word()),
        json!(run.exit_code),
        json!(run.signal),
        json!(run.except_cnt),
        json!(run.progress.task_size),
        json!(run.progress.solved),
        json!(run.progress.failed),
        json!(run.trigger.word()),
        time(run.due),
        json!(run.attempt),
        json!(run.manager),
        json!(run.message),
    ]
}

fn command(row: &CommandRow, world: &World) -> Vec<Value> {
    vec![
        json!(row.id.0),
        json!(world.fleet.name_of(&row.app)),
        json!(row.name.word()),
        json!(row.flag.word()),
        json!(row.by),
        json!(row.source.word()),
        time(Some(row.time)),
        time(row.executed),
        json!(row.reason.as_ref().map(ToString::to_string)),
        json!(row.batch),
        json!(row.note),
    ]
}

pub(super) fn json(model: &Model) -> io::Result<String> {
    let Sheet { head, rows } = sheet(model);
    let object = |row: Vec<Value>| head.iter().map(|name| (*name).to_owned()).zip(row).collect::<Map<_, _>>();
    Ok(serde_json::to_string_pretty(&rows.into_iter().map(object).collect::<Vec<_>>())? + "\n")
}

/// With a line of names first; as RFC 4180 has it.
pub(super) fn csv(model: &Model) -> String {
    let Sheet { head, rows } = sheet(model);
    let mut text = head.join(",") + "\r\n";
    for row in rows {
        let cells: Vec<_> = row.iter().map(|cell| quoted(&shown(cell))).collect();
        text.push_str(&cells.join(","));
        text.push_str("\r\n");
    }
    text
}

fn shown(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    }
}

/// Text of an app is never a formula to the program that opens the table.
fn quoted(cell: &str) -> String {
    let is_formula = cell.starts_with(['=', '+', '-', '@', '\t']);
    let cell = if is_formula { format!("'{cell}") } else { cell.to_owned() };
    if cell.contains([',', '"', '\r', '\n']) || is_formula {
        format!("\"{}\"", cell.replace('"', "\"\""))
    } else {
        cell
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::cmd::Cmd;
    use crate::console::msg::Msg;
    use crate::console::request::{Answer, Request};
    use crate::console::testing::{hash, model, noon, press, small_fleet};
    use crate::console::update::update;
    use crate::model::{CmdFlag, CmdName, CommandId, CommandSource};
    use crossterm::event::KeyCode;

    #[test]
    fn a_file_holds_the_rows_of_the_screen() {
        let mut model = model((80, 24), small_fleet());
        let apps = csv(&model);
        assert!(apps.starts_with("app,status,") && apps.contains("\r\ncroatia/fina/companies,"), "{apps}");
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
        let row = "7,croatia/fina/companies,STOP,NOT_EXECUTED,ana,cli,2026-11-23T12:00:00.000Z,2026-11-23T12:00:00.000Z,not running,,";
        assert_eq!(csv(&model), format!("{}\r\n{row}\r\n", COMMANDS.join(",")));
        let data: Value = serde_json::from_str(&json(&model).unwrap()).unwrap();
        assert_eq!((&data[0]["id"], &data[0]["batch"]), (&json!(7), &Value::Null));
    }

    #[test]
    fn cells_cannot_break_out() {
        assert_eq!(quoted("page 7, \"x\""), "\"page 7, \"\"x\"\"\"");
        assert_eq!(quoted("=1+1"), "\"'=1+1\"");
        assert_eq!(quoted("plain"), "plain");
    }
}
