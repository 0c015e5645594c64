//! What a reload changed.

/// What [`Broker::reload`](crate::Broker::reload) changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reloaded {
    /// The mounts.
    pub mounts: Changes,
    /// The identities.
    pub identities: Changes,
    /// Whether other callers are matched, or in another order.
    pub callers_changed: bool,
    /// Whether the trust anchors for services are others: those of the system, or those of
    /// `ca_files`. If so, every mount counts as changed.
    pub trust_anchors_changed: bool,
}

impl Reloaded {
    /// Whether everything is as it was before.
    #[must_use]
    pub fn is_unchanged(&self) -> bool {
        let Self { mounts, identities, callers_changed, trust_anchors_changed } = self;
        let is_same = |changes: &Changes| {
            changes.added.is_empty() && changes.changed.is_empty() && changes.removed.is_empty()
        };
        is_same(mounts) && is_same(identities) && !callers_changed && !trust_anchors_changed
    }
}

/// Names by what a reload did with them, each in the order of the names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Changes {
    /// They were not there before.
    pub added: Vec<String>,
    /// They work in another way than before.
    pub changed: Vec<String>,
    /// They are not there any more.
    pub removed: Vec<String>,
    /// They are as they were, with their connections, tokens and calls.
    pub unchanged: Vec<String>,
}
