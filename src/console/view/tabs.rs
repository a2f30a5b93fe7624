//! The line with the names of the screens.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::text::{count, put, rule};
use crate::console::model::Model;
use crate::console::screen::Tab;
use crate::console::theme::Theme;

pub(super) fn draw(model: &Model, theme: Theme, buffer: &mut Buffer, area: Rect) {
    rule(theme, buffer, area, 0);
    let mut at = 1;
    for tab in Tab::ALL {
        let badge = match (tab, model.world.alerts) {
            (Tab::Alerts, Some(open)) if open > 0 => format!(" {}", count(open as u64)),
            _ => String::new(),
        };
        let name = format!("{} {}{badge}", tab.number(), tab.title());
        at = if tab == model.tab() {
            put(buffer, area, 0, at, &format!("[{name}]"), theme.strong())
        } else {
            put(buffer, area, 0, at, &name, theme.faint())
        } + 2;
    }
}
