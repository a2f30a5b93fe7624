//! `dcm stop-apps`: ends every run of this host.

use serde_json::json;

use super::args::StopAppsArgs;
use super::error::Error;
use super::output;
use super::session::Session;
use crate::process::{stop_all, user_name};

pub(super) fn stop_apps(session: &Session, args: &StopAppsArgs) -> Result<(), Error> {
    let stopped = stop_all(&session.settings.state, &user_name(), args.grace);
    if session.json {
        let runs = |runs: &[crate::model::RunId]| runs.iter().map(ToString::to_string).collect::<Vec<_>>();
        output::json(&json!({ "stopped": runs(&stopped.ended), "left": runs(&stopped.left) }));
    } else {
        output::line(format_args!("{} runs stopped", stopped.ended.len()));
    }
    if stopped.left.is_empty() {
        return Ok(());
    }
    let left: Vec<_> = stopped.left.iter().map(ToString::to_string).collect();
    Err(Error::failed(format!("{} runs could not be stopped: {}", left.len(), left.join(" "))))
}
