//! What the clones of a cache, and its background tasks, share.

use std::sync::Arc;

use super::cache_entry::CacheEntry;
use super::persistence::Persistence;
use super::policy::Policy;
use super::slot::Slot;
use super::slot_map::SlotMap;
use crate::clock::Clock;
use crate::{Audience, TokenSource};

pub(super) struct Shared {
    pub(super) source: Arc<dyn TokenSource>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) policy: Policy,
    pub(super) persistence: Option<Persisted>,
    pub(super) slots: SlotMap,
}

/// A file of tokens, and the key of this cache's tokens in it.
pub(super) struct Persisted {
    pub(super) file: Persistence,
    /// The description of the source.
    pub(super) identity: String,
}

impl Shared {
    /// The slot of an audience. A new one has the persisted token, if there is one.
    pub(super) fn slot(&self, audience: &Audience) -> &Arc<Slot> {
        self.slots.get_or_insert(audience, || Slot::new(audience.clone(), self.restore(audience)))
    }

    fn restore(&self, audience: &Audience) -> Option<CacheEntry> {
        let Persisted { file, identity } = self.persistence.as_ref()?;
        let persisted = file.get(identity, audience, self.clock.wall())?;
        tracing::debug!(%audience, "restored a persisted token");
        Some(CacheEntry::restored(persisted, &*self.clock, self.policy))
    }
}
