//! All signs and colours of a look, for `dcm console --test-terminal`.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::export;
use super::glyphs::GlyphSet;
use super::terminal::Colours;
use super::theme::{Palette, Theme};

const WIDTH: u16 = 78;

/// Two lines that show a set of signs and a theme.
#[must_use]
pub fn sample(palette: Palette, glyphs: GlyphSet, colours: Colours) -> String {
    let theme = Theme::of(palette, glyphs);
    let signs = theme.glyphs;
    let mut buffer = Buffer::empty(Rect::new(0, 0, WIDTH, 2));
    let words = [
        (signs.running, "running", theme.running()),
        (signs.idle, "idle", theme.faint()),
        (signs.waiting, "waits", theme.pending()),
        (signs.stopped, "stopped", theme.stopped()),
        (signs.fatal, "fatal", theme.alarm()),
        (signs.stalled, "stalled", theme.stalled()),
        (signs.late, "late", theme.late()),
        (signs.unknown, "unknown", theme.unknown()),
    ];
    let mut at = 1;
    for (sign, word, style) in words {
        at = buffer.set_stringn(at, 0, format!("{sign} {word}"), usize::from(WIDTH - at), style).0 + 1;
    }
    let bar = signs.bar(43, 8);
    let spark = signs.spark([1, 2, 3, 5, 8, 13, 8, 5, 3]);
    let parts = [
        (format!("{} disabled ", signs.disabled), theme.disabled()),
        (format!("{} ", signs.pending), theme.pending()),
        (format!("{} ", signs.executed), theme.good()),
        (format!("{} ", signs.refused), theme.alarm()),
        (format!("{}", signs.mark), theme.mark()),
        (format!(" {} group {} ", signs.opened, signs.closed), theme.strong()),
        (format!("{bar} "), theme.running()),
        (format!("{spark} "), theme.spark()),
        (format!("{}{}{} ", signs.rule, signs.dot, signs.wall), theme.faint()),
        (format!("{}{}", signs.gap, signs.waited), Style::new()),
    ];
    let mut at = 1;
    for (text, style) in parts {
        at = buffer.set_stringn(at, 1, text, usize::from(WIDTH - at), style).0;
    }
    export::ansi(&buffer, colours)
}
