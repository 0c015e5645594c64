//! Calls that a lock denies or ends.

use super::Call;
use crate::error::CallError;
use crate::lock::{LockTarget, Subject};

impl Call {
    /// What locks look at.
    pub(crate) fn lock_subject(&self) -> Subject<'_> {
        Subject {
            mount: &self.mount.name,
            identity: &self.mount.identity,
            caller: self.caller_name.as_deref(),
        }
    }

    /// Checks that no lock covers the call.
    ///
    /// # Errors
    ///
    /// One does.
    pub(crate) fn check_lock(&self) -> Result<(), CallError> {
        let locked = self.mount.locks.find(&self.lock_subject());
        locked.map_or(Ok(()), |target| Err(self.locked(target)))
    }

    fn locked(&self, target: LockTarget) -> CallError {
        CallError::Locked { mount: self.mount.name.clone(), target }
    }

    /// Ends the call, wherever it is.
    pub(crate) fn end_by_lock(&self, target: &LockTarget) {
        self.fail(self.locked(target.clone()));
        // Fails if another lock has ended it.
        drop(self.ended_by_lock.set(target.clone()));
    }

    /// Waits until a lock ends the call, which has its verdict then.
    pub(crate) async fn ended_by_lock(&self) -> CallError {
        self.locked(self.ended_by_lock.wait().await.clone())
    }
}
