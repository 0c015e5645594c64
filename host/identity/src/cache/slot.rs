//! The cached token of one audience, and the state of its renewal.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use tokio::sync::watch;

use super::cache_entry::{CacheEntry, Phase};
use super::per_thread::Counter;
use crate::clock::Clock;
use crate::{AccessToken, Audience, TokenError};

/// One audience of a cache.
pub(super) struct Slot {
    audience: Audience,
    entry: ArcSwapOption<CacheEntry>,
    renewal: Mutex<Renewal>,
    uses: Counter,
    pub(super) fetched: AtomicU64,
    pub(super) failed: AtomicU64,
    restored: u64,
    pub(super) stale: AtomicU64,
    pub(super) refused: AtomicU64,
}

/// How often a token was used and fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Statistics {
    /// The token's audience.
    pub audience: Audience,
    /// How many calls got a token.
    pub used: u64,
    /// How many requests to the source returned a token.
    pub fetched: u64,
    /// How many requests to the source failed.
    pub failed: u64,
    /// How often a persisted token was restored: once at most.
    pub restored: u64,
    /// How many calls got the old token within its margin, since no new one was there in time.
    pub stale: u64,
    /// How many calls got an error.
    pub refused: u64,
    /// When the cached token expires, in seconds since 1970-01-01T00:00:00Z; `None` if there is no
    /// token.
    pub expires_on: Option<u64>,
}

/// The state of a slot's renewal.
#[derive(Default)]
pub(super) struct Renewal {
    pub(super) running: Option<watch::Receiver<Outcome>>,
    pub(super) pause: Option<Pause>,
    pub(super) failures: u32,
    /// How often tokens were removed. A renewal that began before a removal stores nothing.
    pub(super) removals: u64,
    /// When a rejected token was last replaced, on the steady clock.
    last_rejection: Option<Duration>,
}

/// A time without requests to the source.
pub(super) struct Pause {
    /// When it ends, on the steady clock.
    pub(super) until: Duration,
    /// The failure that caused it; `None` if the renewal returned a token that is due for renewal
    /// already.
    pub(super) error: Option<TokenError>,
}

/// The result of a renewal; `None` while it runs.
pub(super) type Outcome = Option<Result<AccessToken, TokenError>>;

/// What a slot does with a token that a service rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rejection {
    /// The token is marked, and a renewal is due.
    Marked,
    /// It was marked before.
    Known,
    /// The slot has another token already.
    Replaced,
    /// A rejected token was replaced a moment ago, so this one is kept.
    TooSoon,
}

impl Slot {
    pub(super) fn new(audience: Audience, restored: Option<CacheEntry>) -> Self {
        Self {
            audience,
            restored: u64::from(restored.is_some()),
            entry: ArcSwapOption::from_pointee(restored),
            renewal: Mutex::default(),
            uses: Counter::default(),
            fetched: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            stale: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        }
    }

    pub(super) fn audience(&self) -> &Audience {
        &self.audience
    }

    pub(super) fn count_use(&self) {
        self.uses.increment();
    }

    /// The token, if it is fresh; counts the use. Takes no lock, and writes to no memory that other
    /// threads write to.
    pub(super) fn hit(&self, clock: &dyn Clock) -> Option<AccessToken> {
        let entry = self.entry.load();
        let entry = entry.as_ref().filter(|entry| entry.was_fresh(clock.recently()))?;
        self.count_use();
        Some(entry.token())
    }

    /// The token, in whatever phase.
    pub(super) fn peek(&self) -> Option<AccessToken> {
        self.entry.load().as_ref().map(|entry| entry.token())
    }

    /// The token and its phase.
    pub(super) fn current(&self, clock: &dyn Clock) -> Option<(AccessToken, Phase)> {
        let entry = self.entry.load();
        let entry = entry.as_ref()?;
        Some((entry.token(), entry.phase(clock)))
    }

    pub(super) fn renewal(&self) -> MutexGuard<'_, Renewal> {
        self.renewal.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn store(&self, entry: CacheEntry) {
        self.entry.store(Some(entry.into()));
        self.fetched.fetch_add(1, Ordering::Relaxed);
    }

    /// Marks a token that a service rejected for replacement, unless one was replaced less than
    /// `pause` ago.
    pub(super) fn reject(
        &self,
        rejected: &AccessToken,
        now: Duration,
        pause: Duration,
    ) -> Rejection {
        let entry = self.entry.load();
        let Some(entry) = entry.as_ref().filter(|entry| entry.token().is_same(rejected)) else {
            return Rejection::Replaced;
        };
        if entry.is_rejected() {
            return Rejection::Known;
        }
        let mut renewal = self.renewal();
        if renewal.last_rejection.is_some_and(|last| now < last.saturating_add(pause)) {
            return Rejection::TooSoon;
        }
        renewal.last_rejection = Some(now);
        entry.reject();
        Rejection::Marked
    }

    /// Removes the token, and that of a renewal that runs. Returns whether there was one.
    pub(super) fn forget(&self) -> bool {
        let mut renewal = self.renewal();
        renewal.removals += 1;
        if renewal.pause.as_ref().is_some_and(|pause| pause.error.is_none()) {
            renewal.pause = None;
        }
        self.entry.swap(None).is_some()
    }

    pub(super) fn statistics(&self) -> Statistics {
        Statistics {
            audience: self.audience.clone(),
            used: self.uses.sum(),
            fetched: self.fetched.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
            restored: self.restored,
            stale: self.stale.load(Ordering::Relaxed),
            refused: self.refused.load(Ordering::Relaxed),
            expires_on: self.entry.load().as_ref().map(|entry| entry.expires_on()),
        }
    }
}
