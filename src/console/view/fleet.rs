//! The fleet as a table: group, parent, app.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::text::{clock, count, put, put_right, span, top_of};
use crate::console::fleet::{Condition, Row, Sums};
use crate::console::model::Model;
use crate::console::screen::tree::Line;
use crate::console::theme::Theme;
use crate::console::world::Link;
use crate::model::{CmdFlag, FatalFlag, Timestamp};

/// Below this width a table has no room for counters.
const NARROW: u16 = 60;

/// The name keeps at least this many cells.
const NAME_MIN: u16 = 20;
const NAME_NARROW: u16 = 16;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Column {
    State,
    Flags,
    Percent,
    Bar,
    Counts,
    Eta,
    Next,
    Failed,
    Last,
    Pid,
}

use Column::{Bar, Counts, Eta, Failed, Flags, Last, Next, Percent, Pid, State};

/// As long as there is room, in this order.
const WIDE: [Column; 10] = [State, Flags, Percent, Bar, Counts, Eta, Next, Failed, Last, Pid];
const SMALL: [Column; 5] = [State, Flags, Percent, Eta, Next];

impl Column {
    const fn title(self) -> &'static str {
        match self {
            State => "ST",
            Flags => "FLG",
            Percent => "%",
            Bar => "PROGRESS",
            Counts => "SOLVED/TASK",
            Eta => "ETA",
            Next => "NEXT",
            Failed => "FAIL",
            Last => "LAST",
            Pid => "PID",
        }
    }

    const fn width(self) -> u16 {
        match self {
            State => 2,
            Flags => 4,
            Percent => 4,
            Bar => 9,
            Counts => 17,
            Eta => 7,
            Next => 6,
            Failed => 7,
            Last => 6,
            Pid => 8,
        }
    }

    const fn is_left(self) -> bool {
        matches!(self, State | Flags | Bar)
    }
}

/// Which columns there are, and where they begin.
struct Layout {
    name: u16,
    columns: Vec<(Column, u16)>,
}

impl Layout {
    fn of(width: u16) -> Self {
        let wanted: &[Column] = if width < NARROW { &SMALL } else { &WIDE };
        let mut taken = 0;
        let mut columns = Vec::new();
        for column in wanted {
            let needs = column.width() + 1;
            if taken + needs + if width < NARROW { NAME_NARROW } else { NAME_MIN } > width {
                break;
            }
            columns.push((*column, taken));
            taken += needs;
        }
        let name = width - taken;
        let columns = columns.into_iter().map(|(column, at)| (column, at + name + 1)).collect();
        Self { name, columns }
    }
}

pub(super) fn draw(model: &Model, theme: Theme, buffer: &mut Buffer, area: Rect) {
    let layout = Layout::of(area.width);
    let filter = model.table.tree.filter();
    let title = if filter.is_active() { format!("NAME  /{}", filter.text()) } else { "NAME".to_owned() };
    put(buffer, Rect { width: layout.name, ..area }, 0, 1, &title, theme.faint());
    for (column, at) in &layout.columns {
        cell(buffer, area, 0, (*column, *at), column.title(), theme.faint());
    }
    let lines = model.table.tree.lines();
    let height = usize::from(area.height.saturating_sub(1));
    let top = top_of(model.table.tree.cursor(), height, lines.len());
    let is_old = matches!(model.world.link, Link::Lost { .. });
    for (offset, line) in lines.iter().skip(top).take(height).enumerate() {
        let row = u16::try_from(offset).unwrap_or(u16::MAX) + 1;
        draw_line(model, theme, buffer, area, (row, line), &layout);
        let style = match (top + offset == model.table.tree.cursor(), is_old) {
            (true, _) => theme.cursor(),
            (false, true) => theme.faint(),
            (false, false) => continue,
        };
        buffer.set_style(Rect { y: area.y + row, height: 1, ..area }, style);
    }
    if lines.is_empty() && height > 0 {
        put(buffer, area, 1, 1, empty_text(model), theme.faint());
    }
}

fn empty_text(model: &Model) -> &'static str {
    match (&model.world.link, model.table.tree.filter().is_active()) {
        (Link::Fresh, _) => "reading the fleet ...",
        (_, true) => "no app is like that; esc shows all",
        (_, false) => "no apps are registered; dcm app add GROUP/PARENT/APP registers one",
    }
}

fn cell(buffer: &mut Buffer, area: Rect, row: u16, (column, at): (Column, u16), text: &str, style: Style) {
    let text: String = text.chars().take(usize::from(column.width())).collect();
    if column.is_left() {
        put(buffer, area, row, at, &text, style);
    } else {
        put_right(buffer, area, row, at + column.width(), &text, style);
    }
}

fn draw_line(
    model: &Model,
    theme: Theme,
    buffer: &mut Buffer,
    area: Rect,
    (row, line): (u16, &Line),
    layout: &Layout,
) {
    let name_area = Rect { width: layout.name, ..area };
    let fold = if model.table.tree.is_opened(line) { theme.glyphs.opened } else { theme.glyphs.closed };
    match line {
        Line::Group(group) => {
            put(buffer, name_area, row, 1, &format!("{fold} {group}"), theme.strong());
            if let Some(sums) = model.world.fleet.group(group) {
                draw_sums(model, theme, buffer, area, row, sums, layout);
            }
        }
        Line::Parent(group, parent) => {
            put(buffer, name_area, row, 3, &format!("{fold} {parent}"), Style::new());
            if let Some(sums) = model.world.fleet.parent(group, parent) {
                draw_sums(model, theme, buffer, area, row, sums, layout);
            }
        }
        Line::App(path) => {
            if let Some(app) = model.world.fleet.get(path) {
                put(buffer, name_area, row, 7, path.name.as_str(), theme.condition(app.condition));
                draw_app(model.world.time(), theme, buffer, area, row, app, layout);
            }
        }
    }
}

fn draw_sums(
    model: &Model,
    theme: Theme,
    buffer: &mut Buffer,
    area: Rect,
    row: u16,
    sums: &Sums,
    layout: &Layout,
) {
    let running = format!("{}/{}", sums.running, sums.apps);
    put_right(buffer, area, row, layout.name, &running, theme.faint());
    let now = model.world.time();
    for place in &layout.columns {
        let (text, style) = match place.0 {
            Column::Flags if sums.fatal > 0 => {
                (format!("{}{}", theme.glyphs.fatal, sums.fatal), theme.alarm())
            }
            Column::Percent => (percent(sums.percent()), Style::new()),
            Column::Bar => (bar(theme, sums.percent()), theme.condition(Condition::Running)),
            Column::Counts if sums.task_size > 0 => {
                (format!("{}/{}", count(sums.solved), count(sums.task_size)), Style::new())
            }
            Column::Eta => (eta(sums.eta, now), Style::new()),
            Column::Next => (sums.next_run.map(|time| clock(time, now)).unwrap_or_default(), Style::new()),
            Column::Failed if sums.failed > 0 => (count(sums.failed), Style::new()),
            Column::Last => (sums.last_run.map(|time| clock(time, now)).unwrap_or_default(), Style::new()),
            Column::State | Column::Flags | Column::Counts | Column::Failed | Column::Pid => continue,
        };
        cell(buffer, area, row, *place, &text, style);
    }
}

fn draw_app(
    now: Timestamp,
    theme: Theme,
    buffer: &mut Buffer,
    area: Rect,
    row: u16,
    app: &Row,
    layout: &Layout,
) {
    let style = theme.condition(app.condition);
    let is_running = app.condition == Condition::Running;
    for place in &layout.columns {
        let (text, style) = match place.0 {
            Column::State => (theme.glyphs.condition(app.condition).to_string(), style),
            Column::Flags => (flags(theme, app), flags_style(theme, app)),
            Column::Percent => (percent(app.percent.filter(|_| app.last_run.is_some())), Style::new()),
            Column::Bar => (bar(theme, app.percent), style),
            Column::Counts => (counts(app), Style::new()),
            Column::Eta => (if is_running { eta(app.eta, now) } else { String::new() }, Style::new()),
            Column::Next => (next(app, now), Style::new()),
            Column::Failed => (count(app.failed), Style::new()),
            Column::Last => (app.last_run.map(|time| clock(time, now)).unwrap_or_default(), Style::new()),
            Column::Pid => (app.pid.map(|pid| pid.to_string()).unwrap_or_default(), theme.faint()),
        };
        cell(buffer, area, row, *place, &text, style);
    }
}

fn flags(theme: Theme, app: &Row) -> String {
    let mut text = String::new();
    match &app.fatal {
        Some((FatalFlag::FailedToStart, _)) => text.push_str("F1"),
        Some((FatalFlag::AlertSent, _)) => text.push_str("F2"),
        Some((FatalFlag::UnexpectedBehavior, _)) => text.push_str("F3"),
        None => {}
    }
    if app.disabled {
        text.push(theme.glyphs.disabled);
    }
    match app.command {
        Some((_, CmdFlag::Pending)) => text.push(theme.glyphs.pending),
        Some((_, CmdFlag::NotExecuted)) => text.push(theme.glyphs.refused),
        Some((_, CmdFlag::Executed)) | None => {}
    }
    text
}

fn flags_style(theme: Theme, app: &Row) -> Style {
    match (&app.fatal, app.command) {
        (Some(_), _) => theme.alarm(),
        (None, Some((_, CmdFlag::Pending))) => theme.pending(),
        (None, _) => theme.faint(),
    }
}

fn counts(app: &Row) -> String {
    match (app.task_size, app.solved) {
        (Some(size), solved) => format!("{}/{}", count(solved), count(size)),
        (None, 0) => String::new(),
        (None, solved) => count(solved),
    }
}

fn percent(percent: Option<u8>) -> String {
    percent.map(|percent| percent.to_string()).unwrap_or_default()
}

fn bar(theme: Theme, percent: Option<u8>) -> String {
    percent.map(|percent| theme.glyphs.bar(percent, usize::from(Bar.width()) - 1)).unwrap_or_default()
}

fn eta(eta: Option<Timestamp>, now: Timestamp) -> String {
    eta.map_or_else(|| "-".to_owned(), |eta| span((eta - now).num_seconds()))
}

fn next(app: &Row, now: Timestamp) -> String {
    match app.next_run {
        _ if app.disabled => "off".to_owned(),
        Some(time) if time < now && app.condition != Condition::Running => {
            format!("-{}", span((now - time).num_seconds()))
        }
        Some(time) => clock(time, now),
        None => String::new(),
    }
}
