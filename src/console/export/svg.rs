//! The screen as a picture that any browser shows. The same screen gives the same bytes.

use std::fmt::Write as _;

use ratatui::buffer::{Buffer, Cell, CellWidth as _};
use ratatui::style::{Color, Modifier};

use super::text::{lines, width_of};
use crate::console::terminal::rgb_of;

/// A cell in pixels.
const WIDTH: usize = 8;
const HEIGHT: usize = 17;
/// From the top of a cell to the line that letters stand on.
const BASE: usize = 13;
/// Around the screen.
const MARGIN: usize = 10;

const BACKGROUND: &str = "#1b1d23";
const TEXT: &str = "#d6d8df";

/// The 16 colours, somewhat softer than those of xterm on this background.
const BASIC: [&str; 16] = [
    "#3b3f4a", "#e06c6c", "#7fc27a", "#d9b65f", "#6c9fe0", "#c084d6", "#5fb8bf", "#c8cbd4", "#7b808e",
    "#ff8a80", "#a5e075", "#ffd866", "#82aaff", "#e0a0f0", "#7fe0e0", "#ffffff",
];

/// Draws the screen. Each run of text is told its length, so that the grid holds with any font.
#[must_use]
pub fn svg(screen: &Buffer, title: &str) -> String {
    let width = usize::from(screen.area.width) * WIDTH + 2 * MARGIN;
    let height = usize::from(screen.area.height) * HEIGHT + 2 * MARGIN;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" \
         height=\"{height}\" font-family=\"ui-monospace,'DejaVu Sans Mono',Menlo,Consolas,monospace\" \
         font-size=\"13\" fill=\"{TEXT}\" role=\"img\">\n<title>{}</title>\n\
         <rect width=\"{width}\" height=\"{height}\" rx=\"6\" fill=\"{BACKGROUND}\"/>\n",
        escaped(title)
    );
    for (row, cells) in lines(screen).enumerate() {
        let top = MARGIN + row * HEIGHT;
        let runs = runs(cells);
        for run in &runs {
            background(run, top, &mut svg);
        }
        for run in &runs {
            text(run, top, &mut svg);
        }
    }
    svg.push_str("</svg>\n");
    svg
}

/// Neighbours that look alike.
struct Run {
    at: usize,
    cells: usize,
    text: String,
    ink: String,
    paper: Option<String>,
    modifier: Modifier,
}

fn runs(line: &[Cell]) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    let mut at = 0;
    while let Some(cell) = line.get(at) {
        let width = width_of(cell);
        let is_reversed = cell.modifier.contains(Modifier::REVERSED);
        let (fg, bg) = (colour(cell.fg), colour(cell.bg));
        let (ink, paper) = if is_reversed {
            (bg.unwrap_or_else(|| BACKGROUND.to_owned()), Some(fg.unwrap_or_else(|| TEXT.to_owned())))
        } else {
            (fg.unwrap_or_else(|| TEXT.to_owned()), bg)
        };
        let modifier = cell.modifier.difference(Modifier::REVERSED);
        let is_blank = cell.symbol() == " ";
        match runs.last_mut() {
            // A blank belongs to any run on the same paper, so that words stay together.
            Some(run)
                if run.paper == paper
                    && (run.ink == ink && run.modifier == modifier
                        || is_blank && !modifier.contains(Modifier::UNDERLINED)) =>
            {
                run.text.push_str(cell.symbol());
                run.cells += width;
            }
            _ => runs.push(Run { at, cells: width, text: cell.symbol().to_owned(), ink, paper, modifier }),
        }
        at += width;
    }
    runs
}

fn background(run: &Run, top: usize, svg: &mut String) {
    if let Some(paper) = &run.paper {
        let (x, width) = (MARGIN + run.at * WIDTH, run.cells * WIDTH);
        let _ = writeln!(
            svg,
            "<rect x=\"{x}\" y=\"{top}\" width=\"{width}\" height=\"{HEIGHT}\" fill=\"{paper}\"/>"
        );
    }
}

/// The words of a run, each at its place: blanks at both ends are not drawn, and two or more within
/// are no blanks but another place, since not all that draw keep them.
fn text(run: &Run, top: usize, svg: &mut String) {
    let mut at = run.at;
    let mut rest = run.text.as_str();
    while !rest.is_empty() {
        let blanks = rest.len() - rest.trim_start_matches(' ').len();
        at += blanks;
        rest = &rest[blanks..];
        let (word, left) = rest.split_at(rest.find("  ").unwrap_or(rest.len()));
        rest = left;
        let word = word.trim_end_matches(' ');
        let cells = usize::from(word.cell_width());
        if cells > 0 {
            piece(run, word, (at, cells), top, svg);
        }
        at += cells;
    }
}

fn piece(run: &Run, word: &str, (at, cells): (usize, usize), top: usize, svg: &mut String) {
    let (x, y) = (MARGIN + at * WIDTH, top + BASE);
    let _ = write!(
        svg,
        "<text x=\"{x}\" y=\"{y}\" textLength=\"{}\" lengthAdjust=\"spacingAndGlyphs\"",
        cells * WIDTH
    );
    if run.ink != TEXT {
        let _ = write!(svg, " fill=\"{}\"", run.ink);
    }
    for (modifier, attribute) in [
        (Modifier::BOLD, " font-weight=\"bold\""),
        (Modifier::DIM, " opacity=\".6\""),
        (Modifier::ITALIC, " font-style=\"italic\""),
        (Modifier::UNDERLINED, " text-decoration=\"underline\""),
    ] {
        if run.modifier.contains(modifier) {
            svg.push_str(attribute);
        }
    }
    let _ = writeln!(svg, ">{}</text>", escaped(word));
}

fn colour(colour: Color) -> Option<String> {
    let number = match colour {
        Color::Reset => return None,
        Color::Rgb(red, green, blue) => return Some(format!("#{red:02x}{green:02x}{blue:02x}")),
        Color::Indexed(number) => number,
        Color::Black => 0,
        Color::Red => 1,
        Color::Green => 2,
        Color::Yellow => 3,
        Color::Blue => 4,
        Color::Magenta => 5,
        Color::Cyan => 6,
        Color::Gray => 7,
        Color::DarkGray => 8,
        Color::LightRed => 9,
        Color::LightGreen => 10,
        Color::LightYellow => 11,
        Color::LightBlue => 12,
        Color::LightMagenta => 13,
        Color::LightCyan => 14,
        Color::White => 15,
    };
    Some(BASIC.get(usize::from(number)).map_or_else(
        || {
            let (red, green, blue) = rgb_of(number);
            format!("#{red:02x}{green:02x}{blue:02x}")
        },
        |name| (*name).to_owned(),
    ))
}

/// No text of an app is a tag, and none is what XML does not know.
fn escaped(text: &str) -> String {
    text.chars().fold(String::new(), |mut safe, c| {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => safe.push('\u{fffd}'),
            c => safe.push(c),
        }
        safe
    })
}

#[cfg(test)]
mod tests {
    use ratatui::layout::Rect;
    use ratatui::style::Style;

    use super::*;

    #[test]
    fn runs_keep_their_place_and_tags_are_text() {
        let mut screen = Buffer::with_lines(["  <b> &  漢 x   "]);
        screen.set_style(Rect::new(2, 0, 3, 1), Style::new().fg(Color::Red).add_modifier(Modifier::BOLD));
        screen.set_style(Rect::new(9, 0, 4, 1), Style::new().add_modifier(Modifier::REVERSED));
        let picture = svg(&screen, "a & b");
        assert!(picture.contains("<title>a &amp; b</title>"), "{picture}");
        let tag = "<text x=\"26\" y=\"23\" textLength=\"24\" lengthAdjust=\"spacingAndGlyphs\" \
                   fill=\"#e06c6c\" font-weight=\"bold\">&lt;b&gt;</text>";
        assert!(picture.contains(tag), "{picture}");
        assert!(picture.contains("<rect x=\"82\" y=\"10\" width=\"32\" height=\"17\" fill=\"#d6d8df\"/>"));
        assert!(
            picture.contains(" textLength=\"32\" lengthAdjust=\"spacingAndGlyphs\" fill=\"#1b1d23\">漢 x")
        );
    }
}
