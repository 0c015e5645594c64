//! The HTTP client of one mount: its connections are shared with no other.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper_util::client::legacy;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::ClientConfig;
use wasmtime_wasi_http::WasiBody;

use super::connect::Connector;
use super::resolve::Resolve;

/// How long an unused connection is kept. Azure's front ends close theirs after minutes.
const IDLE: Duration = Duration::from_secs(60);

/// How many unused connections are kept.
const MOST_IDLE: usize = 128;

/// A pool of connections, HTTP/1.1 only: one request at a time on each, so that no call can stand in another's way.
#[derive(Clone)]
pub(crate) struct Client(legacy::Client<Connector, WasiBody>);

impl Client {
    pub(crate) fn new(
        tls: Arc<ClientConfig>,
        resolver: Arc<dyn Resolve>,
        pinned: Arc<BTreeMap<(String, u16), SocketAddr>>,
        connect_timeout: Duration,
    ) -> Self {
        let connector = Connector::new(tls, resolver, pinned, connect_timeout);
        let mut builder = legacy::Client::builder(TokioExecutor::new());
        builder.pool_timer(TokioTimer::new()).pool_idle_timeout(IDLE).pool_max_idle_per_host(MOST_IDLE);
        builder.http1_max_headers(200);
        Self(builder.build(connector))
    }

    /// Sends a request whose URI is absolute.
    pub(crate) async fn send(&self, request: Request<WasiBody>) -> Result<Response<Incoming>, legacy::Error> {
        self.0.request(request).await
    }
}
