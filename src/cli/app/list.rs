//! `dcm app list`

use crate::cli::args::SelectorsArgs;
use crate::cli::choice::chosen;
use crate::cli::error::Error;
use crate::cli::presence::Managers;
use crate::cli::session::{Session, block_on, tell_faults};
use crate::cli::{next, output};
use crate::model::AppRow;
use crate::store::OpenMode;
use crate::wire;

pub(super) fn list(session: &Session, args: &SelectorsArgs) -> Result<(), Error> {
    let store = session.store(OpenMode::Existing)?;
    block_on(async {
        let apps = chosen(session, store.as_ref(), &args.selectors).await?;
        if session.json {
            let managers = Managers::read(session, store.as_ref()).await?;
            output::json_rows(apps.iter().map(|row| wire::AppInFull::of(row, managers.state_of(row))));
            return Ok(());
        }
        let rows: Vec<_> = apps.iter().map(line).collect();
        output::table(&["APP", "ENABLED", "SCHEDULE", "COMMAND"], &rows);
        tell_faults(&apps);
        Ok(())
    })
}

fn line(row: &AppRow) -> Vec<String> {
    let command =
        row.app.program.command.as_ref().map_or_else(|| "(default)".to_owned(), |command| command.join(" "));
    let enabled = if row.app.disabled { "no" } else { "yes" };
    vec![row.app.path.to_string(), enabled.to_owned(), next::describe(row), command]
}
