//! The loopback TCP listener: any process on this machine may call.

use std::io;
use std::net::SocketAddr;

use keyward::Caller;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::OwnedSemaphorePermit;

use super::site::Site;
use super::{Listener, Server};
use crate::config::Origin;
use crate::exit::Failure;

/// A bound TCP listener.
pub(super) struct LoopbackListener {
    pub(super) address: SocketAddr,
    listener: TcpListener,
    site: Site,
}

pub(super) async fn bind(
    address: SocketAddr,
    origins: &[Origin],
) -> Result<LoopbackListener, Failure> {
    let listener = open(address).await?;
    let address = listener.local_addr().map_err(Failure::system)?;
    Ok(LoopbackListener { address, listener, site: Site::loopback("http", address, origins) })
}

pub(super) async fn open(address: SocketAddr) -> Result<TcpListener, Failure> {
    let listener = TcpListener::bind(address).await;
    listener.map_err(|error| Failure::system(format!("cannot listen at {address}: {error}")))
}

impl Listener for LoopbackListener {
    type Connection = std::net::TcpStream;

    async fn accept(&self) -> io::Result<(Self::Connection, Caller)> {
        accept(&self.listener).await
    }

    fn serve(
        &self,
        connection: Self::Connection,
        caller: Caller,
        server: &Server,
        permit: OwnedSemaphorePermit,
    ) {
        let open = || async { TcpStream::from_std(connection) };
        server.serve_on_worker(open, caller, self.site.clone(), permit);
    }
}

/// Accepts a connection, and disables Nagle's algorithm for it.
pub(super) async fn accept(listener: &TcpListener) -> io::Result<(std::net::TcpStream, Caller)> {
    let (stream, peer) = listener.accept().await?;
    stream.set_nodelay(true)?;
    Ok((stream.into_std()?, Caller::Anybody { peer }))
}
