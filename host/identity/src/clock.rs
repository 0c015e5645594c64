//! Time, so that tests need not wait for it.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::watch;

/// What a clock's sleep is.
pub type Sleep = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What both clocks of a [`Clock`] say at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// The wall clock.
    pub wall: Duration,
    /// The steady clock.
    pub steady: Duration,
}

/// Two readings of time, and a way to wait.
///
/// The wall clock may jump, either way, when somebody sets it; the steady clock never does, but may stand still while the
/// machine sleeps. Whoever must not serve a dead token looks at both.
pub trait Clock: Send + Sync + 'static {
    /// The wall clock: time since 1970-01-01T00:00:00Z.
    fn wall(&self) -> Duration;

    /// The steady clock: time since some moment before.
    fn steady(&self) -> Duration;

    /// Both clocks, as they were some milliseconds ago at most: for whoever asks often.
    fn lately(&self) -> Moment {
        Moment { wall: self.wall(), steady: self.steady() }
    }

    /// Waits.
    fn sleep(&self, duration: Duration) -> Sleep;

    /// A timer that limits how long other work may take. A clock that skips sleeps does not skip
    /// it: the work is what time is given to.
    fn timer(&self, duration: Duration) -> Sleep {
        self.sleep(duration)
    }
}

/// Runs `work` for at most `limit` by this clock. `None` when the time is up.
pub(crate) async fn within<F: Future>(clock: &dyn Clock, limit: Duration, work: F) -> Option<F::Output> {
    tokio::select! {
        biased;
        output = work => Some(output),
        () = clock.timer(limit) => None,
    }
}

/// The system's clocks.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    start: Instant,
    /// The same moment, as the kernel counts.
    #[cfg(target_os = "linux")]
    kernel_start: Duration,
}

impl Default for SystemClock {
    fn default() -> Self {
        Self {
            start: Instant::now(),
            #[cfg(target_os = "linux")]
            kernel_start: kernel(rustix::time::ClockId::Monotonic),
        }
    }
}

/// One of the kernel's clocks.
#[cfg(target_os = "linux")]
fn kernel(clock: rustix::time::ClockId) -> Duration {
    rustix::time::clock_gettime(clock).try_into().unwrap_or_default()
}

impl Clock for SystemClock {
    fn wall(&self) -> Duration {
        SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
    }

    fn steady(&self) -> Duration {
        self.start.elapsed()
    }

    /// As of the kernel's last tick, 10 milliseconds ago at most. Measured: 2 ns for each clock, and 22 for one that reads the
    /// processor's counter.
    #[cfg(target_os = "linux")]
    fn lately(&self) -> Moment {
        use rustix::time::ClockId;
        let steady = kernel(ClockId::MonotonicCoarse).saturating_sub(self.kernel_start);
        Moment { wall: kernel(ClockId::RealtimeCoarse), steady }
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        Box::pin(tokio::time::sleep(duration))
    }
}

/// A clock that goes when it is told to. Clones are the same clock.
#[derive(Clone, Debug)]
pub struct ManualClock(Arc<Manual>);

#[derive(Debug)]
struct Manual {
    time: watch::Sender<Time>,
    slept: Mutex<Vec<Duration>>,
    skips: bool,
}

#[derive(Clone, Copy, Debug)]
struct Time {
    wall: Duration,
    steady: Duration,
}

impl ManualClock {
    /// A clock that stands at `wall` after 1970-01-01T00:00:00Z. Who sleeps by it wakes when it has been advanced so far.
    #[must_use]
    pub fn at(wall: Duration) -> Self {
        Self::new(wall, false)
    }

    /// The same, but whoever sleeps by it moves it on and wakes at once.
    #[must_use]
    pub fn skipping_sleeps(wall: Duration) -> Self {
        Self::new(wall, true)
    }

    fn new(wall: Duration, skips: bool) -> Self {
        let (time, _) = watch::channel(Time { wall, steady: Duration::ZERO });
        Self(Arc::new(Manual { time, slept: Mutex::default(), skips }))
    }

    /// Lets time pass, on both clocks.
    pub fn advance(&self, by: Duration) {
        self.0.time.send_modify(|time| {
            time.wall += by;
            time.steady += by;
        });
    }

    /// Sets the wall clock, as an administrator or NTP may.
    pub fn set_wall(&self, wall: Duration) {
        self.0.time.send_modify(|time| time.wall = wall);
    }

    /// What was slept by this clock, in the order in which the sleeps began.
    #[must_use]
    pub fn slept(&self) -> Vec<Duration> {
        self.0.slept.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Clock for ManualClock {
    fn wall(&self) -> Duration {
        self.0.time.borrow().wall
    }

    fn steady(&self) -> Duration {
        self.0.time.borrow().steady
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        self.0.slept.lock().unwrap_or_else(PoisonError::into_inner).push(duration);
        if self.0.skips {
            self.advance(duration);
            return Box::pin(tokio::task::yield_now());
        }
        self.timer(duration)
    }

    /// Fires when the clock has been advanced so far, also where sleeps are skipped.
    fn timer(&self, duration: Duration) -> Sleep {
        let mut time = self.0.time.subscribe();
        let until = self.steady() + duration;
        Box::pin(async move {
            // The sender lives as long as a clock does; without one nobody can advance it.
            if time.wait_for(|time| time.steady >= until).await.is_err() {
                std::future::pending::<()>().await;
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_clock_that_skips_sleeps_does_not_skip_a_timer() {
        let clock = ManualClock::skipping_sleeps(Duration::ZERO);
        let second = Duration::from_secs(1);
        let mut timer = clock.timer(second);
        let fired = tokio::select! {
            biased;
            () = &mut timer => true,
            () = std::future::ready(()) => false,
        };
        assert!(!fired);
        clock.sleep(second).await;
        timer.await;
        assert_eq!(within(&clock, second, async { 1 }).await, Some(1));
        let advancing = async {
            clock.advance(second);
            std::future::pending::<()>().await;
        };
        assert_eq!(within(&clock, second, advancing).await, None);
    }

    #[test]
    fn lately_is_no_later_than_now_and_no_more_than_moments_ago() {
        const MOMENTS: Duration = Duration::from_secs(60);
        let clock = SystemClock::default();
        std::thread::sleep(Duration::from_millis(20));
        let lately = clock.lately();
        let now = Moment { wall: clock.wall(), steady: clock.steady() };
        assert!(lately.wall <= now.wall && lately.steady <= now.steady, "{lately:?} {now:?}");
        assert!(now.wall - lately.wall < MOMENTS && now.steady - lately.steady < MOMENTS, "{lately:?} {now:?}");
        assert!(!lately.steady.is_zero());
    }
}
