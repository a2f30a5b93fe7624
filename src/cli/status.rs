//! `dcm status`: what apps are doing.

use super::args::StatusArgs;
use super::error::Error;
use super::session::{Fleet, Session, block_on, live_managers};
use super::{format, json, output};
use crate::store::OpenMode;

pub(super) fn status(session: &Session, args: &StatusArgs) -> Result<(), Error> {
    let store = session.store(OpenMode::Existing)?;
    block_on(async {
        let fleet = Fleet::read(store.as_ref()).await?;
        let set_aside = if args.which.selectors.is_empty() { fleet.set_aside.clone() } else { Vec::new() };
        let apps = fleet.select(&args.which.selectors)?;
        if session.json {
            let apps = apps.iter().map(|row| json::Row::Brief(Box::new(json::Brief::of(row))));
            output::json_rows(
                apps.chain(set_aside.iter().map(|row| json::Row::Faulty(json::Faulty::of(row)))),
            );
            return Ok(());
        }
        let (live, now) = live_managers(store.as_ref()).await?;
        let rows: Vec<_> = apps
            .iter()
            .map(|row| {
                vec![
                    row.app.path.to_string(),
                    format::status(row).to_owned(),
                    format::flags(row),
                    row.progress.percent.map_or(String::new(), |percent| format!("{percent}%")),
                    format::counts(row),
                    row.progress.failed.to_string(),
                    format::time(row.progress.eta, now),
                    format::time(row.next_run, now),
                    format::time(row.state.last_run, now),
                    row.state.pid.map_or(String::new(), |pid| pid.to_string()),
                ]
            })
            .collect();
        output::table(
            &["APP", "STATUS", "FLAGS", "%", "SOLVED", "FAILED", "ETA", "NEXT", "LAST", "PID"],
            &rows,
        );
        for row in &set_aside {
            output::message(&format!("{} is set aside: {}", row.names, row.fault));
        }
        if apps.is_empty() && set_aside.is_empty() {
            output::message("no apps are registered; dcm app add GROUP/PARENT/APP registers one");
        }
        if live.is_empty() {
            output::message(
                "no manager is running: what is shown may be old (dcm starts one, or dcm --headless)",
            );
        }
        Ok(())
    })
}
