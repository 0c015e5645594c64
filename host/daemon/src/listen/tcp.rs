//! The loopback listener: anybody on this machine may call.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use keyward::Caller;
use tokio::net::{TcpListener, TcpStream};

use super::House;
use super::http::Door;
use crate::exit::Failure;

pub(super) async fn bind(address: SocketAddr) -> Result<TcpListener, Failure> {
    let listener = TcpListener::bind(address).await;
    listener.map_err(|error| Failure::system(format!("cannot listen at {address}: {error}")))
}

pub(super) async fn serve(listener: TcpListener, mut house: House) {
    loop {
        let Some(place) = house.place().await else { break };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = house.stopped() => break,
        };
        let accepted = accepted.and_then(|(stream, peer)| {
            stream.set_nodelay(true)?;
            Ok((stream.into_std()?, Caller::Anybody { peer }))
        });
        match accepted {
            // Each worker watches its own connections.
            Ok((stream, caller)) => {
                house.serve(|| async { TcpStream::from_std(stream) }, caller, Door::Loopback, place);
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be taken");
                pause_when_exhausted(&error).await;
            }
        }
    }
}

/// With no file descriptors left, accepting fails at once, again and again.
pub(super) async fn pause_when_exhausted(error: &io::Error) {
    if error.kind() != io::ErrorKind::ConnectionAborted {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
