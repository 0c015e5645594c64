//! The issuer's keys in memory: fetched once however many callers wait, refreshed in the
//! background, and used for a while when that fails.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use keyward::identity::clock::{Clock, Moment};
use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio::task::JoinHandle;

use super::config::{IssuerConfig, KeySource};
use super::error::KeysError;
use super::fetch;
use super::key_set::KeySet;

/// The shortest time between two attempts to fetch keys, whatever the reason, so that callers who
/// send made-up `kid`s cannot use the broker to flood the issuer.
pub(super) const RETRY_INTERVAL: Duration = Duration::from_secs(10);

/// The age at which keys from a file are read again, with the next call.
pub(super) const REFRESH_FILE: Duration = Duration::from_secs(10);

/// The age at which keys from a server are fetched again.
pub(super) const REFRESH_SERVER: Duration = Duration::from_secs(5 * 60);

/// The age at which keys are used no longer if all attempts to fetch them again fail.
pub(super) const STALE: Duration = Duration::from_secs(24 * 3600);

/// The keys of one issuer.
#[derive(Debug)]
pub(super) struct KeyCache(Arc<Inner>);

struct Inner {
    config: IssuerConfig,
    clock: Arc<dyn Clock>,
    current: ArcSwapOption<Keys>,
    /// Locked while keys are being fetched.
    attempt: Arc<Mutex<LastAttempt>>,
}

/// Keys as they were fetched at one moment.
#[derive(Debug)]
pub(super) struct Keys {
    pub(super) set: Arc<KeySet>,
    /// Differs from that of keys fetched before or later, unless they are all the same.
    pub(super) generation: u64,
    /// When they are fetched again in the background.
    refresh: Moment,
    /// When calls wait for that: at twice the age, or the same time after an attempt that failed.
    /// While calls arrive this is never reached. After a pause without calls, a key may have been
    /// removed long ago.
    overdue: Moment,
    stale: Moment,
}

#[derive(Debug, Default)]
struct LastAttempt {
    /// When it began or ended, by the steady clock.
    at: Option<Duration>,
    error: Option<Arc<KeysError>>,
}

type Attempted = Result<(), Arc<KeysError>>;

impl KeyCache {
    pub(super) fn new(config: IssuerConfig, clock: Arc<dyn Clock>) -> Self {
        let (current, attempt) = (ArcSwapOption::empty(), Arc::default());
        Self(Arc::new(Inner { config, clock, current, attempt }))
    }

    /// The keys. The first call waits for them, and so does the first one after a pause, and each
    /// after [`STALE`]; other calls have them refreshed in the background when that is due.
    pub(super) async fn current(&self, now: Moment) -> Result<Arc<Keys>, Arc<KeysError>> {
        if let Some(keys) = self.0.fresh(now) {
            if keys.overdue.has_passed(now) {
                return match self.refresh().await {
                    Ok(()) => self.0.fresh(now).ok_or_else(|| Arc::new(KeysError::Interrupted)),
                    Err(_) => Ok(keys),
                };
            }
            if keys.refresh.has_passed(now) {
                self.refresh_in_background();
            }
            return Ok(keys);
        }
        self.refresh().await?;
        self.0.fresh(now).ok_or_else(|| Arc::new(KeysError::Interrupted))
    }

    /// Fetches the keys, unless that was attempted within [`RETRY_INTERVAL`]. Returns the result of
    /// the last attempt.
    pub(super) async fn refresh(&self) -> Attempted {
        // Waits for the attempt in progress, if there is one.
        let attempt = Arc::clone(&self.0.attempt).lock_owned().await;
        if self.0.is_recent(&attempt) {
            return attempt.error.clone().map_or(Ok(()), Err);
        }
        let fetched = self.spawn(attempt).await;
        fetched.unwrap_or_else(|_| Err(Arc::new(KeysError::Interrupted)))
    }

    fn refresh_in_background(&self) {
        if let Ok(attempt) = Arc::clone(&self.0.attempt).try_lock_owned()
            && !self.0.is_recent(&attempt)
        {
            drop(self.spawn(attempt));
        }
    }

    /// Fetches in a task of its own, so that a caller who hangs up does not end what others wait
    /// for.
    fn spawn(&self, attempt: OwnedMutexGuard<LastAttempt>) -> JoinHandle<Attempted> {
        tokio::spawn(Arc::clone(&self.0).fetch(attempt))
    }
}

impl Inner {
    /// The keys, unless they are stale.
    fn fresh(&self, now: Moment) -> Option<Arc<Keys>> {
        self.current.load_full().filter(|keys| !keys.stale.has_passed(now))
    }

    fn is_recent(&self, attempt: &LastAttempt) -> bool {
        attempt.at.is_some_and(|at| self.clock.steady() < at + RETRY_INTERVAL)
    }

    async fn fetch(self: Arc<Self>, mut attempt: OwnedMutexGuard<LastAttempt>) -> Attempted {
        // Counts also if this task does not end.
        attempt.at = Some(self.clock.steady());
        let fetched = fetch::keys(&self.config, &self.clock).await;
        attempt.at = Some(self.clock.steady());
        match fetched {
            Ok(set) => {
                self.store(set);
                attempt.error = None;
                Ok(())
            }
            Err(error) => {
                let error = Arc::new(error);
                tracing::warn!(
                    error = &*error as &(dyn std::error::Error + 'static),
                    help = error.help(),
                    "cannot fetch the keys of the issuer of service account tokens"
                );
                attempt.error = Some(Arc::clone(&error));
                self.postpone();
                Err(error)
            }
        }
    }

    fn store(&self, set: KeySet) {
        let age = self.refresh_age();
        let (set, generation) = match self.current.load_full() {
            Some(keys) if *keys.set == set => (Arc::clone(&keys.set), keys.generation),
            before => {
                tracing::info!(keys = set.len(), "fetched keys for service account tokens");
                (Arc::new(set), before.map_or(0, |keys| keys.generation + 1))
            }
        };
        let [refresh, overdue, stale] = [age, age * 2, STALE].map(|age| self.after(age));
        self.current.store(Some(Arc::new(Keys { set, generation, refresh, overdue, stale })));
    }

    /// Lets calls use the keys that are there, after an attempt that failed.
    fn postpone(&self) {
        let Some(keys) = self.current.load_full() else { return };
        let Keys { ref set, generation, refresh, overdue: _, stale } = *keys;
        let overdue = self.after(self.refresh_age() * 2);
        let keys = Keys { set: Arc::clone(set), generation, refresh, overdue, stale };
        self.current.store(Some(Arc::new(keys)));
    }

    fn refresh_age(&self) -> Duration {
        match &self.config.keys {
            KeySource::File(_) => REFRESH_FILE,
            KeySource::Url { .. } | KeySource::Discover(_) => REFRESH_SERVER,
        }
    }

    fn after(&self, time: Duration) -> Moment {
        let now = Moment::now(&*self.clock);
        Moment { wall: now.wall + time, steady: now.steady + time }
    }
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inner").field("config", &self.config).finish_non_exhaustive()
    }
}
