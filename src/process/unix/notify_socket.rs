//! The socket of a service manager, and whether standard error leads to the journal.

use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use nix::sys::stat::fstat;

/// How long a message may wait for room: the manager must not wait for who listens.
const PATIENCE: Duration = Duration::from_millis(100);

/// Where datagrams go that say how this process is doing.
#[derive(Debug)]
pub(in crate::process) struct NotifySocket {
    socket: UnixDatagram,
    address: SocketAddr,
}

impl NotifySocket {
    /// A path, or with `@` in front a name of the abstract name space.
    pub(in crate::process) fn open(address: &str) -> io::Result<Self> {
        let address = match address.strip_prefix('@') {
            Some(name) => SocketAddr::from_abstract_name(name)?,
            None if address.starts_with('/') => SocketAddr::from_pathname(address)?,
            None => return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no path and no @NAME")),
        };
        let socket = UnixDatagram::unbound()?;
        socket.set_write_timeout(Some(PATIENCE))?;
        Ok(Self { socket, address })
    }

    pub(in crate::process) fn send(&self, message: &str) -> io::Result<()> {
        self.socket.send_to_addr(message.as_bytes(), &self.address).map(drop)
    }
}

/// Whether standard error is the stream that JOURNAL_STREAM names: device and inode.
pub(in crate::process) fn is_journal(stream: &str) -> bool {
    let Some((device, inode)) = stream.split_once(':') else { return false };
    fstat(io::stderr())
        .is_ok_and(|found| device.parse() == Ok(found.st_dev) && inode.parse() == Ok(found.st_ino))
}
