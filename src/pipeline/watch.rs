//! Enters what the threads of the watched directories see.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, sleep, timeout};

use super::catalog::Key;
use super::content::Content;
use super::root::{self, RootThread, Said, Told};
use crate::model::{DocumentPath, Entered, EventId, NewEvent, RootState, WatchRoot};
use crate::process::clock;
use crate::store::{DOCUMENTS_MAX, Store, StoreError};

/// The most directories that one manager watches: each has threads of its own.
const ROOTS_MAX: usize = 64;

/// So often it is looked which directories are to be watched, should nothing be told of a change.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// Changes of the database are many; it is looked no more often than this.
const LOOK_PAUSE: Duration = Duration::from_secs(1);

/// Between tries to reach a database that is away.
const RETRY: Duration = Duration::from_secs(2);

/// The longest wait for the file system of a directory.
const IS_THERE_WITHIN: Duration = Duration::from_secs(5);

/// What is said of a root is written when it differs, and now and then, so that it is known to be watched.
const SAY_EVERY: Duration = Duration::from_secs(60);

/// How often the number of files of a root is written.
const COUNT_EVERY: Duration = Duration::from_secs(5);

/// Watches directories for a manager, those that its database names.
pub struct Watcher {
    /// The database.
    pub store: Arc<dyn Store>,
    /// The name of the manager.
    pub manager: String,
    /// How often each directory is looked through.
    pub scan_every: Duration,
    /// Rung when documents are due.
    pub bell: Arc<Notify>,
}

/// A directory that is being watched.
struct Running {
    /// As it was defined.
    root: WatchRoot,
    task: AbortHandle,
}

impl Watcher {
    /// Goes on until it is dropped. Without directories to be watched it waits for the database to change.
    pub async fn run(self) {
        let mut changed = self.store.changed();
        let mut tasks = JoinSet::new();
        let mut running = BTreeMap::new();
        loop {
            changed.borrow_and_update();
            let wait = match self.store.watch_roots().await {
                Ok(roots) => {
                    self.adjust(roots, &mut running, &mut tasks).await;
                    LOOK_EVERY
                }
                Err(error) => {
                    tracing::debug!(%error, "the watched directories are asked for again");
                    RETRY
                }
            };
            sleep(LOOK_PAUSE).await;
            tokio::select! {
                told = changed.changed() => if told.is_err() { sleep(wait).await },
                () = sleep(wait) => {}
                Some(ended) = tasks.join_next() => {
                    // It is begun again if it is to be watched all the same.
                    if let Ok(name) = ended {
                        running.remove(&name);
                    }
                }
            }
        }
    }

    /// Begins and ends to watch, as the database says.
    async fn adjust(
        &self,
        roots: Vec<WatchRoot>,
        running: &mut BTreeMap<String, Running>,
        tasks: &mut JoinSet<String>,
    ) {
        let is_own = |root: &WatchRoot| root.manager.as_ref().is_none_or(|manager| *manager == self.manager);
        let wanted: Vec<_> = roots.into_iter().filter(|root| root.enabled && is_own(root)).collect();
        running.retain(|name, known| {
            let stays = wanted.iter().any(|root| root.name == *name && is_same(root, &known.root));
            if !stays {
                known.task.abort();
            }
            stays
        });
        for (at, root) in wanted.into_iter().enumerate() {
            if running.contains_key(&root.name) {
                continue;
            }
            if at >= ROOTS_MAX {
                let why = format!("not watched: a manager watches at most {ROOTS_MAX} directories");
                let state = RootState { fault: Some(why), ..root.state };
                let _ = self.store.note_watch_root(root.name, state).await;
                continue;
            }
            if self.claim(&root).await {
                let task = tasks.spawn(serve(
                    Arc::clone(&self.store),
                    root.clone(),
                    self.scan_every,
                    Arc::clone(&self.bell),
                ));
                running.insert(root.name.clone(), Running { root, task });
            }
        }
    }

    /// Whether the directory is this manager's to watch. Where several managers share the database, one that is no
    /// manager's goes to the first on whose host it is.
    async fn claim(&self, root: &WatchRoot) -> bool {
        if root.manager.is_none() && self.store.capabilities().is_shared && !is_there(&root.path).await {
            return false;
        }
        match self.store.claim_watch_root(root.name.clone()).await {
            Ok(is_own) => is_own,
            Err(error) => {
                tracing::debug!(%error, root = root.name, "a directory is claimed again later");
                false
            }
        }
    }
}

async fn is_there(path: &str) -> bool {
    let path = PathBuf::from(path);
    let look = tokio::task::spawn_blocking(move || path.is_dir());
    matches!(timeout(IS_THERE_WITHIN, look).await, Ok(Ok(true)))
}

/// Whether two rows define the same, whatever is said of them, and whoever was written down for it meanwhile.
fn is_same(one: &WatchRoot, other: &WatchRoot) -> bool {
    let defined = |root: &WatchRoot| WatchRoot { state: RootState::default(), manager: None, ..root.clone() };
    defined(one) == defined(other)
}

/// Watches one directory until it is not to be watched any more; its name.
async fn serve(store: Arc<dyn Store>, root: WatchRoot, scan_every: Duration, bell: Arc<Notify>) -> String {
    let name = root.name.clone();
    let (said, mut heard) = mpsc::channel(DOCUMENTS_MAX as usize);
    let thread = match root::start(&root, scan_every, said) {
        Ok(thread) => thread,
        Err(error) => {
            tracing::error!(%error, root = name, "a directory is not watched: there is no thread for it");
            sleep(RETRY).await;
            return name;
        }
    };
    let mut desk = Desk { store, name: name.clone(), thread, bell, state: RootState::default(), said: None };
    if desk.take_up().await.is_err() {
        return name;
    }
    let mut batch = Vec::new();
    while heard.recv_many(&mut batch, DOCUMENTS_MAX as usize).await > 0 {
        if desk.hear(batch.drain(..)).await.is_err() {
            break;
        }
    }
    name
}

/// The directory is not this manager's to watch.
struct NotWatched;

/// Writes what one thread says.
struct Desk {
    store: Arc<dyn Store>,
    name: String,
    thread: RootThread,
    bell: Arc<Notify>,
    state: RootState,
    /// What was written last, and when.
    said: Option<(RootState, Instant)>,
}

impl Desk {
    /// Tells the thread what was entered before.
    async fn take_up(&self) -> Result<(), NotWatched> {
        let mut after = EventId(0);
        loop {
            let page = self.once(|| self.store.known_versions(self.name.clone(), after)).await?;
            let Some(last) = page.last() else { break };
            after = last.event;
            // A thread that has ended says nothing any more.
            let _ = self.thread.told.send(Told::Known(page));
        }
        let _ = self.thread.told.send(Told::Begin);
        Ok(())
    }

    /// Asks the database until it answers.
    async fn once<T, F: Future<Output = Result<T, StoreError>>>(
        &self,
        ask: impl Fn() -> F,
    ) -> Result<T, NotWatched> {
        loop {
            match ask().await {
                Ok(answer) => return Ok(answer),
                Err(StoreError::Refused(why)) => {
                    tracing::info!(root = self.name, "a directory is not watched any more: {why}");
                    return Err(NotWatched);
                }
                Err(error) => {
                    tracing::debug!(%error, root = self.name, "what was seen is entered again");
                    sleep(RETRY).await;
                }
            }
        }
    }

    async fn hear(&mut self, said: impl Iterator<Item = Said>) -> Result<(), NotWatched> {
        let mut seen = Vec::new();
        let mut gone = Vec::new();
        for said in said {
            match said {
                Said::Seen { key, path, content } => seen.push((key, path, content)),
                Said::Gone(events) => gone.extend(events),
                Said::State(state) => {
                    let files = state.files.or(self.state.files);
                    self.state = RootState { files, ..state };
                }
            }
        }
        if !seen.is_empty() {
            self.enter(seen).await?;
        }
        for events in gone.chunks(DOCUMENTS_MAX as usize) {
            self.once(|| self.store.note_gone(self.name.clone(), events.to_vec(), clock::wall())).await?;
        }
        if self.is_news() {
            let state = self.state.clone();
            self.once(|| self.store.note_watch_root(self.name.clone(), state.clone())).await?;
            self.said = Some((state, Instant::now()));
        }
        Ok(())
    }

    fn is_news(&self) -> bool {
        let Some((said, at)) = &self.said else { return self.state.scanned.is_some() };
        said.fault != self.state.fault
            || at.elapsed() >= SAY_EVERY
            || said.files != self.state.files && at.elapsed() >= COUNT_EVERY
    }

    async fn enter(&self, seen: Vec<(Key, PathBuf, Content)>) -> Result<(), NotWatched> {
        let now = clock::wall();
        let event = |(_, path, content): &(Key, PathBuf, Content)| NewEvent {
            path: DocumentPath::of_bytes(path.as_os_str().as_encoded_bytes()),
            size: content.size,
            sha3: content.sha3.clone(),
            modified: content.modified,
            seen: now,
            stamp: content.stamp.clone(),
        };
        let events: Vec<_> = seen.iter().map(event).collect();
        let entered = self.once(|| self.store.enter_events(self.name.clone(), events.clone())).await?;
        if entered.iter().any(|entered| matches!(entered, Entered::New(_))) {
            self.bell.notify_one();
        }
        for ((key, _, content), entered) in seen.into_iter().zip(entered) {
            let (Entered::New(event) | Entered::Same(event)) = entered;
            let _ = self.thread.told.send(Told::Entered { key, event, stamp: content.stamp });
        }
        Ok(())
    }
}
