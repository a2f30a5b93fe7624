//! The apps that the filter shows, as CSV and JSON.

use std::io;

use serde::Serialize;

use crate::console::fleet::Row;
use crate::console::model::Model;
use crate::model::Timestamp;

/// An app, with the names that `dcm status --json` uses.
#[derive(Serialize)]
struct Record<'a> {
    app: String,
    status: &'static str,
    trouble: Option<&'static str>,
    disabled: bool,
    fatal: Option<&'a str>,
    percent: Option<u8>,
    solved: u64,
    task_size: Option<u64>,
    failed: u64,
    eta: Option<String>,
    next_run: Option<String>,
    last_run: Option<String>,
    pid: Option<u32>,
    manager: Option<&'a str>,
    message: Option<&'a str>,
}

impl<'a> Record<'a> {
    fn of(row: &'a Row) -> Self {
        let time = |time: Option<Timestamp>| {
            time.map(|time| time.to_rfc3339_opts(chrono::SecondsFormat::Millis, true))
        };
        Self {
            app: row.path.to_string(),
            status: row.condition.word(),
            trouble: row.trouble.map(crate::console::fleet::Trouble::word),
            disabled: row.disabled,
            fatal: row.fatal.as_ref().map(|(_, why, _)| why.as_ref()),
            percent: row.progress(),
            solved: row.solved,
            task_size: row.task_size,
            failed: row.failed,
            eta: time(row.eta),
            next_run: time(row.next_run),
            last_run: time(row.last_run),
            pid: row.pid,
            manager: row.manager.as_deref(),
            message: row.message.as_deref(),
        }
    }
}

fn rows(model: &Model) -> impl Iterator<Item = Record<'_>> {
    let world = &model.world;
    let mut path = String::new();
    world
        .fleet
        .rows()
        .filter(move |row| model.table.filter().shows(row, &world.fleet, world.time(), &mut path))
        .map(Record::of)
}

pub(super) fn json(model: &Model) -> io::Result<String> {
    Ok(serde_json::to_string_pretty(&rows(model).collect::<Vec<_>>())? + "\n")
}

/// With a line of names first; as RFC 4180 has it.
pub(super) fn csv(model: &Model) -> String {
    let mut text = String::from(
        "app,status,trouble,disabled,fatal,percent,solved,task_size,failed,eta,next_run,last_run,pid,manager,\
         message\r\n",
    );
    for record in rows(model) {
        let cells = [
            record.app,
            record.status.to_owned(),
            shown(record.trouble),
            record.disabled.to_string(),
            shown(record.fatal),
            shown(record.percent),
            record.solved.to_string(),
            shown(record.task_size),
            record.failed.to_string(),
            shown(record.eta),
            shown(record.next_run),
            shown(record.last_run),
            shown(record.pid),
            shown(record.manager),
            shown(record.message),
        ];
        text.push_str(&cells.map(|cell| quoted(&cell)).join(","));
        text.push_str("\r\n");
    }
    text
}

fn shown(value: Option<impl ToString>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
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

    #[test]
    fn cells_cannot_break_out() {
        assert_eq!(quoted("page 7, \"x\""), "\"page 7, \"\"x\"\"\"");
        assert_eq!(quoted("=1+1"), "\"'=1+1\"");
        assert_eq!(quoted("plain"), "plain");
    }
}
