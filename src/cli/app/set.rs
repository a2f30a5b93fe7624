//! `dcm app set`

use crate::cli::args::SetArgs;
use crate::cli::error::Error;
use crate::cli::output;
use crate::cli::presence::Managers;
use crate::cli::session::{Fleet, Session, block_on, needs_env};
use crate::model::settings::{ALWAYS, COMMAND};
use crate::model::{AppId, Fault, Value};
use crate::store::{Existing, OpenMode, Registration};
use crate::wire;

pub(super) fn set(session: &Session, args: SetArgs) -> Result<(), Error> {
    let SetArgs { path, definition, next_run, default_command, command } = args;
    let store = session.store(OpenMode::Existing)?;
    block_on(async {
        needs_env(store.as_ref()).await?;
        let row = Fleet::find(store.as_ref(), &path).await?;
        if let Some(fault) = &row.fault {
            let mut given = definition.columns();
            if row.app.schedule.check().is_err() {
                // Each of them can be read: whether what is left goes together is looked at below.
                given.push(ALWAYS.column);
            }
            if default_command || !command.is_empty() {
                given.push(COMMAND.column);
            }
            mends(fault, &given)?;
        }
        let mut app = row.app.clone();
        // A row may have a key that is not that of its names.
        app.id = AppId::of(&app.path);
        if default_command {
            app.program.command = None;
        }
        let has_command = !command.is_empty();
        let has_files = definition.lists.env_files().is_some();
        let here = std::env::current_dir()?;
        if has_command {
            super::put(&COMMAND, &mut app, Value::List(command.into()), &here)?;
        }
        super::apply(definition, &mut app)?;
        if has_command || has_files {
            super::program::settle(&mut app.program, &here)?;
        }
        if app.program != row.app.program || app.policy.pool != row.app.policy.pool {
            super::program::warn(session, store.as_ref(), &app);
        }
        if app != row.app || next_run.is_some() || row.fault.is_some() {
            store
                .register(vec![Registration {
                    app,
                    next_run: next_run.map(|asked| asked.0),
                    existing: Existing::Replace,
                }])
                .await?;
        }
        if session.json {
            let row = Fleet::find(store.as_ref(), &path).await?;
            let state = Managers::read(session, store.as_ref()).await?.state_of(&row);
            output::json(&wire::AppInFull::of(&row, state));
        }
        Ok(())
    })
}

/// Refuses to write a row that is set aside as long as a faulty column would get its default without a word.
fn mends(fault: &Fault, given: &[&str]) -> Result<(), Error> {
    let is_left = |column: &&&str| **column != "app" && !given.contains(*column);
    let left: Vec<_> = fault.columns.iter().filter(is_left).copied().collect();
    if left.is_empty() {
        return Ok(());
    }
    let path = fault.written_path();
    let error = Error::failed(format!("{path} is set aside: {}", fault.message));
    Err(if left.iter().any(|column| column.starts_with("app_")) {
        error.hint("its names must be set right by SQL, or dcm app remove deletes it")
    } else {
        error.hint(format!("set {} as well", left.join(" and ")))
    })
}
