//! Values of the command line.

/// Why a value is not accepted.
#[derive(Debug, thiserror::Error)]
pub(super) enum InvalidValue {
    #[error("a note has at most {NOTE_MAX} characters")]
    Note,
    #[error("expected a-z, 0-9 and _, at most 63 of them")]
    Schema,
    #[error("expected 0 to 86400 seconds")]
    Seconds,
    #[error("expected 0.2 to 3600 seconds")]
    Pause,
    #[error("expected a glob of names of files: 1 to 255 bytes without / and \\")]
    FilePattern,
    #[error("expected pending, sent, running, done, failed or dead")]
    Status,
    #[error("expected NAME=VALUE")]
    Variable,
    #[error("expected the name of a variable")]
    Name,
    #[error("not valid JSON: {0}")]
    Json(serde_json::Error),
}

/// A note is a sentence, not a document.
const NOTE_MAX: usize = 1000;

pub(super) fn parse_note(text: &str) -> Result<String, InvalidValue> {
    if text.chars().count() > NOTE_MAX {
        return Err(InvalidValue::Note);
    }
    Ok(text.to_owned())
}

/// A name that needs no quotes anywhere.
pub(super) fn parse_schema(text: &str) -> Result<String, InvalidValue> {
    let is_plain = !text.is_empty()
        && text.len() <= 63
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    if is_plain { Ok(text.to_owned()) } else { Err(InvalidValue::Schema) }
}

pub(super) fn parse_seconds(text: &str) -> Result<std::time::Duration, InvalidValue> {
    match text.parse::<f64>() {
        Ok(seconds) if (0.0..=86_400.0).contains(&seconds) => Ok(std::time::Duration::from_secs_f64(seconds)),
        _ => Err(InvalidValue::Seconds),
    }
}

/// A pause between two looks at a database.
pub(super) fn parse_pause(text: &str) -> Result<std::time::Duration, InvalidValue> {
    match text.parse::<f64>() {
        Ok(seconds) if (0.2..=3600.0).contains(&seconds) => Ok(std::time::Duration::from_secs_f64(seconds)),
        _ => Err(InvalidValue::Pause),
    }
}

pub(super) fn parse_variable(text: &str) -> Result<(String, String), InvalidValue> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err(InvalidValue::Variable),
    }
}

pub(super) fn parse_name(text: &str) -> Result<String, InvalidValue> {
    let is_name = !text.is_empty() && !text.contains('=');
    if is_name { Ok(text.to_owned()) } else { Err(InvalidValue::Name) }
}

pub(super) fn parse_json(text: &str) -> Result<String, InvalidValue> {
    serde_json::from_str::<serde::de::IgnoredAny>(text).map_err(InvalidValue::Json)?;
    Ok(text.to_owned())
}
