//! What this process tells the service manager that started it (`man 3 sd_notify`): systemd, by datagrams to the socket
//! that NOTIFY_SOCKET names.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::{clock, sys};

/// A service manager that wants to hear how this process is doing.
#[derive(Debug)]
pub struct ServiceManager {
    socket: sys::NotifySocket,
    watchdog: Option<Duration>,
    is_ready: AtomicBool,
}

impl ServiceManager {
    /// The one that these variables name; `None` where there is none. A watchdog of another process is not this one's.
    ///
    /// # Errors
    /// When the socket cannot be used.
    pub fn named_by(get: impl Fn(&str) -> Option<String>) -> io::Result<Option<Self>> {
        let Some(address) = get("NOTIFY_SOCKET") else { return Ok(None) };
        let socket = sys::NotifySocket::open(&address)
            .map_err(|error| io::Error::new(error.kind(), format!("NOTIFY_SOCKET={address}: {error}")))?;
        Ok(Some(Self {
            socket,
            watchdog: watchdog(get, std::process::id()),
            is_ready: AtomicBool::new(false),
        }))
    }

    /// How long this process may be silent, if the service manager watches that.
    #[must_use]
    pub fn watchdog(&self) -> Option<Duration> {
        self.watchdog
    }

    /// The start is over.
    ///
    /// # Errors
    /// When the message was not taken; it may be sent again.
    pub fn ready(&self) -> io::Result<()> {
        self.socket.send("READY=1")?;
        self.is_ready.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// This process works.
    ///
    /// # Errors
    /// When the message was not taken.
    pub fn alive(&self) -> io::Result<()> {
        self.socket.send("WATCHDOG=1")
    }

    /// What this process is doing, in words for people.
    ///
    /// # Errors
    /// When the message was not taken.
    pub fn status(&self, text: &str) -> io::Result<()> {
        self.socket.send(&format!("STATUS={}", text.replace(char::is_control, " ")))
    }

    /// The end has begun, and this is what becomes of the rest.
    ///
    /// # Errors
    /// When the message was not taken.
    pub fn stopping(&self, text: &str) -> io::Result<()> {
        self.socket.send(&format!("STOPPING=1\nSTATUS={text}"))
    }

    /// Reads the settings again, between the messages that say so. Before the start is over nothing is said: it would
    /// be over by that.
    ///
    /// # Errors
    /// When a message was not taken.
    pub fn reloading(&self, reload: impl FnOnce()) -> io::Result<()> {
        if !self.is_ready.load(Ordering::Relaxed) {
            reload();
            return Ok(());
        }
        let now = clock::monotonic_time().as_micros();
        let begun = self.socket.send(&format!("RELOADING=1\nMONOTONIC_USEC={now}"));
        reload();
        begun.and_then(|()| self.socket.send("READY=1"))
    }
}

fn watchdog(get: impl Fn(&str) -> Option<String>, pid: u32) -> Option<Duration> {
    let is_meant = get("WATCHDOG_PID").is_none_or(|meant| meant.parse() == Ok(pid));
    let micros = get("WATCHDOG_USEC").filter(|_| is_meant)?.parse().ok().filter(|micros| *micros > 0)?;
    Some(Duration::from_micros(micros))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_watchdog_is_that_of_this_process_alone() {
        let check = |micros: Option<&str>, pid: Option<&str>| {
            let get = |name: &str| if name == "WATCHDOG_USEC" { micros } else { pid }.map(str::to_owned);
            watchdog(get, 17).map(|every| every.as_millis())
        };
        for (micros, pid, expected) in [
            (Some("2000000"), Some("17"), Some(2000)),
            (Some("2000000"), None, Some(2000)),
            (Some("2000000"), Some("18"), None),
            (Some("2000000"), Some("x"), None),
            (Some("0"), Some("17"), None),
            (Some("soon"), None, None),
            (None, Some("17"), None),
        ] {
            assert_eq!(check(micros, pid), expected, "{micros:?} {pid:?}");
        }
    }
}
