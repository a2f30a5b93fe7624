//! The HTTP server of the exporter: a thread with an event loop of its own, so that it answers while the manager's loop
//! hangs, and however many ask cost the manager nothing. It knows GET and HEAD of three paths, closes each connection
//! after one answer, and has limits on all that a client could stretch.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{sleep, timeout};

use super::numbers::Metrics;
use super::page::{Page, Pages};
use super::request::{self, HEAD_MAX, Request, Status};

/// The most connections at once. Further ones wait in the system's queue until one ends.
const CONNECTIONS_MAX: usize = 128;

/// Where there is no room for this long, the oldest connection is closed: a client that keeps many open must not keep others out.
const ROOM_WITHIN: Duration = Duration::from_millis(100);

/// Within this time the whole head of a request must be there.
const HEAD_WITHIN: Duration = Duration::from_secs(5);

/// Within this time a client must have taken the answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// How long, and how much, is read of what a client still sends after the answer: an unread rest would destroy it on its way.
const LINGER: Duration = Duration::from_secs(1);
const LINGER_MAX: usize = 64 * 1024;

/// Between tries to listen where another program does.
const RETRY_LISTEN: Duration = Duration::from_secs(5);

/// After a connection could not be accepted, for lack of descriptors say.
const RETRY_ACCEPT: Duration = Duration::from_millis(200);

/// What is exported where.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MetricsSettings {
    /// The address to listen on; `None`: nothing is exported. Port 0 is any free one, which the log names.
    pub listen: Option<SocketAddr>,
    /// Whether each app has series of its own.
    pub per_app: bool,
}

/// The thread that answers scrapes. It ends with this.
#[derive(Debug)]
pub struct Exporter {
    end: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Exporter {
    /// Starts it, where an address is set. That another program listens there is no reason not to run: it is logged, and
    /// tried again.
    #[must_use]
    pub fn start(settings: &MetricsSettings, metrics: &Arc<Metrics>) -> Option<Self> {
        let address = settings.listen?;
        let (end, ended) = oneshot::channel();
        let metrics = Arc::clone(metrics);
        let thread = std::thread::Builder::new().name("dcm-metrics".to_owned()).spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build();
            match runtime {
                Ok(runtime) => runtime.block_on(async {
                    tokio::select! {
                        () = serve(address, &metrics) => {}
                        _ = ended => {}
                    }
                }),
                Err(error) => tracing::error!(%error, "metrics are not served: no event loop for them"),
            }
        });
        match thread {
            Ok(thread) => Some(Self { end: Some(end), thread: Some(thread) }),
            Err(error) => {
                tracing::error!(%error, "metrics are not served: no thread for them");
                None
            }
        }
    }
}

impl Drop for Exporter {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            // A panic of it was printed, and concerns nobody else.
            let _ = thread.join();
        }
    }
}

async fn serve(address: SocketAddr, metrics: &Arc<Metrics>) {
    let listener = listen(address, metrics).await;
    let pages = Arc::new(Pages::new(Arc::clone(metrics)));
    let mut connections = JoinSet::new();
    let mut oldest_first: VecDeque<AbortHandle> = VecDeque::new();
    let mut is_refused = false;
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    is_refused = false;
                    oldest_first.push_back(connections.spawn(converse(stream, Arc::clone(&pages))));
                }
                Err(error) => {
                    if !std::mem::replace(&mut is_refused, true) {
                        tracing::warn!(%error, "cannot accept a connection for metrics; it is tried again");
                    }
                    sleep(RETRY_ACCEPT).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
        while connections.try_join_next().is_some() {}
        if connections.len() >= CONNECTIONS_MAX
            && timeout(ROOM_WITHIN, connections.join_next()).await.is_err()
        {
            oldest_first.retain(|connection| !connection.is_finished());
            if let Some(oldest) = oldest_first.pop_front() {
                oldest.abort();
            }
        }
        if oldest_first.len() > 2 * CONNECTIONS_MAX {
            oldest_first.retain(|connection| !connection.is_finished());
        }
    }
}

/// Listens as soon as that is possible.
async fn listen(address: SocketAddr, metrics: &Metrics) -> TcpListener {
    let mut said = None;
    loop {
        match TcpListener::bind(address).await.and_then(|listener| Ok((listener.local_addr()?, listener))) {
            Ok((address, listener)) => {
                metrics.set_trouble(None);
                tracing::info!("metrics are served at http://{address}/metrics");
                if !address.ip().is_loopback() {
                    tracing::warn!(
                        "metrics are served at {address} without TLS or a password: everyone who reaches that address can \
                         read them"
                    );
                }
                return listener;
            }
            Err(error) => {
                let why = why_not(address, &error);
                if said.as_ref() != Some(&why) {
                    tracing::warn!("{why}");
                    metrics.set_trouble(Some(why.clone()));
                    said = Some(why);
                }
            }
        }
        sleep(RETRY_LISTEN).await;
    }
}

fn why_not(address: SocketAddr, error: &io::Error) -> String {
    let is = |kind| error.kind() == kind;
    let cause = if is(io::ErrorKind::AddrInUse) {
        "another program, or another manager of this host, listens there: end it, or "
    } else if is(io::ErrorKind::AddrNotAvailable) {
        "this host has no such address: "
    } else if is(io::ErrorKind::PermissionDenied) {
        "ports below 1024 are for privileged users: "
    } else {
        ""
    };
    let seconds = RETRY_LISTEN.as_secs();
    format!(
        "metrics are not served on {address}: {error}; {cause}set another metrics.listen. The manager goes on, and tries \
         again every {seconds} s"
    )
}

/// One request and its answer.
async fn converse(mut stream: TcpStream, pages: Arc<Pages>) {
    let page = match timeout(HEAD_WITHIN, read_request(&mut stream)).await {
        Ok(Ok(Some(request))) => pages.answer(request),
        // Who says nothing and goes is owed nothing.
        Ok(Ok(None) | Err(Failed::Connection)) => return,
        Ok(Err(Failed::Request(status))) => Page::of_status(status),
        Err(_) => Page::of_status(Status::Timeout),
    };
    // A client that does not take it is not waited for.
    let _ = timeout(ANSWER_WITHIN, send(&mut stream, &page)).await;
    let _ = timeout(LINGER, linger(&mut stream)).await;
}

/// Why there is no request.
enum Failed {
    /// The client has gone.
    Connection,
    /// What came is none.
    Request(Status),
}

/// Reads the head of a request; `None` where the client goes without a word.
async fn read_request(stream: &mut TcpStream) -> Result<Option<Request>, Failed> {
    let mut head = Vec::with_capacity(1024);
    let mut rest = [0; 1024];
    loop {
        let read = stream.read(&mut rest).await.map_err(|_| Failed::Connection)?;
        if read == 0 {
            return if head.is_empty() { Ok(None) } else { Err(Failed::Request(Status::BadRequest)) };
        }
        head.extend_from_slice(&rest[..read]);
        if let Some(request) = request::parse(&head).map_err(Failed::Request)? {
            return Ok(Some(request));
        }
        if head.len() >= HEAD_MAX {
            return Err(Failed::Request(Status::HeadTooLarge));
        }
    }
}

async fn send(stream: &mut TcpStream, page: &Page) -> io::Result<()> {
    stream.write_all(page.head().as_bytes()).await?;
    for part in page.body() {
        stream.write_all(part).await?;
    }
    stream.shutdown().await
}

async fn linger(stream: &mut TcpStream) {
    let (mut buffer, mut all) = ([0; 4096], 0);
    while let Ok(read @ 1..) = stream.read(&mut buffer).await {
        all += read;
        if all > LINGER_MAX {
            return;
        }
    }
}
