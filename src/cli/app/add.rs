//! `dcm app add`

use crate::cli::args::AddArgs;
use crate::cli::error::Error;
use crate::cli::output;
use crate::cli::session::{Session, block_on};
use crate::model::settings::COMMAND;
use crate::model::{App, Value};
use crate::process::clock;
use crate::store::{Existing, NextRun, OpenMode, Registration};

pub(super) fn add(session: &Session, args: AddArgs) -> Result<(), Error> {
    let AddArgs { path, definition, enable, now, command } = args;
    let here = std::env::current_dir()?;
    let mut app = App { disabled: !enable, ..App::new(path) };
    if !command.is_empty() {
        super::put(&COMMAND, &mut app, Value::List(command.into()), &here)?;
    }
    super::apply(definition, &mut app)?;
    let has_cwd = app.program.cwd.is_some();
    super::program::settle(&mut app.program, &here)?;
    let store = session.store(OpenMode::Create)?;
    super::program::warn(session, store.as_ref(), &app);
    let cwd = app.program.cwd.clone().filter(|_| !has_cwd);
    let (path, id) = (app.path.to_string(), app.id.to_string());
    block_on(async {
        let registration = Registration {
            app,
            next_run: now.then(|| NextRun::At(clock::wall())),
            existing: Existing::Refuse,
        };
        Ok(store.register(vec![registration]).await?)
    })?;
    if let Some(cwd) = cwd {
        output::message(format_args!(
            "{path} runs in {cwd}, since its program or a file of variables is relative to it"
        ));
    }
    if session.json {
        output::json(&serde_json::json!({ "app": id, "path": path, "disable": !enable }));
    } else if enable {
        output::line(format_args!("{path} is registered"));
    } else {
        output::line(format_args!("{path} is registered and disabled; dcm enable {path} lets it run"));
    }
    Ok(())
}
