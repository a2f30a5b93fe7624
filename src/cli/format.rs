//! Times, durations and counts for people.

use std::fmt::Display;

use chrono::Local;

pub(super) use crate::model::format_duration as duration;
use crate::model::{AppRow, CmdFlag, FatalFlag, LastResult, Timestamp, format_memory};

/// A time of the local day, with the date when it is another day.
pub(super) fn time(time: Option<Timestamp>, now: Timestamp) -> String {
    let Some(time) = time else { return "-".to_owned() };
    let (time, now) = (time.with_timezone(&Local), now.with_timezone(&Local));
    let form = if time.date_naive() == now.date_naive() { "%H:%M:%S" } else { "%Y-%m-%d %H:%M:%S" };
    time.format(form).to_string()
}

/// `in 5m10s` or `2m00s ago`.
pub(super) fn relative(time: Timestamp, now: Timestamp) -> String {
    if time >= now { format!("in {}", duration(time - now)) } else { format!("{} ago", duration(now - time)) }
}

/// `1 fault`, `2 faults`.
pub(super) fn counted(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

/// A message in a table: its beginning. All of it is in JSON, and in `dcm why`.
pub(super) fn brief(text: &str) -> String {
    const SHOWN_MAX: usize = 100;
    if text.chars().count() <= SHOWN_MAX {
        return text.to_owned();
    }
    text.chars().take(SHOWN_MAX - 1).chain(['…']).collect()
}

/// The flags of an app in one short word.
pub(super) fn flags(row: &AppRow) -> String {
    let mut flags = Vec::new();
    if let Some(fatal) = &row.state.fatal {
        flags.push(match fatal.flag {
            FatalFlag::FailedToStart => "F1",
            FatalFlag::AlertSent => "F2",
            FatalFlag::UnexpectedBehavior => "F3",
        });
    }
    if row.fault.is_some() {
        flags.push("set aside");
    }
    if row.app.disabled {
        flags.push("disabled");
    }
    if row.state.waiting_for.is_some() {
        flags.push("waiting");
    }
    match row.command.as_ref().map(|command| command.flag) {
        Some(CmdFlag::Pending) => flags.push("command"),
        Some(CmdFlag::Executed | CmdFlag::NotExecuted) | None => {}
    }
    flags.join(",")
}

/// How the run before ended, and how long a good one took: `ok 7.0s`, `exit 3`, `SIGABRT`.
pub(super) fn result(row: &AppRow) -> String {
    or_dash(LastResult::of(row))
}

/// What is not known is a dash.
pub(super) fn or_dash(value: Option<impl Display>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

/// `12 of 100`, or what of it is known.
pub(super) fn counts(row: &AppRow) -> String {
    let progress = &row.progress;
    match (progress.task_size, progress.solved) {
        (None, 0) => "-".to_owned(),
        (None, solved) => solved.to_string(),
        (Some(size), solved) => format!("{solved}/{size}"),
    }
}

/// Items given up; unknown for an app that never ran.
pub(super) fn failed(row: &AppRow) -> String {
    let is_known = row.progress.failed > 0 || row.state.last_run.is_some();
    or_dash(is_known.then_some(row.progress.failed))
}

/// The memory of its processes.
pub(super) fn memory(row: &AppRow) -> String {
    or_dash(row.usage.as_ref().and_then(|usage| usage.memory).map(format_memory))
}

/// Their time on the CPU, in percent of one core.
pub(super) fn cpu(row: &AppRow) -> String {
    or_dash(row.usage.as_ref().and_then(|usage| usage.cpu).map(|cpu| format!("{cpu:.1}%")))
}
