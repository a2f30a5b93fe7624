//! Tests of the program as a whole, with real processes and a real database. They send signals;
//! `tests/windows.sh` is for the platform that has none.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![expect(clippy::disallowed_methods, reason = "a test's own patience is not the product's time")]
#![expect(clippy::print_stderr, reason = "a failed test tells what the manager said")]

mod adoption;
mod answers;
mod apps;
mod architecture;
mod bad_apps;
mod cli;
mod commands;
mod console;
mod console_answers;
mod console_bytes;
mod console_hostile;
mod console_keys;
mod console_memory;
mod console_plain;
mod console_signals;
mod console_story;
mod console_tmux;
mod copy;
mod database_faults;
mod database_files;
mod decisions;
mod demo;
mod fleet;
mod history;
mod host_faults;
mod host_limits;
mod hostile_rows;
mod hostile_text;
mod issuers;
mod made_up;
mod managers;
mod output;
mod picture;
mod postgres;
mod postgres_away;
mod postgres_bad;
mod postgres_cuts;
mod postgres_faults;
mod postgres_held;
mod postgres_hosts;
mod postgres_logs;
mod postgres_pooler;
mod postgres_roles;
mod postgres_slow;
mod presence;
mod proxy;
mod recorder;
mod run_app;
mod schedules;
mod seats;
mod set_aside;
mod soak;
mod sql;
mod state_dir;
mod stop_apps;
mod stops;
mod store_contract;
mod terminal;
mod wire;
mod zones;
