//! What is remembered of this screen for the next console: by name, since rows come and go.

use super::{Order, Spot, Table, View};
use crate::console::memory::SeenFleet;
use crate::console::world::World;
use crate::model::{AppId, AppPath, Part};

/// More opened lines than this are not remembered one by one.
const OPENED_MAX: usize = 5_000;

impl Table {
    pub(in crate::console) fn to_keep(&self, world: &World) -> SeenFleet {
        let name = |spot: &Spot| name(world, spot);
        SeenFleet {
            view: self.view().to_string(),
            opened: self.opened.iter().filter_map(name).take(OPENED_MAX).collect(),
            cursor: self.spot.as_ref().and_then(name),
            marks: self.marks.iter().filter_map(|id| name(&Spot::App(id))).collect(),
        }
    }

    /// Shows what was seen, as far as it is still there. Gives back how many apps are marked.
    pub(in crate::console) fn show_again(&mut self, world: &World, seen: &SeenFleet) -> usize {
        self.opened = seen.opened.iter().filter_map(|name| spot(name)).collect();
        let known = seen.marks.iter().filter_map(|name| name.parse().ok());
        let ids = known.map(|path: AppPath| AppId::of(&path)).filter(|id| world.fleet.by_id(*id).is_some());
        self.marks.add(ids);
        // A view that is not understood is left out, and what is not there cannot have the cursor.
        if let Ok(view) = View::parse(&seen.view) {
            self.set_view(world, view);
        } else {
            self.rebuild(world, Order::Fresh);
        }
        if let Some(spot) = seen.cursor.as_deref().and_then(spot) {
            self.go_to_spot(world, &spot);
        }
        self.marks.len()
    }
}

fn name(world: &World, spot: &Spot) -> Option<String> {
    match spot {
        Spot::Group(group) => Some(group.to_string()),
        Spot::Parent(group, parent) => Some(format!("{group}/{parent}")),
        Spot::App(id) => world.fleet.path_of(*id).map(ToString::to_string),
    }
}

fn spot(name: &str) -> Option<Spot> {
    let part = |text: &str| text.parse::<Part>().ok();
    let mut parts = name.split('/');
    match (parts.next(), parts.next(), parts.next()) {
        (Some(group), None, _) => Some(Spot::Group(part(group)?)),
        (Some(group), Some(parent), None) => Some(Spot::Parent(part(group)?, part(parent)?)),
        (Some(_), Some(_), Some(_)) => Some(Spot::App(AppId::of(&name.parse().ok()?))),
        (None, ..) => None,
    }
}
