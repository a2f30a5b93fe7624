//! The numbers of a manager for Prometheus, and whether it works, over HTTP. What happens is counted as it happens; a
//! scrape reads counters, and never waits for the database or for the manager's loop.

mod catalogue;
mod fleet;
mod health;
mod histogram;
mod numbers;
mod page;
mod request;
mod server;
mod text;

pub use catalogue::{CATALOGUE, Kind, Metric, Scope};
pub use fleet::{AppNumbers, FleetNumbers};
pub use health::{Stage, TURN_WITHIN};
pub use numbers::{Metrics, Recorder};
pub use server::{Exporter, MetricsSettings};
