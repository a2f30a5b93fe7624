//! The URL of a server: what is in it, and how safe the connection is.

use std::cell::Cell;
use std::str::FromStr as _;

use sqlx::ConnectOptions as _;
use sqlx::postgres::{PgConnectOptions, PgSslMode};

use super::targets::Targets;
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
const LEFT_OUT: [&str; 5] =
    ["connect_timeout", "gssencmode", "channel_binding", "keepalives", "keepalives_idle"];

/// At most so many servers.
const HOSTS_MAX: usize = 16;

fn invalid() -> StoreError {
    StoreError::Denied(
        "the URL of the database is not valid: expected postgres://USER:PASSWORD@HOST:PORT/NAME, with special \
         characters written as %XX"
            .to_owned(),
    )
}

/// Where to connect, and how. Several hosts, with their ports, are parted by commas.
///
/// # Errors
/// [`StoreError::Denied`], without any secret of the URL.
pub(in crate::store) fn parse(url: &str) -> Result<Targets, StoreError> {
    let hosts = each_host(url)?;
    let needs_primary = match parameter(url, "target_session_attrs") {
        // Who names several wants the one that takes writes.
        None => hosts.len() > 1,
        Some("any") => false,
        Some("read-write" | "primary") => true,
        Some(_) => {
            return Err(StoreError::Denied(
                "target_session_attrs of the URL is read-write, primary or any: dcm needs a server that takes writes"
                    .to_owned(),
            ));
        }
    };
    let hosts = hosts.iter().map(|url| parse_one(url)).collect::<Result<Vec<_>, _>>()?;
    Ok(Targets { hosts, needs_primary, first: Cell::new(0) })
}

fn parameter<'a>(url: &'a str, key: &str) -> Option<&'a str> {
    let (_, parameters) = url.split_once('?')?;
    let value = |one: &'a str| one.strip_prefix(key).and_then(|rest| rest.strip_prefix('='));
    parameters.split('&').filter_map(value).next_back()
}

/// A URL for each of its hosts.
fn each_host(url: &str) -> Result<Vec<String>, StoreError> {
    let (head, parameters) = url.split_once('?').unwrap_or((url, ""));
    let Some((scheme, rest)) = head.split_once("://") else { return Ok(vec![url.to_owned()]) };
    let (authority, name) = rest.split_once('/').unwrap_or((rest, ""));
    let (user, hosts) = match authority.rsplit_once('@') {
        Some((user, hosts)) => (format!("{user}@"), hosts),
        None => (String::new(), authority),
    };
    if hosts.contains(',') {
        let urls = hosts.split(',').map(|host| format!("{scheme}://{user}{host}/{name}?{parameters}"));
        return bounded(urls.collect());
    }
    let Some(hosts) = parameter(url, "host").filter(|hosts| hosts.contains(',')) else {
        return Ok(vec![url.to_owned()]);
    };
    let hosts: Vec<_> = hosts.split(',').collect();
    let ports: Vec<_> = parameter(url, "port").unwrap_or("5432").split(',').collect();
    if ports.len() != 1 && ports.len() != hosts.len() {
        return Err(StoreError::Denied(format!(
            "the URL of the database has {} hosts and {} ports; give one port, or one for each host",
            hosts.len(),
            ports.len()
        )));
    }
    let is_place = |one: &&str| one.starts_with("host=") || one.starts_with("port=");
    let others: Vec<_> = parameters.split('&').filter(|one| !is_place(one)).collect();
    let urls = hosts.iter().zip(ports.iter().cycle());
    // An authority of a user alone is no URL for the parser.
    let head = format!("{scheme}://{user}localhost/{name}?{}", others.join("&"));
    bounded(urls.map(|(host, port)| format!("{head}&host={host}&port={port}")).collect())
}

fn bounded(urls: Vec<String>) -> Result<Vec<String>, StoreError> {
    if urls.len() > HOSTS_MAX {
        let why = format!("the URL of the database has {} hosts; at most {HOSTS_MAX}", urls.len());
        return Err(StoreError::Denied(why));
    }
    Ok(urls)
}

/// How to connect to one host. One other than this one needs TLS and a valid certificate unless the URL
/// has an `sslmode` that says otherwise.
fn parse_one(url: &str) -> Result<PgConnectOptions, StoreError> {
    let (place, parameters) = url.split_once('?').unwrap_or((url, ""));
    let mut kept = Vec::new();
    for parameter in parameters.split('&').filter(|parameter| !parameter.is_empty()) {
        let key = parameter.split('=').next().unwrap_or_default();
        if KNOWN.contains(&key) || key.starts_with("options[") {
            kept.push(parameter);
        } else if key != "target_session_attrs" && !LEFT_OUT.contains(&key) {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificates_are_checked_unless_the_url_says_otherwise() {
        let mode = |url: &str| format!("{:?}", parse(url).unwrap().current().get_ssl_mode());
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
        assert_eq!(options.shown(), "postgres://h:5432/d");
    }

    #[test]
    fn several_hosts_are_tried_in_their_order() {
        let shown = |url: &str| parse(url).map(|targets| targets.shown());
        let both = Ok("postgres://a:5432,b:6432/d".to_owned());
        assert_eq!(shown("postgres://ana@a,b:6432/d?target_session_attrs=read-write"), both);
        assert_eq!(shown("postgres://ana@/d?host=a,b&port=5432,6432"), both);
        assert_eq!(shown("postgres:///d?port=7&user=ana&host=a,b"), Ok("postgres://a:7,b:7/d".to_owned()));
        assert_eq!(shown("postgres:///d?host=/x,/y"), Ok("postgres:///x,/y/d".to_owned()));
        for url in [
            "postgres://ana:hunter2@a,b/d?target_session_attrs=standby",
            "postgres://ana:hunter2@/d?host=a,b&port=1,2,3",
            "postgres://ana:hunter2@a,b:port/d",
        ] {
            let error = shown(url).unwrap_err();
            assert!(matches!(error, StoreError::Denied(_)), "{error}");
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
        }
        let many = format!("postgres://{}/d", ["h"; 17].join(","));
        assert!(shown(&many).unwrap_err().to_string().contains("at most 16"));
    }
}
