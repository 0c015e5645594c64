//! Sealed values that the caller may be handed.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::Call;
use crate::sealed_value::SealedValue;

/// A sealed value, with the operation that minted it.
type Export = (&'static str, Arc<SealedValue>);

/// Sealed values that the caller may be handed.
#[derive(Default)]
pub(super) struct Exports {
    /// The caller asks to be handed a credential, and may be.
    requested: AtomicBool,
    values: Mutex<Vec<Export>>,
}

impl Call {
    /// The caller asks to be handed a credential, and may be.
    pub(crate) fn set_exporting(&self) {
        self.exports.requested.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_exporting(&self) -> bool {
        self.exports.requested.load(Ordering::Relaxed)
    }

    /// These values may be handed to the caller, if it asks for a credential.
    pub(crate) fn allow_export<'v>(
        &self,
        operation: &'static str,
        values: impl Iterator<Item = &'v Arc<SealedValue>>,
    ) {
        if self.is_exporting() {
            let mut exportable = self.exports.values.lock().unwrap_or_else(PoisonError::into_inner);
            exportable.extend(values.map(|value| (operation, Arc::clone(value))));
        }
    }

    pub(crate) fn exportable(&self) -> Vec<Export> {
        self.exports.values.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
