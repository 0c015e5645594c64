//! HTTP to an identity endpoint: on this machine or its link, never through a proxy.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt, Empty, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use zeroize::Zeroizing;

/// The longest answer that is read, in bytes.
const LONGEST: usize = 64 * 1024;

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
}

/// A client that sends one request at a time to one endpoint. `hyper` knows of no proxy settings, and that is why it is
/// used here: a proxy that is meant for the internet must never see a request to IMDS.
#[derive(Clone, Debug)]
pub(crate) struct Transport {
    client: Client<HttpConnector, Empty<Bytes>>,
    timeout: Duration,
}

impl Transport {
    pub(crate) fn new(timeout: Duration) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(timeout.min(Duration::from_secs(2))));
        connector.set_nodelay(true);
        // IMDS closes idle connections soon, and requests are rare: none is kept.
        let client = Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build(connector);
        Self { client, timeout }
    }

    pub(crate) async fn send(&self, request: Request<Empty<Bytes>>) -> Result<Answer, Failure> {
        match tokio::time::timeout(self.timeout, self.exchange(request)).await {
            Ok(answer) => answer,
            Err(_) => Err(Failure::Broken(format!("no whole answer within {} s", self.timeout.as_secs_f32()))),
        }
    }

    async fn exchange(&self, request: Request<Empty<Bytes>>) -> Result<Answer, Failure> {
        let response = self.client.request(request).await.map_err(|error| {
            let reason = innermost(&error);
            if error.is_connect() { Failure::Unreachable(reason) } else { Failure::Broken(reason) }
        })?;
        let (parts, body) = response.into_parts();
        let mut body = Limited::new(body, LONGEST);
        let mut bytes = Zeroizing::new(Vec::with_capacity(8 * 1024));
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| Failure::Broken(innermost(&*error)))?;
            if let Some(data) = frame.data_ref() {
                bytes.extend_from_slice(data);
            }
        }
        Ok(Answer { status: parts.status, headers: parts.headers, body: bytes })
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
