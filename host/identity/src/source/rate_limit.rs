//! The rate limit of an endpoint.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, Semaphore, SemaphorePermit};

use crate::clock::Clock;

/// Limits how many requests are in flight, and how many begin within a second.
///
/// IMDS accepts 5 in flight and 20 a second from one machine ([service limits]). Sources with the
/// same endpoint should share a `RateLimit`; clones share their limits.
///
/// [service limits]: https://learn.microsoft.com/azure/virtual-machines/instance-metadata-service#rate-limiting
#[derive(Clone, Debug)]
pub struct RateLimit(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    in_flight: Semaphore,
    interval: Duration,
    /// When the last request began, on the steady clock. It is locked while a request waits, so
    /// that requests begin one interval apart even if a stalled machine wakes several late.
    last: Mutex<Option<Duration>>,
}

impl Default for RateLimit {
    fn default() -> Self {
        Self::new(5, 20)
    }
}

impl RateLimit {
    /// At most `in_flight` requests at once, and `per_second` beginning within a second. Zero
    /// counts as one.
    #[must_use]
    pub fn new(in_flight: usize, per_second: u32) -> Self {
        let in_flight = Semaphore::new(in_flight.max(1));
        let interval = Duration::from_secs(1) / per_second.max(1);
        Self(Arc::new(Inner { in_flight, interval, last: Mutex::default() }))
    }

    /// Waits until a request may begin. It counts as in flight until the permit is dropped.
    pub(crate) async fn acquire(&self, clock: &dyn Clock) -> Option<SemaphorePermit<'_>> {
        // The semaphore is never closed, so there is always a permit.
        let permit = self.0.in_flight.acquire().await.ok();
        let mut last = self.0.last.lock().await;
        let next = last.map_or(Duration::ZERO, |last| last + self.0.interval);
        let wait = next.saturating_sub(clock.steady());
        if !wait.is_zero() {
            clock.sleep(wait).await;
        }
        *last = Some(clock.steady());
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
        let limit = RateLimit::default();
        for _ in 0..40 {
            drop(limit.acquire(&clock).await);
        }
        assert_eq!(clock.steady(), Duration::from_millis(50) * 39);
    }

    #[tokio::test]
    async fn a_sixth_request_waits_until_one_of_five_is_done() {
        let clock = ManualClock::skipping_sleeps(Duration::ZERO);
        let limit = RateLimit::default();
        let mut permits = Vec::new();
        for _ in 0..5 {
            permits.push(limit.acquire(&clock).await);
        }
        let mut sixth = Box::pin(limit.acquire(&clock));
        assert!(poll_once(&mut sixth).await.is_none());
        permits.pop();
        sixth.await;
    }

    #[tokio::test]
    async fn at_most_twenty_requests_begin_within_a_second_on_a_machine_that_stalls() {
        let clock = ManualClock::at(Duration::ZERO);
        let limit = RateLimit::new(100, 20);
        let began = Arc::new(std::sync::Mutex::new(Vec::new()));
        let tasks: Vec<_> = (0..60)
            .map(|_| {
                let (clock, limit, began) = (clock.clone(), limit.clone(), Arc::clone(&began));
                tokio::spawn(async move {
                    drop(limit.acquire(&clock).await);
                    began.lock().unwrap().push(clock.steady());
                })
            })
            .collect();
        while !tasks.iter().all(|task| task.is_finished()) {
            for _ in 0..200 {
                tokio::task::yield_now().await;
            }
            // The machine stalls for seven intervals at a time.
            clock.advance(Duration::from_millis(350));
        }
        let began = began.lock().unwrap().clone();
        assert_eq!(began.len(), 60);
        for from in &began {
            let until = *from + Duration::from_secs(1);
            assert!(began.iter().filter(|at| **at >= *from && **at < until).count() <= 20);
        }
    }

    #[tokio::test]
    async fn a_request_that_is_cancelled_while_it_waits_does_not_count() {
        let clock = ManualClock::at(Duration::ZERO);
        let limit = RateLimit::default();
        drop(limit.acquire(&clock).await);
        for _ in 0..10 {
            let mut waiting = Box::pin(limit.acquire(&clock));
            assert!(poll_once(&mut waiting).await.is_none());
        }
        clock.advance(Duration::from_millis(50));
        drop(limit.acquire(&clock).await);
    }

    async fn poll_once<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
        std::future::poll_fn(|cx| match std::pin::Pin::new(&mut *future).poll(cx) {
            std::task::Poll::Ready(value) => std::task::Poll::Ready(Some(value)),
            std::task::Poll::Pending => std::task::Poll::Ready(None),
        })
        .await
    }
}
