//! One way to call an address by HTTP: TLS with the roots of the system, no redirect followed, time and size limited.

use std::io::Read as _;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use chrono::DateTime;
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig};

use super::Undelivered;
use super::secret::without;
use crate::model::{HttpUrl, Printable};

/// How long it may take to reach an endpoint. It has an answer in a tenth of a second, or is not well.
const CONNECT_MAX: Duration = Duration::from_secs(5);

/// How long a call may take from the first to the last byte, so that an endpoint that never answers keeps other
/// messages waiting for no longer.
const CALL_MAX: Duration = Duration::from_secs(15);

/// The most of an answer that is read, in bytes: services answer with a few words.
const ANSWER_MAX: u64 = 64 * 1024;

/// The most of an answer that is repeated in a message, in characters.
const EXCERPT_MAX: usize = 200;

/// The longest pause that an endpoint can ask for: deliveries are given up after a day.
pub(super) const RETRY_AFTER_MAX: Duration = Duration::from_secs(86_400);

/// Parts of an address that are at least this long, in bytes, are hidden where an answer repeats them: tokens are longer.
const TOKEN_MIN: usize = 12;

/// Calls addresses. The certificates of the system are read at the first call: most managers have no channel.
#[derive(Debug, Default)]
pub(super) struct Http {
    /// Root certificates beside those of the system, in PEM.
    roots: Option<Vec<u8>>,
    agent: OnceLock<ureq::Agent>,
}

/// What an endpoint said, other than to go elsewhere.
#[derive(Debug)]
pub(super) struct Answer {
    /// Who said it.
    host: String,
    status: u16,
    /// The beginning of the body, without secrets.
    pub(super) text: String,
    retry_after: Option<Duration>,
}

impl Http {
    pub(super) fn new(roots: Option<Vec<u8>>) -> Self {
        Self { roots, agent: OnceLock::new() }
    }

    /// Posts a body.
    pub(super) fn post(
        &self,
        url: &HttpUrl,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<Answer, Undelivered> {
        let config = self.agent().post(url.reveal()).config();
        // What is for this host must not leave it by way of a proxy.
        let config = if url.is_loopback() { config.proxy(None) } else { config };
        let mut request = config.build();
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let failed = |error: ureq::Error| {
            let why = without(&describe(&error), secrets_of(url));
            Undelivered { why: format!("{}: {}", url.host(), Printable(&why)), retry_after: None }
        };
        let mut response = request.send(body).map_err(failed)?;
        let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok());
        let retry_after = header("retry-after").and_then(|value| retry_after(value, header("date")));
        let location = header("location").map(str::to_owned);
        let status = response.status();
        if status.is_redirection() {
            return Err(redirected(url, status.as_u16(), location.as_deref()));
        }
        let mut bytes = Vec::new();
        // The status alone may be enough, and a body that was cut is seen to be.
        let _ = response.body_mut().as_reader().take(ANSWER_MAX).read_to_end(&mut bytes);
        Ok(Answer {
            host: url.host().to_owned(),
            status: status.as_u16(),
            text: without(&String::from_utf8_lossy(&bytes), secrets_of(url)),
            retry_after,
        })
    }

    fn agent(&self) -> &ureq::Agent {
        self.agent.get_or_init(|| {
            let provider = Arc::new(rustls::crypto::ring::default_provider());
            let tls = TlsConfig::builder()
                .unversioned_rustls_crypto_provider(provider)
                .root_certs(RootCerts::Specific(Arc::new(self.certificates())))
                .build();
            ureq::Agent::config_builder()
                .tls_config(tls)
                .http_status_as_error(false)
                .max_redirects(0)
                .max_redirects_will_error(false)
                .timeout_connect(Some(CONNECT_MAX))
                .timeout_global(Some(CALL_MAX))
                // Messages are rare: a connection that is kept would be one that has died meanwhile.
                .max_idle_connections(0)
                .user_agent(concat!("dcm/", env!("CARGO_PKG_VERSION")))
                .build()
                .new_agent()
        })
    }

    fn certificates(&self) -> Vec<Certificate<'static>> {
        let of_system = rustls_native_certs::load_native_certs().certs;
        let own = self.roots.as_deref().map(certificates_in).unwrap_or_default();
        of_system.iter().map(|der| Certificate::from_der(der).to_owned()).chain(own).collect()
    }
}

impl Answer {
    /// Whether the endpoint says by its status that it took the message.
    pub(super) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// A failure, with what the endpoint said.
    pub(super) fn refused(&self) -> Undelivered {
        self.refused_with(&self.text)
    }

    /// A failure, with what of the answer says why.
    pub(super) fn refused_with(&self, said: &str) -> Undelivered {
        let said: String = said.trim().chars().take(EXCERPT_MAX).collect();
        let said = if said.is_empty() {
            "without a word".to_owned()
        } else {
            format!("{:?}", Printable(&said).text())
        };
        let why = format!("{} answered HTTP {}: {said}", self.host, self.status);
        Undelivered { why, retry_after: self.retry_after }
    }
}

/// The certificates of a file in PEM.
pub(super) fn certificates_in(pem: &[u8]) -> Vec<Certificate<'static>> {
    let items = ureq::tls::parse_pem(pem).filter_map(Result::ok);
    let certificate = |item| match item {
        PemItem::Certificate(certificate) => Some(certificate),
        PemItem::PrivateKey(_) | _ => None,
    };
    items.filter_map(certificate).collect()
}

fn redirected(url: &HttpUrl, status: u16, location: Option<&str>) -> Undelivered {
    let target = location.map_or("nowhere", |location| {
        let place = location.split_once("//").map_or("", |(_, rest)| rest);
        let host = place.split(['/', '?', '#']).next().unwrap_or_default();
        let host = host.rsplit('@').next().unwrap_or_default();
        if host.is_empty() { url.host() } else { host }
    });
    let target: String = target.chars().take(EXCERPT_MAX).collect();
    let why = format!(
        "{} answered HTTP {status}: a redirect to {}, which is not followed; name the address that is meant",
        url.host(),
        Printable(&target)
    );
    Undelivered { why, retry_after: None }
}

/// Seconds, or a date. A date counts from the endpoint's own clock, whatever time this host has.
fn retry_after(value: &str, date: Option<&str>) -> Option<Duration> {
    let pause = match value.trim().parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let at = |text: &str| DateTime::parse_from_rfc2822(text.trim()).ok();
            (at(value)? - at(date?)?).to_std().ok()?
        }
    };
    Some(pause.min(RETRY_AFTER_MAX))
}

/// What of an address is a secret: with it anyone may post there.
fn secrets_of(url: &HttpUrl) -> impl Iterator<Item = &str> {
    let parts = url.path().split(['/', '?', '&', '=']).filter(|part| part.len() >= TOKEN_MIN);
    let whole = std::iter::once(url.path()).filter(|path| path.len() >= TOKEN_MIN);
    std::iter::once(url.reveal()).chain(whole).chain(parts)
}

fn describe(error: &ureq::Error) -> String {
    if let ureq::Error::Timeout(phase) = error {
        return if matches!(phase, ureq::Timeout::Resolve | ureq::Timeout::Connect) {
            format!("no connection within {} s", CONNECT_MAX.as_secs())
        } else {
            format!("no answer within {} s", CALL_MAX.as_secs())
        };
    }
    if matches!(error, ureq::Error::HostNotFound) {
        return "the name of the host is unknown".to_owned();
    }
    if let ureq::Error::Io(source) = error { source.to_string() } else { error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_is_given_in_seconds_or_as_a_date() {
        let now = Some("Sun, 06 Nov 1994 08:49:37 GMT");
        for (value, date, expected) in [
            ("17", None, Some(17)),
            (" 0 ", None, Some(0)),
            ("99999999", None, Some(86_400)),
            ("Sun, 06 Nov 1994 08:50:37 GMT", now, Some(60)),
            ("Sun, 06 Nov 1994 08:48:37 GMT", now, None),
            ("Sun, 06 Nov 1994 08:50:37 GMT", None, None),
            ("soon", now, None),
            ("-1", now, None),
        ] {
            assert_eq!(retry_after(value, date), expected.map(Duration::from_secs), "{value}");
        }
    }

    #[test]
    fn a_redirect_names_where_it_leads_and_no_more() {
        let url: HttpUrl = "https://hooks.slack.com/services/SECRETSECRET".parse().unwrap();
        for (location, target) in [
            (Some("https://evil.example.com/take?SECRETSECRET"), "evil.example.com"),
            (Some("//a:b@evil.example.com/"), "evil.example.com"),
            (Some("/login"), "hooks.slack.com"),
            (Some("http://a\u{1b}[31m/"), "a\\x1b[31m"),
            (None, "nowhere"),
        ] {
            let why = redirected(&url, 302, location).why;
            assert!(
                why.starts_with(&format!("hooks.slack.com answered HTTP 302: a redirect to {target}, ")),
                "{why}"
            );
            assert!(!why.contains("SECRET"), "{why}");
        }
    }

    #[test]
    fn an_answer_that_repeats_the_address_does_not_give_it_away() {
        let url: HttpUrl = "https://h/services/T00000000000?sig=abcdefghijklmnop".parse().unwrap();
        let page =
            "no such hook: /services/T00000000000?sig=abcdefghijklmnop, T00000000000, abcdefghijklmnop";
        assert_eq!(without(page, secrets_of(&url)), "no such hook: ***, ***, ***");
    }
}
