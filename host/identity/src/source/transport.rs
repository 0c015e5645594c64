//! HTTP to an identity endpoint: one request per connection, and never through a proxy.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, StatusCode, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use zeroize::Zeroizing;

use super::tls::Tls;
use crate::clock::{Clock, timeout};

/// The longest response body, in bytes.
const MAX_BODY: usize = 64 * 1024;

/// The time limit of a connection. Endpoints are on this machine or its link, and accept at once.
const CONNECT: Duration = Duration::from_secs(2);

/// The body of a request.
pub(super) type Body = Full<Bytes>;

/// A complete response.
pub(super) struct Response {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    /// Zeroed on drop: it may contain a token.
    pub(super) body: Zeroizing<Vec<u8>>,
}

/// Errors of requests.
#[derive(Debug)]
pub(super) enum Failure {
    /// The connection failed.
    Unreachable(String),
    /// The connection failed, or took too long.
    Broken(String),
    /// The server's certificate is not trusted.
    Untrusted(String),
}

/// Sends requests to an endpoint, each on its own connection: requests are rare, and IMDS closes
/// idle connections soon. It connects to the URL's host only: it reads no proxy settings, since a
/// proxy for the internet must never see a request to IMDS, and follows no redirects.
#[derive(Clone)]
pub(super) struct Transport {
    timeout: Duration,
    clock: Arc<dyn Clock>,
    tls: Tls,
    addresses: Arc<Addresses>,
}

/// Addresses of hosts and ports that are not resolved with DNS.
pub(super) type Addresses = BTreeMap<(String, u16), SocketAddr>;

impl Transport {
    pub(super) fn new(
        timeout: Duration,
        clock: Arc<dyn Clock>,
        tls: Tls,
        addresses: Arc<Addresses>,
    ) -> Self {
        Self { timeout, clock, tls, addresses }
    }

    pub(super) async fn send(&self, request: Request<Body>) -> Result<Response, Failure> {
        let response = timeout(&*self.clock, self.timeout, self.exchange(request)).await;
        response.unwrap_or_else(|| {
            let seconds = self.timeout.as_secs_f32();
            Err(Failure::Broken(format!("no complete response within {seconds} s")))
        })
    }

    async fn exchange(&self, mut request: Request<Body>) -> Result<Response, Failure> {
        let no_host = || Failure::Unreachable("the URL has no host".to_owned());
        let uri = std::mem::take(request.uri_mut());
        let authority = uri.authority().ok_or_else(no_host)?;
        let is_https = uri.scheme() == Some(&http::uri::Scheme::HTTPS);
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        let port = authority.port_u16().unwrap_or(if is_https { 443 } else { 80 });

        let header = HeaderValue::from_str(authority.as_str()).map_err(|_| no_host())?;
        request.headers_mut().insert(http::header::HOST, header);
        let target = uri.path_and_query().map_or("/", |target| target.as_str());
        // "http://host?query" has no path, but a request needs one.
        let root = if target.starts_with('/') { "" } else { "/" };
        *request.uri_mut() = format!("{root}{target}").parse::<Uri>().map_err(|_| no_host())?;

        let stream = self.connect(host, port).await?;
        if is_https {
            let name = ServerName::try_from(host.to_owned()).map_err(|_| no_host())?;
            let connector = self.tls.connector();
            let connector =
                connector.ok_or_else(|| Failure::Broken("TLS cannot be set up".to_owned()))?;
            let stream = connector.connect(name, stream).await.map_err(|error| failure(&error))?;
            exchange_on(stream, request).await
        } else {
            exchange_on(stream, request).await
        }
    }

    async fn connect(&self, host: &str, port: u16) -> Result<TcpStream, Failure> {
        let address = self.addresses.get(&(host.to_ascii_lowercase(), port));
        let connecting = async {
            match address {
                Some(address) => TcpStream::connect(address).await,
                None => TcpStream::connect((host, port)).await,
            }
        };
        let connected = timeout(&*self.clock, CONNECT.min(self.timeout), connecting).await;
        let stream = connected
            .ok_or_else(|| Failure::Unreachable("no connection in time".to_owned()))?
            .map_err(|error| Failure::Unreachable(error.to_string()))?;
        // Only latency depends on it.
        let _ = stream.set_nodelay(true);
        Ok(stream)
    }
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transport")
            .field("timeout", &self.timeout)
            .field("tls", &self.tls)
            .finish_non_exhaustive()
    }
}

async fn exchange_on<S>(stream: S, request: Request<Body>) -> Result<Response, Failure>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let broken = |error: hyper::Error| Failure::Broken(root_cause(&error));
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
    let exchange = async {
        let response = sender.send_request(request).await.map_err(broken)?;
        let (parts, body) = response.into_parts();
        let mut body = Limited::new(body, MAX_BODY);
        // The capacity suffices, so the buffer is never moved and zeroed as a whole.
        let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_BODY));
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| Failure::Broken(root_cause(&*error)))?;
            if let Some(data) = frame.data_ref() {
                bytes.extend_from_slice(data);
            }
        }
        Ok(Response { status: parts.status, headers: parts.headers, body: bytes })
    };
    // An error of the connection ends the exchange with an error too.
    let connection = async {
        let _ = connection.await;
        std::future::pending().await
    };
    tokio::select! {
        response = exchange => response,
        never = connection => never,
    }
}

fn failure(error: &std::io::Error) -> Failure {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(error @ rustls::Error::InvalidCertificate(_)) => Failure::Untrusted(error.to_string()),
        _ => Failure::Broken(error.to_string()),
    }
}

/// The last source of an error: "Connection refused" says more than "client error (Connect)".
fn root_cause(error: &(dyn std::error::Error + 'static)) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}
