//! Apps, alerts and verdicts in words.

use chrono::Local;

use crate::console::fleet::Row;
use crate::model::explain::State;
use crate::model::{AlertRow, AppRef, CmdFlag, CommandRow, Timestamp};

/// What an app is doing: `running`, `FAILED, 2 failures in a row`, `stopped by ana`.
pub(super) fn state(row: &Row) -> String {
    let mut text = match (row.state, row.trouble) {
        (State::Unknown, _) => "UNKNOWN, its manager gives no sign of life".to_owned(),
        (State::Stalled, _) => "running but STALLED".to_owned(),
        (State::Late, _) => "LATE, idle".to_owned(),
        (_, Some(trouble)) => {
            let why = match &row.fatal {
                Some((flag, why, _)) => format!("{flag}: {why}"),
                None if row.state == State::Failed => format!("{} in a row", row.failures),
                None => row.state.word().to_owned(),
            };
            format!("{}, {why}", trouble.word())
        }
        (state, None) => match (state, &row.waiting_for, &row.stopped_by) {
            (State::Waiting, Some(limit), _) => format!("waiting for room ({limit})"),
            (State::Stopped, _, Some(by)) => format!("stopped by {by}"),
            (state, ..) => state.word().to_owned(),
        },
    };
    if row.disabled && row.state != State::Disabled {
        text.push_str(", disabled");
    }
    text
}

/// How far it is: `41 percent, 12301 of 30000, 12 failed`.
pub(super) fn progress(row: &Row) -> Option<String> {
    let mut parts = Vec::new();
    if row.is_running()
        && let Some(percent) = row.progress()
    {
        parts.push(format!("{percent} percent"));
    }
    match row.task_size {
        Some(size) if row.solved > 0 => parts.push(format!("{} of {size}", row.solved)),
        None if row.solved > 0 => parts.push(format!("{} solved", row.solved)),
        Some(_) | None => {}
    }
    if row.failed > 0 {
        parts.push(format!("{} failed", row.failed));
    }
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// One line of a list.
pub(super) fn line(row: &Row) -> String {
    let mut text = format!("{} {}", row.path, state(row));
    if row.is_running()
        && let Some(progress) = progress(row)
    {
        text.push_str(", ");
        text.push_str(&progress);
    }
    if let Some(next) = row.next_run.filter(|_| !row.is_running() && !row.disabled) {
        text.push_str(", next at ");
        text.push_str(&time(next));
    }
    text
}

/// All that is known, a line each.
pub(super) fn all(row: &Row, now: Timestamp) -> Vec<String> {
    let mut lines = vec![format!("{}", row.path), format!("state: {}", state(row))];
    lines.extend(progress(row).map(|progress| format!("progress: {progress}")));
    let ends = row.eta.filter(|eta| row.is_running() && *eta > now);
    for (name, moment) in [("expected end", ends), ("next run", row.coming(now)), ("last run", row.last_run)]
    {
        lines.extend(moment.map(|moment| format!("{name}: {}", time(moment))));
    }
    lines.extend(row.message.as_ref().map(|message| format!("message: {message}")));
    lines.extend(row.pid.map(|pid| format!("process: {pid}")));
    lines.extend(row.manager.as_ref().map(|name| format!("manager: {name}")));
    if row.failures > 0 {
        lines.push(format!("failures in a row: {}", row.failures));
    }
    lines
}

/// A change, as one says it aloud.
pub(super) fn change(row: &Row, now: Timestamp) -> String {
    let path = &row.path;
    format!("{} {} {} {} is {}", clock(now), path.group, path.parent, path.name, state(row))
}

pub(super) fn alert(alert: &AlertRow, app: &str) -> String {
    let looked_after =
        alert.acknowledged.as_ref().map(|(by, _)| format!(", {by} looks after it")).unwrap_or_default();
    format!("{} {} {}: {}{looked_after}", time(alert.raised), app, alert.kind, alert.message)
}

/// What became of commands: `START: 2 executed, 1 not executed`, and why.
pub(super) fn verdicts(rows: &[CommandRow], name_of: impl Fn(&AppRef) -> String) -> Vec<String> {
    let Some(first) = rows.first() else { return Vec::new() };
    let count = |flag| rows.iter().filter(|row| row.flag == flag).count();
    let parts = [
        (count(CmdFlag::Executed), "executed"),
        (count(CmdFlag::NotExecuted), "not executed"),
        (count(CmdFlag::Pending), "no verdict yet"),
    ];
    let parts: Vec<_> =
        parts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect();
    let mut lines = vec![format!("{}: {}", first.name, parts.join(", "))];
    for row in rows.iter().filter(|row| row.flag == CmdFlag::NotExecuted) {
        lines.push(format!("{}: {}", name_of(&row.app), row.reason_text()));
    }
    lines
}

fn clock(time: Timestamp) -> String {
    time.with_timezone(&Local).format("%H:%M:%S").to_string()
}

fn time(time: Timestamp) -> String {
    time.with_timezone(&Local).format("%Y-%m-%d %H:%M:%S").to_string()
}
