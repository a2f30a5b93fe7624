//! Alerts, one row a cause.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::list::{self, Column};
use super::text::{count, put, span};
use crate::console::past::{Cause, Sign};
use crate::console::screen::alerts::Alerts;
use crate::console::theme::Theme;
use crate::console::world::{Bell, World};

/// Below this width there is no room for who looks after it.
const NARROW: u16 = 70;

pub(super) fn draw(alerts: &Alerts, world: &World, theme: Theme, buffer: &mut Buffer, area: Rect) {
    let time = world.time();
    let who = if area.width < 110 { 26 } else { 40 };
    let wide = [
        ("SINCE", 6),
        ("", 1),
        ("APP / MANAGER", who),
        ("WHAT", area.width.saturating_sub(who + 25)),
        ("N", 4),
        ("ACK", 0),
    ];
    let columns: &[Column] =
        if area.width < NARROW { &[("", 1), ("APP / MANAGER", 22), ("WHAT", 0)] } else { &wide };
    let foot = area.height.min(2);
    let table = Rect { height: area.height - foot, ..area };
    list::draw(&alerts.causes, columns, "nothing needs anybody", (theme, buffer, table), |cause| {
        let (sign, style) = sign_of(cause, theme);
        let faint = if cause.acknowledged().is_some() { theme.faint() } else { Style::new() };
        let mut cells = vec![
            (sign.to_string(), style),
            (cause.who.clone(), faint.patch(theme.strong())),
            (cause.what.clone(), faint),
        ];
        if area.width >= NARROW {
            cells.insert(0, (span((time - cause.since).num_seconds()), theme.faint()));
            let number = cause.alerts.len().max(cause.apps.len()).max(1);
            cells.push((count(number as u64), Style::new()));
            let until = cause.muted(time).map(|until| format!("mute {}", span((until - time).num_seconds())));
            let ack =
                until.or_else(|| cause.acknowledged().map(str::to_owned)).unwrap_or_else(|| "-".to_owned());
            cells.push((ack, theme.faint()));
        }
        cells
    });
    if foot > 1
        && let Some(cause) = alerts.causes.current()
    {
        let whole = cause.alerts.first().map_or(&cause.what, |alert| &alert.message);
        put(buffer, area, area.height - 2, 1, &format!("{}: {whole}", cause.who), Style::new());
    }
    if foot > 1 && alerts.causes.is_read && alerts.causes.fault.is_none() {
        let grouped = if alerts.is_single { "one row an alert" } else { "grouped by cause" };
        let muted =
            if alerts.muted > 0 { format!("; {} muted, v shows", alerts.muted) } else { String::new() };
        let bell = if world.bell == Bell::On { "; the bell is on" } else { "" };
        let text = format!(
            "{grouped}: {} open in {} rows{muted}{bell}",
            count(alerts.count as u64),
            count(alerts.causes.rows.len() as u64)
        );
        put(buffer, area, area.height - 1, 1, &text, theme.faint());
    }
}

fn sign_of(cause: &Cause, theme: Theme) -> (char, Style) {
    match cause.sign {
        Sign::Unknown => (theme.glyphs.unknown, theme.unknown()),
        Sign::Fatal => (theme.glyphs.fatal, theme.alarm()),
        Sign::Stalled => (theme.glyphs.stalled, theme.stalled()),
        Sign::Warning | Sign::Late => (theme.glyphs.late, theme.late()),
        Sign::Flapping => ('%', theme.late()),
        Sign::Failed => (theme.glyphs.failed, theme.failed()),
    }
}
