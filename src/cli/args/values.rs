//! Values of the command line.

/// A value, or the word `none`, which takes it away.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::cli) enum Setting<T> {
    Value(T),
    None,
}

impl<T: std::str::FromStr> Setting<T>
where
    T::Err: std::fmt::Display,
{
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        match text {
            "none" | "" => Ok(Self::None),
            text => text.parse().map(Self::Value).map_err(|error: T::Err| error.to_string()),
        }
    }
}

impl<T> Setting<T> {
    pub(in crate::cli) fn into_option(self) -> Option<T> {
        match self {
            Self::Value(value) => Some(value),
            Self::None => None,
        }
    }
}

/// A note is a sentence, not a document.
const NOTE_MAX: usize = 1000;

pub(super) fn parse_note(text: &str) -> Result<String, String> {
    if text.chars().count() > NOTE_MAX {
        return Err(format!("a note has at most {NOTE_MAX} characters"));
    }
    Ok(text.to_owned())
}

/// A name that needs no quotes anywhere.
pub(super) fn parse_schema(text: &str) -> Result<String, String> {
    let is_plain = !text.is_empty()
        && text.len() <= 63
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    if is_plain { Ok(text.to_owned()) } else { Err("expected a-z, 0-9 and _, at most 63 of them".to_owned()) }
}

pub(super) fn parse_zone(text: &str) -> Result<chrono_tz::Tz, String> {
    text.parse().map_err(|_| format!("unknown time zone {text:?}; expected for example Europe/Zagreb"))
}

pub(super) fn parse_seconds(text: &str) -> Result<std::time::Duration, String> {
    match text.parse::<f64>() {
        Ok(seconds) if (0.0..=86_400.0).contains(&seconds) => Ok(std::time::Duration::from_secs_f64(seconds)),
        _ => Err("expected 0 to 86400 seconds".to_owned()),
    }
}

pub(super) fn parse_variable(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("expected NAME=VALUE".to_owned()),
    }
}

pub(super) fn parse_name(text: &str) -> Result<String, String> {
    let is_name = !text.is_empty() && !text.contains('=');
    if is_name { Ok(text.to_owned()) } else { Err("expected the name of a variable".to_owned()) }
}

pub(super) fn parse_json(text: &str) -> Result<String, String> {
    serde_json::from_str::<serde::de::IgnoredAny>(text)
        .map_err(|error| format!("not valid JSON: {error}"))?;
    Ok(text.to_owned())
}
