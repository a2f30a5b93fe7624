//! Runs, as a line of time for each app, or as a table.

use chrono::{Local, TimeDelta};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::list::{self, Column};
use super::text::{clock, count, fitting, put, put_right, rule, span, took};
use crate::console::past::{Cell, Last, Span, TableRow, Track, at_once};
use crate::console::screen::history::{History, NARROW, PANE, ROOMY, length_width, name_width};
use crate::console::theme::Theme;
use crate::console::world::World;
use crate::model::{AppId, AppPath, Blame, Leftovers, Run, Timestamp};

pub(super) fn draw(history: &History, world: &World, theme: Theme, buffer: &mut Buffer, area: Rect) {
    rule(theme, buffer, area, 0);
    let what = if history.what.is_empty() { "all apps" } else { &history.what };
    let at = put(buffer, area, 0, 1, &format!(" history  {what} "), theme.strong());
    if history.is_table {
        let below = Rect { y: area.y + area.height.min(1), height: area.height.saturating_sub(1), ..area };
        draw_table(history, world, (theme, buffer, below));
        return;
    }
    let span = history.span(world);
    title(
        history,
        &span,
        world,
        theme,
        buffer,
        Rect { x: area.x + at, width: area.width - at.min(area.width), ..area },
    );
    let name = name_width(area.width);
    hours(&span, theme, buffer, area, name + 1);
    if length_width(area.width) > 0 {
        put_right(buffer, area, 1, area.width.saturating_sub(1), "p50 / last", theme.faint());
    }
    let body = usize::from(area.height);
    let now = world.time();
    for (row, (place, path)) in (2..).zip(history.on_screen(body)) {
        let track = Track::new(AppId::of(path), history.runs(), history.skips(), &span, now);
        let text = fitting(path, name - 1);
        put(buffer, Rect { width: name.min(area.width), ..area }, row, 1, &text, theme.strong());
        draw_cells(&track, theme, buffer, area, (row, name + 1));
        if length_width(area.width) > 0 {
            let (text, style) = lengths(&track, world, path, theme);
            put_right(buffer, area, row, area.width.saturating_sub(1), &text, style);
        }
        if place == history.lines.cursor {
            mark(history, &span, theme, buffer, area, (row, name));
        }
    }
    if let (Some(fault), _) = history.state() {
        put(buffer, area, 2, 1, fault, theme.alarm());
    } else if history.lines.rows.is_empty() {
        put(buffer, area, 2, 1, "no app is like that", theme.faint());
    }
    let pane = u16::try_from(if body >= ROOMY { PANE } else { 0 }).unwrap_or(0);
    if !history.hides_at_once && area.height > pane + 3 {
        draw_at_once(history, &span, world, theme, buffer, area, (area.height - pane - 1, name));
    }
    if pane > 0 {
        let below = Rect { y: area.bottom() - pane, height: pane, ..area };
        draw_run(history, world, theme, buffer, below);
    }
}

/// The cells of a track, from a column on.
pub(super) fn draw_cells(
    track: &Track,
    theme: Theme,
    buffer: &mut Buffer,
    area: Rect,
    (row, from): (u16, u16),
) {
    for (cell, found) in (0..).zip(&track.cells) {
        let (sign, style) = sign_of(*found, theme);
        put(buffer, area, row, from + cell, sign.encode_utf8(&mut [0; 4]), style);
    }
}

/// The row under the cursor is reversed but for its cells, of which one is.
fn mark(
    history: &History,
    span: &Span,
    theme: Theme,
    buffer: &mut Buffer,
    area: Rect,
    (row, name): (u16, u16),
) {
    if row >= area.height {
        return;
    }
    let y = area.y + row;
    let line = Rect { x: area.x, y, width: name.min(area.width), height: 1 };
    buffer.set_style(line, theme.cursor());
    let cell = u16::try_from(history.cell(span)).unwrap_or(u16::MAX).saturating_add(name + 1);
    if cell < area.width {
        buffer.set_style(Rect { x: area.x + cell, y, width: 1, height: 1 }, theme.cursor());
    }
}

fn title(history: &History, span: &Span, world: &World, theme: Theme, buffer: &mut Buffer, area: Rect) {
    let local = |time: Timestamp| time.with_timezone(&Local).format("%m-%d %H:%M").to_string();
    let end = if history.window.is_live() { "now".to_owned() } else { local(span.end().min(world.time())) };
    let text = format!(" {}..{end}  1 cell = {} ", local(span.begin), length(span.cell));
    let cut = if history.is_cut() { " more runs than can be read: + zooms in " } else { "" };
    put(buffer, area, 0, 0, &format!("{text}{cut}"), theme.faint());
}

/// The hours, or days, above the cells.
pub(super) fn hours(span: &Span, theme: Theme, buffer: &mut Buffer, area: Rect, from: u16) {
    const APART: u16 = 7;
    let is_wide = span.cell >= TimeDelta::hours(1);
    let form = if is_wide {
        "%m-%d"
    } else if span.cell < TimeDelta::seconds(10) {
        "%M:%S"
    } else {
        "%H:%M"
    };
    let mut free = 0;
    for cell in 0..span.cells {
        let time = span.time(cell).with_timezone(&Local);
        let seconds = span.cell.num_seconds();
        // On whole multiples of something that people count in.
        let step = [60, 300, 600, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400, 604_800]
            .into_iter()
            .find(|step| *step >= seconds.saturating_mul(i64::from(APART)))
            .unwrap_or(2_592_000);
        let local = time.naive_local().and_utc().timestamp();
        let at = u16::try_from(cell).unwrap_or(u16::MAX);
        if local.rem_euclid(step) < seconds
            && at >= free
            && at.saturating_add(5) <= u16::try_from(span.cells).unwrap_or(u16::MAX)
        {
            put(buffer, area, 1, from + at, &time.format(form).to_string(), theme.faint());
            free = at + APART - 1;
        }
    }
}

fn sign_of(cell: Cell, theme: Theme) -> (char, Style) {
    let glyphs = theme.glyphs;
    let full = glyphs.bar.last().copied().unwrap_or('#');
    // Half a cell: it ended here.
    let half = glyphs.bar.get((glyphs.bar.len() - 1) / 2).copied().unwrap_or('=');
    match cell {
        Cell::Nothing => (' ', Style::new()),
        Cell::Waited => (glyphs.waited, theme.pending()),
        Cell::Ran => (full, theme.running()),
        Cell::EndedOk => (half, theme.running()),
        Cell::Now => (glyphs.running, theme.running()),
        Cell::Missed => (glyphs.late, theme.late()),
        // In ASCII the sign is that of a bar.
        Cell::Stopped if glyphs.stopped == full => ('s', theme.stopped()),
        Cell::Stopped => (glyphs.stopped, theme.stopped()),
        Cell::EndedBadly => (glyphs.fatal, theme.alarm()),
    }
}

fn length(length: TimeDelta) -> String {
    span(length.num_seconds())
}

fn lengths(track: &Track, world: &World, path: &AppPath, theme: Theme) -> (String, Style) {
    if let Some(flaps) = track.flaps {
        return (format!("flap {flaps}x"), theme.alarm());
    }
    let p50 = track.p50.map_or_else(|| "-".to_owned(), length);
    match track.last {
        Last::Failed => (format!("{p50}/FAIL"), theme.alarm()),
        Last::Stopped => (format!("{p50}/stop"), theme.stopped()),
        Last::Running => (format!("{p50}/runs"), theme.running()),
        Last::Ok(last) => (format!("{p50}/{}", length(last)), Style::new()),
        Last::Never if world.fleet.get(path).is_some_and(|row| row.disabled) => {
            ("disabled".to_owned(), theme.faint())
        }
        Last::Never => ("-".to_owned(), theme.faint()),
    }
}

fn draw_at_once(
    history: &History,
    span: &Span,
    world: &World,
    theme: Theme,
    buffer: &mut Buffer,
    area: Rect,
    (row, name): (u16, u16),
) {
    let levels = at_once(history.runs().iter().map(|run| (run.start, run.end)), span, world.time());
    let most = levels.iter().copied().max().unwrap_or(0);
    put(buffer, Rect { width: name.min(area.width), ..area }, row, 1, "at once, of these", theme.faint());
    let spark = theme.glyphs.spark;
    for (cell, level) in (0..).zip(&levels) {
        let sign = match (*level, most) {
            (0, _) => continue,
            (level, ..10) => char::from_digit(u32::try_from(level).unwrap_or(9), 10).unwrap_or('9'),
            (level, most) => spark[(level * spark.len()).div_ceil(most).clamp(1, spark.len()) - 1],
        };
        put(buffer, area, row, name + 1 + cell, sign.encode_utf8(&mut [0; 4]), theme.pending());
    }
    if length_width(area.width) > 0 {
        put_right(buffer, area, row, area.width.saturating_sub(1), &format!("max {most}"), theme.faint());
    }
}

fn draw_run(history: &History, world: &World, theme: Theme, buffer: &mut Buffer, area: Rect) {
    rule(theme, buffer, area, 0);
    put(buffer, area, 0, 1, " run under the cursor ", theme.faint());
    let Some(run) = history.current(world) else {
        let glyphs = theme.glyphs;
        let full = glyphs.bar.last().copied().unwrap_or('#');
        let half = glyphs.bar.get((glyphs.bar.len() - 1) / 2).copied().unwrap_or('=');
        let text = format!(
            "{full} ran  {half} ended ok  {} ended badly  {} stopped  {} waited  {} missed  {} now",
            glyphs.fatal, glyphs.stopped, glyphs.waited, glyphs.late, glyphs.running
        );
        put(buffer, area, 1, 1, "none", theme.faint());
        put(buffer, area, 2, 1, &text, theme.faint());
        return;
    };
    let (first, second, style) = describe(run, world, theme);
    put(buffer, area, 1, 1, &first, style);
    put(buffer, area, 2, 1, &second, Style::new());
}

/// A run in two lines.
fn describe(run: &Run, world: &World, theme: Theme) -> (String, String, Style) {
    let clock = |time: Timestamp| time.with_timezone(&Local).format("%H:%M:%S").to_string();
    let name = world.fleet.path_of(run.app).map_or_else(String::new, |path| format!("{} ", path.name));
    let end = run.end.map_or_else(|| "now".to_owned(), clock);
    let length = took(run.end.unwrap_or_else(|| world.time()) - run.start);
    let mut first = vec![format!("{name}{} -> {end}", clock(run.start)), length, outcome(run)];
    if run.progress.solved > 0 || run.progress.task_size.is_some() {
        let size = run.progress.task_size.map(|size| format!("/{}", count(size))).unwrap_or_default();
        first.push(format!("solved {}{size}", count(run.progress.solved)));
    }
    if run.progress.failed > 0 {
        first.push(format!("failed {}", count(run.progress.failed)));
    }
    let mut second = vec![format!("by {}, try {}", run.trigger, run.attempt), format!("mgr {}", run.manager)];
    second.extend(run.pid.map(|pid| format!("pid {pid}")));
    if run.except_cnt > 0 {
        second.push(format!("{} exceptions", count(run.except_cnt)));
    }
    if run.leftovers > 0 {
        second.push(Leftovers::counted(run.leftovers).to_string());
    }
    second.extend(run.message.clone());
    let (first, second) = (first.join("  "), second.join("  "));
    (first, second, style_of(run, theme))
}

pub(super) fn outcome(run: &Run) -> String {
    match (&run.outcome, run.exit_code, run.signal) {
        (None, ..) => "running".to_owned(),
        (Some(outcome), _, Some(signal)) => format!("{outcome}, signal {signal}"),
        (Some(outcome), Some(code), None) => format!("{outcome}, exit {code}"),
        (Some(outcome), None, None) => outcome.to_string(),
    }
}

pub(super) fn style_of(run: &Run, theme: Theme) -> Style {
    match run.blame() {
        None => theme.running(),
        Some(Blame::Good) => theme.good(),
        Some(Blame::Excused) => theme.stopped(),
        Some(Blame::Bad | Blame::Doubtful) => theme.alarm(),
    }
}

fn draw_table(history: &History, world: &World, (theme, buffer, area): (Theme, &mut Buffer, Rect)) {
    let time = world.time();
    let is_narrow = area.width < NARROW;
    let columns: &[Column] = if is_narrow {
        &[("BEGAN", 5), ("TOOK", 6), ("APP", 14), ("HOW IT ENDED", 0)]
    } else {
        &[("BEGAN", 8), ("TOOK", 7), ("APP", 24), ("SOLVED", 8), ("FAIL", 6), ("HOW IT ENDED", 0)]
    };
    let empty = if history.only_bad { "no run ended badly; b shows all" } else { "no runs yet" };
    list::draw(&history.table, columns, empty, (theme, buffer, area), |row| {
        let run = &row.run;
        let app = world.fleet.path_of(run.app).map(|path| fitting(path, columns[2].1));
        let mut cells = vec![
            (began(row, time), theme.faint()),
            (
                took(
                    row.p50.filter(|_| row.count > 1).unwrap_or_else(|| run.end.unwrap_or(time) - run.start),
                ),
                Style::new(),
            ),
            (app.unwrap_or_else(|| run.app.to_string()), Style::new()),
            (ending(row), style_of(run, theme)),
        ];
        if !is_narrow {
            let counted = world.fleet.counted(run);
            cells.insert(3, (count(counted.solved), Style::new()));
            cells.insert(4, (count(counted.failed), Style::new()));
        }
        cells
    });
}

fn began(row: &TableRow, now: Timestamp) -> String {
    let time = row.run.start.with_timezone(&Local);
    let is_today = time.date_naive() == now.with_timezone(&Local).date_naive();
    if is_today { time.format("%H:%M:%S").to_string() } else { clock(row.run.start, now) }
}

fn ending(row: &TableRow) -> String {
    if row.count > 1 {
        return format!(
            "ok {} times since {}",
            row.count,
            row.since.with_timezone(&Local).format("%H:%M:%S")
        );
    }
    let message = row.run.message.as_deref().map(|message| format!("  {message}")).unwrap_or_default();
    format!("{}{message}", outcome(&row.run))
}
