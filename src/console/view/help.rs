//! The help, made of the table of keys: sections side by side as there is room.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::text::{put, rule};
use crate::console::dialog::help::Help;
use crate::console::theme::Theme;

/// A column of the help.
const COLUMN: u16 = 38;

/// Where the words begin in it.
const WORDS: u16 = 11;

enum Line {
    Title(&'static str),
    Key(String, &'static str),
    Empty,
}

pub(super) fn draw(help: &Help, theme: Theme, buffer: &mut Buffer, area: Rect) {
    rule(theme, buffer, area, 0);
    let at = put(buffer, area, 0, 1, &format!(" help: {} ", help.tab.title()), theme.strong());
    let sought = help.sought.text();
    if help.is_typing || !sought.is_empty() {
        put(buffer, area, 0, at, &format!(" /{sought} "), theme.strong());
    }
    let lines: Vec<_> = help
        .sections()
        .into_iter()
        .flat_map(|(section, keys)| {
            [Line::Title(section.title())]
                .into_iter()
                .chain(keys.into_iter().map(|(keys, help)| Line::Key(keys, help)))
                .chain([Line::Empty])
        })
        .collect();
    let columns = usize::from((area.width / COLUMN).max(1));
    let height = usize::from(area.height.saturating_sub(1));
    let signs = signs(theme);
    // Columns as long as it takes to show all lines; what does not fit is scrolled to.
    let length = lines.len().div_ceil(columns).max(height.saturating_sub(signs.len()).min(lines.len()));
    let top = help.top.min(length.saturating_sub(height.min(length)));
    for (at, line) in lines.iter().enumerate() {
        let (column, row) = (at / length.max(1), at % length.max(1));
        if row < top || row - top >= height {
            continue;
        }
        let row = u16::try_from(row - top).unwrap_or(u16::MAX) + 1;
        let left = u16::try_from(column).unwrap_or(0) * COLUMN + 1;
        let cell = Rect { width: area.width.min(left + COLUMN - 2), ..area };
        match line {
            Line::Title(title) => drop(put(buffer, cell, row, left, title, theme.faint())),
            Line::Key(keys, help) => {
                let end = put(buffer, cell, row, left, keys, theme.strong());
                put(buffer, cell, row, (left + WORDS).max(end + 1), help, Style::new());
            }
            Line::Empty => {}
        }
    }
    for (at, sign) in signs.iter().enumerate() {
        let row = length.saturating_sub(top) + at + 1;
        put(buffer, area, u16::try_from(row).unwrap_or(u16::MAX), 1, sign, Style::new());
    }
}

fn signs(theme: Theme) -> [String; 3] {
    let signs = theme.glyphs;
    [
        format!(
            "{} running  {} idle  {} stopped  {} fatal",
            signs.running, signs.idle, signs.stopped, signs.fatal
        ),
        format!(
            "{} stalled  {} late  {} unknown  % flapping  (what we conclude)  ~ our estimate",
            signs.stalled, signs.late, signs.unknown
        ),
        format!(
            "{} waits for room  {} disabled  {} marked  command {} under way {} done {} refused",
            signs.waiting, signs.disabled, signs.mark, signs.pending, signs.executed, signs.refused
        ),
    ]
}
