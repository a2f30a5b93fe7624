//! Menus and the palette: opened, narrowed, chosen from.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::{act, data, follow_turn, obey};
use crate::console::cmd::Cmd;
use crate::console::dialog::confirm::Wanted;
use crate::console::dialog::field::Field;
use crate::console::dialog::menu::{Choice, Kind, Menu, Which};
use crate::console::dialog::{Dialog, palette};
use crate::console::keymap::Move;
use crate::console::model::Model;
use crate::console::screen::fleet::{Sort, Spot, Table, View};
use crate::console::screen::{Ask, Tab, Turn};
use crate::model::AppId;

/// So many saved views have a key.
const VIEW_KEYS: usize = 9;

pub(super) fn ask(model: &mut Model, ask: Ask) {
    let menu = match ask {
        Ask::Sort => Some(palette::sort_menu(model)),
        Ask::Columns => Some(palette::column_menu(model)),
        Ask::Actions => palette::action_menu(model),
        Ask::Palette => Some(palette::palette(model)),
        Ask::Export => Some(palette::export_menu()),
        Ask::Messages => Some(palette::message_list(&model.world)),
    };
    model.dialog = menu.map(|menu| Dialog::Menu(Box::new(menu)));
}

/// `g` and a digit: a saved view. `g` alone has gone to the top by then.
pub(super) fn saved_view_key(model: &Model, event: KeyEvent) -> Option<usize> {
    let KeyCode::Char(digit @ '1'..='9') = event.code else { return None };
    let is_meant = model.is_after_top && model.tab() == Tab::Fleet && event.modifiers.is_empty();
    let place = usize::try_from(digit.to_digit(10)?).ok()? - 1;
    (is_meant && place < VIEW_KEYS.min(model.world.views.len())).then_some(place)
}

pub(super) fn open_saved(model: &mut Model, place: usize) {
    model.is_after_top = false;
    if let Some((name, _)) = model.world.views.get(place).cloned() {
        open_view(model, &name);
    }
}

/// Shows a saved view.
pub(in crate::console) fn open_view(model: &mut Model, name: &str) {
    let Some((_, text)) = model.world.views.iter().find(|(known, _)| known == name) else {
        let names: Vec<_> = model.world.views.iter().map(|(known, _)| known.as_str()).collect();
        model.world.say(format!("there is no view {name}; there are {}", names.join(", ")));
        return;
    };
    match View::parse(text) {
        Ok(view) => {
            model.table.set_view(&model.world, view);
            model.world.say(format!("view {name}"));
        }
        Err(why) => model.world.say(format!("view {name}: {why}")),
    }
}

/// Shows what goes with what was typed.
pub(super) fn narrow(model: &mut Model) {
    let Some(Dialog::Menu(menu)) = &mut model.dialog else { return };
    let more = match menu.kind {
        Kind::Palette => palette::offers(&model.world, &menu.query.text()),
        Kind::Once | Kind::Stays => Vec::new(),
    };
    menu.cursor = 0;
    menu.narrow(more);
}

#[expect(clippy::wildcard_enum_match_arm, reason = "all keys but a few are of no concern")]
pub(super) fn key(model: &mut Model, event: KeyEvent) -> Option<Cmd> {
    let Some(Dialog::Menu(menu)) = &mut model.dialog else { return None };
    let is_ctrl = event.modifiers.contains(KeyModifiers::CONTROL);
    let way = match event.code {
        KeyCode::Esc => {
            model.dialog = None;
            return None;
        }
        KeyCode::Enter => return choose(model),
        KeyCode::Tab if menu.kind == Kind::Palette => {
            // The line becomes what was typed, to be changed.
            if let Some(item) = menu.current() {
                menu.query = Field::new(&item.text);
                narrow(model);
            }
            return None;
        }
        KeyCode::Char(' ') if menu.kind == Kind::Stays => return choose(model),
        KeyCode::Up => Move::Up,
        KeyCode::Down => Move::Down,
        KeyCode::Char('p') if is_ctrl => Move::Up,
        KeyCode::Char('n') if is_ctrl => Move::Down,
        KeyCode::PageUp => Move::PageUp,
        KeyCode::PageDown => Move::PageDown,
        _ => {
            if menu.query.edit(event) {
                narrow(model);
            }
            return None;
        }
    };
    menu.cursor = way.from(menu.cursor, 10, menu.shown.len());
    None
}

fn choose(model: &mut Model) -> Option<Cmd> {
    let Some(Dialog::Menu(menu)) = &mut model.dialog else { return None };
    let item = menu.current()?.clone();
    if let Some(why) = item.why_not {
        model.world.say(why);
        return None;
    }
    if menu.kind != Kind::Stays {
        model.dialog = None;
    }
    match item.choice {
        Choice::Intent(intent) => return obey(model, intent),
        Choice::Sort(key) => {
            let is_reversed = model.table.sort.key == key && !model.table.sort.is_reversed;
            model.table.set_sort(&model.world, Sort { key, is_reversed });
        }
        Choice::Column(column) => {
            let (_, shown) = model.table.columns.of(model.world.table_width());
            let is_shown = shown.iter().any(|(other, _)| *other == column);
            model.table.columns.toggle(column, is_shown);
            let fresh = palette::column_menu(model);
            if let Some(Dialog::Menu(menu)) = &mut model.dialog {
                **menu = Menu { cursor: menu.cursor, query: menu.query.clone(), ..fresh };
                menu.narrow(Vec::new());
            }
        }
        Choice::Issue(name, which, group, parent) => {
            let spot = match parent {
                None => Spot::Group(group),
                Some(parent) => Spot::Parent(group, parent),
            };
            let fleet = &model.world.fleet;
            let is_meant = |id: &AppId| fleet.by_id(*id).is_some_and(|row| which.holds(row));
            let apps = Table::all_below(&model.world, &spot).into_iter().filter(is_meant).collect();
            let what = match which {
                Which::All => spot.name(fleet),
                Which::Running | Which::Fatal => format!("{} in {}", which.word(), spot.name(fleet)),
            };
            let wanted = Wanted { name, verb: name.word().to_owned(), apps, what, is_group: true };
            return act::issue(model, wanted);
        }
        Choice::GoTo(app) => return follow_turn(model, Turn::GoTo(app)),
        Choice::View(name) => open_view(model, &name),
        Choice::Export(format) => return data::export(model, format),
        Choice::Save(name) => save_view(model, name),
        Choice::Filter(text) => model.table.set_filter(&mut model.world, &text),
        Choice::Nothing => {}
    }
    None
}

fn save_view(model: &mut Model, name: String) {
    let text = model.table.view().to_string();
    let views = &mut model.world.views;
    match views.iter_mut().find(|(known, _)| *known == name) {
        Some((_, known)) => *known = text,
        None => views.push((name.clone(), text)),
    }
    let key = views.iter().position(|(known, _)| *known == name).filter(|at| *at < VIEW_KEYS);
    let key = key.map(|at| format!(", g{}", at + 1)).unwrap_or_default();
    model.world.say(format!("saved as view {name}{key}"));
}
