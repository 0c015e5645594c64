//! Locking and unlocking: what is denied at once, and what ends with it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Weak};
use std::time::Duration;

use futures_util::future::join_all;
use keyward_identity::Audience;

use super::{Broker, CallId, flush};
use crate::audit::Record;
use crate::lock::{Lock, LockEvent, LockTarget, Locked, Names, UnknownLockTarget, caller_names};
use crate::mount::Mount;
use crate::running_calls::RunningCall;

/// How long calls that a lock ends may take to stop. A guest that computes notices within
/// milliseconds.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// How often it is checked whether they have.
const STOP_POLL: Duration = Duration::from_millis(2);

impl Broker {
    /// Locks everything, or one mount, caller or identity, at once: calls are denied
    /// ([`CallError::Locked`](crate::CallError::Locked)), and running ones are ended. Their tokens
    /// are removed from memory and disk, except for a lock of a caller, whose mounts serve others;
    /// sealed values are dropped, and pooled connections to databases closed. The audit has a record
    /// of it.
    ///
    /// Calls are denied as soon as the future is polled; it waits until those that ran have stopped.
    /// Tokens that were issued before stay valid at Azure until they expire.
    ///
    /// # Errors
    ///
    /// There is no mount, caller or identity of this name.
    pub async fn lock(&self, lock: Lock) -> Result<Locked, UnknownLockTarget> {
        lock.target.check_names(self.names())?;
        let event = LockEvent::from(&lock);
        let target = lock.target.clone();
        let was_locked = self.0.shared.locks.insert(lock);
        self.record_lock(&event);
        tracing::warn!(%target, by = event.by, "locked");
        let locked = self.enforce(&target).await;
        Ok(Locked { was_locked, ..locked })
    }

    /// Lifts a lock, and returns it; `None` if there is none of this target. Other locks stay. The
    /// audit has a record of it.
    pub fn unlock(&self, event: &LockEvent) -> Option<Lock> {
        let target = &event.target;
        self.0.shared.locks.get(target)?;
        // Nothing from before the lock survives it.
        self.drop_credentials(target);
        let removed = self.0.shared.locks.remove(target)?;
        self.record_lock(event);
        tracing::warn!(%target, by = event.by, "unlocked");
        Some(removed)
    }

    /// Applies what another process changed in stored locks, as [`lock`](Self::lock) and
    /// [`unlock`](Self::unlock) do, but without records in the audit: there may be
    /// [events](Self::record_lock) of it. Names that do not exist are no error.
    ///
    /// All calls that the added locks cover are denied as soon as the future is polled; it waits
    /// until those that ran have stopped.
    pub async fn change_locks(&self, lifted: &[LockTarget], added: Vec<Lock>) {
        let mut begun = Vec::new();
        for lock in added {
            let target = lock.target.clone();
            if !self.0.shared.locks.replace(lock) {
                tracing::warn!(%target, "locked");
                begun.push(target);
            }
        }
        for target in lifted {
            self.drop_credentials(target);
            if self.0.shared.locks.remove(target).is_some() {
                tracing::warn!(%target, "unlocked");
            }
        }
        join_all(begun.iter().map(|target| self.enforce(target))).await;
    }

    /// The locks.
    #[must_use]
    pub fn locks(&self) -> Vec<Lock> {
        self.0.shared.locks.all()
    }

    /// Writes the audit record of a lock that began or ended while no broker ran.
    pub fn record_lock(&self, event: &LockEvent) {
        let CallId(id) = self.next_call();
        self.0.audit.record(&Record::of_lock(id, event));
    }

    fn names(&self) -> Names {
        let generation = self.0.current.load();
        Names {
            mounts: self.mounts(),
            callers: caller_names(&generation.callers),
            identities: generation.identities.names().cloned().collect(),
        }
    }

    /// Ends the calls that a lock covers, and drops what they could act with.
    async fn enforce(&self, target: &LockTarget) -> Locked {
        // A call that is not in these lists yet checks the lock after it was added to one.
        let ended: Vec<Weak<dyn RunningCall>> = {
            let mounts = self.all_mounts();
            let calls = mounts.iter().flat_map(|mount| mount.running.all());
            let covered = calls.filter(|call| target.covers(&call.lock_subject()));
            let ended = covered.map(|call| {
                call.end_by_lock(target);
                Arc::downgrade(&call)
            });
            ended.collect()
        };
        let mut tokens = self.drop_credentials(target);
        let stopping = || {
            let running = ended.iter().filter_map(Weak::upgrade);
            running.filter(|call| !call.is_released()).count()
        };
        let stopped = async {
            while stopping() > 0 {
                tokio::time::sleep(STOP_POLL).await;
            }
        };
        drop(tokio::time::timeout(STOP_TIMEOUT, stopped).await);
        // What the last of them fetched or gave back.
        for (identity, audiences) in self.drop_credentials(target) {
            tokens.entry(identity).or_default().extend(audiences);
        }
        let mut disk_error = None;
        for file in self.files() {
            if let Err(error) = flush(file).await {
                disk_error = Some(error.to_string());
            }
        }
        Locked {
            was_locked: false,
            calls_ended: ended.len(),
            calls_stopping: stopping(),
            tokens,
            disk_error,
        }
    }

    /// Drops what the mounts that a lock covers could act with, and returns the audiences whose
    /// tokens were removed, by identity.
    fn drop_credentials(&self, target: &LockTarget) -> BTreeMap<String, BTreeSet<Audience>> {
        let all = self.all_mounts();
        let mounts = || all.iter();
        let covers = |mount: &Mount| match target {
            LockTarget::All => true,
            LockTarget::Mount(name) => *name == mount.name,
            LockTarget::Identity(name) => *name == mount.identity,
            LockTarget::Caller(_) => false,
        };
        mounts().filter(|mount| covers(mount)).for_each(|mount| mount.drop_credentials());
        let mut removed = BTreeMap::new();
        let generation = self.0.current.load_full();
        let replaced = self.replaced();
        for (name, cache) in generation.identities.caches().chain(replaced.all_caches()) {
            let audiences: BTreeSet<Audience> = match target {
                LockTarget::All => cache.forget(None),
                LockTarget::Identity(identity) if identity == name => cache.forget(None),
                LockTarget::Mount(mount) => mounts()
                    .filter(|it| it.name == *mount && it.identity == *name)
                    .flat_map(|mount| &mount.grants)
                    .flat_map(|grant| cache.forget(Some(&grant.audience)))
                    .collect(),
                LockTarget::Identity(_) | LockTarget::Caller(_) => continue,
            };
            if !audiences.is_empty() {
                removed.entry(name.clone()).or_insert_with(BTreeSet::new).extend(audiences);
            }
        }
        removed
    }

    /// Applies the locks that the broker starts with.
    pub(super) fn start_locked(&self, locks: Vec<Lock>) {
        let has_locks = !locks.is_empty();
        for lock in locks {
            let since = humantime::format_rfc3339_seconds(lock.since);
            tracing::warn!(target = %lock.target, by = lock.by, %since, "locked");
            if let Err(error) = lock.target.check_names(self.names()) {
                tracing::warn!("a lock has no effect: {error}");
            }
            self.drop_credentials(&lock.target);
            self.0.shared.locks.insert(lock);
        }
        for file in self.files().iter().filter(|_| has_locks) {
            if let Err(error) = file.flush() {
                tracing::warn!(%error, "locked tokens cannot be removed from the disk");
            }
        }
    }
}
