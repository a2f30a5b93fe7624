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
        if apps.len() > 1 {
            super::consent(args.yes, &format!("remove {} apps?", apps.len()))?;
        }
        let paths: Vec<_> = apps.iter().map(|row| row.app.path.to_string()).collect();
        store.remove(apps.into_iter().map(|row| row.app.id).collect()).await?;
        if session.json {
            output::json(&serde_json::json!({ "removed": paths.len(), "paths": paths }));
        } else {
            let lines = paths.iter().map(|path| format!("{path} removed"));
            output::lines(lines.chain([format!("{} removed", paths.len())]));
        }
        Ok(())
    })
}
