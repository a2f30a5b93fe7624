//! Services are the matter of systemd here, which is asked by its own program.

use std::io;

use crate::process::service::{NewService, RegisteredService};

fn unsupported<T>() -> io::Result<T> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "there is no service control manager on this system"))
}

/// Not here.
pub(in crate::process) fn find(_name: &str) -> io::Result<Option<RegisteredService>> {
    unsupported()
}

/// Not here.
pub(in crate::process) fn register(_new: &NewService<'_>) -> io::Result<()> {
    unsupported()
}

/// Not here.
pub(in crate::process) fn remove(_name: &str) -> io::Result<()> {
    unsupported()
}

/// Not here.
pub(in crate::process) fn start(_name: &str) -> io::Result<()> {
    unsupported()
}

/// Not here.
pub(in crate::process) fn stop(_name: &str) -> io::Result<()> {
    unsupported()
}
