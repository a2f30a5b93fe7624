//! `dcm history`: the runs of apps.

use std::collections::BTreeMap;

use super::args::HistoryArgs;
use super::error::Error;
use super::session::{Fleet, Session, block_on, has_history};
use super::{format, output};
use crate::model::{AppId, Leftovers, Run, Selector};
use crate::store::{HistoryQuery, OpenMode, OperatorStore};
use crate::wire;

/// The apps whose runs are asked for. A whole path also means an app that was removed and has left runs.
async fn paths(store: &dyn OperatorStore, selector: &Selector) -> Result<BTreeMap<AppId, String>, Error> {
    match (Fleet::meant(store, std::slice::from_ref(selector)).await, selector.exact()) {
        (Err(error), Some(path)) if error.is_no_such_app() => {
            if !has_history(store, &path).await? {
                return Err(error);
            }
            output::message(format_args!(
                "{path} is not registered any more; these are the runs that it has left"
            ));
            Ok(BTreeMap::from([(AppId::of(&path), path.to_string())]))
        }
        (apps, _) => Ok(apps?.iter().map(|row| (row.app.id, row.app.path.to_string())).collect()),
    }
}

pub(super) fn history(session: &Session, args: &HistoryArgs) -> Result<(), Error> {
    let store = session.store(OpenMode::Existing)?;
    block_on(async {
        let paths = paths(store.as_ref(), &args.selector).await?;
        let query = HistoryQuery {
            apps: paths.keys().copied().collect(),
            limit: args.limit,
            ..HistoryQuery::default()
        };
        let runs = store.history(query).await?;
        let path = |run: &Run| paths.get(&run.app).map(String::as_str);
        if session.json {
            output::json_rows(runs.iter().map(|run| wire::Run::of(run, paths.get(&run.app).cloned())));
            return Ok(());
        }
        let now = store.time().await?;
        let rows: Vec<_> = runs
            .iter()
            .map(|run| {
                vec![
                    path(run).unwrap_or_default().to_owned(),
                    format::time(Some(run.start), now),
                    format::duration(run.end.unwrap_or(now) - run.start),
                    run.outcome_word().unwrap_or("running").to_owned(),
                    run.exit_code.map_or_else(|| "-".to_owned(), |code| code.to_string()),
                    run.trigger.to_string(),
                    run.attempt.to_string(),
                    run.progress.solved.to_string(),
                    run.progress.failed.to_string(),
                    run.run.to_string(),
                    format::brief(&message(run)),
                ]
            })
            .collect();
        let head = [
            "APP", "BEGAN", "TOOK", "OUTCOME", "EXIT", "TRIGGER", "TRY", "SOLVED", "FAILED", "RUN", "MESSAGE",
        ];
        output::table(&head, &rows);
        Ok(())
    })
}

/// The run's message, and what dcm had to end after it.
fn message(run: &Run) -> String {
    let leftovers = (run.leftovers > 0).then(|| Leftovers::counted(run.leftovers).to_string());
    run.message.iter().cloned().chain(leftovers).collect::<Vec<_>>().join("; ")
}
