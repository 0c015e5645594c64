//! Tokens that end before their time: a service rejected one, or an operator wants new ones.

use std::collections::BTreeSet;

use super::slot::{self, Rejected};
use super::{CachedToken, TokenCache};
use crate::{AccessToken, Audience};

impl CachedToken {
    /// Says that a service rejected this token. If the cache still has it, it goes from the disk and another one is fetched
    /// in the background, at most once within [`Policy::rejection_pause`](super::Policy::rejection_pause).
    ///
    /// Must be called within a Tokio runtime. Returns whether [`replacement`](Self::replacement) may have another token.
    pub fn reject(&self, rejected: &AccessToken) -> bool {
        let (shared, pause) = (&self.shared, self.shared.policy.rejection_pause);
        match self.slot.reject(rejected, shared.clock.steady(), pause) {
            Rejected::TooSoon => false,
            Rejected::Known | Rejected::Replaced => true,
            Rejected::Marked => {
                tracing::info!(audience = %self.audience(), "a service rejected the token; another one is fetched");
                if let Some((persistence, identity)) = &shared.kept {
                    persistence.forget(identity, Some(self.audience()));
                    tokio::spawn(persistence.clone().save());
                }
                slot::renew(shared, &self.slot);
                true
            }
        }
    }

    /// Another token in the place of one that a service rejected. Waits for no longer than a call within the margin does.
    /// `None` where there is none: the endpoint fails, gives the same token again, or was asked a moment ago.
    pub async fn replacement(&self, rejected: &AccessToken) -> Option<AccessToken> {
        if !self.reject(rejected) {
            return None;
        }
        let token = self.get().await.ok()?;
        (!token.is_same(rejected)).then_some(token)
    }
}

impl TokenCache {
    /// Forgets all tokens, or the one for an audience, in memory and on disk; the next call fetches another. Returns what
    /// they were for. What is on disk is gone with the next [`flush`](super::Persistence::flush).
    ///
    /// The platform's endpoints have caches of their own, and may give the same token again until it ends.
    #[must_use]
    pub fn forget(&self, audience: Option<&Audience>) -> BTreeSet<Audience> {
        let mut forgotten = BTreeSet::new();
        self.0.slots.each(&mut |slot| {
            let goes = audience.is_none_or(|audience| audience == slot.audience());
            if goes && slot.forget() {
                forgotten.insert(slot.audience().clone());
            }
        });
        if let Some((persistence, identity)) = &self.0.kept {
            forgotten.extend(persistence.forget(identity, audience));
        }
        forgotten
    }
}
