//! `dcm app list`

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
            let apps = apps.iter().map(|row| json::Row::Full(Box::new(json::Full::of(row))));
            output::json_rows(
                apps.chain(set_aside.iter().map(|row| json::Row::Faulty(json::Faulty::of(row)))),
            );
            return Ok(());
        }
        let rows: Vec<_> = apps.iter().map(line).collect();
        output::table(&["APP", "ENABLED", "SCHEDULE", "COMMAND"], &rows);
        for row in &set_aside {
            output::message(format_args!("{} is set aside: {}", row.names, row.fault));
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
