//! The clocks of a sandbox.
//!
//! They are coarse, because a fine clock measures what it should not: what another mount's call
//! leaves in the processor's caches, or how long the host takes to compare a secret. Browsers
//! coarsen theirs to the same grain where pages are not isolated from each other.

use std::time::Duration;

use wasmtime_wasi::clocks::{HostMonotonicClock, HostWallClock, MonotonicClock, WallClock};

/// The smallest step of both clocks.
const GRAIN: Duration = Duration::from_micros(100);

/// A clock with the readings of another, rounded down to a multiple of [`GRAIN`].
#[derive(Default)]
pub(super) struct Coarse<C>(C);

impl HostWallClock for Coarse<WallClock> {
    fn resolution(&self) -> Duration {
        self.0.resolution().max(GRAIN)
    }

    fn now(&self) -> Duration {
        let now = self.0.now();
        Duration::new(now.as_secs(), now.subsec_nanos() - now.subsec_nanos() % GRAIN.subsec_nanos())
    }
}

impl HostMonotonicClock for Coarse<MonotonicClock> {
    fn resolution(&self) -> u64 {
        self.0.resolution().max(u64::from(GRAIN.subsec_nanos()))
    }

    fn now(&self) -> u64 {
        let now = self.0.now();
        now - now % u64::from(GRAIN.subsec_nanos())
    }
}
