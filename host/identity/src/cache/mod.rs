//! Keeps tokens: one request however many ask, renewed ahead of their end.
//!
//! For each audience there is a slot. What a call does depends on how long the slot's token has left:
//!
//! | left | the call |
//! |---|---|
//! | more than twice the margin | gets the token |
//! | more than the margin | gets the token; a renewal runs in the background |
//! | less | waits a moment for the renewal; if that takes longer or fails, gets the old token |
//! | nothing, or no token yet | waits for the renewal, and gets its error if it fails |
//!
//! One renewal runs at a time for a slot, as a task of its own: a caller that goes away neither cancels nor loses it. After
//! a failure there is a pause, longer each time, in which nobody asks the source again.
//!
//! A token that a service rejected ([`CachedToken::reject`]) counts as one within its margin, and goes from the disk at once. While
//! no other one can be had it is still served: a service that lies takes no token from its neighbours.
//!
//! With a [`Persistence`], tokens are kept on disk too, encrypted, and a restart makes no request.

mod entry;
mod forget;
mod key;
mod persist;
mod places;
mod slot;
mod slots;
mod validity;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

pub use key::{InvalidKey, PersistKey};
pub use persist::Persistence;
use slot::Slot;
pub use slot::Statistics;
use slots::Slots;
use validity::Held;

use crate::clock::{Clock, SystemClock};
use crate::{AccessToken, Audience, TokenError, TokenSource};

/// The times of a cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Policy {
    /// A token is renewed when it has no more than this left. The platform's guidance asks for 5 minutes. A token that
    /// lives for less than four times this is renewed when a quarter of its life is left.
    pub margin: Duration,
    /// For how long a call waits for a renewal while the old token is still valid.
    pub patience: Duration,
    /// The pause after a first failure. It doubles with each further one.
    pub first_pause: Duration,
    /// The longest pause. It is also the least time between two renewals that did not give a longer-lived token, as an
    /// endpoint that keeps its own cache may do.
    pub longest_pause: Duration,
    /// The least time between two tokens that are replaced because a service rejected them: a service that rejects every
    /// token costs the endpoint no more than one request in this time.
    pub rejection_pause: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            margin: Duration::from_secs(5 * 60),
            patience: Duration::from_secs(2),
            first_pause: Duration::from_secs(1),
            longest_pause: Duration::from_secs(30),
            rejection_pause: Duration::from_secs(60),
        }
    }
}

/// The tokens of one identity. Clones share them.
#[derive(Clone)]
pub struct TokenCache(Arc<Shared>);

struct Shared {
    source: Arc<dyn TokenSource>,
    clock: Arc<dyn Clock>,
    policy: Policy,
    /// The file, and what this cache's source is called in it.
    kept: Option<(Persistence, String)>,
    slots: Slots,
}

/// One audience of a cache, found once: the shortest way to its token.
#[derive(Clone)]
pub struct CachedToken {
    shared: Arc<Shared>,
    slot: Arc<Slot>,
}

impl TokenCache {
    /// A cache in front of a source, with the default policy.
    #[must_use]
    pub fn new(source: impl TokenSource) -> Self {
        Self::with(Arc::new(source), Arc::new(SystemClock::default()), Policy::default())
    }

    /// A cache with another clock or policy.
    #[must_use]
    pub fn with(source: Arc<dyn TokenSource>, clock: Arc<dyn Clock>, policy: Policy) -> Self {
        Self(Arc::new(Shared::new(source, clock, policy, None)))
    }

    /// The same, with a file that survives a restart. What is in it is found again by what the source says it is
    /// ([`TokenSource::describe`]), and by the audience.
    #[must_use]
    pub fn persisted(
        source: Arc<dyn TokenSource>,
        clock: Arc<dyn Clock>,
        policy: Policy,
        persistence: Persistence,
    ) -> Self {
        let kept = Some((persistence, source.describe()));
        Self(Arc::new(Shared::new(source, clock, policy, kept)))
    }

    /// A token for an audience.
    ///
    /// Must be called within a Tokio runtime, in which the renewal runs.
    ///
    /// # Errors
    ///
    /// The source's, where there is no token that is still valid.
    pub async fn token(&self, audience: &Audience) -> Result<AccessToken, TokenError> {
        // Without a count of who has the slot, which all threads would write to.
        if let Some(token) = self.0.slots.get(audience).and_then(|slot| slot.hit(&*self.0.clock)) {
            return Ok(token);
        }
        self.audience(audience).get().await
    }

    /// The way to one audience's token, for a caller that will want it often.
    #[must_use]
    pub fn audience(&self, audience: &Audience) -> CachedToken {
        let slot = self.0.slots.get_or_add(audience, || Slot::new(audience.clone(), self.0.restored(audience)));
        CachedToken { shared: Arc::clone(&self.0), slot: Arc::clone(slot) }
    }

    /// What the identity is, in a few words, for people.
    #[must_use]
    pub fn describe(&self) -> String {
        self.0.source.describe()
    }

    /// How often each token was asked for and fetched, in the order of the audiences.
    #[must_use]
    pub fn statistics(&self) -> Vec<Statistics> {
        let mut all = Vec::new();
        self.0.slots.each(&mut |slot| all.push(slot.statistics()));
        all
    }
}

impl Shared {
    fn new(
        source: Arc<dyn TokenSource>,
        clock: Arc<dyn Clock>,
        policy: Policy,
        kept: Option<(Persistence, String)>,
    ) -> Self {
        Self { source, clock, policy, kept, slots: Slots::default() }
    }

    fn restored(&self, audience: &Audience) -> Option<Held> {
        let (persistence, identity) = self.kept.as_ref()?;
        let entry = persistence.get(identity, audience, self.clock.wall())?;
        tracing::debug!(%audience, "found a token on disk");
        Some(Held::restored(entry, &*self.clock, self.policy))
    }
}

impl CachedToken {
    /// The token: see [`TokenCache::token`].
    ///
    /// # Errors
    ///
    /// The source's, where there is no token that is still valid.
    pub async fn get(&self) -> Result<AccessToken, TokenError> {
        if let Some(token) = self.slot.hit(&*self.shared.clock) {
            return Ok(token);
        }
        let token = slot::token(&self.shared, &self.slot).await?;
        self.slot.count_use();
        Ok(token)
    }

    /// When the token ends, in seconds since 1970-01-01T00:00:00Z. It is fetched where that is needed, and not handed out.
    ///
    /// # Errors
    ///
    /// The source's, where there is no token that is still valid.
    pub async fn expires_on(&self) -> Result<u64, TokenError> {
        Ok(slot::token(&self.shared, &self.slot).await?.expires_on())
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
