//! A client of a running daemon, over its Unix socket.

use std::io;
use std::path::Path;

use bytes::Bytes;
use http::header::HOST;
use http::{HeaderValue, Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;

use crate::exit::Failure;
use crate::sockets;

/// A connection to a daemon.
pub(super) struct DaemonClient {
    sender: SendRequest<Full<Bytes>>,
    connection: tokio::task::AbortHandle,
}

impl DaemonClient {
    /// Connects to a daemon's socket.
    pub(super) async fn connect(socket: &Path) -> io::Result<Self> {
        let stream = sockets::connect(socket).await?;
        let handshake = http1::handshake(TokioIo::new(stream)).await;
        let (sender, connection) = handshake.map_err(io::Error::other)?;
        Ok(Self { sender, connection: tokio::spawn(connection).abort_handle() })
    }

    /// Sends a request. The response's body can be read as long as this client exists.
    pub(super) async fn send(
        &mut self,
        mut request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, Failure> {
        request.headers_mut().insert(HOST, HeaderValue::from_static("localhost"));
        self.sender.send_request(request).await.map_err(Failure::unavailable)
    }
}

impl Drop for DaemonClient {
    fn drop(&mut self) {
        self.connection.abort();
    }
}
