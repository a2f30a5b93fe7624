//! `dcm console --plain`: the console as lines.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal as _};

use super::args::ConsoleArgs;
use super::attached;
use super::error::Error;
use super::logging::{self, Stderr};
use super::output;
use super::session::{Session, block_on};
use crate::config::console::ConsoleFile;
use crate::console::plain::{PlainOptions, fault_of_view, filter_of_view, run_plain, views};
use crate::process::user_name;
use crate::store::{OpenMode, OperatorStore};

pub(super) fn plain(session: &Session, args: &ConsoleArgs) -> Result<u8, Error> {
    // Somebody who types dcm in a pipe by mistake waits for nothing.
    if !args.plain && !io::stdin().is_terminal() {
        return Err(Error::usage("the console needs a terminal").hint(
            "dcm console --plain reads commands from a pipe, dcm status shows the fleet, dcm --headless runs the \
             manager",
        ));
    }
    let filter = filter(args)?;
    let _guard = logging::begin(&session.settings, Stderr::Untouched)?;
    let store: std::sync::Arc<dyn OperatorStore> = session.store(OpenMode::Existing)?;
    let rights = block_on(async { Ok(store.rights().await?) })?;
    let settings = &session.settings.console;
    let options = PlainOptions {
        store,
        state: session.settings.state.clone(),
        database: session.settings.database.to_string(),
        user: user_name(),
        read_only: attached::read_only(args, settings, rights),
        caution: settings.caution.clone(),
        filter,
    };
    match run_plain(options, io::BufReader::new(io::stdin()), output::raw()) {
        // A reader that has gone away is not an error.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(0),
        result => Ok(result.map(|()| 0)?),
    }
}

/// What `--view` and `--filter` ask for together.
///
/// # Errors
/// When there is no such view, or one of them is not understood.
fn filter(args: &ConsoleArgs) -> Result<String, Error> {
    let file = ConsoleFile::of_user(&mut |warning| output::message(warning));
    let mut views: BTreeMap<_, _> = views().into_iter().collect();
    views.extend(file.views);
    let view = match &args.view {
        None => "",
        Some(name) => views.get(name).ok_or_else(|| {
            let known: Vec<_> = views.keys().map(String::as_str).collect();
            Error::usage(format!("no such view: {name}")).hint(format!("there are {}", known.join(", ")))
        })?,
    };
    for (text, origin) in [(view, "--view"), (args.filter.as_deref().unwrap_or_default(), "--filter")] {
        if let Some(fault) = fault_of_view(text) {
            return Err(Error::usage(format!("{origin}: {fault}")));
        }
    }
    let parts = [filter_of_view(view), args.filter.clone().unwrap_or_default()];
    Ok(parts.join(" ").trim().to_owned())
}
