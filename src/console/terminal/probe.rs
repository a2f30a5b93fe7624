//! What the terminal is asked about itself, and what its answers mean. It is asked only what it can
//! know, one thing after the other, and a terminal that says nothing is left alone.

use std::time::Duration;

use super::keys::Answer;

/// Whether the terminal is asked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Questions {
    /// What it is and can do.
    pub has_probe: bool,
    /// How long an answer takes.
    pub has_clock: bool,
}

/// An answer that takes longer is not waited for.
const WITHIN: Duration = Duration::from_secs(1);

/// How often its distance is measured, when no key was pressed for a while.
const CLOCK_EVERY: Duration = Duration::from_secs(15);
const CLOCK_AFTER: Duration = Duration::from_secs(1);

/// A distance of more than that is none.
const CLOCK_MAX: Duration = Duration::from_secs(10);

/// A terminal that owes so many answers is not asked again.
const OWED_MAX: u8 = 2;

/// Its name and version. Every terminal knows the second one, so its answer says that there is no
/// other.
const VERSION: &[u8] = b"\x1b[>0q\x1b[c";

/// A pen of 24 bits, asked back, between the saved pen and its return. Only what answered the first
/// question is given this: some print what they do not understand.
const PEN: &[u8] = b"\x1b7\x1b[48;2;1;2;3m\x1bP$qm\x1b\\\x1b8\x1b[c";

/// Are you there?
const PRESENCE: &[u8] = b"\x1b[5n";

/// What was learnt.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::console) struct Learnt {
    /// It has all colours.
    pub(in crate::console) has_all_colours: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Stage {
    New,
    Version { asked: Duration, told: Option<String> },
    Pen { asked: Duration },
    Done,
}

/// The questions that are out.
#[derive(Debug)]
pub(in crate::console) struct Probe {
    questions: Questions,
    stage: Stage,
    learnt: Learnt,
    /// When it was asked whether it is there, if that is not answered.
    asked: Option<Duration>,
    clocked: Option<Duration>,
    owed: u8,
}

impl Probe {
    pub(in crate::console) fn new(questions: Questions) -> Self {
        let stage = if questions.has_probe { Stage::New } else { Stage::Done };
        Self { questions, stage, learnt: Learnt::default(), asked: None, clocked: None, owed: 0 }
    }

    /// What it is to be asked now, if the last key was pressed at `touched`.
    pub(in crate::console) fn ask(&mut self, now: Duration, touched: Duration) -> Option<&'static [u8]> {
        match &self.stage {
            Stage::New => {
                self.stage = Stage::Version { asked: now, told: None };
                return Some(VERSION);
            }
            Stage::Version { asked, .. } | Stage::Pen { asked } if now < *asked + WITHIN => return None,
            Stage::Version { .. } | Stage::Pen { .. } | Stage::Done => self.stage = Stage::Done,
        }
        let is_due = self.clocked.is_none_or(|clocked| now >= clocked + CLOCK_EVERY);
        let is_free = touched.is_zero() || now >= touched + CLOCK_AFTER;
        if !(self.questions.has_clock && is_due && is_free && self.owed < OWED_MAX) {
            return None;
        }
        self.owed += 1;
        self.clocked = Some(now);
        self.asked = Some(now);
        Some(PRESENCE)
    }

    /// Takes an answer. It may lead to the next question.
    pub(in crate::console) fn take(&mut self, answer: Answer, now: Duration) -> Option<&'static [u8]> {
        match (answer, &mut self.stage) {
            (Answer::Version(text), Stage::Version { told, .. }) => *told = Some(text),
            (Answer::Attributes, Stage::Version { told, .. }) => {
                let is_known = told.is_some();
                self.stage = if is_known { Stage::Pen { asked: now } } else { Stage::Done };
                return is_known.then_some(PEN);
            }
            (Answer::Pen(pen), Stage::Pen { .. }) => {
                let mut numbers = pen.trim_end_matches('m').rsplit([':', ';']);
                self.learnt.has_all_colours = [3, 2, 1]
                    .iter()
                    .all(|part| numbers.next().and_then(|number| number.parse().ok()) == Some(*part));
            }
            (Answer::Attributes, Stage::Pen { .. }) => self.stage = Stage::Done,
            // Too late, or not asked for.
            (Answer::Version(_) | Answer::Pen(_) | Answer::Attributes | Answer::Present, _) => {}
        }
        None
    }

    /// How far the terminal is, if this answer tells.
    pub(in crate::console) fn distance(&mut self, answer: &Answer, at: Duration) -> Option<Duration> {
        if *answer != Answer::Present {
            return None;
        }
        self.owed = 0;
        self.asked.take().and_then(|asked| at.checked_sub(asked)).filter(|distance| *distance < CLOCK_MAX)
    }

    /// What is known of it by now.
    pub(in crate::console) fn learnt(&self) -> Learnt {
        self.learnt
    }

    /// Whether an answer may be on its way.
    pub(in crate::console) fn is_awaiting(&self, now: Duration) -> bool {
        self.asked.is_some_and(|asked| now < asked + WITHIN)
            || matches!(self.stage, Stage::Version { .. } | Stage::Pen { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Questions = Questions { has_probe: true, has_clock: true };

    fn at(millis: u64) -> Duration {
        Duration::from_millis(100_000 + millis)
    }

    #[test]
    fn a_terminal_that_answers_is_asked_on() {
        let mut probe = Probe::new(ALL);
        assert_eq!(probe.ask(at(0), Duration::ZERO), Some(VERSION));
        assert!(probe.is_awaiting(at(0)));
        assert_eq!(probe.ask(at(10), Duration::ZERO), None);
        assert_eq!(probe.take(Answer::Version("XTerm(390)".to_owned()), at(20)), None);
        assert_eq!(probe.take(Answer::Attributes, at(21)), Some(PEN));
        assert_eq!(probe.take(Answer::Pen("0;48:2::1:2:3m".to_owned()), at(40)), None);
        assert_eq!(probe.take(Answer::Attributes, at(41)), None);
        assert_eq!(probe.learnt(), Learnt { has_all_colours: true });
        assert!(!probe.is_awaiting(at(41)));
        assert_eq!(probe.ask(at(42), at(0)), None, "a key was pressed a moment ago");
        assert_eq!(probe.ask(at(1000), at(0)), Some(PRESENCE));
        assert_eq!(probe.distance(&Answer::Present, at(1038)), Some(Duration::from_millis(38)));
        assert_eq!(probe.distance(&Answer::Present, at(1039)), None);
        assert_eq!(probe.ask(at(15_999), at(0)), None);
        assert_eq!(probe.ask(at(16_000), at(0)), Some(PRESENCE));
    }

    #[test]
    fn one_that_says_nothing_is_left_alone() {
        let mut probe = Probe::new(ALL);
        assert_eq!(probe.ask(at(0), Duration::ZERO), Some(VERSION));
        assert_eq!(probe.ask(at(999), Duration::ZERO), None);
        assert_eq!(probe.ask(at(1000), Duration::ZERO), Some(PRESENCE));
        assert_eq!(probe.ask(at(16_000), Duration::ZERO), Some(PRESENCE));
        assert_eq!(probe.ask(at(99_000), Duration::ZERO), None);
        // What comes now is too late.
        assert_eq!(probe.take(Answer::Version("XTerm(390)".to_owned()), at(99_001)), None);
        assert_eq!(probe.take(Answer::Attributes, at(99_002)), None);
        assert_eq!(probe.learnt(), Learnt::default());
        assert_eq!(Probe::new(Questions::default()).ask(at(0), Duration::ZERO), None);
    }

    #[test]
    fn a_simple_one_is_not_given_what_it_might_print() {
        let mut probe = Probe::new(ALL);
        probe.ask(at(0), Duration::ZERO);
        assert_eq!(probe.take(Answer::Attributes, at(1)), None);
        assert!(!probe.is_awaiting(at(1)));
        for (pen, is_true) in
            [("0;48;2;1;2;3m", true), ("0;48;5;16m", false), ("m", false), ("48:2:1:2:3", true)]
        {
            let mut probe = Probe::new(ALL);
            probe.ask(at(0), Duration::ZERO);
            probe.take(Answer::Version("strange 1".to_owned()), at(1));
            probe.take(Answer::Attributes, at(1));
            probe.take(Answer::Pen(pen.to_owned()), at(2));
            assert_eq!(probe.learnt(), Learnt { has_all_colours: is_true }, "{pen}");
        }
    }
}
