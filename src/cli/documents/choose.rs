//! Which documents the arguments mean.

use std::path::Path;

use crate::cli::args::{DocumentChoice, task_id};
use crate::cli::error::Error;
use crate::store::{OperatorStore, TaskQuery};

/// What the arguments ask for: a question each; one where there is no target.
pub(super) struct Choice {
    /// As it was written, and what it asks.
    pub(super) queries: Vec<(String, TaskQuery)>,
}

impl Choice {
    /// Finds out what is meant. A word is the name of a watched directory or of a group, where there is one.
    pub(super) async fn of(
        store: &dyn OperatorStore,
        choice: &DocumentChoice,
        limit: u32,
    ) -> Result<Self, Error> {
        let base = TaskQuery {
            statuses: choice.status.clone(),
            stage: choice.stage.clone(),
            topic: choice.topic.clone(),
            limit,
            ..TaskQuery::default()
        };
        let ids: Vec<_> = choice.targets.iter().filter_map(|target| task_id(target)).collect();
        let mut queries = Vec::new();
        if !ids.is_empty() {
            let names: Vec<_> = ids.iter().map(|id| id.0.to_string()).collect();
            queries.push((names.join(" "), TaskQuery { ids, ..base.clone() }));
        }
        let others: Vec<_> = choice.targets.iter().filter(|target| task_id(target).is_none()).collect();
        let roots = if others.is_empty() { Vec::new() } else { store.watch_roots().await? };
        for target in others {
            let mut query = base.clone();
            if roots.iter().any(|root| root.name == *target) {
                query.root = Some(target.clone());
            } else if roots.iter().any(|root| root.app_group == *target) {
                query.app_group = Some(target.clone());
            } else if target != "all" {
                query.globs = globs(target)?;
            }
            queries.push((target.clone(), query));
        }
        if queries.is_empty() {
            queries.push(("all".to_owned(), base));
        }
        Ok(Self { queries })
    }
}

/// The globs of a path: a name alone is one at any place, a path is itself and all that is below it. A relative path
/// starts here.
fn globs(target: &str) -> Result<Vec<String>, Error> {
    let is_glob = target.contains(['*', '?']);
    if !target.contains(['/', '\\']) {
        return Ok(vec![format!("*/{target}"), format!("*\\{target}")]);
    }
    if is_glob {
        let is_anywhere = target.starts_with('*') || Path::new(target).is_absolute();
        return Ok(vec![if is_anywhere { target.to_owned() } else { absolute(target)? }]);
    }
    let path = absolute(target)?;
    let below = format!("{}/*", path.trim_end_matches('/'));
    Ok(vec![path, below])
}

fn absolute(target: &str) -> Result<String, Error> {
    let path = std::path::absolute(target).map_err(|error| Error::usage(format!("{target}: {error}")))?;
    Ok(path.to_string_lossy().into_owned())
}
