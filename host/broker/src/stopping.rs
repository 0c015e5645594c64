//! Whether a broker still accepts calls.

use std::sync::atomic::{AtomicBool, Ordering};

/// Whether a broker refuses new calls because it is stopping. It never accepts any again.
#[derive(Debug, Default)]
pub(crate) struct Stopping(AtomicBool);

impl Stopping {
    /// Refuses calls from now on. A call that has checked [`has_begun`](Self::has_begun) before is
    /// among the running ones.
    pub(crate) fn begin(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    pub(crate) fn has_begun(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}
