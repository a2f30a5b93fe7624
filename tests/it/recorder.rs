//! Sees when processes truly live: each app of `tests/apps/recorded.py` holds a connection to it as long
//! as it does, so that no database and no manager is asked.

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::TcpListener;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::fleet::PATIENCE;

/// One process.
#[derive(Debug, Clone)]
pub(crate) struct Life {
    pub(crate) app: String,
    pub(crate) run: String,
    pub(crate) fence: String,
    /// The manager that started it.
    pub(crate) host: String,
    pub(crate) begun: Instant,
    pub(crate) ended: Option<Instant>,
}

#[derive(Default)]
struct Book {
    lives: Mutex<Vec<Life>>,
    changed: Condvar,
}

pub(crate) struct Recorder {
    port: u16,
    book: Arc<Book>,
}

impl Recorder {
    pub(crate) fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let book = Arc::new(Book::default());
        let shared = Arc::clone(&book);
        std::thread::spawn(move || {
            for connection in listener.incoming() {
                let (connection, begun) = (connection.unwrap(), Instant::now());
                let book = Arc::clone(&shared);
                std::thread::spawn(move || {
                    let mut reader = BufReader::new(connection);
                    let mut line = String::new();
                    // One that is killed before it has said its name cannot be told from any other.
                    if reader.read_line(&mut line).is_err() || !line.ends_with('\n') {
                        return;
                    }
                    let mut words = line.split_whitespace().map(str::to_owned);
                    let mut word = || words.next().unwrap_or_default();
                    let life =
                        Life { app: word(), run: word(), fence: word(), host: word(), begun, ended: None };
                    let number = book.note(|lives| {
                        lives.push(life);
                        lives.len() - 1
                    });
                    let mut rest = Vec::new();
                    let _ = reader.read_to_end(&mut rest);
                    let ended = Instant::now();
                    book.note(|lives| lives[number].ended = Some(ended));
                });
            }
        });
        Self { port, book }
    }

    pub(crate) fn port(&self) -> String {
        self.port.to_string()
    }

    pub(crate) fn lives(&self) -> Vec<Life> {
        self.book.lives.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until what was seen is as asked for.
    pub(crate) fn until<T>(&self, what: &str, look: impl Fn(&[Life]) -> Option<T>) -> T {
        self.within(PATIENCE, what, look)
    }

    pub(crate) fn within<T>(&self, most: Duration, what: &str, look: impl Fn(&[Life]) -> Option<T>) -> T {
        let deadline = Instant::now() + most;
        let mut lives = self.book.lives.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(found) = look(&lives) {
                return found;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "not within {most:?}: {what}; seen: {lives:#?}");
            let waited = self.book.changed.wait_timeout(lives, left);
            lives = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Lets an outage last: there is no event to wait for.
    pub(crate) fn pass(&self, span: Duration) {
        let until = Instant::now() + span;
        let mut lives = self.book.lives.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(left) = until.checked_duration_since(Instant::now()) {
            lives = self.book.changed.wait_timeout(lives, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Pairs of processes of one app that lived at the same time.
    pub(crate) fn overlaps(&self) -> Vec<(Life, Life)> {
        let mut lives = self.lives();
        lives.sort_by(|a, b| (&a.app, a.begun).cmp(&(&b.app, b.begun)));
        let overlap = |pair: &[Life]| {
            pair[0].app == pair[1].app && pair[0].ended.is_none_or(|ended| ended > pair[1].begun)
        };
        lives.windows(2).filter(|pair| overlap(pair)).map(|pair| (pair[0].clone(), pair[1].clone())).collect()
    }
}

impl Book {
    fn note<T>(&self, change: impl FnOnce(&mut Vec<Life>) -> T) -> T {
        let result = change(&mut self.lives.lock().unwrap_or_else(PoisonError::into_inner));
        self.changed.notify_all();
        result
    }
}

/// The process of an app that lives now.
pub(crate) fn living<'a>(lives: &'a [Life], app: &str) -> Option<&'a Life> {
    lives.iter().find(|life| life.app == app && life.ended.is_none())
}
