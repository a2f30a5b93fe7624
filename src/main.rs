//! The program: a shim if it is called as one, else the command line.

use std::process::ExitCode;

fn main() -> ExitCode {
    dcm::process::reset_signals();
    // A shim takes as little memory as can be: nothing else is set up for it.
    dcm::process::become_shim().unwrap_or_else(dcm::cli::run)
}
