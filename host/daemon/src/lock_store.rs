//! The locks of a running daemon: in the broker, and in the file that makes them survive a restart.

use std::convert::Infallible;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use keyward::{Broker, Lock, LockEvent, LockTarget, Locked, UnknownLockTarget};
use tokio::sync::Mutex;

use crate::exit::Failure;
use crate::lock_file::{self, Stamp, StoredLocks};

/// How often the file is looked at. `keyward lock` writes it if it cannot reach the daemon.
const POLL: Duration = Duration::from_secs(1);

/// The locks of a daemon.
#[derive(Clone, Debug)]
pub(crate) struct LockStore(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    broker: Broker,
    /// `None` if there is no place for it.
    file: Option<PathBuf>,
    /// The file that was read or written last. Held while the file is written, so that the last
    /// change is the one that stays.
    seen: Mutex<Option<Stamp>>,
}

/// Reads the locks that a daemon starts with.
pub(crate) fn read(file: Option<&Path>) -> Result<StoredLocks, Failure> {
    file.map_or_else(|| Ok(StoredLocks::default()), lock_file::read_for_daemon)
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
    /// The locks of a broker that was started with `stored`. Records what happened without a daemon.
    pub(crate) fn new(broker: Broker, file: Option<PathBuf>, stored: &StoredLocks) -> Self {
        let mut seen = file.as_deref().and_then(lock_file::stamp);
        if let Some(file) = &file
            && !stored.unrecorded.is_empty()
        {
            stored.unrecorded.iter().for_each(|event| broker.record_lock(event));
            seen = forget_events(file, stored).or(seen);
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
        // The broker denies calls as soon as its future is polled, and so before the file is
        // written.
        let (locked, stored) = tokio::join!(self.0.broker.lock(lock), self.store(&target));
        Ok((locked?, stored))
    }

    /// Stores what the broker has locked, if that includes `target`.
    async fn store(&self, target: &LockTarget) -> io::Result<()> {
        let mut seen = self.0.seen.lock().await;
        let locks = self.0.broker.locks();
        if locks.iter().any(|lock| lock.target == *target) {
            *seen = self.write(locks).await?;
        }
        Ok(())
    }

    /// Lifts a lock. If that cannot be stored, it stays.
    pub(crate) async fn unlock(&self, event: &LockEvent) -> io::Result<Option<Lock>> {
        let mut seen = self.0.seen.lock().await;
        let mut locks = self.0.broker.locks();
        if !locks.iter().any(|lock| lock.target == event.target) {
            return Ok(None);
        }
        locks.retain(|lock| lock.target != event.target);
        *seen = self.write(locks).await?;
        Ok(self.0.broker.unlock(event))
    }

    async fn write(&self, locks: Vec<Lock>) -> io::Result<Option<Stamp>> {
        let Some(file) = self.0.file.clone() else { return Ok(None) };
        let write = move || {
            lock_file::write(&file, &StoredLocks::of(locks))?;
            Ok(lock_file::stamp(&file))
        };
        tokio::task::spawn_blocking(write).await.map_err(io::Error::other)?
    }

    /// Applies what other processes write to the file.
    pub(crate) async fn follow(&self) -> Infallible {
        let Some(file) = self.0.file.as_deref() else { return std::future::pending().await };
        loop {
            tokio::time::sleep(POLL).await;
            let mut seen = self.0.seen.lock().await;
            let stamp = lock_file::stamp(file);
            if stamp == *seen {
                continue;
            }
            *seen = stamp;
            match lock_file::read(file) {
                Ok(Some(stored)) => {
                    let broker = &self.0.broker;
                    stored.unrecorded.iter().for_each(|event| broker.record_lock(event));
                    broker.replace_locks(stored.locks.clone()).await;
                    if !stored.unrecorded.is_empty() {
                        *seen = forget_events(file, &stored).or(*seen);
                    }
                }
                Ok(None) => tracing::error!(
                    file = %file.display(),
                    "the file of locks is gone; what is locked stays so until a restart"
                ),
                Err(error) => tracing::error!("{error}; what is locked stays so"),
            }
        }
    }
}

/// Writes the locks without the events, which have been recorded.
fn forget_events(file: &Path, stored: &StoredLocks) -> Option<Stamp> {
    match lock_file::write(file, &StoredLocks::of(stored.locks.clone())) {
        Ok(()) => lock_file::stamp(file),
        Err(error) => {
            tracing::warn!(
                file = %file.display(),
                %error,
                "the file of locks cannot be written; the audit will have its events again"
            );
            None
        }
    }
}
