//! Draws the model: one file a screen. Only rows that are seen cost anything.

mod confirm;
mod fleet;
mod footer;
mod header;
mod help;
mod log;
mod text;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::model::{Focus, Model};
use super::theme::Theme;

/// Rows of the screen that are not the table: two of the header, the rule, the column heads, the
/// detail, the remark and the keys.
pub(super) const FRAME_ROWS: u16 = 7;

/// Draws everything.
pub(super) fn draw(model: &Model, theme: Theme, buffer: &mut Buffer, area: Rect) {
    if area.height == 0 || area.width == 0 {
        return;
    }
    let (head, rest) = split(area, 2);
    header::draw(model, theme, buffer, head);
    let (body, foot) = split(rest, rest.height.saturating_sub(3));
    match &model.focus {
        Focus::Log(log) => log::draw(log, model, theme, buffer, body),
        Focus::Help { top } => help::draw(*top, theme, buffer, body),
        Focus::Fleet | Focus::Filter { .. } | Focus::Confirm(_) | Focus::Leave { .. } => {
            fleet::draw(model, theme, buffer, body);
        }
    }
    footer::draw(model, theme, buffer, foot);
    match &model.focus {
        Focus::Confirm(confirm) => confirm::draw(confirm, theme, buffer, area),
        Focus::Leave { .. } => confirm::draw_leave(model, theme, buffer, area),
        Focus::Fleet | Focus::Filter { .. } | Focus::Help { .. } | Focus::Log(_) => {}
    }
}

/// The upper part of this height, and the rest.
fn split(area: Rect, height: u16) -> (Rect, Rect) {
    let height = height.min(area.height);
    let upper = Rect { height, ..area };
    let lower = Rect { y: area.y + height, height: area.height - height, ..area };
    (upper, lower)
}

#[cfg(test)]
mod tests;
