//! The HTTP client of one mount: its connections are shared with no other.

use std::thread::available_parallelism;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper_util::client::legacy;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use wasmtime_wasi_http::WasiBody;

use super::connect::Connector;
use crate::thread::thread_number;

/// How long an unused connection is kept. Azure's front ends close theirs after minutes.
const IDLE: Duration = Duration::from_secs(60);

/// How many unused connections each thread keeps.
const MOST_IDLE: usize = 128;

/// How many bytes a connection reads ahead, and the longest head of a response. Hyper's own 400 KiB
/// made sixteen large transfers take 70 MiB, and made none of them faster: TLS gives 16 KiB at a
/// time.
const BUFFER: usize = 128 << 10;

/// A pool of connections for each thread, HTTP/1.1 only: one request at a time on each connection,
/// so that no call can stand in another's way, and no thread waits for another's connection.
pub(crate) struct Client {
    first: legacy::Client<Connector, WasiBody>,
    /// Those of the other threads.
    others: Box<[legacy::Client<Connector, WasiBody>]>,
}

impl Client {
    pub(crate) fn new(connector: &Connector) -> Self {
        let mut builder = legacy::Client::builder(TokioExecutor::new());
        builder
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(MOST_IDLE);
        builder.http1_max_headers(200).http1_max_buf_size(BUFFER);
        let threads = available_parallelism().map_or(1, std::num::NonZero::get);
        let pool = || builder.build(connector.clone());
        Self { first: pool(), others: (1..threads).map(|_| pool()).collect() }
    }

    /// Sends a request whose URI is absolute.
    pub(crate) async fn send(
        &self,
        request: Request<WasiBody>,
    ) -> Result<Response<Incoming>, legacy::Error> {
        let pool = match thread_number() % (self.others.len() + 1) {
            0 => None,
            number => self.others.get(number - 1),
        };
        pool.unwrap_or(&self.first).request(request).await
    }
}
