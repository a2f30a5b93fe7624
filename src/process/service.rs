//! What is known of a service to the service manager of the host, where that is asked by calls: on Windows.

use std::io;

use super::sys::scm;

/// A service that is registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegisteredService {
    /// Program and arguments, as the service manager starts them.
    pub command: String,
    /// Whether it starts by itself (`auto`, `demand`, `disabled`).
    pub start: &'static str,
    /// Whether it runs.
    pub state: ServiceState,
    /// Its process, while it runs.
    pub pid: Option<u32>,
    /// How it ended the last time; 0 is good.
    pub exit_code: u32,
}

/// Whether a service runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServiceState {
    /// It does not.
    Stopped,
    /// It is about to.
    Starting,
    /// It does.
    Running,
    /// It is about to end.
    Stopping,
    /// It is paused, which a manager never is.
    Paused,
}

/// What a program is registered as.
#[derive(Debug, Clone, Copy)]
pub struct NewService<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its name for people.
    pub title: &'a str,
    /// What it does.
    pub description: &'a str,
    /// The program.
    pub program: &'a std::path::Path,
    /// Its arguments.
    pub arguments: &'a [String],
}

/// What is known of a service; `None` where none of this name is registered.
///
/// # Errors
/// When it cannot be asked.
pub fn find(name: &str) -> io::Result<Option<RegisteredService>> {
    scm::find(name)
}

/// Registers a service, or changes what is registered: it starts with the host, and again when it fails.
///
/// # Errors
/// When this user may not, for example.
pub fn register(new: &NewService<'_>) -> io::Result<()> {
    scm::register(new)
}

/// Takes a service off the list.
///
/// # Errors
/// When this user may not, for example.
pub fn remove(name: &str) -> io::Result<()> {
    scm::remove(name)
}

/// Asks for the start of a service; one that runs does so already.
///
/// # Errors
/// When it cannot be started.
pub fn start(name: &str) -> io::Result<()> {
    scm::start(name)
}

/// Asks a service to end; one that does not run has ended already.
///
/// # Errors
/// When it cannot be asked.
pub fn stop(name: &str) -> io::Result<()> {
    scm::stop(name)
}
