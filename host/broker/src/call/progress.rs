//! What a call has used, and how far it is.

use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, AtomicU64, Ordering};

use tokio::sync::SetOnce;

use super::Call;

/// Counters of a call, and the marks of its progress.
#[derive(Default)]
pub(super) struct Progress {
    /// Changes whenever anything moves.
    moved: AtomicU64,
    requests: AtomicU32,
    connections: AtomicU32,
    /// Uploads that are not finished, though their responses have come.
    overtaken: AtomicI32,
    /// The guest has ended, well or not.
    ended: AtomicBool,
    /// Its sandbox is gone, and all that it held.
    released: AtomicBool,
    /// The caller has all of the response.
    pub(super) delivered: AtomicBool,
    delivery: SetOnce<()>,
    /// The caller's header fields are too large for the plugin to pass on.
    large_fields: AtomicBool,
    /// The caller's body broke off.
    pub(super) abandoned: AtomicBool,
    pub(super) bytes_in: AtomicU64,
    pub(super) bytes_out: AtomicU64,
}

impl Call {
    /// Notes that something moved.
    pub(crate) fn progress(&self) {
        self.progress.moved.fetch_add(1, Ordering::Relaxed);
    }

    /// A number that changes whenever something moves.
    pub(crate) fn moved(&self) -> u64 {
        self.progress.moved.load(Ordering::Relaxed)
    }

    /// Counts a request of the plugin's. Returns its number, from 1.
    pub(crate) fn count_request(&self) -> u32 {
        self.progress.requests.fetch_add(1, Ordering::Relaxed).saturating_add(1)
    }

    /// Counts a database connection that the call opens. Returns how many it has.
    pub(crate) fn hold_connection(&self) -> u32 {
        self.progress.connections.fetch_add(1, Ordering::Relaxed).saturating_add(1)
    }

    /// Counts a database connection that the call gives up.
    pub(crate) fn release_connection(&self) {
        self.progress.connections.fetch_sub(1, Ordering::Relaxed);
    }

    /// Counts an upload whose response came before its end (1), or that ended after all (-1).
    pub(crate) fn count_overtaken(&self, change: i32) {
        self.progress.overtaken.fetch_add(change, Ordering::Relaxed);
    }

    /// Whether an upload is not finished, though its response has come.
    pub(crate) fn has_overtaken_upload(&self) -> bool {
        self.progress.overtaken.load(Ordering::Relaxed) > 0
    }

    /// The guest is about to end. Ends of bodies that are seen after this are not its own.
    pub(crate) fn set_ended(&self) {
        self.progress.ended.store(true, Ordering::SeqCst);
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.progress.ended.load(Ordering::SeqCst)
    }

    /// The guest's sandbox is gone, and all that it held.
    pub(crate) fn set_released(&self) {
        self.progress.released.store(true, Ordering::SeqCst);
    }

    pub(crate) fn is_released(&self) -> bool {
        self.progress.released.load(Ordering::SeqCst)
    }

    pub(crate) fn set_delivered(&self) {
        self.progress.delivered.store(true, Ordering::Relaxed);
        // Fails if it is set already.
        drop(self.progress.delivery.set(()));
    }

    /// Waits until the caller has all of the response.
    pub(crate) async fn delivered(&self) {
        self.progress.delivery.wait().await;
    }

    /// The caller's header fields are too large for the plugin to pass on.
    pub(crate) fn note_large_fields(&self) {
        self.progress.large_fields.store(true, Ordering::Relaxed);
    }

    pub(crate) fn has_large_fields(&self) -> bool {
        self.progress.large_fields.load(Ordering::Relaxed)
    }

    /// The caller went away before its body was whole, so that nobody gets the response.
    pub(crate) fn note_abandoned(&self) {
        self.progress.abandoned.store(true, Ordering::Relaxed);
    }

    pub(crate) fn count_in(&self, bytes: usize) {
        self.progress();
        self.progress.bytes_in.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(crate) fn count_out(&self, bytes: usize) {
        self.progress();
        self.progress.bytes_out.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}
