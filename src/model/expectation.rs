//! What a run that ended with exit code 0 is expected to have done: by the rules of its app, and by what the good runs
//! before it did. A run that breaks one of them is suspect.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;

use super::{InvalidSetting, Policy, format_duration};

/// What a run did, by its counters and its length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Performance {
    /// From the start of its process to its end; `None` where that is not known.
    pub took: Option<Duration>,
    /// Items that it solved.
    pub solved: u64,
    /// Items that it gave up.
    pub failed: u64,
}

/// Why a run is suspect although its exit code is 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suspicion {
    /// The rule that it breaks.
    pub rule: Rule,
    /// The rule with its figures, for people.
    pub message: String,
}

/// A rule that a run with exit code 0 can break.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// `min_solved`.
    MinSolved,
    /// `max_failed_ratio`.
    MaxFailedRatio,
    /// `min_duration`.
    MinDuration,
    /// It solved far fewer than the good runs before it.
    FewerThanUsual,
    /// It was much shorter than the good runs before it.
    ShorterThanUsual,
    /// It was much longer than the good runs before it.
    LongerThanUsual,
}

impl Rule {
    /// The same text for each run that breaks it, without figures.
    #[must_use]
    pub const fn cause(self) -> &'static str {
        match self {
            Self::MinSolved => "solved fewer than min_solved",
            Self::MaxFailedRatio => "failed more than max_failed_ratio",
            Self::MinDuration => "took less than min_duration",
            Self::FewerThanUsual => "solved far fewer than usual",
            Self::ShorterThanUsual => "took much less than usual",
            Self::LongerThanUsual => "took much longer than usual",
        }
    }
}

/// A share from 0 to 1, exact to a millionth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ratio(u32);

impl Ratio {
    const WHOLE: u32 = 1_000_000;

    /// Rounds to the next millionth.
    ///
    /// # Errors
    /// [`InvalidSetting`] if it is not from 0 to 1.
    pub fn new(share: f64) -> Result<Self, InvalidSetting> {
        if !(0.0..=1.0).contains(&share) {
            return Err(InvalidSetting::new(format!("max_failed_ratio must be 0 to 1, not {share}")));
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to a million")]
        Ok(Self((share * f64::from(Self::WHOLE)).round() as u32))
    }

    /// The number from 0 to 1.
    #[must_use]
    pub fn as_f64(self) -> f64 {
        f64::from(self.0) / f64::from(Self::WHOLE)
    }

    /// Whether `part` of `all` is more than this share.
    fn is_exceeded(self, part: u64, all: u64) -> bool {
        u128::from(part) * u128::from(Self::WHOLE) > u128::from(all) * u128::from(self.0)
    }
}

/// In percent: `20%`, `0.5%`.
impl fmt::Display for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", f64::from(self.0) / f64::from(Self::WHOLE / 100))
    }
}

impl Policy {
    /// The first rule of the app's own that a run with exit code 0 breaks.
    #[must_use]
    pub fn broken_rule(&self, run: Performance) -> Option<Suspicion> {
        let Performance { took, solved, failed } = run;
        if self.min_solved > solved {
            let message = format!("solved {solved}, at least {} expected (min_solved)", self.min_solved);
            return Some(Suspicion { rule: Rule::MinSolved, message });
        }
        let all = solved.saturating_add(failed);
        if let Some(ratio) = self.max_failed_ratio.filter(|ratio| ratio.is_exceeded(failed, all)) {
            let message = format!("failed {failed} of {all}, at most {ratio} expected (max_failed_ratio)");
            return Some(Suspicion { rule: Rule::MaxFailedRatio, message });
        }
        let (took, least) = took.zip(self.min_duration).filter(|(took, least)| took < least)?;
        let message = format!("took {}, at least {} expected (min_duration)", text(took), text(least));
        Some(Suspicion { rule: Rule::MinDuration, message })
    }
}

fn text(time: Duration) -> String {
    format_duration(TimeDelta::from_std(time).unwrap_or(TimeDelta::MAX))
}

/// What the last good runs of an app did, as its row keeps it: `130/512 128/500;4/0`, seconds and items solved of each
/// run, oldest first; behind the semicolon the runs since then that differed from them, one after the other. Copies share
/// the text, and are as small as a pointer: a fleet keeps two of each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Baseline(Arc<String>);

/// What a baseline says of a run that keeps the rules of its app, and is now part of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Compared {
    /// It is like the others, or there are too few of them.
    Usual,
    /// It differs from them.
    Odd(Suspicion),
    /// It differs from them in the same way as the runs just before it: that is usual from now on.
    NewLevel(String),
}

/// A run as the baseline keeps it. Larger numbers count as the largest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Sample {
    seconds: u32,
    solved: u32,
}

/// Good runs that a baseline keeps: enough for a median that one odd day does not move.
const KEPT_MAX: usize = 20;

/// Good runs before any is compared with them.
const COMPARED_FROM: usize = 10;

/// Runs in a row that differ in the same way before that is usual.
const LEVEL_RUNS: usize = 5;

/// The longest text of a baseline, in bytes: each of 25 runs has two numbers of at most ten digits.
const TEXT_MAX: usize = 25 * 22;

/// Solved, length: less than one of this many parts of the median is odd.
const FEW_PARTS: u64 = 10;

/// The shortest median length, in seconds, of which a tenth says anything: starting an interpreter takes one.
const SHORT_FROM: u64 = 10;

/// Longer than this many times the median is odd.
const LONG_TIMES: u64 = 5;

/// But not by less than this, in seconds: a busy host may well take that.
const LONG_FROM: u64 = 60;

impl Baseline {
    /// The text that a row keeps; `None` for one that no manager wrote.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let is_known = |c: u8| c.is_ascii_digit() || matches!(c, b'/' | b' ' | b';');
        let is_one = !text.is_empty() && text.len() <= TEXT_MAX && text.bytes().all(is_known);
        is_one.then(|| Self(Arc::new(text.to_owned())))
    }

    /// The text for the row.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.0
    }

    /// Whether there are good runs enough to compare with, and none of them solved anything.
    #[must_use]
    pub fn counts_nothing(&self) -> bool {
        let Record { good, .. } = Record::of(Some(self));
        good.len() >= COMPARED_FROM && good.iter().all(|sample| sample.solved == 0)
    }

    /// Compares a run that keeps the rules of its app with the good ones before it, and takes it in.
    pub fn compare(baseline: &mut Option<Self>, run: Performance) -> Compared {
        let Some(sample) = Sample::of(run) else { return Compared::Usual };
        let mut record = Record::of(baseline.as_ref());
        let compared = record.compare(sample);
        *baseline = record.baseline();
        compared
    }

    /// What a person accepts is usual from now on: the runs that differed, or nothing is known.
    #[must_use]
    pub fn accepted(self) -> Option<Self> {
        let Record { good, odd } = Record::of(Some(&self));
        if odd.is_empty() {
            Record { good, odd }.baseline()
        } else {
            Record { good: odd, odd: Vec::new() }.baseline()
        }
    }
}

/// A baseline that is taken apart.
struct Record {
    good: Vec<Sample>,
    odd: Vec<Sample>,
}

impl Record {
    fn of(baseline: Option<&Baseline>) -> Self {
        let (good, odd) = baseline.and_then(|baseline| baseline.0.split_once(';')).unwrap_or_default();
        // What another program wrote in between is left out.
        let samples = |text: &str, most| text.split(' ').filter_map(Sample::read).take(most).collect();
        Self { good: samples(good, KEPT_MAX), odd: samples(odd, LEVEL_RUNS) }
    }

    fn baseline(&self) -> Option<Baseline> {
        let text = |samples: &[Sample]| {
            let texts: Vec<_> =
                samples.iter().map(|sample| format!("{}/{}", sample.seconds, sample.solved)).collect();
            texts.join(" ")
        };
        let is_empty = self.good.is_empty() && self.odd.is_empty();
        (!is_empty).then(|| Baseline(Arc::new(format!("{};{}", text(&self.good), text(&self.odd)))))
    }

    fn compare(&mut self, run: Sample) -> Compared {
        let Some(suspicion) = self.departure(run) else {
            self.odd.clear();
            self.good.push(run);
            let surplus = self.good.len().saturating_sub(KEPT_MAX);
            self.good.drain(..surplus);
            return Compared::Usual;
        };
        if self.odd.last().is_some_and(|last| !last.agrees_with(run)) {
            self.odd.clear();
        }
        self.odd.push(run);
        // To solve nothing is never usual for an app that solves something, unless a person says so.
        if self.odd.len() < LEVEL_RUNS || suspicion.rule == Rule::FewerThanUsual && run.solved == 0 {
            let surplus = self.odd.len().saturating_sub(LEVEL_RUNS);
            self.odd.drain(..surplus);
            return Compared::Odd(suspicion);
        }
        self.good = std::mem::take(&mut self.odd);
        Compared::NewLevel(format!(
            "usual from now on, as in {LEVEL_RUNS} runs in a row: {}",
            suspicion.message
        ))
    }

    /// How a run differs from the good ones.
    fn departure(&self, run: Sample) -> Option<Suspicion> {
        if self.good.len() < COMPARED_FROM {
            return None;
        }
        // What any of them did is not odd.
        let of = |what: fn(&Sample) -> u32| -> Option<(u64, u64, u64)> {
            let least = self.good.iter().map(what).min()?;
            let most = self.good.iter().map(what).max()?;
            Some((least.into(), median(self.good.iter().map(what)).into(), most.into()))
        };
        let by = format!("{} good runs", self.good.len());
        let (least, usual, _) = of(|sample| sample.solved)?;
        let solved = u64::from(run.solved);
        if solved < least && solved * FEW_PARTS < usual {
            let message = format!("solved {solved}, usually {usual} (median of {by})");
            return Some(Suspicion { rule: Rule::FewerThanUsual, message });
        }
        let (least, usual, most) = of(|sample| sample.seconds)?;
        let took = u64::from(run.seconds);
        let message = || {
            let [took, usual] = [took, usual].map(|seconds| text(Duration::from_secs(seconds)));
            format!("took {took}, usually {usual} (median of {by})")
        };
        if usual >= SHORT_FROM && took < least && took * FEW_PARTS < usual {
            return Some(Suspicion { rule: Rule::ShorterThanUsual, message: message() });
        }
        let is_long = took > most && took > usual * LONG_TIMES && took >= usual + LONG_FROM;
        is_long.then(|| Suspicion { rule: Rule::LongerThanUsual, message: message() })
    }
}

fn median(numbers: impl Iterator<Item = u32>) -> u32 {
    let mut numbers: Vec<_> = numbers.collect();
    numbers.sort_unstable();
    // The lower one of two: a run is not to be odd for want of half an item.
    numbers.get(numbers.len().saturating_sub(1) / 2).copied().unwrap_or(0)
}

impl Sample {
    fn of(run: Performance) -> Option<Self> {
        let seconds = u32::try_from(run.took?.as_secs()).unwrap_or(u32::MAX);
        Some(Self { seconds, solved: u32::try_from(run.solved).unwrap_or(u32::MAX) })
    }

    fn read(text: &str) -> Option<Self> {
        let (seconds, solved) = text.split_once('/')?;
        Some(Self { seconds: seconds.parse().ok()?, solved: solved.parse().ok()? })
    }

    /// Whether two runs are of one level: neither did more than twice what the other did, or a minute more.
    fn agrees_with(self, other: Self) -> bool {
        let [few, many] = [self.solved.min(other.solved), self.solved.max(other.solved)].map(u64::from);
        let [short, long] = [self.seconds.min(other.seconds), self.seconds.max(other.seconds)].map(u64::from);
        many <= few * 2 && long <= short * 2 + LONG_FROM
    }
}

#[cfg(test)]
#[path = "expectation_tests.rs"]
mod tests;
