//! Tests of the program as a whole, with real processes and a real database.

mod adoption;
mod apps;
mod architecture;
mod bad_apps;
mod cli;
mod commands;
mod database_faults;
mod fleet;
mod run_app;
mod schedules;
mod sql;
mod store_contract;
