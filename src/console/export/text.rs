//! The screen as lines of text.

use ratatui::buffer::{Buffer, Cell, CellWidth as _};

use crate::console::terminal::{Colours, Pen};

/// The text of the screen, without the blanks at the ends of its lines.
#[must_use]
pub fn plain(screen: &Buffer) -> String {
    lines(screen).fold(String::new(), |mut text, cells| {
        let mut line: String = signs(cells).map(Cell::symbol).collect();
        line.truncate(line.trim_end().len());
        text.push_str(&line);
        text.push('\n');
        text
    })
}

/// The same with the sequences for its colours: `cat` shows it as it was.
#[must_use]
pub fn ansi(screen: &Buffer, colours: Colours) -> String {
    let mut text = Vec::new();
    for cells in lines(screen) {
        let is_empty = |cell: &&Cell| cell.symbol() == " " && Pen::of(cell, colours).erases();
        let end = cells.len() - cells.iter().rev().take_while(is_empty).count();
        let mut pen = Pen::DEFAULT;
        for cell in signs(&cells[..end]) {
            if !pen.suits(cell, colours) {
                let next = Pen::of(cell, colours);
                next.change_from(pen, &mut text);
                pen = next;
            }
            text.extend_from_slice(cell.symbol().as_bytes());
        }
        // Each line stands for itself, whatever is cut out of the file.
        Pen::DEFAULT.change_from(pen, &mut text);
        text.push(b'\n');
    }
    String::from_utf8_lossy(&text).into_owned()
}

pub(super) fn lines(screen: &Buffer) -> impl Iterator<Item = &[Cell]> {
    screen.content.chunks(usize::from(screen.area.width).max(1))
}

/// The cells of a line that show something: not the second halves of wide signs.
fn signs(line: &[Cell]) -> impl Iterator<Item = &Cell> {
    let mut covered = 0;
    line.iter().filter(move |cell| {
        if covered > 0 {
            covered -= 1;
            return false;
        }
        covered = width_of(cell) - 1;
        true
    })
}

/// How many cells the sign of a cell takes.
pub(super) fn width_of(cell: &Cell) -> usize {
    let symbol = cell.symbol();
    if symbol.len() == 1 { 1 } else { usize::from(symbol.cell_width().max(1)) }
}

#[cfg(test)]
mod tests {
    use ratatui::style::{Color, Style};

    use super::*;

    #[test]
    fn lines_end_where_their_text_ends() {
        let mut screen = Buffer::with_lines(["  a 漢字 b   ", "           "]);
        screen.set_style(ratatui::layout::Rect::new(2, 0, 1, 1), Style::new().fg(Color::LightRed));
        assert_eq!(plain(&screen), "  a 漢字 b\n\n");
        assert_eq!(ansi(&screen, Colours::Sixteen), "  \x1b[91ma \x1b[m漢字 b\n\n");
        assert_eq!(ansi(&screen, Colours::None), "  a 漢字 b\n\n");
    }
}
