//! Documents on their way: all stages, the documents of one, one document.

mod documents;
mod flow;
mod overview;
mod way;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use crate::console::cells::cells;
use crate::console::screen::pipeline::Pipeline;
use crate::console::theme::Theme;
use crate::console::world::World;
use crate::model::{PipelineTask, TaskStatus, Timestamp};

pub(super) fn draw(pipeline: &Pipeline, world: &World, theme: Theme, buffer: &mut Buffer, area: Rect) {
    match (&pipeline.way, &pipeline.documents) {
        (Some(way), Some(_)) => way::draw(way, world, theme, buffer, area),
        (_, Some(documents)) => documents::draw(documents, world, theme, buffer, area),
        (_, None) => overview::draw(&pipeline.overview, world, theme, buffer, area),
    }
}

/// The sign of a status, and how it looks.
fn sign(status: Option<TaskStatus>, theme: Theme) -> (char, Style) {
    let glyphs = theme.glyphs;
    match status {
        Some(TaskStatus::Pending) => (glyphs.waiting, theme.pending()),
        Some(TaskStatus::Sent) => (glyphs.pending, theme.pending()),
        Some(TaskStatus::Running) => (glyphs.running, theme.running()),
        Some(TaskStatus::Done) => (glyphs.executed, theme.good()),
        Some(TaskStatus::Failed) => (glyphs.failed, theme.failed()),
        Some(TaskStatus::Dead) => (glyphs.fatal, theme.alarm()),
        None => (glyphs.unknown, theme.unknown()),
    }
}

/// The word of a status; a code of a newer version has none.
fn word(status: Option<TaskStatus>) -> String {
    status.map_or_else(|| "unknown".to_owned(), |status| status.word().to_lowercase())
}

/// When the status of a task was last heard of.
fn changed(task: &PipelineTask) -> Timestamp {
    [task.finished, task.started, task.sent].into_iter().flatten().max().unwrap_or(task.created)
}

/// The end of a text that is too long, behind a mark: paths differ at their ends.
fn ending(text: &str, width: u16, theme: Theme) -> String {
    if cells(text) <= width {
        return text.to_owned();
    }
    let mark = if theme.glyphs.dot == '·' { "…" } else { ".." };
    let room = width.saturating_sub(cells(mark));
    let mut taken = 0;
    let mut begin = text.len();
    for (at, c) in text.char_indices().rev() {
        taken += cells(c.encode_utf8(&mut [0; 4]));
        if taken > room {
            break;
        }
        begin = at;
    }
    format!("{mark}{}", &text[begin..])
}
