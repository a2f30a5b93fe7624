//! The flow of documents from stage to stage, with what waits before each and how fast it is done.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use crate::console::cells::cells;
use crate::console::pipeline::{Bottleneck, Drain, bottleneck, chains, speed};
use crate::console::screen::pipeline::Overview;
use crate::console::theme::Theme;
use crate::console::view::text::{count, put, short, span};
use crate::model::Stage;

/// How many lines the flow takes at most.
pub(super) fn height(overview: &Overview) -> u16 {
    let ways = chains(&overview.stages.rows, &overview.links).len();
    u16::try_from(ways * 2).unwrap_or(u16::MAX).saturating_add(1)
}

/// Each way in two lines, then the stage at which documents pile up.
pub(super) fn draw(overview: &Overview, theme: Theme, buffer: &mut Buffer, area: Rect) {
    let stages = &overview.stages.rows;
    let slowest = bottleneck(stages);
    let mut row = 0;
    for chain in chains(stages, &overview.links) {
        if row + 2 >= area.height {
            break;
        }
        draw_chain(stages, &chain, slowest, (theme, buffer, area, row));
        row += 2;
    }
    if let Some(slowest) = slowest {
        draw_slowest(stages, slowest, (theme, buffer, area, row));
    } else if !stages.is_empty() {
        put(buffer, area, row, 1, "nothing piles up", theme.faint());
    }
}

fn draw_chain(
    stages: &[Stage],
    chain: &[usize],
    slowest: Option<Bottleneck>,
    (theme, buffer, area, row): (Theme, &mut Buffer, Rect, u16),
) {
    let glyphs = theme.glyphs;
    let mut at = 1;
    for (place, stage) in chain.iter().enumerate() {
        let shown = &stages[*stage];
        let name = shown.name().unwrap_or("-");
        let out = format!("out {}", speed(shown.window.done));
        let arrow = format!("{0}{1}{0}{2} ", glyphs.rule, short(shown.count.waiting), glyphs.running);
        let width = (cells(&arrow) + cells(name)).max(cells(&out) + 2);
        if at + width > area.width {
            put(buffer, area, row, at, &glyphs.pending.to_string(), theme.faint());
            break;
        }
        let is_slowest = slowest.is_some_and(|slowest| slowest.stage == *stage);
        let style = if is_slowest { theme.late() } else { Style::new() };
        let end = put(buffer, area, row, at, &arrow, if is_slowest { style } else { theme.faint() });
        put(buffer, area, row, end, name, if is_slowest { style } else { theme.strong() });
        if place == 0 {
            // What comes in stands below the first arrow, where there is room for both.
            let come = format!("in {}", speed(shown.window.came));
            let taken = put(buffer, area, row + 1, at, &come, theme.faint());
            let from = (taken + 2).max(end);
            put(buffer, area, row + 1, from, &out, theme.faint());
            at = (at + width).max(from + cells(&out)) + 1;
            continue;
        }
        put(buffer, area, row + 1, end, &out, theme.faint());
        at += width.max(cells(&arrow) + cells(&out)) + 1;
    }
}

fn draw_slowest(
    stages: &[Stage],
    slowest: Bottleneck,
    (theme, buffer, area, row): (Theme, &mut Buffer, Rect, u16),
) {
    let stage = &stages[slowest.stage];
    let name = stage.name().unwrap_or("(no route)");
    let end = put(buffer, area, row, 1, &format!("bottleneck: {name}"), theme.late());
    let mut words = vec![format!("{} wait", count(stage.count.waiting))];
    let moved = speed(slowest.growth.unsigned_abs());
    words.push(match slowest.growth {
        0 => "backlog stays".to_owned(),
        1.. => format!("backlog grows {moved}"),
        _ => format!("backlog shrinks {moved}"),
    });
    words.push(match slowest.drain {
        Drain::Never => "drains: never".to_owned(),
        Drain::Stands => "nothing was done for 5m".to_owned(),
        Drain::In(time) => format!("drains in {}", span(time.num_seconds())),
    });
    put(buffer, area, row, end + 2, &words.join("   "), theme.faint());
}

/// The last 24 hours of the stage under the cursor: what waited, and what was done.
pub(super) fn draw_past(overview: &Overview, theme: Theme, buffer: &mut Buffer, area: Rect) {
    let Some(stage) = overview.stages.current() else { return };
    let name = stage.name().unwrap_or("(no route)");
    if stage.day.is_empty() {
        put(buffer, area, 0, 1, &format!("{name}: nothing in the last 24h"), theme.faint());
        return;
    }
    let lines = [("backlog", stage.backlogs()), ("done", stage.day.iter().map(|slot| slot.done).collect())];
    let most = |values: &[u64]| short(values.iter().copied().max().unwrap_or(0));
    let per = |word: &str| if word == "done" { "/30m" } else { "" };
    let legend = |hours: usize, (word, values): &(&str, Vec<u64>)| {
        format!(" {hours}h, most {}{}", most(values), per(word))
    };
    // The words are padded to one width, so that the times are below each other; what has no room is longest ago.
    let begin = cells(name) + 10;
    let end = lines.iter().map(|line| cells(&legend(24, line))).max().unwrap_or(0);
    let room = usize::from(area.width.saturating_sub(begin + end + 1));
    for (row, line) in lines.iter().enumerate() {
        let row = u16::try_from(row).unwrap_or(u16::MAX);
        if row >= area.height {
            break;
        }
        let (word, values) = line;
        put(buffer, area, row, 1, &format!("{word} {name} "), theme.faint());
        let shown = &values[values.len().saturating_sub(room)..];
        let end = put(buffer, area, row, begin, &theme.glyphs.spark(shown.iter().copied()), theme.spark());
        put(buffer, area, row, end, &legend(shown.len().div_ceil(2), line), theme.faint());
    }
}
