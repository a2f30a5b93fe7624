//! A plain table: heads, the rows that are seen, and what to say when there are none.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::text::{put, top_of};
use crate::console::screen::List;
use crate::console::theme::Theme;

/// A head and how wide the column is; the last one takes what is left.
pub(super) type Column = (&'static str, u16);

/// Draws a list. `cells` gives the cells of a row, in the order of the columns; an empty one below a head is a dash,
/// since what it would say is not known or not there.
pub(super) fn draw<T>(
    list: &List<T>,
    columns: &[Column],
    empty: &str,
    canvas: (Theme, &mut Buffer, Rect),
    cells: impl Fn(&T) -> Vec<(String, Style)>,
) {
    draw_part(list, columns, (empty, true), canvas, cells);
}

/// The same for one of several lists on a screen: the cursor is shown in the one that has the keys.
pub(super) fn draw_part<T>(
    list: &List<T>,
    columns: &[Column],
    (empty, has_keys): (&str, bool),
    (theme, buffer, area): (Theme, &mut Buffer, Rect),
    cells: impl Fn(&T) -> Vec<(String, Style)>,
) {
    let places: Vec<_> = columns
        .iter()
        .scan(1, |at, (_, width)| {
            let here = *at;
            *at += width + 1;
            Some((here, *width))
        })
        .collect();
    for ((title, _), (at, _)) in columns.iter().zip(&places) {
        put(buffer, area, 0, *at, title, theme.faint());
    }
    let height = usize::from(area.height.saturating_sub(1));
    let top = top_of(list.cursor, height, list.rows.len());
    for (offset, row) in list.rows.iter().skip(top).take(height).enumerate() {
        let line = u16::try_from(offset).unwrap_or(u16::MAX) + 1;
        for (place, ((text, style), (at, width))) in cells(row).into_iter().zip(&places).enumerate() {
            let is_unknown = text.is_empty() && !columns[place].0.is_empty();
            let text = if is_unknown { "-" } else { &text };
            let is_last = place + 1 == places.len();
            let end = if is_last { area.width } else { area.width.min(at + width) };
            put(buffer, Rect { width: end, ..area }, line, *at, text, style);
        }
        if has_keys && top + offset == list.cursor {
            buffer.set_style(Rect { y: area.y + line, height: 1, ..area }, theme.cursor());
        }
    }
    if let Some(fault) = &list.fault {
        put(buffer, area, area.height.saturating_sub(1), 1, fault, theme.alarm());
    } else if list.rows.is_empty() {
        put(buffer, area, 1, 1, if list.is_read { empty } else { "reading ..." }, theme.faint());
    }
}
