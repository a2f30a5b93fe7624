//! Where the cursor of the terminal belongs: screen readers and magnifiers follow it.

use ratatui::buffer::{Buffer, Cell};
use ratatui::layout::Position;
use ratatui::style::Modifier;

/// The header is not where the keys go.
const HEADER: u16 = 2;

/// A shorter piece is a mark or a sign.
const BAR_MIN: u16 = 5;

/// What has the keys is drawn reversed: the field that is typed into, at the bottom; else the bar in
/// a box; else the bar over a row.
pub(in crate::console) fn cursor_of(screen: &Buffer) -> Option<Position> {
    let area = screen.area;
    let rows = HEADER.min(area.height.saturating_sub(1))..area.height;
    let field = rows.clone().rev().take(2).find_map(|y| {
        let pieces = reversed(screen, y);
        pieces.into_iter().next_back().map(|(x, _)| Position { x, y })
    });
    let bars = || {
        rows.clone()
            .flat_map(|y| reversed(screen, y).into_iter().map(move |(x, width)| (Position { x, y }, width)))
    };
    let bar = |is_boxed: bool| {
        let wanted = bars().filter(|(place, width)| *width >= BAR_MIN && (place.x > 0) == is_boxed);
        wanted.map(|(place, _)| first_sign(screen, place)).next()
    };
    field.or_else(|| bar(true)).or_else(|| bar(false))
}

/// The first sign of a bar: there its text begins.
fn first_sign(screen: &Buffer, from: Position) -> Position {
    let is_sign = |x: &u16| screen[(*x, from.y)].symbol() != " ";
    (from.x..screen.area.width).find(is_sign).map_or(from, |x| Position { x, ..from })
}

/// Where reversed pieces of a line begin, and how long they are.
fn reversed(screen: &Buffer, y: u16) -> Vec<(u16, u16)> {
    let mut pieces: Vec<(u16, u16)> = Vec::new();
    let is_reversed = |cell: &Cell| cell.modifier.contains(Modifier::REVERSED);
    for x in (0..screen.area.width).filter(|x| is_reversed(&screen[(*x, y)])) {
        match pieces.last_mut() {
            Some((from, width)) if *from + *width == x => *width += 1,
            _ => pieces.push((x, 1)),
        }
    }
    pieces
}

#[cfg(test)]
mod tests {
    use ratatui::layout::Rect;
    use ratatui::style::Style;

    use super::*;

    #[test]
    fn a_field_comes_before_a_box_and_that_before_a_row() {
        let mut screen = Buffer::with_lines((0..10).map(|line| format!("   row {line}             ")));
        assert_eq!(cursor_of(&screen), None);
        let mut reverse = |x, y, width| {
            screen.set_style(Rect::new(x, y, width, 1), Style::new().add_modifier(Modifier::REVERSED));
            cursor_of(&screen)
        };
        // A banner of the header, and a mark.
        assert_eq!(reverse(0, 1, 20), None);
        assert_eq!(reverse(4, 3, 1), None);
        assert_eq!(reverse(0, 4, 20), Some(Position { x: 3, y: 4 }));
        assert_eq!(reverse(6, 6, 8), Some(Position { x: 7, y: 6 }));
        assert_eq!(reverse(9, 9, 1), Some(Position { x: 9, y: 9 }));
        assert_eq!(cursor_of(&Buffer::empty(Rect::ZERO)), None);
    }
}
