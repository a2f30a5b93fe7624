//! What a client asks for.

/// The longest head of a request, in bytes. Prometheus sends about 300.
pub(super) const HEAD_MAX: usize = 8 * 1024;

/// The most header fields.
const FIELDS_MAX: usize = 64;

/// A request for something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) method: Method,
    /// Without the query.
    pub(super) path: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Method {
    Get,
    Head,
    Other,
}

/// How an answer begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    Ok,
    BadRequest,
    NotFound,
    MethodNotAllowed,
    Timeout,
    HeadTooLarge,
    Unavailable,
}

impl Status {
    pub(super) const fn line(self) -> &'static str {
        match self {
            Self::Ok => "200 OK",
            Self::BadRequest => "400 Bad Request",
            Self::NotFound => "404 Not Found",
            Self::MethodNotAllowed => "405 Method Not Allowed",
            Self::Timeout => "408 Request Timeout",
            Self::HeadTooLarge => "431 Request Header Fields Too Large",
            Self::Unavailable => "503 Service Unavailable",
        }
    }
}

/// The request, once its head is there.
///
/// # Errors
/// How the answer begins to what can become no request.
pub(super) fn parse(head: &[u8]) -> Result<Option<Request>, Status> {
    let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
    let mut request = httparse::Request::new(&mut fields);
    match request.parse(head) {
        Ok(httparse::Status::Complete(_)) => {}
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(httparse::Error::TooManyHeaders) => return Err(Status::HeadTooLarge),
        Err(_) => return Err(Status::BadRequest),
    }
    let (Some(method), Some(target)) = (request.method, request.path) else { return Err(Status::BadRequest) };
    let method = match method {
        "GET" => Method::Get,
        "HEAD" => Method::Head,
        _ => Method::Other,
    };
    // A proxy is asked with a whole URL.
    let path =
        target.strip_prefix("http://").map_or(target, |rest| rest.find('/').map_or("/", |at| &rest[at..]));
    let path = path.split(['?', '#']).next().unwrap_or_default();
    Ok(Some(Request { method, path: path.to_owned() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_understood_or_refused() {
        let of = |method, path: &str| Ok(Some(Request { method, path: path.to_owned() }));
        let many = format!("GET / HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(65));
        for (head, expected) in [
            ("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", of(Method::Get, "/metrics")),
            ("GET /metrics HTTP/1.0\n\n", of(Method::Get, "/metrics")),
            ("HEAD /healthz?full=1 HTTP/1.1\r\n\r\n", of(Method::Head, "/healthz")),
            ("GET http://host:9184/readyz HTTP/1.1\r\n\r\n", of(Method::Get, "/readyz")),
            ("POST /metrics HTTP/1.1\r\n\r\nbody", of(Method::Other, "/metrics")),
            ("GET /metrics HTTP/1.1\r\nHost", Ok(None)),
            ("", Ok(None)),
            ("\x16\x03\x01\x02\x00\x01", Err(Status::BadRequest)),
            ("GET /metrics\r\n\r\n", Err(Status::BadRequest)),
            ("GET /metrics HTTP/9.9\r\n\r\n", Err(Status::BadRequest)),
            (&many, Err(Status::HeadTooLarge)),
        ] {
            assert_eq!(parse(head.as_bytes()), expected, "{head:?}");
        }
    }
}
