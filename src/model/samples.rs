//! What an app did in the last minutes: the samples that its row keeps, from which every console works out the same rates.

use std::iter::zip;
use std::ops::RangeBounds;

use super::Timestamp;

/// The length of a slot in seconds. Slots are numbered from the epoch on.
const SLOT_SECONDS: i64 = 20;

/// Slots of a minute.
const MINUTE_SLOTS: i64 = 60 / SLOT_SECONDS;

/// The minutes that are kept.
const MINUTES: usize = 10;

/// The slots that are kept.
const SLOTS: usize = 30;

/// The distance from the newest slot to the oldest.
const OLDEST: i64 = 29;

/// The digits of each slot in the text of a ring.
const DIGITS: usize = 8;

/// The most that a slot can hold.
const COUNT_MAX: u32 = 99_999_999;

/// Items solved and failed in the last ten minutes, in slots of 20 seconds, by the clock of the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Samples {
    /// The number of the newest slot in which something was counted.
    newest: i64,
    /// The newest slot is last.
    solved: [u32; SLOTS],
    failed: [u32; SLOTS],
}

/// What was counted in a slot, or in several.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counted {
    /// Items solved.
    pub solved: u64,
    /// Items failed.
    pub failed: u64,
}

impl Counted {
    /// Both together.
    #[must_use]
    pub const fn done(self) -> u64 {
        self.solved.saturating_add(self.failed)
    }

    /// Both sums.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self {
            solved: self.solved.saturating_add(other.solved),
            failed: self.failed.saturating_add(other.failed),
        }
    }

    /// What is left without the other.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self {
            solved: self.solved.saturating_sub(other.solved),
            failed: self.failed.saturating_sub(other.failed),
        }
    }
}

/// The number of the slot of a moment.
#[must_use]
pub fn slot_of(time: Timestamp) -> i64 {
    time.timestamp().div_euclid(SLOT_SECONDS)
}

impl Samples {
    /// What the columns of a row say: the number of the newest slot, and a text of 30 numbers for each counter. A text
    /// that is none counts nothing: another program may have written it.
    #[must_use]
    pub fn read(newest: Option<i64>, solved: Option<&str>, failed: Option<&str>) -> Option<Self> {
        let newest = newest?;
        let counts = |text: Option<&str>| text.and_then(counts).unwrap_or_default();
        (solved.is_some() || failed.is_some()).then(|| Self {
            newest,
            solved: counts(solved),
            failed: counts(failed),
        })
    }

    /// Nothing counted yet, up to this moment.
    #[must_use]
    pub fn none(now: Timestamp) -> Self {
        Self { newest: slot_of(now), solved: [0; SLOTS], failed: [0; SLOTS] }
    }

    /// Adds what was counted, as the trigger of the database does. A clock that was set back begins a new ring.
    pub fn add(&mut self, counted: Counted, now: Timestamp) {
        let slot = slot_of(now);
        let passed = slot.checked_sub(self.newest).and_then(|passed| usize::try_from(passed).ok());
        for (ring, gained) in [(&mut self.solved, counted.solved), (&mut self.failed, counted.failed)] {
            match passed {
                Some(passed @ 0..SLOTS) => {
                    ring.rotate_left(passed);
                    ring[SLOTS - passed..].fill(0);
                }
                Some(_) | None => ring.fill(0),
            }
            let newest = &mut ring[SLOTS - 1];
            *newest = newest.saturating_add(u32::try_from(gained).unwrap_or(COUNT_MAX)).min(COUNT_MAX);
        }
        self.newest = slot;
    }

    /// The slots and what was counted in each, the newest last.
    pub fn slots(&self) -> impl Iterator<Item = (i64, Counted)> {
        let oldest = self.newest.saturating_sub(OLDEST);
        let counted = zip(self.solved, self.failed)
            .map(|(solved, failed)| Counted { solved: solved.into(), failed: failed.into() });
        zip(oldest.., counted)
    }

    /// What was counted from this slot on.
    #[must_use]
    pub fn since(&self, first: i64) -> Counted {
        self.within(first..)
    }

    /// What was counted in the last minute of whole slots: it ends up to 20 seconds before now, so that a rate changes when
    /// a slot ends and not with each look.
    #[must_use]
    pub fn last_minute(&self, now: Timestamp) -> Counted {
        let end = slot_of(now);
        self.within(end - MINUTE_SLOTS..end)
    }

    fn within(&self, slots: impl RangeBounds<i64>) -> Counted {
        let counted = self.slots().filter(|(slot, _)| slots.contains(slot)).map(|(_, counted)| counted);
        counted.fold(Counted::default(), Counted::and)
    }
}

/// Items of each of the last ten minutes, the newest, which is not over, last.
#[must_use]
pub fn minutes(slots: impl Iterator<Item = (i64, u64)>, now: Timestamp) -> [u64; MINUTES] {
    let mut minutes = [0_u64; MINUTES];
    let newest = slot_of(now).div_euclid(MINUTE_SLOTS);
    for (slot, count) in slots {
        let back = newest - slot.div_euclid(MINUTE_SLOTS);
        let place = usize::try_from(back).ok().and_then(|back| (minutes.len() - 1).checked_sub(back));
        if let Some(place) = place {
            minutes[place] = minutes[place].saturating_add(count);
        }
    }
    minutes
}

fn counts(text: &str) -> Option<[u32; SLOTS]> {
    let digits = text.as_bytes();
    if digits.len() != SLOTS * DIGITS || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let mut counts = [0; SLOTS];
    for (count, digits) in zip(&mut counts, digits.chunks_exact(DIGITS)) {
        *count = digits.iter().fold(0, |number, digit| number * 10 + u32::from(digit - b'0'));
    }
    Some(counts)
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + TimeDelta::seconds(seconds)
    }

    fn solved(solved: u64) -> Counted {
        Counted { solved, failed: 0 }
    }

    #[test]
    fn a_slot_is_counted_in_until_the_next_and_forgotten_after_ten_minutes() {
        let mut samples = Samples::none(at(1000));
        for (second, count) in [(1000, 2), (1019, 3), (1020, 5), (1060, 7)] {
            samples.add(Counted { solved: count, failed: 1 }, at(second));
        }
        assert_eq!(samples.since(slot_of(at(1000))), Counted { solved: 17, failed: 4 });
        assert_eq!(samples.since(slot_of(at(1020))), Counted { solved: 12, failed: 2 });
        let counted: Vec<_> = samples.slots().filter(|(_, counted)| counted.done() > 0).collect();
        let counted: Vec<_> = counted.iter().map(|(slot, counted)| (*slot, counted.solved)).collect();
        assert_eq!(counted, [(50, 5), (51, 5), (53, 7)]);
        samples.add(solved(1), at(1060 + 580));
        assert_eq!(samples.since(0).solved, 8, "29 slots later the last one is still there");
        samples.add(solved(1), at(1060 + 600));
        assert_eq!(samples.since(0).solved, 2);
        samples.add(solved(4), at(500));
        assert_eq!(samples.since(0).solved, 4, "the clock was set back");
    }

    #[test]
    fn the_text_of_a_row_is_read_whatever_it_holds() {
        let text = |last: &str| "0".repeat(SLOTS * DIGITS - last.len()) + last;
        let read = Samples::read(Some(53), Some(&text("0000000500000007")), Some(&text("1"))).unwrap();
        assert_eq!(read.since(53), Counted { solved: 7, failed: 1 });
        assert_eq!(read.since(52), Counted { solved: 12, failed: 1 });
        assert_eq!(Samples::read(Some(53), None, None), None);
        assert_eq!(Samples::read(None, Some(&text("1")), None), None);
        for odd in ["", "12", &text("-1"), &text("é")] {
            assert_eq!(Samples::read(Some(53), Some(odd), None).unwrap().since(0), Counted::default());
        }
        let far = Samples::read(Some(i64::MIN), Some(&text("1")), None).unwrap();
        assert_eq!(far.since(0), Counted::default());
    }

    #[test]
    fn minutes_are_those_of_the_clock_and_the_last_one_ends_with_a_slot() {
        let mut samples = Samples::none(at(6000));
        for second in 6000..6130 {
            samples.add(solved(1), at(second));
        }
        let shown = |now| minutes(samples.slots().map(|(slot, counted)| (slot, counted.solved)), at(now));
        assert_eq!(shown(6130), [0, 0, 0, 0, 0, 0, 0, 60, 60, 10]);
        assert_eq!(shown(6190), [0, 0, 0, 0, 0, 0, 60, 60, 10, 0]);
        assert_eq!(shown(60_000), [0; 10]);
        let last_minute = |now| samples.last_minute(at(now)).solved;
        assert_eq!([6059, 6060, 6129, 6140, 6200].map(last_minute), [40, 60, 60, 50, 0]);
    }
}
