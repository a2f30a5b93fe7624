//! Alerts, one row a cause.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::list::{self, Column};
use super::text::{clock, count, put, span};
use crate::console::past::{Cause, Sign};
use crate::console::screen::alerts::Alerts;
use crate::console::theme::Theme;
use crate::console::world::{Bell, World};
use crate::model::Timestamp;

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
    let foot = alerts.foot(area.height);
    let table = Rect { height: area.height - foot.lines, ..area };
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
    if foot.lines > 1
        && let Some(cause) = alerts.causes.current()
    {
        let row = table.height;
        let whole = cause.alerts.first().map_or(&cause.what, |alert| &alert.message);
        put(buffer, area, row, 1, &format!("{}: {whole}", cause.who), Style::new());
        if foot.facts {
            put(buffer, area, row + 1, 1, &facts(cause, time), theme.faint());
        }
        for (line, row) in detail(cause, foot.detail).zip(row + 2..) {
            put(buffer, area, row, 3, line, Style::new());
        }
    }
    if foot.lines > 1 && alerts.causes.is_read && alerts.causes.fault.is_none() {
        let grouped = if alerts.is_single { "one row an alert" } else { "grouped by cause" };
        let muted =
            if alerts.muted > 0 { format!("; {} muted, v shows", alerts.muted) } else { String::new() };
        let bell = if world.bell == Bell::On { "; the bell is on" } else { "" };
        let attended = match alerts.attended {
            0 => String::new(),
            attended => format!(" and {} acknowledged", count(attended as u64)),
        };
        let text = format!(
            "{grouped}: {} open{attended} in {} rows{muted}{bell}",
            count(world.unattended().unwrap_or(0) as u64),
            count(alerts.causes.rows.len() as u64)
        );
        put(buffer, area, area.height - 1, 1, &text, theme.faint());
    }
}

/// How bad, how often and when; who looks after it, until when it is muted, and whether it was sent.
fn facts(cause: &Cause, now: Timestamp) -> String {
    let alerts = &cause.alerts;
    let (Some(newest), Some(last_seen)) = (alerts.first(), alerts.iter().map(|alert| alert.last_seen).max())
    else {
        return format!("a conclusion of this console, since {}", clock(cause.since, now));
    };
    let times: u64 = alerts.iter().map(|alert| u64::from(alert.count)).sum();
    let mut facts = vec![
        newest.severity.to_string(),
        format!(
            "{} since {}",
            if times == 1 { "once".to_owned() } else { format!("{} times", count(times)) },
            clock(cause.since, now)
        ),
        format!("last {}", clock(last_seen, now)),
    ];
    let sent: Vec<_> = alerts.iter().filter_map(|alert| alert.delivered).collect();
    facts.push(match sent.iter().min() {
        Some(first) if sent.len() == alerts.len() => format!("sent {}", clock(*first, now)),
        Some(first) => format!("sent {} ({} of {})", clock(*first, now), sent.len(), alerts.len()),
        None => "not sent yet".to_owned(),
    });
    if let (Some(by), Some((_, at))) = (cause.acknowledged(), &newest.acknowledged) {
        facts.push(format!("{by} looks after it since {}", clock(*at, now)));
    }
    facts.extend(cause.muted(now).map(|until| format!("muted until {}", clock(until, now))));
    facts.extend(newest.manager.as_ref().map(|manager| format!("seen by {manager}")));
    facts.join(", ")
}

/// The last lines that a run wrote to its standard error, of the newest alert that has any.
fn detail(cause: &Cause, lines: u16) -> impl Iterator<Item = &str> {
    let detail = cause.alerts.iter().find_map(|alert| alert.detail.as_deref()).unwrap_or_default();
    let all = detail.lines().count();
    detail.lines().skip(all.saturating_sub(usize::from(lines)))
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
