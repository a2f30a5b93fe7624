//! Which change of a file makes it to be taken. A file is known by a number for its path and one for what it is, so that
//! 100,000 of them take 6 MB.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::hash::{BuildHasher as _, RandomState};

use crate::model::EventId;

/// A moment, in steps of 100 ms since the catalog was made: 13 years.
pub(super) type Tick = u32;

/// Steps of [`Tick`] in a second.
pub(super) const TICKS_A_SECOND: f64 = 10.0;

/// A file that cannot be read is tried again after five minutes, unless it changes before.
const UNREADABLE_FOR: Tick = 3000;

/// A path. Two of one number would be taken for one file; among ten million, that has a chance of 1 in 10^24.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key([u64; 2]);

#[derive(Debug, Clone, Copy)]
struct Known {
    stamp: u64,
    /// The version that was entered last, or 0.
    event: i64,
    since: Tick,
    state: State,
    /// The scan that saw it last.
    scan: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// It must not change for a while.
    Settling,
    /// It is being read and entered.
    Taken,
    /// It is entered as it is.
    Entered,
    /// It could not be read.
    Unreadable,
}

/// What is to be done about a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    /// Nothing: it is known as it is.
    Nothing,
    /// It is to be looked at again then.
    Again(Tick),
    /// It is to be read.
    Take,
}

/// What became of a file that was to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Read {
    /// It is entered, with this version, and was this.
    Entered(EventId, u64),
    /// It changed meanwhile, or is gone.
    Changed,
    /// It cannot be read.
    Unreadable,
}

/// The files below a root.
#[derive(Debug)]
pub(super) struct Catalog {
    files: BTreeMap<Key, Known>,
    hashes: [RandomState; 2],
    stable: Tick,
    scan: u8,
}

impl Catalog {
    /// An empty one. A file is stable when it has not changed for this time, in seconds.
    pub(super) fn new(stable_seconds: f64) -> Self {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at most a day")]
        let stable = (stable_seconds.clamp(0.0, 86_400.0) * TICKS_A_SECOND).ceil() as Tick;
        Self { files: BTreeMap::new(), hashes: [RandomState::new(), RandomState::new()], stable, scan: 0 }
    }

    pub(super) fn key(&self, path: &[u8]) -> Key {
        Key([self.hashes[0].hash_one(path), self.hashes[1].hash_one(path)])
    }

    /// The number of what a file is.
    pub(super) fn stamp(&self, stamp: &str) -> u64 {
        self.hashes[0].hash_one(stamp)
    }

    /// How many files are known, those included that are not entered yet.
    pub(super) fn len(&self) -> usize {
        self.files.len()
    }

    /// Whether a file is there and could not be read.
    pub(super) fn is_unreadable(&self, key: Key) -> bool {
        self.files.get(&key).is_some_and(|known| known.state == State::Unreadable)
    }

    /// Takes up a version that was entered before.
    pub(super) fn remember(&mut self, key: Key, event: EventId, stamp: Option<u64>) {
        let known = Known {
            // Without a stamp the file is read again.
            stamp: stamp.unwrap_or(0),
            event: event.0,
            since: 0,
            state: State::Entered,
            scan: self.scan,
        };
        self.files.insert(key, known);
    }

    /// A file is there, and is this.
    pub(super) fn look(&mut self, key: Key, stamp: u64, now: Tick) -> Look {
        let (stable, scan) = (self.stable, self.scan);
        let fresh = Known { stamp, event: 0, since: now, state: State::Settling, scan };
        let known = match self.files.entry(key) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) => place.insert(fresh),
        };
        known.scan = scan;
        if known.state == State::Taken {
            // Who reads it sees that it changes.
            return Look::Nothing;
        }
        if known.stamp != stamp {
            *known = Known { event: known.event, ..fresh };
        }
        match known.state {
            State::Settling if now - known.since >= stable => known.state = State::Taken,
            State::Settling => return Look::Again(known.since + stable),
            State::Unreadable if now - known.since >= UNREADABLE_FOR => known.state = State::Taken,
            State::Unreadable | State::Entered | State::Taken => return Look::Nothing,
        }
        Look::Take
    }

    /// What became of a file that was to be taken; when it is to be looked at again.
    pub(super) fn note(&mut self, key: Key, read: Read, now: Tick) -> Option<Tick> {
        let known = self.files.get_mut(&key)?;
        known.since = now;
        match read {
            Read::Entered(event, stamp) => {
                (known.event, known.stamp, known.state) = (event.0, stamp, State::Entered);
                None
            }
            Read::Changed => {
                known.state = State::Settling;
                Some(now + self.stable)
            }
            Read::Unreadable => {
                known.state = State::Unreadable;
                None
            }
        }
    }

    /// Begins to look at everything.
    pub(super) fn begin_scan(&mut self) {
        self.scan = self.scan.wrapping_add(1);
    }

    /// All that there is was looked at: what was not is gone. The versions of it come back.
    pub(super) fn end_scan(&mut self) -> Vec<EventId> {
        let mut gone = Vec::new();
        let scan = self.scan;
        self.files.retain(|_, known| {
            let is_there = known.scan == scan || known.state == State::Taken;
            if !is_there && known.event > 0 {
                gone.push(EventId(known.event));
            }
            is_there
        });
        gone
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_taken_when_it_has_not_changed_for_a_while() {
        let mut catalog = Catalog::new(2.0);
        let key = catalog.key(b"/in/a");
        assert_eq!(catalog.look(key, 1, 100), Look::Again(120));
        assert_eq!(catalog.look(key, 2, 110), Look::Again(130), "it is being written");
        assert_eq!(catalog.look(key, 2, 129), Look::Again(130));
        assert_eq!(catalog.look(key, 2, 130), Look::Take);
        assert_eq!(catalog.look(key, 2, 131), Look::Nothing, "it is being read");
        // It changed while it was read.
        assert_eq!(catalog.note(key, Read::Changed, 140), Some(160));
        assert_eq!(catalog.look(key, 3, 160), Look::Again(180));
        assert_eq!(catalog.look(key, 3, 180), Look::Take);
        assert_eq!(catalog.note(key, Read::Entered(EventId(7), 3), 181), None);
        assert_eq!(catalog.look(key, 3, 9000), Look::Nothing);
        assert_eq!(catalog.look(key, 4, 9000), Look::Again(9020), "it is another one");
        let mut at_once = Catalog::new(0.0);
        let key = at_once.key(b"/in/a");
        assert_eq!(at_once.look(key, 1, 0), Look::Take);
    }

    #[test]
    fn what_was_entered_before_is_not_read_again() {
        let mut catalog = Catalog::new(2.0);
        let stamp = catalog.stamp("1-2-3");
        let (a, b) = (catalog.key(b"/in/a"), catalog.key(b"/in/b"));
        catalog.remember(a, EventId(1), Some(stamp));
        catalog.remember(b, EventId(2), None);
        assert_eq!(catalog.look(a, stamp, 50), Look::Nothing);
        assert_eq!(catalog.look(b, stamp, 50), Look::Again(70), "its stamp is not known");
    }

    #[test]
    fn what_cannot_be_read_is_tried_again_later_or_when_it_changes() {
        let mut catalog = Catalog::new(0.0);
        let key = catalog.key(b"/in/a");
        assert_eq!(catalog.look(key, 1, 0), Look::Take);
        catalog.note(key, Read::Unreadable, 0);
        assert_eq!(catalog.look(key, 1, 2999), Look::Nothing);
        assert_eq!(catalog.look(key, 1, 3000), Look::Take);
        catalog.note(key, Read::Unreadable, 3000);
        assert_eq!(catalog.look(key, 2, 3001), Look::Take, "its rights were changed");
    }

    #[test]
    fn what_a_scan_does_not_see_is_gone() {
        let mut catalog = Catalog::new(0.0);
        let keys = [b"/a", b"/b", b"/c"].map(|path| catalog.key(path));
        for (key, event) in keys.iter().zip([1, 2]) {
            catalog.remember(*key, EventId(event), Some(1));
        }
        assert_eq!(catalog.look(keys[2], 1, 0), Look::Take);
        catalog.begin_scan();
        catalog.look(keys[0], 1, 0);
        assert_eq!(catalog.end_scan(), [EventId(2)], "what is being read is not gone yet");
        assert_eq!(catalog.len(), 2);
        catalog.note(keys[2], Read::Changed, 1);
        catalog.begin_scan();
        assert_eq!(catalog.end_scan(), [EventId(1)]);
        assert_eq!(catalog.len(), 0);
        assert_eq!(catalog.look(keys[0], 1, 5), Look::Take, "it came back");
    }

    #[test]
    fn a_file_takes_little_memory() {
        assert!(size_of::<(Key, Known)>() <= 40);
    }
}
