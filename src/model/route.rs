//! Which alerts go to which channels.

use super::{AppPath, Labels, Selector, Severity};

/// The alerts that go to a channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// The name of the channel.
    pub channel: String,
    /// Of which apps; empty: of all, and of the fleet.
    pub groups: Vec<Selector>,
    /// The least that goes there.
    pub severity: Severity,
}

impl Route {
    /// Whether it depends on what people have written on apps.
    #[must_use]
    pub fn reads_labels(&self) -> bool {
        self.groups.iter().any(Selector::is_label)
    }

    /// Whether an alert goes there. One of the fleet has no path: it goes where all go.
    #[must_use]
    pub fn takes(&self, path: Option<&AppPath>, labels: Labels<'_>, severity: Severity) -> bool {
        let is_selected = self.groups.is_empty()
            || self
                .groups
                .iter()
                .any(|selector| path.map_or(selector.is_all(), |path| selector.matches(path, labels)));
        is_selected && severity >= self.severity
    }
}
