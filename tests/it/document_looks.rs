//! What screens and the command line ask about documents, of each database.

use chrono::TimeDelta;
use dcm::model::{
    DocumentPath, EventId, FlowSlot, NewEvent, Published, RootState, StageLink, Target, TaskId, WatchRoot,
};
use dcm::store::{OpenMode, PostgresStore, SqliteStore, Store, TaskQuery, document_way, look_at_pipeline};

use crate::document_store::take_seat;
use crate::postgres::{Schema, block_on};
use crate::store_contract::{contract, noon};

contract! {
    documents_are_found_by_glob_root_group_and_end
    what_came_and_left_is_counted_by_parts_of_a_time
    a_way_knows_its_versions
}

fn root(name: &str, group: &str) -> WatchRoot {
    WatchRoot {
        name: name.to_owned(),
        path: format!("/{name}"),
        pattern: "*".to_owned(),
        recursive: true,
        app_group: group.to_owned(),
        topic: "scans".to_owned(),
        stable_seconds: 1.0,
        enabled: true,
        manager: None,
        state: RootState::default(),
    }
}

async fn begin(store: &dyn Store) {
    take_seat(store).await;
    for (name, group) in [("in", "banks"), ("more", "courts")] {
        store.add_watch_root(root(name, group)).await.unwrap();
        assert!(store.claim_watch_root(name.to_owned()).await.unwrap());
    }
}

async fn enter(store: &dyn Store, root: &str, path: &str, content: char) {
    let event = NewEvent {
        path: DocumentPath::of_bytes(path.as_bytes()),
        size: 1,
        sha3: content.to_string().repeat(64),
        modified: None,
        seen: noon(),
        stamp: content.to_string(),
    };
    store.enter_events(root.to_owned(), vec![event]).await.unwrap();
}

fn target(actor: &str) -> Target {
    Target { queue: format!("q.{actor}"), actor: actor.to_owned() }
}

/// Later than anything that the database itself calls now.
fn much_later() -> dcm::model::Timestamp {
    noon() + TimeDelta::days(20_000)
}

/// Gives up the documents with these numbers.
async fn give_up(store: &dyn Store, ids: &[TaskId], at: dcm::model::Timestamp) {
    let due = store.take_documents(much_later(), much_later()).await.unwrap();
    let meant = due.iter().filter(|due| ids.contains(&due.task));
    let given_up: Vec<_> = meant
        .map(|due| (due.delivery, due.task, Published::GivenUp { why: "the queue is full".to_owned() }))
        .collect();
    assert_eq!(given_up.len(), ids.len());
    store.settle_documents(given_up, at).await.unwrap();
}

async fn found(store: &dyn Store, query: TaskQuery) -> Vec<String> {
    let tasks = store.pipeline_tasks(TaskQuery { limit: 100, ..query }).await.unwrap();
    tasks.into_iter().rev().map(|task| task.document).collect()
}

async fn documents_are_found_by_glob_root_group_and_end(store: &dyn Store) {
    begin(store).await;
    let paths = ["/in/a[1].pdf", "/in/b%.PDF", "/in/sub/a_1.pdf", "/in/a11.pdf"];
    for path in paths {
        enter(store, "in", path, 'a').await;
    }
    enter(store, "more", "/more/c\\d.txt", 'c').await;
    for (glob, expected) in [
        ("*.pdf", vec![paths[0], paths[2], paths[3]]),
        ("/in/*", paths.to_vec()),
        ("*/a?1?.pdf", vec![paths[0]]),
        ("*a[1].pdf", vec![paths[0]]),
        ("*/b%.PDF", vec![paths[1]]),
        ("*a_1.pdf", vec![paths[2]]),
        ("*c\\d.txt", vec!["/more/c\\d.txt"]),
        ("/in/a11.pdf", vec![paths[3]]),
        ("a11.pdf", vec![]),
        ("*", vec![paths[0], paths[1], paths[2], paths[3], "/more/c\\d.txt"]),
    ] {
        let query = TaskQuery { globs: vec![glob.to_owned()], ..TaskQuery::default() };
        assert_eq!(found(store, query).await, expected, "{glob}");
    }
    let either = TaskQuery { globs: vec!["*.txt".to_owned(), "*.PDF".to_owned()], ..TaskQuery::default() };
    assert_eq!(found(store, either).await, [paths[1], "/more/c\\d.txt"]);
    let of_root = TaskQuery { root: Some("more".to_owned()), ..TaskQuery::default() };
    assert_eq!(found(store, of_root).await, ["/more/c\\d.txt"]);
    let of_group = TaskQuery { app_group: Some("banks".to_owned()), ..TaskQuery::default() };
    assert_eq!(found(store, of_group.clone()).await, paths);
    let tasks = store.pipeline_tasks(TaskQuery { limit: 100, ..of_group }).await.unwrap();
    give_up(store, &[tasks[3].id], noon()).await;
    give_up(store, &[tasks[2].id], noon() + TimeDelta::seconds(9)).await;
    for (until, expected) in [(-1, vec![]), (0, vec![paths[0]]), (9, vec![paths[0], paths[1]])] {
        let until = Some(noon() + TimeDelta::seconds(until));
        assert_eq!(found(store, TaskQuery { until, ..TaskQuery::default() }).await, expected);
    }
    // What died after the question was read is left alone.
    let until = Some(noon());
    let again = TaskQuery { until, limit: 100, ..TaskQuery::default() };
    assert_eq!(store.retry_documents(again).await.unwrap(), 1);
}

async fn what_came_and_left_is_counted_by_parts_of_a_time(store: &dyn Store) {
    begin(store).await;
    let now = store.time().await.unwrap();
    for path in ["/in/a", "/in/b", "/in/c"] {
        enter(store, "in", path, 'a').await;
    }
    let tasks = store.pipeline_tasks(TaskQuery { limit: 9, ..TaskQuery::default() }).await.unwrap();
    let (first, second) = (tasks[2].id, tasks[1].id);
    store.route_documents(vec![(first, target("ocr")), (second, target("ocr"))]).await.unwrap();
    give_up(store, &[first], now - TimeDelta::minutes(25)).await;
    give_up(store, &[second], now).await;
    // Three parts of ten minutes; the clock of the database goes on meanwhile, which is in the last part.
    let since = now - TimeDelta::minutes(29);
    let flows = store.stage_flow(since, TimeDelta::minutes(10), 3).await.unwrap();
    let told: Vec<_> = flows.iter().map(|flow| (flow.stage.as_deref(), flow.slots.clone())).collect();
    let slot = |came, dead| FlowSlot { came, done: 0, dead };
    assert_eq!(
        told,
        [
            (None, vec![slot(0, 0), slot(0, 0), slot(1, 0)]),
            (Some("ocr"), vec![slot(0, 1), slot(0, 0), slot(2, 1)]),
        ]
    );
    assert_eq!(store.stage_flow(much_later(), TimeDelta::minutes(10), 3).await.unwrap(), []);
    let links = store.stage_links().await.unwrap();
    let link = StageLink { from: None, to: "ocr".to_owned(), queue: Some("q.ocr".to_owned()) };
    assert_eq!(links, [link]);
    let look = look_at_pipeline(store, None).await.unwrap();
    let names: Vec<_> = look.stages.iter().map(|stage| (stage.name(), stage.queue.as_deref())).collect();
    assert_eq!(names, [(None, None), (Some("ocr"), Some("q.ocr"))]);
    assert_eq!((look.stages[0].count.waiting, look.stages[1].count.dead), (1, 2));
    assert_eq!(look.stages[1].day.iter().map(|slot| slot.dead).sum::<u64>(), 2);
    assert_eq!((look.roots.len(), look.routes.len()), (2, 0));
    let later = look_at_pipeline(store, Some(now - TimeDelta::minutes(5))).await.unwrap();
    assert_eq!(later.stages[1].day, [slot(2, 1)], "what has happened since, in one part");
}

async fn a_way_knows_its_versions(store: &dyn Store) {
    begin(store).await;
    for (path, content) in [("/in/a", 'a'), ("/in/a", 'b'), ("/in/ab", 'a'), ("/in/a", 'c')] {
        enter(store, "in", path, content).await;
    }
    let tasks = store.pipeline_tasks(TaskQuery { limit: 9, ..TaskQuery::default() }).await.unwrap();
    let way = document_way(store, tasks[2].event).await.unwrap().unwrap();
    assert_eq!((way.event.path.text(), way.version, way.versions), ("/in/a", 2, 3));
    assert_eq!(way.tasks, [tasks[2].clone()]);
    assert_eq!(document_way(store, EventId(99)).await.unwrap(), None);
}

/// What workers write by SQL.
const WORK: [&str; 4] = [
    "UPDATE pipeline_task SET stage = 'ocr', actor = 'ocr', queue = 'q', status = 3, created = 'THEN', started = 'LATER', \
     finished = 'LATER' WHERE id = 1",
    "INSERT INTO pipeline_task (event_id, parent, document, topic, stage, actor, queue, status, attempts) \
     VALUES (1, 1, '/in/a', 'texts', 'load', 'load', 'q2', 2, 2)",
    "INSERT INTO pipeline_task (event_id, parent, document, topic, stage, actor, queue, status, error) \
     VALUES (1, 2, '/in/a', 'rows', 'end', 'end', NULL, 5, 'it is over')",
    "INSERT INTO pipeline_task (event_id, parent, document, topic, stage, status) VALUES (1, 3, '/in/a', 'x', 'end', 1)",
];

async fn workers_are_seen(store: &dyn Store, sql: impl AsyncFn(String)) {
    begin(store).await;
    enter(store, "in", "/in/a", 'a').await;
    let now = store.time().await.unwrap();
    let text = |ago| dcm::model::format_timestamp(now - TimeDelta::seconds(ago));
    for statement in WORK {
        sql(statement.replace("THEN", &text(240)).replace("LATER", &text(60))).await;
    }
    let look = look_at_pipeline(store, None).await.unwrap();
    let told: Vec<_> = look
        .stages
        .iter()
        .map(|stage| (stage.name().unwrap(), stage.window, stage.done(), stage.open()))
        .collect();
    let slot = |came, done| FlowSlot { came, done, dead: 0 };
    assert_eq!(
        told,
        [("end", slot(2, 0), 0, 1), ("load", slot(1, 0), 0, 1), ("ocr", slot(1, 1), 1, 0)],
        "what is done is counted by when it came and when it was done"
    );
    assert_eq!(look.stages[1].count.retries, 1);
    let mut links: Vec<_> = look.links.iter().map(|link| (link.from.as_deref(), link.to.as_str())).collect();
    links.sort_unstable();
    links.dedup();
    assert_eq!(links, [(None, "ocr"), (Some("end"), "end"), (Some("load"), "end"), (Some("ocr"), "load")]);
    let way = document_way(store, EventId(1)).await.unwrap().unwrap();
    let stages: Vec<_> = way.tasks.iter().map(|task| task.stage.as_deref().unwrap()).collect();
    assert_eq!(stages, ["ocr", "load", "end", "end"]);
    let flows = store.stage_flow(now - TimeDelta::hours(1), TimeDelta::minutes(30), 2).await.unwrap();
    assert_eq!(flows.iter().map(|flow| flow.slots.len()).collect::<Vec<_>>(), [2, 2, 2]);
}

#[test]
fn workers_are_seen_on_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("dcm.db");
    let store = SqliteStore::open(&path, OpenMode::Create).unwrap();
    let connection = rusqlite::Connection::open(&path).unwrap();
    block_on(workers_are_seen(&store, async |sql: String| connection.execute_batch(&sql).unwrap()));
}

#[test]
fn workers_are_seen_on_postgres() {
    let schema = Schema::new();
    let store = PostgresStore::connect(schema.url(), OpenMode::Create).unwrap();
    block_on(workers_are_seen(&store, async |sql: String| {
        std::thread::scope(|scope| scope.spawn(|| schema.sql(&sql)).join().unwrap());
    }));
}
