//! The loopback listener: anybody on this machine may call.

use std::io;
use std::net::SocketAddr;

use keyward::Caller;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::OwnedSemaphorePermit;

use super::http::Door;
use super::{House, TakesConnections};
use crate::exit::Failure;

pub(super) async fn bind(address: SocketAddr) -> Result<TcpListener, Failure> {
    let listener = TcpListener::bind(address).await;
    listener.map_err(|error| Failure::system(format!("cannot listen at {address}: {error}")))
}

impl TakesConnections for TcpListener {
    type Connection = std::net::TcpStream;

    async fn accept(&self) -> io::Result<(Self::Connection, Caller)> {
        accept(self).await
    }

    fn serve(&self, connection: Self::Connection, caller: Caller, house: &House, place: OwnedSemaphorePermit) {
        house.serve(|| async { TcpStream::from_std(connection) }, caller, Door::Loopback, place);
    }
}

/// The next connection.
pub(super) async fn accept(listener: &TcpListener) -> io::Result<(std::net::TcpStream, Caller)> {
    let (stream, peer) = listener.accept().await?;
    stream.set_nodelay(true)?;
    Ok((stream.into_std()?, Caller::Anybody { peer }))
}
