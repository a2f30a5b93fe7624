//! Decides what is to be done: `(state, event, now) -> step`.
//!
//! Pure: no clock, no random numbers, no locks, no IO, no log. The runtime feeds it events and
//! carries out its steps; a simulation does the same with a made-up world.

mod always;
pub mod coming;
mod commands;
mod core;
mod desk;
mod entry;
mod event;
mod flapping;
mod fleet;
pub mod forecast;
mod ids;
mod judgement;
pub mod peers;
mod plan;
mod registry;
mod restore;
#[cfg(test)]
mod running_app;
mod runs;
pub mod schedule;
mod stall;
mod suspicion;
mod told;
mod usage;

pub use core::Manager;
pub use event::{Effect, Event, Launch, Sample, Step};
pub use restore::Identity;
