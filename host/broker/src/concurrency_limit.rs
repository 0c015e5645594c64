//! How many calls of a mount run, and how many wait.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

/// Bounds the calls of a mount: those that run, and those that wait.
pub(crate) struct ConcurrencyLimit {
    running: Arc<Semaphore>,
    waiting: AtomicU32,
    max_waiting: u32,
}

/// Why a call may not run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AcquireError {
    /// As many calls wait as may.
    QueueFull,
    /// It has waited for as long as it may.
    TimedOut,
}

impl ConcurrencyLimit {
    /// At most `concurrency` calls run, and `queue` wait.
    pub(crate) fn of(concurrency: u32, queue: u32) -> Self {
        let running = Arc::new(Semaphore::new(concurrency as usize));
        Self { running, waiting: AtomicU32::new(0), max_waiting: queue }
    }

    /// Waits for a permit to run. The call runs until the permit is dropped.
    pub(crate) async fn acquire(
        &self,
        deadline: Instant,
    ) -> Result<OwnedSemaphorePermit, AcquireError> {
        if let Ok(permit) = Arc::clone(&self.running).try_acquire_owned() {
            return Ok(permit);
        }
        let waiting = Waiting::begin(&self.waiting, self.max_waiting);
        let _waiting = waiting.ok_or(AcquireError::QueueFull)?;
        match tokio::time::timeout_at(deadline, Arc::clone(&self.running).acquire_owned()).await {
            Ok(Ok(permit)) => Ok(permit),
            // The semaphore is never closed.
            Ok(Err(_)) | Err(_) => Err(AcquireError::TimedOut),
        }
    }

    /// How many calls wait.
    pub(crate) fn waiting(&self) -> u32 {
        self.waiting.load(Ordering::SeqCst)
    }
}

/// One place in the queue, given up when it is dropped.
struct Waiting<'a>(&'a AtomicU32);

impl<'a> Waiting<'a> {
    fn begin(waiting: &'a AtomicU32, max: u32) -> Option<Self> {
        if waiting.fetch_add(1, Ordering::SeqCst) < max {
            return Some(Self(waiting));
        }
        waiting.fetch_sub(1, Ordering::SeqCst);
        None
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}
