//! The log of an app, or of several. Only lines that are seen are wrapped or cut.

use chrono::Local;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::Span;

use super::text::{count, put, put_right, rule, span};
use crate::console::logs::{Level, LogLine, Source};
use crate::console::past::together;
use crate::console::screen::logs::{FRAME, Logs, TimeForm, short};
use crate::console::theme::Theme;
use crate::console::world::World;
use crate::model::{Printable, Timestamp};

/// Cells of an app's name in a merged log.
const NAME: usize = 14;

/// Below this width there is no room for fractions of a second.
const NARROW: u16 = 60;

pub(super) fn draw(log: &Logs, world: &World, theme: Theme, buffer: &mut Buffer, area: Rect) {
    if log.apps().is_empty() {
        put(buffer, area, 0, 1, "choose an app on the fleet screen and press l", theme.faint());
        return;
    }
    title(log, theme, buffer, area);
    let height = usize::from(area.height).saturating_sub(FRAME);
    let lines = Rect { y: area.y + 1.min(area.height), height: u16::try_from(height).unwrap_or(0), ..area };
    draw_lines(log, world, theme, buffer, lines);
    if area.height > 2 {
        status(log, world, theme, buffer, area);
    }
}

/// The last lines alone, under a title.
pub(super) fn draw_tail(log: &Logs, world: &World, theme: Theme, buffer: &mut Buffer, area: Rect) {
    rule(theme, buffer, area, 0);
    put(buffer, area, 0, 1, " log, last lines ", theme.faint());
    put_right(buffer, area, 0, area.width.saturating_sub(1), " l opens it ", theme.faint());
    let height = area.height.saturating_sub(1);
    draw_lines(log, world, theme, buffer, Rect { y: area.y + area.height.min(1), height, ..area });
}

/// As many lines as there is room for, or why there are none.
pub(super) fn draw_lines(log: &Logs, world: &World, theme: Theme, buffer: &mut Buffer, area: Rect) {
    let view = View { log, world, theme };
    for (row, piece) in view.pieces(usize::from(area.height), area.width).iter().enumerate() {
        view.draw(piece, buffer, area, u16::try_from(row).unwrap_or(u16::MAX));
    }
    if let Some(fault) = &log.fault {
        put(buffer, area, 0, 1, fault, theme.alarm());
    } else if log.buffer.amount().0 == 0 {
        put(buffer, area, 0, 1, &empty(log, world), theme.faint());
    }
}

fn empty(log: &Logs, world: &World) -> String {
    if !log.is_read {
        return "reading ...".to_owned();
    }
    let row = log.apps().first().and_then(|app| world.fleet.get(app));
    match (&log.afar.fault, row.and_then(|row| Some((row.last_run?, row.manager.as_deref()?)))) {
        (Some(fault), _) => format!("it is not on this host, and the database says: {fault}"),
        (None, Some((last, manager))) => {
            let kept = if log.afar.is_nowhere { ", nor in the database" } else { "" };
            let ago = span((world.time() - last).num_seconds());
            format!("no log of it is on this host{kept}; it last ran under manager {manager}, {ago} ago")
        }
        (None, None) => "no output yet".to_owned(),
    }
}

fn title(log: &Logs, theme: Theme, buffer: &mut Buffer, area: Rect) {
    rule(theme, buffer, area, 0);
    let at = put(buffer, area, 0, 1, &format!(" logs  {} ", together(log.apps())), theme.strong());
    let run = match log.run() {
        _ if area.width < NARROW => String::new(),
        (Some(run), true) if log.apps().len() == 1 => format!(" run {} ", short(run)),
        (Some(run), false) => format!(" run {}, no other ", short(run)),
        (Some(_) | None, _) => String::new(),
    };
    put(buffer, area, 0, at, &run, theme.faint());
    if let Some(manager) = &log.afar.manager {
        put(buffer, area, 0, at + 14, &format!(" its end, from {manager} "), theme.faint());
    }
    let state = match (log.buffer.is_following(), log.buffer.unseen()) {
        (true, _) => " following ".to_owned(),
        (false, 0) => " held ".to_owned(),
        (false, unseen) => format!(" held, {} new lines below ", count(unseen as u64)),
    };
    put_right(buffer, area, 0, area.width.saturating_sub(1), &state, theme.strong());
}

fn status(log: &Logs, world: &World, theme: Theme, buffer: &mut Buffer, area: Rect) {
    let mut words = Vec::new();
    if let Some(search) = log.buffer.search() {
        let (place, hits) = log.buffer.hit();
        let age = place
            .and_then(|(_, number)| log.buffer.line(number)?.time)
            .map(|time| format!(", {} ago", span((world.time() - time).num_seconds())));
        let place = place.map_or_else(String::new, |(place, _)| format!("{place} of "));
        let only = if log.buffer.shows_only_hits() { " only" } else { "" };
        words.push(format!(
            "/{}  {place}{} hits{only}{}",
            search.text(),
            count(hits as u64),
            age.unwrap_or_default()
        ));
    }
    let level = log
        .buffer
        .level()
        .map_or_else(|| "all levels".to_owned(), |level| format!("level>={}", level.letter()));
    words.push(level);
    words.push(if log.wraps { "wrap on".to_owned() } else { "wrap off".to_owned() });
    if log.left > 0 {
        words.push(format!("from column {}", log.left + 1));
    }
    let (lines, bytes) = log.buffer.amount();
    words.push(format!("buffer {} lines, {} kB", count(lines as u64), count(bytes as u64 / 1000)));
    put(buffer, area, area.height - 1, 1, &words.join("   "), theme.faint());
}

struct View<'a> {
    log: &'a Logs,
    world: &'a World,
    theme: Theme,
}

/// What is drawn in one row.
struct Piece<'a> {
    line: &'a LogLine,
    is_first: bool,
    text: String,
    /// So many lines are folded behind it.
    folded: u64,
    is_hit: bool,
}

impl<'a> View<'a> {
    /// What the rows of the window hold, from the top.
    fn pieces(&self, height: usize, width: u16) -> Vec<Piece<'a>> {
        let buffer = &self.log.buffer;
        let room = usize::from(width).saturating_sub(self.margin(width)).max(1);
        let begin = buffer.window_place(height);
        let mut pieces = Vec::new();
        for number in buffer.shown().range(begin..).take(height).copied() {
            let Some(line) = buffer.line(number) else { continue };
            let fold = buffer.closed_fold(number);
            let told = fold.and_then(|fold| buffer.line(fold.told_by)).unwrap_or(line);
            let text = text_of(told);
            let folded = fold.map_or(0, |fold| fold.lines - 1);
            let is_hit = buffer.hit().0.is_some_and(|(_, hit)| hit == number);
            let is_remark = matches!(line.source, Source::Gap | Source::Run);
            let parts = if self.log.wraps && !is_remark {
                wrapped(&text, room)
            } else {
                vec![skipped(&text, self.log.left)]
            };
            pieces.extend(parts.into_iter().enumerate().map(|(at, text)| Piece {
                line,
                is_first: at == 0,
                text,
                folded: if at == 0 { folded } else { 0 },
                is_hit,
            }));
        }
        // Wrapped lines take more rows than there are: the end is what is followed.
        let surplus = pieces.len().saturating_sub(height);
        if buffer.is_following() {
            pieces.drain(..surplus);
        } else {
            pieces.truncate(height);
        }
        pieces
    }

    /// Cells before the text.
    fn margin(&self, width: u16) -> usize {
        let time = self.time_width(width);
        let name = if self.log.apps().len() > 1 { NAME + 1 } else { 0 };
        1 + time + usize::from(time > 0) + name + 2
    }

    fn time_width(&self, width: u16) -> usize {
        match (self.log.time, width < NARROW) {
            (TimeForm::Off, _) => 0,
            (TimeForm::Age, _) => 6,
            (TimeForm::Clock, true) => 8,
            (TimeForm::Clock, false) => 12,
        }
    }

    fn time(&self, time: Timestamp, width: u16) -> String {
        match self.log.time {
            TimeForm::Off => String::new(),
            TimeForm::Age => format!("{:>6}", span((self.world.time() - time).num_seconds())),
            TimeForm::Clock => {
                let form = if width < NARROW { "%H:%M:%S" } else { "%H:%M:%S%.3f" };
                time.with_timezone(&Local).format(form).to_string()
            }
        }
    }

    fn draw(&self, piece: &Piece<'_>, buffer: &mut Buffer, area: Rect, row: u16) {
        let theme = self.theme;
        let line = piece.line;
        if matches!(line.source, Source::Gap | Source::Run) {
            self.draw_remark(line, buffer, area, row);
            return;
        }
        let at = u16::try_from(self.margin(area.width)).unwrap_or(u16::MAX);
        if piece.is_first {
            let mut column = 1;
            if let Some(time) = line.time {
                put(buffer, area, row, column, &self.time(time, area.width), theme.faint());
            }
            let width = self.time_width(area.width);
            column += u16::try_from(width + usize::from(width > 0)).unwrap_or(0);
            if let [_, _, ..] = self.log.apps() {
                let app = self.log.apps().get(usize::from(line.origin));
                let name: String =
                    app.map(|app| app.name.as_str().chars().take(NAME).collect()).unwrap_or_default();
                put(buffer, area, row, column, &name, theme.strong());
                column += u16::try_from(NAME + 1).unwrap_or(0);
            }
            let letter = match (line.level, line.source) {
                (Some(level), _) => level.letter(),
                (None, Source::Dcm) => '*',
                (None, Source::Err) => 'e',
                (None, _) => ' ',
            };
            put(buffer, area, row, column, &letter.to_string(), style_of(line, theme));
        }
        let end = put(buffer, area, row, at, &piece.text, text_style(line, theme));
        if let Some(search) = self.log.buffer.search()
            && let Some(place) = search.place(&piece.text)
        {
            let before = u16::try_from(width_of(&piece.text[..place.start])).unwrap_or(u16::MAX);
            let width = u16::try_from(width_of(&piece.text[place])).unwrap_or(u16::MAX);
            let from = at.saturating_add(before).min(area.width);
            let width = width.min(area.width - from);
            let found = Rect { x: area.x + from, y: area.y + row, width, height: 1 };
            buffer.set_style(found.intersection(area), theme.cursor());
        }
        if piece.folded > 0 {
            let text = format!(" [+{} lines, o]", piece.folded);
            if end.saturating_add(text.len().try_into().unwrap_or(0)) < area.width {
                put_right(buffer, area, row, area.width.saturating_sub(1), &text, theme.faint());
            } else {
                put_right(buffer, area, row, area.width, &text, theme.strong());
            }
        }
        if piece.is_hit && piece.is_first {
            put(buffer, area, row, 0, &theme.glyphs.closed.to_string(), theme.strong());
        }
    }

    fn draw_remark(&self, line: &LogLine, buffer: &mut Buffer, area: Rect, row: u16) {
        let theme = self.theme;
        let (sign, style, word) = match line.source {
            Source::Gap => (theme.glyphs.gap, theme.alarm(), "gap: "),
            Source::Out | Source::Err | Source::Dcm | Source::Run => (theme.glyphs.rule, theme.faint(), ""),
        };
        let all: String = std::iter::repeat_n(sign, usize::from(area.width)).collect();
        put(buffer, area, row, 0, &all, style);
        let name = match self.log.apps().get(usize::from(line.origin)) {
            Some(app) if self.log.apps().len() > 1 => format!("{}: ", app.name),
            Some(_) | None => String::new(),
        };
        put(buffer, area, row, 4, &format!(" {name}{word}{} ", line.text), style);
    }
}

fn style_of(line: &LogLine, theme: Theme) -> Style {
    match (line.level, line.source) {
        (Some(Level::Error), _) => theme.alarm(),
        (Some(Level::Warn), _) => theme.late(),
        (Some(Level::Debug), _) => theme.faint(),
        (None, Source::Dcm) => theme.strong(),
        (None, Source::Err) => theme.pending(),
        (Some(Level::Info) | None, _) => Style::new(),
    }
}

fn text_style(line: &LogLine, theme: Theme) -> Style {
    match line.level {
        Some(Level::Debug) => theme.faint(),
        Some(Level::Info | Level::Warn | Level::Error) | None => match line.source {
            Source::Dcm => theme.strong(),
            Source::Out | Source::Err | Source::Gap | Source::Run => Style::new(),
        },
    }
}

fn text_of(line: &LogLine) -> String {
    let text = Printable(&line.text).to_string();
    if line.cut > 0 { format!("{text} [{} bytes more]", line.cut) } else { text }
}

fn width_of(text: &str) -> usize {
    if text.is_ascii() { text.len() } else { Span::raw(text).width() }
}

fn cells(c: char) -> usize {
    if c.is_ascii() { 1 } else { Span::raw(&*c.encode_utf8(&mut [0; 4])).width() }
}

/// Without what is left of this column.
fn skipped(text: &str, left: usize) -> String {
    let mut at = 0;
    let place = text.char_indices().find(|(_, c)| {
        let is_seen = at >= left;
        at += cells(*c);
        is_seen
    });
    place.map(|(place, _)| text[place..].to_owned()).unwrap_or_default()
}

/// In pieces that fit.
fn wrapped(text: &str, room: usize) -> Vec<String> {
    let mut pieces = vec![String::new()];
    let mut used = 0;
    for c in text.chars() {
        let width = cells(c);
        if used + width > room && used > 0 {
            pieces.push(String::new());
            used = 0;
        }
        used += width;
        if let Some(piece) = pieces.last_mut() {
            piece.push(c);
        }
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_wrapped_and_shifted_by_cells() {
        assert_eq!(wrapped("abcdefg", 3), ["abc", "def", "g"]);
        assert_eq!(wrapped("漢字漢", 3), ["漢", "字", "漢"]);
        assert_eq!(wrapped("漢", 1), ["漢"], "what does not fit is not lost for ever");
        assert_eq!(wrapped("", 3), [""]);
        assert_eq!(skipped("abc", 1), "bc");
        assert_eq!(skipped("漢字c", 2), "字c");
        assert_eq!(skipped("abc", 9), "");
    }
}
