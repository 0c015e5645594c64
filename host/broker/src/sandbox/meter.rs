//! How long a guest has computed.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

/// Measures the time that a future is being polled. A guest that waits is not polled, so that is the time it computes,
/// what the host does for it included.
#[derive(Debug)]
pub(super) struct Meter {
    start: Instant,
    limit: Duration,
    /// Nanoseconds, in polls that are over.
    used: AtomicU64,
    /// When the poll that is under way began, in nanoseconds from `start`.
    poll_began: AtomicU64,
}

impl Meter {
    pub(super) fn new(limit: Duration) -> Arc<Self> {
        let (used, poll_began) = (AtomicU64::new(0), AtomicU64::new(0));
        Arc::new(Self { start: Instant::now(), limit, used, poll_began })
    }

    /// Whether the limit is passed. To be asked within a poll.
    pub(super) fn is_over(&self) -> bool {
        let running = self.now().saturating_sub(self.poll_began.load(Ordering::Relaxed));
        let used = self.used.load(Ordering::Relaxed).saturating_add(running);
        Duration::from_nanos(used) > self.limit
    }

    fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

/// A future that is measured.
pub(super) struct Metered<F> {
    pub(super) future: F,
    pub(super) meter: Arc<Meter>,
}

impl<F: Future + Unpin> Future for Metered<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let began = self.meter.now();
        self.meter.poll_began.store(began, Ordering::Relaxed);
        let poll = Pin::new(&mut self.future).poll(cx);
        let took = self.meter.now().saturating_sub(began);
        self.meter.used.fetch_add(took, Ordering::Relaxed);
        poll
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Computes for a while at each of three polls, and waits in between.
    struct Works(u32);

    impl Future for Works {
        type Output = ();

        fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
            let began = Instant::now();
            while began.elapsed() < Duration::from_millis(2) {
                std::hint::spin_loop();
            }
            self.0 += 1;
            if self.0 == 3 {
                return Poll::Ready(());
            }
            cx.waker().wake_by_ref();
            Poll::Pending
        }
    }

    #[tokio::test]
    async fn computing_counts_and_waiting_does_not() {
        let meter = Meter::new(Duration::from_millis(5));
        Metered { future: Works(0), meter: Arc::clone(&meter) }.await;
        assert!(Duration::from_nanos(meter.used.load(Ordering::Relaxed)) >= Duration::from_millis(6));
        let waits = Meter::new(Duration::from_secs(5));
        let sleep = Box::pin(tokio::time::sleep(Duration::from_millis(30)));
        Metered { future: sleep, meter: Arc::clone(&waits) }.await;
        assert!(Duration::from_nanos(waits.used.load(Ordering::Relaxed)) < Duration::from_millis(15));
    }
}
