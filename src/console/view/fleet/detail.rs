//! All that is known of one app, or of a group.

use chrono::Local;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::cells::{self, counts, eta, schedule};
use super::{runs, seconds};
use crate::console::fleet::{Row, Trouble, rate};
use crate::console::model::Model;
use crate::console::screen::fleet::{Part, Spot};
use crate::console::theme::Theme;
use crate::console::view::logs;
use crate::console::view::text::{clock, count, labels, put, rate as rate_text, rule};
use crate::model::explain::State;
use crate::model::reasons::{Because, summary};
use crate::model::{CmdFlag, CommandRow, Timestamp, format_memory};

/// A line: a label, and parts of text.
pub(super) type Fact = (&'static str, Vec<(String, Style)>);

/// Where the text begins behind the label.
const INDENT: u16 = 11;

/// From this height on there is room for a table of runs; below they are a line.
const TABLE_FROM: u16 = 20;

/// Below this width there is no room for the names of the parts.
const NAMES_FROM: u16 = 60;

pub(super) fn draw(model: &Model, app: &Row, theme: Theme, buffer: &mut Buffer, area: Rect) {
    rule(theme, buffer, area, 0);
    put(buffer, area, 0, 1, &format!(" {} ", app.path), theme.strong());
    let detail = &model.table.detail;
    if area.width >= NAMES_FROM {
        parts(detail.part, theme, buffer, area);
    }
    let below = |rows: u16| {
        let rows = rows.min(area.height);
        Rect { y: area.y + rows, height: area.height - rows, ..area }
    };
    match detail.part {
        Part::All => all(model, app, theme, buffer, area),
        Part::Log => logs::draw_lines(&detail.log, &model.world, theme, buffer, below(1)),
        Part::Runs => runs::table(model, theme, buffer, below(1)),
        Part::Audit => runs::commands(model, theme, buffer, below(1)),
    }
}

/// The names of the parts at the right of the title; the one that is shown stands out.
fn parts(shown: Part, theme: Theme, buffer: &mut Buffer, area: Rect) {
    let width: usize = Part::ALL.into_iter().map(|part| part.word().len() + 2).sum();
    let mut at = area.width.saturating_sub(u16::try_from(width).unwrap_or(u16::MAX) + 8);
    for part in Part::ALL {
        let (name, style) = if part == shown {
            (format!("[{}]", part.word()), theme.strong())
        } else {
            (format!(" {} ", part.word()), theme.faint())
        };
        at = put(buffer, area, 0, at, &name, style);
    }
    put(buffer, area, 0, at + 1, " tab ", theme.faint());
}

fn all(model: &Model, app: &Row, theme: Theme, buffer: &mut Buffer, area: Rect) {
    let mut facts = facts(model, app, theme, area.width);
    if area.height < TABLE_FROM {
        facts.extend(runs::line(model, theme, area.width));
    }
    draw_facts(&facts, theme, buffer, area);
    let used = u16::try_from(facts.len()).unwrap_or(u16::MAX).saturating_add(1).min(area.height);
    let mut below = Rect { y: area.y + used, height: area.height - used, ..area };
    if area.height >= TABLE_FROM {
        let seen = u16::try_from(model.table.detail.runs.rows.len()).unwrap_or(u16::MAX).max(1);
        let height = seen.saturating_add(1).min(below.height / 3);
        runs::titled_table(model, theme, buffer, Rect { height, ..below });
        below = Rect { y: below.y + height, height: below.height - height, ..below };
    }
    if below.height > 1 {
        logs::draw_tail(&model.table.detail.log, &model.world, theme, buffer, below);
    }
}

fn draw_facts(facts: &[Fact], theme: Theme, buffer: &mut Buffer, area: Rect) {
    for (at, (label, parts)) in facts.iter().enumerate() {
        let row = u16::try_from(at).unwrap_or(u16::MAX).saturating_add(1);
        put(buffer, area, row, 1, label, theme.faint());
        let mut column = if label.is_empty() { 1 } else { INDENT };
        for (text, style) in parts {
            column = put(buffer, area, row, column, text, *style);
        }
    }
}

/// States that need no person; the others are shown as troubles.
const CALM: [State; 5] = [State::Running, State::Waiting, State::Idle, State::Stopped, State::Disabled];

/// A group or parent: its numbers.
pub(super) fn draw_sums(model: &Model, theme: Theme, buffer: &mut Buffer, area: Rect) {
    rule(theme, buffer, area, 0);
    let fleet = &model.world.fleet;
    let (name, sums) = match model.table.looked_at() {
        Some(Spot::Group(group)) => (group.to_string(), fleet.group(group)),
        Some(Spot::Parent(group, parent)) => (format!("{group}/{parent}"), fleet.parent(group, parent)),
        Some(Spot::App(_)) | None => return,
    };
    put(buffer, area, 0, 1, &format!(" {name} "), theme.strong());
    let Some(sums) = sums else { return };
    let plain = Style::new();
    let states = CALM
        .into_iter()
        .filter(|state| sums.of(*state) > 0)
        .map(|state| {
            let text =
                format!("{} {} {}   ", theme.glyphs.state(state), count(sums.of(state) as u64), state.word());
            (text, theme.state(state))
        })
        .collect();
    let mut troubles: Vec<_> = Trouble::ALL
        .into_iter()
        .filter(|trouble| sums.with(*trouble) > 0)
        .map(|trouble| {
            let text = format!(
                "{} {} {}   ",
                cells::sign(theme, trouble),
                count(sums.with(trouble) as u64),
                trouble.word()
            );
            (text, cells::trouble_style(theme, trouble))
        })
        .collect();
    if troubles.is_empty() {
        troubles.push(("none".to_owned(), theme.faint()));
    }
    let work = match sums.task_size {
        0 => "-".to_owned(),
        size => format!("{} of {}", count(sums.solved), count(size)),
    };
    let used = match sums.memory {
        0 => "-".to_owned(),
        memory => format!("memory {}   cpu {}%", format_memory(memory), cells::cpu_of(sums.cpu_tenths)),
    };
    let facts: Vec<Fact> = vec![
        ("apps", vec![(count(sums.apps as u64), plain)]),
        ("state", states),
        ("problems", troubles),
        ("disabled", vec![(count(sums.disabled as u64), plain)]),
        ("usage", vec![(used, plain)]),
        ("work", vec![(work, plain), (format!("   failed {}", count(sums.failed)), plain)]),
    ];
    draw_facts(&facts, theme, buffer, area);
}

fn facts(model: &Model, app: &Row, theme: Theme, width: u16) -> Vec<Fact> {
    let now = model.world.time();
    let plain = Style::new();
    let mut facts: Vec<Fact> = vec![("state", state(app, theme))];
    let reasons = model.world.reasons(app);
    facts.extend(summary(&reasons, &model.world.phrasing()).map(|why| ("why", vec![(why, plain)])));
    if let Some(text) = reasons.iter().find_map(Because::message).or(app.message.as_deref()) {
        facts.push(("message", vec![(text.to_string(), plain)]));
    }
    facts.push(("command", command(model, app, theme)));
    let next = match app.coming(now) {
        _ if app.disabled || app.awaits_enable => "off".to_owned(),
        Some(next) if next >= now => format!("next {} in {}", long_clock(next), seconds(next - now)),
        Some(next) => format!("was due {} ago", seconds(now - next)),
        None if app.is_always() => "started again whenever it ends".to_owned(),
        None => "no next time".to_owned(),
    };
    let last = app.last_run.map_or_else(|| "-".to_owned(), |last| clock(last, now));
    let (result, style) = cells::result(app, theme);
    let result = if result.is_empty() { "-".to_owned() } else { result };
    let times = format!("{}   {next}   last {last}   result ", schedule(app));
    facts.push(("schedule", vec![(times, plain), (result, style)]));
    // What runs always has no usual length.
    facts.extend(runs::usual(model).filter(|_| !app.is_always()));
    facts.push(("where", vec![(place(model, app, now), plain)]));
    if app.task_size.is_some() || app.done() > 0 {
        let percent = app.progress().map(|percent| format!("{percent}% ")).unwrap_or_default();
        let cells = usize::from(width.saturating_sub(50).clamp(8, 30));
        let bar = app.progress().map(|percent| theme.glyphs.bar(percent, cells)).unwrap_or_default();
        let grew = if app.has_outgrown() { "   the task grew" } else { "" };
        let failed = match app.failed {
            // Beyond the task: 48/48 +2 failed.
            failed @ 1.. if app.task_size.is_some_and(|size| app.done() > size) => {
                format!(" +{} failed", count(failed))
            }
            failed => format!("   failed {}", count(failed)),
        };
        let text = format!("  {}{failed}{grew}", counts(app));
        facts.push(("progress", vec![(percent, plain), (bar, theme.running()), (text, plain)]));
    }
    if app.is_running() {
        let own = rate::rate(app, now).map_or_else(|| "-".to_owned(), rate_text);
        let run = rate::run_rate(app, now).map_or_else(|| "-".to_owned(), rate_text);
        let label = if app.is_always() { "" } else { "ETA " };
        let text = format!("{own}/s (1m)   {run}/s (run)   {label}{}", eta(app, now, theme));
        let spark = rate::bars(app, now).map(|bars| theme.glyphs.spark(bars)).unwrap_or_default();
        facts.push((
            "rate",
            vec![(text, plain), ("   10 min ".to_owned(), theme.faint()), (spark, theme.spark())],
        ));
    }
    facts.extend(usage(app).map(|text| ("usage", vec![(text, plain)])));
    facts.extend(labels(app.labels()).map(|text| ("owner", vec![(text, plain)])));
    if app.protected {
        facts.push((
            "protected",
            vec![("its number is typed before anything is done to it".to_owned(), plain)],
        ));
    }
    facts
}

/// What its processes use, and the limits of that.
fn usage(app: &Row) -> Option<String> {
    let (max_memory, max_cpu) = app.limits;
    let peak = app.usage.as_ref().and_then(|usage| usage.memory_peak);
    let peak = peak.map(|peak| format!("at most {}", format_memory(peak)));
    let limit = max_memory.map(|limit| format!("max {limit} MiB"));
    let around = peak.into_iter().chain(limit).collect::<Vec<_>>().join(", ");
    let around = if around.is_empty() { around } else { format!(" ({around})") };
    let memory = app.memory().map(|memory| format!("memory {}{around}", format_memory(memory)))?;
    let max_cpu = max_cpu.map(|limit| format!(" (max {limit}%)")).unwrap_or_default();
    let cpu = app.cpu().map(|cpu| format!("   cpu {cpu:.1}%{max_cpu}")).unwrap_or_default();
    Some(memory + &cpu)
}

fn state(app: &Row, theme: Theme) -> Vec<(String, Style)> {
    let mut parts = Vec::new();
    if let Some(trouble) = app.trouble {
        let text = format!("{} {}   ", cells::sign(theme, trouble), trouble.word());
        parts.push((text, cells::trouble_style(theme, trouble)));
    }
    let is_said = matches!(
        app.state,
        State::Fatal | State::GivenUp | State::Unknown | State::Stalled | State::Late | State::Failed
    );
    if !is_said {
        let own = format!("{} {}", theme.glyphs.state(app.state), app.state.word());
        parts.push((own, theme.state(app.state)));
    }
    parts
}

fn command(model: &Model, app: &Row, theme: Theme) -> Vec<(String, Style)> {
    let now = model.world.time();
    let Some(command) = app.command.as_deref() else { return vec![("none yet".to_owned(), theme.faint())] };
    let by = command.by.as_deref().unwrap_or("unknown");
    let time = command.time.map(|time| format!(" {}", clock(time, now))).unwrap_or_default();
    let glyphs = theme.glyphs;
    let (sign, style) = match command.flag {
        CmdFlag::Pending => (glyphs.pending, theme.pending()),
        CmdFlag::Executed => (glyphs.executed, theme.good()),
        CmdFlag::NotExecuted => (glyphs.refused, theme.alarm()),
    };
    let detail = &model.table.detail;
    let ledger = detail.commands.rows.iter().find(|row| Some(row.id) == command.id);
    let reason = ledger.map(CommandRow::reason_text).unwrap_or_default();
    let note = ledger.and_then(|row| row.note.as_deref()).map(|note| format!("   ({note})"));
    vec![
        (format!("{} by {by}{time} ", command.name), Style::new()),
        (format!("{sign} {} {reason}", command.flag), style),
        (note.unwrap_or_default(), theme.faint()),
    ]
}

fn place(model: &Model, app: &Row, now: Timestamp) -> String {
    let manager = match app.manager.as_deref() {
        None => "no manager yet".to_owned(),
        Some(name) => {
            let beat = model.world.fleet.manager(name).map(|row| match row.stopped {
                Some(_) => " (ended)".to_owned(),
                None => format!(" (beat {})", seconds(now - row.heartbeat)),
            });
            format!("mgr {name}{}", beat.unwrap_or_default())
        }
    };
    let pid = app.pid.map_or_else(|| "-".to_owned(), |pid| pid.to_string());
    format!("{manager}   pid {pid}")
}

pub(super) fn long_clock(time: Timestamp) -> String {
    time.with_timezone(&Local).format("%H:%M:%S").to_string()
}
