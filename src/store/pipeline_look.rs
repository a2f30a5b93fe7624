//! What several questions about documents tell together.

use chrono::TimeDelta;

use super::{EventQuery, OperatorStore, StoreError, TASKS_MAX, TaskQuery};
use crate::model::{DocumentWay, EventId, PipelineLook, Stage, Timestamp};

/// The most versions of a file that are counted.
const VERSIONS_MAX: u32 = 1000;

/// Reads all stages, the watched directories and the routes. To count a whole day takes by far the longest, where much is
/// done: who knows that of an earlier look asks what has happened since.
///
/// # Errors
/// As the store says.
pub async fn look_at_pipeline(
    store: &dyn OperatorStore,
    since: Option<Timestamp>,
) -> Result<PipelineLook, StoreError> {
    let read = store.time().await?;
    let begin = |time: TimeDelta| read.checked_sub_signed(time).unwrap_or(read);
    let slots = i32::try_from(Stage::SLOTS).unwrap_or(i32::MAX);
    let counts = store.stages(read).await?;
    let window = store.stage_flow(begin(Stage::WINDOW), Stage::WINDOW, 1).await?;
    let day = match since {
        Some(since) => store.stage_flow(since, Stage::SLOT, 1).await?,
        None => store.stage_flow(begin(Stage::SLOT * slots), Stage::SLOT, Stage::SLOTS).await?,
    };
    let links = store.stage_links().await?;
    let stages = PipelineLook::stages_of(counts, &window, day, &links);
    let (roots, routes) = (store.watch_roots().await?, store.document_routes().await?);
    Ok(PipelineLook { read, since, stages, links, roots, routes })
}

/// A version of a file with all stages that it went through, the first one first; `None` where it is not on record.
///
/// # Errors
/// As the store says.
pub async fn document_way(
    store: &dyn OperatorStore,
    event: EventId,
) -> Result<Option<DocumentWay>, StoreError> {
    let query = EventQuery { ids: vec![event], limit: 1, ..EventQuery::default() };
    let Some(event) = store.file_events(query).await?.pop() else { return Ok(None) };
    let query = EventQuery {
        root: Some(event.root.clone()),
        path: Some(event.path.text().to_owned()),
        limit: VERSIONS_MAX,
        ..EventQuery::default()
    };
    let mut ids: Vec<_> = store
        .file_events(query)
        .await?
        .into_iter()
        .filter(|other| other.path == event.path)
        .map(|other| other.id)
        .collect();
    ids.sort();
    let place = ids.iter().position(|id| *id == event.id).unwrap_or(0);
    let query = TaskQuery { events: vec![event.id], limit: TASKS_MAX, ..TaskQuery::default() };
    let mut tasks = store.pipeline_tasks(query).await?;
    tasks.reverse();
    Ok(Some(DocumentWay { event, version: place + 1, versions: ids.len().max(1), tasks }))
}
