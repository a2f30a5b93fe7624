//! Quiet hours in a time zone.

use chrono::{Local, NaiveTime, TimeDelta};
use chrono_tz::Tz;

use super::Quiet;
use crate::model::Timestamp;

/// Quiet hours, and the zone in which they are meant; without one, that of the host.
#[derive(Debug, Clone, Copy)]
pub(super) struct QuietHours {
    pub(super) quiet: Quiet,
    pub(super) zone: Option<Tz>,
}

impl QuietHours {
    fn time(&self, at: Timestamp) -> NaiveTime {
        match self.zone {
            Some(zone) => at.with_timezone(&zone).time(),
            None => at.with_timezone(&Local).time(),
        }
    }

    /// When the quiet hours end in which a moment lies; `None` when it lies in none.
    pub(super) fn end(&self, at: Timestamp) -> Option<Timestamp> {
        let day = TimeDelta::days(1);
        let now = self.time(at);
        if !self.quiet.contains(now) {
            return None;
        }
        let left = self.quiet.to - now;
        let end = at + if left <= TimeDelta::zero() { left + day } else { left };
        // Where the clock is set meanwhile the end is an hour earlier or later.
        let off = self.quiet.to - self.time(end);
        let off = if off > day / 2 {
            off - day
        } else if off < -day / 2 {
            off + day
        } else {
            off
        };
        Some((end + off).max(at + TimeDelta::seconds(1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::parse_timestamp;

    #[test]
    fn quiet_hours_end_by_the_clock_on_the_wall() {
        let hours =
            QuietHours { quiet: "22:00-06:00".parse().unwrap(), zone: Some(chrono_tz::Europe::Zagreb) };
        for (at, end) in [
            ("2026-11-23T21:30:00Z", Some("2026-11-24T05:00:00Z")),
            ("2026-11-24T04:59:59Z", Some("2026-11-24T05:00:00Z")),
            ("2026-11-24T05:00:00Z", None),
            ("2026-11-23T20:59:59Z", None),
            // The clock goes forward, and back.
            ("2026-03-28T23:00:00Z", Some("2026-03-29T04:00:00Z")),
            ("2026-10-24T22:00:00Z", Some("2026-10-25T05:00:00Z")),
        ] {
            let end = end.map(|end| parse_timestamp(end).unwrap());
            assert_eq!(hours.end(parse_timestamp(at).unwrap()), end, "{at}");
        }
    }
}
