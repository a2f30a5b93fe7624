//! Text into cells: cut to its place, with everything odd made visible.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use chrono::{Local, TimeDelta};

use crate::console::cells::cells;
use crate::console::theme::Theme;
use crate::model::{AppPath, Labels, Printable, Timestamp};

/// Writes text at a column of a row; gives back the column after it.
pub(super) fn put(buffer: &mut Buffer, area: Rect, row: u16, column: u16, text: &str, style: Style) -> u16 {
    if row >= area.height || column >= area.width {
        return column;
    }
    let room = usize::from(area.width - column);
    let shown = Printable(text).text();
    // What was there before, a line most often, leaves nothing of its style.
    let style = Style::reset().patch(style);
    let (end, _) = buffer.set_stringn(area.x + column, area.y + row, shown, room, style);
    end - area.x
}

/// As much of a path as fits: names differ at the end.
pub(super) fn fitting(path: &AppPath, width: u16) -> String {
    let forms = [path.to_string(), format!("{}/{}", path.parent, path.name)];
    let fits = |form: &String| cells(form) <= width;
    forms.into_iter().find(fits).unwrap_or_else(|| path.name.to_string())
}

/// A line across a row.
pub(super) fn rule(theme: Theme, buffer: &mut Buffer, area: Rect, row: u16) {
    let line: String = std::iter::repeat_n(theme.glyphs.rule, usize::from(area.width)).collect();
    put(buffer, area, row, 0, &line, theme.faint());
}

/// The first row of a window of this height that follows the cursor and keeps it off the edges.
pub(in crate::console) fn top_of(cursor: usize, height: usize, rows: usize) -> usize {
    let margin = (height / 4).min(3);
    cursor.saturating_sub(height.saturating_sub(margin + 1)).min(rows.saturating_sub(height))
}

/// Who looks after an app, and the words by which it is found; `None` where nothing is written on it.
pub(super) fn labels(Labels { owner, tags }: Labels<'_>) -> Option<String> {
    let tags = tags.iter().map(|tag| format!("tag:{tag}")).collect::<Vec<_>>().join(" ");
    match (owner, tags.as_str()) {
        (None, "") => None,
        (None, tags) => Some(format!("-   {tags}")),
        (Some(owner), "") => Some(owner.to_owned()),
        (Some(owner), tags) => Some(format!("{owner}   {tags}")),
    }
}

/// Writes text that ends before this column.
pub(super) fn put_right(buffer: &mut Buffer, area: Rect, row: u16, end: u16, text: &str, style: Style) {
    put(buffer, area, row, end.saturating_sub(cells(text)), text, style);
}

/// `12,301`, or `24.0M` when that would take more than nine places.
pub(super) fn count(value: u64) -> String {
    if value >= 10_000_000 {
        #[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
        let millions = value as f64 / 1e6;
        return if millions >= 10_000.0 {
            format!("{:.1}G", millions / 1e3)
        } else {
            format!("{millions:.1}M")
        };
    }
    let digits = value.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `402`, `4,112`, `12.3k`, `4.1M`: at most six places.
pub(super) fn short(value: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
    let of = |unit: f64, sign: char| {
        let value = value as f64 / unit;
        if value < 99.95 { format!("{value:.1}{sign}") } else { format!("{value:.0}{sign}") }
    };
    match value {
        0..100_000 => count(value),
        100_000..1_000_000 => of(1e3, 'k'),
        1_000_000..1_000_000_000 => of(1e6, 'M'),
        1_000_000_000.. => of(1e9, 'G'),
    }
}

/// Items a second, with as many decimals as matter.
pub(super) fn rate(value: f64) -> String {
    match value {
        0.0 => "0".to_owned(),
        value if value < 0.995 => format!("{value:.2}"),
        value if value < 99.95 => format!("{value:.1}"),
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a rate is no negative number"
        )]
        value => short(value.round().clamp(0.0, 1e18) as u64),
    }
}

/// `48s`, `22m`, `1h12m`, `3d04h`.
pub(in crate::console) fn span(seconds: i64) -> String {
    match seconds.max(0) {
        seconds @ 0..60 => format!("{seconds}s"),
        seconds @ 60..3600 => format!("{}m", seconds / 60),
        seconds @ 3600..86_400 => format!("{}h{:02}m", seconds / 3600, seconds % 3600 / 60),
        seconds => format!("{}d{:02}h", seconds / 86_400, seconds % 86_400 / 3600),
    }
}

/// How long something took: `0.3s`, `22m10s`, `1h12m`.
pub(super) fn took(length: TimeDelta) -> String {
    let tenths = length.num_milliseconds().max(0) / 100;
    match tenths {
        0..600 => format!("{}.{}s", tenths / 10, tenths % 10),
        600..36_000 => format!("{}m{:02}s", tenths / 600, tenths / 10 % 60),
        _ => span(tenths / 10),
    }
}

/// A moment of the local day, or the day where it is another.
pub(in crate::console) fn clock(time: Timestamp, now: Timestamp) -> String {
    let (time, now) = (time.with_timezone(&Local), now.with_timezone(&Local));
    let form = if time.date_naive() == now.date_naive() { "%H:%M" } else { "%m-%d" };
    time.format(form).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_at_the_right_ends_where_it_should_whatever_its_characters() {
        let area = Rect::new(0, 0, 8, 1);
        let mut buffer = Buffer::empty(area);
        put_right(&mut buffer, area, 0, 8, "日本", Style::new());
        // The second cell of a wide character holds a blank.
        let row: String = (0..8).map(|x| buffer[(x, 0)].symbol()).collect();
        assert_eq!(row, "    日 本 ");
    }

    #[test]
    fn numbers_and_spans_are_short() {
        let counts: Vec<_> = [0, 999, 1000, 12_301, 9_999_999, 24_000_000, 50_100_000_000].map(count).into();
        assert_eq!(counts, ["0", "999", "1,000", "12,301", "9,999,999", "24.0M", "50.1G"]);
        let spans: Vec<_> = [-5, 0, 59, 60, 1320, 4320, 90_000].map(span).into();
        assert_eq!(spans, ["0s", "0s", "59s", "1m", "22m", "1h12m", "1d01h"]);
        let lengths: Vec<_> = [0, 300, 59_990, 60_000, 1_330_000, 4_320_000]
            .map(|milliseconds| took(TimeDelta::milliseconds(milliseconds)))
            .into();
        assert_eq!(lengths, ["0.0s", "0.3s", "59.9s", "1m00s", "22m10s", "1h12m"]);
    }
}
