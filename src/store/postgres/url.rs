//! The URL of a server: what is in it, and how safe the connection is.

use std::str::FromStr as _;

use sqlx::ConnectOptions as _;
use sqlx::postgres::{PgConnectOptions, PgSslMode};

use crate::store::StoreError;

/// Parameters that are understood.
const KNOWN: [&str; 13] = [
    "sslmode",
    "sslrootcert",
    "sslcert",
    "sslkey",
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "password",
    "application_name",
    "options",
    "ssl-mode",
];

/// Parameters of other programs that say nothing to this one.
const LEFT_OUT: [&str; 6] = [
    "connect_timeout",
    "target_session_attrs",
    "gssencmode",
    "channel_binding",
    "keepalives",
    "keepalives_idle",
];

/// How to connect. A host other than this one needs TLS and a valid certificate unless the URL has
/// an `sslmode` that says otherwise.
///
/// # Errors
/// [`StoreError::Denied`], without any secret of the URL.
pub(super) fn parse(url: &str) -> Result<PgConnectOptions, StoreError> {
    let invalid = || {
        StoreError::Denied(
            "the URL of the database is not valid: expected postgres://USER:PASSWORD@HOST:PORT/NAME, with special \
             characters written as %XX"
                .to_owned(),
        )
    };
    let (place, parameters) = url.split_once('?').unwrap_or((url, ""));
    let mut kept = Vec::new();
    for parameter in parameters.split('&').filter(|parameter| !parameter.is_empty()) {
        let key = parameter.split('=').next().unwrap_or_default();
        if KNOWN.contains(&key) || key.starts_with("options[") {
            kept.push(parameter);
        } else if !LEFT_OUT.contains(&key) {
            return Err(StoreError::Denied(format!(
                "the URL of the database has an unknown parameter {key:?}"
            )));
        }
    }
    kept.iter().try_for_each(|parameter| readable(parameter))?;
    let options =
        PgConnectOptions::from_str(&format!("{place}?{}", kept.join("&"))).map_err(|_| invalid())?;
    let names_mode =
        kept.iter().any(|parameter| parameter.starts_with("sslmode=") || parameter.starts_with("ssl-mode="));
    let options = if names_mode {
        options
    } else if is_local(&options) {
        options.ssl_mode(PgSslMode::Prefer)
    } else {
        options.ssl_mode(PgSslMode::VerifyFull)
    };
    let options = match options.get_application_name() {
        Some(_) => options,
        None => options.application_name("dcm"),
    };
    // A pooler hands each transaction to another connection: nothing may be kept on one. It also
    // refuses parameters that it does not know.
    Ok(options.statement_cache_capacity(0).extra_float_digits(None).disable_statement_logging())
}

/// A certificate that cannot be read would be told of as a server that is not there.
fn readable(parameter: &str) -> Result<(), StoreError> {
    let Some((key @ ("sslrootcert" | "sslcert" | "sslkey"), path)) = parameter.split_once('=') else {
        return Ok(());
    };
    match std::fs::metadata(path) {
        Err(error) if !path.contains('%') => Err(StoreError::Denied(format!(
            "{key} of the URL, {path}, cannot be read: {error}; correct the path"
        ))),
        Ok(_) | Err(_) => Ok(()),
    }
}

fn is_local(options: &PgConnectOptions) -> bool {
    let host = options.get_host().trim_matches(['[', ']']);
    options.get_socket().is_some()
        || host.starts_with('/')
        || host.eq_ignore_ascii_case("localhost")
        || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// The place of the database, without user, password and parameters.
pub(super) fn shown(options: &PgConnectOptions) -> String {
    let name = options.get_database().unwrap_or_else(|| options.get_username());
    match options.get_socket() {
        Some(socket) => format!("postgres://{}/{name}", socket.display()),
        None => format!("postgres://{}:{}/{name}", options.get_host(), options.get_port()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificates_are_checked_unless_the_url_says_otherwise() {
        let mode = |url: &str| format!("{:?}", parse(url).unwrap().get_ssl_mode());
        assert_eq!(mode("postgres://ana@db.example.com/dcm"), "VerifyFull");
        assert_eq!(mode("postgres://ana@10.0.3.7/dcm?connect_timeout=3"), "VerifyFull");
        assert_eq!(mode("postgres://ana@db.example.com/dcm?sslmode=disable"), "Disable");
        assert_eq!(mode("postgres://ana@127.0.0.1/dcm"), "Prefer");
        assert_eq!(mode("postgres://ana@[::1]/dcm"), "Prefer");
    }

    #[test]
    fn secrets_are_not_shown() {
        for url in ["postgres://ana:hunter2@h:port/d", "postgres://ana:hunter2@h/d?passwort=hunter2"] {
            let error = parse(url).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
        }
        let options = parse("postgres://ana:hunter2@h/d?password=hunter2").unwrap();
        assert_eq!(shown(&options), "postgres://h:5432/d");
    }
}
