//! The body of a message that is a command.

use serde_json::Value;

use crate::model::{
    AppId, AppPath, CmdName, CommandSource, NewCommand, Printable, Timestamp, parse_timestamp,
};

/// The largest body, in bytes.
pub const BODY_MAX: usize = 64 * 1024;

/// The longest name of who issues a command, in characters.
const ISSUER_MAX: usize = 200;

/// Who issues a command whose message does not say so.
const UNNAMED: &str = "rabbitmq";

/// A command, as a message gives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Order {
    /// The id of the message: a UUID in lower case with hyphens.
    pub(super) id: String,
    /// The app as it is named there.
    pub(super) asked: String,
    pub(super) command: NewCommand,
}

/// A message that is no command, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct Malformed(String);

impl Malformed {
    pub(super) fn new(why: impl Into<String>) -> Self {
        Self(why.into())
    }
}

/// Reads a body. Fields that are not known are left alone: senders may be newer.
///
/// # Errors
/// [`Malformed`] in one line, without control characters.
pub(super) fn read(body: &[u8], now: Timestamp) -> Result<Order, Malformed> {
    if body.len() > BODY_MAX {
        return Err(Malformed(format!("it has {} bytes, the limit is {BODY_MAX}", body.len())));
    }
    let value: Value = serde_json::from_slice(body)
        .map_err(|error| Malformed(format!("it is not JSON: {}", Printable(&error.to_string()))))?;
    let Value::Object(fields) = &value else { return Err(Malformed::new("it is no JSON object")) };
    let text = |name: &str| match fields.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.as_str())),
        Some(Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
            Err(Malformed(format!("{name} is no text")))
        }
    };
    let required = |name: &str| text(name)?.ok_or_else(|| Malformed(format!("{name} is missing")));
    let time = |name: &str| {
        let time = |text: &str| {
            parse_timestamp(text)
                .map_err(|error| Malformed(format!("{name}: {}", Printable(&error.to_string()))))
        };
        text(name)?.map(time).transpose()
    };
    let id = required("id")?;
    let id = uuid::Uuid::parse_str(id).map_err(|_| Malformed::new("id is no UUID"))?;
    let asked = required("app")?;
    let app = match asked.parse::<AppId>() {
        Ok(app) => app,
        Err(_) => {
            let path: AppPath = asked
                .parse()
                .map_err(|_| Malformed::new("app is neither GROUP/PARENT/APP nor the key of an app"))?;
            AppId::of(&path)
        }
    };
    let command = required("command")?;
    let name: CmdName = command.to_ascii_uppercase().parse().map_err(|_| {
        let command: String = command.chars().take(32).collect();
        Malformed(format!("there is no command {}", Printable(&command)))
    })?;
    let args = match fields.get("args") {
        None | Some(Value::Null) => None,
        Some(Value::Object(args)) if args.is_empty() => None,
        Some(args @ Value::Object(_)) => Some(args.to_string()),
        Some(Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_)) => {
            return Err(Malformed::new("args is no JSON object"));
        }
    };
    let by = text("issued_by")?.unwrap_or(UNNAMED);
    if by.chars().count() > ISSUER_MAX {
        return Err(Malformed(format!("issued_by has more than {ISSUER_MAX} characters")));
    }
    // A clock that runs ahead must not make a command come from the future.
    let issued = time("issued_at")?.map_or(now, |issued| issued.min(now));
    Ok(Order {
        id: id.hyphenated().to_string(),
        asked: asked.to_owned(),
        command: NewCommand {
            app,
            name,
            args,
            by: Printable(if by.is_empty() { UNNAMED } else { by }).to_string(),
            source: CommandSource::Rabbitmq,
            time: issued,
            expires: time("expires_at")?,
            batch: None,
            note: None,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "6f9619ff-8b86-d011-b42d-00c04fc964ff";

    fn now() -> Timestamp {
        parse_timestamp("2026-11-27T20:00:00Z").unwrap()
    }

    fn with(change: &str) -> String {
        let rest = if change.is_empty() { String::new() } else { format!(", {change}") };
        format!(r#"{{"id": "{ID}", "app": "croatia/fina/companies", "command": "RESTART"{rest}}}"#)
    }

    #[test]
    fn a_command_is_read_as_the_contract_has_it() {
        let body = with(
            r#""args": {"year": 2026}, "issued_by": "ana", "issued_at": "2026-11-27T19:59:00Z",
               "expires_at": "2026-11-27T21:05:00+01:00", "colour": 3"#,
        );
        let order = read(body.as_bytes(), now()).unwrap();
        let path: AppPath = "croatia/fina/companies".parse().unwrap();
        assert_eq!((order.id.as_str(), order.asked.as_str()), (ID, "croatia/fina/companies"));
        let command = order.command;
        assert_eq!((command.app, command.name), (AppId::of(&path), CmdName::Restart));
        assert_eq!(command.args.as_deref(), Some(r#"{"year":2026}"#));
        assert_eq!((command.by.as_str(), command.source), ("ana", CommandSource::Rabbitmq));
        assert_eq!(command.time, parse_timestamp("2026-11-27T19:59:00Z").unwrap());
        assert_eq!(command.expires, Some(parse_timestamp("2026-11-27T20:05:00Z").unwrap()));

        let least = read(with(r#""args": {}, "issued_at": null"#).as_bytes(), now()).unwrap().command;
        assert_eq!(
            (least.args, least.by.as_str(), least.time, least.expires),
            (None, "rabbitmq", now(), None)
        );
        let by_key = with("").replace("croatia/fina/companies", &AppId::of(&path).to_string());
        let by_key = by_key.replace(ID, "6F9619FF8B86D011B42D00C04FC964FF").replace("RESTART", "restart");
        let order = read(by_key.as_bytes(), now()).unwrap();
        assert_eq!((order.id.as_str(), order.command.app), (ID, AppId::of(&path)));
        let ahead = read(with(r#""issued_at": "2999-01-01T00:00:00Z""#).as_bytes(), now()).unwrap();
        assert_eq!(ahead.command.time, now());
    }

    #[test]
    fn what_is_no_command_says_why() {
        let without = |field: &str| {
            let mut value: Value = serde_json::from_str(&with("")).unwrap();
            value.as_object_mut().unwrap().remove(field);
            value.to_string()
        };
        let deep = format!("{}{}", "[".repeat(5000), "]".repeat(5000));
        for (body, expected) in [
            (String::new(), "it is not JSON: EOF"),
            ("START".to_owned(), "it is not JSON: "),
            ("\u{feff}{}".to_owned(), "it is not JSON: "),
            ("[]".to_owned(), "it is no JSON object"),
            (deep, "it is not JSON: recursion limit"),
            (without("id"), "id is missing"),
            (without("app"), "app is missing"),
            (without("command"), "command is missing"),
            (with(r#""id": 7"#), "id is no text"),
            (with(r#""id": "seven""#), "id is no UUID"),
            (with(r#""app": null"#), "app is missing"),
            (with(r#""app": "a/b""#), "app is neither GROUP/PARENT/APP nor the key of an app"),
            (with(r#""app": "../x/y""#), "app is neither"),
            (with(r#""app": ["a/b/c"]"#), "app is no text"),
            (with(r#""command": "EXPLODE\u001b[31m""#), "there is no command EXPLODE\\x1b[31m"),
            (with(r#""command": 3"#), "command is no text"),
            (with(r#""args": "x""#), "args is no JSON object"),
            (with(r#""args": [1]"#), "args is no JSON object"),
            (with(r#""issued_by": {}"#), "issued_by is no text"),
            (with(&format!(r#""issued_by": "{}""#, "x".repeat(201))), "issued_by has more than 200"),
            (with(r#""expires_at": "soon""#), "expires_at: "),
            (with(r#""expires_at": 1790000000"#), "expires_at is no text"),
            (with(&format!(r#""args": {{"x": "{}"}}"#, "y".repeat(BODY_MAX))), "it has 65"),
        ] {
            let why = read(body.as_bytes(), now()).unwrap_err().to_string();
            assert!(why.starts_with(expected), "{body:.200}: {why}");
        }
        assert!(read(b"\xff\xfe{}", now()).is_err());
    }

    #[test]
    fn an_issuer_cannot_write_what_a_terminal_obeys() {
        let order = read(with(r#""issued_by": "ana\u0000\u001b[2J""#).as_bytes(), now()).unwrap();
        assert_eq!(order.command.by, "ana\\x00\\x1b[2J");
    }
}
