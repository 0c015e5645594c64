//! Never more than an endpoint takes.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};

use crate::clock::Clock;

/// How many requests may be under way at once, and how many may begin in a second.
///
/// IMDS takes 5 at once and 20 a second from one machine ([service limits]). Sources of one endpoint share one `Pace`;
/// clones are the same one.
///
/// [service limits]: https://learn.microsoft.com/azure/virtual-machines/instance-metadata-service#rate-limiting
#[derive(Clone, Debug)]
pub struct Pace(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    at_once: Semaphore,
    interval: Duration,
    /// When the next request may begin, on the steady clock.
    next: Mutex<Duration>,
}

impl Default for Pace {
    fn default() -> Self {
        Self::new(5, 20)
    }
}

impl Pace {
    /// So many at once, and so many a second.
    #[must_use]
    pub fn new(at_once: usize, per_second: u32) -> Self {
        let interval = Duration::from_secs(1) / per_second.max(1);
        Self(Arc::new(Inner { at_once: Semaphore::new(at_once.max(1)), interval, next: Mutex::default() }))
    }

    /// Waits for a turn. The request is under way until what is given back is dropped.
    pub(crate) async fn turn(&self, clock: &dyn Clock) -> Option<SemaphorePermit<'_>> {
        // The semaphore is never closed, so there always is a permit.
        let permit = self.0.at_once.acquire().await.ok();
        let wait = {
            let mut next = self.0.next.lock().unwrap_or_else(PoisonError::into_inner);
            let now = clock.steady();
            let at = now.max(*next);
            *next = at + self.0.interval;
            at.saturating_sub(now)
        };
        if !wait.is_zero() {
            clock.sleep(wait).await;
        }
        permit
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;

    #[tokio::test]
    async fn requests_begin_a_twentieth_of_a_second_apart() {
        let clock = ManualClock::skipping_sleeps(Duration::ZERO);
        let pace = Pace::default();
        for _ in 0..40 {
            drop(pace.turn(&clock).await);
        }
        assert_eq!(clock.steady(), Duration::from_millis(50) * 39);
    }

    #[tokio::test]
    async fn a_sixth_waits_until_one_of_five_is_done() {
        let clock = ManualClock::skipping_sleeps(Duration::ZERO);
        let pace = Pace::default();
        let mut turns = Vec::new();
        for _ in 0..5 {
            turns.push(pace.turn(&clock).await);
        }
        let mut sixth = Box::pin(pace.turn(&clock));
        assert!(futures_poll(&mut sixth).await.is_none());
        turns.pop();
        sixth.await;
    }

    async fn futures_poll<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
        std::future::poll_fn(|cx| match std::pin::Pin::new(&mut *future).poll(cx) {
            std::task::Poll::Ready(value) => std::task::Poll::Ready(Some(value)),
            std::task::Poll::Pending => std::task::Poll::Ready(None),
        })
        .await
    }
}
