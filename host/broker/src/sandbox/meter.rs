//! How long a guest has computed.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

/// From this much on, polls are measured by the thread's own clock. It costs a system call, which
/// most calls are too short for, while on a busy machine the time that passes in a poll is mostly
/// other programs'.
const EXACT_FROM: Duration = Duration::from_millis(50);

/// Measures the time that a future is being polled. A guest that waits is not polled, so that is
/// the time it computes, what the host does for it included.
#[derive(Debug)]
pub(super) struct Meter {
    start: Instant,
    limit: Duration,
    /// Nanoseconds, in polls that are over.
    used: AtomicU64,
    /// When the poll that is under way began, in nanoseconds by the clock that it is measured by.
    poll_began: AtomicU64,
    /// Whether the poll that is under way is measured by the thread's own clock.
    is_exact: AtomicBool,
}

impl Meter {
    pub(super) fn new(limit: Duration) -> Arc<Self> {
        let (used, poll_began) = (AtomicU64::new(0), AtomicU64::new(0));
        Arc::new(Self {
            start: Instant::now(),
            limit,
            used,
            poll_began,
            is_exact: AtomicBool::new(false),
        })
    }

    /// Whether the limit is passed. To be asked within a poll.
    pub(super) fn is_over(&self) -> bool {
        Duration::from_nanos(self.used().saturating_add(self.running())) > self.limit
    }

    fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    fn poll_begins(&self) {
        let is_exact = Duration::from_nanos(self.used()) >= EXACT_FROM;
        self.is_exact.store(is_exact, Ordering::Relaxed);
        self.poll_began.store(self.now(), Ordering::Relaxed);
    }

    fn poll_ends(&self) {
        self.used.fetch_add(self.running(), Ordering::Relaxed);
    }

    /// Nanoseconds since the poll that is under way began.
    fn running(&self) -> u64 {
        self.now().saturating_sub(self.poll_began.load(Ordering::Relaxed))
    }

    fn now(&self) -> u64 {
        let now = match self.is_exact.load(Ordering::Relaxed) {
            true => thread_time().unwrap_or_else(|| self.start.elapsed()),
            false => self.start.elapsed(),
        };
        u64::try_from(now.as_nanos()).unwrap_or(u64::MAX)
    }
}

/// Time on a processor of the current thread.
#[cfg(unix)]
fn thread_time() -> Option<Duration> {
    rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime).try_into().ok()
}

/// Not read on this system: there, the time of other programs counts as well.
#[cfg(not(unix))]
fn thread_time() -> Option<Duration> {
    None
}

/// A future that is measured.
pub(super) struct Metered<F> {
    pub(super) future: F,
    pub(super) meter: Arc<Meter>,
}

impl<F: Future + Unpin> Future for Metered<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        self.meter.poll_begins();
        let poll = Pin::new(&mut self.future).poll(cx);
        self.meter.poll_ends();
        poll
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Computes for a while at each of so many polls, and waits in between.
    struct Computes {
        polls: u32,
        each: Duration,
    }

    impl Future for Computes {
        type Output = ();

        fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
            let began = Instant::now();
            while began.elapsed() < self.each {
                std::hint::spin_loop();
            }
            self.polls -= 1;
            if self.polls == 0 {
                return Poll::Ready(());
            }
            cx.waker().wake_by_ref();
            Poll::Pending
        }
    }

    #[tokio::test]
    async fn computing_counts_and_waiting_does_not() {
        let meter = Meter::new(Duration::from_millis(5));
        let computes = Computes { polls: 3, each: Duration::from_millis(2) };
        Metered { future: computes, meter: Arc::clone(&meter) }.await;
        assert!(Duration::from_nanos(meter.used()) >= Duration::from_millis(6));
        let waits = Meter::new(Duration::from_secs(5));
        let sleep = Box::pin(tokio::time::sleep(Duration::from_millis(300)));
        Metered { future: sleep, meter: Arc::clone(&waits) }.await;
        assert!(Duration::from_nanos(waits.used()) < Duration::from_millis(150));
    }

    /// A poll in which another program runs is as long as one that blocks.
    #[cfg(unix)]
    #[tokio::test]
    async fn what_others_compute_does_not_count_once_a_guest_has_computed_for_long() {
        struct Blocks;

        impl Future for Blocks {
            type Output = ();

            fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
                std::thread::sleep(Duration::from_millis(200));
                Poll::Ready(())
            }
        }

        let meter = Meter::new(Duration::from_secs(5));
        Metered { future: Computes { polls: 1, each: EXACT_FROM }, meter: Arc::clone(&meter) }
            .await;
        let before = meter.used();
        Metered { future: Blocks, meter: Arc::clone(&meter) }.await;
        let counted = Duration::from_nanos(meter.used() - before);
        assert!(counted < Duration::from_millis(150), "{counted:?}");
    }
}
