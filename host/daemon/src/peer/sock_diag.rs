//! Questions to the kernel about TCP sockets of this machine (`NETLINK_SOCK_DIAG`), which need no
//! privileges.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;

use netlink_packet_core::{NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload};
use netlink_packet_sock_diag::inet::{ExtensionFlags, InetRequest, SocketId, StateFlags};
use netlink_packet_sock_diag::{AF_INET, AF_INET6, IPPROTO_TCP, SockDiagMessage};
use rustix::io::Errno;
use rustix::net::netlink::{SOCK_DIAG, SocketAddrNetlink};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};

/// Accepts a socket with any cookie (`INET_DIAG_NOCOOKIE`).
pub(super) const ANY_COOKIE: [u8; 8] = [0xff; 8];

/// A response has less than 400 bytes.
const MOST_BYTES: usize = 4096;

/// The addresses of a TCP socket: its own, and that of the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Addresses {
    pub(super) own: SocketAddr,
    pub(super) other: SocketAddr,
}

/// A TCP socket that the kernel found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) state: u8,
    pub(super) own: (IpAddr, u16),
    pub(super) other: (IpAddr, u16),
    /// The socket's number, which no other socket ever has.
    pub(super) cookie: [u8; 8],
    /// User that created the socket.
    pub(super) uid: u32,
    /// Zero if no process has the socket open.
    pub(super) inode: u32,
}

/// A netlink socket.
#[derive(Debug)]
pub(super) struct SockDiag {
    socket: OwnedFd,
    sequence: u32,
}

impl SockDiag {
    pub(super) fn open() -> io::Result<Self> {
        let (family, flags) = (AddressFamily::NETLINK, SocketFlags::CLOEXEC);
        let socket = rustix::net::socket_with(family, SocketType::RAW, flags, Some(SOCK_DIAG))?;
        // Then only the kernel can send to it.
        rustix::net::connect(&socket, &SocketAddrNetlink::new(0, 0))?;
        Ok(Self { socket, sequence: 0 })
    }

    /// Finds a socket by its addresses and its cookie. If there is no such socket, the kernel finds
    /// one that listens at `own`.
    pub(super) fn find(
        &mut self,
        addresses: Addresses,
        cookie: [u8; 8],
    ) -> io::Result<Option<Found>> {
        self.send(addresses, cookie)?;
        // The kernel responds before `send` returns.
        self.receive()
    }

    pub(super) fn send(&mut self, addresses: Addresses, cookie: [u8; 8]) -> io::Result<()> {
        let (own, other) = (addresses.own, addresses.other);
        let (source_address, destination_address) =
            (own.ip().to_canonical(), other.ip().to_canonical());
        let request = InetRequest {
            family: if source_address.is_ipv4() { AF_INET } else { AF_INET6 },
            protocol: IPPROTO_TCP,
            extensions: ExtensionFlags::empty(),
            states: StateFlags::all(),
            socket_id: SocketId {
                source_port: own.port(),
                destination_port: other.port(),
                source_address,
                destination_address,
                interface_id: 0,
                cookie,
            },
        };
        self.sequence = self.sequence.wrapping_add(1);
        let mut header = NetlinkHeader::default();
        header.flags = NLM_F_REQUEST;
        header.sequence_number = self.sequence;
        let mut message = NetlinkMessage::new(header, SockDiagMessage::InetRequest(request).into());
        message.finalize();
        let mut bytes = vec![0; message.buffer_len()];
        message.serialize(&mut bytes);
        rustix::net::send(&self.socket, &bytes, SendFlags::empty())?;
        Ok(())
    }

    /// Receives the response to the last request, and skips those to requests that failed halfway.
    fn receive(&mut self) -> io::Result<Option<Found>> {
        let mut buffer = [0; MOST_BYTES];
        loop {
            let (bytes, _) =
                rustix::net::recv(&self.socket, buffer.as_mut_slice(), RecvFlags::DONTWAIT)?;
            let bytes = buffer.get(..bytes).unwrap_or_default();
            let message = NetlinkMessage::<SockDiagMessage>::deserialize(bytes)
                .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
            if message.header.sequence_number == self.sequence {
                return found(message.payload);
            }
        }
    }
}

fn found(payload: NetlinkPayload<SockDiagMessage>) -> io::Result<Option<Found>> {
    match payload {
        NetlinkPayload::InnerMessage(SockDiagMessage::InetResponse(response)) => {
            let header = response.header;
            let id = header.socket_id;
            Ok(Some(Found {
                state: header.state,
                own: (id.source_address.to_canonical(), id.source_port),
                other: (id.destination_address.to_canonical(), id.destination_port),
                cookie: id.cookie,
                uid: header.uid,
                inode: header.inode,
            }))
        }
        NetlinkPayload::Error(error) => {
            let error = error.to_io();
            // No such socket; another cookie.
            let is_absent =
                matches!(Errno::from_io_error(&error), Some(Errno::NOENT | Errno::STALE));
            if is_absent { Ok(None) } else { Err(error) }
        }
        _ => Err(io::Error::new(io::ErrorKind::InvalidData, "unexpected netlink message")),
    }
}
