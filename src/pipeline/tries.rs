//! When something that did not leave is tried again, and when it is given up.

use chrono::TimeDelta;

use crate::model::{DueDocument, Published, Timestamp};

/// The pause after the first try; it doubles with each.
const PAUSE: TimeDelta = TimeDelta::seconds(5);

/// The longest pause.
const PAUSE_MAX: TimeDelta = TimeDelta::minutes(5);

/// The longest pause of what has no route: a change of the routes is told by the database.
const UNROUTED: TimeDelta = TimeDelta::hours(1);

/// When what could not be published is given up, if it was tried often: a broker that is away is not tried.
const GIVEN_UP_AFTER: TimeDelta = TimeDelta::days(1);

/// And so often.
const TRIES_MIN: u32 = 10;

/// What becomes of a document that the broker did not take.
pub(super) fn refused(document: &DueDocument, why: &str, now: Timestamp) -> Published {
    if document.tries >= TRIES_MIN && now - document.created >= GIVEN_UP_AFTER {
        return Published::GivenUp { why: format!("not published for a day: {why}") };
    }
    let doubled = i32::try_from(1_u32 << document.tries.saturating_sub(1).min(16)).unwrap_or(i32::MAX);
    Published::Later { why: why.to_owned(), again: now + (PAUSE * doubled).min(PAUSE_MAX) }
}

/// What becomes of one of which nothing is known: the broker went away, or is blocked. It is never given up.
pub(super) fn unknown(why: &str, now: Timestamp) -> Published {
    Published::Later { why: why.to_owned(), again: now + PAUSE }
}

/// What becomes of one whose topic has no route.
pub(super) fn unrouted(topic: &str, now: Timestamp) -> Published {
    Published::Later { why: format!("no route for topic {topic}"), again: now + UNROUTED }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{DeliveryId, DocumentPath, TaskId, parse_timestamp};

    #[test]
    fn pauses_double_and_a_day_is_the_end() {
        let now = parse_timestamp("2026-11-23T12:00:00Z").unwrap();
        let after = |tries: u32, age: TimeDelta| {
            let document = DueDocument {
                delivery: DeliveryId(1),
                task: TaskId(1),
                message_id: String::new(),
                topic: String::new(),
                target: None,
                path: DocumentPath::of_bytes(b"/a"),
                sha3: None,
                app_group: String::new(),
                created: now - age,
                tries,
            };
            match refused(&document, "no queue", now) {
                Published::Later { again, .. } => Some((again - now).num_seconds()),
                Published::GivenUp { why } => {
                    assert_eq!(why, "not published for a day: no queue");
                    None
                }
                Published::Sent => panic!("it was not sent"),
            }
        };
        let pauses: Vec<_> = (1..9).map(|tries| after(tries, TimeDelta::hours(1)).unwrap()).collect();
        assert_eq!(pauses, [5, 10, 20, 40, 80, 160, 300, 300]);
        assert_eq!(after(u32::MAX, TimeDelta::hours(23)), Some(300));
        assert_eq!(after(3, TimeDelta::days(2)), Some(20), "the broker was away for two days");
        assert_eq!(after(10, TimeDelta::days(1)), None);
    }
}
