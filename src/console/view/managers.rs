//! Managers.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::list::{self, Column};
use super::text::span;
use crate::console::screen::managers::Managers;
use crate::console::theme::Theme;
use crate::console::world::World;

pub(super) fn draw(managers: &Managers, world: &World, theme: Theme, buffer: &mut Buffer, area: Rect) {
    let time = world.time();
    let columns: &[Column] = &[("MANAGER", 16), ("BEAT", 7), ("HOST", 16), ("PID", 8), ("VERSION", 0)];
    list::draw(
        &managers.list,
        columns,
        "no manager has served this database yet",
        (theme, buffer, area),
        |row| {
            let beat = if row.stopped.is_some() {
                "ended".to_owned()
            } else {
                span((time - row.heartbeat).num_seconds())
            };
            vec![
                (row.name.clone(), theme.strong()),
                (beat, Style::new()),
                (row.host.clone(), Style::new()),
                (row.pid.to_string(), theme.faint()),
                (row.version.clone(), theme.faint()),
            ]
        },
    );
}
