//! The cache of one identity's tokens.

use std::fmt;
use std::sync::Arc;

use super::persistence::Persistence;
use super::policy::Policy;
use super::renew;
use super::shared::{Persisted, Shared};
use super::slot::{Slot, Statistics};
use super::slot_map::SlotMap;
use crate::clock::{Clock, SystemClock};
use crate::{AccessToken, Audience, TokenError, TokenSource};

/// The tokens of one identity. Clones share them.
#[derive(Clone)]
pub struct TokenCache(pub(super) Arc<Shared>);

/// One audience of a cache: the fastest way to its token.
#[derive(Clone)]
pub struct CachedToken {
    pub(super) shared: Arc<Shared>,
    pub(super) slot: Arc<Slot>,
}

impl TokenCache {
    /// A cache for a source, with the default policy.
    #[must_use]
    pub fn new(source: impl TokenSource) -> Self {
        Self::with(Arc::new(source), Arc::new(SystemClock::default()), Policy::default())
    }

    /// A cache with another clock or policy.
    #[must_use]
    pub fn with(source: Arc<dyn TokenSource>, clock: Arc<dyn Clock>, policy: Policy) -> Self {
        let slots = SlotMap::default();
        Self(Arc::new(Shared { source, clock, policy, persistence: None, slots }))
    }

    /// A cache whose tokens survive a restart in a file. They are keyed by the source's description
    /// ([`TokenSource::describe`]) and the audience.
    #[must_use]
    pub fn persisted(
        source: Arc<dyn TokenSource>,
        clock: Arc<dyn Clock>,
        policy: Policy,
        file: Persistence,
    ) -> Self {
        let persistence = Some(Persisted { file, identity: source.describe() });
        let slots = SlotMap::default();
        Self(Arc::new(Shared { source, clock, policy, persistence, slots }))
    }

    /// A token for an audience.
    ///
    /// Must be called within a Tokio runtime, in which renewals run.
    ///
    /// # Errors
    ///
    /// The source's, if there is no valid token.
    pub async fn token(&self, audience: &Audience) -> Result<AccessToken, TokenError> {
        // Without a clone of the slot: all threads would write to its reference count.
        let slot = self.0.slots.get(audience);
        match slot.and_then(|slot| slot.hit(&*self.0.clock)) {
            Some(token) => Ok(token),
            None => self.audience(audience).get().await,
        }
    }

    /// One audience of this cache, for a caller that often wants its token.
    #[must_use]
    pub fn audience(&self, audience: &Audience) -> CachedToken {
        CachedToken { shared: Arc::clone(&self.0), slot: Arc::clone(self.0.slot(audience)) }
    }

    /// A short description of the identity, for logs and messages.
    #[must_use]
    pub fn describe(&self) -> String {
        self.0.source.describe()
    }

    /// How often each token was used and fetched, ordered by audience.
    #[must_use]
    pub fn statistics(&self) -> Vec<Statistics> {
        let mut statistics = Vec::new();
        self.0.slots.for_each(&mut |slot| statistics.push(slot.statistics()));
        statistics
    }
}

impl CachedToken {
    /// The token: see [`TokenCache::token`].
    ///
    /// # Errors
    ///
    /// The source's, if there is no valid token.
    pub async fn get(&self) -> Result<AccessToken, TokenError> {
        if let Some(token) = self.slot.hit(&*self.shared.clock) {
            return Ok(token);
        }
        let token = renew::token(&self.shared, &self.slot).await?;
        self.slot.count_use();
        Ok(token)
    }

    /// The token that is cached, fresh or not. Fetches none, and does not count as a use.
    #[must_use]
    pub fn peek(&self) -> Option<AccessToken> {
        self.slot.peek()
    }

    /// When the token expires, in seconds since 1970-01-01T00:00:00Z. Fetches a token if there is
    /// none, and does not count as a use.
    ///
    /// # Errors
    ///
    /// The source's, if there is no valid token.
    pub async fn expires_on(&self) -> Result<u64, TokenError> {
        Ok(renew::token(&self.shared, &self.slot).await?.expires_on())
    }

    /// The audience.
    #[must_use]
    pub fn audience(&self) -> &Audience {
        self.slot.audience()
    }
}

impl fmt::Debug for TokenCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenCache").field("source", &self.describe()).finish_non_exhaustive()
    }
}

impl fmt::Debug for CachedToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CachedToken").field("audience", self.audience()).finish_non_exhaustive()
    }
}
