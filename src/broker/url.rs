//! Where a broker is, and as whom it is used.

use std::fmt::{self, Write as _};
use std::str::FromStr;

use lapin::uri::{AMQPScheme, AMQPUri};

use crate::model::is_loopback;

/// `amqp://USER:PASSWORD@HOST:PORT/VHOST`, or `amqps` with TLS. The password is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct BrokerUrl(AMQPUri);

impl BrokerUrl {
    /// The longest URL that is accepted, in bytes.
    pub const LENGTH_MAX: usize = 2000;

    pub(super) fn uri(&self) -> &AMQPUri {
        &self.0
    }

    /// The whole of it with its password, for another program.
    #[must_use]
    pub fn reveal(&self) -> String {
        let AMQPUri { scheme, authority, vhost, .. } = &self.0;
        let user = &authority.userinfo;
        let host = if authority.host.contains(':') {
            format!("[{}]", authority.host)
        } else {
            authority.host.clone()
        };
        let (name, password, vhost) = (encoded(&user.username), encoded(&user.password), encoded(vhost));
        format!("{scheme}://{name}:{password}@{host}:{}/{vhost}", authority.port)
    }

    /// Whether the connection is encrypted and the server's certificate checked.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        self.0.scheme == AMQPScheme::AMQPS
    }
}

impl FromStr for BrokerUrl {
    type Err = BrokerUrlError;

    fn from_str(text: &str) -> Result<Self, BrokerUrlError> {
        if text.len() > Self::LENGTH_MAX {
            return Err(BrokerUrlError::Long);
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(BrokerUrlError::Characters);
        }
        let (scheme, rest) = text.split_once("://").ok_or(BrokerUrlError::Scheme)?;
        if !matches!(scheme.to_ascii_lowercase().as_str(), "amqp" | "amqps") {
            return Err(BrokerUrlError::Scheme);
        }
        // The parser's own message may repeat the URL.
        let mut uri: AMQPUri = text.parse().map_err(|_| BrokerUrlError::Form)?;
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let place = authority.rsplit('@').next().unwrap_or_default();
        // The parser takes an IPv6 address for no name, and an empty name for this host.
        match place.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((address, _)) => address.clone_into(&mut uri.authority.host),
            None if place.is_empty() || place.starts_with(':') => return Err(BrokerUrlError::Host),
            None => {}
        }
        if uri.vhost.is_empty() {
            // As other clients read a URL that ends in a slash.
            "/".clone_into(&mut uri.vhost);
        }
        if uri.authority.userinfo.username == "guest" && !is_loopback(&uri.authority.host) {
            return Err(BrokerUrlError::Guest);
        }
        Ok(Self(uri))
    }
}

/// A part of a URL, in which only letters, digits and `-._~` stand for themselves.
fn encoded(text: &str) -> String {
    text.bytes().fold(String::with_capacity(text.len()), |mut done, byte| {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                done.push(char::from(byte));
            }
            _ => {
                let _ = write!(done, "%{byte:02X}");
            }
        }
        done
    })
}

/// Without user and password.
impl fmt::Display for BrokerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let AMQPUri { scheme, authority, vhost, .. } = &self.0;
        let host = if authority.host.contains(':') {
            format!("[{}]", authority.host)
        } else {
            authority.host.clone()
        };
        write!(f, "{scheme}://{host}:{}/", authority.port)?;
        if vhost == "/" { Ok(()) } else { f.write_str(vhost) }
    }
}

impl fmt::Debug for BrokerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Why a text is no URL of a broker. It never holds the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BrokerUrlError {
    /// Neither `amqp` nor `amqps`.
    #[error("must begin with amqp:// or amqps://")]
    Scheme,
    /// Blanks, control characters, or such that are not ASCII.
    #[error("holds a blank or a character that must be percent-encoded")]
    Characters,
    /// It cannot be read.
    #[error(
        "is no URL such as amqps://USER:PASSWORD@HOST:5671/VHOST; what is not a letter or digit in user, password or \
             VHOST must be percent-encoded"
    )]
    Form,
    /// No host.
    #[error("names no host")]
    Host,
    /// The account that everybody knows, to another host.
    #[error(
        "has the account guest (or none) for another host: everybody knows its password; make a user of its own \
             with rabbitmqctl add_user"
    )]
    Guest,
    /// More than [`BrokerUrl::LENGTH_MAX`].
    #[error("has more than 2000 characters")]
    Long,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_program_gets_the_same_place() {
        for text in [
            "amqp://ana:p%3A%40%2F@host:5673/a%2Fb",
            "amqps://[::1]/%2f",
            "amqp://ana@x",
            "amqp://%C4%8D%20:@h/%C4%8D",
        ] {
            let url: BrokerUrl = text.parse().unwrap();
            let again: BrokerUrl = url.reveal().parse().unwrap();
            assert_eq!(again.reveal(), url.reveal());
            assert_eq!(
                (again.uri().vhost.as_str(), &again.uri().authority),
                (url.uri().vhost.as_str(), &url.uri().authority)
            );
        }
    }

    #[test]
    fn a_url_says_where_and_never_how_one_gets_in() {
        for (text, expected) in [
            ("amqp://localhost", Ok("amqp://localhost:5672/")),
            ("amqp://localhost/", Ok("amqp://localhost:5672/")),
            ("amqp://guest:guest@127.0.0.1:5673/%2f", Ok("amqp://127.0.0.1:5673/")),
            ("amqps://ana:hunter%402@mq.example.com/fleet", Ok("amqps://mq.example.com:5671/fleet")),
            ("AMQP://ana:hunter2@mq", Ok("amqp://mq:5672/")),
            ("amqp://ana:hunter2@[2001:db8::1]:5/x", Ok("amqp://[2001:db8::1]:5/x")),
            ("amqp://[::1]", Ok("amqp://[::1]:5672/")),
            ("amqp://[2001:db8::1]", Err(BrokerUrlError::Guest)),
            ("amqp://mq.example.com", Err(BrokerUrlError::Guest)),
            ("amqps://guest:other@mq.example.com", Err(BrokerUrlError::Guest)),
            ("amqp://127.0.0.1.example.com", Err(BrokerUrlError::Guest)),
            ("http://ana:hunter2@h", Err(BrokerUrlError::Scheme)),
            ("ana:hunter2@h", Err(BrokerUrlError::Scheme)),
            ("amqp://ana:hunter2@", Err(BrokerUrlError::Form)),
            ("amqp:///x", Err(BrokerUrlError::Host)),
            ("amqp://ana:hunter2@h:port/", Err(BrokerUrlError::Form)),
            ("amqp://ana:hun ter2@h", Err(BrokerUrlError::Characters)),
        ] {
            let found = text.parse::<BrokerUrl>();
            let place = found.as_ref().map(BrokerUrl::to_string).map_err(|error| *error);
            assert_eq!(place, expected.map(str::to_owned), "{text}");
            let shown = format!("{found:?}") + &found.err().map_or(String::new(), |error| error.to_string());
            assert!(!shown.contains("hunter") && !shown.contains("ana"), "{shown}");
        }
        assert_eq!(format!("amqp://h/{}", "x".repeat(2000)).parse::<BrokerUrl>(), Err(BrokerUrlError::Long));
    }
}
