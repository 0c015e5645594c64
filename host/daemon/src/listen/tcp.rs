//! The loopback TCP listener: on Linux the kernel says which user calls.

use std::io;
use std::net::SocketAddr;

use keyward::Caller;
use tokio::net::{TcpListener, TcpStream};

use super::prove::{LoopbackUsers, Wanted};
use super::site::Site;
use super::{ConnectionPermit, Listener, Server};
use crate::config::Origin;
use crate::exit::Failure;

/// A bound TCP listener.
pub(super) struct LoopbackListener {
    pub(super) address: SocketAddr,
    listener: TcpListener,
    users: LoopbackUsers,
    site: Site,
}

pub(super) async fn bind(
    address: SocketAddr,
    origins: &[Origin],
    wanted: Wanted,
) -> Result<LoopbackListener, Failure> {
    let listener = open(address).await?;
    let address = listener.local_addr().map_err(Failure::system)?;
    let users = LoopbackUsers::open(wanted, address)?;
    Ok(LoopbackListener {
        address,
        listener,
        users,
        site: Site::tcp("http", address, &[], origins),
    })
}

pub(super) async fn open(address: SocketAddr) -> Result<TcpListener, Failure> {
    let listener = TcpListener::bind(address).await;
    listener.map_err(|error| Failure::system(format!("cannot listen at {address}: {error}")))
}

impl Listener for LoopbackListener {
    type Connection = std::net::TcpStream;

    async fn accept(&self) -> io::Result<(Self::Connection, Caller)> {
        accept(&self.listener, &self.users).await
    }

    fn serve(
        &self,
        connection: Self::Connection,
        caller: Caller,
        server: &Server,
        permit: ConnectionPermit,
    ) {
        let open = || async { Ok((TcpStream::from_std(connection)?, caller)) };
        server.serve_on_worker(open, self.site.clone(), permit);
    }
}

/// Accepts a connection, and disables Nagle's algorithm for it.
pub(super) async fn accept(
    listener: &TcpListener,
    users: &LoopbackUsers,
) -> io::Result<(std::net::TcpStream, Caller)> {
    let (stream, peer) = listener.accept().await?;
    stream.set_nodelay(true)?;
    let caller = users.caller(&stream, peer);
    Ok((stream.into_std()?, caller))
}
