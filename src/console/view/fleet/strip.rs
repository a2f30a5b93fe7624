//! What the app under the cursor did of late, and how many ran at once: two lines of time at the foot
//! of a wide screen.

use chrono::TimeDelta;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::seconds;
use crate::console::model::Model;
use crate::console::past::{Span, Track, at_once};
use crate::console::theme::Theme;
use crate::console::view::history::{draw_cells, hours};
use crate::console::view::text::{count, put, put_right, rule};
use crate::model::AppId;

/// It reaches back to the oldest run that is known, but not further than this.
const LONGEST: TimeDelta = TimeDelta::hours(6);

/// Cells of the names at the left.
const NAME: u16 = 14;

pub(super) fn draw(model: &Model, theme: Theme, buffer: &mut Buffer, area: Rect) {
    rule(theme, buffer, area, 0);
    let detail = &model.table.detail;
    let now = model.world.time();
    let cells = usize::from(area.width.saturating_sub(NAME + 1));
    let earliest = now - LONGEST;
    let begin = detail.runs.rows.last().map_or(earliest, |run| run.start.max(earliest));
    let (begin, runs) = model.world.recent_runs(begin);
    let span = Span::since(begin, cells, now);
    let title = format!(" the last {}, 1 cell = {} ", seconds(now - span.begin), seconds(span.cell));
    put(buffer, area, 0, 1, &title, theme.faint());
    hours(&span, theme, buffer, area, NAME);
    let app = detail.app.and_then(|id: AppId| model.world.fleet.by_id(id));
    if let Some(app) = app {
        let name = Rect { width: NAME - 1, ..area };
        put(buffer, name, 2, 1, app.path.name.as_str(), theme.strong());
        let track = Track::new(app.id, &detail.runs.rows, &[], &span, now);
        draw_cells(&track, theme, buffer, area, (2, NAME));
    }
    put(buffer, area, 3, 1, "running, all", theme.faint());
    let levels: Vec<_> = at_once(runs, &span, now).into_iter().map(|level| level as u64).collect();
    let most = levels.iter().copied().max().unwrap_or(0);
    put(buffer, area, 3, NAME, &theme.glyphs.spark(levels), theme.spark());
    put_right(
        buffer,
        area,
        0,
        area.width.saturating_sub(1),
        &format!(" at most {} ran ", count(most)),
        theme.faint(),
    );
}
