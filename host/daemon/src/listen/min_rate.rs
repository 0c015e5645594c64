//! Callers that are too slow: that send a request's body, or read a response, at less than a rate.
//!
//! Only the time counts in which the daemon waits for the caller. A service that is slow, a plugin
//! that reads nothing for a while and a response that is a stream of events cost a caller nothing.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

/// The time that a caller has in any case.
const GRACE: Duration = Duration::from_secs(30);

/// The most time that it can earn by bytes: one that was fast may pause for this long.
const MAX_ALLOWANCE: Duration = Duration::from_secs(2 * 60);

/// The time that a caller may still make the daemon wait. Each byte that it sends or reads earns it
/// some.
struct Allowance {
    /// Bytes per second; 0 for any rate.
    min_rate: u64,
    left: Duration,
    waiting_since: Option<Instant>,
}

impl Allowance {
    /// So many bytes were sent or read.
    fn moved(&mut self, now: Instant, bytes: usize) {
        if let Some(since) = self.waiting_since.take() {
            self.left = self.left.saturating_sub(now.saturating_duration_since(since));
        }
        let nanoseconds = (bytes as u64).saturating_mul(1_000_000_000).checked_div(self.min_rate);
        let earned = Duration::from_nanos(nanoseconds.unwrap_or_default());
        self.left = self.left.saturating_add(earned).min(MAX_ALLOWANCE);
    }

    /// The daemon waits for the caller. Returns until when; `None` for however long.
    fn wait(&mut self, now: Instant) -> Option<Instant> {
        (self.min_rate > 0).then(|| *self.waiting_since.get_or_insert(now) + self.left)
    }
}

/// How fast a caller sends or reads.
pub(super) struct MinRate {
    allowance: Allowance,
    /// Fires when the allowance is used up, or earlier: it is not reset for each byte.
    alarm: Option<Pin<Box<Sleep>>>,
}

impl MinRate {
    /// A new caller, or request. `min_rate` is in bytes per second; 0 allows any rate.
    pub(super) fn new(min_rate: u64) -> Self {
        Self::with_grace(min_rate, GRACE)
    }

    /// One with another time than 30 seconds in any case.
    pub(super) fn with_grace(min_rate: u64, grace: Duration) -> Self {
        let allowance = Allowance { min_rate, left: grace, waiting_since: None };
        Self { allowance, alarm: None }
    }

    /// So many bytes were sent or read.
    pub(super) fn moved(&mut self, bytes: usize) {
        self.allowance.moved(Instant::now(), bytes);
    }

    /// The daemon waits for the caller. Ready when the caller has taken too long.
    pub(super) fn poll_too_slow(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(deadline) = self.allowance.wait(Instant::now()) else { return Poll::Pending };
        let alarm = self.alarm.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        while alarm.as_mut().poll(cx).is_ready() {
            if alarm.deadline() >= deadline {
                return Poll::Ready(());
            }
            alarm.as_mut().reset(deadline);
        }
        Poll::Pending
    }

    /// The result of a write to a caller, which took `length` of its bytes.
    pub(super) fn written<T>(
        &mut self,
        cx: &mut Context<'_>,
        result: Poll<io::Result<T>>,
        length: impl FnOnce(&T) -> usize,
    ) -> Poll<io::Result<T>> {
        match &result {
            Poll::Ready(Ok(written)) => self.moved(length(written)),
            Poll::Ready(Err(_)) => {}
            Poll::Pending => {
                if self.poll_too_slow(cx).is_ready() {
                    let why = "the caller does not read the response";
                    return Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, why)));
                }
            }
        }
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: u64 = 1000;
    const SECOND: Duration = Duration::from_secs(1);

    fn allowance(min_rate: u64) -> Allowance {
        Allowance { min_rate, left: GRACE, waiting_since: None }
    }

    /// How often a caller that moves so many bytes each second does it in time.
    fn seconds_at(bytes: usize) -> usize {
        let (mut allowance, mut now) = (allowance(RATE), Instant::now());
        for second in 0..1000 {
            let deadline = allowance.wait(now).unwrap();
            now += SECOND;
            if deadline < now {
                return second;
            }
            allowance.moved(now, bytes);
        }
        1000
    }

    #[test]
    fn a_caller_that_does_nothing_has_the_grace() {
        let (mut allowance, now) = (allowance(RATE), Instant::now());
        assert_eq!(allowance.wait(now), Some(now + GRACE));
        assert_eq!(allowance.wait(now + SECOND), Some(now + GRACE), "it is not prolonged");
    }

    #[test]
    fn a_caller_is_too_slow_below_the_rate_and_never_at_it() {
        assert_eq!(seconds_at(RATE as usize), 1000);
        assert_eq!(seconds_at(0), 30);
        let half = seconds_at(RATE as usize / 2);
        assert!((55..=60).contains(&half), "the grace is used up half as fast: {half}");
    }

    #[test]
    fn bytes_earn_time_and_no_more_than_so_much() {
        let (mut allowance, now) = (allowance(RATE), Instant::now());
        allowance.moved(now, 10 * RATE as usize);
        assert_eq!(allowance.wait(now), Some(now + GRACE + 10 * SECOND));
        allowance.moved(now, 1 << 30);
        assert_eq!(allowance.wait(now), Some(now + MAX_ALLOWANCE));
    }

    #[test]
    fn time_in_which_nobody_waits_for_the_caller_does_not_count() {
        let (mut allowance, now) = (allowance(RATE), Instant::now());
        allowance.wait(now);
        allowance.moved(now + 10 * SECOND, 0);
        let later = now + 10 * MAX_ALLOWANCE;
        assert_eq!(allowance.wait(later), Some(later + GRACE - 10 * SECOND));
    }

    #[test]
    fn any_rate_is_allowed_where_there_is_none() {
        let mut allowance = allowance(0);
        assert_eq!(allowance.wait(Instant::now()), None);
        allowance.moved(Instant::now(), 0);
    }
}
