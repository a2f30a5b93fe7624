//! The log of an app.

use chrono::Local;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::text::{count, put, put_right, rule};
use crate::console::screen::logs::Logs;
use crate::console::theme::Theme;
use crate::console::world::World;
use crate::process::Stream;

pub(super) fn draw(log: &Logs, _world: &World, theme: Theme, buffer: &mut Buffer, area: Rect) {
    let Some(app) = log.app() else {
        put(buffer, area, 0, 1, "choose an app on the fleet screen and press l", theme.faint());
        return;
    };
    rule(theme, buffer, area, 0);
    put(buffer, area, 0, 1, &format!(" log {app} "), theme.strong());
    let state = match (log.is_following(), log.unseen) {
        (true, _) => " following ".to_owned(),
        (false, 0) => " held ".to_owned(),
        (false, unseen) => format!(" held, {} new lines below ", count(unseen as u64)),
    };
    put_right(buffer, area, 0, area.width.saturating_sub(1), &state, theme.strong());
    let height = usize::from(area.height.saturating_sub(1));
    for (row, line) in log.window(height).enumerate() {
        let row = u16::try_from(row).unwrap_or(u16::MAX) + 1;
        let time = line.time.map(|time| time.with_timezone(&Local).format("%H:%M:%S%.3f ").to_string());
        let at = put(buffer, area, row, 1, &time.unwrap_or_default(), theme.faint());
        let style = match line.stream {
            Stream::Out => Style::new(),
            Stream::Err => theme.pending(),
            Stream::Dcm => theme.alarm(),
        };
        put(buffer, area, row, at, &line.text, style);
    }
    if let Some(fault) = &log.fault {
        put(buffer, area, 1, 1, fault, theme.alarm());
    } else if log.len() == 0 {
        let text = if log.is_read { "no output yet" } else { "reading ..." };
        put(buffer, area, 1, 1, text, theme.faint());
    }
}
