//! What can be set for every source that speaks HTTP.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::transport::Transport;
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

    /// Whom to trust. Only [`WorkloadIdentity`](super::WorkloadIdentity) has an endpoint with an ordinary certificate.
    #[must_use]
    pub fn tls(mut self, tls: Tls) -> Self {
        self.tls = tls;
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
        Transport::new(self.request_timeout(), Arc::clone(&self.clock), self.tls.clone())
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
