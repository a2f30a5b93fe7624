//! The last two lines: a remark, what became of the last commands, or the app under the cursor; and
//! the keys.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::text::{put, span};
use crate::console::batch::Batch;
use crate::console::cells::cells;
use crate::console::dialog::Dialog;
use crate::console::fleet::Row;
use crate::console::keymap::{Binding, Common, Intent};
use crate::console::model::Model;
use crate::console::screen::{Screen, Tab};
use crate::console::theme::Theme;
use crate::console::world::World;

pub(super) fn draw(model: &Model, theme: Theme, buffer: &mut Buffer, area: Rect) {
    let (message, keys) = if area.height < 2 { (None, 0) } else { (Some(0), 1) };
    if let Some(row) = message {
        if let Some(remark) = &model.world.remark {
            put(buffer, area, row, 1, &remark.text, theme.strong());
        } else if let Some(batch) = model.world.shown_batch() {
            draw_batch(model, batch, theme, buffer, area, row);
        } else if matches!(model.stack.top(), Screen::Fleet) {
            detail(model, theme, buffer, area, row);
        }
    }
    match &model.dialog {
        Some(Dialog::Seek { field, .. }) => {
            let text: Vec<char> = field.text().chars().collect();
            let (before, after) = text.split_at(field.cursor().min(text.len()));
            let at = put(buffer, area, keys, 0, "/", theme.strong());
            let at = put(buffer, area, keys, at, &before.iter().collect::<String>(), theme.strong());
            let under = after.first().copied().unwrap_or(' ').to_string();
            let at = put(buffer, area, keys, at, &under, theme.cursor());
            put(buffer, area, keys, at, &after.iter().skip(1).collect::<String>(), theme.strong());
        }
        Some(Dialog::Confirm(_) | Dialog::Retry(_) | Dialog::Leave { .. }) => {
            put(buffer, area, keys, 0, "esc: nothing is done", theme.faint());
        }
        Some(Dialog::Menu(_)) => {
            put(buffer, area, keys, 0, "enter chooses  esc back", theme.faint());
        }
        Some(Dialog::Help(_)) => {
            put(buffer, area, keys, 0, "/ search  esc back", theme.faint());
        }
        None => {
            put(buffer, area, keys, 0, &keys_of(model, area.width), theme.faint());
        }
    }
}

/// The keys of the screen, as many as there is room for; that of the help is always among them.
fn keys_of(model: &Model, width: u16) -> String {
    let tab = model.tab();
    let is_read_only = model.world.identity.is_read_only();
    let keys = &model.world.keys;
    let word = |binding: &Binding| {
        let is_hidden = is_read_only && binding.is_action()
            || matches!(binding.intent(), Intent::Common(Common::Help))
            || tab != Tab::Fleet && binding.intent() == Intent::Common(Common::Quit);
        binding.foot().filter(|_| !is_hidden)
    };
    let back = (tab != Tab::Fleet).then(|| "esc back".to_owned());
    let words = back.into_iter().chain(keys.of(tab).iter().filter_map(word));
    let help = format!("{} help", keys.key(tab, Intent::Common(Common::Help)));
    let mut text = String::new();
    for word in words {
        if cells(&text) + cells(&word) + cells(&help) + 4 > width {
            break;
        }
        text.push_str(&word);
        text.push_str("  ");
    }
    text + &help
}

fn draw_batch(model: &Model, batch: &Batch, theme: Theme, buffer: &mut Buffer, area: Rect, row: u16) {
    let glyphs = theme.glyphs;
    let (order, score) = (&batch.order, batch.score());
    let what = if order.apps.len() == 1 { order.what.clone() } else { format!("{} apps", order.apps.len()) };
    let mut at = put(buffer, area, row, 1, &format!("{} {what}: ", order.name), theme.strong());
    for (count, glyph, style) in [
        (score.executed, glyphs.executed, theme.good()),
        (score.refused, glyphs.refused, theme.alarm()),
        (score.pending, glyphs.pending, theme.pending()),
    ] {
        if count > 0 {
            at = put(buffer, area, row, at, &format!("{glyph}{count} "), style);
        }
    }
    let undo = model.world.keys.key(Tab::Fleet, Intent::Common(Common::Undo));
    let mut words = Vec::new();
    if score.waiting > 0 {
        words.push(match &batch.halted {
            Some(why) => format!("{} not sent: {why}", score.waiting),
            None => format!("{} to be sent, {undo} stops", score.waiting),
        });
    }
    if let Some(silence) = batch.silence(model.world.now.mono) {
        words.push(format!("{}s no manager took it: {}", silence.as_secs(), heartbeat(model, batch)));
    }
    words.extend(batch.reason().map(ToString::to_string));
    if batch.is_undoable() && !batch.is_under_way() {
        words.push(format!("{undo} undoes it"));
    }
    put(buffer, area, row, at, &words.join("   "), theme.faint());
}

/// What is heard of the manager that should give the verdict.
fn heartbeat(model: &Model, batch: &Batch) -> String {
    let (fleet, now) = (&model.world.fleet, model.world.time());
    let app = batch.waits_for().and_then(|id| fleet.by_id(id));
    let manager = app.and_then(|row| row.manager.as_deref());
    match (manager, manager.and_then(|name| fleet.manager(name))) {
        (Some(name), Some(row)) => {
            let beat = span((now - row.heartbeat).num_seconds());
            match (row.stopped, fleet.has_live(name, now)) {
                (Some(_), _) => format!("{name} has ended"),
                (None, true) => format!("{name} lives (beat {beat})"),
                (None, false) => format!("{name} is silent for {beat}"),
            }
        }
        (Some(name), None) => format!("its manager {name} is not known"),
        (None, _) => match fleet.live_managers(now) {
            0 => "none is running".to_owned(),
            live => format!("it has none yet, {live} live"),
        },
    }
}

fn detail(model: &Model, theme: Theme, buffer: &mut Buffer, area: Rect, row: u16) {
    let Some(app) = model.table.app().and_then(|id| model.world.fleet.by_id(id)) else { return };
    let style = if app.fatal.is_some() { theme.alarm() } else { theme.faint() };
    put(buffer, area, row, 1, &format!("{}  {}", app.path, describe(app, &model.world)), style);
}

/// The strongest reason; where that is an ordinary one, what the app says itself comes first.
fn describe(app: &Row, world: &World) -> String {
    let reasons = world.reasons(app);
    let flagged = reasons.iter().find(|because| because.is_flag());
    let Some(because) = flagged.or_else(|| reasons.first()) else { return app.state.word().to_owned() };
    match &app.message {
        Some(message) if because.is_ordinary() || app.is_running() && flagged.is_none() => {
            message.to_string()
        }
        Some(_) | None => match because.outlook(&world.phrasing()) {
            Some(outlook) if !because.is_ordinary() => format!("{}; {outlook}", because.brief()),
            Some(_) | None => because.brief(),
        },
    }
}
