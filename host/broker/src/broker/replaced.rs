//! What reloads have replaced, as long as calls still use it.

use std::sync::{Arc, Weak};

use keyward_identity::TokenCache;
use keyward_identity::cache::Persistence;

use crate::generation::Generation;
use crate::identities::Identities;
use crate::mount::Mount;

/// The mounts and identities of former generations that calls still use.
#[derive(Default)]
pub(super) struct Replaced(Vec<Former>);

/// What calls still use of one former generation.
struct Former {
    mounts: Vec<Weak<Mount>>,
    identities: Identities,
}

impl Replaced {
    /// Adds the mounts of a generation that the next one does not have.
    pub(super) fn add(&mut self, former: &Generation, next: &Generation) {
        let is_kept = |mount: &Arc<Mount>| {
            let kept = next.mounts.get(&mount.name);
            kept.is_some_and(|entry| Arc::ptr_eq(&entry.mount, mount))
        };
        let mounts = former.mounts.values().map(|entry| &entry.mount);
        let mounts = mounts.filter(|mount| !is_kept(mount)).map(Arc::downgrade).collect();
        self.0.push(Former { mounts, identities: former.identities.clone() });
    }

    /// Drops what no call uses any more. Returns whether nothing is left.
    pub(super) fn prune(&mut self) -> bool {
        for former in &mut self.0 {
            former.mounts.retain(|mount| mount.strong_count() > 0);
        }
        self.0.retain(|former| !former.mounts.is_empty());
        self.0.is_empty()
    }

    /// The mounts.
    pub(super) fn mounts(&self) -> impl Iterator<Item = Arc<Mount>> {
        self.0.iter().flat_map(|former| former.mounts.iter().filter_map(Weak::upgrade))
    }

    /// The caches of all identities of this name.
    pub(super) fn caches(&self, identity: &str) -> impl Iterator<Item = &TokenCache> {
        self.0.iter().filter_map(move |former| former.identities.cache(identity))
    }

    /// The names and caches of all identities.
    pub(super) fn all_caches(&self) -> impl Iterator<Item = (&String, &TokenCache)> {
        self.0.iter().flat_map(|former| former.identities.caches())
    }

    /// The files of tokens.
    pub(super) fn files(&self) -> impl Iterator<Item = &Persistence> {
        self.0.iter().flat_map(|former| former.identities.files())
    }
}
