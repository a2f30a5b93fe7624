//! What an app did and was told to do: its last runs and commands.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::detail::{Fact, long_clock};
use crate::console::cells::padded;
use crate::console::model::Model;
use crate::console::past::p50;
use crate::console::theme::Theme;
use crate::console::view::text::{clock, count, put, put_right, rule, took};
use crate::model::{Blame, CmdFlag, Run};

/// How long it takes as a rule.
pub(super) fn usual(model: &Model) -> Option<Fact> {
    let runs = &model.table.detail.runs.rows;
    let good = || runs.iter().filter(|run| run.blame() == Some(Blame::Good));
    let middle = p50(runs.iter())?;
    let worst = good().filter_map(|run| Some(run.end? - run.start)).max()?;
    let last = good().find_map(|run| run.end)?;
    let text = format!(
        "{}, at most {} ({} good runs of {})   last ok {}",
        took(middle),
        took(worst),
        good().count(),
        runs.len(),
        clock(last, model.world.time())
    );
    Some(("takes", vec![(text, Style::new())]))
}

/// The last runs in one line, the newest first, as many as there is room for.
pub(super) fn line(model: &Model, theme: Theme, width: u16) -> Option<Fact> {
    let list = &model.table.detail.runs;
    if let Some(fault) = &list.fault {
        return Some(("runs", vec![(fault.clone(), theme.alarm())]));
    }
    let most = usize::from(width / 26).max(1);
    let mut parts = Vec::new();
    for run in list.rows.iter().take(most) {
        let (sign, style) = sign(run, theme);
        let length = took(run.end.unwrap_or_else(|| model.world.time()) - run.start);
        let code = run.exit_code.filter(|code| *code != 0).map(|code| code.to_string()).unwrap_or_default();
        parts.push((format!("{} ", clock(run.start, model.world.time())), theme.faint()));
        parts.push((format!("{sign}{code} "), style));
        let solved = model.world.fleet.counted(run).solved;
        parts.push((format!("{length} {}   ", count(solved)), Style::new()));
    }
    (!parts.is_empty()).then_some(("runs", parts))
}

fn sign(run: &Run, theme: Theme) -> (char, Style) {
    let glyphs = theme.glyphs;
    match run.blame() {
        None => (glyphs.running, theme.running()),
        Some(Blame::Good) => (glyphs.executed, theme.good()),
        Some(Blame::Excused) => (glyphs.stopped, theme.stopped()),
        Some(Blame::Bad | Blame::Doubtful) => (glyphs.refused, theme.alarm()),
    }
}

pub(super) fn titled_table(model: &Model, theme: Theme, buffer: &mut Buffer, area: Rect) {
    rule(theme, buffer, area, 0);
    put(buffer, area, 0, 1, " runs ", theme.faint());
    put(buffer, area, 0, 11, " took ", theme.faint());
    put(buffer, area, 0, 19, " ended ", theme.faint());
    put_right(buffer, area, 0, 52, " solved ", theme.faint());
    put_right(buffer, area, 0, 60, " failed", theme.faint());
    let height = area.height.saturating_sub(1);
    table(model, theme, buffer, Rect { y: area.y + area.height.min(1), height, ..area });
}

/// The last runs, one a row.
pub(super) fn table(model: &Model, theme: Theme, buffer: &mut Buffer, area: Rect) {
    let list = &model.table.detail.runs;
    let now = model.world.time();
    if let Some(fault) = &list.fault {
        put(buffer, area, 0, 1, fault, theme.alarm());
        return;
    }
    if list.rows.is_empty() {
        let text = if list.is_read { "it has not run yet" } else { "reading ..." };
        put(buffer, area, 0, 1, text, theme.faint());
    }
    for (row, run) in (0..area.height).zip(&list.rows) {
        let (sign, style) = sign(run, theme);
        let outcome = run.outcome_word().unwrap_or("running");
        let code = run.exit_code.filter(|code| *code != 0).map(|code| format!(" {code}")).unwrap_or_default();
        let begun =
            if clock(run.start, now).contains(':') { long_clock(run.start) } else { clock(run.start, now) };
        put(buffer, area, row, 1, &begun, theme.faint());
        put_right(buffer, area, row, 18, &took(run.end.unwrap_or(now) - run.start), Style::new());
        put(buffer, area, row, 20, &format!("{sign} {outcome}{code}"), style);
        let counted = model.world.fleet.counted(run);
        put_right(buffer, area, row, 51, &count(counted.solved), Style::new());
        put_right(buffer, area, row, 60, &count(counted.failed), Style::new());
        put(buffer, area, row, 62, run.message.as_deref().unwrap_or_default(), theme.faint());
    }
}

/// The last commands for it, one a row.
pub(super) fn commands(model: &Model, theme: Theme, buffer: &mut Buffer, area: Rect) {
    let list = &model.table.detail.commands;
    if let Some(fault) = &list.fault {
        put(buffer, area, 0, 1, fault, theme.alarm());
        return;
    }
    if list.rows.is_empty() {
        let text = if list.is_read { "no commands for it yet" } else { "reading ..." };
        put(buffer, area, 0, 1, text, theme.faint());
    }
    let glyphs = theme.glyphs;
    for (row, command) in (0..area.height).zip(&list.rows) {
        let (sign, style) = match command.flag {
            CmdFlag::Pending => (glyphs.pending, theme.pending()),
            CmdFlag::Executed => (glyphs.executed, theme.good()),
            CmdFlag::NotExecuted => (glyphs.refused, theme.alarm()),
        };
        let time = format!("{:>5} ", clock(command.time, model.world.time()));
        let at = put(buffer, area, row, 1, &time, theme.faint());
        let at = put(
            buffer,
            area,
            row,
            at,
            &format!("{:<8}{}", command.name.word(), padded(&command.by, 10)),
            Style::new(),
        );
        let reason = command.reason_text();
        let at = put(buffer, area, row, at, &format!(" {sign} {} {reason}", command.flag), style);
        let note = command.note.as_deref().map(|note| format!("   ({note})")).unwrap_or_default();
        put(buffer, area, row, at, &note, theme.faint());
    }
}
