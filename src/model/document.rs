//! Documents for workers: watched directories, routes of topics, versions of files, and the stages they go through.

use std::fmt;

use super::{DeliveryId, TaskStatus, Timestamp};

/// A row of the events table.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct EventId(pub i64);

/// A row of the `pipeline_task` table.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct TaskId(pub i64);

/// A row of the routes table.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct RouteId(pub i64);

/// The path of a document. What is not UTF-8 has its bytes beside a text that stands for them and for no other path.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DocumentPath {
    text: String,
    bytes: Option<Box<[u8]>>,
}

impl DocumentPath {
    /// The path of these bytes.
    #[must_use]
    pub fn of_bytes(bytes: &[u8]) -> Self {
        match std::str::from_utf8(bytes) {
            Ok(text) if !text.contains("\\x") => Self { text: text.to_owned(), bytes: None },
            _ => Self { text: escaped(bytes), bytes: Some(bytes.into()) },
        }
    }

    /// The path as a row has it.
    #[must_use]
    pub fn of_row(text: String, bytes: Option<Vec<u8>>) -> Self {
        Self { text, bytes: bytes.map(Vec::into_boxed_slice) }
    }

    /// The text to be shown, by which the rows of a path are found.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The bytes, where the text is not the path itself.
    #[must_use]
    pub fn odd_bytes(&self) -> Option<&[u8]> {
        self.bytes.as_deref()
    }

    /// The bytes by which the file is opened.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.bytes.as_deref().unwrap_or(self.text.as_bytes())
    }
}

impl fmt::Display for DocumentPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

impl fmt::Debug for DocumentPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text, f)
    }
}

/// What is no text as `\xNN`, and each `\` twice.
fn escaped(bytes: &[u8]) -> String {
    use fmt::Write as _;
    let mut text = String::with_capacity(bytes.len() + 8);
    for chunk in bytes.utf8_chunks() {
        text.push_str(&chunk.valid().replace('\\', "\\\\"));
        for byte in chunk.invalid() {
            let _ = write!(text, "\\x{byte:02x}");
        }
    }
    text
}

/// A watched directory as it is defined.
#[derive(Debug, Clone, PartialEq)]
pub struct WatchRoot {
    /// Its name.
    pub name: String,
    /// The directory.
    pub path: String,
    /// The files that are taken: a glob of their own name.
    pub pattern: String,
    /// Whether directories below it are watched too.
    pub recursive: bool,
    /// The group that its documents are counted to.
    pub app_group: String,
    /// The topic of its documents.
    pub topic: String,
    /// A file is taken when it has not changed for this time, in seconds.
    pub stable_seconds: f64,
    /// Whether it is watched.
    pub enabled: bool,
    /// The manager that watches it; `None`: whoever serves the database, and has the directory.
    pub manager: Option<String>,
    /// What its manager says of it.
    pub state: RootState,
}

impl WatchRoot {
    /// How long a file must not have changed unless the row says otherwise, in seconds.
    pub const STABLE_SECONDS: f64 = 2.0;

    /// The longest time that may be asked for, in seconds: a day.
    pub const STABLE_SECONDS_MAX: f64 = 86_400.0;
}

/// What a manager says of a root.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RootState {
    /// When it was last looked through.
    pub scanned: Option<Timestamp>,
    /// The files that are known.
    pub files: Option<u64>,
    /// Why it, or files below it, cannot be read.
    pub fault: Option<String>,
}

/// Where the documents of some topics go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DocumentRoute {
    /// Its number; of those with the highest priority the lowest one counts.
    pub id: RouteId,
    /// Of topics.
    pub pattern: String,
    /// What they go to.
    pub target: Target,
    /// Of the routes that match the highest counts.
    pub priority: i64,
}

/// A queue, and the actor that works on what is in it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Target {
    /// The queue.
    pub queue: String,
    /// The actor, after which the stage is named.
    pub actor: String,
}

/// The route of a topic: of those that match the one with the highest priority, then the lowest number.
#[must_use]
pub fn route_of<'a>(routes: &'a [DocumentRoute], topic: &str) -> Option<&'a DocumentRoute> {
    routes
        .iter()
        .filter(|route| super::topic_matches(&route.pattern, topic))
        .min_by_key(|route| (std::cmp::Reverse(route.priority), route.id))
}

/// A version of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileEvent {
    /// Its number.
    pub id: EventId,
    /// The watch root below which it was seen.
    pub root: String,
    /// Where it was.
    pub path: DocumentPath,
    /// Its size in bytes.
    pub size: Option<u64>,
    /// The SHA3-256 of its content, in 64 lower-case hex characters.
    pub sha3: Option<String>,
    /// When it was last modified.
    pub modified: Option<Timestamp>,
    /// When it was seen.
    pub seen: Timestamp,
    /// Its topic.
    pub topic: String,
    /// The group that it is counted to.
    pub app_group: String,
    /// Since when this version is not there any more.
    pub gone: Option<Timestamp>,
}

/// A version of a file that a manager enters, with the first stage of its document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEvent {
    /// Where it is.
    pub path: DocumentPath,
    /// Its size in bytes.
    pub size: u64,
    /// The SHA3-256 of its content, in 64 lower-case hex characters.
    pub sha3: String,
    /// When it was last modified.
    pub modified: Option<Timestamp>,
    /// When it was seen.
    pub seen: Timestamp,
    /// By which it is known again.
    pub stamp: String,
}

/// What became of a version that a manager wanted to enter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entered {
    /// It is a new version.
    New(EventId),
    /// The latest version at its path has the same content.
    Same(EventId),
}

/// A version that is still there, as a manager that begins has to know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownVersion {
    /// Its number.
    pub event: EventId,
    /// Where it is.
    pub path: DocumentPath,
    /// By which it is known again.
    pub stamp: Option<String>,
}

/// A document in one stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PipelineTask {
    /// Its number.
    pub id: TaskId,
    /// The version of the file.
    pub event: EventId,
    /// The task whose worker asked for this one; `None`: the first of its document.
    pub parent: Option<TaskId>,
    /// The path.
    pub document: String,
    /// Its topic.
    pub topic: String,
    /// The stage, named after its actor; `None` until the topic has found its route.
    pub stage: Option<String>,
    /// The actor.
    pub actor: Option<String>,
    /// The queue.
    pub queue: Option<String>,
    /// The id of its message, the same however often it is published.
    pub message_id: String,
    /// How far it has come; `None` for a code of a newer version.
    pub status: Option<TaskStatus>,
    /// How often a worker has begun it.
    pub attempts: u64,
    /// When its row was written.
    pub created: Timestamp,
    /// When the broker confirmed it.
    pub sent: Option<Timestamp>,
    /// When a worker began it last.
    pub started: Option<Timestamp>,
    /// When it ended: done, failed or dead.
    pub finished: Option<Timestamp>,
    /// Why it waits, failed or is dead.
    pub error: Option<String>,
    /// The manager that published it.
    pub manager: Option<String>,
}

/// The documents in one stage.
#[derive(Debug, Clone, PartialEq)]
pub struct StageCount {
    /// The stage; `None`: what has found no route yet.
    pub stage: Option<String>,
    /// PENDING and SENT: no worker has begun.
    pub waiting: u64,
    /// RUNNING.
    pub working: u64,
    /// DONE within the last hour.
    pub done: u64,
    /// FAILED: the worker's own retries go on.
    pub failed: u64,
    /// DEAD.
    pub dead: u64,
    /// Those that are not done and were begun more than once.
    pub retries: u64,
    /// When the row of the one that waits longest was written.
    pub oldest: Option<Timestamp>,
    /// How long those done within the last hour took from their start on, in seconds on average.
    pub mean_seconds: Option<f64>,
    /// How many were done, by the beginning of the minute, oldest first; minutes without any are left out.
    pub minutes: Vec<(Timestamp, u64)>,
}

impl StageCount {
    /// A stage without documents.
    #[must_use]
    pub fn of(stage: Option<String>) -> Self {
        Self {
            stage,
            waiting: 0,
            working: 0,
            done: 0,
            failed: 0,
            dead: 0,
            retries: 0,
            oldest: None,
            mean_seconds: None,
            minutes: Vec::new(),
        }
    }
}

/// A document that is due to be published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueDocument {
    /// Its delivery.
    pub delivery: DeliveryId,
    /// Its task.
    pub task: TaskId,
    /// The id of its message.
    pub message_id: String,
    /// Its topic.
    pub topic: String,
    /// Where it goes, if its topic has found that already.
    pub target: Option<Target>,
    /// The path.
    pub path: DocumentPath,
    /// The SHA3-256 of the content.
    pub sha3: Option<String>,
    /// The group that it is counted to.
    pub app_group: String,
    /// When its delivery was written.
    pub created: Timestamp,
    /// How many tries have begun, this one included.
    pub tries: u32,
}

/// What became of a try to publish a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Published {
    /// The broker has confirmed it.
    Sent,
    /// It is tried again then.
    Later {
        /// Why, in one line.
        why: String,
        /// When.
        again: Timestamp,
    },
    /// It is not tried any more: the task is DEAD.
    GivenUp {
        /// Why, in one line.
        why: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_path_has_a_text_of_its_own_and_comes_back() {
        let paths: [&[u8]; 6] = [
            b"/in/a.pdf",
            b"/in/\xff.pdf",
            b"/in/\\xff.pdf",
            b"/in/a\\b",
            b"/in/\\\xff",
            "/in/\u{10d}".as_bytes(),
        ];
        let mut texts = Vec::new();
        for bytes in paths {
            let path = DocumentPath::of_bytes(bytes);
            assert_eq!(path.bytes(), bytes);
            let read = DocumentPath::of_row(path.text().to_owned(), path.odd_bytes().map(<[u8]>::to_vec));
            assert_eq!(read, path);
            texts.push(path.text().to_owned());
        }
        assert_eq!(
            texts,
            ["/in/a.pdf", "/in/\\xff.pdf", "/in/\\\\xff.pdf", "/in/a\\b", "/in/\\\\\\xff", "/in/\u{10d}"]
        );
    }

    #[test]
    fn the_highest_priority_counts_then_the_lowest_number() {
        let route = |id: i64, pattern: &str, priority: i64| DocumentRoute {
            id: RouteId(id),
            pattern: pattern.to_owned(),
            target: Target { queue: format!("q{id}"), actor: "a".to_owned() },
            priority,
        };
        let routes = [route(1, "#", 0), route(3, "a.*", 5), route(2, "a.b", 5), route(4, "x.#", 9)];
        let found = |topic: &str| route_of(&routes, topic).map(|route| route.id.0);
        assert_eq!(
            (found("a.b"), found("a.c"), found("c"), found("x")),
            (Some(2), Some(3), Some(1), Some(4))
        );
        assert_eq!(route_of(&routes[1..], "c"), None);
    }
}
