//! Settings of all sources that use HTTP.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::rate_limit::RateLimit;
use super::retry::Retry;
use super::tls::Tls;
use super::transport::{Addresses, Transport};
use crate::clock::{Clock, SystemClock};

/// The default time limit of a request to an endpoint.
const TIMEOUT: Duration = Duration::from_secs(5);

/// How a source talks to its endpoint.
#[derive(Clone)]
pub struct Settings {
    pub(super) retry: Retry,
    timeout: Option<Duration>,
    pub(super) rate_limit: RateLimit,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) tls: Tls,
    addresses: Arc<Addresses>,
}

impl Default for Settings {
    /// 5 seconds for a request, 30 for all attempts together (70 while the endpoint responds with
    /// 410), 5 requests in flight and 20 a second, the system's clock and trust anchors.
    fn default() -> Self {
        Self {
            retry: Retry::default(),
            timeout: None,
            rate_limit: RateLimit::default(),
            clock: Arc::new(SystemClock::default()),
            tls: Tls::system(),
            addresses: Arc::default(),
        }
    }
}

impl Settings {
    /// How long requests are retried.
    #[must_use]
    pub fn retry(mut self, retry: Retry) -> Self {
        self.retry = retry;
        self
    }

    /// The time limit of one request.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// The rate limit of the endpoint. Sources with the same endpoint should share one.
    #[must_use]
    pub fn rate_limit(mut self, rate_limit: RateLimit) -> Self {
        self.rate_limit = rate_limit;
        self
    }

    /// The clock.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// TLS trust anchors. [`WorkloadIdentity`](super::WorkloadIdentity) is the only source that
    /// uses them: [`ServiceFabric`](super::ServiceFabric) pins its endpoint's certificate, and the
    /// others do not use TLS.
    #[must_use]
    pub fn tls(mut self, tls: Tls) -> Self {
        self.tls = tls;
        self
    }

    /// Addresses of hosts and ports that are not resolved with DNS, such as the authority of a
    /// private cloud. Hosts are in lower case. Certificates must still be valid for the host.
    #[must_use]
    pub fn addresses(mut self, addresses: BTreeMap<(String, u16), SocketAddr>) -> Self {
        self.addresses = Arc::new(addresses);
        self
    }

    /// The time limit of one request, or its default.
    pub(super) fn request_timeout(&self) -> Duration {
        self.timeout.unwrap_or(TIMEOUT)
    }

    /// The time limit of one request, if it was set.
    pub(super) fn explicit_timeout(&self) -> Option<Duration> {
        self.timeout
    }

    pub(super) fn transport(&self) -> Transport {
        let (clock, addresses) = (Arc::clone(&self.clock), Arc::clone(&self.addresses));
        Transport::new(self.request_timeout(), clock, self.tls.clone(), addresses)
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("retry", &self.retry)
            .field("timeout", &self.timeout)
            .field("rate_limit", &self.rate_limit)
            .field("tls", &self.tls)
            .finish_non_exhaustive()
    }
}
