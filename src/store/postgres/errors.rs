//! What an error of the server means for the caller, in one line that says what to do.

use std::io::ErrorKind;

use sqlx::Error;

use crate::store::StoreError;

/// Whether the connection is of no more use, while the server may be well.
pub(super) fn is_lost(error: &Error) -> bool {
    if error.as_database_error().is_some() {
        // 08: connection; 57P: the server ends it; 25P03: it was idle for too long.
        let code = code(error);
        return ["08", "57P", "25P03"].iter().any(|class| code.starts_with(class));
    }
    matches!(error, Error::Io(_) | Error::Protocol(_) | Error::Tls(_) | Error::BeginFailed)
}

/// Whether the server ended the transaction in favour of another one.
pub(super) fn is_to_be_repeated(error: &Error) -> bool {
    matches!(code(error).as_str(), "40001" | "40P01")
}

fn code(error: &Error) -> String {
    error.as_database_error().and_then(sqlx::error::DatabaseError::code).unwrap_or_default().into_owned()
}

/// Passwords are in none of these: neither the server nor the driver repeats them.
pub(in crate::store) fn translate(error: &Error) -> StoreError {
    if let Error::Database(fault) = error {
        return of_server(&code(error), fault.message(), fault.constraint());
    }
    if let Error::Io(fault) = error {
        return of_network(fault);
    }
    if let Error::Tls(fault) = error {
        return insecure(&fault.to_string());
    }
    StoreError::Unavailable(one_line(&error.to_string()))
}

fn insecure(why: &str) -> StoreError {
    StoreError::Denied(format!(
        "no secure connection to the server: {}; the certificate must be that of the host and its CA known \
         (sslrootcert=FILE in the URL), or a trusted network is named by sslmode=disable",
        one_line(why)
    ))
}

fn of_network(fault: &std::io::Error) -> StoreError {
    let kind = fault.kind();
    if kind == ErrorKind::InvalidData {
        // The handshake was answered, and the answer was not good enough.
        return insecure(&fault.to_string());
    }
    let what = if kind == ErrorKind::ConnectionRefused {
        "nothing listens at its address; start the server, or correct host and port".to_owned()
    } else if kind == ErrorKind::NotFound {
        "there is no socket at its address; start the server, or correct the path".to_owned()
    } else if matches!(kind, ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) {
        "the server closed the connection".to_owned()
    } else {
        one_line(&fault.to_string())
    };
    StoreError::Unavailable(what)
}

/// For who waited for a row or a table.
pub(super) const LOCKED: &str = "another program holds a row or a table in a transaction that is still open; \
    pg_stat_activity and pg_locks tell which";

/// For who needs a server that takes writes.
pub(super) const STANDBY: &str = "the server is read-only, a standby perhaps; connect to the primary";

fn of_server(code: &str, message: &str, constraint: Option<&str>) -> StoreError {
    let message = one_line(message);
    let denied = |what: &str| StoreError::Denied(format!("the server says: {message}; {what}"));
    let away = |what: &str| StoreError::Unavailable(what.to_owned());
    match code {
        "28P01" => denied("correct user and password in the URL"),
        "28000" => denied("pg_hba.conf of the server must let this user in"),
        "3D000" => denied("create it (createdb), or correct the URL"),
        "42501" => denied(
            "grant this right to the user in the URL, or a role that has it: dcm_readonly looks, dcm_operator sends \
             commands, dcm_manager is a manager, dcm_owner registers apps and migrates (dcm db roles)",
        ),
        "42P01" | "42703" | "42883" | "3F000" => {
            denied("the tables of dcm are not in the schema of search_path")
        }
        "0A000" if message.contains("recovery") => away(STANDBY),
        "25006" => away(STANDBY),
        "53100" => away("the disk of the server is full; make room on it"),
        "53200" => away("the server is out of memory"),
        "53300" => away("the server has no connection left; raise max_connections or use a pooler"),
        "55P03" => StoreError::Locked(LOCKED.to_owned()),
        "57014" => away("the server took too long"),
        "57P01" | "57P02" | "57P03" => away("the server is starting or shutting down"),
        "40001" | "40P01" => away("other programs were in the way; it is tried again"),
        _ if code.starts_with("22") || code.starts_with("23") => StoreError::Refused(match constraint {
            Some(constraint) if !message.contains(constraint) => format!("{message} ({constraint})"),
            Some(_) | None => message,
        }),
        _ => StoreError::Unavailable(format!("the server says: {message} ({code})")),
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_say_what_to_do_and_whether_to_wait() {
        let text = of_server("42501", "permission denied for table apps", None);
        assert!(matches!(text, StoreError::Denied(_)));
        assert!(text.to_string().contains("table apps; grant this right"), "{text}");
        for code in ["25006", "53100", "57P03", "XX000"] {
            assert!(matches!(of_server(code, "no", None), StoreError::Unavailable(_)), "{code}");
        }
        assert!(matches!(of_server("23505", "duplicate", None), StoreError::Refused(_)));
        let refused = std::io::Error::from(ErrorKind::ConnectionRefused);
        assert!(translate(&Error::Io(refused)).to_string().contains("start the server"));
    }
}
