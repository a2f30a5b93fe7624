//! Runs.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::list::{self, Column};
use super::text::{clock, put, rule, span};
use crate::console::screen::history::History;
use crate::console::theme::Theme;
use crate::console::world::World;

pub(super) fn draw(history: &History, world: &World, theme: Theme, buffer: &mut Buffer, area: Rect) {
    let time = world.time();
    rule(theme, buffer, area, 0);
    put(
        buffer,
        area,
        0,
        1,
        &format!(" runs of {} ", if history.what.is_empty() { "all apps" } else { &history.what }),
        theme.strong(),
    );
    let area = Rect { y: area.y + 1.min(area.height), height: area.height.saturating_sub(1), ..area };
    let columns: &[Column] = &[("BEGAN", 7), ("TOOK", 7), ("APP", 34), ("HOW IT ENDED", 0)];
    list::draw(&history.list, columns, "no runs yet", (theme, buffer, area), |run| {
        let app = world.fleet.path_of(run.app).map(ToString::to_string);
        let ending = run.outcome.as_deref().unwrap_or("running");
        let ending = format!("{ending} {}", run.message.as_deref().unwrap_or_default());
        vec![
            (clock(run.start, time), theme.faint()),
            (span((run.end.unwrap_or(time) - run.start).num_seconds()), Style::new()),
            (app.unwrap_or_else(|| run.app.to_string()), Style::new()),
            (ending, Style::new()),
        ]
    });
}
