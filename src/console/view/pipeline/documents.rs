//! The documents that were asked for, and the error of the one under the cursor.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::{changed, ending, sign, word};
use crate::console::screen::pipeline::Documents;
use crate::console::theme::Theme;
use crate::console::view::list::{self, Column};
use crate::console::view::text::{count, put, rule, span};
use crate::console::world::World;

/// Below this width there is no room for when and how often.
const NARROW: u16 = 60;

/// From this width on the errors are in the table.
const WIDE: u16 = 110;

/// From this height on the error of the document under the cursor is below, in this number of lines.
const ROOMY: u16 = 12;
const ERROR_LINES: u16 = 4;

pub(super) fn draw(documents: &Documents, world: &World, theme: Theme, buffer: &mut Buffer, area: Rect) {
    let below = if area.height >= ROOMY { ERROR_LINES + 1 } else { 0 };
    let table = Rect { height: area.height - below - area.height.min(1), ..area };
    let is_narrow = area.width < NARROW;
    let document = area.width / 20 * 9;
    let wide: [Column; 7] = [
        ("", 1),
        ("STATUS", 8),
        ("AGE", 6),
        ("TRIES", 5),
        ("STAGE", 18),
        ("DOCUMENT", document),
        ("ERROR", 0),
    ];
    let middle: [Column; 6] =
        [("", 1), ("STATUS", 8), ("AGE", 6), ("TRIES", 5), ("STAGE", 14), ("DOCUMENT", 0)];
    let narrow: [Column; 2] = [("", 1), ("DOCUMENT", 0)];
    let columns: &[Column] = match area.width {
        0..NARROW => &narrow,
        NARROW..WIDE => &middle,
        _ => &wide,
    };
    let room = match columns.last() {
        Some(("DOCUMENT", _)) => {
            let taken: u16 = columns.iter().map(|(_, width)| width + 1).sum();
            area.width.saturating_sub(taken + 1)
        }
        _ => document,
    };
    let empty = if documents.is_late() { "reading ..." } else { "no such document" };
    let now = world.time();
    list::draw(&documents.list, columns, empty, (theme, buffer, table), |task| {
        let (glyph, style) = sign(task.status, theme);
        let path = (ending(&task.document, room, theme), Style::new());
        if is_narrow {
            return vec![(glyph.to_string(), style), path];
        }
        let stage = task.stage.clone().unwrap_or_else(|| "(no route)".to_owned());
        let mut cells = vec![
            (glyph.to_string(), style),
            (word(task.status), style),
            (span((now - changed(task)).num_seconds()), theme.faint()),
            (format!("{:>5}", task.attempts), Style::new()),
            (stage, Style::new()),
            path,
        ];
        if area.width >= WIDE {
            cells.push((last_line(task.error.as_deref()).to_owned(), theme.failed()));
        }
        cells
    });
    let status = Rect { y: table.bottom(), height: area.height.min(1), ..area };
    draw_status(documents, theme, buffer, status);
    if below > 0 {
        draw_error(documents, theme, buffer, Rect { y: status.bottom(), height: below, ..area });
    }
}

/// The end of a traceback says what it was. Where there is none the cell is a blank.
fn last_line(error: Option<&str>) -> &str {
    error.and_then(|error| error.lines().rev().find(|line| !line.trim().is_empty())).unwrap_or(" ")
}

fn draw_status(documents: &Documents, theme: Theme, buffer: &mut Buffer, area: Rect) {
    if let Some(fault) = &documents.filter.fault {
        let text = format!(
            "{fault} means nothing; there are stage:ocr is:waiting,running,done,failed,dead topic: root: group:"
        );
        put(buffer, area, 0, 1, &text, theme.alarm());
        return;
    }
    if documents.list.fault.is_some() {
        return;
    }
    let rows = documents.list.rows.len() as u64;
    let mut words = vec![documents.text.clone(), format!("{} documents", count(rows))];
    if documents.is_cut() {
        words[1] = format!("the newest {}", count(rows));
        words.push("older ones: go on down, or / a word of the path".to_owned());
    }
    put(buffer, area, 0, 1, words.join("   ").trim_start(), theme.faint());
}

fn draw_error(documents: &Documents, theme: Theme, buffer: &mut Buffer, area: Rect) {
    rule(theme, buffer, area, 0);
    let Some(task) = documents.list.current() else { return };
    let title = ending(&task.document, area.width.saturating_sub(4), theme);
    put(buffer, area, 0, 1, &format!(" {title} "), theme.strong());
    let Some(error) = &task.error else {
        put(
            buffer,
            area,
            1,
            1,
            &format!("topic {}   message {}", task.topic, task.message_id),
            theme.faint(),
        );
        return;
    };
    // The end of a traceback says what it was.
    let lines: Vec<_> = error.lines().collect();
    let height = usize::from(area.height.saturating_sub(1));
    for (line, row) in lines.iter().skip(lines.len().saturating_sub(height)).zip(1..) {
        put(buffer, area, row, 1, line, theme.failed());
    }
}
