//! `dcm app list`

use serde_json::json;

use crate::cli::args::SelectorsArgs;
use crate::cli::error::Error;
use crate::cli::session::{Fleet, Session, block_on};
use crate::cli::{json, next, output};
use crate::model::AppRow;
use crate::store::OpenMode;

pub(super) fn list(session: &Session, args: &SelectorsArgs) -> Result<(), Error> {
    let store = session.store(OpenMode::Existing)?;
    block_on(async {
        let fleet = Fleet::read(store.as_ref()).await?;
        let set_aside = if args.selectors.is_empty() { fleet.set_aside.clone() } else { Vec::new() };
        let apps = fleet.select(&args.selectors)?;
        if session.json {
            let rows: Vec<_> =
                apps.iter().map(json::with_policies).chain(set_aside.iter().map(json::faulty)).collect();
            output::json(&json!(rows));
            return Ok(());
        }
        let rows: Vec<_> = apps.iter().map(line).collect();
        output::table(&["APP", "ENABLED", "SCHEDULE", "COMMAND"], &rows);
        for row in &set_aside {
            output::message(&format!("{} is set aside: {}", row.names, row.fault));
        }
        Ok(())
    })
}

fn line(row: &AppRow) -> Vec<String> {
    let command =
        row.app.program.command.as_ref().map_or_else(|| "(default)".to_owned(), |command| command.join(" "));
    let enabled = if row.app.disabled { "no" } else { "yes" };
    vec![row.app.path.to_string(), enabled.to_owned(), next::describe(row), command]
}
