//! Documents in each database: roots, routes, versions of files, and the stages that they go through.

use chrono::TimeDelta;
use dcm::model::{
    DeliveryId, DocumentPath, Entered, EventId, ManagerRow, NewEvent, PipelineTask, Pruning, Published,
    Retention, RootState, Target, TaskId, TaskStatus, Timestamp, WatchRoot,
};
use dcm::store::{EventQuery, OpenMode, PostgresStore, SqliteStore, Store, StoreError, TaskQuery};

use crate::postgres::{Schema, block_on};
use crate::store_contract::{contract, noon};

contract! {
    roots_are_added_switched_and_removed
    a_version_is_entered_once_with_its_first_stage
    a_path_that_is_no_text_comes_back
    what_is_entered_is_published_and_settled
    a_worker_that_is_faster_keeps_its_status
    what_finds_no_route_waits_for_one
    what_was_taken_is_due_again_after_a_restart
    dead_letters_are_told_by_their_messages
    documents_are_published_again_on_request
    stages_are_counted
    what_is_over_and_gone_is_pruned_with_its_stages
}

fn root(name: &str) -> WatchRoot {
    WatchRoot {
        name: name.to_owned(),
        path: format!("/in/{name}"),
        pattern: "*.pdf".to_owned(),
        recursive: true,
        app_group: "banks".to_owned(),
        topic: "invoices.pdf".to_owned(),
        stable_seconds: 0.5,
        enabled: true,
        manager: None,
        state: RootState::default(),
    }
}

fn target() -> Target {
    Target { queue: "documents".to_owned(), actor: "extract".to_owned() }
}

fn version(path: &str, content: char) -> NewEvent {
    NewEvent {
        path: DocumentPath::of_bytes(path.as_bytes()),
        size: 7,
        sha3: content.to_string().repeat(64),
        modified: Some(noon()),
        seen: noon(),
        stamp: format!("stamp of {content}"),
    }
}

/// The store is that of a manager which lives.
pub(crate) async fn take_seat(store: &dyn Store) {
    let manager = ManagerRow {
        name: "zg".to_owned(),
        home: Some("home".to_owned()),
        boot: Some("1".to_owned()),
        ..ManagerRow::default()
    };
    store.take_seat(manager).await.unwrap();
    store.renew(dcm::model::Load::default()).await.unwrap();
}

async fn begin(store: &dyn Store) {
    take_seat(store).await;
    store.add_watch_root(root("in")).await.unwrap();
    assert!(store.claim_watch_root("in".to_owned()).await.unwrap());
}

async fn enter(store: &dyn Store, versions: Vec<NewEvent>) -> Vec<Entered> {
    store.enter_events("in".to_owned(), versions).await.unwrap()
}

async fn tasks(store: &dyn Store, query: TaskQuery) -> Vec<PipelineTask> {
    store.pipeline_tasks(TaskQuery { limit: 100, ..query }).await.unwrap()
}

async fn only_task(store: &dyn Store) -> PipelineTask {
    let mut tasks = tasks(store, TaskQuery::default()).await;
    assert_eq!(tasks.len(), 1);
    tasks.remove(0)
}

/// Later than anything that the database itself calls now.
fn much_later() -> Timestamp {
    noon() + TimeDelta::days(20_000)
}

async fn settle(store: &dyn Store, (delivery, task): (DeliveryId, TaskId), published: Published) {
    store.settle_documents(vec![(delivery, task, published)], noon()).await.unwrap();
}

async fn take(store: &dyn Store) -> Vec<dcm::model::DueDocument> {
    store.take_documents(much_later(), much_later() + TimeDelta::minutes(1)).await.unwrap()
}

async fn roots_are_added_switched_and_removed(store: &dyn Store) {
    begin(store).await;
    let named = |error: StoreError, word: &str| {
        assert!(matches!(error, StoreError::Refused(_)) && error.to_string().contains(word), "{error}");
    };
    named(store.add_watch_root(root("in")).await.unwrap_err(), "already");
    store.add_watch_root(WatchRoot { manager: Some("other".to_owned()), ..root("b") }).await.unwrap();
    let roots = store.watch_roots().await.unwrap();
    assert_eq!(roots.iter().map(|root| root.name.as_str()).collect::<Vec<_>>(), ["b", "in"]);
    let state =
        RootState { scanned: Some(noon()), files: Some(3), fault: Some("it is not readable".to_owned()) };
    store.note_watch_root("in".to_owned(), state.clone()).await.unwrap();
    let found = store.watch_roots().await.unwrap().remove(1);
    assert_eq!(found.state, state);
    let manager = found.manager.clone();
    assert_eq!(found, WatchRoot { manager, state, ..root("in") });
    assert!(!store.claim_watch_root("b".to_owned()).await.unwrap(), "it is another manager's");
    store.enable_watch_root("in", false).await.unwrap();
    assert!(!store.watch_roots().await.unwrap()[1].enabled);
    let refused = store.enter_events("in".to_owned(), vec![version("/in/a", 'a')]).await;
    named(refused.unwrap_err(), "not this manager's");
    store.remove_watch_root("in").await.unwrap();
    named(store.remove_watch_root("in").await.unwrap_err(), "dcm watch list");
    named(store.enable_watch_root("in", true).await.unwrap_err(), "dcm watch list");
    assert!(!store.claim_watch_root("in".to_owned()).await.unwrap());
}

async fn a_version_is_entered_once_with_its_first_stage(store: &dyn Store) {
    begin(store).await;
    for _ in 0..2 {
        let entered = enter(store, vec![version("/in/a", 'a'), version("/in/b", 'a')]).await;
        assert_eq!(entered.len(), 2, "the same content at two paths is two events");
    }
    let events = store.file_events(EventQuery { limit: 9, ..EventQuery::default() }).await.unwrap();
    let of = events.iter().map(|event| (event.path.text(), event.gone.is_some())).collect::<Vec<_>>();
    assert_eq!(of, [("/in/b", false), ("/in/a", false)], "newest first, and once");
    assert_eq!((events[1].size, events[1].sha3.as_deref()), (Some(7), Some("a".repeat(64).as_str())));
    assert_eq!((events[1].modified, events[1].seen), (Some(noon()), noon()));
    assert_eq!((events[1].topic.as_str(), events[1].app_group.as_str()), ("invoices.pdf", "banks"));
    // Another content is a new version, and so is the first one after it.
    let first = events[1].id;
    assert!(matches!(enter(store, vec![version("/in/a", 'c')]).await[..], [Entered::New(_)]));
    assert!(matches!(enter(store, vec![version("/in/a", 'a')]).await[..], [Entered::New(_)]));
    let of_a = EventQuery { path: Some("in/a".to_owned()), limit: 9, ..EventQuery::default() };
    let versions = store.file_events(of_a).await.unwrap();
    assert_eq!(versions.iter().map(|event| event.gone.is_some()).collect::<Vec<_>>(), [false, true, true]);
    assert_eq!(versions[2].id, first);
    // What is still there is known with its stamp, page by page.
    let known = store.known_versions("in".to_owned(), EventId(0)).await.unwrap();
    let paths: Vec<_> = known.iter().map(|known| known.path.text().to_owned()).collect();
    assert_eq!(
        (paths, known[1].stamp.as_deref()),
        (vec!["/in/b".into(), "/in/a".into()], Some("stamp of a"))
    );
    assert_eq!(store.known_versions("in".to_owned(), known[0].event).await.unwrap(), known[1..]);
    assert_eq!(store.known_versions("in".to_owned(), known[1].event).await.unwrap(), []);
    // A file that is gone and comes back is the same one.
    store.note_gone("in".to_owned(), vec![known[0].event], noon()).await.unwrap();
    assert_eq!(store.known_versions("in".to_owned(), EventId(0)).await.unwrap().len(), 1);
    assert_eq!(enter(store, vec![version("/in/b", 'a')]).await, [Entered::Same(known[0].event)]);
    assert_eq!(store.known_versions("in".to_owned(), EventId(0)).await.unwrap().len(), 2);
    let tasks = tasks(store, TaskQuery::default()).await;
    assert_eq!(tasks.len(), 4);
    assert!(tasks.iter().all(|task| task.status == Some(TaskStatus::Pending) && task.stage.is_none()));
    let mut messages: Vec<_> = tasks.iter().map(|task| task.message_id.clone()).collect();
    messages.sort();
    messages.dedup();
    assert_eq!(messages.len(), 4);
    for id in messages {
        let parsed = uuid::Uuid::parse_str(&id).unwrap();
        assert_eq!((parsed.get_version_num(), parsed.hyphenated().to_string()), (4, id));
    }
}

async fn a_path_that_is_no_text_comes_back(store: &dyn Store) {
    begin(store).await;
    let paths: [&[u8]; 3] = [b"/in/\xff\xfe.pdf", b"/in/\\xff\\xfe.pdf", "/in/\u{10d}\n'\"".as_bytes()];
    let versions =
        paths.map(|path| NewEvent { path: DocumentPath::of_bytes(path), ..version("", 'a') }).to_vec();
    assert_eq!(enter(store, versions.clone()).await.len(), 3);
    assert!(enter(store, versions).await.iter().all(|entered| matches!(entered, Entered::Same(_))));
    let known = store.known_versions("in".to_owned(), EventId(0)).await.unwrap();
    assert_eq!(known.iter().map(|known| known.path.bytes()).collect::<Vec<_>>(), paths);
    let due = take(store).await;
    assert_eq!(due.iter().map(|due| due.path.bytes()).collect::<Vec<_>>(), paths);
}

async fn what_is_entered_is_published_and_settled(store: &dyn Store) {
    begin(store).await;
    assert_eq!(store.next_document().await.unwrap(), None);
    enter(store, vec![version("/in/a", 'a')]).await;
    let task = only_task(store).await;
    assert!(store.next_document().await.unwrap().is_some());
    assert_eq!(store.waiting_channels().await.unwrap(), [] as [&str; 0], "no channel of notifications");
    let due = take(store).await;
    assert_eq!(due.len(), 1);
    assert_eq!((due[0].task, &due[0].message_id, due[0].tries), (task.id, &task.message_id, 1));
    assert_eq!((due[0].topic.as_str(), due[0].app_group.as_str()), ("invoices.pdf", "banks"));
    assert_eq!((due[0].path.text(), due[0].target.as_ref()), ("/in/a", None));
    assert_eq!(due[0].sha3.as_deref(), Some("a".repeat(64).as_str()));
    assert_eq!(take(store).await, [], "a try is under way");
    assert_eq!(store.next_document().await.unwrap(), Some(much_later() + TimeDelta::minutes(1)));
    // One body never goes to two queues.
    assert_eq!(store.route_documents(vec![(task.id, target())]).await.unwrap(), [task.id]);
    let other = Target { queue: "other".to_owned(), actor: "other".to_owned() };
    assert_eq!(store.route_documents(vec![(task.id, other)]).await.unwrap(), []);
    let routed = only_task(store).await;
    assert_eq!(
        (routed.stage.as_deref(), routed.actor.as_deref(), routed.queue.as_deref()),
        (Some("extract"), Some("extract"), Some("documents"))
    );
    let key = (due[0].delivery, task.id);
    let later = Published::Later { why: "the queue is full".to_owned(), again: much_later() };
    settle(store, key, later).await;
    assert_eq!(only_task(store).await.error.as_deref(), Some("the queue is full"));
    let again = take(store).await;
    assert_eq!((again[0].tries, again[0].target.clone()), (2, Some(target())));
    settle(store, key, Published::Sent).await;
    let sent = only_task(store).await;
    assert_eq!((sent.status, sent.sent, sent.error), (Some(TaskStatus::Sent), Some(noon()), None));
    assert_eq!(sent.manager.as_deref(), Some("zg"));
    assert_eq!((take(store).await, store.next_document().await.unwrap()), (vec![], None));
    // What could not be published at all is dead.
    enter(store, vec![version("/in/b", 'a')]).await;
    let due = take(store).await;
    settle(store, (due[0].delivery, due[0].task), Published::GivenUp { why: "no queue".to_owned() }).await;
    let dead = TaskQuery { statuses: vec![TaskStatus::Dead], ..TaskQuery::default() };
    let dead = tasks(store, dead).await;
    assert_eq!((dead[0].error.as_deref(), dead[0].finished), (Some("no queue"), Some(noon())));
    assert_eq!(store.next_document().await.unwrap(), None);
}

async fn a_worker_that_is_faster_keeps_its_status(store: &dyn Store) {
    begin(store).await;
    enter(store, vec![version("/in/a", 'a')]).await;
    let due = take(store).await;
    let message = due[0].message_id.clone();
    store.bury_documents(vec![(message, "too late".to_owned())], noon()).await.unwrap();
    settle(store, (due[0].delivery, due[0].task), Published::Sent).await;
    let task = only_task(store).await;
    assert_eq!((task.status, task.sent), (Some(TaskStatus::Dead), Some(noon())));
    assert_eq!(task.error.as_deref(), Some("too late"));
}

async fn what_finds_no_route_waits_for_one(store: &dyn Store) {
    begin(store).await;
    enter(store, vec![version("/in/a", 'a')]).await;
    let due = take(store).await;
    let why = "no route for topic invoices.pdf".to_owned();
    let later = Published::Later { why: why.clone(), again: much_later() + TimeDelta::days(1) };
    settle(store, (due[0].delivery, due[0].task), later).await;
    assert_eq!(take(store).await, []);
    let task = only_task(store).await;
    assert_eq!((task.status, task.error), (Some(TaskStatus::Pending), Some(why)));
    let low = store.add_document_route("#".to_owned(), target(), 0).await.unwrap();
    assert_eq!(take(store).await.len(), 1, "it looks for a route at once");
    let high = store.add_document_route("invoices.*".to_owned(), target(), 5).await.unwrap();
    let routes = store.document_routes().await.unwrap();
    assert_eq!(routes.iter().map(|route| route.id).collect::<Vec<_>>(), [high, low]);
    assert_eq!((routes[0].pattern.as_str(), &routes[0].target), ("invoices.*", &target()));
    store.remove_document_route(high).await.unwrap();
    let refused = store.remove_document_route(high).await.unwrap_err();
    assert!(refused.to_string().contains("dcm route list"), "{refused}");
}

async fn what_was_taken_is_due_again_after_a_restart(store: &dyn Store) {
    begin(store).await;
    enter(store, vec![version("/in/a", 'a'), version("/in/b", 'b')]).await;
    let due = take(store).await;
    let later = Published::Later { why: "the broker is away".to_owned(), again: much_later() };
    settle(store, (due[0].delivery, due[0].task), later).await;
    let soon = much_later() - TimeDelta::days(1);
    store.release_documents(soon).await.unwrap();
    let again = store.take_documents(soon, much_later()).await.unwrap();
    assert_eq!(again.iter().map(|due| due.task).collect::<Vec<_>>(), [due[1].task]);
    assert_eq!(again[0].message_id, due[1].message_id);
}

async fn dead_letters_are_told_by_their_messages(store: &dyn Store) {
    begin(store).await;
    enter(store, vec![version("/in/a", 'a')]).await;
    let task = only_task(store).await;
    let dead = vec![
        (task.message_id.clone(), "ValueError: no text".to_owned()),
        ("of-another-program".to_owned(), String::new()),
    ];
    for _ in 0..2 {
        let known = store.bury_documents(dead.clone(), noon()).await.unwrap();
        assert_eq!(known, std::slice::from_ref(&task.message_id));
    }
    let task = only_task(store).await;
    assert_eq!((task.status, task.error.as_deref()), (Some(TaskStatus::Dead), Some("ValueError: no text")));
    assert_eq!(task.finished, Some(noon()));
}

async fn documents_are_published_again_on_request(store: &dyn Store) {
    begin(store).await;
    enter(store, vec![version("/in/a", 'a'), version("/in/b", 'b'), version("/in/c", 'c')]).await;
    let due = take(store).await;
    store.route_documents(vec![(due[0].task, target()), (due[1].task, target())]).await.unwrap();
    settle(store, (due[0].delivery, due[0].task), Published::Sent).await;
    settle(store, (due[1].delivery, due[1].task), Published::GivenUp { why: "no queue".to_owned() }).await;
    let dead = TaskQuery { statuses: vec![TaskStatus::Dead], limit: 9, ..TaskQuery::default() };
    assert_eq!(store.retry_documents(dead.clone()).await.unwrap(), 1);
    assert_eq!(store.retry_documents(dead).await.unwrap(), 0);
    let again = take(store).await;
    assert_eq!((again.len(), again[0].task, &again[0].target), (1, due[1].task, &Some(target())));
    assert_eq!(again[0].message_id, due[1].message_id);
    // One that was sent, one whose try is under way, and one that nobody knows.
    let ids = vec![due[0].task, due[2].task, TaskId(1 << 40)];
    let named = TaskQuery { ids, limit: 9, ..TaskQuery::default() };
    assert_eq!(store.retry_documents(named.clone()).await.unwrap(), 2);
    assert_eq!(take(store).await.len(), 2);
    let rows = tasks(store, named).await;
    assert!(rows.iter().all(|task| task.status == Some(TaskStatus::Pending) && task.sent.is_none()));
    let of = |query: TaskQuery| async move { tasks(store, query).await.len() };
    let (stage, none) = (Some("extract".to_owned()), Some("none".to_owned()));
    assert_eq!(of(TaskQuery { stage, ..TaskQuery::default() }).await, 2);
    assert_eq!(of(TaskQuery { topic: none, ..TaskQuery::default() }).await, 0);
    assert_eq!(of(TaskQuery { path: Some("n/b".to_owned()), ..TaskQuery::default() }).await, 1);
    let event = tasks(store, TaskQuery { ids: vec![due[0].task], ..TaskQuery::default() }).await[0].event;
    assert_eq!(of(TaskQuery { events: vec![event], ..TaskQuery::default() }).await, 1);
    assert_eq!(of(TaskQuery { before: Some(due[1].task), ..TaskQuery::default() }).await, 1);
}

async fn stages_are_counted(store: &dyn Store) {
    begin(store).await;
    enter(store, vec![version("/in/a", 'a'), version("/in/b", 'b'), version("/in/c", 'c')]).await;
    let due = take(store).await;
    store.route_documents(vec![(due[0].task, target()), (due[1].task, target())]).await.unwrap();
    settle(store, (due[0].delivery, due[0].task), Published::Sent).await;
    settle(store, (due[1].delivery, due[1].task), Published::GivenUp { why: "no queue".to_owned() }).await;
    let stages = store.stages(noon()).await.unwrap();
    assert_eq!(
        stages.iter().map(|stage| stage.stage.as_deref()).collect::<Vec<_>>(),
        [None, Some("extract")]
    );
    assert_eq!((stages[0].waiting, stages[0].dead), (1, 0));
    assert_eq!((stages[1].waiting, stages[1].working, stages[1].dead, stages[1].done), (1, 0, 1, 0));
    assert_eq!(stages[1].oldest, Some(tasks(store, TaskQuery::default()).await[2].created));
}

async fn what_is_over_and_gone_is_pruned_with_its_stages(store: &dyn Store) {
    begin(store).await;
    let old =
        |path: &str, content| NewEvent { seen: noon() - TimeDelta::days(4000), ..version(path, content) };
    let entered = enter(store, vec![old("/in/a", 'a'), old("/in/b", 'b'), old("/in/c", 'c')]).await;
    let [Entered::New(a), Entered::New(b), Entered::New(_)] = entered[..] else { panic!("{entered:?}") };
    // One is over and gone, one is not over, one is still there.
    let due = take(store).await;
    for index in [0, 2] {
        let key = (due[index].delivery, due[index].task);
        settle(store, key, Published::GivenUp { why: "no queue".to_owned() }).await;
    }
    store.note_gone("in".to_owned(), vec![a, b], noon()).await.unwrap();
    assert_eq!(store.prunable(Retention::default()).await.unwrap().events, 1);
    let pruned = store.prune(Pruning::Events, Retention::default(), String::new()).await.unwrap();
    assert_eq!(pruned.rows, 1);
    let left = store.file_events(EventQuery { limit: 9, ..EventQuery::default() }).await.unwrap();
    assert_eq!(left.iter().map(|event| event.path.text()).collect::<Vec<_>>(), ["/in/c", "/in/b"]);
    assert_eq!(tasks(store, TaskQuery::default()).await.len(), 2);
}

/// What a worker does by SQL: the next stage of a document, which is written once.
const NEXT_STAGE: &str = "INSERT INTO pipeline_task (event_id, parent, document, topic) \
    SELECT event_id, id, document, 'invoices.text' FROM pipeline_task WHERE parent IS NULL \
    ON CONFLICT (parent, topic) DO NOTHING";

const WORK: [&str; 4] = [
    "UPDATE pipeline_task SET status = 2, attempts = attempts + 1, started = 'NOW' WHERE id = 1",
    "UPDATE pipeline_task SET status = 4, error = 'ValueError' WHERE id = 1",
    "UPDATE pipeline_task SET status = 2, attempts = attempts + 1, started = 'NOW' WHERE id = 1",
    "UPDATE pipeline_task SET status = 3, error = NULL, finished = 'THEN' WHERE id = 1",
];

async fn a_worker_asks_for_the_next_stage_by_sql(store: &dyn Store, sql: impl AsyncFn(String)) {
    begin(store).await;
    enter(store, vec![version("/in/a", 'a')]).await;
    store.route_documents(vec![(TaskId(1), target())]).await.unwrap();
    let now = store.time().await.unwrap();
    let text = |moment| dcm::model::format_timestamp(moment);
    let begun = now - TimeDelta::minutes(3);
    for statement in WORK {
        let then = text(begun + TimeDelta::seconds(2));
        sql(statement.replace("NOW", &text(begun)).replace("THEN", &then)).await;
    }
    for _ in 0..2 {
        sql(NEXT_STAGE.to_owned()).await;
    }
    let due = take(store).await;
    assert_eq!(
        due.iter().map(|due| due.topic.as_str()).collect::<Vec<_>>(),
        ["invoices.pdf", "invoices.text"]
    );
    settle(store, (due[0].delivery, due[0].task), Published::Sent).await;
    let way = tasks(store, TaskQuery { events: vec![EventId(1)], ..TaskQuery::default() }).await;
    assert_eq!(way.len(), 2);
    assert_eq!(
        (way[0].parent, way[0].status, way[0].attempts),
        (Some(TaskId(1)), Some(TaskStatus::Pending), 0)
    );
    assert_eq!((way[1].status, way[1].attempts), (Some(TaskStatus::Done), 2));
    assert_eq!(way[1].sent, Some(noon()), "also where the worker was faster");
    let stages = store.stages(now - TimeDelta::days(1)).await.unwrap();
    assert_eq!(stages.len(), 2);
    assert_eq!((stages[0].stage.as_deref(), stages[0].waiting), (None, 1));
    assert_eq!((stages[1].done, stages[1].retries, stages[1].waiting), (1, 0, 0));
    let mean = stages[1].mean_seconds.unwrap();
    assert!((mean - 2.0).abs() < 0.01, "{mean}");
    assert_eq!(stages[1].minutes.iter().map(|(_, count)| *count).collect::<Vec<_>>(), [1]);
    let minute = stages[1].minutes[0].0;
    assert!(minute <= begun + TimeDelta::seconds(2) && now - minute < TimeDelta::minutes(5), "{minute}");
    assert_eq!(store.stages(now).await.unwrap()[1].minutes, []);
    sql("DELETE FROM routes".to_owned()).await;
    sql("INSERT INTO routes (pattern, queue, actor) VALUES ('#', 'q', 'a')".to_owned()).await;
    assert_eq!(take(store).await.len(), 1, "the next stage looks for a route");
    sql("UPDATE pipeline_task SET status = 0 WHERE id = 1".to_owned()).await;
    assert_eq!(take(store).await.len(), 1, "the first one is published again");
}

#[test]
fn a_worker_asks_for_the_next_stage_by_sql_on_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("dcm.db");
    let store = SqliteStore::open(&path, OpenMode::Create).unwrap();
    let connection = rusqlite::Connection::open(&path).unwrap();
    block_on(a_worker_asks_for_the_next_stage_by_sql(&store, async |sql: String| {
        connection.execute_batch(&sql).unwrap();
    }));
}

#[test]
fn a_worker_asks_for_the_next_stage_by_sql_on_postgres() {
    let schema = Schema::new();
    let store = PostgresStore::connect(schema.url(), OpenMode::Create).unwrap();
    block_on(a_worker_asks_for_the_next_stage_by_sql(&store, async |sql: String| {
        std::thread::scope(|scope| scope.spawn(|| schema.sql(&sql)).join().unwrap());
    }));
}
