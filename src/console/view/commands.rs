//! The ledger of commands: a row for what was sent together, and below it what became of each.

use chrono::Local;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::list::{self, Column};
use super::text::{clock, count, put, rule, span, took};
use crate::console::past::{Batch, together};
use crate::console::screen::commands::Commands;
use crate::console::theme::Theme;
use crate::console::world::World;
use crate::model::{CmdFlag, CommandRow, Timestamp};

/// Below this width there is no room for who it was.
const NARROW: u16 = 60;

/// From this height on the commands of the batch under the cursor are seen below.
const ROOMY: u16 = 14;

pub(super) fn draw(commands: &Commands, world: &World, theme: Theme, buffer: &mut Buffer, area: Rect) {
    if let Some(items) = &commands.opened {
        let columns: &[Column] =
            if area.width < NARROW { &[("APP", 20), ("RESULT", 0)] } else { &[("APP", 40), ("RESULT", 0)] };
        list::draw(items, columns, "no commands", (theme, buffer, area), |command| {
            vec![(world.fleet.name_of(&command.app), Style::new()), verdict(command, world.time(), theme)]
        });
        return;
    }
    let below = if area.height >= ROOMY { (area.height / 3).min(8) } else { 0 };
    let table = Rect { height: area.height - below - area.height.min(1), ..area };
    draw_batches(commands, world, (theme, buffer, table));
    let status = Rect { y: table.bottom(), height: area.height.min(1), ..area };
    draw_status(commands, theme, buffer, status);
    if below > 0
        && let Some(batch) = commands.batches.current()
    {
        let pane = Rect { y: status.bottom(), height: below, ..area };
        draw_items(batch, world, theme, buffer, pane);
    }
}

fn draw_batches(commands: &Commands, world: &World, (theme, buffer, area): (Theme, &mut Buffer, Rect)) {
    let time = world.time();
    let is_narrow = area.width < NARROW;
    let columns: &[Column] = match area.width {
        0..NARROW => &[("COMMAND", 7), ("RESULT", 11), ("TARGET", 0)],
        NARROW..110 => &[("WHEN", 8), ("WHO", 9), ("COMMAND", 7), ("N", 5), ("RESULT", 15), ("TARGET", 0)],
        _ => &[("WHEN", 8), ("WHO", 14), ("COMMAND", 7), ("N", 6), ("RESULT", 26), ("TARGET", 0)],
    };
    list::draw(&commands.batches, columns, "no commands yet", (theme, buffer, area), |batch| {
        let ids = batch.commands.iter().filter_map(|command| command.app.id());
        let paths: Vec<_> = ids.filter_map(|id| world.fleet.path_of(id)).collect();
        let target = match batch.commands.first() {
            Some(command) if paths.is_empty() => world.fleet.name_of(&command.app),
            Some(_) | None => together(paths),
        };
        let mut cells =
            vec![(batch.name.to_string(), theme.strong()), totals(batch, theme), (target, Style::new())];
        if !is_narrow {
            cells.insert(0, (moment(batch.time, time), theme.faint()));
            cells.insert(1, (batch.by.clone(), Style::new()));
            cells.insert(3, (count(batch.commands.len() as u64), Style::new()));
        }
        cells
    });
}

fn draw_status(commands: &Commands, theme: Theme, buffer: &mut Buffer, area: Rect) {
    let mut words = Vec::new();
    if let Some(app) = commands.app() {
        words.push(format!("of {app}"));
    }
    if let Some(fault) = &commands.filter.fault {
        put(
            buffer,
            area,
            0,
            1,
            &format!("{fault} means nothing; there are who:ana cmd:stop since:1d"),
            theme.alarm(),
        );
        return;
    }
    words.push(format!("{} rows", count(commands.batches.rows.len() as u64)));
    if commands.is_cut() {
        words.push("older ones: go on down, or / since:1d who:ana cmd:stop".to_owned());
    }
    put(buffer, area, 0, 1, &words.join("   "), theme.faint());
}

/// What became of each command of the batch, in as many columns as there is room for.
fn draw_items(batch: &Batch, world: &World, theme: Theme, buffer: &mut Buffer, area: Rect) {
    rule(theme, buffer, area, 0);
    let number = batch.commands.first().map_or(0, |command| command.id.0);
    let title = format!(
        " #{number} {} by {} via {}, {} ",
        batch.name,
        batch.by,
        batch.source,
        ago(batch.time, world)
    );
    put(buffer, area, 0, 1, &title, theme.strong());
    let mut first = 1;
    if let Some(note) = &batch.note {
        put(buffer, area, 1, 1, &format!("reason: {note}"), Style::new());
        first = 2;
    }
    let rows = usize::from(area.height.saturating_sub(first)).max(1);
    // Those that need somebody come first.
    let mut items: Vec<_> = batch.commands.iter().collect();
    items.sort_by_key(|command| match command.flag {
        CmdFlag::NotExecuted => 0,
        CmdFlag::Pending => 1,
        CmdFlag::Executed => 2,
    });
    let columns = if items.len() > rows && area.width >= 100 { 2 } else { 1 };
    let width = area.width / columns;
    for (at, command) in items.iter().take(rows * usize::from(columns)).enumerate() {
        let column = u16::try_from(at / rows).unwrap_or(0);
        let row = first + u16::try_from(at % rows).unwrap_or(0);
        let place = Rect { x: area.x + column * width, width, ..area };
        let is_last = at + 1 == rows * usize::from(columns) && items.len() > at + 1;
        if is_last {
            put(buffer, place, row, 1, &format!("{} more: enter", items.len() - at), theme.faint());
            break;
        }
        let (text, style) = verdict(command, world.time(), theme);
        let sign = text.chars().take(1).collect::<String>();
        let end = put(buffer, place, row, 1, &format!("{sign} "), style);
        let end = put(buffer, place, row, end, &world.fleet.name_of(&command.app), Style::new());
        put(buffer, place, row, end + 1, &text[sign.len()..], style);
    }
}

fn ago(time: Timestamp, world: &World) -> String {
    format!("{} ago", span((world.time() - time).num_seconds()))
}

/// With seconds today, else the day.
fn moment(time: Timestamp, now: Timestamp) -> String {
    let is_today = time.with_timezone(&Local).date_naive() == now.with_timezone(&Local).date_naive();
    if is_today { time.with_timezone(&Local).format("%H:%M:%S").to_string() } else { clock(time, now) }
}

/// How many of each verdict; of one command, its verdict.
fn totals(batch: &Batch, theme: Theme) -> (String, Style) {
    let glyphs = theme.glyphs;
    let style = match (batch.refused, batch.pending) {
        (1.., _) => theme.alarm(),
        (0, 1..) => theme.pending(),
        (0, 0) => theme.good(),
    };
    let time = batch.took().map(took);
    if batch.commands.len() == 1 {
        let text = match (batch.executed, batch.refused) {
            (1.., _) => format!("{} {}", glyphs.executed, time.unwrap_or_default()),
            (0, 1..) => {
                format!("{} {}", glyphs.refused, batch.reason().map(ToString::to_string).unwrap_or_default())
            }
            (0, 0) => glyphs.pending.to_string(),
        };
        return (text, style);
    }
    let mut words = Vec::new();
    for (number, glyph) in
        [(batch.executed, glyphs.executed), (batch.refused, glyphs.refused), (batch.pending, glyphs.pending)]
    {
        if number > 0 {
            words.push(format!("{glyph}{}", count(number as u64)));
        }
    }
    words.extend(time.filter(|_| batch.refused == 0));
    (words.join(" "), style)
}

fn verdict(command: &CommandRow, now: Timestamp, theme: Theme) -> (String, Style) {
    let glyphs = theme.glyphs;
    let length = took(command.executed.unwrap_or(now) - command.time);
    match command.flag {
        CmdFlag::Executed => (format!("{} EXECUTED {length}", glyphs.executed), theme.good()),
        CmdFlag::NotExecuted => {
            let reason = command.reason_text();
            (format!("{} NOT_EXECUTED: {reason}", glyphs.refused), theme.alarm())
        }
        CmdFlag::Pending => (format!("{} PENDING {length}", glyphs.pending), theme.pending()),
    }
}
