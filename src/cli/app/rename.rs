//! `dcm app rename`

use crate::cli::args::RenameArgs;
use crate::cli::error::{Error, Kind};
use crate::cli::output;
use crate::cli::session::{Fleet, Session, block_on};
use crate::model::{AppId, RunStatus};
use crate::process::move_logs;
use crate::store::OpenMode;

pub(super) fn rename(session: &Session, args: RenameArgs) -> Result<(), Error> {
    let RenameArgs { old, new } = args;
    let store = session.store(OpenMode::Existing)?;
    let row = block_on(async {
        let row = Fleet::find(store.as_ref(), &old).await?;
        if row.state.status == RunStatus::Running {
            return Err(Error::new(
                Kind::RefusedForNow,
                format!("a run of {old} is under way; stop it first"),
            ));
        }
        store.rename(old.clone(), new.clone()).await?;
        Ok(row)
    })?;
    if let Err(error) = move_logs(&session.settings.state, row.app.id, AppId::of(&new)) {
        output::message(format_args!(
            "the logs of {old} on this host could not be moved ({error}); dcm logs {old} shows them"
        ));
    }
    if row.app.program.command.is_none() {
        output::message(format_args!(
            "{new} has no command of its own: it runs apps.{}.{}.{}.main from now on",
            new.group, new.parent, new.name
        ));
    }
    if session.json {
        output::json(&serde_json::json!({
            "path": new.to_string(), "app": AppId::of(&new).to_string(), "renamed_from": old.to_string(),
        }));
    } else {
        output::line(format_args!("{old} is now {new}"));
    }
    Ok(())
}
