//! The tokio shell around the manager: reads the clock, feeds it what happens, commits what it
//! decides, and then does it.

mod announcer;
mod batch;
mod closing;
mod documents;
mod driver;
mod event_log;
mod feed;
mod fleet_numbers;
mod lease;
mod live;
mod outbox;
mod outlet;
mod ping;
mod replies;
mod sender;
mod standing;
mod stop;
mod tails;
mod upkeep;

pub use closing::StopApps;
pub use driver::{Exports, Options, RunError, run};
pub use live::Live;
pub use stop::Stop;
