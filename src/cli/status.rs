//! `dcm status`: what apps are doing.

use super::args::StatusArgs;
use super::error::Error;
use super::presence::Managers;
use super::session::{Fleet, Session, block_on, tell_faults};
use super::{format, json, output};
use crate::manager::coming::coming_of;
use crate::model::AppRow;
use crate::store::OpenMode;

pub(super) fn status(session: &Session, args: &StatusArgs) -> Result<(), Error> {
    let store = session.store(OpenMode::Existing)?;
    block_on(async {
        let fleet = Fleet::read(store.as_ref()).await?;
        let apps = fleet.select(&args.which.selectors)?;
        if session.json {
            output::json_rows(apps.iter().map(json::Brief::of));
            return Ok(());
        }
        let managers = Managers::read(session, store.as_ref()).await?;
        let now = managers.now;
        // What runs under a manager that is lost may have ended long ago.
        let is_shared = store.capabilities().is_shared;
        let flags = |row: &AppRow| {
            let lost = row.state.manager.as_ref().and_then(|name| managers.lost(name)).filter(|_| is_shared);
            let since = lost.map(|lost| format!("unheard {}", format::duration(now - lost.heartbeat)));
            let flags = format::flags(row);
            [(!flags.is_empty()).then_some(flags), since].into_iter().flatten().collect::<Vec<_>>().join(",")
        };
        let rows: Vec<_> = apps
            .iter()
            .map(|row| {
                vec![
                    row.app.path.to_string(),
                    format::status(row).to_owned(),
                    flags(row),
                    row.progress.percent.map_or(String::new(), |percent| format!("{percent}%")),
                    format::counts(row),
                    row.progress.failed.to_string(),
                    format::time(row.progress.eta, now),
                    format::time(coming_of(row, now), now),
                    format::time(row.state.last_run, now),
                    row.state.pid.map_or(String::new(), |pid| pid.to_string()),
                    row.state.manager.clone().unwrap_or_default(),
                ]
            })
            .collect();
        let head =
            ["APP", "STATUS", "FLAGS", "%", "SOLVED", "FAILED", "ETA", "NEXT", "LAST", "PID", "MANAGER"];
        output::table_of(&head, &rows, &["MANAGER", "PID", "LAST", "ETA", "FAILED"]);
        tell_faults(&apps);
        if apps.is_empty() {
            output::message("no apps are registered; dcm app add GROUP/PARENT/APP registers one");
        }
        if let Some(remark) = managers.remark("what is shown may be old") {
            output::message(remark);
        }
        Ok(())
    })
}
