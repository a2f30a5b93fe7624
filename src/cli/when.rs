//! Times on the command line: of the terminal's zone where they say no other, `now`, `+10m` and `none`.

use std::str::FromStr;

use chrono::{Local, TimeDelta, TimeZone};

use crate::model::{Timestamp, TimestampError, parse_timestamp_in};
use crate::process::clock;
use crate::store::NextRun;

/// A moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct When(pub(super) Timestamp);

/// A moment that has passed: a duration is so long ago.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Past(pub(super) Timestamp);

/// A moment, or `none`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NextRunArgument(pub(super) NextRun);

/// Why a text is no moment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum InvalidWhen {
    #[error("invalid duration {0:?}: expected for example +10m, +1h30m, +2d")]
    Duration(String),
    #[error("{0}, or now, +10m; without an offset it is local time")]
    Time(TimestampError),
}

/// Why a text is no moment, where there may be none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}; none: by its schedule")]
pub(super) struct InvalidNextRun(InvalidWhen);

impl FromStr for When {
    type Err = InvalidWhen;

    fn from_str(text: &str) -> Result<Self, InvalidWhen> {
        read(text, clock::now().wall, &Local).map(Self)
    }
}

impl FromStr for Past {
    type Err = InvalidPast;

    fn from_str(text: &str) -> Result<Self, InvalidPast> {
        read_past(text, clock::now().wall, &Local).map(Self)
    }
}

/// Why a text is no moment that has passed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}, or 10m, 2h: so long ago; without an offset it is local time")]
pub(super) struct InvalidPast(TimestampError);

fn read_past<Z: TimeZone>(text: &str, now: Timestamp, zone: &Z) -> Result<Timestamp, InvalidPast> {
    let trimmed = text.trim();
    if trimmed == "now" {
        return Ok(now);
    }
    let ago = trimmed.strip_suffix("ago").map_or(trimmed, str::trim);
    let ago = duration(ago.strip_prefix('-').unwrap_or(ago)).and_then(|ago| now.checked_sub_signed(ago));
    ago.map_or_else(|| parse_timestamp_in(trimmed, zone).map_err(InvalidPast), Ok)
}

impl FromStr for NextRunArgument {
    type Err = InvalidNextRun;

    fn from_str(text: &str) -> Result<Self, InvalidNextRun> {
        if text.trim() == "none" {
            return Ok(Self(NextRun::BySchedule));
        }
        let When(time) = text.parse().map_err(InvalidNextRun)?;
        Ok(Self(NextRun::At(time)))
    }
}

fn read<Z: TimeZone>(text: &str, now: Timestamp, zone: &Z) -> Result<Timestamp, InvalidWhen> {
    let trimmed = text.trim();
    if trimmed == "now" {
        return Ok(now);
    }
    if let Some(later) = trimmed.strip_prefix('+') {
        let later = duration(later).and_then(|later| now.checked_add_signed(later));
        return later.ok_or_else(|| InvalidWhen::Duration(trimmed.to_owned()));
    }
    parse_timestamp_in(trimmed, zone).map_err(InvalidWhen::Time)
}

/// Numbers with units: `90s`, `10m`, `1h30m`, `2d`, `1w`.
fn duration(text: &str) -> Option<TimeDelta> {
    let mut rest = text;
    let mut sum = TimeDelta::zero();
    while !rest.is_empty() {
        let digits = rest.find(|letter: char| !letter.is_ascii_digit())?;
        let count: i64 = rest[..digits].parse().ok()?;
        let unit = rest[digits..].chars().next()?;
        let seconds = match unit {
            's' => 1,
            'm' => 60,
            'h' => 3600,
            'd' => 86_400,
            'w' => 604_800,
            _ => return None,
        };
        sum = sum.checked_add(&TimeDelta::try_seconds(count.checked_mul(seconds)?)?)?;
        rest = &rest[digits + unit.len_utf8()..];
    }
    (!text.is_empty()).then_some(sum)
}

/// A length of time: `90s`, `2h`, `1d12h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span(pub(super) TimeDelta);

/// Why a text is no length of time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected for example 30m, 2h, 1d12h")]
pub(super) struct InvalidSpan;

impl FromStr for Span {
    type Err = InvalidSpan;

    fn from_str(text: &str) -> Result<Self, InvalidSpan> {
        duration(text.trim()).filter(|span| *span > TimeDelta::zero()).map(Self).ok_or(InvalidSpan)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{format_timestamp, parse_timestamp};

    #[test]
    fn times_of_the_terminal() {
        let now = parse_timestamp("2026-11-27T04:40:00Z").unwrap();
        for (text, expected) in [
            ("now", "2026-11-27T04:40:00.000Z"),
            ("+10m", "2026-11-27T04:50:00.000Z"),
            ("+1h30m", "2026-11-27T06:10:00.000Z"),
            ("+2d", "2026-11-29T04:40:00.000Z"),
            ("2026-11-27 05:47:03", "2026-11-27T04:47:03.000Z"),
            ("2026-11-27T05:47:03Z", "2026-11-27T05:47:03.000Z"),
        ] {
            let read = read(text, now, &chrono_tz::Tz::Europe__Zagreb);
            assert_eq!(read.map(format_timestamp).as_deref(), Ok(expected), "{text}");
        }
        for (text, expected) in [
            ("10m", "2026-11-27T04:30:00.000Z"),
            ("-1h30m", "2026-11-27T03:10:00.000Z"),
            ("2d ago", "2026-11-25T04:40:00.000Z"),
            ("now", "2026-11-27T04:40:00.000Z"),
            ("2026-11-27 05:47:03", "2026-11-27T04:47:03.000Z"),
        ] {
            let read = read_past(text, now, &chrono_tz::Tz::Europe__Zagreb);
            assert_eq!(read.map(format_timestamp).as_deref(), Ok(expected), "{text}");
        }
        for wrong in ["", "yesterday", "10", "-", "ago", "99999999999999d"] {
            assert!(read_past(wrong, now, &chrono_tz::Tz::UTC).is_err(), "{wrong}");
        }
        for wrong in ["", "soon", "+", "+10", "+m", "+10y", "+99999999999999d", "none"] {
            assert!(read(wrong, now, &chrono_tz::Tz::UTC).is_err(), "{wrong}");
        }
        assert_eq!("none".parse(), Ok(NextRunArgument(NextRun::BySchedule)));
    }
}
