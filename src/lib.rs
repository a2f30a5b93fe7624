#![doc = include_str!("ARCHITECTURE.md")]

pub mod broker;
pub mod cli;
pub mod config;
pub mod console;
mod files;
pub mod import;
pub mod manager;
pub mod metrics;
pub mod model;
pub mod notify;
pub mod pipeline;
pub mod process;
pub mod runtime;
pub mod service;
pub mod store;
pub mod wire;
