//! One connection is made, within a limit in time for all of it.

use std::io::ErrorKind as Kind;
use std::net::Shutdown;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use lapin::tcp::RustlsConnector;
use lapin::uri::AMQPUri;
use lapin::{AsyncTcpStream, Connection, ConnectionProperties};
use rustls::CertificateError;
use tokio::time::timeout;

use super::trust::configuration;
use super::{BrokerError, BrokerSettings};
use crate::model::Printable;

/// How long it may take from the name of the host to an open connection.
pub(super) const OPENS_WITHIN: Duration = Duration::from_secs(8);

/// The seconds between two heartbeats; the client gives a server up that is silent for twice as long.
const HEARTBEAT: u16 = 10;

/// The largest frame, in bytes: the client has 32 of them ready in each direction, and messages are small.
const FRAME_MAX: u32 = 16 * 1024;

/// The end of a connection that must not outlive the try to make it: the client's thread would wait for a server that
/// never answers.
#[derive(Default)]
struct Socket(Mutex<Option<socket2::Socket>>);

impl Socket {
    fn shut(&self) {
        if let Some(socket) = self.0.lock().unwrap_or_else(PoisonError::into_inner).take() {
            let _ = socket.shutdown(Shutdown::Both);
        }
    }
}

/// Makes a connection. `name` is what the server shows of it.
pub(super) async fn dial(settings: &BrokerSettings, name: &str) -> Result<Connection, BrokerError> {
    let configured = settings.url.is_tls().then(|| configuration(settings.roots.as_deref())).transpose()?;
    let connector = configured.map(RustlsConnector::from);
    let mut uri = settings.url.uri().clone();
    let asked = uri.query.heartbeat.filter(|seconds| *seconds > 0);
    uri.query.heartbeat = Some(asked.map_or(HEARTBEAT, |seconds| seconds.min(HEARTBEAT)));
    uri.query.frame_max = Some(FRAME_MAX);
    let properties = ConnectionProperties::default().with_connection_name(name.into());
    let socket = Arc::new(Socket::default());
    let kept = Arc::clone(&socket);
    let runtime = lapin::runtime::default_runtime()?;
    let own = runtime.clone();
    let connect = async move |uri: AMQPUri, _| {
        let place = (uri.authority.host.clone(), uri.authority.port);
        let opened = async {
            let stream = AsyncTcpStream::connect(&own, own.to_socket_addrs(place)).await?;
            if let AsyncTcpStream::Plain(stream) = &stream {
                let again = socket2::SockRef::from(stream.get_ref()).try_clone()?;
                *kept.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(again);
            }
            match &connector {
                None => Ok(stream),
                Some(connector) => stream.into_rustls(connector, &uri.authority.host).await,
            }
        };
        let late = || std::io::Error::new(Kind::TimedOut, no_connection());
        let opened: std::io::Result<_> = timeout(OPENS_WITHIN, opened).await.unwrap_or_else(|_| Err(late()));
        Ok(opened?)
    };
    let dialed = Connection::connector(uri, runtime, connect, properties);
    match timeout(OPENS_WITHIN, dialed).await {
        Ok(Ok(connection)) => Ok(connection),
        Ok(Err(error)) => {
            socket.shut();
            Err(error.into())
        }
        Err(_) => {
            socket.shut();
            Err(BrokerError::Away(no_connection()))
        }
    }
}

fn no_connection() -> String {
    format!("no connection within {} s", OPENS_WITHIN.as_secs())
}

/// What went wrong, in words.
pub(super) fn describe(error: &std::io::Error) -> String {
    let source = error.get_ref().and_then(|source| source.downcast_ref::<rustls::Error>());
    if let Some(error) = source {
        return of_tls(error);
    }
    if error.kind() == Kind::ConnectionRefused {
        "connection refused".to_owned()
    } else if matches!(error.kind(), Kind::ConnectionAborted | Kind::UnexpectedEof) {
        "the server ended the connection".to_owned()
    } else {
        Printable(&error.to_string()).to_string()
    }
}

fn of_tls(error: &rustls::Error) -> String {
    let rustls::Error::InvalidCertificate(fault) = error else {
        return format!("TLS: {}", Printable(&error.to_string()));
    };
    let said = fault.to_string();
    let said = Printable(&said);
    if matches!(fault, CertificateError::UnknownIssuer | CertificateError::Other(_)) {
        format!(
            "TLS: the certificate of the server is not trusted ({said}); if its issuer is your own, name its root by \
             rabbitmq.ca_file"
        )
    } else {
        format!("TLS: the certificate of the server is refused: {said}")
    }
}
