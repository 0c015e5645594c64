//! Calls that a lock denies or ends.

use super::Call;
use crate::error::CallError;
use crate::lock::{LockTarget, Subject};
use crate::running_calls::EndedByLock;

impl Call {
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
        CallError::Locked { mount: self.mount.name.clone(), caller: self.caller.clone(), target }
    }

    /// Waits until a lock ends the call, which has its verdict then.
    pub(crate) async fn ended_by_lock(&self) -> CallError {
        self.locked(self.ended_by_lock.wait().await.clone())
    }
}

impl EndedByLock for Call {
    fn lock_subject(&self) -> Subject<'_> {
        Subject {
            mount: &self.mount.name,
            identity: &self.mount.identity,
            caller: self.caller_name.as_deref(),
        }
    }

    fn end_by_lock(&self, target: &LockTarget) {
        self.fail(self.locked(target.clone()));
        // Fails if another lock has ended it.
        drop(self.ended_by_lock.set(target.clone()));
    }

    fn is_released(&self) -> bool {
        // The call's own, which has the same name.
        Call::is_released(self)
    }
}
