//! The loopback TCP listener: on Linux the kernel says which user calls.

use std::io;
use std::net::SocketAddr;

use keyward::Caller;
use tokio::net::{TcpListener, TcpStream};

use super::prove::{LoopbackUsers, Wanted};
use super::site::Site;
use super::{ConnectionPermit, Identified, Listener, Server};
use crate::config::Origin;
use crate::exit::Failure;

/// A bound TCP listener.
pub(super) struct LoopbackListener {
    pub(super) address: SocketAddr,
    listener: TcpListener,
    users: LoopbackUsers,
    site: Site,
}

pub(super) fn bind(
    listener: TcpListener,
    origins: &[Origin],
    wanted: Wanted,
) -> Result<LoopbackListener, Failure> {
    let address = listener.local_addr().map_err(Failure::system)?;
    let users = LoopbackUsers::open(wanted, address)?;
    Ok(LoopbackListener {
        address,
        listener,
        users,
        site: Site::tcp("http", address, &[], origins),
    })
}

/// Listens at an address, or takes a listener that the service manager has bound to it.
pub(super) async fn open(
    address: SocketAddr,
    inherited: Option<std::net::TcpListener>,
) -> Result<TcpListener, Failure> {
    if let Some(listener) = inherited {
        return TcpListener::from_std(listener).map_err(Failure::system);
    }
    let listener = TcpListener::bind(address).await;
    listener.map_err(|error| Failure::system(format!("cannot listen at {address}: {error}")))
}

impl Listener for LoopbackListener {
    type Accepted = (TcpStream, SocketAddr);
    type Connection = std::net::TcpStream;

    async fn accept(&self) -> io::Result<Self::Accepted> {
        self.listener.accept().await
    }

    fn identify(&self, accepted: Self::Accepted) -> io::Result<(Self::Connection, Caller)> {
        identify(accepted, &self.users)
    }

    fn serve(
        &self,
        connection: Self::Connection,
        caller: Caller,
        server: &Server,
        permit: ConnectionPermit,
    ) {
        let open = || async { Ok((TcpStream::from_std(connection)?, Identified::now(caller))) };
        server.serve_on_worker(open, self.site.clone(), permit);
    }
}

/// Identifies the caller of a connection that was just accepted, and disables Nagle's algorithm.
pub(super) fn identify(
    (stream, peer): (TcpStream, SocketAddr),
    users: &LoopbackUsers,
) -> io::Result<(std::net::TcpStream, Caller)> {
    stream.set_nodelay(true)?;
    let caller = users.caller(&stream, peer);
    Ok((stream.into_std()?, caller))
}
