//! `dcm report`: an app tells of its progress.

use std::path::Path;

use serde_json::{Map, Value, json};

use super::args::ReportArgs;
use super::error::{Error, Kind};
use crate::config::env;
use crate::model::Timestamp;
use crate::process::reporting::{self, SendError};
use crate::wire;

pub(super) fn report(args: &ReportArgs) -> Result<(), Error> {
    // What is over when the run ends is no wish any more.
    let next_run = args.next_run.map(|asked| asked.0.time().unwrap_or(Timestamp::UNIX_EPOCH));
    let fields = compact(vec![
        ("task_size", json!(args.task_size)),
        ("solved", json!(args.solved)),
        ("failed", json!(args.failed)),
        ("progress", json!(args.progress)),
        ("eta", wire::time(args.eta.map(|eta| eta.0))),
        ("next_run", wire::time(next_run)),
        ("except_cnt", json!(args.except_cnt)),
        ("message", json!(args.message)),
    ]);
    if fields.is_empty() {
        return Err(Error::usage("nothing to report").hint("dcm report --help shows what can be told"));
    }
    let Some(run_dir) = env::get(env::RUN_DIR) else {
        return Err(Error::usage(format!("{} is not set", env::RUN_DIR))
            .hint("dcm report works inside an app that dcm has started"));
    };
    reporting::send(Path::new(&run_dir), fields).map_err(|error| {
        let kind = match &error {
            SendError::Invalid(_) => Kind::Usage,
            SendError::NotHeard(_) => Kind::RefusedForNow,
            SendError::Io(_) => Kind::Failed,
        };
        Error::new(kind, error.to_string())
    })
}

/// An object without its nulls.
fn compact(fields: Vec<(&str, Value)>) -> Map<String, Value> {
    fields
        .into_iter()
        .filter(|(_, value)| !value.is_null())
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}
