//! The user at the other end of a loopback TCP connection.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd};

use netlink_packet_sock_diag::{TCP_CLOSE_WAIT, TCP_ESTABLISHED};

use super::known_id::known;
use super::sock_diag::{ANY_COOKIE, Addresses, Found, SockDiag};

/// Finds the users who own the other ends of loopback TCP connections.
///
/// A socket belongs to the user who created it: a process that creates sockets and then changes its
/// user, or passes them to other processes, is responsible for what these do.
#[derive(Debug)]
pub(crate) struct SocketOwners {
    kernel: SockDiag,
}

impl SocketOwners {
    /// For connections to a listener at this address, which this process has bound.
    ///
    /// # Errors
    ///
    /// The kernel does not report owners of sockets here.
    pub(crate) fn open(listener: SocketAddr) -> io::Result<Self> {
        let mut kernel = SockDiag::open()?;
        // Without its module `tcp_diag` the kernel finds no socket, and says nothing else.
        let nobody: IpAddr = match listener {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let addresses = Addresses { own: listener, other: (nobody, 0).into() };
        if kernel.find(addresses, ANY_COOKIE)?.is_none() {
            let error = "the kernel does not report TCP sockets: its module tcp_diag is missing";
            return Err(io::Error::new(io::ErrorKind::Unsupported, error));
        }
        Ok(Self { kernel })
    }

    /// The user who owns the other end of a connection that has just been accepted. Takes eight
    /// system calls, and does not block.
    ///
    /// `None` if the other end is not on this machine, or has begun to close the connection. The
    /// kernel reports sockets that no process has open as owned by root.
    ///
    /// # Errors
    ///
    /// The kernel did not respond as documented.
    pub(crate) fn uid_of_peer(&mut self, connection: &impl AsFd) -> io::Result<Option<u32>> {
        let connection = connection.as_fd();
        match addresses_of_peer(connection) {
            Some(addresses) => self.owner_while_connected(addresses, connection),
            None => Ok(None),
        }
    }

    /// While this end is connected, no other socket can have the addresses of the other end. If it
    /// was reset, another process may have them, although what was received before can be read.
    fn owner_while_connected(
        &mut self,
        addresses: Addresses,
        connection: BorrowedFd<'_>,
    ) -> io::Result<Option<u32>> {
        let owner = self.owner(addresses)?;
        Ok(owner.filter(|_| addresses_of_peer(connection) == Some(addresses)))
    }

    fn owner(&mut self, addresses: Addresses) -> io::Result<Option<u32>> {
        let first = self.kernel.find(addresses, ANY_COOKIE)?;
        let Some(first) = first.filter(|found| is_owned(found, addresses)) else {
            return Ok(None);
        };
        let second = self.kernel.find(addresses, first.cookie)?;
        let is_same = second.is_some_and(|second| {
            let same = (second.cookie, second.inode, second.uid);
            is_owned(&second, addresses) && same == (first.cookie, first.inode, first.uid)
        });
        Ok(known(first.uid).filter(|_| is_same))
    }
}

/// Whether a process has the socket open. The kernel reports others, such as those in `TIME_WAIT`,
/// as owned by root.
fn is_owned(found: &Found, addresses: Addresses) -> bool {
    let parts = |address: SocketAddr| (address.ip().to_canonical(), address.port());
    matches!(found.state, TCP_ESTABLISHED | TCP_CLOSE_WAIT)
        && found.inode != 0
        && (found.own, found.other) == (parts(addresses.own), parts(addresses.other))
}

/// The addresses of the socket at the other end. `None` if it cannot be on this machine, or this
/// end is not connected any more.
fn addresses_of_peer(connection: BorrowedFd<'_>) -> Option<Addresses> {
    let own = rustix::net::getpeername(connection).ok()??;
    let other = rustix::net::getsockname(connection).ok()?;
    let addresses = Addresses { own: own.try_into().ok()?, other: other.try_into().ok()? };
    let is_local = [addresses.own, addresses.other]
        .iter()
        .all(|address| address.ip().to_canonical().is_loopback());
    is_local.then_some(addresses)
}

#[cfg(test)]
mod tests;
