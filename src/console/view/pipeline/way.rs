//! The way of a document through its stages.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::{ending, sign, word};
use crate::console::cells::{cells, cut};
use crate::console::screen::List;
use crate::console::theme::Theme;
use crate::console::view::list::{self, Column};
use crate::console::view::text::{clock, count, put, rule, span, took};
use crate::console::world::World;
use crate::model::{DocumentWay, PipelineTask, Timestamp};

/// Below this width there is no room for times.
const NARROW: u16 = 60;
const WIDE: u16 = 110;

pub(super) fn draw(way: &List<DocumentWay>, world: &World, theme: Theme, buffer: &mut Buffer, area: Rect) {
    let Some(found) = way.rows.first() else {
        let text = match (&way.fault, way.is_read) {
            (Some(fault), _) => fault.as_str(),
            (None, true) => "this document is not on record any more",
            (None, false) => "reading ...",
        };
        put(buffer, area, 1, 1, text, theme.faint());
        return;
    };
    let now = world.time();
    let rows = facts(found, now, theme, buffer, area);
    let stages = u16::try_from(found.tasks.len()).unwrap_or(u16::MAX);
    let left = area.height.saturating_sub(rows);
    let table_rows = stages.saturating_add(1).min(left.saturating_sub(left / 3).max(2).min(left));
    let table = Rect { y: area.y + rows, height: table_rows, ..area };
    draw_stages(way, found, now, (theme, buffer, table));
    let below = Rect { y: table.bottom(), height: area.bottom().saturating_sub(table.bottom()), ..area };
    draw_error(found, theme, buffer, below);
}

/// The file. Gives how many rows it took.
fn facts(way: &DocumentWay, now: Timestamp, theme: Theme, buffer: &mut Buffer, area: Rect) -> u16 {
    let event = &way.event;
    put(buffer, area, 0, 1, &ending(event.path.text(), area.width.saturating_sub(2), theme), theme.strong());
    if area.height < 10 {
        return 1;
    }
    let version = match way.versions {
        1 => String::new(),
        versions => format!("version {} of {versions}   ", way.version),
    };
    let size = event.size.map_or_else(|| "size unknown".to_owned(), |size| format!("{} bytes", count(size)));
    let modified = event.modified.map(|at| format!("   modified {}", clock(at, now))).unwrap_or_default();
    let gone = event.gone.map(|at| format!("   gone {}", ago(at, now))).unwrap_or_default();
    let first = format!("{version}{size}   seen {}{gone}", ago(event.seen, now));
    put(buffer, area, 1, 1, &first, Style::new());
    let second = format!("root {}   group {}   topic {}{modified}", event.root, event.app_group, event.topic);
    put(buffer, area, 2, 1, &second, Style::new());
    put(buffer, area, 3, 1, &format!("sha3 {}", event.sha3.as_deref().unwrap_or("unknown")), theme.faint());
    5
}

fn ago(time: Timestamp, now: Timestamp) -> String {
    format!("{} ({} ago)", clock(time, now), span((now - time).num_seconds()))
}

fn draw_stages(
    way: &List<DocumentWay>,
    found: &DocumentWay,
    now: Timestamp,
    (theme, buffer, area): (Theme, &mut Buffer, Rect),
) {
    let narrow: [Column; 3] = [("", 1), ("STAGE", 18), ("STATUS", 0)];
    let middle: [Column; 7] =
        [("", 1), ("STAGE", 18), ("STATUS", 8), ("TRIES", 5), ("WAITED", 8), ("TOOK", 8), ("ENDED", 0)];
    let wide: [Column; 9] = [
        ("", 1),
        ("STAGE", 20),
        ("STATUS", 8),
        ("TRIES", 5),
        ("WAITED", 8),
        ("TOOK", 8),
        ("ENDED", 6),
        ("MESSAGE", 36),
        ("QUEUE", 0),
    ];
    let columns: &[Column] = match area.width {
        0..NARROW => &narrow,
        NARROW..WIDE => &middle,
        _ => &wide,
    };
    // The same list as of any rows, with the cursor where the page has it.
    let mut stages = List::default();
    stages.take(Ok(found.tasks.clone()), |_, _| false);
    stages.cursor = way.cursor;
    list::draw_part(&stages, columns, ("no stage yet", false), (theme, buffer, area), |task| {
        let (glyph, style) = sign(task.status, theme);
        let mut cells =
            vec![(glyph.to_string(), style), (stage_of(task), theme.strong()), (word(task.status), style)];
        if area.width >= NARROW {
            let waited = task.started.map(|at| took(at - task.created));
            let worked = task.started.map(|at| took(task.finished.unwrap_or(now).max(at) - at));
            cells.extend([
                (format!("{:>5}", task.attempts), Style::new()),
                (waited.unwrap_or_default(), Style::new()),
                (worked.unwrap_or_default(), Style::new()),
                (task.finished.map(|at| clock(at, now)).unwrap_or_default(), theme.faint()),
            ]);
        }
        if area.width >= WIDE {
            cells.push((task.message_id.clone(), theme.faint()));
            cells.push((task.queue.clone().unwrap_or_default(), Style::new()));
        }
        cells
    });
}

fn stage_of(task: &PipelineTask) -> String {
    task.stage.clone().unwrap_or_else(|| format!("({})", task.topic))
}

/// The whole error of the stage that went wrong last, and what can be done.
fn draw_error(way: &DocumentWay, theme: Theme, buffer: &mut Buffer, area: Rect) {
    let Some(task) = way.tasks.iter().rev().find(|task| task.error.is_some()) else { return };
    rule(theme, buffer, area, 0);
    put(buffer, area, 0, 1, &format!(" {} ", stage_of(task)), theme.strong());
    let error = task.error.as_deref().unwrap_or_default();
    let width = area.width.saturating_sub(2).max(1);
    let lines: Vec<_> = error.lines().flat_map(|line| wrapped(line, width)).collect();
    let height = usize::from(area.height.saturating_sub(2));
    let skipped = lines.len().saturating_sub(height);
    for (line, row) in lines.iter().skip(skipped).zip(1..) {
        put(buffer, area, row, 1, line, theme.failed());
    }
    let next = format!("R, or: dcm documents retry {}", task.id.0);
    put(buffer, area, area.height.saturating_sub(1), 1, &next, theme.faint());
}

/// A line in pieces that fit.
fn wrapped(line: &str, width: u16) -> Vec<String> {
    let mut pieces = Vec::new();
    let mut rest = line;
    loop {
        let piece = cut(rest, width);
        // What is shown of odd characters is longer than they are: such a line is cut once.
        if piece.is_empty() || !rest.starts_with(&piece) || cells(rest) <= width {
            pieces.push(rest.to_owned());
            return pieces;
        }
        rest = &rest[piece.len()..];
        pieces.push(piece);
    }
}
