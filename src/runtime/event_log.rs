//! What the log of a manager says of the events that it takes in.

use crate::manager::{Event, Manager};
use crate::model::{Exit, RunId};

/// Writes the line of an event, where there is one.
pub(super) fn log(manager: &Manager, event: &Event) {
    // A run whose app is gone or unknown is named by its id alone.
    let app_of = |run: &RunId| manager.path_of_run(*run).map(ToString::to_string);
    match event {
        Event::Command(command) => {
            let app = command.app.and_then(|app| manager.path_of(app)).map(ToString::to_string);
            tracing::info!(id = command.id.0, name = %command.name, app, by = command.by, "command");
        }
        Event::Started { run, pid, .. } => tracing::debug!(app = app_of(run), %run, pid, "started"),
        Event::Ended { run, closing } => {
            let code = closing.ending.exit().map(Exit::code);
            if closing.leftovers.count > 0 {
                tracing::warn!(app = app_of(run), %run, "{}", closing.leftovers);
            }
            // Every run is in the database; what goes well would fill the log of a large fleet.
            if code == Some(0) {
                tracing::debug!(app = app_of(run), %run, "succeeded");
            } else {
                tracing::info!(app = app_of(run), %run, outcome = closing.ending.outcome().word(), code, "ended");
            }
        }
        Event::NotFound { run } => {
            tracing::warn!(
                app = app_of(run),
                %run,
                "on record as running, and nothing of it was found on this host; unless it is another host's it is \
                 closed as unknown"
            );
        }
        Event::RunRefused { run, refusal } => {
            tracing::info!(app = app_of(run), %run, ?refusal, "not opened");
        }
        Event::LimitsChanged(limits) => tracing::info!(limits = %limits, "limits changed"),
        Event::AlertDelivered { app } => {
            tracing::debug!(app = %manager.path_of(*app).map_or_else(|| app.to_string(), ToString::to_string), "the alert was delivered; the app waits for ENABLE");
        }
        Event::AppsLost(apps) => tracing::debug!(apps = apps.len(), "apps of other managers"),
        Event::Tick
        | Event::Reported { .. }
        | Event::Used(_)
        | Event::AppsChanged(_)
        | Event::AppsReplaced(_)
        | Event::AppsRemoved(_)
        | Event::FleetTrouble { .. }
        | Event::FleetTroubleOver(_)
        | Event::ManagersSeen(_) => {}
    }
}
