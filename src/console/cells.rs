//! How many cells a text takes on a terminal: a character takes none, one or two.

use ratatui::buffer::CellWidth as _;
use ratatui::style::Style;
use ratatui::text::Span;

use crate::model::Printable;

/// The cells that a text takes, with everything odd in it made visible.
pub(crate) fn cells(text: &str) -> u16 {
    Printable(text).text().cell_width()
}

/// As much of the beginning of a text as fits into this many cells.
pub(crate) fn cut(text: &str, width: u16) -> String {
    let shown = Printable(text).text();
    let mut left = width;
    let mut fits = |symbol: &str| {
        let rest = left.checked_sub(symbol.cell_width());
        left = rest.unwrap_or(0);
        rest.is_some()
    };
    let shown = Span::raw(&*shown);
    shown.styled_graphemes(Style::new()).map(|piece| piece.symbol).take_while(|symbol| fits(symbol)).collect()
}

/// A text with as many blanks behind it as fill this many cells.
pub(crate) fn padded(text: &str, width: u16) -> String {
    let blanks = width.saturating_sub(cells(text));
    format!("{text}{}", " ".repeat(usize::from(blanks)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wide_characters_take_two_cells_and_accents_none() {
        assert_eq!((cells("a日本"), cells("e\u{301}"), cells(""), cells("\u{7}")), (5, 1, 0, 4));
        for (width, expected) in
            [(0, ""), (1, "a"), (2, "a"), (3, "a日"), (4, "a日"), (5, "a日本"), (9, "a日本")]
        {
            assert_eq!(cut("a日本", width), expected, "{width}");
        }
        assert_eq!(cut("e\u{301}x", 1), "e\u{301}");
        assert_eq!((padded("日本", 6), padded("日本", 3)), ("日本  ".to_owned(), "日本".to_owned()));
    }
}
