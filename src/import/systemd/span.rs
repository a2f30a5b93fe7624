//! Spans of time as systemd writes them: `1h 30min`, `90`, `2 weeks`, `infinity`.

use std::time::Duration;

/// Units with their seconds. Names in full stand before their beginnings.
const UNITS: [(&str, f64); 29] = [
    ("seconds", 1.0),
    ("second", 1.0),
    ("sec", 1.0),
    ("s", 1.0),
    ("minutes", 60.0),
    ("minute", 60.0),
    ("min", 60.0),
    ("months", 2_629_800.0),
    ("month", 2_629_800.0),
    ("msec", 0.001),
    ("ms", 0.001),
    ("m", 60.0),
    ("M", 2_629_800.0),
    ("hours", 3600.0),
    ("hour", 3600.0),
    ("hr", 3600.0),
    ("h", 3600.0),
    ("days", 86_400.0),
    ("day", 86_400.0),
    ("d", 86_400.0),
    ("weeks", 604_800.0),
    ("week", 604_800.0),
    ("w", 604_800.0),
    ("years", 31_557_600.0),
    ("year", 31_557_600.0),
    ("y", 31_557_600.0),
    ("usec", 0.000_001),
    ("us", 0.000_001),
    ("µs", 0.000_001),
];

/// The text is no span of time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("systemd does not understand {0:?} as a span of time")]
pub(super) struct SpanError(String);

/// Reads a span; a number without a unit counts seconds. `None` stands for `infinity`.
///
/// # Errors
/// When systemd would not take it.
pub(super) fn read(text: &str) -> Result<Option<Duration>, SpanError> {
    let wrong = || SpanError(text.to_owned());
    if text.trim() == "infinity" {
        return Ok(None);
    }
    let (mut total, mut rest) = (0.0, text.trim());
    if rest.is_empty() {
        return Err(wrong());
    }
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let number: f64 = rest[..end].parse().map_err(|_| wrong())?;
        rest = rest[end..].trim_start();
        let end = rest.find(|c: char| c.is_ascii_digit() || c.is_whitespace()).unwrap_or(rest.len());
        let (unit, after) = rest.split_at(end);
        let seconds = match UNITS.iter().find(|(name, _)| *name == unit) {
            Some((_, seconds)) => *seconds,
            None if unit.is_empty() => 1.0,
            None => return Err(wrong()),
        };
        total += number * seconds;
        rest = after.trim_start();
    }
    Duration::try_from_secs_f64(total).map(Some).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_those_of_systemd() {
        for (text, seconds) in [
            ("90", 90.0),
            ("1h 30min", 5400.0),
            ("1h30min", 5400.0),
            ("2 weeks", 1_209_600.0),
            ("1.5min", 90.0),
            ("500ms", 0.5),
            ("5 M", 13_149_000.0),
            ("1d 1s", 86_401.0),
            ("0", 0.0),
        ] {
            assert_eq!(read(text).unwrap().unwrap(), Duration::from_secs_f64(seconds), "{text}");
        }
        assert_eq!(read("infinity"), Ok(None));
        for text in ["", "x", "5 parsecs", "-1", "1..5", "min"] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
