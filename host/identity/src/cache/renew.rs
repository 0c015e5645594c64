//! Renewals: one request to the source at a time for a slot, however many calls wait for it.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::sync::watch;

use super::cache_entry::{CacheEntry, Phase};
use super::shared::{Persisted, Shared};
use super::slot::{Outcome, Pause, Slot};
use crate::{AccessToken, TokenError};

/// Whether there is a renewal to wait for.
enum Started {
    /// Another call's renewal finished since this one looked at the token.
    Finished(AccessToken),
    Running(watch::Receiver<Outcome>),
    /// The source is left alone for now, because of this error if there is one.
    Paused(Option<TokenError>),
}

/// The token of a slot: see the table of [`cache`](super).
pub(super) async fn token(
    shared: &Arc<Shared>,
    slot: &Arc<Slot>,
) -> Result<AccessToken, TokenError> {
    match slot.current(&*shared.clock) {
        Some((token, Phase::Fresh)) => Ok(token),
        Some((token, Phase::RenewAhead)) => {
            begin(shared, slot);
            Ok(token)
        }
        Some((old, Phase::Margin)) => {
            let renewed = match start(shared, slot) {
                Started::Finished(token) => Some(token),
                Started::Paused(_) => None,
                Started::Running(running) => tokio::select! {
                    outcome = wait(running) => outcome.ok(),
                    () = shared.clock.sleep(shared.policy.max_wait) => None,
                },
            };
            Ok(renewed.unwrap_or_else(|| {
                slot.stale.fetch_add(1, Ordering::Relaxed);
                old
            }))
        }
        None | Some((_, Phase::Expired)) => {
            let renewed = match start(shared, slot) {
                Started::Finished(token) => Ok(token),
                Started::Running(running) => wait(running).await,
                // The token that caused a pause without an error has expired in the meantime.
                Started::Paused(error) => {
                    Err(error.unwrap_or(TokenError::Expired { seconds_ago: 0 }))
                }
            };
            renewed.inspect_err(|_| {
                slot.refused.fetch_add(1, Ordering::Relaxed);
            })
        }
    }
}

/// Starts a renewal in the background, unless one runs or the source is left alone for now.
pub(super) fn begin(shared: &Arc<Shared>, slot: &Arc<Slot>) {
    drop(start(shared, slot));
}

async fn wait(mut running: watch::Receiver<Outcome>) -> Result<AccessToken, TokenError> {
    match running.wait_for(Option::is_some).await {
        Ok(outcome) => outcome.clone().unwrap_or_else(|| Err(aborted())),
        Err(_) => Err(aborted()),
    }
}

fn aborted() -> TokenError {
    TokenError::Unavailable { reason: "the request for a token was aborted".to_owned() }
}

fn start(shared: &Arc<Shared>, slot: &Arc<Slot>) -> Started {
    let mut renewal = slot.renewal();
    // Renewals store their token under the same lock.
    if let Some((token, Phase::Fresh)) = slot.current(&*shared.clock) {
        return Started::Finished(token);
    }
    if let Some(running) = &renewal.running {
        // A runtime that was shut down dropped its tasks, and with them the senders of renewals
        // that never finish.
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
    let removals = renewal.removals;
    drop(renewal);

    let (shared, slot) = (Arc::clone(shared), Arc::clone(slot));
    tokio::spawn(async move {
        // In a task of its own, so that a source that panics fails like any other.
        let fetch = tokio::spawn({
            let (shared, slot) = (Arc::clone(&shared), Arc::clone(&slot));
            async move { shared.source.fetch(slot.audience()).await }
        });
        let issued = fetch.await.unwrap_or_else(|_| Err(aborted()));
        let entry =
            issued.and_then(|issued| CacheEntry::new(issued, &*shared.clock, shared.policy));
        let outcome = finish(&shared, &slot, entry, removals);
        let is_renewed = outcome.is_ok();
        sender.send_replace(Some(outcome));
        if let (true, Some(Persisted { file, .. })) = (is_renewed, &shared.persistence) {
            file.clone().flush_in_background().await;
        }
    });
    Started::Running(running)
}

/// Stores the result of a renewal. This happens before the waiting calls are woken, so that the
/// next call finds the token and no running renewal. If tokens were removed since the renewal began,
/// only the calls that wait get its token.
fn finish(
    shared: &Shared,
    slot: &Slot,
    entry: Result<CacheEntry, TokenError>,
    removals: u64,
) -> Result<AccessToken, TokenError> {
    let audience = slot.audience();
    let mut renewal = slot.renewal();
    let now = shared.clock.steady();
    let outcome = match entry {
        Ok(entry) => {
            let token = entry.token();
            let is_fresh = entry.phase(&*shared.clock) == Phase::Fresh;
            renewal.failures = 0;
            if renewal.removals != removals {
                renewal.running = None;
                slot.fetched.fetch_add(1, Ordering::Relaxed);
                return Ok(token);
            }
            if let Some(Persisted { file, identity }) = &shared.persistence {
                let wall = shared.clock.wall();
                file.put(identity, audience, entry.persisted(wall), wall);
            }
            let until = now + shared.policy.longest_pause;
            renewal.pause = (!is_fresh).then_some(Pause { until, error: None });
            slot.store(entry);
            tracing::debug!(%audience, expires_on = token.expires_on(), "got a token");
            Ok(token)
        }
        Err(error) => {
            let doubled =
                shared.policy.first_pause * 2_u32.saturating_pow(renewal.failures.min(16));
            let requested = error.retry_after().unwrap_or_default();
            let pause = doubled.min(shared.policy.longest_pause).max(requested);
            renewal.failures = renewal.failures.saturating_add(1);
            renewal.pause = Some(Pause { until: now + pause, error: Some(error.clone()) });
            slot.failed.fetch_add(1, Ordering::Relaxed);
            let (help, pause_s) = (error.help().map(tracing::field::display), pause.as_secs());
            tracing::warn!(%audience, %error, help, pause_s, "no token");
            Err(error)
        }
    };
    renewal.running = None;
    outcome
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;
    use crate::source::Fetch;
    use crate::{Audience, TokenCache, TokenSource};

    /// Counts its tokens, which last for an hour.
    #[derive(Default)]
    struct Counting(AtomicUsize);

    impl TokenSource for Arc<Counting> {
        fn fetch<'a>(&'a self, _: &'a Audience) -> Fetch<'a> {
            let number = self.0.fetch_add(1, Ordering::SeqCst);
            let expires_on = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs() + 3600;
            Box::pin(async move { Ok(AccessToken::new(number.to_string(), expires_on)?.into()) })
        }

        fn describe(&self) -> String {
            "counting".to_owned()
        }
    }

    /// A call that looked at the token before another call's renewal finished.
    #[tokio::test]
    async fn a_late_call_uses_the_token_of_the_renewal_that_it_missed() {
        let source = Arc::new(Counting::default());
        let cache = TokenCache::new(Arc::clone(&source));
        let token = cache.audience(&Audience::new("https://vault.azure.net").unwrap());
        assert!(token.slot.current(&*token.shared.clock).is_none());
        let renewed = token.get().await.unwrap();
        let Started::Finished(late) = start(&token.shared, &token.slot) else {
            panic!("it started another renewal");
        };
        assert!(late.is_same(&renewed));
        assert_eq!(source.0.load(Ordering::SeqCst), 1);
    }
}
