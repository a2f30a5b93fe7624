//! Which apps a command is about: by their places, by what they are doing, or both.

use std::fmt;
use std::str::FromStr;

use super::error::Error;
use super::presence::Managers;
use super::session::{Fleet, Session};
use crate::model::explain::State;
use crate::model::{AppRow, Selector, SelectorError};
use crate::store::OperatorStore;

/// Before the word of a state.
const IS: &str = "is:";

/// One argument. Places add up; states narrow what they mean: `croatia is:failed` is what failed in Croatia.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Choice {
    /// A path, a prefix, a glob, or all.
    Place(Selector),
    /// What the app is doing, as `state` in `--json`.
    State(State),
}

impl FromStr for Choice {
    type Err = ChoiceError;

    fn from_str(text: &str) -> Result<Self, ChoiceError> {
        let Some(word) = text.strip_prefix(IS) else { return Ok(Self::Place(text.parse()?)) };
        // As the console writes it, too.
        let state = word.to_lowercase().replace('-', "_").parse();
        state.map(Self::State).map_err(|_| ChoiceError::State(word.chars().take(80).collect()))
    }
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Place(selector) => selector.fmt(f),
            Self::State(state) => write!(f, "{IS}{state}"),
        }
    }
}

/// The text means no apps that could exist.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum ChoiceError {
    #[error(transparent)]
    Place(#[from] SelectorError),
    #[error("is:{0:?} is no state; expected is: and one of {all}", all = State::WORDS.join(" "))]
    State(String),
}

/// The places among these.
pub(super) fn places(choices: &[Choice]) -> Vec<Selector> {
    let place = |choice: &Choice| match choice {
        Choice::Place(selector) => Some(selector.clone()),
        Choice::State(_) => None,
    };
    choices.iter().filter_map(place).collect()
}

/// Whether the state of an app is one of those that are asked for, if any are.
pub(super) fn has_state(choices: &[Choice], state: State) -> bool {
    let mut states = choices.iter().filter_map(|choice| match choice {
        Choice::Place(_) => None,
        Choice::State(state) => Some(*state),
    });
    let first = states.next();
    first.is_none_or(|first| first == state || states.any(|other| other == state))
}

/// The apps that are meant. States may be those of no app, which is no error: then there is nothing to do.
///
/// # Errors
/// With exit code 4 when a place means none.
pub(super) async fn chosen(
    session: &Session,
    store: &dyn OperatorStore,
    choices: &[Choice],
) -> Result<Vec<AppRow>, Error> {
    let places = places(choices);
    let mut rows = Fleet::meant(store, &places).await?;
    if places.len() < choices.len() {
        let managers = Managers::read(session, store).await?;
        rows.retain(|row| has_state(choices, managers.state_of(row)));
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_and_places_are_told_apart() {
        let parse = |text: &str| text.parse::<Choice>();
        assert_eq!(parse("is:failed"), Ok(Choice::State(State::Failed)));
        assert_eq!(parse("is:given-up"), Ok(Choice::State(State::GivenUp)));
        assert_eq!(parse("croatia/fina").unwrap().to_string(), "croatia/fina");
        assert_eq!(parse("is:fatal").unwrap().to_string(), "is:fatal");
        assert!(
            parse("is:brilliant").unwrap_err().to_string().contains("is no state; expected is: and one of")
        );
        assert!(parse("a/b/c/d").is_err());
        let choices = [Choice::State(State::Failed), Choice::State(State::Fatal)];
        assert!(has_state(&choices, State::Fatal) && !has_state(&choices, State::Idle));
        assert!(has_state(&[], State::Idle));
    }
}
