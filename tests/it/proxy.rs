//! A TCP proxy that does to connections what networks do: it cuts, falls silent, delays, or cuts at
//! the one moment when nobody can know whether a transaction was committed.
//!
//! Anything may be behind it: [`Proxy::to`] takes a socket's path or `HOST:PORT`.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::str::FromStr as _;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::sys::socket::{setsockopt, sockopt};
use sqlx::postgres::PgConnectOptions;

use crate::fleet::PATIENCE;

/// What lies behind a proxy.
#[derive(Debug, Clone)]
pub(crate) enum Upstream {
    Socket(PathBuf),
    Address(String),
}

/// Which way bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    ToServer,
    ToClient,
}

/// The moment of a commit at which a connection is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moment {
    /// The server has not heard of it: the transaction is undone.
    BeforeCommit,
    /// The server has done it, and its answer is lost.
    AfterCommit,
}

/// The proxy; with it end its connections.
pub(crate) struct Proxy {
    port: u16,
    wire: Arc<Wire>,
    acceptor: Option<JoinHandle<()>>,
}

/// What is done to connections from now on.
#[derive(Debug, Default)]
struct State {
    /// Connections are reset, new ones too.
    is_cut: bool,
    /// Nothing goes these ways; nobody is told.
    silent: [bool; 2],
    delay: Duration,
    /// The next transaction in which the client has said this is cut at its commit.
    trap: Option<(Moment, String)>,
    /// So many traps have sprung.
    sprung: u64,
    /// So many connections were made.
    made: u64,
    /// Counts up with each cut, so that older connections end.
    epoch: u64,
    is_over: bool,
}

#[derive(Default)]
struct Wire {
    state: Mutex<State>,
    changed: Condvar,
}

impl Proxy {
    pub(crate) fn to(upstream: Upstream) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let wire = Arc::new(Wire::default());
        let shared = Arc::clone(&wire);
        let acceptor = std::thread::spawn(move || accept(&listener, &shared, &upstream));
        Self { port, wire, acceptor: Some(acceptor) }
    }

    /// In front of the server of a URL.
    pub(crate) fn to_database(url: &str) -> Self {
        let options = PgConnectOptions::from_str(url).unwrap();
        let host = options.get_host().to_owned();
        let is_path = host.starts_with('/');
        let upstream = match options.get_socket() {
            Some(path) => Upstream::Socket(path.join(format!(".s.PGSQL.{}", options.get_port()))),
            None if is_path => {
                Upstream::Socket(PathBuf::from(format!("{host}/.s.PGSQL.{}", options.get_port())))
            }
            None => Upstream::Address(format!("{host}:{}", options.get_port())),
        };
        Self::to(upstream)
    }

    /// The URL of a database by way of the proxy, without TLS, so that it can look inside.
    pub(crate) fn url(&self, url: &str) -> String {
        let (place, parameters) = url.split_once('?').unwrap_or((url, ""));
        let place = place.split_once("://").unwrap().1;
        let (authority, name) = place.split_once('/').unwrap_or((place, ""));
        let user = authority.rsplit_once('@').map_or(String::new(), |(user, _)| format!("{user}@"));
        let kept = parameters.split('&').filter(|one| {
            !["host=", "hostaddr=", "port=", "sslmode="].iter().any(|key| one.starts_with(key))
        });
        let kept: Vec<_> = kept.filter(|one| !one.is_empty()).chain(["sslmode=disable"]).collect();
        format!("postgres://{user}127.0.0.1:{}/{name}?{}", self.port, kept.join("&"))
    }

    /// Resets all connections, and new ones until it heals.
    pub(crate) fn cut(&self) {
        self.wire.change(|state| {
            state.is_cut = true;
            state.epoch += 1;
        });
    }

    /// Resets the connections that there are; new ones are let through.
    pub(crate) fn reset(&self) {
        self.wire.change(|state| state.epoch += 1);
    }

    /// Half-open: connections stay, and nothing comes through either way.
    pub(crate) fn stall(&self) {
        self.wire.change(|state| state.silent = [true, true]);
    }

    /// The same, one way only.
    pub(crate) fn stall_way(&self, way: Way) {
        self.wire.change(|state| state.silent[way as usize] = true);
    }

    /// Everything comes so much later.
    pub(crate) fn delay(&self, delay: Duration) {
        self.wire.change(|state| state.delay = delay);
    }

    /// All is well again; what was held back goes on.
    pub(crate) fn heal(&self) {
        self.wire.change(|state| {
            state.is_cut = false;
            state.silent = [false, false];
            state.delay = Duration::ZERO;
            state.trap = None;
        });
    }

    /// Resets the connection of the next transaction in which a client has said `statement`, at its
    /// commit. Once.
    pub(crate) fn trap(&self, moment: Moment, statement: &str) {
        self.wire.change(|state| state.trap = Some((moment, statement.to_owned())));
    }

    /// How many traps have sprung so far.
    pub(crate) fn sprung(&self) -> u64 {
        self.wire.lock().sprung
    }

    /// How many connections were made so far.
    pub(crate) fn made(&self) -> u64 {
        self.wire.lock().made
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.wire.change(|state| state.is_over = true);
        // Wakes the acceptor.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
    }
}

impl Wire {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.lock());
        self.changed.notify_all();
    }

    fn wait<'a>(&'a self, state: MutexGuard<'a, State>, at_most: Duration) -> MutexGuard<'a, State> {
        self.changed.wait_timeout(state, at_most).unwrap_or_else(PoisonError::into_inner).0
    }

    /// Holds bytes back until they may go; `false` when the connection has ended meanwhile.
    fn pass(&self, way: Way, epoch: u64) -> bool {
        let come = Instant::now();
        let mut state = self.lock();
        loop {
            if state.is_over || state.epoch != epoch {
                return false;
            }
            let left = (come + state.delay).saturating_duration_since(Instant::now());
            if state.silent[way as usize] {
                state = self.wait(state, PATIENCE);
            } else if left.is_zero() {
                return true;
            } else {
                state = self.wait(state, left);
            }
        }
    }
}

fn accept(listener: &TcpListener, wire: &Arc<Wire>, upstream: &Upstream) {
    for client in listener.incoming() {
        let Ok(client) = client else { continue };
        let (is_over, is_cut, epoch) = {
            let mut state = wire.lock();
            state.made += 1;
            (state.is_over, state.is_cut, state.epoch)
        };
        wire.changed.notify_all();
        // A socket that is closed like this says RST.
        let _ = setsockopt(&client, sockopt::Linger, &libc::linger { l_onoff: 1, l_linger: 0 });
        if is_over {
            return;
        }
        if is_cut {
            continue;
        }
        let wire = Arc::clone(wire);
        let upstream = upstream.clone();
        std::thread::spawn(move || serve(client, &wire, &upstream, epoch));
    }
}

/// A connection to either side.
enum Line {
    Socket(UnixStream),
    Network(TcpStream),
}

impl Line {
    fn connect(upstream: &Upstream) -> std::io::Result<Self> {
        match upstream {
            Upstream::Socket(path) => UnixStream::connect(path).map(Self::Socket),
            Upstream::Address(address) => TcpStream::connect(address).map(Self::Network),
        }
    }

    fn patient(&self) -> std::io::Result<()> {
        // How soon a change of state is noticed by those who read or write.
        let now_and_then = Some(Duration::from_millis(20));
        match self {
            Self::Socket(line) => {
                line.set_read_timeout(now_and_then).and(line.set_write_timeout(now_and_then))
            }
            Self::Network(line) => {
                line.set_nodelay(true)?;
                line.set_read_timeout(now_and_then).and(line.set_write_timeout(now_and_then))
            }
        }
    }

    fn read(&self, buffer: &mut [u8]) -> std::io::Result<usize> {
        match self {
            Self::Socket(line) => (&mut &*line).read(buffer),
            Self::Network(line) => (&mut &*line).read(buffer),
        }
    }

    fn write(&self, bytes: &[u8]) -> std::io::Result<usize> {
        match self {
            Self::Socket(line) => (&mut &*line).write(bytes),
            Self::Network(line) => (&mut &*line).write(bytes),
        }
    }

    /// The other side reads its end of file.
    fn finish(&self) {
        let _ = match self {
            Self::Socket(line) => line.shutdown(Shutdown::Write),
            Self::Network(line) => line.shutdown(Shutdown::Write),
        };
    }
}

fn serve(client: TcpStream, wire: &Wire, upstream: &Upstream, epoch: u64) {
    let Ok(server) = Line::connect(upstream) else { return };
    let client = Line::Network(client);
    if client.patient().and(server.patient()).is_err() {
        return;
    }
    // What the client has said in the open transaction, and whether the trap is its own.
    let said = Mutex::new(Talk::default());
    let is_open = Mutex::new(true);
    std::thread::scope(|scope| {
        let pumps = [(Way::ToServer, &client, &server), (Way::ToClient, &server, &client)];
        for (way, from, to) in pumps {
            let (said, is_open) = (&said, &is_open);
            scope.spawn(move || {
                let is_ended = pump(wire, &Pump { way, from, to, epoch, said, is_open });
                if is_ended {
                    to.finish();
                } else {
                    *is_open.lock().unwrap_or_else(PoisonError::into_inner) = false;
                }
            });
        }
    });
}

struct Pump<'a> {
    way: Way,
    from: &'a Line,
    to: &'a Line,
    epoch: u64,
    said: &'a Mutex<Talk>,
    is_open: &'a Mutex<bool>,
}

/// `true` when the source has ended in order, `false` when the connection is to be reset.
fn pump(wire: &Wire, pump: &Pump<'_>) -> bool {
    let mut buffer = vec![0; 64 * 1024];
    let is_alive = || {
        let state = wire.lock();
        !state.is_over
            && state.epoch == pump.epoch
            && *pump.is_open.lock().unwrap_or_else(PoisonError::into_inner)
    };
    while is_alive() {
        let length = match pump.from.read(&mut buffer) {
            Ok(0) => return true,
            Ok(length) => length,
            Err(error) if is_pause(&error) => continue,
            Err(_) => return false,
        };
        let bytes = &buffer[..length];
        let is_trapped = pump.said.lock().unwrap_or_else(PoisonError::into_inner).note(wire, pump.way, bytes);
        if is_trapped || !wire.pass(pump.way, pump.epoch) {
            return false;
        }
        let mut rest = bytes;
        while !rest.is_empty() {
            match pump.to.write(rest) {
                Ok(length) => rest = &rest[length..],
                Err(error) if is_pause(&error) && is_alive() => {}
                Err(_) => return false,
            }
        }
    }
    false
}

fn is_pause(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}

/// Follows a connection of PostgreSQL as far as the traps need it.
#[derive(Default)]
struct Talk {
    client: Messages,
    server: Messages,
    /// The statements since the last commit.
    statements: Vec<String>,
}

impl Talk {
    /// Whether these bytes must not be passed on.
    fn note(&mut self, wire: &Wire, way: Way, bytes: &[u8]) -> bool {
        let messages = match way {
            Way::ToServer => self.client.take(bytes, true),
            Way::ToClient => self.server.take(bytes, false),
        };
        let mut is_trapped = false;
        for (kind, text) in messages {
            let moment = match (way, kind) {
                (Way::ToServer, b'Q' | b'P') => {
                    let is_commit = text.trim_matches('\0').trim() == "COMMIT";
                    if !is_commit {
                        self.statements.push(text);
                        continue;
                    }
                    Moment::BeforeCommit
                }
                (Way::ToClient, b'C') if text.starts_with("COMMIT\0") => Moment::AfterCommit,
                _ => continue,
            };
            let mut state = wire.lock();
            let is_this = state.trap.as_ref().is_some_and(|(when, what)| {
                *when == moment && self.statements.iter().any(|statement| statement.contains(what))
            });
            if is_this {
                state.trap = None;
                state.sprung += 1;
                is_trapped = true;
            }
            drop(state);
            if moment == Moment::AfterCommit {
                self.statements.clear();
            }
        }
        is_trapped
    }
}

/// Cuts a stream into messages: a letter, a length of four bytes that counts itself, and a body.
#[derive(Default)]
struct Messages {
    bytes: VecDeque<u8>,
    has_begun: bool,
}

impl Messages {
    /// The messages that are complete by now. The first one of a client has no letter.
    fn take(&mut self, bytes: &[u8], is_client: bool) -> Vec<(u8, String)> {
        self.bytes.extend(bytes);
        let mut messages = Vec::new();
        loop {
            let letter = usize::from(self.has_begun || !is_client);
            let head: Vec<_> = self.bytes.iter().copied().take(letter + 4).collect();
            let Some(length) = head.get(letter..).and_then(|bytes| bytes.try_into().ok()) else {
                return messages;
            };
            let end = letter + usize::try_from(u32::from_be_bytes(length)).unwrap();
            if self.bytes.len() < end {
                return messages;
            }
            let message: Vec<_> = self.bytes.drain(..end).collect();
            self.has_begun = true;
            if letter == 1 {
                messages.push((message[0], String::from_utf8_lossy(&message[5..]).into_owned()));
            }
        }
    }
}
