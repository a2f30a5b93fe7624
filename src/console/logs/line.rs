//! One line of a log, taken apart once: when, how bad, from where, and what it says.

use serde_json::{Map, Value};

use crate::model::Timestamp;
use crate::process::{LogRecord, Stream};

/// The longest line that is kept, in bytes. What is cut off is counted.
pub(in crate::console) const LINE_MAX: usize = 16 * 1024;

/// How bad a line says that it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::console) enum Level {
    Debug,
    Info,
    Warn,
    Error,
}

impl Level {
    pub(in crate::console) const fn letter(self) -> char {
        match self {
            Self::Debug => 'D',
            Self::Info => 'I',
            Self::Warn => 'W',
            Self::Error => 'E',
        }
    }

    /// The words of Python's logging, structlog, tracing, log4j and most others.
    fn named(word: &str) -> Option<Self> {
        let known = [
            ("debug", Self::Debug),
            ("trace", Self::Debug),
            ("info", Self::Info),
            ("notice", Self::Info),
            ("warning", Self::Warn),
            ("warn", Self::Warn),
            ("error", Self::Error),
            ("err", Self::Error),
            ("critical", Self::Error),
            ("fatal", Self::Error),
            ("exception", Self::Error),
        ];
        known.into_iter().find(|(name, _)| word.eq_ignore_ascii_case(name)).map(|(_, level)| level)
    }
}

/// Where a line comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::console) enum Source {
    Out,
    Err,
    /// A remark of dcm.
    Dcm,
    /// Something is missing here.
    Gap,
    /// Another run begins here.
    Run,
}

/// A line as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::console) struct LogLine {
    pub(in crate::console) time: Option<Timestamp>,
    pub(in crate::console) level: Option<Level>,
    pub(in crate::console) source: Source,
    /// Which of the apps of a merged log.
    pub(in crate::console) origin: u16,
    /// Bytes that were cut off at its end.
    pub(in crate::console) cut: usize,
    pub(in crate::console) text: Box<str>,
}

impl LogLine {
    /// Takes a record apart.
    pub(in crate::console) fn parse(record: &LogRecord, origin: u16) -> Self {
        let visible = record.visible();
        let end = visible.len().min(LINE_MAX);
        let whole = String::from_utf8_lossy(&visible[..end]);
        let source = match record.stream {
            Stream::Out => Source::Out,
            Stream::Err => Source::Err,
            Stream::Dcm if whole.contains("missing here") => Source::Gap,
            Stream::Dcm => Source::Dcm,
        };
        let (level, text) = match source {
            Source::Out | Source::Err => read(&whole, record.time),
            Source::Dcm | Source::Gap | Source::Run => (None, whole.into_owned()),
        };
        let cut = visible.len() - end;
        Self { time: record.time, level, source, origin, cut, text: text.into() }
    }

    /// A remark of the console itself.
    pub(in crate::console) fn remark(
        source: Source,
        time: Option<Timestamp>,
        origin: u16,
        text: &str,
    ) -> Self {
        Self { time, level: None, source, origin, cut: 0, text: text.into() }
    }

    /// For the choice of levels: what says nothing of itself is a warning on standard error.
    pub(in crate::console) fn weight(&self) -> Level {
        self.level.unwrap_or(match self.source {
            Source::Out => Level::Info,
            Source::Err => Level::Warn,
            Source::Dcm | Source::Gap | Source::Run => Level::Error,
        })
    }

    /// Whether it stands below another line, as the frames of a traceback do.
    pub(in crate::console) fn is_indented(&self) -> bool {
        self.text.starts_with([' ', '\t'])
    }
}

/// The level and the text of a line of an app.
fn read(line: &str, arrived: Option<Timestamp>) -> (Option<Level>, String) {
    let line = without_colours(line);
    let line = line.as_str();
    if line.starts_with('{')
        && line.ends_with('}')
        && let Ok(fields) = serde_json::from_str::<Map<String, Value>>(line)
        && let Some(read) = read_json(&fields)
    {
        return read;
    }
    let rest = without_time(line, arrived);
    match leading_level(rest) {
        Some((level, rest)) => (Some(level), rest.to_owned()),
        None => (level_inside(rest), rest.to_owned()),
    }
}

/// Colours say nothing that the level does not; other escapes stay, and are shown harmlessly.
fn without_colours(line: &str) -> String {
    let mut text = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(at) = rest.find("\x1b[") {
        text.push_str(&rest[..at]);
        let tail = &rest[at + 2..];
        let length = tail.bytes().take_while(|byte| byte.is_ascii_digit() || *byte == b';').count();
        if tail.as_bytes().get(length) == Some(&b'm') {
            rest = &tail[length + 1..];
        } else {
            text.push_str("\x1b[");
            rest = tail;
        }
    }
    text.push_str(rest);
    text
}

/// A line of structlog, python-json-logger, pino, zap and the like: the message first, then the rest
/// as `name=value`.
fn read_json(fields: &Map<String, Value>) -> Option<(Option<Level>, String)> {
    const LEVELS: [&str; 4] = ["level", "levelname", "severity", "lvl"];
    const MESSAGES: [&str; 4] = ["event", "message", "msg", "text"];
    const TIMES: [&str; 6] = ["timestamp", "time", "ts", "asctime", "@timestamp", "created"];
    let find = |names: &[&'static str]| names.iter().find_map(|name| Some((*name, fields.get(*name)?)));
    let (message_name, message) = find(&MESSAGES)?;
    let level = find(&LEVELS);
    let mut text = plain(message);
    for (name, value) in fields {
        let is_told = name == message_name
            || level.is_some_and(|(level, _)| level == name)
            || TIMES.contains(&name.as_str());
        if !is_told && !value.is_null() {
            text.push_str("  ");
            text.push_str(name);
            text.push('=');
            text.push_str(&plain(value));
        }
    }
    let level = level.and_then(|(_, value)| match value {
        // pino: 10 trace to 60 fatal.
        Value::Number(number) => Some(match number.as_i64()? {
            ..=20 => Level::Debug,
            21..=30 => Level::Info,
            31..=40 => Level::Warn,
            41.. => Level::Error,
        }),
        Value::Null | Value::Bool(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => {
            Level::named(value.as_str()?)
        }
    });
    Some((level, text))
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Without the time at the beginning, if it says the same as the time of arrival, in whatever zone.
fn without_time(line: &str, arrived: Option<Timestamp>) -> &str {
    const CLOCK_APART_MAX: i64 = 5;
    let Some(arrived) = arrived else { return line };
    let body = line.strip_prefix('[').unwrap_or(line);
    let form = body.as_bytes();
    let is_date = form.len() >= 19
        && form[..19].iter().enumerate().all(|(at, byte)| match at {
            4 | 7 => matches!(byte, b'-' | b'/'),
            10 => matches!(byte, b'T' | b' '),
            13 | 16 => *byte == b':',
            _ => byte.is_ascii_digit(),
        });
    if !is_date {
        return line;
    }
    // The hour depends on the zone of whoever wrote it.
    let part = |at: usize| i64::from(form[at] - b'0') * 10 + i64::from(form[at + 1] - b'0');
    let apart = (arrived.timestamp() - part(14) * 60 - part(17)).rem_euclid(1800);
    if apart.min(1800 - apart) > CLOCK_APART_MAX {
        return line;
    }
    // The parts of a second, and the zone.
    let rest = body[19..].trim_start_matches(|c: char| c.is_ascii_digit() || matches!(c, '.' | ','));
    let rest = rest.strip_prefix('Z').unwrap_or(rest);
    let rest = match rest.strip_prefix(['+', '-']) {
        Some(zone) if zone.starts_with(|c: char| c.is_ascii_digit()) => {
            zone.trim_start_matches(|c: char| c.is_ascii_digit() || c == ':')
        }
        Some(_) | None => rest,
    };
    rest.strip_prefix(']').unwrap_or(rest).trim_start_matches([' ', '-', '|'])
}

/// `INFO page 1`, `[info     ] page 1`, `INFO: page 1`, `level=info page 1`.
fn leading_level(line: &str) -> Option<(Level, &str)> {
    let body = line.trim_start();
    let body = body.strip_prefix("level=").unwrap_or(body);
    let body = body.strip_prefix(['[', '(']).unwrap_or(body);
    let length = body.bytes().take_while(u8::is_ascii_alphabetic).count();
    let (word, rest) = body.split_at(length);
    let level = Level::named(word)?;
    // `error` may begin a sentence; `ERROR` and `[error]` do not.
    let is_set_off = body.len() < line.trim_start().len()
        || word.bytes().all(|byte| byte.is_ascii_uppercase())
        || rest.starts_with(':');
    is_set_off.then(|| (level, rest.trim_start_matches([' ', ']', ')', ':', '-', '|'])))
}

/// A level in capitals near the beginning, as in `root - ERROR - page 1`.
fn level_inside(line: &str) -> Option<Level> {
    const NEAR: usize = 80;
    let near = line.char_indices().nth(NEAR).map_or(line, |(end, _)| &line[..end]);
    near.split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| word.len() >= 3 && word.bytes().all(|byte| byte.is_ascii_uppercase()))
        .find_map(Level::named)
}

/// A time, for tests.
#[cfg(test)]
pub(super) fn at(text: &str) -> Timestamp {
    crate::model::parse_timestamp(text).unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &[u8], stream: Stream) -> LogLine {
        let time = Some(at("2026-11-23T14:02:11.123Z"));
        LogLine::parse(&LogRecord { time, stream, is_complete: true, text: text.to_vec() }, 0)
    }

    #[test]
    fn lines_say_how_bad_they_are() {
        use Level::{Debug, Error, Info, Warn};
        for (line, level, text) in [
            ("page 1 ok", None, "page 1 ok"),
            ("INFO page 1", Some(Info), "page 1"),
            ("[warning  ] slow proxy", Some(Warn), "slow proxy"),
            ("ERROR:root:no such page", Some(Error), "root:no such page"),
            ("2026-11-23 14:02:11,120 INFO page 1", Some(Info), "page 1"),
            ("2026-11-23 15:02:11,120 - fina - ERROR - page 1", Some(Error), "fina - ERROR - page 1"),
            ("2026-11-23T14:02:11.120Z  WARN slow", Some(Warn), "slow"),
            (
                "2026-11-23 14:02:11 [info     ] page done                      page=871",
                Some(Info),
                "page done                      page=871",
            ),
            (
                "2020-01-01 00:00:00 INFO of another day",
                Some(Info),
                "2020-01-01 00:00:00 INFO of another day",
            ),
            ("error in the data is no level", None, "error in the data is no level"),
            ("level=debug tick", Some(Debug), "tick"),
            ("12 INFORMAL words", None, "12 INFORMAL words"),
            (
                r#"{"event": "page", "level": "info", "timestamp": "x", "page": 871}"#,
                Some(Info),
                "page  page=871",
            ),
            (r#"{"levelname": "ERROR", "message": "no"}"#, Some(Error), "no"),
            (r#"{"level": 40, "msg": "pino"}"#, Some(Warn), "pino"),
            (r#"{"a": 1}"#, None, r#"{"a": 1}"#),
            ("{not json}", None, "{not json}"),
            ("\x1b[2m2026-11-23 14:02:11\x1b[0m [\x1b[32minfo\x1b[0m] page", Some(Info), "page"),
            ("10%\r20%\r30%", None, "30%"),
            ("\x1b]0;title\x07", None, "\x1b]0;title\x07"),
        ] {
            let line = parsed(line.as_bytes(), Stream::Out);
            assert_eq!((line.level, &*line.text), (level, text));
        }
    }

    #[test]
    fn lines_are_cut_and_gaps_are_seen() {
        let long = parsed(&vec![b'x'; LINE_MAX + 7], Stream::Err);
        assert_eq!((long.text.len(), long.cut, long.weight()), (LINE_MAX, 7, Level::Warn));
        let gap = parsed(b"120 bytes in 4 lines are missing here: log_limit was reached", Stream::Dcm);
        assert_eq!(gap.source, Source::Gap);
        assert_eq!(parsed(&[0xff, 0xfe], Stream::Out).text.chars().count(), 2);
    }
}
