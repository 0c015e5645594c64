//! Removal of tokens before they expire: a service rejected one, or an operator wants new ones.

use std::collections::BTreeSet;

use super::renew;
use super::shared::Persisted;
use super::slot::Rejection;
use super::token_cache::{CachedToken, TokenCache};
use crate::{AccessToken, Audience};

impl CachedToken {
    /// Reports that a service rejected this token. If the cache still has it, it is removed from
    /// the file and a renewal starts in the background, at most once within
    /// [`Policy::rejection_pause`](super::Policy::rejection_pause).
    ///
    /// Must be called within a Tokio runtime. Returns whether [`replacement`](Self::replacement)
    /// may return another token.
    pub fn reject(&self, rejected: &AccessToken) -> bool {
        let (shared, pause) = (&self.shared, self.shared.policy.rejection_pause);
        match self.slot.reject(rejected, shared.clock.steady(), pause) {
            Rejection::TooSoon => false,
            Rejection::Known | Rejection::Replaced => true,
            Rejection::Marked => {
                let audience = self.audience();
                tracing::info!(%audience, "a service rejected the token; fetching another one");
                if let Some(Persisted { file, identity }) = &shared.persistence {
                    file.forget(identity, Some(audience));
                    tokio::spawn(file.clone().flush_in_background());
                }
                renew::begin(shared, &self.slot);
                true
            }
        }
    }

    /// Returns another token than the one that a service rejected. Waits no longer than a call
    /// within the margin does. `None` if the endpoint fails, returns the same token again, or was
    /// asked for a replacement a moment ago.
    pub async fn replacement(&self, rejected: &AccessToken) -> Option<AccessToken> {
        if !self.reject(rejected) {
            return None;
        }
        let token = self.get().await.ok()?;
        (!token.is_same(rejected)).then_some(token)
    }
}

impl TokenCache {
    /// Removes all tokens, or only the one for an audience, from memory and from the file; the next
    /// call fetches another. Returns the audiences of the removed tokens. The next
    /// [`flush`](super::Persistence::flush) removes them from the disk.
    ///
    /// The platform's endpoints have caches of their own, and may return the same token again until
    /// it expires.
    #[must_use]
    pub fn forget(&self, audience: Option<&Audience>) -> BTreeSet<Audience> {
        let mut removed = BTreeSet::new();
        self.0.slots.for_each(&mut |slot| {
            let of = slot.audience();
            if audience.is_none_or(|audience| audience == of) && slot.forget() {
                removed.insert(of.clone());
            }
        });
        if let Some(Persisted { file, identity }) = &self.0.persistence {
            removed.extend(file.forget(identity, audience));
        }
        removed
    }
}
