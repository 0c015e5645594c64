//! The calls of a mount that run or wait, so that a lock can end them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use crate::lock::{LockTarget, Subject};

/// A call that a lock can end.
pub(crate) trait EndedByLock: Send + Sync {
    /// What locks look at.
    fn lock_subject(&self) -> Subject<'_>;

    /// Ends the call, wherever it is.
    fn end_by_lock(&self, target: &LockTarget);

    /// Whether its sandbox is gone, and all that it held.
    fn is_released(&self) -> bool;
}

/// The calls of a mount, by their addresses. A call is removed when it is dropped, before its
/// address can be that of another one.
#[derive(Default)]
pub(crate) struct RunningCalls(Mutex<HashMap<usize, Weak<dyn EndedByLock>>>);

impl RunningCalls {
    fn lock(&self) -> MutexGuard<'_, HashMap<usize, Weak<dyn EndedByLock>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn add<C: EndedByLock + 'static>(&self, call: &Arc<C>) {
        let weak: Weak<C> = Arc::downgrade(call);
        self.lock().insert(address(&**call), weak);
    }

    pub(crate) fn remove<C: EndedByLock>(&self, call: &C) {
        self.lock().remove(&address(call));
    }

    /// All calls.
    pub(crate) fn all(&self) -> Vec<Arc<dyn EndedByLock>> {
        // Collected first: a call that is dropped meanwhile removes itself.
        self.lock().values().filter_map(Weak::upgrade).collect()
    }
}

fn address<C>(call: &C) -> usize {
    std::ptr::from_ref(call).addr()
}
