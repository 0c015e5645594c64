//! What a broker is doing.

use super::Broker;

/// A mount, and how much of it is in use.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MountStatus {
    /// Its name.
    pub name: String,
    /// Its plugin, with the beginning of its digest, as in the audit.
    pub plugin: String,
    /// The name of its identity.
    pub identity: String,
    /// How many of its calls run or wait.
    pub calls: usize,
    /// How many of them wait for a permit.
    pub waiting: u32,
    /// How many may run at once.
    pub concurrency: u32,
}

impl Broker {
    /// The mounts, in the order of their names.
    #[must_use]
    pub fn mount_statuses(&self) -> Vec<MountStatus> {
        let generation = self.0.current.load();
        let mounts = generation.mounts.values().map(|entry| &entry.mount);
        let mut statuses: Vec<MountStatus> = mounts
            .map(|mount| MountStatus {
                name: mount.name.clone(),
                plugin: mount.plugin.to_string(),
                identity: mount.identity.clone(),
                calls: mount.running.len(),
                waiting: mount.permits.waiting(),
                concurrency: mount.limits.concurrency,
            })
            .collect();
        statuses.sort_by(|a, b| a.name.cmp(&b.name));
        statuses
    }
}
