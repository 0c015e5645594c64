//! Calls that are refused, or end early, whatever the plugin does: because of a lock, or because the
//! broker stops or their mount is replaced.

use super::Call;
use crate::error::{CallError, CutOff};
use crate::lock::{LockTarget, Subject};
use crate::running_calls::RunningCall;

impl Call {
    /// Checks that the broker is not stopping, and that no lock covers the call.
    ///
    /// # Errors
    ///
    /// It is, or one does.
    pub(crate) fn check_admitted(&self) -> Result<(), CallError> {
        if self.mount.stopping.has_begun() {
            return Err(CallError::Stopping { mount: self.mount.name.clone() });
        }
        self.check_lock()
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
        CallError::Locked { mount: self.mount.name.clone(), caller: self.caller.clone(), target }
    }

    /// Waits until the call ends early. It has its verdict then.
    pub(crate) async fn ended_early(&self) -> CallError {
        self.ended_early.wait().await.clone()
    }

    fn end_early(&self, error: CallError) {
        self.fail(error.clone());
        // Fails if it has been ended before.
        drop(self.ended_early.set(error));
    }
}

impl RunningCall for Call {
    fn lock_subject(&self) -> Subject<'_> {
        Subject {
            mount: &self.mount.name,
            identity: &self.mount.identity,
            caller: self.caller_name.as_deref(),
        }
    }

    fn end_by_lock(&self, target: &LockTarget) {
        self.end_early(self.locked(target.clone()));
    }

    fn cut_off(&self, reason: CutOff) {
        self.end_early(CallError::CutOff { mount: self.mount.name.clone(), reason });
    }

    fn is_released(&self) -> bool {
        // The call's own, which has the same name.
        Call::is_released(self)
    }
}
