//! The calls of a mount that run or wait, so that they can be ended.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use crate::error::CutOff;
use crate::lock::{LockTarget, Subject};

/// A call that can be ended.
pub(crate) trait RunningCall: Send + Sync {
    /// What locks look at.
    fn lock_subject(&self) -> Subject<'_>;

    /// Ends the call, wherever it is, because of a lock.
    fn end_by_lock(&self, target: &LockTarget);

    /// Ends the call, wherever it is, for another reason.
    fn cut_off(&self, reason: CutOff);

    /// Whether its sandbox is gone, and all that it held.
    fn is_released(&self) -> bool;
}

/// The calls of a mount, by their addresses. A call is removed when it is dropped, before its
/// address can be that of another one.
#[derive(Default)]
pub(crate) struct RunningCalls(Mutex<HashMap<usize, Weak<dyn RunningCall>>>);

impl RunningCalls {
    fn lock(&self) -> MutexGuard<'_, HashMap<usize, Weak<dyn RunningCall>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn add<C: RunningCall + 'static>(&self, call: &Arc<C>) {
        let weak: Weak<C> = Arc::downgrade(call);
        self.lock().insert(address(&**call), weak);
    }

    pub(crate) fn remove<C: RunningCall>(&self, call: &C) {
        self.lock().remove(&address(call));
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.lock().len()
    }

    /// All calls.
    pub(crate) fn all(&self) -> Vec<Arc<dyn RunningCall>> {
        // Collected first: a call that is dropped meanwhile removes itself.
        self.lock().values().filter_map(Weak::upgrade).collect()
    }
}

fn address<C>(call: &C) -> usize {
    std::ptr::from_ref(call).addr()
}
