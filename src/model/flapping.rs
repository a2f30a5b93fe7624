//! When an app flaps: its runs end badly again and again in a short time.

use chrono::TimeDelta;

use super::Timestamp;

/// Bad ends that make an app flap.
pub const FLAPPING_ENDS: usize = 3;

/// The time within which they lie.
pub const FLAPPING_WITHIN: TimeDelta = TimeDelta::minutes(10);

/// The most bad ends that lie within [`FLAPPING_WITHIN`] of each other, where they are at least [`FLAPPING_ENDS`].
/// The times may be in any order.
#[must_use]
pub fn flaps(ends: impl IntoIterator<Item = Timestamp>) -> Option<usize> {
    let mut ends: Vec<_> = ends.into_iter().collect();
    ends.sort_unstable();
    let mut first = 0;
    let mut most = 0;
    for (last, end) in ends.iter().enumerate() {
        while *end - ends[first] > FLAPPING_WITHIN {
            first += 1;
        }
        most = most.max(last + 1 - first);
    }
    (most >= FLAPPING_ENDS).then_some(most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_bad_ends_within_ten_minutes_are_flapping() {
        let at = |seconds: &[i64]| -> Vec<Timestamp> {
            seconds.iter().map(|second| Timestamp::UNIX_EPOCH + TimeDelta::seconds(*second)).collect()
        };
        for (seconds, expected) in [
            (&[][..], None),
            (&[0, 1], None),
            (&[0, 300, 600], Some(3)),
            (&[600, 0, 300], Some(3)),
            (&[0, 300, 601], None),
            (&[0, 400, 800, 900, 1000, 2000], Some(4)),
        ] {
            assert_eq!(flaps(at(seconds)), expected, "{seconds:?}");
        }
    }
}
