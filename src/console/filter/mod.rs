//! What is asked for: words that the path must hold, and conditions such as `is:fatal` or
//! `fail>100`. Blanks stand for "and", `!` in front of a word for "not".

mod parse;

use chrono::TimeDelta;
use regex_lite::Regex;

use super::fleet::{Fleet, Row, Trouble, rate};
use crate::model::explain::State;
use crate::model::{CmdFlag, Timestamp};

/// A filter, as it was typed and as it is understood.
#[derive(Debug, Default, Clone)]
pub(super) struct Filter {
    text: String,
    terms: Vec<Term>,
    /// The first word that is not understood, and why. What is not understood filters nothing.
    fault: Option<String>,
}

#[derive(Debug, Clone)]
struct Term {
    negated: bool,
    test: Test,
}

#[derive(Debug, Clone)]
enum Test {
    /// The path holds this.
    Holds(String),
    /// The path holds these letters in this order.
    Fuzzy(String),
    /// The path is like that.
    Like(Box<Regex>),
    Is(Vec<Quality>),
    Group(String),
    Parent(String),
    Manager(String),
    Host(String),
    /// It has this tag, or one of which this is the beginning.
    Tag(String),
    Owner(String),
    Message(String),
    /// How the latest run that is over ended: `result:sigabrt`.
    Result(String),
    Number(Field, Comparison, f64),
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Quality {
    /// A process runs, as far as is known.
    Running,
    State(State),
    /// Its last run failed, or it waits for ENABLE.
    Failed,
    Trouble(Trouble),
    /// Any trouble.
    Problem,
    Disabled,
    Pending,
    /// The last command was not executed.
    Refused,
    Protected,
}

/// What can be compared. Spans are in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    Failed,
    Solved,
    Size,
    Percent,
    Rate,
    /// Since its counters changed or, where they did not, since it was started.
    Age,
    Eta,
    /// Until the next run.
    Next,
    /// Since the last run began.
    Last,
    /// Failures in a row.
    Fails,
    /// The exit code of the latest run that is over, where one is known.
    Exit,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Less,
    LessOrEqual,
    Equal,
    NotEqual,
    GreaterOrEqual,
    Greater,
}

impl Filter {
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn is_active(&self) -> bool {
        !self.terms.is_empty()
    }

    pub(super) fn fault(&self) -> Option<&str> {
        self.fault.as_deref()
    }

    /// Whether a row may pass at one time and not at another without having changed.
    pub(super) fn is_volatile(&self) -> bool {
        self.terms.iter().any(|term| matches!(term.test, Test::Number(..)))
    }

    /// Whether an app passes. `path` is room for its path, so that none is made for each row.
    pub(super) fn shows(&self, row: &Row, fleet: &Fleet, now: Timestamp, path: &mut String) -> bool {
        if self.terms.is_empty() {
            return true;
        }
        path.clear();
        for part in [&row.path.group, &row.path.parent, &row.path.name] {
            if !path.is_empty() {
                path.push('/');
            }
            path.push_str(part.as_str());
        }
        path.make_ascii_lowercase();
        self.terms.iter().all(|term| term.test.applies(row, fleet, now, path) != term.negated)
    }
}

impl Test {
    fn applies(&self, row: &Row, fleet: &Fleet, now: Timestamp, path: &str) -> bool {
        let holds = |text: &str, word: &str| text.to_ascii_lowercase().contains(word);
        match self {
            Self::Holds(word) => path.contains(word.as_str()),
            Self::Fuzzy(word) => is_subsequence(word, path),
            Self::Like(regex) => regex.is_match(path),
            Self::Group(word) => holds(row.path.group.as_str(), word),
            Self::Parent(word) => holds(row.path.parent.as_str(), word),
            Self::Manager(word) => row.manager.as_deref().is_some_and(|name| holds(name, word)),
            Self::Host(word) => row
                .manager
                .as_deref()
                .and_then(|name| fleet.manager(name))
                .is_some_and(|manager| holds(&manager.host, word)),
            Self::Tag(word) => {
                row.tags.iter().any(|tag| tag.as_str().to_ascii_lowercase().starts_with(word.as_str()))
            }
            Self::Owner(word) => {
                row.owner.as_deref().is_some_and(|owner| owner.to_lowercase().contains(word.as_str()))
            }
            Self::Message(word) => {
                let texts = [row.message.as_deref(), row.fatal.as_ref().map(|(_, text, _)| &**text)];
                texts.into_iter().flatten().any(|text| text.to_lowercase().contains(word.as_str()))
            }
            Self::Result(word) => row.result.as_ref().is_some_and(|result| holds(&result.to_string(), word)),
            Self::Is(qualities) => qualities.iter().any(|quality| quality.applies(row)),
            Self::Number(field, comparison, value) => {
                field.of(row, now).is_some_and(|own| comparison.holds(own, *value))
            }
        }
    }
}

impl Quality {
    fn applies(self, row: &Row) -> bool {
        let flag = row.command.as_ref().map(|command| command.flag);
        match self {
            Self::Running => row.is_running(),
            Self::State(state) => row.state == state,
            Self::Failed => row.state.is_failed() || row.is_flagged_for_ends(),
            Self::Trouble(Trouble::Fatal) => row.is_flagged_for_ends(),
            Self::Trouble(trouble) => row.trouble == Some(trouble),
            Self::Problem => row.trouble.is_some(),
            Self::Disabled => row.disabled,
            Self::Pending => flag == Some(CmdFlag::Pending),
            Self::Refused => flag == Some(CmdFlag::NotExecuted),
            Self::Protected => row.protected,
        }
    }
}

impl Field {
    /// `None` where the app has no such value: then no comparison holds.
    #[expect(clippy::cast_precision_loss, reason = "compared with numbers that people type")]
    fn of(self, row: &Row, now: Timestamp) -> Option<f64> {
        let span = |span: TimeDelta| span.as_seconds_f64();
        match self {
            Self::Failed => Some(row.failed as f64),
            Self::Solved => Some(row.solved as f64),
            Self::Size => row.task_size.map(|size| size as f64),
            Self::Percent => row.progress().map(f64::from),
            Self::Rate => rate::rate(row, now),
            Self::Age => {
                let since = row.moved().or(row.last_run).filter(|_| row.is_running())?;
                Some(span(now - since))
            }
            Self::Eta => row.eta.filter(|_| row.is_running()).map(|eta| span(eta - now)),
            Self::Next => row.next_run.filter(|_| !row.disabled).map(|next| span(next - now)),
            Self::Last => row.last_run.map(|last| span(now - last)),
            Self::Fails => Some(f64::from(row.failures)),
            Self::Exit => row.result.as_ref()?.exit_code.map(|code| code as f64),
        }
    }
}

impl Comparison {
    fn holds(self, own: f64, value: f64) -> bool {
        let is_equal = (own - value).abs() < 1e-9;
        match self {
            Self::Less => own < value && !is_equal,
            Self::LessOrEqual => own < value || is_equal,
            Self::Equal => is_equal,
            Self::NotEqual => !is_equal,
            Self::GreaterOrEqual => own > value || is_equal,
            Self::Greater => own > value && !is_equal,
        }
    }
}

/// Whether the letters of a word come in this order, with others between them.
pub(super) fn is_subsequence(word: &str, text: &str) -> bool {
    let mut rest = text.chars();
    word.chars().all(|wanted| rest.any(|c| c == wanted))
}

#[cfg(test)]
mod tests;
