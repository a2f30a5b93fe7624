//! Documents from the file to the queue: what is taken below a watched directory, and what workers find in their queues.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use dcm::broker::{Broker, BrokerSettings};
use dcm::model::{
    FileEvent, ManagerRow, PipelineTask, RootState, Target, TaskStatus, WatchRoot, parse_timestamp,
};
use dcm::pipeline::{DeadLetters, DocumentOutlet, Watcher};
use dcm::store::{Documents as _, EventQuery, OpenMode, SqliteStore, Store, TaskQuery};
use lapin::BasicProperties;
use lapin::options::QueueDeclareOptions;
use lapin::types::FieldTable;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use crate::fleet::Fleet;
use crate::postgres::{block_on, until};
use crate::rabbit::{Client, Host};

/// Fast enough for a test, slow enough to be seen.
const SCAN_EVERY: Duration = Duration::from_millis(300);

/// How long a file must not have changed, in seconds.
const STABLE: f64 = 0.3;

/// A directory, a database, and the parts of a manager that care for documents.
struct Line {
    folder: TempDir,
    store: Arc<SqliteStore>,
    bell: Arc<Notify>,
    parts: JoinSet<()>,
}

impl Line {
    /// An empty one that watches `in`.
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("in")).unwrap();
        let line = Self::open(folder).await;
        line.store.add_watch_root(line.root()).await.unwrap();
        line
    }

    async fn open(folder: TempDir) -> Self {
        let store = SqliteStore::open(&folder.path().join("dcm.db"), OpenMode::Create).unwrap();
        let manager = ManagerRow { name: "zg".to_owned(), ..ManagerRow::default() };
        store.take_seat(manager).await.unwrap();
        Self { folder, store: Arc::new(store), bell: Arc::default(), parts: JoinSet::new() }
    }

    /// As after the end of a manager, however it ended.
    async fn again(self) -> Self {
        let Self { folder, store, mut parts, .. } = self;
        parts.shutdown().await;
        let store = Arc::into_inner(store).expect("nobody else has the store");
        drop(store);
        Self::open(folder).await
    }

    fn root(&self) -> WatchRoot {
        WatchRoot {
            name: "in".to_owned(),
            path: self.folder.path().join("in").to_str().unwrap().to_owned(),
            pattern: "*".to_owned(),
            recursive: true,
            app_group: "banks".to_owned(),
            topic: "invoices.pdf".to_owned(),
            stable_seconds: STABLE,
            enabled: true,
            manager: None,
            state: RootState::default(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join("in").join(name)
    }

    fn write(&self, name: &str, content: &str) {
        std::fs::write(self.path(name), content).unwrap();
    }

    fn watch(&mut self) {
        let watcher = Watcher {
            store: self.store.clone(),
            manager: "zg".to_owned(),
            scan_every: SCAN_EVERY,
            bell: Arc::clone(&self.bell),
        };
        self.parts.spawn(watcher.run());
    }

    fn publish(&mut self, broker: &Broker) {
        let store = || Arc::clone(&self.store) as Arc<dyn Store>;
        let bell = Arc::clone(&self.bell);
        self.parts.spawn(DocumentOutlet { store: store(), broker: broker.clone(), bell }.run());
        self.parts.spawn(DeadLetters { store: store(), broker: broker.clone() }.run());
    }

    /// The versions, oldest first.
    async fn events(&self) -> Vec<FileEvent> {
        let query = EventQuery { limit: 100_000, ..EventQuery::default() };
        let mut events = self.store.file_events(query).await.unwrap();
        events.reverse();
        events
    }

    /// The names of all versions in the order of the alphabet, those with `-` that are not there any more.
    async fn names(&self) -> Vec<String> {
        let name = |event: &FileEvent| {
            let gone = if event.gone.is_some() { "-" } else { "" };
            let path = event.path.text();
            format!("{gone}{}", path.rsplit_once("/in/").unwrap().1)
        };
        let mut names: Vec<_> = self.events().await.iter().map(name).collect();
        names.sort();
        names
    }

    async fn until_names(&self, expected: &[&str]) {
        let mut last = Vec::new();
        let found = tokio::time::timeout(Duration::from_secs(30), async {
            loop {
                last = self.names().await;
                if last == expected {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
        let is_found = found.await.is_ok();
        assert!(is_found, "waited in vain for {expected:?}: {last:?} {:?}", self.state().await);
    }

    async fn state(&self) -> RootState {
        self.store.watch_roots().await.unwrap().remove(0).state
    }

    async fn until_fault(&self, word: &str) -> String {
        until(&format!("a fault with {word}"), async || self.state().await.fault.filter(|f| f.contains(word)))
            .await
    }

    /// Waits until everything was looked at twice since now.
    async fn until_scanned(&self) {
        tokio::time::sleep(2 * SCAN_EVERY + Duration::from_secs_f64(2.0 * STABLE)).await;
    }

    async fn tasks(&self) -> Vec<PipelineTask> {
        let query = TaskQuery { limit: 100_000, ..TaskQuery::default() };
        let mut tasks = self.store.pipeline_tasks(query).await.unwrap();
        tasks.reverse();
        tasks
    }

    async fn until_task(
        &self,
        number: usize,
        what: &str,
        is_so: impl Fn(&PipelineTask) -> bool,
    ) -> PipelineTask {
        until(what, async || self.tasks().await.into_iter().nth(number).filter(|task| is_so(task))).await
    }

    async fn route(&self, pattern: &str, queue: &str, actor: &str) {
        let target = Target { queue: queue.to_owned(), actor: actor.to_owned() };
        self.store.add_document_route(pattern.to_owned(), target, 0).await.unwrap();
    }
}

async fn broker(host: &Host) -> Broker {
    let broker = Broker::start(BrokerSettings { url: host.url().parse().unwrap(), roots: None }, "zg");
    broker.until_open().await.unwrap();
    broker
}

fn parsed(body: &[u8]) -> Value {
    serde_json::from_slice(body).unwrap()
}

#[test]
fn a_file_is_taken_when_it_is_complete() {
    block_on(async {
        let mut line = Line::new().await;
        line.write("early", "it was there before");
        line.watch();
        line.until_names(&["early"]).await;
        // Half-written: it grows for longer than it need be stable.
        for length in 1..12 {
            line.write("growing", &"x".repeat(length));
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        line.write("download.pdf.part", "half of it");
        line.write(".hidden", "not meant");
        line.write("backup~", "not meant");
        line.until_names(&["early", "growing"]).await;
        assert_eq!(line.events().await[1].size, Some(11), "it was taken once, and whole");
        std::fs::rename(line.path("download.pdf.part"), line.path("download.pdf")).unwrap();
        line.until_names(&["download.pdf", "early", "growing"]).await;
        std::fs::create_dir_all(line.path("a/b")).unwrap();
        line.write("a/b/deep", "below");
        line.until_names(&["a/b/deep", "download.pdf", "early", "growing"]).await;
        line.until_scanned().await;
        assert_eq!(line.events().await.len(), 4);
        let state = line.state().await;
        assert_eq!((state.fault, state.scanned.is_some()), (None, true));
        let event = &line.events().await[0];
        // Reference: python3 -c "hashlib.sha3_256(b'it was there before').hexdigest()"
        assert_eq!(event.sha3.as_deref().map(str::len), Some(64));
        assert_eq!((event.topic.as_str(), event.app_group.as_str()), ("invoices.pdf", "banks"));
        assert!(event.modified.is_some() && event.seen > parse_timestamp("2026-01-01T00:00:00Z").unwrap());
    });
}

#[test]
fn only_another_content_is_a_new_version() {
    block_on(async {
        let mut line = Line::new().await;
        line.write("a", "one");
        line.write("b", "one");
        line.watch();
        line.until_names(&["a", "b"]).await;
        line.write("a", "one");
        line.until_scanned().await;
        assert_eq!(line.names().await, ["a", "b"], "the same content once more");
        // Replaced by another of the same size and time.
        let modified = std::fs::metadata(line.path("a")).unwrap().modified().unwrap();
        line.write(".new", "two");
        let new = std::fs::File::options().write(true).open(line.path(".new")).unwrap();
        new.set_modified(modified).unwrap();
        std::fs::rename(line.path(".new"), line.path("a")).unwrap();
        line.until_names(&["-a", "a", "b"]).await;
        std::fs::remove_file(line.path("b")).unwrap();
        line.until_names(&["-a", "-b", "a"]).await;
        line.write("b", "one");
        line.until_names(&["-a", "a", "b"]).await;
        // Renamed: another path is another document.
        std::fs::rename(line.path("b"), line.path("c")).unwrap();
        line.until_names(&["-a", "-b", "a", "c"]).await;
        assert_eq!(line.tasks().await.len(), 4);
    });
}

#[test]
fn what_came_while_no_manager_watched_is_taken_and_nothing_twice() {
    block_on(async {
        let mut line = Line::new().await;
        for number in 0..50 {
            line.write(&format!("{number:02}"), &format!("document {number}"));
        }
        line.watch();
        until("all of them", async || (line.events().await.len() == 50).then_some(())).await;
        let mut line = line.again().await;
        line.write("50", "late");
        line.write("07", "another one");
        std::fs::remove_file(line.path("08")).unwrap();
        line.watch();
        until("the others", async || (line.events().await.len() == 52).then_some(())).await;
        line.until_scanned().await;
        let events = line.events().await;
        assert_eq!(events.len(), 52);
        assert_eq!(events.iter().filter(|event| event.gone.is_some()).count(), 2);
        assert_eq!(line.tasks().await.len(), 52);
    });
}

#[test]
fn strange_files_harm_no_others() {
    use std::os::unix::fs::symlink;
    block_on(async {
        let mut line = Line::new().await;
        let odd = line.path("").join(OsStr::from_bytes(b"\xff\xfe odd"));
        std::fs::write(&odd, "no text").unwrap();
        line.write("new\nline", "text");
        std::fs::create_dir(line.path("d")).unwrap();
        symlink("..", line.path("d/loop")).unwrap();
        symlink("circle", line.path("circle")).unwrap();
        symlink("nowhere", line.path("broken")).unwrap();
        symlink("new\nline", line.path("link")).unwrap();
        nix::unistd::mkfifo(&line.path("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        // It is a file, it can be opened, and to read it fails, for root too.
        symlink("/proc/self/mem", line.path("unreadable")).unwrap();
        line.watch();
        line.until_names(&["\\xff\\xfe odd", "link", "new\nline"]).await;
        let events = line.events().await;
        let event = events.iter().find(|event| event.path.text().contains("odd")).unwrap();
        assert_eq!(event.path.bytes(), odd.as_os_str().as_bytes());
        line.until_fault("unreadable: Input/output error").await;
        std::fs::remove_file(line.path("unreadable")).unwrap();
        until("no fault", async || line.state().await.fault.is_none().then_some(())).await;
        line.write("d/later", "it goes on");
        line.until_names(&["\\xff\\xfe odd", "d/later", "link", "new\nline"]).await;
    });
}

#[test]
fn a_directory_that_vanishes_is_told_of_and_watched_again() {
    block_on(async {
        let mut line = Line::new().await;
        line.write("a", "one");
        line.watch();
        line.until_names(&["a"]).await;
        let aside = line.folder.path().join("aside");
        std::fs::rename(line.root().path, &aside).unwrap();
        let fault = line.until_fault("No such file").await;
        assert!(fault.contains(&line.root().path), "{fault}");
        assert_eq!(line.names().await, ["a"], "what cannot be seen is not gone");
        std::fs::write(line.folder.path().join("in"), "a file").unwrap();
        line.until_fault("no directory").await;
        std::fs::remove_file(line.folder.path().join("in")).unwrap();
        std::fs::rename(&aside, line.root().path).unwrap();
        until("no fault", async || line.state().await.fault.is_none().then_some(())).await;
        line.write("b", "two");
        line.until_names(&["a", "b"]).await;
        // Switched off, switched on, removed.
        line.store.enable_watch_root("in", false).await.unwrap();
        tokio::time::sleep(Duration::from_millis(1500)).await;
        line.write("c", "three");
        line.until_scanned().await;
        assert_eq!(line.names().await, ["a", "b"]);
        line.store.enable_watch_root("in", true).await.unwrap();
        line.until_names(&["a", "b", "c"]).await;
    });
}

#[test]
fn a_document_reaches_the_queue_of_its_topic_as_dramatiq_reads_it() {
    block_on(async {
        let host = Host::new();
        let (broker, client) = (broker(&host).await, host.connect().await);
        let mut line = Line::new().await;
        line.write("a b.pdf", "one");
        std::fs::write(line.path("").join(OsStr::from_bytes(b"\xff.pdf")), "two").unwrap();
        line.watch();
        line.publish(&broker);
        let why = "no route for topic invoices.pdf";
        let waiting =
            line.until_task(1, "a word on the route", |task| task.error.as_deref() == Some(why)).await;
        assert_eq!((waiting.status, waiting.stage), (Some(TaskStatus::Pending), None));
        line.route("invoices.*", "documents", "extract").await;
        let mut messages = Vec::new();
        for _ in 0..2 {
            messages.push(client.until_message_in("documents").await);
        }
        let tasks = line.tasks().await;
        for task in &tasks {
            let sent =
                line.until_task(usize::try_from(task.id.0).unwrap() - 1, "SENT", |task| task.sent.is_some());
            let sent = sent.await;
            assert_eq!((sent.status, sent.error), (Some(TaskStatus::Sent), None));
            assert_eq!((sent.stage.as_deref(), sent.queue.as_deref()), (Some("extract"), Some("documents")));
        }
        let of = |path: &str| {
            let task = tasks.iter().find(|task| task.document.contains(path)).unwrap();
            let is_its = |message: &&lapin::message::Delivery| {
                message.properties.message_id().as_ref().unwrap().as_str() == task.message_id
            };
            (task, messages.iter().find(is_its).expect("its message has the id of its row"))
        };
        let (task, message) = of("a b");
        assert_eq!(*message.properties.delivery_mode(), Some(2), "it survives a restart of the broker");
        let body = parsed(&message.data);
        let path = line.path("a b.pdf").to_str().unwrap().to_owned();
        let sha3 = line.events().await.into_iter().find(|event| event.id == task.event).unwrap().sha3;
        assert_eq!(
            body["args"],
            json!([{"task": task.id.0, "path": path, "topic": "invoices.pdf", "sha3": sha3, "group": "banks"}])
        );
        assert_eq!((&body["queue_name"], &body["actor_name"]), (&json!("documents"), &json!("extract")));
        assert_eq!((&body["kwargs"], &body["options"]), (&json!({}), &json!({})));
        assert_eq!(body["message_id"], json!(task.message_id));
        assert_eq!(body.as_object().unwrap().len(), 7);
        let (_, odd) = of("\\xff");
        assert!(String::from_utf8(odd.data.clone()).unwrap().contains("\\udcff.pdf"));
        // Published again on request, with the same id.
        let query = TaskQuery { ids: vec![task.id], limit: 1, ..TaskQuery::default() };
        assert_eq!(line.store.retry_documents(query).await.unwrap(), 1);
        line.bell.notify_one();
        let again = client.until_message("documents").await.delivery;
        assert_eq!(parsed(&again.data)["message_id"], json!(task.message_id));
    });
}

#[test]
fn a_queue_that_is_another_is_told_of_and_others_go_on() {
    block_on(async {
        let host = Host::new();
        let (broker, client) = (broker(&host).await, host.connect().await);
        let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
        client.channel.queue_declare("old".into(), options, FieldTable::default()).await.unwrap();
        let mut line = Line::new().await;
        line.route("invoices.pdf", "old", "extract").await;
        line.write("a", "one");
        line.watch();
        line.publish(&broker);
        let is_told =
            |task: &PipelineTask| task.error.as_deref().is_some_and(|why| why.contains("x-dead-letter"));
        let task = line.until_task(0, "a word on the queue", is_told).await;
        assert!(task.error.unwrap().starts_with("queue old is not as Dramatiq declares it"));
        assert_eq!((task.status, task.queue), (Some(TaskStatus::Pending), None));
        assert_eq!(client.depth("old").await, Some((0, 0)));
        // Another root with another topic.
        std::fs::create_dir(line.folder.path().join("other")).unwrap();
        std::fs::write(line.folder.path().join("other/b"), "two").unwrap();
        line.route("letters", "new", "extract").await;
        let other = line.folder.path().join("other").to_str().unwrap().to_owned();
        let root =
            WatchRoot { name: "other".to_owned(), path: other, topic: "letters".to_owned(), ..line.root() };
        line.store.add_watch_root(root).await.unwrap();
        client.until_message_in("new").await;
        // It was deleted, and is declared as it should be.
        client
            .channel
            .queue_delete("old".into(), lapin::options::QueueDeleteOptions::default())
            .await
            .unwrap();
        client.until_message_in("old").await;
        line.until_task(0, "SENT", |task| task.status == Some(TaskStatus::Sent)).await;
    });
}

#[test]
fn dead_letters_are_noted_and_what_is_not_ours_stays() {
    block_on(async {
        let host = Host::new();
        let (broker, client) = (broker(&host).await, host.connect().await);
        let mut line = Line::new().await;
        line.route("#", "documents", "extract").await;
        line.write("a", "one");
        line.watch();
        line.publish(&broker);
        let message = client.until_message_in("documents").await;
        let mut body = parsed(&message.data);
        let foreign = b"{\"message_id\": \"of-another-program\"}";
        let publish = async |body: &[u8]| {
            client.publish("", "documents.XQ", body, BasicProperties::default()).await;
        };
        publish(foreign).await;
        publish(b"no JSON at all").await;
        body["options"] = json!({"traceback": "Traceback:\n  File\nValueError: no text\n", "retries": 20});
        publish(body.to_string().as_bytes()).await;
        let dead = line.until_task(0, "DEAD", |task| task.status == Some(TaskStatus::Dead)).await;
        assert_eq!(dead.error.as_deref(), Some("ValueError: no text"));
        assert!(dead.finished.is_some());
        let waiting = async || client.depth("documents.XQ").await.filter(|(waiting, _)| *waiting == 2);
        until("the others to be back", waiting).await;
        let first = client.get("documents.XQ").await.unwrap();
        assert_eq!(first.delivery.data, foreign, "in their place");
        client.get("documents.XQ").await.unwrap();
        // With nothing else in the queue it is read as it comes.
        let query = TaskQuery { statuses: vec![TaskStatus::Dead], limit: 9, ..TaskQuery::default() };
        assert_eq!(line.store.retry_documents(query).await.unwrap(), 1);
        line.bell.notify_one();
        let again = client.until_message_in("documents").await;
        assert_eq!(parsed(&again.data)["message_id"], body["message_id"]);
        publish(&again.data).await;
        let dead = line.until_task(0, "DEAD", |task| task.status == Some(TaskStatus::Dead)).await;
        assert!(dead.error.unwrap().contains("no actor extract"));
    });
}

/// So many files come at once. Each is found in the queue, however often the manager is killed meanwhile.
const BURST: usize = 1500;

#[test]
fn a_burst_is_published_whole_though_the_manager_is_killed_again_and_again() {
    let host = Host::new();
    let mut fleet = Fleet::new();
    fleet.set("DC_RABBITMQ_URL", &host.url());
    let inbox = fleet.dir.path().join("in");
    std::fs::create_dir(&inbox).unwrap();
    fleet.sql(&format!(
        "INSERT INTO watch_roots (name, path, app_group, topic, stable_seconds) VALUES ('in', '{}', 'banks', 'a.b', 0.2); \
         INSERT INTO routes (pattern, queue, actor) VALUES ('#', 'documents', 'extract')",
        inbox.display()
    ));
    fleet.start_manager();
    for number in 0..BURST {
        std::fs::write(inbox.join(format!("{number}.pdf")), format!("document {number}")).unwrap();
        // At some moment of each of its works.
        if number % 300 == 299 {
            fleet.kill_manager();
            fleet.start_manager();
        }
    }
    let patience = Duration::from_secs(120);
    let sent = "SELECT count(*) FROM pipeline_task WHERE status = 1 AND sent IS NOT NULL";
    for count in [BURST / 4, BURST / 2] {
        fleet.until_query_within(patience, &format!("SELECT ({sent}) >= {count}"), "[[Integer(1)]]");
        fleet.kill_manager();
        fleet.start_manager();
    }
    let all = format!("[[Integer({BURST})]]");
    fleet.until_query_within(patience, sent, &all);
    fleet.until_query("SELECT count(*) FROM events", &all);
    fleet.until_query("SELECT count(DISTINCT document) FROM pipeline_task", &all);
    block_on(async {
        let client = host.connect().await;
        let mut ids = std::collections::BTreeSet::new();
        let mut count = 0;
        while let Some(message) = client.get("documents").await {
            let body = parsed(&message.delivery.data);
            ids.insert(body["message_id"].as_str().unwrap().to_owned());
            count += 1;
        }
        assert_eq!(ids.len(), BURST, "of {count} messages");
    });
}

/// What a test does not find at once because the queue is still to be declared.
trait Patient {
    async fn until_message_in(&self, queue: &str) -> lapin::message::Delivery;
}

impl Patient for Client {
    async fn until_message_in(&self, queue: &str) -> lapin::message::Delivery {
        until("the queue", async || self.depth(queue).await.filter(|(waiting, _)| *waiting > 0)).await;
        self.until_message(queue).await.delivery
    }
}
