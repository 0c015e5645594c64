//! Time, so that tests need not wait for it.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::watch;

/// What a clock's sleep is.
pub type Sleep = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Two readings of time, and a way to wait.
///
/// The wall clock may jump, either way, when somebody sets it; the steady clock never does, but may stand still while the
/// machine sleeps. Whoever must not serve a dead token looks at both.
pub trait Clock: Send + Sync + 'static {
    /// The wall clock: time since 1970-01-01T00:00:00Z.
    fn wall(&self) -> Duration;

    /// The steady clock: time since some moment before.
    fn steady(&self) -> Duration;

    /// Waits.
    fn sleep(&self, duration: Duration) -> Sleep;
}

/// The system's clocks.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    start: Instant,
}

impl Default for SystemClock {
    fn default() -> Self {
        Self { start: Instant::now() }
    }
}

impl Clock for SystemClock {
    fn wall(&self) -> Duration {
        SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
    }

    fn steady(&self) -> Duration {
        self.start.elapsed()
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
