//! The fleet as a table: what needs somebody on top, then group, parent, app.

mod cells;
mod detail;
mod runs;
mod strip;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::panes::Panes;
use super::text::{count, fitting, put, put_right, rule, span, top_of};
use crate::console::cells::cut;
use crate::console::fleet::{Row, Trouble};
use crate::console::keymap::Intent;
use crate::console::model::Model;
use crate::console::screen::Tab;
use crate::console::screen::fleet::{Column, Columns, Line, Spot, Wish};
use crate::console::theme::Theme;
use crate::console::world::Link;
use crate::model::Timestamp;

use cells::Cells;
pub(super) use cells::{sign, trouble_style};

pub(super) fn draw(model: &Model, theme: Theme, buffer: &mut Buffer, area: Rect) {
    let panes = Panes::of(&model.world);
    if model.table.detail.is_zoomed
        && let Some(app) = model.table.app().and_then(|id| model.world.fleet.by_id(id))
    {
        detail::draw(model, app, theme, buffer, area);
        return;
    }
    Table { model, theme, area: panes.table, time: model.world.time() }.draw(buffer, &panes);
    if let Some(place) = panes.strip {
        strip::draw(model, theme, buffer, place);
    }
    if let Some(place) = panes.detail {
        if place.x > panes.table.x {
            for y in place.y..place.bottom() {
                put(
                    buffer,
                    Rect { y, height: 1, ..place },
                    0,
                    0,
                    &theme.glyphs.wall.to_string(),
                    theme.faint(),
                );
            }
        }
        let inner = if place.x > panes.table.x {
            Rect { x: place.x + 1, width: place.width - 1, ..place }
        } else {
            place
        };
        match model.table.looked_at() {
            Some(Spot::App(id)) => {
                if let Some(app) = model.world.fleet.by_id(*id) {
                    detail::draw(model, app, theme, buffer, inner);
                }
            }
            Some(Spot::Group(_) | Spot::Parent(..)) | None => {
                detail::draw_sums(model, theme, buffer, inner);
            }
        }
    }
}

struct Table<'a> {
    model: &'a Model,
    theme: Theme,
    area: Rect,
    time: Timestamp,
}

impl Table<'_> {
    fn draw(&self, buffer: &mut Buffer, panes: &Panes) {
        let Self { model, theme, area, .. } = *self;
        let (name, columns) = model.table.columns.of(area.width);
        let mut row = 0;
        if panes.has_head {
            let title = format!("NAME (by {})", model.table.sort.key.word());
            put(buffer, Rect { width: name, ..area }, 0, 1, &title, theme.faint());
            for (column, at) in &columns {
                cell(buffer, area, 0, (*column, *at), column.title(), theme.faint());
            }
            row += 1;
        }
        for id in model.table.problems().iter().take(usize::from(panes.attention)) {
            if let Some(app) = model.world.fleet.by_id(*id) {
                self.problem(buffer, row, app, (name, &columns));
            }
            row += 1;
        }
        if panes.has_status {
            self.status(buffer, row, panes.attention);
            row += 1;
        }
        let lines = model.table.lines();
        let height = usize::from(area.height.saturating_sub(row));
        let top = top_of(model.table.cursor(), height, lines.len());
        for (offset, line) in lines.iter().skip(top).take(height).enumerate() {
            let place = row + u16::try_from(offset).unwrap_or(u16::MAX);
            self.line(buffer, place, line, (name, &columns));
            let whole = Rect { y: area.y + place, height: 1, ..area };
            if top + offset == model.table.cursor() {
                buffer.set_style(whole, theme.cursor());
                // A bar of another colour would be a hole in the row.
                if let Some((bar, at)) = columns.iter().find(|(column, _)| *column == Column::Bar) {
                    let bar = Rect { x: area.x + at, width: bar.width(), ..whole }.intersection(whole);
                    buffer.set_style(bar, Style::reset().patch(theme.cursor()));
                }
            }
        }
        if lines.is_empty() && height > 0 {
            put(buffer, area, row, 1, self.empty_text(), theme.faint());
        }
    }

    fn empty_text(&self) -> &'static str {
        match (&self.model.world.link, self.model.table.filter().is_active()) {
            (Link::Fresh, _) => "reading the fleet ...",
            (_, true) => "no app is like that; esc shows all",
            (_, false) => "no apps are registered; dcm app add GROUP/PARENT/APP registers one",
        }
    }

    /// The line between what needs somebody and the table: what is shown, and how.
    fn status(&self, buffer: &mut Buffer, row: u16, shown: u16) {
        let Self { model, theme, area, .. } = *self;
        let table = &model.table;
        rule(theme, buffer, area, row);
        let troubled = table.problems().len();
        let mut at = 1;
        if Columns::is_narrow(area.width) {
            at = self.here(buffer, row);
        } else if troubled > 0 {
            let number = count(troubled as u64);
            let next = model.world.keys.key(Tab::Fleet, Intent::Fleet(Wish::NextProblem));
            let text = match shown {
                0 => format!(" attention {number} ({next} next) "),
                _ => format!(" attention {shown} of {number} ({next} next) "),
            };
            at = put(buffer, area, row, at, &text, theme.strong());
        }
        if table.filter().is_active() {
            let text = format!(" /{} ", table.filter().text());
            put(buffer, area, row, at, &text, theme.strong());
        }
        let dot = theme.glyphs.dot;
        let mut words = vec![if table.is_flat { "flat" } else { "tree" }.to_owned()];
        words.push(format!("{} rows", count(table.lines().len() as u64)));
        if table.filter().is_active() {
            words.push(format!("{} apps", count(table.found() as u64)));
        }
        if !table.marks.is_empty() {
            words.push(format!("{} marked", count(table.marks.len() as u64)));
        }
        if table.marks.is_in_range() {
            words.push("range: v ends it".to_owned());
        }
        if let Some(age) = table.order_age(&model.world) {
            words.push(format!("order {}s old", age.as_secs()));
        }
        if table.sort.is_reversed {
            words.push("reversed".to_owned());
        }
        let text = format!(" {} ", words.join(&format!(" {dot} ")));
        put_right(buffer, area, row, area.width.saturating_sub(1), &text, theme.faint());
    }

    /// On a small screen: what the cursor is in, since that may have scrolled away, and how it is.
    fn here(&self, buffer: &mut Buffer, row: u16) -> u16 {
        let Self { model, theme, area, .. } = *self;
        let fleet = &model.world.fleet;
        let (name, sums) = match model.table.spot() {
            Some(Spot::Group(group)) => (group.to_string(), fleet.group(group)),
            Some(Spot::Parent(group, parent)) => (format!("{group}/{parent}"), fleet.parent(group, parent)),
            Some(Spot::App(id)) => match fleet.path_of(*id) {
                Some(path) => {
                    (format!("{}/{}", path.group, path.parent), fleet.parent(&path.group, &path.parent))
                }
                None => return 1,
            },
            None => return 1,
        };
        let at = put(buffer, area, row, 1, &format!(" {name} "), theme.strong());
        let Some(sums) = sums else { return at };
        let running = format!("{}/{} ", sums.running(), sums.apps);
        let at = put(buffer, area, row, at, &running, theme.faint());
        let Some((worst, count)) = sums.worst() else { return at };
        let text = format!("{}{count} ", cells::sign(theme, worst));
        put(buffer, area, row, at, &text, cells::trouble_style(theme, worst))
    }

    fn problem(&self, buffer: &mut Buffer, row: u16, app: &Row, (name, columns): Layout<'_>) {
        let Self { theme, area, .. } = *self;
        let style = app.trouble.map_or_else(Style::new, |trouble| self.trouble(trouble));
        let sign = app.trouble.map_or(' ', |trouble| cells::sign(theme, trouble));
        let name_area = Rect { width: name, ..area };
        let at = put(buffer, name_area, row, 1, &sign.to_string(), style);
        let path = fitting(&app.path, name.saturating_sub(at + 1));
        put(buffer, name_area, row, at + 1, &path, style);
        self.cells(buffer, row, app, columns);
    }

    fn trouble(&self, trouble: Trouble) -> Style {
        cells::trouble_style(self.theme, trouble)
    }

    fn line(&self, buffer: &mut Buffer, row: u16, line: &Line, layout: Layout<'_>) {
        let Self { model, theme, area, .. } = *self;
        let (name, columns) = layout;
        let name_area = Rect { width: name, ..area };
        let fold = if model.table.is_open(line) { theme.glyphs.opened } else { theme.glyphs.closed };
        let fleet = &model.world.fleet;
        match line {
            Line::Group(group) => {
                put(buffer, name_area, row, 1, &format!("{fold} {group}"), theme.strong());
                if let Some(sums) = fleet.group(group) {
                    self.sums(buffer, row, sums, layout);
                }
            }
            Line::Parent(group, parent) => {
                put(buffer, name_area, row, 3, &format!("{fold} {parent}"), Style::new());
                if let Some(sums) = fleet.parent(group, parent) {
                    self.sums(buffer, row, sums, layout);
                }
            }
            Line::App(slot) => {
                let Some(app) = fleet.row(*slot) else { return };
                let style = cells::state_style(theme, app);
                if Columns::is_narrow(area.width) {
                    self.narrow_line(buffer, row, app, layout);
                    return;
                }
                let indent = if model.table.is_flat { 1 } else { 5 };
                if model.table.marks.holds(app.id) {
                    put(buffer, name_area, row, indent, &theme.glyphs.mark.to_string(), theme.strong());
                }
                if model.table.is_flat {
                    put(buffer, name_area, row, 3, &fitting(&app.path, name.saturating_sub(3)), style);
                } else {
                    put(buffer, name_area, row, indent + 2, app.path.name.as_str(), style);
                }
                self.cells(buffer, row, app, columns);
            }
        }
    }

    /// State, flag, name: what A14 has room for.
    fn narrow_line(&self, buffer: &mut Buffer, row: u16, app: &Row, (name, columns): Layout<'_>) {
        let Self { model, theme, area, .. } = *self;
        let name_area = Rect { width: name, ..area };
        let cells = Cells { theme, now: self.time, seen: model.table.seen() };
        let (state, style) = cells.of_app(Column::State, app);
        put(buffer, name_area, row, 1, &state, style);
        let is_marked = model.table.marks.holds(app.id);
        let sign = cells.of_app(Column::Flags, app).0.chars().last().filter(|c| !c.is_ascii_digit());
        let sign = if is_marked { Some(theme.glyphs.mark) } else { sign };
        put(buffer, name_area, row, 2, &sign.map(String::from).unwrap_or_default(), style);
        put(buffer, name_area, row, 3, app.path.name.as_str(), style);
        self.cells(buffer, row, app, columns);
    }

    fn cells(&self, buffer: &mut Buffer, row: u16, app: &Row, columns: &[(Column, u16)]) {
        let cells = Cells { theme: self.theme, now: self.time, seen: self.model.table.seen() };
        for place in columns {
            let (text, style) = cells.of_app(place.0, app);
            cell(buffer, self.area, row, *place, &text, style);
        }
    }

    fn sums(
        &self,
        buffer: &mut Buffer,
        row: u16,
        sums: &crate::console::fleet::Sums,
        (name, columns): Layout<'_>,
    ) {
        let running = format!(" {}/{}", sums.running(), sums.apps);
        put_right(buffer, self.area, row, name, &running, self.theme.faint());
        let cells = Cells { theme: self.theme, now: self.time, seen: self.model.table.seen() };
        for place in columns {
            let (text, style) = cells.of_sums(place.0, sums);
            cell(buffer, self.area, row, *place, &text, style);
        }
    }
}

/// The width of the name, and the columns with their places.
type Layout<'a> = (u16, &'a [(Column, u16)]);

fn cell(buffer: &mut Buffer, area: Rect, row: u16, (column, at): (Column, u16), text: &str, style: Style) {
    if text.is_empty() {
        return;
    }
    let text = cut(text, column.width());
    if column.is_left() {
        put(buffer, Rect { width: area.width.min(at + column.width()), ..area }, row, at, &text, style);
    } else {
        put_right(buffer, area, row, at + column.width(), &text, style);
    }
}

/// How long ago, or in how long.
fn seconds(span_of: chrono::TimeDelta) -> String {
    span(span_of.num_seconds())
}
