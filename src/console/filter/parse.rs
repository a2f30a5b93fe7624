//! Reads a filter. What is half typed filters by what is there so far.

use regex_lite::RegexBuilder;

use super::{Comparison, Field, Filter, Quality, Term, Test};
use crate::console::fleet::Trouble;
use crate::model::explain::State;

/// A pattern that would take more room than this is refused.
const REGEX_SIZE_MAX: usize = 256 * 1024;

const QUALITIES: &[(&str, Quality)] = &[
    ("running", Quality::Running),
    ("idle", Quality::State(State::Idle)),
    ("stopped", Quality::State(State::Stopped)),
    ("waiting", Quality::State(State::Waiting)),
    ("fatal", Quality::Trouble(Trouble::Fatal)),
    ("given_up", Quality::State(State::GivenUp)),
    ("failed", Quality::Failed),
    ("stalled", Quality::Trouble(Trouble::Stalled)),
    ("over_limit", Quality::Trouble(Trouble::OverLimit)),
    ("late", Quality::Trouble(Trouble::Late)),
    ("unknown", Quality::Trouble(Trouble::Unknown)),
    ("flapping", Quality::Trouble(Trouble::Flapping)),
    ("problem", Quality::Problem),
    ("disabled", Quality::Disabled),
    ("pending", Quality::Pending),
    ("refused", Quality::Refused),
    ("protected", Quality::Protected),
];

const FIELDS: &[(&str, Field)] = &[
    ("fail", Field::Failed),
    ("failed", Field::Failed),
    ("solved", Field::Solved),
    ("size", Field::Size),
    ("prog", Field::Percent),
    ("rate", Field::Rate),
    ("age", Field::Age),
    ("eta", Field::Eta),
    ("next", Field::Next),
    ("last", Field::Last),
    ("fails", Field::Fails),
    ("exit", Field::Exit),
];

/// Longer signs first.
const COMPARISONS: &[(&str, Comparison)] = &[
    ("!=", Comparison::NotEqual),
    ("<=", Comparison::LessOrEqual),
    (">=", Comparison::GreaterOrEqual),
    ("<", Comparison::Less),
    (">", Comparison::Greater),
    ("=", Comparison::Equal),
];

/// Why a word of a filter is not understood.
#[derive(Debug, thiserror::Error)]
enum InvalidFilter {
    #[error("{0}: is not known; is: g: p: tag: owner: host: mgr: msg: result:")]
    Key(String),
    #[error("/{pattern}/ is no pattern: {error}")]
    Pattern { pattern: String, error: regex_lite::Error },
    #[error("is:{0} is not known; {all}", all = words_of(QUALITIES))]
    Quality(String),
    #[error("{0} cannot be compared; {all}", all = words_of(FIELDS))]
    Field(String),
    #[error("{0}: a comparison is one of < <= = != >= >")]
    Comparison(String),
    #[error("{0} is no number and no time such as 5m")]
    Number(String),
}

fn words_of<T>(known: &[(&str, T)]) -> String {
    known.iter().map(|(word, _)| *word).collect::<Vec<_>>().join(" ")
}

impl Filter {
    pub(in crate::console) fn parse(text: &str) -> Self {
        let mut filter = Self { text: text.to_owned(), ..Self::default() };
        for word in words(text) {
            let (negated, bare) = match word.strip_prefix('!') {
                Some(rest) => (true, rest),
                None => (false, word),
            };
            match test(bare) {
                Ok(Some(test)) => filter.terms.push(Term { negated, test }),
                Ok(None) => {}
                Err(why) => drop(filter.fault.get_or_insert_with(|| why.to_string())),
            }
        }
        filter
    }
}

/// Blanks part words, except between the two slashes of a pattern.
fn words(text: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let pattern = rest.strip_prefix('!').unwrap_or(rest).strip_prefix('/');
        // Paths hold slashes: the last one of a pattern has a blank behind it, or nothing.
        let closing = pattern.and_then(|pattern| {
            let is_last =
                |(at, _): &(usize, &str)| pattern[at + 1..].chars().next().is_none_or(char::is_whitespace);
            let (at, _) = pattern.match_indices('/').find(is_last)?;
            Some(rest.len() - pattern.len() + at + 1)
        });
        let end = closing.or_else(|| rest.find(char::is_whitespace)).unwrap_or(rest.len());
        words.push(&rest[..end]);
        rest = rest[end..].trim_start();
    }
    words
}

/// `None` for a word that says nothing yet.
fn test(word: &str) -> Result<Option<Test>, InvalidFilter> {
    let lower = word.to_lowercase();
    if let Some(pattern) = word.strip_prefix('/') {
        let pattern = pattern.strip_suffix('/').unwrap_or(pattern);
        return like(pattern);
    }
    if let Some(fuzzy) = lower.strip_prefix('~') {
        return Ok((!fuzzy.is_empty()).then(|| Test::Fuzzy(fuzzy.to_owned())));
    }
    if let Some((key, value)) = lower.split_once(':') {
        let text = || Ok((!value.is_empty()).then(|| value.to_owned()));
        return match key {
            "is" | "st" => qualities(value),
            "g" => text().map(|text| text.map(Test::Group)),
            "p" => text().map(|text| text.map(Test::Parent)),
            "mgr" => text().map(|text| text.map(Test::Manager)),
            "tag" => text().map(|text| text.map(Test::Tag)),
            "owner" => text().map(|text| text.map(Test::Owner)),
            "host" => text().map(|text| text.map(Test::Host)),
            "result" => text().map(|text| text.map(Test::Result)),
            "msg" => text().map(|text| text.map(Test::Message)),
            _ => Err(InvalidFilter::Key(key.to_owned())),
        };
    }
    let place = lower.find(['<', '>', '=', '!']);
    if let Some(at) = place.filter(|at| *at > 0) {
        let (name, rest) = lower.split_at(at);
        return comparison(name, rest);
    }
    Ok((!lower.is_empty()).then_some(Test::Holds(lower)))
}

fn like(pattern: &str) -> Result<Option<Test>, InvalidFilter> {
    if pattern.is_empty() {
        return Ok(None);
    }
    let regex = RegexBuilder::new(pattern)
        .case_insensitive(true)
        .size_limit(REGEX_SIZE_MAX)
        .build()
        .map_err(|error| InvalidFilter::Pattern { pattern: pattern.to_owned(), error })?;
    Ok(Some(Test::Like(Box::new(regex))))
}

fn qualities(value: &str) -> Result<Option<Test>, InvalidFilter> {
    let mut found = Vec::new();
    for name in value.split(',').filter(|name| !name.is_empty()) {
        let known = QUALITIES.iter().find(|(word, _)| word.starts_with(name));
        let (_, quality) = known.ok_or_else(|| InvalidFilter::Quality(name.to_owned()))?;
        found.push(*quality);
    }
    Ok((!found.is_empty()).then_some(Test::Is(found)))
}

fn comparison(name: &str, rest: &str) -> Result<Option<Test>, InvalidFilter> {
    let Some((_, field)) = FIELDS.iter().find(|(word, _)| *word == name) else {
        return Err(InvalidFilter::Field(name.to_owned()));
    };
    let Some((sign, comparison)) = COMPARISONS.iter().find(|(sign, _)| rest.starts_with(sign)) else {
        return Err(InvalidFilter::Comparison(format!("{name}{rest}")));
    };
    let value = &rest[sign.len()..];
    if value.is_empty() {
        return Ok(None);
    }
    let number = quantity(value).ok_or_else(|| InvalidFilter::Number(value.to_owned()))?;
    Ok(Some(Test::Number(*field, *comparison, number)))
}

/// `100`, `1.5k`, `2m` as a time, `50%`. Times are in seconds.
fn quantity(text: &str) -> Option<f64> {
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let number: f64 = text[..digits].parse().ok()?;
    let unit = match &text[digits..] {
        "" | "%" | "s" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        "d" => 86_400.0,
        "k" => 1e3,
        _ => return None,
    };
    Some(number * unit)
}
