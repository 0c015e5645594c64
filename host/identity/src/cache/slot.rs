//! One audience's place in the cache.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use tokio::sync::watch;

use super::Shared;
use super::places::Count;
use super::validity::{Held, Phase};
use crate::clock::Clock;
use crate::{AccessToken, Audience, TokenError};

pub(super) struct Slot {
    audience: Audience,
    held: ArcSwapOption<Held>,
    renewal: Mutex<Renewal>,
    used: Count,
    fetched: AtomicU64,
    failed: AtomicU64,
    restored: u64,
    stale: AtomicU64,
    refused: AtomicU64,
}

/// How often a token was asked for and fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Statistics {
    /// What it is for.
    pub audience: Audience,
    /// How often it was handed out.
    pub used: u64,
    /// How often the source was asked, and gave one.
    pub fetched: u64,
    /// How often the source was asked, and failed.
    pub failed: u64,
    /// How often it was found on disk: once at most.
    pub restored: u64,
    /// How often a caller got the old token within the margin before its end, since there was no new one in time.
    pub stale: u64,
    /// How often a caller got an error.
    pub refused: u64,
    /// When the token ends that is kept, in seconds since 1970-01-01T00:00:00Z; `None` where there is none.
    pub expires_on: Option<u64>,
}

/// The state of getting a new token.
#[derive(Default)]
struct Renewal {
    running: Option<watch::Receiver<Outcome>>,
    /// Until when, on the steady clock, the source is left alone, and why.
    pause: Option<Pause>,
    failures: u32,
    /// When, on the steady clock, a rejected token was last replaced.
    rejected: Option<Duration>,
}

#[derive(Clone)]
struct Pause {
    until: Duration,
    /// `None` where a renewal worked, but gave a token that needs the next one already.
    error: Option<TokenError>,
}

/// What a renewal came to; `None` while it runs.
type Outcome = Option<Result<AccessToken, TokenError>>;

/// What became of the wish for a renewal.
pub(super) enum Started {
    Running(watch::Receiver<Outcome>),
    Paused(Option<TokenError>),
}

impl Slot {
    pub(super) fn new(audience: Audience, held: Option<Held>) -> Self {
        Self {
            audience,
            restored: u64::from(held.is_some()),
            held: ArcSwapOption::from_pointee(held),
            renewal: Mutex::default(),
            used: Count::default(),
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
        self.used.add_one();
    }

    /// The token, used, where nothing is to be done but to hand it out. It waits for nothing, and writes to no place where
    /// other threads write.
    pub(super) fn hit(&self, clock: &dyn Clock) -> Option<AccessToken> {
        let held = self.held.load();
        let held = held.as_ref().filter(|held| held.was_fresh(clock.lately()))?;
        self.count_use();
        Some(held.token())
    }

    /// Marks this token, which a service rejected, for replacement. Returns whether another one is there or may be fetched.
    pub(super) fn reject(&self, rejected: &AccessToken, now: Duration, pause: Duration) -> Rejected {
        let held = self.held.load();
        let Some(held) = held.as_ref().filter(|held| held.token().is_same(rejected)) else { return Rejected::Replaced };
        if held.is_rejected() {
            return Rejected::Known;
        }
        let mut renewal = self.renewal.lock().unwrap_or_else(PoisonError::into_inner);
        if renewal.rejected.is_some_and(|last| now < last.saturating_add(pause)) {
            return Rejected::TooSoon;
        }
        renewal.rejected = Some(now);
        held.reject();
        Rejected::Marked
    }

    /// Drops the token. Returns whether there was one.
    pub(super) fn forget(&self) -> bool {
        let mut renewal = self.renewal.lock().unwrap_or_else(PoisonError::into_inner);
        if renewal.pause.as_ref().is_some_and(|pause| pause.error.is_none()) {
            renewal.pause = None;
        }
        self.held.swap(None).is_some()
    }

    pub(super) fn statistics(&self) -> Statistics {
        Statistics {
            audience: self.audience.clone(),
            used: self.used.sum(),
            fetched: self.fetched.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
            restored: self.restored,
            stale: self.stale.load(Ordering::Relaxed),
            refused: self.refused.load(Ordering::Relaxed),
            expires_on: self.held.load().as_ref().map(|held| held.ends()),
        }
    }
}

/// What becomes of a token that a service rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rejected {
    /// It is replaced with the next fetch, which is due.
    Marked,
    /// Another caller said so before.
    Known,
    /// The cache has another one already.
    Replaced,
    /// One was replaced a moment ago: it stays.
    TooSoon,
}

/// The slot's token: see the module's table.
pub(super) async fn token(shared: &Arc<Shared>, slot: &Arc<Slot>) -> Result<AccessToken, TokenError> {
    match current(shared, slot) {
        Some((token, Phase::Fresh)) => Ok(token),
        Some((token, Phase::RenewAhead)) => {
            renew(shared, slot);
            Ok(token)
        }
        Some((old, Phase::Margin)) => {
            let renewed = match renew(shared, slot) {
                Started::Paused(_) => None,
                Started::Running(running) => tokio::select! {
                    outcome = wait(running) => outcome.ok(),
                    () = shared.clock.sleep(shared.policy.patience) => None,
                },
            };
            Ok(renewed.unwrap_or_else(|| {
                slot.stale.fetch_add(1, Ordering::Relaxed);
                old
            }))
        }
        None | Some((_, Phase::Dead)) => {
            let renewed = match renew(shared, slot) {
                Started::Running(running) => wait(running).await,
                // A pause without an error follows a token that has died in the meantime.
                Started::Paused(error) => Err(error.unwrap_or(TokenError::Expired { seconds_ago: 0 })),
            };
            renewed.inspect_err(|_| {
                slot.refused.fetch_add(1, Ordering::Relaxed);
            })
        }
    }
}

fn current(shared: &Shared, slot: &Slot) -> Option<(AccessToken, Phase)> {
    let held = slot.held.load();
    let held = held.as_ref()?;
    Some((held.token(), held.phase(&*shared.clock)))
}

async fn wait(mut running: watch::Receiver<Outcome>) -> Result<AccessToken, TokenError> {
    match running.wait_for(Option::is_some).await {
        Ok(outcome) => outcome.clone().unwrap_or_else(|| Err(abandoned())),
        Err(_) => Err(abandoned()),
    }
}

fn abandoned() -> TokenError {
    TokenError::Unavailable { said: "the request for a token was abandoned".to_owned() }
}

/// Starts a renewal, or joins the one that runs, or leaves the source alone for now.
pub(super) fn renew(shared: &Arc<Shared>, slot: &Arc<Slot>) -> Started {
    let mut renewal = slot.renewal.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(running) = &renewal.running {
        // A runtime that was shut down took its tasks along: their senders are dropped, and there is nothing to join.
        if running.has_changed().is_ok() || running.borrow().is_some() {
            return Started::Running(running.clone());
        }
    }
    if let Some(pause) = &renewal.pause
        && shared.clock.steady() < pause.until
    {
        return Started::Paused(pause.error.clone());
    }
    let (sender, running) = watch::channel(None);
    renewal.running = Some(running.clone());
    drop(renewal);

    let (shared, slot) = (Arc::clone(shared), Arc::clone(slot));
    tokio::spawn(async move {
        // A task of its own: a source that panics ends that one, and is a failure like any other here.
        let fetch = tokio::spawn({
            let (shared, slot) = (Arc::clone(&shared), Arc::clone(&slot));
            async move { shared.source.fetch(&slot.audience).await }
        });
        let issued = fetch.await.unwrap_or_else(|_| Err(abandoned()));
        let held = issued.and_then(|issued| Held::new(issued, &*shared.clock, shared.policy));
        let outcome = finish(&shared, &slot, held);
        let got = outcome.is_ok();
        sender.send_replace(Some(outcome));
        if let (true, Some((persistence, _))) = (got, &shared.kept) {
            persistence.clone().save().await;
        }
    });
    Started::Running(running)
}

/// Keeps what a renewal gave, before anybody who waits is told: who comes next finds the token, and no renewal that runs.
fn finish(shared: &Shared, slot: &Slot, held: Result<Held, TokenError>) -> Result<AccessToken, TokenError> {
    let audience = &slot.audience;
    let mut renewal = slot.renewal.lock().unwrap_or_else(PoisonError::into_inner);
    let now = shared.clock.steady();
    let outcome = match held {
        Ok(held) => {
            let token = held.token();
            let fresh = held.phase(&*shared.clock) == Phase::Fresh;
            renewal.failures = 0;
            if let Some((persistence, identity)) = &shared.kept {
                let wall = shared.clock.wall();
                persistence.put(identity, audience, held.entry(wall), wall);
            }
            renewal.pause = (!fresh).then(|| Pause { until: now + shared.policy.longest_pause, error: None });
            slot.held.store(Some(Arc::new(held)));
            slot.fetched.fetch_add(1, Ordering::Relaxed);
            tracing::debug!(%audience, expires_on = token.expires_on(), "got a token");
            Ok(token)
        }
        Err(error) => {
            let doubled = shared.policy.first_pause * 2_u32.saturating_pow(renewal.failures.min(16));
            let asked = if let TokenError::Throttled { retry_after } = error { retry_after } else { Duration::ZERO };
            let pause = doubled.min(shared.policy.longest_pause).max(asked);
            renewal.failures = renewal.failures.saturating_add(1);
            renewal.pause = Some(Pause { until: now + pause, error: Some(error.clone()) });
            slot.failed.fetch_add(1, Ordering::Relaxed);
            tracing::warn!(%audience, %error, pause_s = pause.as_secs(), "no token");
            Err(error)
        }
    };
    renewal.running = None;
    outcome
}
