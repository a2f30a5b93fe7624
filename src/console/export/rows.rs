//! What a screen shows, as CSV and JSON: alerts, runs, commands, managers; elsewhere the apps that the filter shows.

use std::io;

use super::Format;
use crate::console::model::Model;
use crate::console::pipeline::bottleneck;
use crate::console::screen::Screen;
use crate::console::screen::managers::{Life, life};
use crate::console::screen::pipeline::Part;
use crate::console::world::World;
use crate::model::explain::State;
use crate::model::{AppId, AppRef, AppRow, ManagerRow};
use crate::wire::{self, ManagerFacts};

/// What whole rows of apps are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::console) enum Purpose {
    /// For the clipboard, as JSON.
    Copy,
    /// For a file.
    Save(Format),
}

/// The rows of the screen; `None` where they are apps, which are to be read first.
pub(in crate::console) fn of_screen(model: &Model, format: Format) -> Option<io::Result<String>> {
    let world = &model.world;
    let path = |app: AppId| world.fleet.path_of(app).map(ToString::to_string);
    let path_of = |app: &AppRef| app.id().and_then(path);
    match model.stack.top() {
        Screen::Alerts(alerts) => {
            let rows = alerts.causes.rows.iter().flat_map(|cause| &cause.alerts);
            Some(text(format, rows.map(|row| wire::Alert::of(row, row.subject.id().and_then(path)))))
        }
        Screen::History(history) => {
            Some(text(format, history.runs().iter().map(|row| wire::Run::of(row, path(row.app)))))
        }
        Screen::Commands(commands) => {
            let rows = commands.batches.rows.iter().flat_map(|batch| &batch.commands);
            Some(text(format, rows.map(|row| wire::Command::of(row, path_of(&row.app)))))
        }
        Screen::Pipeline(pipeline) => Some(match (&pipeline.documents, pipeline.overview.part) {
            (Some(documents), _) => text(format, documents.list.rows.iter().map(wire::PipelineTask::of)),
            (None, Part::Roots) => text(format, pipeline.overview.roots.rows.iter().map(wire::WatchRoot::of)),
            (None, Part::Stages | Part::Workers) => {
                let stages = &pipeline.overview.stages.rows;
                let slowest = bottleneck(stages).map(|found| found.stage);
                let rows = stages.iter().enumerate();
                text(format, rows.map(|(at, stage)| wire::Stage::of(stage, slowest == Some(at))))
            }
        }),
        Screen::Managers(managers) => {
            let rows = managers.list.rows.iter();
            Some(text(format, rows.map(|row| wire::Manager::of(row, facts(row, world)))))
        }
        Screen::Fleet | Screen::Detail(_) | Screen::Logs(_) => None,
    }
}

/// The apps that the filter shows.
pub(in crate::console) fn shown_apps(model: &Model) -> Vec<AppId> {
    let world = &model.world;
    let mut path = String::new();
    let shown = world
        .fleet
        .rows()
        .filter(|row| model.table.filter().shows(row, &world.fleet, world.time(), &mut path));
    shown.map(|row| row.id).collect()
}

/// Whole rows of apps, in the states that are shown.
pub(in crate::console) fn of_apps(world: &World, apps: &[AppRow], purpose: Purpose) -> io::Result<String> {
    let state =
        |row: &AppRow| world.fleet.by_id(row.app.id).map_or_else(|| State::of_row(row), |shown| shown.state);
    let rows = apps.iter().map(|row| wire::App::of(row, state(row)));
    match purpose {
        Purpose::Copy => Ok(serde_json::to_string(&rows.collect::<Vec<_>>())?),
        Purpose::Save(format) => text(format, rows),
    }
}

fn text<R: wire::Row>(format: Format, rows: impl Iterator<Item = R>) -> io::Result<String> {
    if format == Format::Csv {
        return wire::csv(rows);
    }
    Ok(serde_json::to_string_pretty(&rows.collect::<Vec<_>>())? + "\n")
}

fn facts(row: &ManagerRow, world: &World) -> ManagerFacts {
    let life = life(row, &world.fleet, world.time());
    ManagerFacts {
        state: match (life, row.draining) {
            (Life::Alive, true) => "draining",
            (Life::Alive, false) => "live",
            (Life::Silent, _) => "lost",
            (Life::Ended, _) => "stopped",
        },
        is_live: life == Life::Alive,
        apps: world.fleet.rows().filter(|app| world.owner_of(app) == Some(row.name.as_str())).count() as u64,
    }
}
