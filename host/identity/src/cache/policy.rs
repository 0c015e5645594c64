//! The durations of a cache.

use std::time::Duration;

/// When a cache renews tokens, and how long it waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Policy {
    /// A token is renewed when it has no more than this left. The platform's guidance asks for 5
    /// minutes. A token that lives for less than four times this is renewed when a quarter of its
    /// life is left.
    pub margin: Duration,
    /// How long a call waits for a renewal while the old token is still valid.
    pub max_wait: Duration,
    /// The pause after a first failure. It doubles with each further one.
    pub first_pause: Duration,
    /// The longest pause. It is also the least time between two renewals if the first returned a
    /// token that is due for renewal already, as an endpoint with a cache of its own may do.
    pub longest_pause: Duration,
    /// The least time between two replacements of rejected tokens. A service that rejects every
    /// token causes no more than one request to the endpoint in this time.
    pub rejection_pause: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            margin: Duration::from_secs(5 * 60),
            max_wait: Duration::from_secs(2),
            first_pause: Duration::from_secs(1),
            longest_pause: Duration::from_secs(30),
            rejection_pause: Duration::from_secs(60),
        }
    }
}
