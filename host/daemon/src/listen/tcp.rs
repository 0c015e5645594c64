//! The loopback TCP listener: any process on this machine may call.

use std::io;
use std::net::SocketAddr;

use keyward::Caller;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::OwnedSemaphorePermit;

use super::http::ListenerKind;
use super::{Listener, Server};
use crate::exit::Failure;

pub(super) async fn bind(address: SocketAddr) -> Result<TcpListener, Failure> {
    let listener = TcpListener::bind(address).await;
    listener.map_err(|error| Failure::system(format!("cannot listen at {address}: {error}")))
}

impl Listener for TcpListener {
    type Connection = std::net::TcpStream;

    async fn accept(&self) -> io::Result<(Self::Connection, Caller)> {
        accept(self).await
    }

    fn serve(
        &self,
        connection: Self::Connection,
        caller: Caller,
        server: &Server,
        permit: OwnedSemaphorePermit,
    ) {
        let open = || async { TcpStream::from_std(connection) };
        server.serve_on_worker(open, caller, ListenerKind::Tcp, permit);
    }
}

/// Accepts a connection, and disables Nagle's algorithm for it.
pub(super) async fn accept(listener: &TcpListener) -> io::Result<(std::net::TcpStream, Caller)> {
    let (stream, peer) = listener.accept().await?;
    stream.set_nodelay(true)?;
    Ok((stream.into_std()?, Caller::Anybody { peer }))
}
