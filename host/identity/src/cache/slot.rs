//! One audience's place in the cache.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use tokio::sync::watch;

use super::Shared;
use super::validity::{Held, Phase};
use crate::{AccessToken, Audience, TokenError};

pub(super) struct Slot {
    audience: Audience,
    held: ArcSwapOption<Held>,
    renewal: Mutex<Renewal>,
    used: AtomicU64,
    fetched: AtomicU64,
    failed: AtomicU64,
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
}

/// The state of getting a new token.
#[derive(Default)]
struct Renewal {
    running: Option<watch::Receiver<Outcome>>,
    /// Until when, on the steady clock, the source is left alone, and why.
    pause: Option<Pause>,
    failures: u32,
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
enum Started {
    Running(watch::Receiver<Outcome>),
    Paused(Option<TokenError>),
}

impl Slot {
    pub(super) fn new(audience: Audience) -> Self {
        Self {
            audience,
            held: ArcSwapOption::empty(),
            renewal: Mutex::default(),
            used: AtomicU64::new(0),
            fetched: AtomicU64::new(0),
            failed: AtomicU64::new(0),
        }
    }

    pub(super) fn audience(&self) -> &Audience {
        &self.audience
    }

    pub(super) fn count_use(&self) {
        self.used.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn statistics(&self) -> Statistics {
        Statistics {
            audience: self.audience.clone(),
            used: self.used.load(Ordering::Relaxed),
            fetched: self.fetched.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
        }
    }
}

/// The slot's token: see the module's table.
pub(super) async fn token(shared: &Arc<Shared>, slot: &Arc<Slot>) -> Result<AccessToken, TokenError> {
    match current(shared, slot) {
        Some((token, Phase::Fresh)) => Ok(token),
        Some((token, Phase::RenewAhead)) => {
            renew(shared, slot);
            Ok(token)
        }
        Some((token, Phase::Margin)) => match renew(shared, slot) {
            Started::Paused(_) => Ok(token),
            Started::Running(running) => tokio::select! {
                outcome = wait(running) => Ok(outcome.unwrap_or(token)),
                () = shared.clock.sleep(shared.policy.patience) => Ok(token),
            },
        },
        None | Some((_, Phase::Dead)) => match renew(shared, slot) {
            Started::Running(running) => wait(running).await,
            // A pause without an error follows a token that has died in the meantime.
            Started::Paused(error) => Err(error.unwrap_or(TokenError::Expired { seconds_ago: 0 })),
        },
    }
}

fn current(shared: &Shared, slot: &Slot) -> Option<(AccessToken, Phase)> {
    let held = slot.held.load();
    let held = held.as_ref()?;
    Some((held.token.clone(), held.phase(&*shared.clock)))
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
fn renew(shared: &Arc<Shared>, slot: &Arc<Slot>) -> Started {
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
        sender.send_replace(Some(outcome));
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
            let token = held.token.clone();
            let fresh = held.phase(&*shared.clock) == Phase::Fresh;
            renewal.failures = 0;
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
