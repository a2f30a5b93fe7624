//! Mailslots: many processes send short messages to one that reads them. A message is whole or not
//! there, sending never waits, and without a reader it fails.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _};
use std::os::windows::io::FromRawHandle as _;
use std::path::Path;

use uuid::Uuid;
use windows_sys::Win32::Foundation::INVALID_HANDLE_VALUE;
use windows_sys::Win32::System::Mailslots::CreateMailslotW;

use super::wide;

/// Where mailslots are.
const FOLDER: &str = r"\\.\mailslot\";

/// `MAILSLOT_WAIT_FOREVER`.
const WAIT_FOREVER: u32 = u32::MAX;

/// The longest message: a report and what it is wrapped in.
const LENGTH_MAX: usize = 64 * 1024;

/// The end that reads.
pub(super) struct Mailbox {
    slot: File,
    message: Vec<u8>,
}

impl Mailbox {
    /// Makes a mailslot with a name that nobody can guess, and writes that name to a file.
    pub(super) fn create(path: &Path) -> io::Result<Self> {
        let name = format!("dcm-{}", Uuid::new_v4().simple());
        let full = wide(&format!("{FOLDER}{name}"));
        // SAFETY: the name lives longer than the call; what it gives back is ours alone.
        let slot = unsafe {
            let handle = CreateMailslotW(full.as_ptr(), 0, WAIT_FOREVER, std::ptr::null());
            if handle == INVALID_HANDLE_VALUE {
                return Err(io::Error::last_os_error());
            }
            File::from_raw_handle(handle)
        };
        fs::write(path, name)?;
        Ok(Self { slot, message: vec![0; LENGTH_MAX] })
    }

    /// Waits for a message.
    pub(super) fn receive(&mut self) -> io::Result<&[u8]> {
        let length = self.slot.read(&mut self.message)?;
        Ok(&self.message[..length])
    }
}

/// Sends a message to the mailslot that a file names. `false`: nobody reads it.
pub(super) fn post(path: &Path, message: &[u8]) -> io::Result<bool> {
    if message.len() > LENGTH_MAX {
        return Err(io::Error::other(format!("the message is longer than {LENGTH_MAX} bytes")));
    }
    let name = match fs::read_to_string(path) {
        Ok(name) => name,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    // It is being written at this moment.
    if name.strip_prefix("dcm-").is_none_or(|id| Uuid::try_parse(id).is_err()) {
        return Ok(false);
    }
    match OpenOptions::new().write(true).open(format!("{FOLDER}{name}")) {
        Ok(mut slot) => io::Write::write_all(&mut slot, message).map(|()| true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_arrive_whole_and_without_a_reader_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("control");
        assert!(!post(&path, b"x").unwrap());
        let mut mailbox = Mailbox::create(&path).unwrap();
        let long = vec![b'y'; 5000];
        assert!(post(&path, b"first").unwrap());
        assert!(post(&path, &long).unwrap());
        assert_eq!(mailbox.receive().unwrap(), b"first");
        assert_eq!(mailbox.receive().unwrap(), long);
        drop(mailbox);
        assert!(!post(&path, b"x").unwrap());
    }
}
