//! The ledger of commands.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::list::{self, Column};
use super::text::clock;
use crate::console::screen::commands::Commands;
use crate::console::theme::Theme;
use crate::console::world::World;
use crate::model::CmdFlag;

pub(super) fn draw(commands: &Commands, world: &World, theme: Theme, buffer: &mut Buffer, area: Rect) {
    let time = world.time();
    let columns: &[Column] = &[("WHEN", 7), ("WHO", 12), ("COMMAND", 8), ("APP", 34), ("RESULT", 0)];
    list::draw(&commands.list, columns, "no commands yet", (theme, buffer, area), |row| {
        let app = row.app.parse().ok().and_then(|id| world.fleet.path_of(id)).map(ToString::to_string);
        let glyphs = theme.glyphs;
        let (sign, style) = match row.flag {
            CmdFlag::Pending => (glyphs.pending, theme.pending()),
            CmdFlag::Executed => (glyphs.executed, theme.good()),
            CmdFlag::NotExecuted => (glyphs.refused, theme.alarm()),
        };
        vec![
            (clock(row.time, time), theme.faint()),
            (row.by.clone(), Style::new()),
            (row.name.to_string(), theme.strong()),
            (app.unwrap_or_else(|| row.app.clone()), Style::new()),
            (format!("{sign} {}", row.reason.as_deref().unwrap_or_default()), style),
        ]
    });
}
