//! The memory of one call: its sandbox's, and what the host holds for it.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use wasmtime_wasi_http::{Error, WasiBody};

use super::Call;
use crate::error::{CallError, Limit};

/// What a header field takes, in bytes, beside its name and its value: their parts in a map, which
/// has room for more.
const FIELD: u64 = 160;

/// Counts the bytes of one call against its limit: the linear memories of its sandbox, the header
/// fields and requests that the sandbox has handles for, bodies that wait to be sent, requests that
/// are under way, and rows of databases that wait for the sandbox.
///
/// Sizes of what the host holds are estimates: as many bytes as were put in, with a surcharge. The
/// arguments and the result of one function that the sandbox calls, which the host has while it
/// runs, do not count: `hostcall_bytes` limits them.
#[derive(Debug)]
pub(crate) struct CallMemory {
    limit: u64,
    used: AtomicU64,
}

impl CallMemory {
    pub(super) fn new(limit: u64) -> Self {
        Self { limit, used: AtomicU64::new(0) }
    }

    /// Counts more bytes.
    ///
    /// # Errors
    ///
    /// They are more than is left; none are counted then.
    pub(crate) fn take(&self, bytes: u64) -> Result<(), Limit> {
        let taken = self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
            used.checked_add(bytes).filter(|used| *used <= self.limit)
        });
        taken.map(drop).map_err(|_| Limit::Memory(self.limit))
    }

    /// Counts bytes that are there already, whatever is left.
    pub(crate) fn add(&self, bytes: u64) {
        self.used.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Ends the counting of bytes that are released.
    pub(crate) fn give_back(&self, bytes: u64) {
        self.used.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// How many bytes are counted at most.
    pub(crate) fn limit(&self) -> u64 {
        self.limit
    }

    /// How many bytes are left.
    pub(crate) fn left(&self) -> u64 {
        self.limit.saturating_sub(self.used.load(Ordering::Relaxed))
    }
}

/// Memory that a call holds until this is dropped.
pub(crate) struct HeldMemory {
    memory: Arc<CallMemory>,
    bytes: u64,
}

impl HeldMemory {
    /// Holds bytes that were [taken](CallMemory::take).
    pub(crate) fn of_taken(memory: Arc<CallMemory>, bytes: u64) -> Self {
        Self { memory, bytes }
    }

    /// Counts bytes of a call. More than its limit end it.
    ///
    /// # Errors
    ///
    /// That limit.
    pub(crate) fn take(call: &Call, bytes: u64) -> Result<Self, Limit> {
        let mut held = Self::of_taken(Arc::clone(call.memory()), 0);
        held.grow(call, bytes)?;
        Ok(held)
    }

    /// Counts more bytes of the call. More than its limit end it.
    ///
    /// # Errors
    ///
    /// That limit.
    pub(crate) fn grow(&mut self, call: &Call, bytes: u64) -> Result<(), Limit> {
        if let Err(limit) = self.memory.take(bytes) {
            call.fail(CallError::limit(&call.mount().name, limit));
            return Err(limit);
        }
        self.bytes += bytes;
        Ok(())
    }
}

impl Drop for HeldMemory {
    fn drop(&mut self) {
        self.memory.give_back(self.bytes);
    }
}

/// A body, and the memory that is held for it until it is dropped.
pub(crate) struct HoldingBody {
    body: WasiBody,
    _memory: HeldMemory,
}

impl HoldingBody {
    pub(crate) fn boxed(body: WasiBody, memory: HeldMemory) -> WasiBody {
        Self { body, _memory: memory }.boxed_unsync()
    }
}

impl Body for HoldingBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// What header fields take, in bytes.
pub(crate) fn header_bytes(headers: &HeaderMap) -> u64 {
    headers.iter().map(|(name, value)| field_bytes(name.as_str().len(), value.len())).sum()
}

/// What a header field with a name and a value of these lengths takes, in bytes.
pub(crate) fn field_bytes(name: usize, value: usize) -> u64 {
    (name + value) as u64 + FIELD
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_not_counted() {
        let memory = CallMemory::new(100);
        assert_eq!(memory.take(60), Ok(()));
        assert_eq!(memory.take(41), Err(Limit::Memory(100)));
        assert_eq!(memory.take(u64::MAX), Err(Limit::Memory(100)));
        assert_eq!(memory.left(), 40);
        assert_eq!(memory.take(40), Ok(()));
        memory.give_back(10);
        assert_eq!(memory.left(), 10);
        memory.add(20);
        assert_eq!(memory.left(), 0);
    }
}
