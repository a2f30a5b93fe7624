//! `dcm stop-apps`: ends every process of this state directory.

use serde_json::json;

use super::args::StopAppsArgs;
use super::error::Error;
use super::output;
use super::session::Session;
use crate::model::RunId;
use crate::process::{Grace, StateDir, Stopped, manager_of, stop_all, user_name};

pub(super) fn stop_apps(session: &Session, args: &StopAppsArgs) -> Result<(), Error> {
    let state = &session.settings.state;
    if !state.path().try_exists()? {
        output::message(format_args!("there is no state directory {}", state.path().display()));
    }
    let stopped = stop_all(state, &user_name(), Grace::All(args.grace));
    let Stopped { ended, strays, left, unreached } = &stopped;
    if session.json {
        let runs = |runs: &[RunId]| runs.iter().map(ToString::to_string).collect::<Vec<_>>();
        output::json(&json!({
            "stopped": runs(ended), "strays": strays, "left": runs(left), "unreached": unreached
        }));
    } else {
        output::line(format_args!("{} runs stopped", ended.len()));
        if *strays > 0 {
            output::line(format_args!("{strays} processes ended that no run directory tells of"));
        }
    }
    warn_of_manager(state);
    for line in unreached {
        output::message(line);
    }
    if left.is_empty() && unreached.is_empty() {
        return Ok(());
    }
    Err(Error::failed(format!("{} runs and processes could not be stopped", left.len().max(unreached.len())))
        .hint("as root, dcm stop-apps reaches those of other users"))
}

fn warn_of_manager(state: &StateDir) {
    match manager_of(state) {
        Ok(None) => {}
        Ok(Some(pid)) => {
            let pid = pid.map_or_else(String::new, |pid| format!(" (pid {pid})"));
            output::message(format_args!(
                "a manager is running{pid}: it starts apps again as their schedules say; end it first, or use dcm stop all or dcm \
                 disable all"
            ));
        }
        Err(error) => {
            output::message(format_args!("it cannot be seen whether a manager is running: {error}"));
        }
    }
}
