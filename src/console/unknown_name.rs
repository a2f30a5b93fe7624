//! A name that settings or the command line give and that is none of those expected.

/// Which name, of what, and what was expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name:?} is no {what}: expected {expected}")]
pub struct UnknownName {
    pub(in crate::console) name: String,
    pub(in crate::console) what: &'static str,
    pub(in crate::console) expected: String,
}

impl UnknownName {
    /// One of a fixed set.
    pub(in crate::console) fn new(name: &str, what: &'static str, expected: &str) -> Self {
        Self { name: name.to_owned(), what, expected: expected.to_owned() }
    }
}
