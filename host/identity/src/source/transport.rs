//! HTTP to an identity endpoint: one request a connection, never through a proxy.

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

use super::Tls;
use crate::clock::{Clock, within};

/// The longest answer that is read, in bytes.
const LONGEST: usize = 64 * 1024;

/// The endpoints are on this machine or its link: one that does not take a connection by then is not there.
const CONNECT: Duration = Duration::from_secs(2);

/// What is sent.
pub(crate) type Body = Full<Bytes>;

/// An answer, whole.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    /// Zeroed when it has been read: there may be a token in it.
    pub(crate) body: Zeroizing<Vec<u8>>,
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum Failure {
    /// No connection was made.
    Unreachable(String),
    /// The connection broke, or took too long.
    Broken(String),
    /// The server's certificate is not the one that it should have.
    Untrusted(String),
}

/// Sends one request at a time to one endpoint, each on a connection of its own: IMDS closes idle ones soon, and requests
/// are rare. It connects to the host in the address and to nothing else, since a proxy that is meant for the internet must
/// never see a request to IMDS; no proxy setting is ever read, and a redirect is an answer like any other.
#[derive(Clone)]
pub(crate) struct Transport {
    timeout: Duration,
    clock: Arc<dyn Clock>,
    tls: Tls,
    addresses: Arc<Addresses>,
}

/// Addresses of hosts and ports for which DNS is not asked.
pub(crate) type Addresses = BTreeMap<(String, u16), SocketAddr>;

impl Transport {
    pub(crate) fn new(timeout: Duration, clock: Arc<dyn Clock>, tls: Tls, addresses: Arc<Addresses>) -> Self {
        Self { timeout, clock, tls, addresses }
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Result<Answer, Failure> {
        match within(&*self.clock, self.timeout, self.exchange(request)).await {
            Some(answer) => answer,
            None => Err(Failure::Broken(format!("no whole answer within {} s", self.timeout.as_secs_f32()))),
        }
    }

    async fn exchange(&self, mut request: Request<Body>) -> Result<Answer, Failure> {
        let none = || Failure::Unreachable("its address has no host".to_owned());
        let uri = std::mem::take(request.uri_mut());
        let authority = uri.authority().ok_or_else(none)?;
        let https = uri.scheme() == Some(&http::uri::Scheme::HTTPS);
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        let port = authority.port_u16().unwrap_or(if https { 443 } else { 80 });

        let header = HeaderValue::from_str(authority.as_str()).map_err(|_| none())?;
        request.headers_mut().insert(http::header::HOST, header);
        let target = uri.path_and_query().map_or("/", |target| target.as_str());
        // "http://host?query" has no path, and a request needs one.
        let root = if target.starts_with('/') { "" } else { "/" };
        *request.uri_mut() = format!("{root}{target}").parse::<Uri>().map_err(|_| none())?;

        let pinned = self.addresses.get(&(host.to_ascii_lowercase(), port));
        let connecting = async {
            match pinned {
                Some(address) => TcpStream::connect(address).await,
                None => TcpStream::connect((host, port)).await,
            }
        };
        let stream = match within(&*self.clock, CONNECT.min(self.timeout), connecting).await {
            Some(stream) => stream.map_err(|error| Failure::Unreachable(error.to_string()))?,
            None => return Err(Failure::Unreachable("no connection in time".to_owned())),
        };
        // Without it the request is whole all the same, if later.
        let _ = stream.set_nodelay(true);
        if https {
            let name = ServerName::try_from(host.to_owned()).map_err(|_| none())?;
            let stream = self.tls.connector()?.connect(name, stream).await.map_err(|error| distrust(&error))?;
            converse(stream, request).await
        } else {
            converse(stream, request).await
        }
    }
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transport").field("timeout", &self.timeout).field("tls", &self.tls).finish_non_exhaustive()
    }
}

async fn converse<S>(stream: S, request: Request<Body>) -> Result<Answer, Failure>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let broken = |error: hyper::Error| Failure::Broken(innermost(&error));
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
    let exchange = async {
        let response = sender.send_request(request).await.map_err(broken)?;
        let (parts, body) = response.into_parts();
        let mut body = Limited::new(body, LONGEST);
        let mut bytes = Zeroizing::new(Vec::with_capacity(LONGEST));
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| Failure::Broken(innermost(&*error)))?;
            if let Some(data) = frame.data_ref() {
                bytes.extend_from_slice(data);
            }
        }
        Ok(Answer { status: parts.status, headers: parts.headers, body: bytes })
    };
    // What ends the connection, the exchange hears as well.
    let connection = async {
        let _ = connection.await;
        std::future::pending().await
    };
    tokio::select! {
        answer = exchange => answer,
        never = connection => never,
    }
}

fn distrust(error: &std::io::Error) -> Failure {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(error @ rustls::Error::InvalidCertificate(_)) => Failure::Untrusted(error.to_string()),
        _ => Failure::Broken(error.to_string()),
    }
}

/// The first cause of an error: "Connection refused" says more than "client error (Connect)".
fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}
