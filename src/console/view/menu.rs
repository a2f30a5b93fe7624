//! A menu or the palette.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::widgets::{Block, Clear, Widget as _};

use super::text::{count, put, put_right, top_of};
use crate::console::dialog::menu::{Kind, Menu};
use crate::console::theme::Theme;

/// The widest box, and the highest.
const WIDTH: u16 = 66;
const HEIGHT: u16 = 20;

pub(super) fn draw(menu: &Menu, theme: Theme, buffer: &mut Buffer, area: Rect) {
    let has_query = menu.kind == Kind::Palette || !menu.query.text().is_empty();
    let above = u16::from(has_query);
    let wanted = u16::try_from(menu.shown.len()).unwrap_or(u16::MAX).max(1).saturating_add(3 + above);
    let width = WIDTH.min(area.width);
    // The palette does not jump while it is typed in.
    let wanted = if menu.kind == Kind::Palette { HEIGHT } else { wanted.min(HEIGHT) };
    let height = wanted.min(area.height);
    let place =
        Rect { x: area.x + (area.width - width) / 2, y: area.y + (area.height - height) / 3, width, height };
    Clear.render(place, buffer);
    let block = Block::bordered().border_set(theme.glyphs.border);
    let inner = block.inner(place);
    block.title(format!(" {} ", menu.title)).render(place, buffer);
    if has_query {
        let at = put(buffer, inner, 0, 0, &format!(" > {}", menu.query.text()), theme.strong());
        put(buffer, inner, 0, at, " ", theme.cursor());
    }
    let rows = inner.height.saturating_sub(above + 1);
    let top = top_of(menu.cursor, usize::from(rows), menu.shown.len());
    for (offset, item) in menu.shown.iter().skip(top).take(usize::from(rows)).enumerate() {
        let row = above + u16::try_from(offset).unwrap_or(u16::MAX);
        let style = if item.why_not.is_some() { theme.faint() } else { Style::new() };
        let end = put(buffer, inner, row, 2, &item.text, style);
        if let Some(why) = &item.why_not {
            put(buffer, inner, row, end + 2, why, theme.faint());
        }
        put_right(buffer, inner, row, inner.width.saturating_sub(1), &item.hint, theme.faint());
        if top + offset == menu.cursor {
            buffer.set_style(Rect { y: inner.y + row, height: 1, ..inner }, theme.cursor());
        }
    }
    let foot = match menu.kind {
        Kind::Palette => format!(" {} found   enter runs it   tab edits it   esc", count(menu.found as u64)),
        Kind::Stays => " space shows or hides   esc".to_owned(),
        Kind::Once => " enter   esc   type to narrow".to_owned(),
    };
    if inner.height > 0 {
        put(buffer, inner, inner.height - 1, 0, &foot, theme.faint());
    }
}
