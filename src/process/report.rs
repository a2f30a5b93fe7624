//! Reports of apps: the JSON of a `::dcm` line and of `dcm report`.

use serde_json::{Map, Value};

use chrono_tz::Tz;

use crate::model::{Report, ReportError, Timestamp, parse_timestamp_in};

/// What a line of output begins with that is a report and not output.
pub(super) const PREFIX: &[u8] = b"::dcm ";

/// The longest report, in bytes.
pub(super) const LENGTH_MAX: usize = 4000;

/// What a line begins with that was meant as a report.
pub(super) const ALMOST_PREFIX: &[u8] = b"::dcm{";

/// The keys of a report, for messages.
pub(super) const KEYS: &str = "task_size, progress, solved, failed, eta, next_run, except_cnt, message";

/// A report that was read.
#[derive(Debug, PartialEq)]
pub(super) struct Read {
    pub(super) report: Report,
    /// Keys that mean nothing to dcm: for other readers, for a newer version, or mistyped.
    pub(super) unknown: Vec<String>,
}

/// Reads the JSON object of a report. Unknown keys do not spoil it; a time without an offset is one of `zone`.
///
/// # Errors
/// [`ReportError`]; nothing of the report is used then.
pub(super) fn parse(text: &[u8], zone: Tz) -> Result<Read, ReportError> {
    if text.len() > LENGTH_MAX {
        return Err(ReportError::TooLong(LENGTH_MAX));
    }
    match serde_json::from_slice(text) {
        Ok(Value::Object(fields)) => {
            let is_known = |key: &String| KEYS.split(", ").any(|known| known == key);
            let unknown = fields.keys().filter(|key| !is_known(key)).cloned().collect();
            Ok(Read { report: from_fields(&fields, zone)?, unknown })
        }
        Ok(_) => Err(ReportError::Syntax("expected {\"solved\": 1, ...}".to_owned())),
        Err(error) => Err(ReportError::Syntax(error.to_string())),
    }
}

/// Reads a report from its fields.
pub(super) fn from_value(value: &Value, zone: Tz) -> Result<Report, ReportError> {
    match value {
        Value::Object(fields) => from_fields(fields, zone),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            Err(ReportError::Syntax("expected {\"solved\": 1, ...}".to_owned()))
        }
    }
}

fn from_fields(fields: &Map<String, Value>, zone: Tz) -> Result<Report, ReportError> {
    let percent = number(fields, "progress", "a number from 0 to 100")?;
    Ok(Report {
        task_size: count(fields, "task_size")?,
        percent: percent
            .map(|percent| if (0.0..=100.0).contains(&percent) { Ok(to_percent(percent)) } else { Err(()) })
            .transpose()
            .map_err(|()| ReportError::Field { field: "progress", expected: "a number from 0 to 100" })?,
        solved: count(fields, "solved")?,
        failed: count(fields, "failed")?,
        eta: time(fields, "eta", zone)?,
        next_run: time(fields, "next_run", zone)?,
        except_cnt: count(fields, "except_cnt")?,
        message: message(fields)?,
    })
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to be within 0..=100")]
fn to_percent(percent: f64) -> u8 {
    percent as u8
}

fn present<'a>(fields: &'a Map<String, Value>, field: &str) -> Option<&'a Value> {
    fields.get(field).filter(|value| !value.is_null())
}

fn number(
    fields: &Map<String, Value>,
    field: &'static str,
    expected: &'static str,
) -> Result<Option<f64>, ReportError> {
    present(fields, field)
        .map(|value| value.as_f64().ok_or(ReportError::Field { field, expected }))
        .transpose()
}

/// A whole number, also as `12.0`, which some languages write.
fn count(fields: &Map<String, Value>, field: &'static str) -> Result<Option<u64>, ReportError> {
    const EXPECTED: &str = "a whole number of 0 or more";
    let wrong = ReportError::Field { field, expected: EXPECTED };
    let Some(value) = present(fields, field) else { return Ok(None) };
    if let Some(count) = value.as_u64() {
        return Ok(Some(count.min(i64::MAX.unsigned_abs())));
    }
    match value.as_f64() {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole and not negative")]
        Some(count) if count >= 0.0 && count.fract() == 0.0 => {
            Ok(Some((count as u64).min(i64::MAX.unsigned_abs())))
        }
        _ => Err(wrong),
    }
}

fn time(
    fields: &Map<String, Value>,
    field: &'static str,
    zone: Tz,
) -> Result<Option<Timestamp>, ReportError> {
    let wrong = || ReportError::Field { field, expected: "a time such as 2026-11-23T14:02:11Z" };
    let Some(value) = present(fields, field) else { return Ok(None) };
    let text = value.as_str().ok_or_else(wrong)?;
    parse_timestamp_in(text, &zone).map(Some).map_err(|_| wrong())
}

fn message(fields: &Map<String, Value>) -> Result<Option<String>, ReportError> {
    let Some(value) = present(fields, "message") else { return Ok(None) };
    let text = value.as_str().ok_or(ReportError::Field { field: "message", expected: "a text" })?;
    Ok(Some(shorten(text)))
}

/// The beginning of a text, cut where a character ends.
fn shorten(text: &str) -> String {
    let mut end = text.len().min(Report::MESSAGE_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::parse_timestamp;

    #[test]
    fn good_reports() {
        let parse = |text: &[u8]| super::parse(text, Tz::Europe__Zagreb).map(|read| read.report);
        let text =
            br#"{"task_size": 10, "solved": 3.0, "failed": 1, "progress": 40.7, "message": "x", "mine": []}"#;
        assert_eq!(super::parse(text, Tz::Europe__Zagreb).unwrap().unknown, ["mine"]);
        let report = parse(text).unwrap();
        assert_eq!(report.task_size, Some(10));
        assert_eq!(report.solved, Some(3));
        assert_eq!(report.percent, Some(40));
        let report = parse(br#"{"next_run": "2026-11-23 14:02:11", "eta": null}"#).unwrap();
        assert_eq!(report.next_run, parse_timestamp("2026-11-23T13:02:11Z").ok());
        assert_eq!(report.eta, None);
        assert_eq!(parse(b"{}").unwrap(), Report::default());
        let long = format!("{{\"message\": \"{}\"}}", "č".repeat(400));
        assert_eq!(parse(long.as_bytes()).unwrap().message.unwrap().len(), Report::MESSAGE_MAX);
    }

    #[test]
    fn bad_reports_say_which_field() {
        let parse = |text: &[u8]| super::parse(text, Tz::UTC);
        for (text, why) in [
            ("", "JSON"),
            ("[1]", "JSON"),
            ("{\"solved\": 1", "JSON"),
            ("{\"solved\": -1}", "solved"),
            ("{\"solved\": \"1\"}", "solved"),
            ("{\"failed\": 1.5}", "failed"),
            ("{\"progress\": 101}", "progress"),
            ("{\"eta\": 5}", "eta"),
            ("{\"next_run\": \"soon\"}", "next_run"),
            ("{\"message\": 5}", "message"),
        ] {
            let message = parse(text.as_bytes()).unwrap_err().to_string();
            assert!(message.contains(why), "{text}: {message}");
        }
        let deep = format!("{{\"x\": {}1{}}}", "[".repeat(1000), "]".repeat(1000));
        assert!(parse(deep.as_bytes()).is_err());
        assert!(parse(&vec![b' '; LENGTH_MAX + 1]).is_err());
    }
}
