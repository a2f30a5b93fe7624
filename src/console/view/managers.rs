//! Managers.

use std::collections::BTreeMap;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::list::{self, Column};
use super::text::{count, put, rule, span};
use crate::console::screen::managers::{Deed, Life, Managers, life};
use crate::console::theme::Theme;
use crate::console::world::World;
use crate::model::ManagerRow;

/// Below this width there is no room for versions.
const NARROW: u16 = 60;

/// Lines below the table: a rule, and three of the manager under the cursor.
const PANE: u16 = 4;

/// From this height on.
const ROOMY: u16 = 12;

pub(super) fn draw(managers: &Managers, world: &World, theme: Theme, buffer: &mut Buffer, area: Rect) {
    let pane = if area.height >= ROOMY || managers.plan.is_some() { PANE.min(area.height) } else { 0 };
    let table = Rect { height: area.height - pane, ..area };
    let counts = apps(world);
    let newest = managers.list.rows.iter().map(|row| version(&row.version)).max().unwrap_or_default();
    let now = world.time();
    let columns: &[Column] = if area.width < NARROW {
        &[("MANAGER", 14), ("", 1), ("BEAT", 7), ("APPS", 0)]
    } else {
        &[
            ("MANAGER", 16),
            ("", 1),
            ("STATE", 9),
            ("BEAT", 7),
            ("APPS", 7),
            ("RUNNING", 11),
            ("WAIT", 6),
            ("VERSION", 0),
        ]
    };
    let empty = "no manager has served this database yet";
    list::draw(&managers.list, columns, empty, (theme, buffer, table), |row| {
        let (sign, word, style) = state(row, world, theme);
        let own = counts.get(row.name.as_str()).copied().unwrap_or_default();
        let beat = (span((now - row.heartbeat).num_seconds()), theme.faint());
        let all = (count(own.0), Style::new());
        if area.width < NARROW {
            return vec![(row.name.clone(), theme.strong()), (sign.to_string(), style), beat, all];
        }
        let is_alive = life(row, &world.fleet, now) == Life::Alive;
        let limit =
            row.load.running_max.map(|most| format!("/{}", count(u64::from(most)))).unwrap_or_default();
        // What an old row says is not known to be so any more.
        let running = if is_alive { count(own.1) } else { "-".to_owned() };
        let waiting = if is_alive { count(u64::from(row.load.waiting)) } else { "-".to_owned() };
        let is_old = version(&row.version) < newest;
        vec![
            (row.name.clone(), theme.strong()),
            (sign.to_string(), style),
            (word.to_owned(), style),
            beat,
            all,
            (format!("{running}{limit}"), Style::new()),
            (waiting, Style::new()),
            (
                format!("{}{}", row.version, if is_old { " old" } else { "" }),
                if is_old { theme.late() } else { theme.faint() },
            ),
        ]
    });
    if pane > 0
        && let Some(row) = managers.list.current()
    {
        let below = Rect { y: table.bottom(), height: pane, ..area };
        rule(theme, buffer, below, 0);
        let running = counts.get(row.name.as_str()).copied().unwrap_or_default().1;
        match &managers.plan {
            Some(plan) => ask(&plan.name, plan.deed, running, theme, buffer, below),
            None => describe(row, world, running, theme, buffer, below),
        }
    }
}

/// By manager: its apps, and those of them that run.
fn apps(world: &World) -> BTreeMap<&str, (u64, u64)> {
    let mut counts: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    for row in world.fleet.rows() {
        if let Some(manager) = world.owner_of(row) {
            let own = counts.entry(manager).or_default();
            own.0 += 1;
            own.1 += u64::from(row.is_running());
        }
    }
    counts
}

/// Numbers compare as numbers.
fn version(text: &str) -> Vec<u64> {
    text.split(['.', '-', '+']).map(|part| part.parse().unwrap_or(0)).collect()
}

fn state(row: &ManagerRow, world: &World, theme: Theme) -> (char, &'static str, Style) {
    let glyphs = theme.glyphs;
    match (life(row, &world.fleet, world.time()), row.draining) {
        (Life::Alive, false) => (glyphs.running, "live", theme.running()),
        (Life::Alive, true) => (glyphs.waiting, "draining", theme.pending()),
        (Life::Silent, _) => (glyphs.unknown, "lost", theme.alarm()),
        (Life::Ended, _) => (glyphs.stopped, "ended", theme.faint()),
    }
}

fn describe(row: &ManagerRow, world: &World, running: u64, theme: Theme, buffer: &mut Buffer, area: Rect) {
    let now = world.time();
    let since = span((now - row.started).num_seconds());
    let pools =
        if row.pools.is_empty() { String::new() } else { format!("  pools {}", row.pools.join(", ")) };
    let first = format!("{}  host {}  pid {}  began {since} ago{pools}", row.name, row.host, row.pid);
    put(buffer, area, 1, 1, &first, theme.strong());
    let (second, third) = match life(row, &world.fleet, now) {
        Life::Alive if row.draining => (
            "it starts nothing new; what runs there runs on".to_owned(),
            "d lets it start apps again".to_owned(),
        ),
        Life::Alive => {
            let lease = format!("its lease lasts {} s and is renewed all the time", row.lease.as_secs());
            (lease, "enter: its apps in the fleet".to_owned())
        }
        Life::Silent => (
            format!(
                "not heard of for {}; {running} running apps are unseen, their values old",
                span((now - row.heartbeat).num_seconds())
            ),
            "t gives its apps to others, if its host is dead for sure".to_owned(),
        ),
        Life::Ended => {
            let ended = row.stopped.map(|at| span((now - at).num_seconds())).unwrap_or_default();
            (
                format!("ended in order {ended} ago; {running} apps run on without it"),
                "t gives its apps to others".to_owned(),
            )
        }
    };
    put(buffer, area, 2, 1, &second, Style::new());
    put(buffer, area, 3, 1, &third, theme.faint());
}

fn ask(name: &str, deed: Deed, running: u64, theme: Theme, buffer: &mut Buffer, area: Rect) {
    let (first, second) = match deed {
        Deed::Drain => (
            format!("Let {name} start nothing new, and give away what others may have?"),
            format!("its {running} running apps run on"),
        ),
        Deed::Resume => (format!("Let {name} start apps again?"), String::new()),
        Deed::TakeOver => (
            format!("Is the host of {name} dead for sure? Its apps go to others."),
            format!("if its {running} apps still run there, they will run twice"),
        ),
    };
    put(buffer, area, 1, 1, &first, theme.alarm());
    put(buffer, area, 2, 1, &second, Style::new());
    put(buffer, area, 3, 1, "y: do it      esc: nothing is done", theme.strong());
}
