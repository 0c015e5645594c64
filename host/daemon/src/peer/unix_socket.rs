//! The process at the other end of a Unix socket.

use std::io;
use std::os::fd::AsFd;

use rustix::io::Errno;

use super::Process;
use super::known_id::known;
use super::{sockopt, unit};

/// The process that connected to a Unix socket, as it was then. Its unit is read now, if it is
/// wanted: about ten more system calls.
///
/// # Errors
///
/// It is not a socket, or was never connected.
pub(crate) fn of(socket: &impl AsFd, want_unit: bool) -> io::Result<Process> {
    let socket = socket.as_fd();
    let peer = sockopt::credentials(socket)?;
    let groups = match sockopt::groups(socket) {
        // Not Linux itself, but a sandbox that behaves like an old one.
        Err(error) if Errno::from_io_error(&error) == Some(Errno::NOPROTOOPT) => Vec::new(),
        groups => groups?,
    };
    let unit = if want_unit {
        unit::of_peer(socket, peer)
            .inspect_err(|error| tracing::debug!(pid = peer.pid, %error, "unit not proven"))
            .ok()
    } else {
        None
    };
    Ok(Process {
        uid: known(peer.uid),
        gid: known(peer.gid),
        groups: groups.into_iter().filter_map(known).collect(),
        pid: (peer.pid > 0).then_some(peer.pid),
        unit,
    })
}

#[cfg(test)]
mod tests;
