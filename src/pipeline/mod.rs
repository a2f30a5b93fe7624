//! Documents for Dramatiq workers: directories are watched, each new version of a file becomes a row, and the rows that are
//! due are published, stage by stage.
//!
//! - What is pure: `names` (which files are taken), `catalog` (which change makes a version: a map of 40 bytes a file),
//!   `message` (what Dramatiq reads), `tries` (when something is tried again).
//! - The shells: `walk` and `content` read directories and files, `root` is the thread of one watched directory,
//!   `watch` enters what they see, `outlet` publishes what is due into `queues`, `dead` reads what workers gave up.
//!
//! Nothing is lost whenever the manager is killed: a file that was seen and not entered is seen again by the next scan, and
//! what was entered has its row of `deliveries` in the same transaction. Nothing is entered twice, since the database itself
//! compares the content with the latest version at its path.

mod catalog;
mod content;
mod dead;
mod message;
mod names;
mod outlet;
mod queues;
mod root;
mod tries;
mod walk;
mod watch;

/// How often each watched directory is looked through unless the settings say otherwise.
pub const SCAN_EVERY: std::time::Duration = std::time::Duration::from_secs(10);

pub use dead::DeadLetters;
pub use outlet::DocumentOutlet;
pub use watch::Watcher;
