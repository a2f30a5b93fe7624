//! What the menus and the palette offer, made of the key table and of the fleet.

use super::confirm::why_not;
use super::menu::{Choice, Item, Kind, Menu, Which};
use crate::console::export::Format;
use crate::console::fleet::{Sums, Trouble};
use crate::console::keymap::Intent;
use crate::console::model::Model;
use crate::console::screen::fleet::{Column, Key};
use crate::console::world::World;
use crate::model::{CmdName, Part};

/// All orders; the one in force is marked.
pub(in crate::console) fn sort_menu(model: &Model) -> Menu {
    let now = model.table.sort;
    let items = Key::ALL.into_iter().map(|key| {
        let hint = match (key == now.key, now.is_reversed) {
            (true, false) => "now",
            (true, true) => "now, reversed",
            (false, _) => "",
        };
        Item::new(key.word(), hint, Choice::Sort(key))
    });
    let mut menu = Menu::new("sort by", Kind::Once, items.collect());
    menu.cursor = Key::ALL.iter().position(|key| *key == now.key).unwrap_or(0);
    menu
}

/// All columns; whether each is shown, or has no room.
pub(in crate::console) fn column_menu(model: &Model) -> Menu {
    let (_, shown) = model.table.columns.of(model.world.table_width());
    let items = Column::ALL.into_iter().map(|column| {
        let is_shown = shown.iter().any(|(other, _)| *other == column);
        let hint = match (is_shown, model.table.columns.is_on(column)) {
            (true, _) => "shown",
            (false, true) => "no room",
            (false, false) => "hidden",
        };
        Item::new(column.title(), hint, Choice::Column(column))
    });
    Menu::new("columns", Kind::Stays, items.collect())
}

/// The commands for what is marked or under the cursor; for one app with the reasons for what would
/// change nothing.
pub(in crate::console) fn action_menu(model: &Model) -> Option<Menu> {
    let (apps, what) = model.table.targets(&model.world)?;
    let one = match apps[..] {
        [one] => model.world.fleet.by_id(one),
        _ => None,
    };
    let refused = model.world.refusal();
    let items =
        model.world.keys.of(model.tab()).iter().filter(|binding| binding.is_action()).map(|binding| {
            let mut item = Item::new(binding.help(), binding.keys(), Choice::Intent(binding.intent()));
            item.why_not = refused.clone().or_else(|| match (binding.intent(), one) {
                (Intent::Issue(name), Some(row)) => why_not(name, row).map(str::to_owned),
                _ => None,
            });
            item
        });
    Some(Menu::new(format!("actions for {what}"), Kind::Once, items.collect()))
}

/// What is shown, as a file.
pub(in crate::console) fn export_menu() -> Menu {
    let items = Format::ALL.map(|format| Item::new(format.what(), format.ending(), Choice::Export(format)));
    Menu::new("save", Kind::Once, items.into())
}

/// What was said lately, the newest first.
pub(in crate::console) fn message_list(world: &World) -> Menu {
    let items = world.messages.iter().rev().map(|(time, text)| {
        let time = time.with_timezone(&chrono::Local).format("%H:%M:%S");
        Item::new(format!("{time}  {text}"), "", Choice::Nothing)
    });
    Menu::new("messages", Kind::Once, items.collect())
}

/// Everything that has a key, the saved views and the orders.
pub(in crate::console) fn palette(model: &Model) -> Menu {
    let keys = model
        .world
        .keys
        .of(model.tab())
        .iter()
        .filter(|binding| binding.is_in_palette())
        .map(|binding| Item::new(binding.help(), binding.keys(), Choice::Intent(binding.intent())));
    let views = model.world.views.iter().enumerate().map(|(at, (name, text))| {
        let hint = if at < 9 { format!("g{}", at + 1) } else { String::new() };
        Item::new(format!("view {name}: {text}"), hint, Choice::View(name.clone()))
    });
    let sorts = Key::ALL.map(|key| Item::new(format!("sort by {}", key.word()), "", Choice::Sort(key)));
    Menu::new(":", Kind::Palette, keys.chain(views).chain(sorts).collect())
}

/// What the palette offers for what was typed: groups, parents and apps, to go to and to command.
pub(in crate::console) fn offers(world: &World, query: &str) -> Vec<Item> {
    let query = query.trim();
    if query.is_empty() {
        return Vec::new();
    }
    let mut items = Vec::new();
    let mut place = |name: String, group: &Part, parent: Option<&Part>, sums: Option<&Sums>| {
        let Some(sums) = sums else { return };
        let all = CmdName::ALL.iter().map(|command| (*command, Which::All, sums.apps));
        let some = [
            (CmdName::Restart, Which::Running, sums.running()),
            (CmdName::Stop, Which::Running, sums.running()),
            (CmdName::Enable, Which::Fatal, sums.with(Trouble::Fatal) + sums.with(Trouble::GivenUp)),
        ];
        for (command, which, count) in all.chain(some).filter(|(_, _, count)| *count > 0) {
            let text = format!("{} {} in {name} ({count})", command.word().to_lowercase(), which.word());
            items.push(Item::new(text, "", Choice::Issue(command, which, group.clone(), parent.cloned())));
        }
        let filter = match parent {
            None => format!("g:{group}"),
            Some(parent) => format!("g:{group} p:{parent}"),
        };
        items.push(Item::new(format!("filter {filter}"), "", Choice::Filter(filter)));
    };
    for group in world.fleet.groups() {
        place(group.to_string(), group, None, world.fleet.group(group));
    }
    for (group, parent) in world.fleet.parents() {
        place(format!("{group}/{parent}"), group, Some(parent), world.fleet.parent(group, parent));
    }
    let apps = world.fleet.rows();
    items
        .extend(apps.map(|row| Item::new(format!("go to {}", row.path), "", Choice::GoTo(row.path.clone()))));
    if let Some(name) = query.strip_prefix("save ").map(str::trim).filter(|name| !name.is_empty()) {
        items.push(Item::new(format!("save {name}: this view"), "", Choice::Save(name.to_owned())));
    }
    items.push(Item::new(format!("filter {query}"), "/", Choice::Filter(query.to_owned())));
    items
}
