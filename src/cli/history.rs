//! `dcm history`: the runs of apps.

use std::collections::{BTreeMap, BTreeSet};

use chrono::TimeDelta;

use super::args::HistoryArgs;
use super::error::Error;
use super::session::{Fleet, Session, block_on, has_history};
use super::when::Past;
use super::{format, output};
use crate::model::{AppId, Blame, Leftovers, Run, Selector};
use crate::store::{HistoryQuery, OpenMode, OperatorStore};
use crate::wire;

/// Runs that are read at once where only some of them are shown.
const PAGE: u32 = 500;

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
        let runs = runs(store.as_ref(), paths.keys().copied().collect(), args).await?;
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

/// The latest of the runs that are asked for.
async fn runs(store: &dyn OperatorStore, apps: Vec<AppId>, args: &HistoryArgs) -> Result<Vec<Run>, Error> {
    let since = args.since.map(|Past(time)| time);
    let is_meant = |run: &Run| {
        since.is_none_or(|since| run.start >= since)
            && (!args.failed || matches!(run.blame(), Some(Blame::Bad | Blame::Doubtful)))
    };
    let limit = usize::try_from(args.limit).unwrap_or(usize::MAX);
    let page = if args.failed { PAGE.max(args.limit) } else { args.limit };
    let mut query = HistoryQuery { apps, since, limit: page, ..HistoryQuery::default() };
    let (mut found, mut seen) = (Vec::new(), BTreeSet::new());
    loop {
        let read = store.history(query.clone()).await?;
        let is_last = read.len() < usize::try_from(page).unwrap_or(usize::MAX);
        // Runs may have begun in the same millisecond: the next page begins with those of the last one.
        let oldest = read.last().map(|run| run.start + TimeDelta::milliseconds(1));
        let new: Vec<_> = read.into_iter().filter(|run| seen.insert(run.run)).collect();
        let is_done = is_last || new.is_empty();
        found.extend(new.into_iter().filter(is_meant).take(limit - found.len()));
        if is_done || found.len() == limit {
            return Ok(found);
        }
        query.before = oldest;
    }
}

/// The run's message, and what dcm had to end after it.
fn message(run: &Run) -> String {
    let leftovers = (run.leftovers > 0).then(|| Leftovers::counted(run.leftovers).to_string());
    run.message.iter().cloned().chain(leftovers).collect::<Vec<_>>().join("; ")
}
