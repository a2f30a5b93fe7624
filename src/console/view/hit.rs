//! What is drawn at a place of the screen.

use super::text::top_of;
use super::{Panes, Places, tabs};
use crate::console::model::Model;
use crate::console::screen::Tab;
use crate::model::AppPath;

/// Something that can be chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::console) enum Hit {
    Tab(Tab),
    /// A line of the fleet, by its place among all.
    Line(usize),
    /// One of those on top of the fleet.
    Problem(AppPath),
}

/// What is at a column and row of the terminal.
pub(in crate::console) fn hit(model: &Model, (column, row): (u16, u16)) -> Option<Hit> {
    let places = Places::of(model.world.size);
    if places.tabs.contains((column, row).into()) {
        let all = tabs::places(model);
        let found = all.into_iter().find(|(_, at, width)| (*at..at + width).contains(&column));
        return found.map(|(tab, ..)| Hit::Tab(tab));
    }
    let panes = Panes::of(&model.world);
    let table = &model.table;
    if model.tab() != Tab::Fleet || table.detail.is_zoomed || !panes.table.contains((column, row).into()) {
        return None;
    }
    let below = usize::from(row - panes.table.y).checked_sub(1)?;
    if below < usize::from(panes.attention) {
        let problem = table.problems().get(below)?;
        return model.world.fleet.path_of(*problem).cloned().map(Hit::Problem);
    }
    let height = panes.table_rows();
    let place = below.checked_sub(usize::from(panes.table.height).checked_sub(height + 1)?)?;
    let line = top_of(table.cursor(), height, table.lines().len()) + place;
    (line < table.lines().len()).then_some(Hit::Line(line))
}
