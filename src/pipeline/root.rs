//! The thread of one watched directory: it looks through it now and then, is told by the system of what changes, and has
//! read what has become stable.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender, TrySendError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use notify::Watcher as _;
use tokio::time::Instant;

use super::catalog::{Catalog, Key, Look, Read, TICKS_A_SECOND, Tick};
use super::content::{self, Content, Unread};
use super::names::NamePattern;
use super::walk::{self, Faults};
use crate::files;
use crate::model::{EventId, KnownVersion, RootState, WatchRoot};
use crate::process::clock;

/// Files that are read at once below one root.
const READERS: usize = 2;

/// Files that wait to be read.
const QUEUE: usize = 256;

/// Paths that the system has told of and that are not looked at yet, and those that are to be looked at again. Beyond it,
/// all are looked at.
const PATHS_MAX: usize = 4096;

/// What changes together is looked at together.
const GATHER: Duration = Duration::from_millis(20);

/// Looking through everything takes no more than a fifth of the time.
const REST: u32 = 4;

/// What a thread says.
#[derive(Debug)]
pub(super) enum Said {
    /// A file is stable, and holds this. The answer goes back by its key.
    Seen { key: Key, path: PathBuf, content: Content },
    /// These versions are not there any more.
    Gone(Vec<EventId>),
    /// What is to be said of the root.
    State(RootState),
}

/// What a thread is told.
#[derive(Debug)]
pub(super) enum Told {
    /// Versions that were entered before. They come before everything else.
    Known(Vec<KnownVersion>),
    /// All of them were told.
    Begin,
    /// A file was entered.
    Entered { key: Key, event: EventId, stamp: String },
    /// A file was not read, and why.
    NotRead { key: Key, unread: Unread, path: PathBuf },
    /// The system says that something changed.
    Changed(PathBuf),
}

/// A running thread. It ends when this is dropped, and is not waited for, since a file system may hang.
#[derive(Debug)]
pub(super) struct RootThread {
    pub(super) told: mpsc::Sender<Told>,
    is_over: Arc<AtomicBool>,
}

impl Drop for RootThread {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        // It may be asleep until its next scan.
        let _ = self.told.send(Told::Begin);
    }
}

/// Begins to watch. What is seen comes by `said`, which waits while it is full.
///
/// # Errors
/// There is no thread for it.
pub(super) fn start(
    root: &WatchRoot,
    scan_every: Duration,
    said: tokio::sync::mpsc::Sender<Said>,
) -> io::Result<RootThread> {
    let (told, inbox) = mpsc::channel();
    let is_over = Arc::new(AtomicBool::new(false));
    let (queue, files) = mpsc::sync_channel(QUEUE);
    let files = Arc::new(Mutex::new(files));
    for _ in 0..READERS {
        let reader = Reader {
            files: Arc::clone(&files),
            said: said.clone(),
            told: told.clone(),
            is_over: Arc::clone(&is_over),
        };
        std::thread::Builder::new().name("dcm-document".to_owned()).spawn(move || reader.run())?;
    }
    let keeper = Keeper {
        path: PathBuf::from(&root.path),
        is_recursive: root.recursive,
        pattern: NamePattern::new(&root.pattern),
        scan_every,
        catalog: Catalog::new(root.stable_seconds),
        begun: Instant::now(),
        inbox,
        told: told.clone(),
        hints: Arc::default(),
        said,
        feeder: Feeder { queue, is_over: Arc::clone(&is_over), waited: Duration::ZERO },
        again: BinaryHeap::new(),
        is_again: BTreeSet::new(),
        scan_at: Instant::now(),
        unreadable: Vec::new(),
        watcher: None,
        device: None,
    };
    std::thread::Builder::new().name("dcm-watch".to_owned()).spawn(move || keeper.run())?;
    Ok(RootThread { told, is_over })
}

/// Reads files, one after the other.
struct Reader {
    files: Arc<Mutex<Receiver<(Key, PathBuf)>>>,
    said: tokio::sync::mpsc::Sender<Said>,
    told: mpsc::Sender<Told>,
    is_over: Arc<AtomicBool>,
}

impl Reader {
    fn run(self) {
        let mut buffer = Vec::new();
        loop {
            let next = self.files.lock().unwrap_or_else(PoisonError::into_inner).recv();
            let Ok((key, path)) = next else { return };
            let is_over = || self.is_over.load(Ordering::Relaxed);
            let done = match content::read(&path, &mut buffer, is_over) {
                Ok(content) => self.said.blocking_send(Said::Seen { key, path, content }).is_ok(),
                Err(unread) => self.told.send(Told::NotRead { key, unread, path }).is_ok(),
            };
            if !done || is_over() {
                return;
            }
        }
    }
}

/// What the system tells may come faster than it is looked at.
#[derive(Debug, Default)]
struct Hints {
    waiting: std::sync::atomic::AtomicUsize,
    /// Everything is to be looked at.
    all: AtomicBool,
}

/// The system's own watch, and which directory it is on.
type Watch = (notify::RecommendedWatcher, files::FileId);

struct Keeper {
    path: PathBuf,
    is_recursive: bool,
    pattern: NamePattern,
    scan_every: Duration,
    catalog: Catalog,
    begun: Instant,
    inbox: Receiver<Told>,
    told: mpsc::Sender<Told>,
    hints: Arc<Hints>,
    said: tokio::sync::mpsc::Sender<Said>,
    feeder: Feeder,
    /// Files that are not stable yet, each of them once.
    again: BinaryHeap<Reverse<(Tick, PathBuf)>>,
    is_again: BTreeSet<Key>,
    scan_at: Instant,
    /// Files that could not be read, and why: the first of them.
    unreadable: Vec<(Key, String)>,
    watcher: Option<Watch>,
    /// The file system that the directory is on.
    device: Option<u64>,
}

/// Gives files to those who read them.
struct Feeder {
    queue: SyncSender<(Key, PathBuf)>,
    is_over: Arc<AtomicBool>,
    /// How long it waited for them.
    waited: Duration,
}

impl Feeder {
    /// Has a file read; `false` when it is over.
    fn take(&mut self, key: Key, path: PathBuf) -> bool {
        match self.queue.try_send((key, path)) {
            Ok(()) => true,
            Err(TrySendError::Disconnected(_)) => false,
            Err(TrySendError::Full(waiting)) => {
                // When it is over, those who read are gone.
                let begun = Instant::now();
                let is_taken = self.queue.send(waiting).is_ok();
                self.waited += begun.elapsed();
                is_taken
            }
        }
    }

    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }
}

/// How far the time has come since a moment.
fn ticks_since(begun: Instant) -> Tick {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it lasts for 13 years")]
    let tick = (begun.elapsed().as_secs_f64() * TICKS_A_SECOND) as Tick;
    tick
}

impl Keeper {
    fn run(mut self) {
        if !self.take_up() {
            return;
        }
        while !self.feeder.is_over() {
            if Instant::now() >= self.scan_at {
                self.scan();
            }
            self.look_again();
            let wait = self.next().saturating_duration_since(Instant::now());
            match self.inbox.recv_timeout(wait) {
                Ok(told) => {
                    let until = Instant::now() + GATHER;
                    let mut heard = vec![told];
                    while heard.len() < PATHS_MAX
                        && let Ok(told) =
                            self.inbox.recv_timeout(until.saturating_duration_since(Instant::now()))
                    {
                        heard.push(told);
                    }
                    for told in heard {
                        self.hear(told);
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            if self.hints.all.swap(false, Ordering::Relaxed) {
                self.scan_soon(Duration::ZERO);
            }
        }
    }

    /// Is told what was entered before; `false` when it is over.
    fn take_up(&mut self) -> bool {
        while let Ok(told) = self.inbox.recv() {
            match told {
                Told::Known(versions) => {
                    for version in versions {
                        let stamp = version.stamp.as_deref().map(|stamp| self.catalog.stamp(stamp));
                        let key = self.catalog.key(version.path.bytes());
                        self.catalog.remember(key, version.event, stamp);
                    }
                }
                Told::Begin | Told::Entered { .. } | Told::NotRead { .. } | Told::Changed(_) => {
                    return !self.feeder.is_over();
                }
            }
        }
        false
    }

    fn tick(&self) -> Tick {
        ticks_since(self.begun)
    }

    fn moment(&self, tick: Tick) -> Instant {
        // A step later, so that the step is over.
        self.begun + Duration::from_secs_f64((f64::from(tick) + 0.02) / TICKS_A_SECOND)
    }

    /// When there is something to do.
    fn next(&self) -> Instant {
        let again = self.again.peek().map(|Reverse((tick, _))| self.moment(*tick));
        again.map_or(self.scan_at, |again| again.min(self.scan_at))
    }

    fn hear(&mut self, told: Told) {
        let now = self.tick();
        match told {
            Told::Known(_) | Told::Begin => {}
            Told::Entered { key, event, stamp } => {
                let stamp = self.catalog.stamp(&stamp);
                self.catalog.note(key, Read::Entered(event, stamp), now);
                self.unreadable.retain(|(known, _)| *known != key);
            }
            Told::NotRead { key, unread: Unread::Changed, path } => {
                if let Some(again) = self.catalog.note(key, Read::Changed, now) {
                    self.look_later(key, again, path);
                }
            }
            Told::NotRead { key, unread: Unread::Failed(error), path } => {
                self.catalog.note(key, Read::Unreadable, now);
                if self.unreadable.len() < PATHS_MAX && self.unreadable.iter().all(|(known, _)| *known != key)
                {
                    self.unreadable.push((key, format!("{}: {error}", path.display())));
                    self.say_state(None, None);
                }
            }
            Told::Changed(path) => {
                self.hints.waiting.fetch_sub(1, Ordering::Relaxed);
                self.look(path);
            }
        }
    }

    /// A file that the system has told of, or that was not stable.
    fn look(&mut self, path: PathBuf) {
        if !walk::is_meant(&path, &self.pattern) {
            // A directory came or went, perhaps with files in it.
            if self.is_recursive && path.is_dir() {
                self.scan_soon(Duration::from_millis(100));
            }
            return;
        }
        match walk::file_at(&path) {
            Ok(Some(metadata)) => {
                let key = self.catalog.key(path.as_os_str().as_encoded_bytes());
                let stamp = self.catalog.stamp(&files::stamp_of(&metadata));
                match self.catalog.look(key, stamp, self.tick()) {
                    Look::Nothing => {}
                    Look::Again(tick) => self.look_later(key, tick, path),
                    Look::Take => drop(self.feeder.take(key, path)),
                }
            }
            Ok(None) if self.is_recursive && path.is_dir() => self.scan_soon(Duration::from_millis(100)),
            // The next scan finds out what is gone, and what cannot be read.
            Ok(None) | Err(_) => {}
        }
    }

    fn look_later(&mut self, key: Key, tick: Tick, path: PathBuf) {
        if self.again.len() < PATHS_MAX {
            if !self.is_again.insert(key) {
                return;
            }
            self.again.push(Reverse((tick, path)));
        } else {
            let at = self.moment(tick);
            self.scan_at = self.scan_at.min(at);
        }
    }

    fn look_again(&mut self) {
        while let Some(Reverse((tick, _))) = self.again.peek() {
            if self.moment(*tick) > Instant::now() {
                return;
            }
            if let Some(Reverse((_, path))) = self.again.pop() {
                self.is_again.remove(&self.catalog.key(path.as_os_str().as_encoded_bytes()));
                self.look(path);
            }
        }
    }

    /// Looks at everything soon, but not again and again.
    fn scan_soon(&mut self, after: Duration) {
        self.scan_at = self.scan_at.min(Instant::now() + after);
    }

    /// Looks at everything.
    fn scan(&mut self) {
        let begun = Instant::now();
        self.attach();
        let mut faults = Faults::default();
        let fault = match self.examine() {
            Ok(fault) => fault,
            Err(error) => {
                self.scan_at = begun + self.scan_every;
                self.say_state(Some(format!("cannot read {}: {error}", self.path.display())), None);
                return;
            }
        };
        self.catalog.begin_scan();
        self.feeder.waited = Duration::ZERO;
        let mut again: Option<Tick> = None;
        let (catalog, feeder, ticks) = (&mut self.catalog, &mut self.feeder, self.begun);
        let is_whole =
            walk::walk(&self.path, self.is_recursive, &self.pattern, &mut faults, |path, metadata| {
                let key = catalog.key(path.as_os_str().as_encoded_bytes());
                let stamp = catalog.stamp(&files::stamp_of(metadata));
                match catalog.look(key, stamp, ticks_since(ticks)) {
                    Look::Nothing => {}
                    Look::Again(tick) => again = Some(again.map_or(tick, |again| again.max(tick))),
                    Look::Take => return feeder.take(key, path.to_owned()),
                }
                !feeder.is_over()
            });
        if is_whole && !faults.is_incomplete && fault.is_none() {
            let gone = self.catalog.end_scan();
            if !gone.is_empty() && self.said.blocking_send(Said::Gone(gone)).is_err() {
                return;
            }
        }
        let catalog = &self.catalog;
        self.unreadable.retain(|(key, _)| catalog.is_unreadable(*key));
        let took = begun.elapsed().saturating_sub(self.feeder.waited);
        self.scan_at = begun + self.scan_every.max(took * (REST + 1));
        if let Some(tick) = again {
            // What is not stable by then is seen by the scan after it.
            let at = self.moment(tick).max(begun + took * (REST + 1));
            self.scan_at = self.scan_at.min(at);
        }
        self.say_state(fault.or(faults.text()), Some(self.catalog.len() as u64));
    }

    /// Looks at the directory itself; what is odd about it comes back.
    fn examine(&mut self) -> io::Result<Option<String>> {
        let metadata = std::fs::metadata(&self.path)?;
        if !metadata.is_dir() {
            return Err(io::Error::new(io::ErrorKind::NotADirectory, "it is no directory"));
        }
        let mut entries = std::fs::read_dir(&self.path)?;
        let device = files::device_of(&metadata);
        let before = self.device.unwrap_or(device);
        if before != device && self.catalog.len() > 0 && entries.next().is_none() {
            return Ok(Some(format!(
                "{} is empty and on another file system than before: is it mounted? What was there is not taken for gone",
                self.path.display()
            )));
        }
        self.device = Some(device);
        Ok(None)
    }

    /// Has the system tell of changes, if it does not yet, or the directory is another one by now.
    fn attach(&mut self) {
        let Some(id) = files::FileId::at(&self.path) else {
            self.watcher = None;
            return;
        };
        if self.watcher.as_ref().is_some_and(|(_, known)| *known == id) {
            return;
        }
        self.watcher = match self.watch() {
            Ok(watcher) => Some((watcher, id)),
            Err(error) => {
                tracing::debug!(%error, root = %self.path.display(), "the system tells of no changes, scans find them");
                None
            }
        };
    }

    fn watch(&self) -> notify::Result<notify::RecommendedWatcher> {
        let (told, hints) = (self.told.clone(), Arc::clone(&self.hints));
        let hear = move |event: notify::Result<notify::Event>| {
            let Ok(event) = event else {
                hints.all.store(true, Ordering::Relaxed);
                return;
            };
            if event.need_rescan() {
                hints.all.store(true, Ordering::Relaxed);
            }
            if event.kind.is_access() && !is_closed_after_writing(event.kind) || event.kind.is_remove() {
                return;
            }
            for path in event.paths {
                if hints.waiting.load(Ordering::Relaxed) >= PATHS_MAX {
                    hints.all.store(true, Ordering::Relaxed);
                    return;
                }
                hints.waiting.fetch_add(1, Ordering::Relaxed);
                // Its thread may have ended.
                let _ = told.send(Told::Changed(path));
            }
        };
        let settings = notify::Config::default().with_follow_symlinks(false);
        let mut watcher = notify::RecommendedWatcher::new(hear, settings)?;
        let mode = if self.is_recursive {
            notify::RecursiveMode::Recursive
        } else {
            notify::RecursiveMode::NonRecursive
        };
        watcher.watch(Path::new(&self.path), mode)?;
        Ok(watcher)
    }

    /// Says how the root is; what is not given is as before.
    fn say_state(&self, fault: Option<String>, files: Option<u64>) {
        let fault = fault.or_else(|| {
            let (_, first) = self.unreadable.first()?;
            Some(match self.unreadable.len() {
                1 => format!("cannot read {first}"),
                count => format!("cannot read {count} files, the first is {first}"),
            })
        });
        let state = RootState { scanned: Some(clock::wall()), files, fault };
        // It ends with whoever listens.
        let _ = self.said.blocking_send(Said::State(state));
    }
}

fn is_closed_after_writing(kind: notify::EventKind) -> bool {
    use notify::event::{AccessKind, AccessMode};
    kind == notify::EventKind::Access(AccessKind::Close(AccessMode::Write))
}
