//! Clocks: the system's, and one that tests set.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::watch;

/// The future of a clock's sleep.
pub type Sleep = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Both readings of a [`Clock`] at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// The wall clock.
    pub wall: Duration,
    /// The steady clock.
    pub steady: Duration,
}

impl Moment {
    /// The current moment.
    #[must_use]
    pub fn now(clock: &dyn Clock) -> Self {
        Self { wall: clock.wall(), steady: clock.steady() }
    }

    /// Whether this moment has passed by either clock.
    #[must_use]
    pub fn has_passed(self, now: Self) -> bool {
        now.wall >= self.wall || now.steady >= self.steady
    }
}

/// Two readings of time, and a way to wait.
///
/// The wall clock may jump in either direction when somebody sets it. The steady clock never jumps,
/// but may stand still while the machine sleeps. Code that must not use an expired token compares
/// both.
pub trait Clock: Send + Sync + 'static {
    /// The wall clock: time since 1970-01-01T00:00:00Z.
    fn wall(&self) -> Duration;

    /// The steady clock: time since an arbitrary moment.
    fn steady(&self) -> Duration;

    /// Both clocks as they were a few milliseconds ago at most, for callers in a hot path.
    fn recently(&self) -> Moment {
        Moment { wall: self.wall(), steady: self.steady() }
    }

    /// Waits.
    fn sleep(&self, duration: Duration) -> Sleep;

    /// A timer that limits how long other work may take. A clock that skips sleeps does not skip
    /// timers: the other work needs the time.
    fn timer(&self, duration: Duration) -> Sleep {
        self.sleep(duration)
    }
}

/// Runs `work` for at most `limit` by this clock; `None` if it does not finish in time.
pub(crate) async fn timeout<F: Future>(
    clock: &dyn Clock,
    limit: Duration,
    work: F,
) -> Option<F::Output> {
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
    /// `start` by the kernel's monotonic clock.
    #[cfg(target_os = "linux")]
    kernel_start: Duration,
}

impl Default for SystemClock {
    fn default() -> Self {
        Self {
            start: Instant::now(),
            #[cfg(target_os = "linux")]
            kernel_start: kernel_clock(rustix::time::ClockId::Monotonic),
        }
    }
}

#[cfg(target_os = "linux")]
fn kernel_clock(clock: rustix::time::ClockId) -> Duration {
    rustix::time::clock_gettime(clock).try_into().unwrap_or_default()
}

impl Clock for SystemClock {
    fn wall(&self) -> Duration {
        SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
    }

    fn steady(&self) -> Duration {
        self.start.elapsed()
    }

    /// As of the kernel's last tick, 10 ms ago at most. Measured: 2 ns for each clock, where one
    /// that reads the processor's counter takes 22 ns.
    #[cfg(target_os = "linux")]
    fn recently(&self) -> Moment {
        use rustix::time::ClockId;
        let steady = kernel_clock(ClockId::MonotonicCoarse).saturating_sub(self.kernel_start);
        Moment { wall: kernel_clock(ClockId::RealtimeCoarse), steady }
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        Box::pin(tokio::time::sleep(duration))
    }
}

/// A clock that stands still until it is advanced. Clones are the same clock.
#[derive(Clone, Debug)]
pub struct ManualClock(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    now: watch::Sender<Moment>,
    slept: Mutex<Vec<Duration>>,
    skips_sleeps: bool,
}

impl ManualClock {
    /// A clock that stands at `wall` after 1970-01-01T00:00:00Z. Sleeps end when it is advanced far
    /// enough.
    #[must_use]
    pub fn at(wall: Duration) -> Self {
        Self::new(wall, false)
    }

    /// The same, but a sleep advances the clock and ends at once.
    #[must_use]
    pub fn skipping_sleeps(wall: Duration) -> Self {
        Self::new(wall, true)
    }

    fn new(wall: Duration, skips_sleeps: bool) -> Self {
        let (now, _) = watch::channel(Moment { wall, steady: Duration::ZERO });
        Self(Arc::new(Inner { now, slept: Mutex::default(), skips_sleeps }))
    }

    /// Advances both clocks.
    pub fn advance(&self, by: Duration) {
        self.0.now.send_modify(|now| {
            now.wall += by;
            now.steady += by;
        });
    }

    /// Sets the wall clock, as an administrator or NTP may.
    pub fn set_wall(&self, wall: Duration) {
        self.0.now.send_modify(|now| now.wall = wall);
    }

    /// The durations of all sleeps, in the order in which they began.
    #[must_use]
    pub fn slept(&self) -> Vec<Duration> {
        self.0.slept.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Clock for ManualClock {
    fn wall(&self) -> Duration {
        self.0.now.borrow().wall
    }

    fn steady(&self) -> Duration {
        self.0.now.borrow().steady
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        self.0.slept.lock().unwrap_or_else(PoisonError::into_inner).push(duration);
        if self.0.skips_sleeps {
            self.advance(duration);
            return Box::pin(tokio::task::yield_now());
        }
        self.timer(duration)
    }

    /// Ends when the clock has been advanced far enough, even if it skips sleeps.
    fn timer(&self, duration: Duration) -> Sleep {
        let mut now = self.0.now.subscribe();
        let until = self.steady() + duration;
        Box::pin(async move {
            // The channel closes with the last clone of the clock: then time stands still forever.
            if now.wait_for(|now| now.steady >= until).await.is_err() {
                std::future::pending::<()>().await;
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_clock_that_skips_sleeps_does_not_skip_timers() {
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
        assert_eq!(timeout(&clock, second, async { 1 }).await, Some(1));
        let advancing = async {
            clock.advance(second);
            std::future::pending::<()>().await;
        };
        assert_eq!(timeout(&clock, second, advancing).await, None);
    }

    #[test]
    fn the_recent_moment_is_at_most_moments_before_now() {
        const MOMENTS: Duration = Duration::from_secs(60);
        let clock = SystemClock::default();
        // Until the kernel's first tick after the start.
        while clock.recently().steady.is_zero() {
            std::thread::yield_now();
        }
        let recently = clock.recently();
        let now = Moment::now(&clock);
        let is_before = recently.wall <= now.wall && recently.steady <= now.steady;
        assert!(is_before, "{recently:?} {now:?}");
        assert!(now.wall - recently.wall < MOMENTS, "{recently:?} {now:?}");
        assert!(now.steady - recently.steady < MOMENTS, "{recently:?} {now:?}");
    }
}
