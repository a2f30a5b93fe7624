//! `dcm app set`

use crate::cli::args::SetArgs;
use crate::cli::error::Error;
use crate::cli::session::{Fleet, Session, block_on, needs_env};
use crate::cli::{json, output};
use crate::store::{Existing, OpenMode, Registration};

pub(super) fn set(session: &Session, args: SetArgs) -> Result<(), Error> {
    let SetArgs { path, definition, next_run, default_command, command } = args;
    let store = session.store(OpenMode::Existing)?;
    block_on(async {
        needs_env(store.as_ref()).await?;
        let row = Fleet::find(store.as_ref(), &path).await?;
        let mut app = row.app.clone();
        if default_command {
            app.program.command = None;
        }
        let has_command = !command.is_empty();
        if has_command {
            app.program.command = Some(command);
        }
        super::apply(definition, &mut app)?;
        if has_command {
            super::program::settle(&mut app.program, &std::env::current_dir()?)?;
        }
        if app.program != row.app.program {
            super::program::warn(session, &app);
        }
        if app != row.app || next_run.is_some() {
            store.register(vec![Registration { app, next_run, existing: Existing::Replace }]).await?;
        }
        if session.json {
            let row = Fleet::find(store.as_ref(), &path).await?;
            output::json(&json::Full::of(&row));
        }
        Ok(())
    })
}
