//! The locks of a running daemon: in the broker, and in the file that makes them survive a restart.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use keyward::{Broker, Lock, LockAction, LockEvent, LockTarget, Locked, UnknownLockTarget};
use tokio::sync::Mutex;

use crate::exit::Failure;
use crate::lock_file::{self, Exclusive, LockFile, Stamp, StoredLocks};

/// How often the file is looked at. `keyward lock` writes it if it cannot reach the daemon.
const POLL: Duration = Duration::from_secs(1);

/// Who changed the file without an event in it, for the audit.
const UNKNOWN_WRITER: &str = "unknown: the file of locks was changed without an event";

/// The locks of a daemon.
#[derive(Clone, Debug)]
pub(crate) struct LockStore(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    broker: Broker,
    /// `None` if there is no place for it.
    file: Option<PathBuf>,
    seen: Mutex<Seen>,
}

/// The file as it was read or written last.
#[derive(Debug, Default)]
struct Seen {
    stamp: Option<Stamp>,
    /// What it locks. The broker may have further locks, which are not stored yet.
    locked: BTreeSet<LockTarget>,
    /// Events in it that the audit has. They are removed from it.
    recorded: Vec<LockEvent>,
    /// Why it could not be used, as the log has it.
    reported: Option<String>,
}

/// Reads the locks that a daemon starts with.
pub(crate) fn read(file: Option<&Path>) -> Result<LockFile, Failure> {
    file.map_or_else(|| Ok(LockFile::default()), lock_file::read_for_daemon)
}

/// Creates the directory of the file if it does not exist: a confined process cannot. Without it,
/// locks do not survive a restart, which `keyward lock` says.
pub(crate) fn create_directory(file: Option<&Path>) {
    let Some(directory) = file.and_then(Path::parent) else { return };
    if let Err(error) = lock_file::create_directory(directory) {
        let directory = directory.display();
        tracing::warn!("cannot create {directory}, the directory of locks: {error}");
    }
}

impl LockStore {
    /// The locks of a broker that was started with those that were read. Records what happened
    /// without a daemon.
    pub(crate) async fn start(broker: Broker, file: Option<PathBuf>, read: LockFile) -> Self {
        let LockFile { stored, stamp } = read;
        let mut seen = Seen { stamp, locked: targets(&stored.locks), ..Seen::default() };
        stored.unrecorded.iter().for_each(|event| broker.record_lock(event));
        seen.recorded = stored.unrecorded;
        if let Some(file) = &file {
            seen.forget_events(file, stored.locks).await;
        }
        Self(Arc::new(Inner { broker, file, seen: Mutex::new(seen) }))
    }

    /// The file; `None` if there is no place for it.
    pub(crate) fn file(&self) -> Option<&Path> {
        self.0.file.as_deref()
    }

    /// Locks at once, and stores the lock.
    pub(crate) async fn lock(
        &self,
        lock: Lock,
    ) -> Result<(Locked, io::Result<()>), UnknownLockTarget> {
        let target = lock.target.clone();
        // The broker denies calls as soon as its future is polled, which is before the file is
        // written.
        let (locked, stored) = tokio::join!(biased; self.0.broker.lock(lock), self.store(&target));
        Ok((locked?, stored))
    }

    /// Stores what the broker has locked, which must include `target`.
    async fn store(&self, target: &LockTarget) -> io::Result<()> {
        let Some(file) = &self.0.file else { return Ok(()) };
        let mut seen = self.0.seen.lock().await;
        let _exclusive = exclusive(file).await?;
        self.apply_changes(&mut seen, file).await?;
        let locks = self.0.broker.locks();
        if !locks.iter().any(|lock| lock.target == *target) {
            return Err(io::Error::other("it was unlocked before it was stored"));
        }
        seen.write(file, locks).await
    }

    /// Lifts a lock. If that cannot be stored, it stays.
    pub(crate) async fn unlock(&self, event: &LockEvent) -> io::Result<Option<Lock>> {
        let Some(file) = &self.0.file else { return Ok(self.0.broker.unlock(event)) };
        let mut seen = self.0.seen.lock().await;
        let _exclusive = exclusive(file).await?;
        self.apply_changes(&mut seen, file).await?;
        let mut locks = self.0.broker.locks();
        if !locks.iter().any(|lock| lock.target == event.target) {
            return Ok(None);
        }
        locks.retain(|lock| lock.target != event.target);
        seen.write(file, locks).await?;
        Ok(self.0.broker.unlock(event))
    }

    /// Applies what other processes write to the file.
    pub(crate) async fn follow(&self) -> Infallible {
        let Some(file) = self.0.file.as_deref() else { return std::future::pending().await };
        loop {
            tokio::time::sleep(POLL).await;
            self.look(file).await;
        }
    }

    /// Applies what other processes wrote to the file since it was read or written last.
    async fn look(&self, file: &Path) {
        let mut seen = self.0.seen.lock().await;
        match self.apply_changes(&mut seen, file).await {
            Ok(Some(locks)) => seen.forget_events(file, locks).await,
            Ok(None) => {}
            Err(error) => {
                let error = error.to_string();
                if seen.reported.as_ref() != Some(&error) {
                    tracing::error!("{error}; what is locked stays so");
                    seen.reported = Some(error);
                }
            }
        }
    }

    /// Reads the file if it changed, and applies the changes. Returns its locks if it was read.
    async fn apply_changes(&self, seen: &mut Seen, file: &Path) -> io::Result<Option<Vec<Lock>>> {
        if lock_file::stamp(file) == seen.stamp {
            return Ok(None);
        }
        let Some(LockFile { stored, stamp }) = lock_file::read_checked(file)? else {
            tracing::error!(
                file = %file.display(),
                "the file of locks is gone; what is locked stays so until a restart"
            );
            seen.stamp = None;
            return Ok(None);
        };
        let locked = targets(&stored.locks);
        let events = stored.unrecorded.iter().filter(|event| !seen.recorded.contains(event));
        let events: Vec<LockEvent> = events.cloned().collect();
        let lifted: Vec<LockTarget> = seen.locked.difference(&locked).cloned().collect();
        let added = locked.difference(&seen.locked).map(|target| (LockAction::Lock, target));
        let changes = added.chain(lifted.iter().map(|target| (LockAction::Unlock, target)));
        let unknown = changes.filter(|(action, target)| {
            !events.iter().any(|event| event.action == *action && event.target == **target)
        });
        for (action, target) in unknown {
            let event = LockEvent::now(action, target.clone(), &UNKNOWN_WRITER, None);
            self.0.broker.record_lock(&event);
        }
        events.iter().for_each(|event| self.0.broker.record_lock(event));
        let recorded = stored.unrecorded;
        *seen = Seen { stamp, locked, recorded, reported: None };
        self.0.broker.change_locks(&lifted, stored.locks.clone()).await;
        Ok(Some(stored.locks))
    }
}

impl Seen {
    /// Replaces the file with one of these locks and without events, all of which the audit has.
    async fn write(&mut self, file: &Path, locks: Vec<Lock>) -> io::Result<()> {
        let locked = targets(&locks);
        let file = file.to_owned();
        let write = move || {
            lock_file::write(&file, &StoredLocks::of(locks))?;
            Ok::<_, io::Error>(lock_file::stamp(&file))
        };
        let stamp = tokio::task::spawn_blocking(write).await.map_err(io::Error::other)??;
        *self = Self { stamp, locked, ..Self::default() };
        Ok(())
    }

    /// Removes recorded events from the file. If another process has changed it, they stay until
    /// that is applied.
    async fn forget_events(&mut self, file: &Path, locks: Vec<Lock>) {
        if self.recorded.is_empty() {
            return;
        }
        let forgotten = async {
            let _exclusive = exclusive(file).await?;
            if lock_file::stamp(file) == self.stamp {
                self.write(file, locks).await?;
            }
            Ok::<_, io::Error>(())
        };
        if let Err(error) = forgotten.await {
            tracing::warn!(
                file = %file.display(),
                %error,
                "the file of locks cannot be written; the next daemon's audit will have its events \
                 again"
            );
        }
    }
}

fn targets(locks: &[Lock]) -> BTreeSet<LockTarget> {
    locks.iter().map(|lock| lock.target.clone()).collect()
}

async fn exclusive(file: &Path) -> io::Result<Exclusive> {
    let file = file.to_owned();
    let taken = tokio::task::spawn_blocking(move || Exclusive::take(&file));
    taken.await.map_err(io::Error::other)?
}

#[cfg(test)]
mod tests;
