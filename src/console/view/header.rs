//! The first lines: what fleet this is, how it is, and how old that knowledge is.

use std::time::Duration;

use chrono::Local;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::text::{count, put, put_right, rate, short, span};
use crate::console::cells::{cells, cut};
use crate::console::fleet::Trouble;
use crate::console::fleet::rate::per_second;
use crate::console::keymap::{Common, Intent};
use crate::console::model::Model;
use crate::console::theme::Theme;
use crate::console::world::Link;
use crate::model::explain::State;

/// From these widths on there is room for more words.
const WORDS_FROM: u16 = 110;
const NAMES_FROM: u16 = 60;

/// Where there is little room, the distance of the terminal is told when it is felt.
const FAR: Duration = Duration::from_millis(100);

/// A line that is filled from the left, as long as there is room.
struct Pen<'a> {
    buffer: &'a mut Buffer,
    area: Rect,
    row: u16,
    at: u16,
    /// What is at the right must not be written over.
    end: u16,
}

impl Pen<'_> {
    /// Writes a piece, if all of it has room.
    fn put(&mut self, text: &str, style: Style) {
        let width = cells(text);
        if self.at.saturating_add(width) <= self.end {
            self.at = put(self.buffer, self.area, self.row, self.at, text, style);
        }
    }
}

pub(super) fn draw(model: &Model, theme: Theme, buffer: &mut Buffer, area: Rect) {
    if area.height == 0 {
        return;
    }
    first_line(model, theme, buffer, area);
    if area.height > 1 {
        if let Link::Lost { .. } = &model.world.link {
            banner(model, theme, buffer, area, 1);
        } else {
            second_line(model, theme, buffer, area);
        }
    }
    if area.height > 2 {
        third_line(model, theme, buffer, area);
    }
}

fn first_line(model: &Model, theme: Theme, buffer: &mut Buffer, area: Rect) {
    let world = &model.world;
    let is_small = area.height == 1;
    let time = world.time().with_timezone(&Local);
    let right = if area.width >= NAMES_FROM {
        format!(" {}  {} ", world.identity.user, time.format("%H:%M:%S"))
    } else {
        format!(" {} ", time.format("%H:%M"))
    };
    put_right(buffer, area, 0, area.width, &right, theme.faint());
    let taken = cells(&right);
    let end = area.width.saturating_sub(taken);
    let mut pen = Pen { buffer, area, row: 0, at: 0, end };
    if area.width >= NAMES_FROM {
        // The name of the fleet is cut before the counts are.
        let room = (area.width / 2).saturating_sub(20);
        let database = cut(&world.identity.database, room);
        pen.put(&format!(" dcm {database} "), theme.strong());
        let role = match (world.identity.is_attached, world.identity.is_read_only()) {
            (_, true) => "[RO]",
            (true, false) => "[attached]",
            (false, false) => "[client]",
        };
        pen.put(role, theme.faint());
        if world.is_dry {
            pen.put(" [DRY RUN]", theme.banner());
        }
        pen.put(&format!(" {} apps ", count(world.fleet.total.apps as u64)), theme.faint());
    } else {
        pen.put(" dcm", theme.strong());
    }
    if is_small && let Link::Lost { since, .. } = &world.link {
        pen.put(&format!(" CONNECTION LOST {}", lost_for(world.now.mono, *since)), theme.banner());
        return;
    }
    counts(model, &[State::Running], theme, &mut pen);
    if is_small {
        // What needs somebody comes before what rests.
        troubles(model, theme, &mut pen);
    }
    counts(model, &[State::Idle, State::Waiting, State::Stopped], theme, &mut pen);
    let total = &world.fleet.total;
    if total.disabled > 0 {
        let word = if area.width >= WORDS_FROM { " disabled" } else { "" };
        let text = format!(" {}{}{word}", theme.glyphs.disabled, count(total.disabled as u64));
        pen.put(&text, theme.disabled());
    }
}

fn counts(model: &Model, states: &[State], theme: Theme, pen: &mut Pen<'_>) {
    let total = &model.world.fleet.total;
    let has_words = pen.area.width >= WORDS_FROM;
    for state in states.iter().copied() {
        let number = total.of(state);
        if number > 0 || state == State::Running {
            let word = if has_words { format!(" {} ", state.word()) } else { String::new() };
            let sign = theme.glyphs.state(state);
            pen.put(&format!(" {sign}{}{word}", count(number as u64)), theme.state(state));
        }
    }
}

fn troubles(model: &Model, theme: Theme, pen: &mut Pen<'_>) {
    let total = &model.world.fleet.total;
    let has_words = pen.area.width >= NAMES_FROM;
    for trouble in Trouble::ALL {
        let number = total.with(trouble);
        if number > 0 {
            let word = if has_words { format!(" {} ", trouble.word()) } else { String::new() };
            let sign = super::fleet::sign(theme, trouble);
            let text = format!(" {sign}{}{word}", count(number as u64));
            pen.put(&text, super::fleet::trouble_style(theme, trouble));
        }
    }
}

fn second_line(model: &Model, theme: Theme, buffer: &mut Buffer, area: Rect) {
    let world = &model.world;
    let mut pen = Pen { buffer, area, row: 1, at: 0, end: area.width };
    if let Some(held) = &world.held {
        let text = format!(
            " PAUSED, {} changes wait; {} goes on ",
            count(held.rows as u64),
            common(model, Common::Pause)
        );
        pen.put(&text, theme.cursor());
    }
    if let Some(frames) = world.slow_link() {
        pen.put(&format!(" link slow {frames} fps "), theme.late());
    }
    troubles(model, theme, &mut pen);
    let set_aside = world.fleet.set_aside().count();
    if set_aside > 0 {
        pen.put(&format!(" {set_aside} set aside "), theme.alarm());
    }
    let broken = world.fleet.living(world.time()).filter(|row| row.broker_trouble().is_some()).count();
    if broken > 0 {
        let of = if broken > 1 { format!(" of {broken} managers") } else { String::new() };
        pen.put(&format!(" RabbitMQ away{of} "), theme.alarm());
    }
    let is_fresh = matches!(world.link, Link::Fresh);
    match world.fleet.live_managers(world.time()) {
        0 if !is_fresh => {
            pen.put(" no manager is running: nothing is started or stopped ", theme.alarm());
        }
        _ if area.height < 3 => ages(model, theme, &mut pen),
        _ => {}
    }
    work_rates(model, theme, &mut pen);
    let total = &world.fleet.total;
    documents(model, theme, &mut pen);
    if area.height > 2 && total.pending > 0 {
        pen.put(&format!("  commands {}{}", total.pending, theme.glyphs.pending), theme.pending());
    }
    if area.height > 2 && total.refused > 0 {
        pen.put(&format!("  refused {}{}", total.refused, theme.glyphs.refused), theme.alarm());
    }
}

/// Documents that wait, and those that failed, where there are any.
fn documents(model: &Model, theme: Theme, pen: &mut Pen<'_>) {
    let Some(sums) = model.world.documents else { return };
    if sums.waiting + sums.working > 0 {
        pen.put(&format!("  docs {}", short(sums.waiting + sums.working)), Style::new());
    }
    if sums.failed + sums.dead > 0 {
        let style = if sums.dead > 0 { theme.alarm() } else { theme.failed() };
        pen.put(&format!("  docs failed {}", short(sums.failed + sums.dead)), style);
    }
}

/// How fast all apps together get on, by the samples in their rows, and how many runs began in the last minute.
fn work_rates(model: &Model, theme: Theme, pen: &mut Pen<'_>) {
    let world = &model.world;
    let (fleet, total) = (&world.fleet, &world.fleet.total);
    if !fleet.meter.is_empty() {
        let bars = fleet.meter.bars(usize::from(pen.area.width / 10).min(23), world.time());
        // Those that run have just begun, or count nothing.
        let is_unknown = total.timed == 0 && total.running() > 0;
        let shown = |speed| if is_unknown { "-".to_owned() } else { rate(per_second(speed)) };
        pen.put(&format!("  solved {}/s ", shown(total.speed.solved)), Style::new());
        let spark = theme.glyphs.spark(bars.iter().map(|bar| bar.solved));
        pen.put(spark.trim_start(), theme.spark());
        pen.put(&format!("  failed {}/s ", shown(total.speed.failed)), Style::new());
        let spark = theme.glyphs.spark(bars.iter().map(|bar| bar.failed));
        pen.put(spark.trim_start(), theme.spark());
    }
    if let Some(begun) = world.begun {
        pen.put(&format!("  started {}/min", count(begun)), Style::new());
    }
}

/// How fast the database answers, how old the data is, how many managers live.
fn ages(model: &Model, theme: Theme, pen: &mut Pen<'_>) {
    let world = &model.world;
    let now = world.time();
    if let Some(latency) = world.latency() {
        pen.put(&format!("  db {}ms", latency.as_millis()), theme.faint());
    }
    if let Link::Up { read } = &world.link {
        let age = (now - *read).as_seconds_f64().max(0.0);
        let age = if age < 10.0 { format!("{age:.1}s") } else { span((now - *read).num_seconds()) };
        pen.put(&format!("  data {age}"), theme.faint());
    }
    if let Some(distance) = world.distance.filter(|distance| pen.row > 1 || *distance >= FAR) {
        pen.put(&format!("  term {}ms", distance.as_millis()), theme.faint());
    }
    let known = world.fleet.managers.iter().filter(|manager| manager.stopped.is_none()).count();
    let live = world.fleet.live_managers(now);
    let style = if live < known { theme.alarm() } else { theme.faint() };
    pen.put(&format!("  mgr {live}/{known}"), style);
}

fn third_line(model: &Model, theme: Theme, buffer: &mut Buffer, area: Rect) {
    let total = &model.world.fleet.total;
    let mut pen = Pen { buffer, area, row: 2, at: 0, end: area.width };
    if let Some(percent) = total.percent() {
        let text = format!(" work {} of {} {percent}% ", short(total.solved), short(total.task_size));
        pen.put(&text, Style::new());
        pen.put(&theme.glyphs.bar(percent, 20), theme.running());
    }
    // The last of those that run: what the whole takes.
    if let Some(eta) = total.extremes.eta {
        let left = (eta - model.world.time()).num_seconds();
        pen.put(&format!("  ETA all {}", if left < 0 { "-".to_owned() } else { span(left) }), Style::new());
    }
    ages(model, theme, &mut pen);
}

/// The key of what can be done everywhere.
fn common(model: &Model, wish: Common) -> String {
    model.world.keys.key(model.tab(), Intent::Common(wish))
}

fn lost_for(now: Duration, since: Duration) -> String {
    let away = now.saturating_sub(since).as_secs();
    format!("{:02}:{:02}", away / 60, away % 60)
}

fn banner(model: &Model, theme: Theme, buffer: &mut Buffer, area: Rect, row: u16) {
    let Link::Lost { since, last, why } = &model.world.link else { return };
    let away = lost_for(model.world.now.mono, *since);
    let data = last
        .map(|last| format!(" - data of {}", last.with_timezone(&Local).format("%H:%M:%S")))
        .unwrap_or_default();
    let again = common(model, Common::ReadAgain);
    let text = format!(" CONNECTION LOST {away}{data} - {again} tries now - {why}");
    let end = put(buffer, area, row, 0, &text, theme.banner());
    let rest = " ".repeat(usize::from(area.width.saturating_sub(end)));
    put(buffer, area, row, end, &rest, theme.banner());
}
