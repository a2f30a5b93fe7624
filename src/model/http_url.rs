//! Addresses that dcm calls by HTTP. Most of them are secrets: with one anyone may post there.

use core::net::{IpAddr, Ipv6Addr};
use std::fmt;
use std::str::FromStr;

/// An address that may be called: `https`, or plain `http` to this host alone. Only its host is ever shown.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpUrl {
    text: String,
    /// Where the host begins in the text, and where host and port end.
    host: (usize, usize),
}

impl HttpUrl {
    /// The longest address that is accepted, in bytes.
    pub const LENGTH_MAX: usize = 2000;

    /// The whole address, which is a secret.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.text
    }

    /// Host and port, which may be shown.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.text[self.host.0..self.host.1]
    }

    /// Whether it is this host, without a network between.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        is_loopback(name_of(self.host()))
    }

    /// What stands after the host: path and query.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.text[self.host.1..]
    }

    /// The same path and query at another address; the path of that one goes before.
    #[must_use]
    pub fn moved_to(&self, api: &Self) -> Self {
        Self { text: format!("{}{}", api.text.trim_end_matches('/'), self.path()), host: api.host }
    }

    /// With this at the end of the path, before the query.
    #[must_use]
    pub fn below(&self, end: &str) -> Self {
        let (path, query) = match self.text.split_once('?') {
            Some((path, query)) => (path, format!("?{query}")),
            None => (self.text.as_str(), String::new()),
        };
        Self { text: format!("{}{end}{query}", path.trim_end_matches('/')), host: self.host }
    }
}

impl FromStr for HttpUrl {
    type Err = HttpUrlError;

    fn from_str(text: &str) -> Result<Self, HttpUrlError> {
        if text.len() > Self::LENGTH_MAX {
            return Err(HttpUrlError::Long);
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(HttpUrlError::Characters);
        }
        let text = text.split_once('#').map_or(text, |(text, _)| text);
        let (scheme, rest) = text.split_once("://").ok_or(HttpUrlError::Scheme)?;
        let is_plain = scheme.eq_ignore_ascii_case("http");
        if !is_plain && !scheme.eq_ignore_ascii_case("https") {
            return Err(HttpUrlError::Scheme);
        }
        let host = rest.split(['/', '?']).next().unwrap_or_default();
        if host.contains('@') {
            return Err(HttpUrlError::User);
        }
        if !is_host(host) {
            return Err(HttpUrlError::Host);
        }
        if is_plain && !is_loopback(name_of(host)) {
            return Err(HttpUrlError::Plain);
        }
        let start = text.len() - rest.len();
        Ok(Self { text: text.to_owned(), host: (start, start + host.len()) })
    }
}

impl fmt::Display for HttpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.host())
    }
}

impl fmt::Debug for HttpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/***", self.host())
    }
}

/// Why a text is no address that may be called. It never holds the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HttpUrlError {
    /// Neither `https` nor `http`.
    #[error("must begin with https://")]
    Scheme,
    /// Blanks, control characters, or such that are not ASCII.
    #[error("holds a blank or a character that must be percent-encoded")]
    Characters,
    /// A name or password stands before the host.
    #[error("must not hold a user name or password before its host")]
    User,
    /// The host or port is none.
    #[error("names no valid host and port")]
    Host,
    /// Without TLS, to another host.
    #[error("is plain http to another host: anyone on the way could read it; https:// is needed")]
    Plain,
    /// More than [`HttpUrl::LENGTH_MAX`].
    #[error("has more than 2000 characters")]
    Long,
}

/// Whether a name or an IP address is this host's own.
#[must_use]
pub fn is_loopback(name: &str) -> bool {
    let address = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    address.map_or(name.eq_ignore_ascii_case("localhost"), |address| address.is_loopback())
}

/// The host without its port.
fn name_of(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => name,
        Some(_) | None => host,
    }
}

fn is_host(host: &str) -> bool {
    let name = name_of(host);
    let port = host.strip_prefix(name).unwrap_or_default();
    let has_port = port.is_empty() || port[1..].parse::<u16>().is_ok_and(|port| port > 0);
    let is_name =
        || name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'));
    let is_v6 = name.strip_prefix('[').and_then(|name| name.strip_suffix(']'));
    has_port && !name.is_empty() && is_v6.map_or_else(is_name, |name| name.parse::<Ipv6Addr>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_others_cannot_read_is_an_address() {
        for (text, expected) in [
            ("https://hc-ping.com/a-b", Ok("hc-ping.com")),
            ("HTTPS://h:8443?x=1", Ok("h:8443")),
            ("http://127.0.0.1:9/x", Ok("127.0.0.1:9")),
            ("http://localhost/x#y", Ok("localhost")),
            ("http://[::1]:80/", Ok("[::1]:80")),
            ("https://[2001:db8::1]/", Ok("[2001:db8::1]")),
            ("http://hc-ping.com/a", Err(HttpUrlError::Plain)),
            ("http://127.0.0.1.example.com/a", Err(HttpUrlError::Plain)),
            ("http://[2001:db8::1]/", Err(HttpUrlError::Plain)),
            ("ftp://h/", Err(HttpUrlError::Scheme)),
            ("h/x", Err(HttpUrlError::Scheme)),
            ("https:///x", Err(HttpUrlError::Host)),
            ("https://h:0/", Err(HttpUrlError::Host)),
            ("https://h:x/", Err(HttpUrlError::Host)),
            ("https://a:b@h/", Err(HttpUrlError::User)),
            ("https://h/a b", Err(HttpUrlError::Characters)),
            ("https://h/a\r\nX: y", Err(HttpUrlError::Characters)),
            ("https://čž/", Err(HttpUrlError::Characters)),
        ] {
            let found = text.parse::<HttpUrl>();
            assert_eq!(found.as_ref().map(HttpUrl::host), expected.as_ref().map(|host| *host), "{text}");
        }
        assert_eq!(format!("https://h/{}", "x".repeat(2000)).parse::<HttpUrl>(), Err(HttpUrlError::Long));
    }

    #[test]
    fn a_path_is_never_shown() {
        let url: HttpUrl = "https://hooks.example.com/services/SECRET".parse().unwrap();
        assert_eq!(format!("{url} {url:?}"), "hooks.example.com hooks.example.com/***");
    }

    #[test]
    fn an_address_can_be_moved_and_extended() {
        let url: HttpUrl = "https://hc-ping.com/UUID?create=1".parse().unwrap();
        assert_eq!(url.below("/fail").reveal(), "https://hc-ping.com/UUID/fail?create=1");
        assert_eq!("https://h/a/".parse::<HttpUrl>().unwrap().below("/fail").reveal(), "https://h/a/fail");
        let moved = url.moved_to(&"http://127.0.0.1:81/x/".parse().unwrap());
        assert_eq!((moved.reveal(), moved.host()), ("http://127.0.0.1:81/x/UUID?create=1", "127.0.0.1:81"));
    }
}
