//! All about one app.

use chrono::{Local, TimeDelta};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::history::{outcome, style_of};
use super::logs;
use super::text::{count, labels, put, put_right, rule, span, took};
use crate::console::screen::detail::Detail;
use crate::console::theme::Theme;
use crate::console::world::World;
use crate::manager::coming::{coming_of, zone_of_sql};
use crate::model::explain::State;
use crate::model::reasons::{Because, summary};
use crate::model::{AppRow, CmdFlag, CommandRow, Planned, Run, RunStatus, Timestamp};

/// Rows of runs at most, by the height of the body.
const RUNS_MAX: u16 = 8;

/// Cells of the words at the left.
const LABEL: u16 = 10;

pub(super) fn draw(detail: &Detail, world: &World, theme: Theme, buffer: &mut Buffer, area: Rect) {
    rule(theme, buffer, area, 0);
    let path = &detail.path;
    let title = format!(" {} / {} / {} ", path.group, path.parent, path.name);
    put(buffer, area, 0, 1, &title, theme.strong());
    let Some(app) = detail.app().0 else {
        let text = match detail {
            detail if !detail.app().1 => "reading ...",
            _ => "it is not registered any more, or its row is faulty",
        };
        put(buffer, area, 1, 1, detail.fault().unwrap_or(text), theme.faint());
        return;
    };
    let mut row = 1;
    for (label, text, style) in facts(detail, app, world, theme) {
        put(buffer, area, row, 1, label, theme.faint());
        put(buffer, area, row, LABEL + 1, &text, style);
        row += 1;
    }
    let known = known(app, world);
    if let Some(advice) = world.reasons_of(app, known).iter().find_map(advice) {
        put(buffer, area, row, 1, "NEXT", theme.faint());
        put(buffer, area, row, LABEL + 1, advice, theme.strong());
        row += 1;
    }
    if let Some(fault) = detail.fault() {
        put(buffer, area, row, 1, fault, theme.alarm());
        row += 1;
    }
    let left = area.height.saturating_sub(row);
    let seen = u16::try_from(detail.runs.rows.len()).unwrap_or(RUNS_MAX).max(1);
    let runs = (left / 2).min(RUNS_MAX).min(seen + 1);
    let below = Rect { y: area.y + row.min(area.height), height: left, ..area };
    draw_runs(detail, world, theme, buffer, Rect { height: runs, ..below });
    let log = Rect { y: below.y + runs, height: left - runs, ..area };
    logs::draw_tail(&detail.logs, world, theme, buffer, log);
}

/// What it is doing at this moment.
fn known(app: &AppRow, world: &World) -> State {
    world.fleet.by_id(app.app.id).map_or_else(|| State::of_row(app), |row| row.state)
}

/// The lines at the top.
fn facts(detail: &Detail, app: &AppRow, world: &World, theme: Theme) -> Vec<(&'static str, String, Style)> {
    let now = world.time();
    let known = known(app, world);
    let (state, style) = state(app, known, now, theme);
    let mut facts = vec![("STATE", state, style)];
    let reasons = world.reasons_of(app, known);
    facts.extend(summary(&reasons, &world.phrasing()).map(|why| ("WHY", why, Style::new())));
    let message = reasons.iter().find_map(Because::message).or(app.progress.message.as_deref());
    if let Some(message) = message.map(ToOwned::to_owned) {
        facts.push(("MESSAGE", message, Style::new()));
    }
    if let Some(command) = detail.command() {
        let style = if command.flag == CmdFlag::NotExecuted { theme.alarm() } else { Style::new() };
        facts.push(("COMMAND", describe(command, now), style));
    }
    facts.push(("SCHEDULE", schedule(app, world.identity.capabilities.has_session_zone, now), Style::new()));
    facts.push(("WHERE", place(app, now), Style::new()));
    facts.push(("PROGRESS", progress(app, now, theme), Style::new()));
    facts.extend(labels(app.app.labels()).map(|text| ("OWNER", text, Style::new())));
    facts
}

fn state(app: &AppRow, known: State, now: Timestamp, theme: Theme) -> (String, Style) {
    let since = match app.state.last_run.filter(|_| known.is_running()) {
        Some(time) => format!(" since {} ({})", clock(time), span((now - time).num_seconds())),
        None => String::new(),
    };
    let word = known.word().to_uppercase().replace('_', " ");
    let style = if app.state.fatal.is_some() { theme.alarm() } else { theme.state(known) };
    (format!("{} {word}{since}", theme.glyphs.state(known)), style)
}

fn clock(time: Timestamp) -> String {
    time.with_timezone(&Local).format("%H:%M:%S").to_string()
}

fn describe(command: &CommandRow, now: Timestamp) -> String {
    let verdict = match (command.flag, command.executed) {
        (CmdFlag::Pending, _) => format!("PENDING {}", span((now - command.time).num_seconds())),
        (flag, Some(at)) => format!("{flag} {}", clock(at)),
        (flag, None) => flag.to_string(),
    };
    let reason = command.reason.as_ref().map(|reason| format!(" \"{reason}\"")).unwrap_or_default();
    format!(
        "{} by {} {} -> {verdict}{reason}  #{}",
        command.name,
        command.by,
        clock(command.time),
        command.id.0
    )
}

fn schedule(app: &AppRow, has_session_zone: bool, now: Timestamp) -> String {
    let schedule = &app.app.schedule;
    let mut words = Vec::new();
    if let Some(cron) = &schedule.cron {
        words.push(format!("{cron} ({})", schedule.time_zone));
    }
    words.extend(schedule.interval.map(|interval| format!("every {interval} min")));
    words.extend(schedule.retry_interval.map(|interval| format!("after a failure {interval} min")));
    if schedule.always {
        words = vec!["always: started again whenever it ends".to_owned()];
    } else if words.is_empty() {
        words.push("on command only".to_owned());
    }
    words.extend(coming_of(app, now).filter(|_| !app.is_suspended()).map(|next| {
        match (next - now).num_seconds() {
            seconds @ 0.. => format!("next {} in {}", clock(next), span(seconds)),
            seconds => format!("was due {} ago", span(-seconds)),
        }
    }));
    if app.asked_next_run.is_some() || app.planned == Some(Planned::Asked) {
        words.push(format!("asked for; without a zone it is read in {}", zone_of_sql(app, has_session_zone)));
    }
    words.join("  ")
}

fn place(app: &AppRow, now: Timestamp) -> String {
    let mut words = vec![match &app.state.manager {
        Some(manager) => format!("mgr {manager}"),
        None => "no manager yet".to_owned(),
    }];
    words.extend(app.state.pid.map(|pid| format!("pid {pid}")));
    words.extend(app.state.last_run.map(|last| format!("last run {} ago", span((now - last).num_seconds()))));
    if let Some(most) = app.app.policy.max_runtime {
        words.push(format!("at most {}", span(i64::try_from(most.as_secs()).unwrap_or(i64::MAX))));
    }
    words.join("  ")
}

fn progress(app: &AppRow, now: Timestamp, theme: Theme) -> String {
    let progress = &app.progress;
    let (always, is_running) = (app.app.schedule.always, app.state.status == RunStatus::Running);
    let mut words = Vec::new();
    if let Some(percent) = progress.percent.filter(|_| !always) {
        words.push(format!("{percent}% {}", theme.glyphs.bar(percent, 16)));
    }
    let uptime = app.state.last_run.filter(|_| always && is_running).map(|began| now - began);
    words.extend(uptime.map(|uptime| format!("up {}", span(uptime.num_seconds()))));
    words.push(match progress.task_size.filter(|_| !always) {
        Some(size) => format!("{} of {}", count(progress.solved), count(size)),
        None => format!("{} solved", count(progress.solved)),
    });
    let done = progress.solved.saturating_add(progress.failed);
    let exceeds = |count: u64| !always && progress.task_size.is_some_and(|size| size > 0 && count > size);
    if progress.failed > 0 {
        let plus = if exceeds(done) { "+" } else { "" };
        words.push(format!("{plus}{} failed", count(progress.failed)));
    }
    if exceeds(progress.solved) {
        words.push("the task grew".to_owned());
    }
    if is_running {
        words.extend(app.state.last_run.and_then(|begin| rate(done, now - begin)));
        words.extend(
            progress.eta.filter(|_| !always).map(|eta| format!("ETA {}", span((eta - now).num_seconds()))),
        );
    }
    words.join("  ")
}

/// Over the whole run.
fn rate(done: u64, length: TimeDelta) -> Option<String> {
    let tenths =
        u128::from(done) * 10_000 / u128::try_from(length.num_milliseconds()).ok().filter(|ms| *ms > 0)?;
    Some(format!("{}.{}/s", tenths / 10, tenths % 10))
}

/// What a person can do about it, with the keys of this screen.
fn advice(because: &Because<'_>) -> Option<&'static str> {
    Some(match because {
        Because::SetAside(_) => "dcm app set sets its definition right",
        Because::CannotStart(_) | Because::GivenUp(_) => {
            "mend the cause (l: its log), then E: it may run again"
        }
        Because::Unknown(_) | Because::ManagerLost(_) | Because::NoManager(_) => {
            "6 shows the managers, and what can be done"
        }
        Because::Stalled(_) => "see what it waits for (l: its log); r starts it again",
        Because::Late(_) => "s starts it now; 6 shows whether its manager is well",
        Because::KeepsFailing(_) | Because::Failed(_) => "mend the cause (l: its log); it goes on by itself",
        Because::Suspect(_) => "l: its log; if that is how it is now, E takes it for usual",
        Because::OverLimit(_) => "r starts it again; dcm app set gives it another limit",
        Because::Flapping(_) => "l: its log; D keeps it off until it is mended",
        Because::StoppedBy(_) => "s starts it; E lets its schedule go on",
        Because::Crashed | Because::Ended => "it is started again after a pause",
        Because::Disabled => "E lets it run",
        Because::WaitsForRoom(_)
        | Because::Running { .. }
        | Because::DueAt(_)
        | Because::StartsAgain { .. }
        | Because::Always
        | Because::Unplanned
        | Because::OnCommand => return None,
    })
}

fn draw_runs(detail: &Detail, world: &World, theme: Theme, buffer: &mut Buffer, area: Rect) {
    rule(theme, buffer, area, 0);
    put(buffer, area, 0, 1, " last runs ", theme.faint());
    put_right(buffer, area, 0, area.width.saturating_sub(1), " enter log of it ", theme.faint());
    let height = usize::from(area.height.saturating_sub(1));
    let top = super::top_of(detail.runs.cursor, height, detail.runs.rows.len());
    for (offset, run) in detail.runs.rows.iter().enumerate().skip(top).take(height) {
        let row = u16::try_from(offset - top).unwrap_or(u16::MAX) + 1;
        put(buffer, area, row, 1, &line(run, world), style_of(run, theme));
        if offset == detail.runs.cursor {
            buffer.set_style(Rect { y: area.y + row, height: 1, ..area }, theme.cursor());
        }
    }
    if detail.runs.rows.is_empty() && height > 0 {
        let text = if detail.runs.is_read { "it has not run yet" } else { "reading ..." };
        put(buffer, area, 1, 1, text, theme.faint());
    }
}

fn line(run: &Run, world: &World) -> String {
    let is_today = (world.time() - run.start) < TimeDelta::hours(20);
    let form = if is_today { "%H:%M:%S" } else { "%m-%d %H:%M" };
    let begun = run.start.with_timezone(&Local).format(form);
    let length = took(run.end.unwrap_or_else(|| world.time()) - run.start);
    let message = run.message.as_deref().unwrap_or_default();
    let counted = world.fleet.counted(run);
    let solved = count(counted.solved);
    let failed =
        if counted.failed > 0 { format!(" failed {}", count(counted.failed)) } else { String::new() };
    format!("{begun:<11} {length:>7}  {:<22} {solved:>9} solved{failed}  {message}", outcome(run))
}
