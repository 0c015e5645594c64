//! What can be set for every source that speaks HTTP.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::transport::{Addresses, Transport};
use super::{Pace, Retry, Tls};
use crate::clock::{Clock, SystemClock};

/// How long one request to an endpoint may take.
const TIMEOUT: Duration = Duration::from_secs(5);

/// How a source speaks to its endpoint.
#[derive(Clone)]
pub struct Settings {
    pub(super) retry: Retry,
    timeout: Option<Duration>,
    pub(super) pace: Pace,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) tls: Tls,
    addresses: Arc<Addresses>,
}

impl Default for Settings {
    /// 5 seconds for a request, 30 for all attempts together (70 while the endpoint answers 410), 5 requests at once and 20
    /// a second, the system's clock and roots.
    fn default() -> Self {
        Self {
            retry: Retry::default(),
            timeout: None,
            pace: Pace::default(),
            clock: Arc::new(SystemClock::default()),
            tls: Tls::system(),
            addresses: Arc::default(),
        }
    }
}

impl Settings {
    /// How long it is tried.
    #[must_use]
    pub fn retry(mut self, retry: Retry) -> Self {
        self.retry = retry;
        self
    }

    /// How long one request may take.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// The pace of all requests from this machine. Sources for one endpoint should share one.
    #[must_use]
    pub fn pace(mut self, pace: Pace) -> Self {
        self.pace = pace;
        self
    }

    /// Another clock.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// TLS trust anchors. [`WorkloadIdentity`](super::WorkloadIdentity) is the only source that uses them:
    /// [`ServiceFabric`](super::ServiceFabric) pins its endpoint's certificate, and the others use no TLS.
    #[must_use]
    pub fn tls(mut self, tls: Tls) -> Self {
        self.tls = tls;
        self
    }

    /// Addresses of hosts and ports, for which DNS is not asked, such as the authority of a private cloud. Hosts are
    /// in lower case. The certificate must still be the host's.
    #[must_use]
    pub fn addresses(mut self, addresses: BTreeMap<(String, u16), SocketAddr>) -> Self {
        self.addresses = Arc::new(addresses);
        self
    }

    /// How long one request may take.
    pub(super) fn request_timeout(&self) -> Duration {
        self.timeout.unwrap_or(TIMEOUT)
    }

    /// The time of one request, where it was set.
    pub(super) fn own_timeout(&self) -> Option<Duration> {
        self.timeout
    }

    pub(super) fn transport(&self) -> Transport {
        Transport::new(self.request_timeout(), Arc::clone(&self.clock), self.tls.clone(), Arc::clone(&self.addresses))
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("retry", &self.retry)
            .field("timeout", &self.timeout)
            .field("pace", &self.pace)
            .field("tls", &self.tls)
            .finish_non_exhaustive()
    }
}
