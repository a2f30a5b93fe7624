//! What lies above the screen and has the keys: one thing at a time.

pub(super) mod confirm;
pub(super) mod field;
pub(super) mod help;
pub(super) mod menu;
pub(super) mod palette;
pub(super) mod retry;

use std::time::Duration;

use confirm::Confirm;
use field::Field;
use help::Help;
use menu::Menu;
use retry::Retry;

/// Keys that come this soon after a question were meant for what was there before.
pub(super) const DEAF: Duration = Duration::from_millis(300);

/// What has the keys instead of the screen.
#[derive(Debug)]
pub(super) enum Dialog {
    /// What is looked for is being typed; holds what was looked for before, for esc.
    Seek {
        field: Field,
        before: String,
    },
    Confirm(Box<Confirm>),
    /// Documents are to be sent again.
    Retry(Box<Retry>),
    Menu(Box<Menu>),
    /// How to leave an attached console.
    Leave {
        opened: Duration,
    },
    Help(Help),
}
