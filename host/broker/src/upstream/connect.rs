//! Makes connections: the name is resolved once, every address is checked, and the connection goes
//! to one of those.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::connect_error::ConnectError;
use super::read_on::ReadOn;
use super::resolve::Resolve;
use keyward_policy::address::forbidden;

/// Connects one mount to its endpoints.
#[derive(Clone)]
pub(crate) struct Connector(Arc<Shared>);

struct Shared {
    tls: TlsConnector,
    resolver: Arc<dyn Resolve>,
    pinned: Arc<BTreeMap<(String, u16), SocketAddr>>,
    timeout: Duration,
}

impl Connector {
    pub(crate) fn new(
        tls: Arc<ClientConfig>,
        resolver: Arc<dyn Resolve>,
        pinned: Arc<BTreeMap<(String, u16), SocketAddr>>,
        timeout: Duration,
    ) -> Self {
        Self(Arc::new(Shared { tls: TlsConnector::from(tls), resolver, pinned, timeout }))
    }
}

impl Connector {
    /// A connection without TLS, to one of the addresses that were checked. Whoever asks sees to it
    /// that it takes no longer than it may.
    pub(crate) async fn tcp(&self, host: &str, port: u16) -> Result<TcpStream, ConnectError> {
        connect_first(host, &self.addresses(host, port).await?).await
    }

    /// The addresses of a host, all of which were checked.
    pub(crate) async fn addresses(
        &self,
        host: &str,
        port: u16,
    ) -> Result<Vec<SocketAddr>, ConnectError> {
        self.0.addresses(host, port).await
    }

    /// A connection with TLS.
    pub(crate) async fn tls(&self, host: &str, port: u16) -> Result<TlsConnection, ConnectError> {
        self.0.connect_in_time(host, port).await
    }
}

impl Shared {
    async fn connect_in_time(&self, host: &str, port: u16) -> Result<TlsConnection, ConnectError> {
        match tokio::time::timeout(self.timeout, self.connect(host, port)).await {
            Ok(connection) => connection,
            Err(_) => Err(ConnectError::TimedOut { host: host.to_owned() }),
        }
    }

    async fn connect(&self, host: &str, port: u16) -> Result<TlsConnection, ConnectError> {
        let addresses = self.addresses(host, port).await?;
        let name = ServerName::try_from(host.to_owned()).map_err(|error| ConnectError::Tls {
            host: host.to_owned(),
            source: io::Error::new(io::ErrorKind::InvalidInput, error),
        })?;
        let tcp = connect_first(host, &addresses).await?;
        let tls = self.tls.connect(name, tcp).await;
        let tls = tls.map_err(|source| ConnectError::Tls { host: host.to_owned(), source })?;
        Ok(TlsConnection(TokioIo::new(tls)))
    }

    async fn addresses(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, ConnectError> {
        if let Some(pinned) = self.pinned.get(&(host.to_owned(), port)) {
            return Ok(vec![*pinned]);
        }
        let resolve_error = |source| ConnectError::Resolve { host: host.to_owned(), source };
        let addresses = self.resolver.resolve(host, port).await.map_err(resolve_error)?;
        if addresses.is_empty() {
            return Err(resolve_error(io::Error::new(
                io::ErrorKind::NotFound,
                "it has no address",
            )));
        }
        // One bad address spoils the name: whoever put it there may try again.
        for address in &addresses {
            if let Some(why) = forbidden(address.ip()) {
                return Err(ConnectError::Forbidden {
                    host: host.to_owned(),
                    address: address.ip(),
                    why,
                });
            }
        }
        Ok(addresses)
    }
}

#[allow(clippy::disallowed_methods, reason = "the addresses have been checked")]
async fn connect_first(host: &str, addresses: &[SocketAddr]) -> Result<TcpStream, ConnectError> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "it has no address");
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(stream) => {
                let nodelay = stream.set_nodelay(true);
                return nodelay
                    .map(|()| stream)
                    .map_err(|source| ConnectError::Connect { host: host.to_owned(), source });
            }
            Err(error) => last = error,
        }
    }
    Err(ConnectError::Connect { host: host.to_owned(), source: last })
}

impl tower_service::Service<Uri> for Connector {
    type Response = ReadOn<TlsConnection>;
    type Error = ConnectError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, ConnectError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ConnectError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let shared = Arc::clone(&self.0);
        Box::pin(async move {
            // The rules let only complete https URIs of an endpoint come here.
            let (host, port) = (uri.host().unwrap_or_default(), uri.port_u16().unwrap_or(443));
            shared.connect_in_time(host, port).await.map(ReadOn::new)
        })
    }
}

/// A connection with TLS on it.
pub(crate) struct TlsConnection(TokioIo<TlsStream<TcpStream>>);

impl Connection for TlsConnection {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl hyper::rt::Read for TlsConnection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: hyper::rt::ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl hyper::rt::Write for TlsConnection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(cx, slices)
    }
}
