//! A document as Dramatiq reads it from its queue.

use serde_json::{Value, json};

use crate::model::{DueDocument, Target, Timestamp};

/// The longest error that is kept of a message that was given up, in characters.
const ERROR_MAX: usize = 500;

/// The body of a message. Dramatiq takes these keys and no others.
///
/// Bytes of a path that are no text are lone surrogates, as Python itself has them in the names of files
/// (`surrogateescape`): the text that a worker gets opens the file.
pub(super) fn body(document: &DueDocument, target: &Target, now: Timestamp) -> Vec<u8> {
    let rest = json!({
        "topic": document.topic,
        "sha3": document.sha3,
        "group": document.app_group,
    });
    let rest = rest.to_string();
    let argument = format!(
        "{{\"task\":{},\"path\":{},{}",
        document.task.0,
        path(document.path.bytes()),
        rest.trim_start_matches('{')
    );
    let text = |text: &str| Value::from(text).to_string();
    format!(
        "{{\"queue_name\":{},\"actor_name\":{},\"args\":[{argument}],\"kwargs\":{{}},\"options\":{{}},\
         \"message_id\":{},\"message_timestamp\":{}}}",
        text(&target.queue),
        text(&target.actor),
        text(&document.message_id),
        now.timestamp_millis()
    )
    .into_bytes()
}

/// A path as a text of JSON.
fn path(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut text = String::from("\"");
    for chunk in bytes.utf8_chunks() {
        let valid = Value::from(chunk.valid()).to_string();
        text.push_str(&valid[1..valid.len() - 1]);
        for byte in chunk.invalid() {
            let _ = write!(text, "\\udc{byte:02x}");
        }
    }
    text.push('"');
    text
}

/// What a message says that the workers gave up.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct DeadLetter {
    /// Its id.
    pub(super) message_id: String,
    /// What became of it, in one line.
    pub(super) error: String,
}

/// Reads a message of the queue of dead messages; `None` where it is none of Dramatiq's. `reason` is the broker's own.
pub(super) fn dead_letter(body: &[u8], reason: Option<&str>) -> Option<DeadLetter> {
    let message: Value = serde_json::from_slice(body).ok()?;
    let message_id = message.get("message_id")?.as_str()?.to_owned();
    let actor = message.get("actor_name").and_then(Value::as_str).unwrap_or("?");
    let traceback = message.pointer("/options/traceback").and_then(Value::as_str);
    let last_line = traceback.and_then(|text| text.lines().rev().find(|line| !line.trim().is_empty()));
    let error = match (last_line, reason) {
        (Some(line), _) => line.trim().to_owned(),
        (None, Some("expired")) => "its message was in the queue for too long".to_owned(),
        (None, Some("maxlen")) => "its queue was full".to_owned(),
        (None, _) => format!("a worker refused the message: perhaps it has no actor {actor}"),
    };
    Some(DeadLetter { message_id, error: error.chars().take(ERROR_MAX).collect() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{DeliveryId, DocumentPath, TaskId, parse_timestamp};

    fn document(path: &[u8]) -> DueDocument {
        DueDocument {
            delivery: DeliveryId(1),
            task: TaskId(7),
            message_id: "0a".to_owned(),
            topic: "invoices.pdf".to_owned(),
            target: None,
            path: DocumentPath::of_bytes(path),
            sha3: Some("ab".to_owned()),
            app_group: "banks".to_owned(),
            created: parse_timestamp("2026-11-23T12:00:00Z").unwrap(),
            tries: 1,
        }
    }

    fn text(path: &[u8]) -> String {
        let target = Target { queue: "documents".to_owned(), actor: "extract".to_owned() };
        let now = parse_timestamp("2026-11-23T12:00:00.123Z").unwrap();
        String::from_utf8(body(&document(path), &target, now)).unwrap()
    }

    #[test]
    fn the_message_has_the_keys_of_dramatiq_and_no_others() {
        let message: Value = serde_json::from_str(&text(b"/in/a \"1\".pdf")).unwrap();
        assert_eq!(
            message,
            json!({
                "queue_name": "documents", "actor_name": "extract", "kwargs": {}, "options": {}, "message_id": "0a",
                "message_timestamp": 1_795_435_200_123_i64,
                "args": [{"task": 7, "path": "/in/a \"1\".pdf", "topic": "invoices.pdf", "sha3": "ab", "group": "banks"}],
            })
        );
    }

    #[test]
    fn bytes_that_are_no_text_are_surrogates_as_python_has_them() {
        assert!(text(b"/in/\xc4\x8d\xff\xc4.pdf").contains(r#""path":"/in/č\udcff\udcc4.pdf""#));
    }

    #[test]
    fn dead_letters_say_why() {
        let told = |options: Value, reason: Option<&str>| {
            let body = json!({"message_id": "0a", "actor_name": "extract", "options": options}).to_string();
            dead_letter(body.as_bytes(), reason).unwrap().error
        };
        let traceback = "Traceback (most recent call last):\n  File \"w.py\"\nValueError: no text\n";
        assert_eq!(
            told(json!({"traceback": traceback, "retries": 3}), Some("rejected")),
            "ValueError: no text"
        );
        assert!(told(json!({}), Some("rejected")).contains("no actor extract"));
        assert!(told(json!({}), Some("expired")).contains("too long"));
        assert_eq!(told(json!({"traceback": "x".repeat(9000)}), None).len(), ERROR_MAX);
        for foreign in ["", "[]", "{}", "\u{0}", r#"{"message_id": 3}"#, r#"{"id": "0a"}"#] {
            assert_eq!(dead_letter(foreign.as_bytes(), None), None, "{foreign}");
        }
    }
}
