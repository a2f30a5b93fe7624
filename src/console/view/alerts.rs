//! Alerts.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::list::{self, Column};
use super::text::span;
use crate::console::screen::alerts::Alerts;
use crate::console::theme::Theme;
use crate::console::world::World;

pub(super) fn draw(alerts: &Alerts, world: &World, theme: Theme, buffer: &mut Buffer, area: Rect) {
    let time = world.time();
    let columns: &[Column] = &[("SINCE", 7), ("APP", 30), ("WHAT", 0)];
    list::draw(&alerts.list, columns, "no alerts", (theme, buffer, area), |row| {
        let app = row.app.parse().ok().and_then(|id| world.fleet.path_of(id)).map(ToString::to_string);
        let style = if row.cleared.is_some() { theme.faint() } else { theme.alarm() };
        vec![
            (span((time - row.raised).num_seconds()), theme.faint()),
            (app.unwrap_or_else(|| row.app.clone()), style),
            (format!("{}: {}", row.kind, row.message), Style::new()),
        ]
    });
}
