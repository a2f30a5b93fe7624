//! The help, made of the table of keys.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::text::put;
use crate::console::keymap::{BINDINGS, Place};
use crate::console::theme::Theme;

pub(super) fn draw(top: usize, theme: Theme, buffer: &mut Buffer, area: Rect) {
    let line: String = std::iter::repeat_n(theme.glyphs.rule, usize::from(area.width)).collect();
    put(buffer, area, 0, 0, &line, theme.faint());
    put(buffer, area, 0, 1, "[help]", theme.strong());
    let glyphs = theme.glyphs;
    let signs = [
        format!(
            "{} running   {} idle   {} stopped   {} fatal",
            glyphs.running, glyphs.idle, glyphs.stopped, glyphs.fatal
        ),
        format!(
            "{} waits for room   {} disabled   {} command under way",
            glyphs.waiting, glyphs.disabled, glyphs.pending
        ),
    ];
    let keys = BINDINGS.iter().map(|binding| {
        let place = match binding.place {
            Place::Everywhere => "",
            Place::Fleet => "fleet",
            Place::Log => "log",
        };
        (binding.keys(), place, binding.help.to_owned())
    });
    let lines = keys.chain(signs.into_iter().map(|sign| ("signs".to_owned(), "", sign)));
    for (row, (keys, place, help)) in
        lines.skip(top).take(usize::from(area.height.saturating_sub(1))).enumerate()
    {
        let row = u16::try_from(row).unwrap_or(u16::MAX) + 1;
        put(buffer, area, row, 1, &keys, theme.strong());
        put(buffer, area, row, 13, place, theme.faint());
        put(buffer, area, row, 20, &help, Style::new());
    }
}
