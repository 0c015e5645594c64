//! The calls of a mount that run or wait, so that a lock can end them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use crate::call::Call;

/// The calls of a mount, by their addresses. A call is removed when it is dropped, before its
/// address can be that of another one.
#[derive(Default)]
pub(crate) struct RunningCalls(Mutex<HashMap<usize, Weak<Call>>>);

impl RunningCalls {
    fn lock(&self) -> MutexGuard<'_, HashMap<usize, Weak<Call>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn add(&self, call: &Arc<Call>) {
        self.lock().insert(address(call), Arc::downgrade(call));
    }

    pub(crate) fn remove(&self, call: &Call) {
        self.lock().remove(&address(call));
    }

    /// All calls.
    pub(crate) fn all(&self) -> Vec<Arc<Call>> {
        // Collected first: a call that is dropped meanwhile removes itself.
        self.lock().values().filter_map(Weak::upgrade).collect()
    }
}

fn address(call: &Call) -> usize {
    std::ptr::from_ref(call).addr()
}
