//! The line with the names of the screens.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::text::{count, put, rule};
use crate::console::cells::cells;
use crate::console::model::Model;
use crate::console::screen::Tab;
use crate::console::theme::Theme;

pub(super) fn draw(model: &Model, theme: Theme, buffer: &mut Buffer, area: Rect) {
    rule(theme, buffer, area, 0);
    for (tab, at, _) in places(model) {
        let style = if tab == model.tab() { theme.strong() } else { theme.faint() };
        put(buffer, area, 0, at, &name(model, tab), style);
    }
}

/// The screens, where their names begin, and how wide they are.
pub(super) fn places(model: &Model) -> Vec<(Tab, u16, u16)> {
    let mut at = 1;
    let place = |tab| {
        let width = cells(&name(model, tab));
        let begin = at;
        at += width + 2;
        (tab, begin, width)
    };
    Tab::ALL.into_iter().map(place).collect()
}

fn name(model: &Model, tab: Tab) -> String {
    let badge = match (tab, model.world.unattended()) {
        (Tab::Alerts, Some(open)) if open > 0 => format!(" {}", count(open as u64)),
        (Tab::Pipeline, _) => match model.world.documents {
            Some(sums) if sums.dead > 0 => format!(" {}", count(sums.dead)),
            Some(_) | None => String::new(),
        },
        _ => String::new(),
    };
    let name = format!("{} {}{badge}", tab.number(), tab.title());
    if tab == model.tab() { format!("[{name}]") } else { name }
}
