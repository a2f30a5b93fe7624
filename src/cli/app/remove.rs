//! `dcm app remove`

use crate::cli::args::RemoveArgs;
use crate::cli::error::Error;
use crate::cli::output;
use crate::cli::session::{Fleet, Session, block_on};
use crate::store::OpenMode;

pub(super) fn remove(session: &Session, args: &RemoveArgs) -> Result<(), Error> {
    let store = session.store(OpenMode::Existing)?;
    block_on(async {
        let apps = Fleet::meant(store.as_ref(), &args.selectors).await?;
        if apps.len() > 1 && !args.yes && output::is_interactive() {
            let question = format!("delete {} apps?", apps.len());
            if !output::confirm(&question) {
                return Err(Error::failed("nothing was done"));
            }
        }
        let count = apps.len();
        store.remove(apps.into_iter().map(|row| row.app.id).collect()).await?;
        if session.json {
            output::json(&serde_json::json!({ "removed": count }));
        } else {
            output::line(format_args!("{count} removed"));
        }
        Ok(())
    })
}
