//! An HTTP server that answers as endpoints of notifications do, well and badly, and keeps what it was sent.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use nix::sys::socket::{setsockopt, sockopt};

/// How long a request may take to come: messages wait for others of their cause.
const REQUEST_TAKES: Duration = Duration::from_secs(120);

/// What was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// With the query.
    pub(crate) path: String,
    /// Names in lower case.
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: String,
}

impl Request {
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// What a request is answered with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reply {
    /// A status with headers (`Name: value`) and a body.
    With(u16, Vec<String>, String),
    /// Nothing, and the connection stays.
    Never,
    /// The connection is reset.
    Reset,
}

impl Reply {
    pub(crate) fn ok(body: &str) -> Self {
        Self::With(200, Vec::new(), body.to_owned())
    }

    pub(crate) fn status(status: u16, headers: &[&str]) -> Self {
        Self::With(status, headers.iter().map(|header| (*header).to_owned()).collect(), String::new())
    }
}

/// The server. It goes on until the end of the test's process, and has nothing to do once it is dropped.
pub(crate) struct Endpoint {
    port: u16,
    seen: Arc<Seen>,
}

#[derive(Default)]
struct Seen {
    requests: Mutex<Vec<Request>>,
    more: Condvar,
}

impl Seen {
    fn requests(&self) -> MutexGuard<'_, Vec<Request>> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Endpoint {
    /// One that answers each request as this says.
    pub(crate) fn answering(reply: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (seen, reply) = (Arc::new(Seen::default()), Arc::new(reply));
        let kept = Arc::clone(&seen);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (seen, reply) = (Arc::clone(&kept), Arc::clone(&reply));
                std::thread::spawn(move || {
                    // A client that goes away is no fault of the test.
                    let _ = answer(&stream, &seen, reply.as_ref());
                });
            }
        });
        Self { port, seen }
    }

    /// One that takes everything, whichever service it stands for.
    pub(crate) fn obliging() -> Self {
        Self::answering(|request| match request.path.as_str() {
            path if path.starts_with("/bot") => Reply::ok(r#"{"ok":true,"result":{}}"#),
            path if path.starts_with("/connector") => Reply::ok("1"),
            path if path.starts_with("/workflow") => Reply::status(202, &[]),
            _ => Reply::ok("ok"),
        })
    }

    /// The address of a path there.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// What was sent so far.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.seen.requests().clone()
    }

    /// Waits until at least this many requests have come.
    pub(crate) fn until_requests(&self, least: usize) -> Vec<Request> {
        let deadline = Instant::now() + REQUEST_TAKES;
        let mut requests = self.seen.requests();
        while requests.len() < least {
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "waited in vain for {least} requests: {requests:?}");
            requests = self.seen.more.wait_timeout(requests, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        requests.clone()
    }
}

fn answer(
    stream: &TcpStream,
    seen: &Seen,
    reply: &(impl Fn(&Request) -> Reply + ?Sized),
) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let request = read(&mut reader)?;
    let reply = reply(&request);
    seen.requests().push(request);
    seen.more.notify_all();
    match reply {
        Reply::Never => std::io::copy(&mut reader, &mut std::io::sink()).map(drop),
        Reply::Reset => {
            // Without this it would be closed in order.
            setsockopt(stream, sockopt::Linger, &libc::linger { l_onoff: 1, l_linger: 0 })?;
            Ok(())
        }
        Reply::With(status, headers, body) => {
            let length = format!("Content-Length: {}", body.len());
            let mut head = vec![format!("HTTP/1.1 {status} Said"), length, "Connection: close".to_owned()];
            head.extend(headers);
            let head = head.join("\r\n") + "\r\n\r\n";
            let mut stream = stream;
            stream.write_all(head.as_bytes())?;
            stream.write_all(body.as_bytes())
        }
    }
}

fn read(reader: &mut impl BufRead) -> std::io::Result<Request> {
    let line = |reader: &mut dyn BufRead| {
        let mut text = String::new();
        reader.read_line(&mut text).map(|_| text.trim_end().to_owned())
    };
    let first = line(reader)?;
    let mut words = first.split(' ').map(str::to_owned);
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let mut headers = BTreeMap::new();
    loop {
        let header = line(reader)?;
        let Some((name, value)) = header.split_once(':') else { break };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let length = headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    let mut body = Vec::new();
    reader.take(length).read_to_end(&mut body)?;
    Ok(Request { method, path, headers, body: String::from_utf8_lossy(&body).into_owned() })
}
