//! Apps, alerts and verdicts in words.

use chrono::{Local, TimeDelta};

use crate::console::fleet::{Row, Trouble};
use crate::console::pipeline::speed;
use crate::console::view::span;
use crate::console::world::World;
use crate::model::explain::State;
use crate::model::reasons::Because;
use crate::model::{AlertRow, AppRef, CmdFlag, CommandRow, PipelineTask, Stage, Timestamp};

/// What an app is doing: `running`, `FAILED, 2 failures in a row`, `stopped by ana`. It changes when the app does.
pub(super) fn state(row: &Row, world: &World) -> String {
    let reasons = world.reasons(row);
    let because = reasons.iter().find(|because| !because.is_ordinary()).map(Because::brief);
    let mut text = match (row.trouble, because) {
        (Some(Trouble::Stalled), _) => "running but STALLED".to_owned(),
        (Some(trouble), Some(because)) => format!("{}, {because}", trouble.word()),
        (Some(trouble), None) => format!("{}, {}", trouble.word(), row.state.word()),
        (None, Some(because)) if !row.is_running() => because,
        (None, _) => row.state.word().to_owned(),
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

/// For how long it has lived: `up for 3d04h`.
fn uptime(lived: TimeDelta) -> String {
    format!("up for {}", span(lived.num_seconds()))
}

/// A stage: `pdf-ocr: 48112 wait, the oldest for 3h12m, 96 are worked on, 12 dead; 1.2/s come, 48/min go`.
pub(super) fn stage(stage: &Stage, is_slowest: bool, now: Timestamp) -> String {
    let count = &stage.count;
    let mut parts = vec![format!("{} wait", count.waiting)];
    if let Some(oldest) = count.oldest {
        parts.push(format!("the oldest for {}", span((now - oldest).num_seconds())));
    }
    parts.push(format!("{} are worked on", count.working));
    parts.push(format!("{} were done in 24 hours", stage.done()));
    for (number, word) in [(count.failed, "failed"), (count.dead, "dead"), (count.retries, "tried again")] {
        if number > 0 {
            parts.push(format!("{number} {word}"));
        }
    }
    let (come, go) = (speed(stage.window.came), speed(stage.window.done));
    let name = stage.name().unwrap_or("without a route");
    let slowest = if is_slowest { "; this is the bottleneck" } else { "" };
    format!("{name}: {}; {come} come, {go} go{slowest}", parts.join(", "))
}

/// A document: `17 dead in pdf-ocr for 2m, tries 3: /data/inbox/a.pdf: ValueError: page 3`.
pub(super) fn document(task: &PipelineTask, now: Timestamp) -> String {
    let status = task.status.map_or_else(|| "unknown".to_owned(), |status| status.word().to_lowercase());
    let place =
        task.stage.as_ref().map_or_else(|| " without a route".to_owned(), |stage| format!(" in {stage}"));
    let changed =
        [task.finished, task.started, task.sent].into_iter().flatten().max().unwrap_or(task.created);
    let since = span((now - changed).num_seconds());
    let error =
        task.error.as_deref().and_then(|error| error.lines().rev().find(|line| !line.trim().is_empty()));
    let error = error.map(|error| format!(": {error}")).unwrap_or_default();
    format!("{} {status}{place} for {since}, tries {}: {}{error}", task.id.0, task.attempts, task.document)
}

/// One line of a list.
pub(super) fn line(row: &Row, world: &World) -> String {
    let mut text = format!("{} {}", row.path, state(row, world));
    let progress = progress(row).filter(|_| row.is_running());
    for said in row.uptime(world.time()).map(uptime).into_iter().chain(progress) {
        text.push_str(", ");
        text.push_str(&said);
    }
    if let Some(next) = row.next_run.filter(|_| !row.is_running() && !row.disabled) {
        text.push_str(", next at ");
        text.push_str(&time(next));
    }
    text
}

/// All that is known, a line each.
pub(super) fn all(row: &Row, world: &World) -> Vec<String> {
    let (now, phrasing) = (world.time(), world.phrasing());
    let mut lines = vec![format!("{}", row.path), format!("state: {}", state(row, world))];
    let reasons = world.reasons(row);
    let extraordinary = reasons.iter().filter(|because| !because.is_ordinary());
    lines.extend(extraordinary.map(|because| format!("why: {}", because.sentence(&phrasing))));
    lines.extend(row.uptime(now).map(|lived| format!("uptime: {}", span(lived.num_seconds()))));
    lines.extend(progress(row).map(|progress| format!("progress: {progress}")));
    let ends = row.eta.filter(|eta| row.is_running() && *eta > now);
    for (name, moment) in [("expected end", ends), ("next run", row.coming(now)), ("last run", row.last_run)]
    {
        lines.extend(moment.map(|moment| format!("{name}: {}", time(moment))));
    }
    lines.extend(row.result.as_ref().map(|result| format!("last result: {result}")));
    lines.extend(row.message.as_ref().map(|message| format!("message: {message}")));
    lines.extend(row.pid.map(|pid| format!("process: {pid}")));
    lines.extend(row.manager.as_ref().map(|name| format!("manager: {name}")));
    lines
}

/// A change, as one says it aloud.
pub(super) fn change(row: &Row, world: &World) -> String {
    let now = world.time();
    let path = &row.path;
    format!("{} {} {} {} is {}", clock(now), path.group, path.parent, path.name, state(row, world))
}

/// An alert: how bad it is, whether it was sent, who looks after it and until when it is muted.
pub(super) fn alert(alert: &AlertRow, app: &str, now: Timestamp) -> String {
    let sent = alert.delivered.map_or_else(|| "not sent yet".to_owned(), |at| format!("sent {}", clock(at)));
    let mut parts = vec![
        format!("{} {app} {}: {}", time(alert.opened), alert.kind, alert.message),
        alert.severity.to_string(),
        sent,
    ];
    parts.extend(alert.acknowledged.as_ref().map(|(by, _)| format!("{by} looks after it")));
    let muted = alert.muted_until.filter(|until| *until > now);
    parts.extend(muted.map(|until| format!("muted until {}", time(until))));
    parts.join(", ")
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
