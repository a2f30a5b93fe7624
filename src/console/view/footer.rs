//! The last three lines: the app under the cursor, what became of the last commands, the keys.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::text::put;
use crate::console::fleet::{Condition, Row};
use crate::console::model::{Focus, Model};
use crate::console::theme::Theme;
use crate::console::tree::Line;

pub(super) fn draw(model: &Model, theme: Theme, buffer: &mut Buffer, area: Rect) {
    detail(model, theme, buffer, area);
    if let Some(remark) = &model.remark {
        put(buffer, area, 1, 1, &remark.text, theme.strong());
    } else if let Some(sent) = &model.sent {
        let glyphs = theme.glyphs;
        let mut at = put(buffer, area, 1, 1, &format!("{} ", sent.what), theme.strong());
        for (count, glyph, style) in [
            (sent.executed, glyphs.executed, theme.good()),
            (sent.refused, glyphs.refused, theme.alarm()),
            (sent.pending, glyphs.pending, theme.pending()),
        ] {
            if count > 0 {
                at = put(buffer, area, 1, at, &format!("{glyph}{count} "), style);
            }
        }
        if let Some(reason) = &sent.reason {
            put(buffer, area, 1, at, reason, theme.faint());
        }
    }
    let keys = match &model.focus {
        Focus::Filter { text, .. } => {
            let at = put(buffer, area, 2, 0, &format!("/{text}"), theme.strong());
            put(buffer, area, 2, at, "_", theme.cursor());
            return;
        }
        Focus::Fleet if area.width < 60 => "s x r E D  l log  n next  ? help",
        Focus::Fleet => "s start x stop r restart E enable D disable | l log / filter n next ? help q quit",
        Focus::Confirm(_) | Focus::Leave { .. } => "esc: nothing is done",
        Focus::Help { .. } => "esc back  up down",
        Focus::Log(_) => "esc back  F follow  g G start end  pgup pgdn",
    };
    put(buffer, area, 2, 0, keys, theme.faint());
}

fn detail(model: &Model, theme: Theme, buffer: &mut Buffer, area: Rect) {
    let Some(Line::App(path)) = model.tree.current() else { return };
    let Some(app) = model.fleet.get(path) else { return };
    let (text, style) = match (&app.fatal, app) {
        (Some((flag, why)), _) => (format!("{path}  {flag}: {why}"), theme.alarm()),
        (None, app) => (format!("{path}  {}", describe(app)), theme.faint()),
    };
    put(buffer, area, 0, 1, &text, style);
}

fn describe(app: &Row) -> String {
    if let Some(limit) = &app.waiting_for {
        return format!("due, waits for room ({limit})");
    }
    if let Some(by) = &app.stopped_by {
        return format!("stopped by {by}; start, restart or enable lets it run");
    }
    match (app.condition, app.disabled, &app.message) {
        (Condition::Running, _, Some(message)) => message.to_string(),
        (Condition::Running, ..) => "running".to_owned(),
        (Condition::Stopped, ..) => "crashed; it is started again after a pause".to_owned(),
        (_, true, _) => "disabled; enable lets it run".to_owned(),
        (_, false, Some(message)) => message.to_string(),
        (_, false, None) if app.next_run.is_none() => "on command only".to_owned(),
        (_, false, None) => "idle".to_owned(),
    }
}
