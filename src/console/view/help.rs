//! The help, made of the table of keys: sections side by side as there is room.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::text::{put, put_right, rule};
use crate::console::dialog::help::{CLOSING, COLUMN, Help};
use crate::console::keymap::Keymap;
use crate::console::theme::Theme;
use crate::console::world::World;

/// Where the words begin in it.
const WORDS: u16 = 11;

enum Line {
    Title(&'static str),
    Key(String, &'static str),
    Empty,
}

pub(super) fn draw(help: &Help, world: &World, theme: Theme, buffer: &mut Buffer, area: Rect) {
    rule(theme, buffer, area, 0);
    let at = put(buffer, area, 0, 1, &format!(" help: {} ", help.tab.title()), theme.strong());
    let sought = help.sought.text();
    if help.is_typing || !sought.is_empty() {
        put(buffer, area, 0, at, &format!(" /{sought} "), theme.strong());
    }
    let mut lines: Vec<_> = help
        .sections(&world.keys)
        .into_iter()
        .flat_map(|(section, keys)| {
            [Line::Title(section.title())]
                .into_iter()
                .chain(keys.into_iter().map(|(keys, help)| Line::Key(keys, help)))
                .chain([Line::Empty])
        })
        .collect();
    put_right(
        buffer,
        area,
        0,
        area.width.saturating_sub(2),
        &format!(" {} ", map_of(&world.keys)),
        theme.faint(),
    );
    let height = usize::from(area.height.saturating_sub(1));
    let length = help.length(&world.keys, (area.width, height));
    let top = help.top.min(help.top_max(&world.keys, (area.width, height)));
    for foot in (length.saturating_sub(1)..lines.len()).step_by(length.max(1)) {
        if let Some(Line::Title(_)) = lines.get(foot) {
            lines.insert(foot, Line::Empty);
        }
    }
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
    for (at, line) in closing(world, theme).iter().enumerate().skip(top.saturating_sub(length)) {
        let row = length + at + 1 - top;
        put(buffer, area, u16::try_from(row).unwrap_or(u16::MAX), 1, line, Style::new());
    }
}

/// Which keys are in force.
fn map_of(keys: &Keymap) -> String {
    match keys.changed {
        0 => format!("keys: {}", keys.preset.name()),
        changed => format!("keys: {}, {changed} changed", keys.preset.name()),
    }
}

fn closing(world: &World, theme: Theme) -> [String; CLOSING] {
    let signs = theme.glyphs;
    let identity = &world.identity;
    let role = match (identity.is_attached, identity.is_read_only()) {
        (_, true) => "read-only client",
        (true, false) => "manager and console",
        (false, false) => "client",
    };
    [
        format!(
            "{} running  {} idle  {} stopped  {} failed, goes on  {} fatal or given up",
            signs.running, signs.idle, signs.stopped, signs.failed, signs.fatal
        ),
        format!(
            "{} stalled  {} late  {} unknown  % flapping  (what we conclude)  ~ our estimate",
            signs.stalled, signs.late, signs.unknown
        ),
        format!(
            "{} waits for room  {} disabled  {} marked  command {} under way {} done {} refused",
            signs.waiting, signs.disabled, signs.mark, signs.pending, signs.executed, signs.refused
        ),
        format!("{}; others: ~/.config/dcm/console.toml, dcm console --list-keys", map_of(&world.keys)),
        format!("dcm {}  {role} of {}  user {}", env!("CARGO_PKG_VERSION"), identity.database, identity.user),
    ]
}
