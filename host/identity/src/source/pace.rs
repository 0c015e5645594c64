//! Never more than an endpoint takes.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, Semaphore, SemaphorePermit};

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
    /// When the last request began, on the steady clock. Whoever waits for a turn holds it, so that even those that a
    /// stalled machine woke late begin one after the other.
    last: Mutex<Option<Duration>>,
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
        Self(Arc::new(Inner { at_once: Semaphore::new(at_once.max(1)), interval, last: Mutex::default() }))
    }

    /// Waits for a turn. The request is under way until what is given back is dropped.
    pub(crate) async fn turn(&self, clock: &dyn Clock) -> Option<SemaphorePermit<'_>> {
        // The semaphore is never closed, so there always is a permit.
        let permit = self.0.at_once.acquire().await.ok();
        let mut last = self.0.last.lock().await;
        let wait = last.map_or(Duration::ZERO, |last| (last + self.0.interval).saturating_sub(clock.steady()));
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

    #[tokio::test]
    async fn no_second_has_more_than_twenty_beginnings_however_late_the_sleepers_wake() {
        let clock = ManualClock::at(Duration::ZERO);
        let (pace, began) = (Pace::new(100, 20), Arc::new(std::sync::Mutex::new(Vec::new())));
        let tasks: Vec<_> = (0..60)
            .map(|_| {
                let (clock, pace, began) = (clock.clone(), pace.clone(), Arc::clone(&began));
                tokio::spawn(async move {
                    drop(pace.turn(&clock).await);
                    began.lock().unwrap().push(clock.steady());
                })
            })
            .collect();
        while !tasks.iter().all(|task| task.is_finished()) {
            for _ in 0..200 {
                tokio::task::yield_now().await;
            }
            // A machine that stalls: time goes on in steps of 7 turns.
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
    async fn one_who_goes_away_while_waiting_takes_no_turn() {
        let clock = ManualClock::at(Duration::ZERO);
        let pace = Pace::default();
        drop(pace.turn(&clock).await);
        for _ in 0..10 {
            let mut waiting = Box::pin(pace.turn(&clock));
            assert!(futures_poll(&mut waiting).await.is_none());
        }
        clock.advance(Duration::from_millis(50));
        drop(pace.turn(&clock).await);
    }

    async fn futures_poll<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
        std::future::poll_fn(|cx| match std::pin::Pin::new(&mut *future).poll(cx) {
            std::task::Poll::Ready(value) => std::task::Poll::Ready(Some(value)),
            std::task::Poll::Pending => std::task::Poll::Ready(None),
        })
        .await
    }
}
