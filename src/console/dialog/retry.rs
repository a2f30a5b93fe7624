//! The question before documents are sent again.

use std::time::Duration;

use super::confirm::{Consent, TYPED_FROM};
use super::field::Field;
use crate::console::world::World;
use crate::store::TaskQuery;

/// What is to be sent again, as it was when the key was pressed.
#[derive(Debug, Clone)]
pub(in crate::console) struct Retry {
    pub(in crate::console) query: TaskQuery,
    /// As the documents are called together.
    pub(in crate::console) what: String,
    /// How many they were.
    pub(in crate::console) count: u64,
    pub(in crate::console) asks_for: Consent,
    pub(in crate::console) typed: Field,
    /// Whether enter means yes.
    pub(in crate::console) is_on_yes: bool,
    pub(in crate::console) opened: Duration,
}

impl Retry {
    pub(in crate::console) fn new(query: TaskQuery, what: String, count: u64, world: &World) -> Self {
        let asks_for = match count {
            0..=1 => Consent::Nothing,
            count if count <= TYPED_FROM as u64 => Consent::Yes,
            _ => Consent::Number,
        };
        Self {
            query,
            what,
            count,
            asks_for,
            typed: Field::default(),
            is_on_yes: false,
            opened: world.now.mono,
        }
    }

    /// Whether the number that was typed is the right one.
    pub(in crate::console) fn is_typed(&self) -> bool {
        self.typed.text() == self.count.to_string()
    }
}
