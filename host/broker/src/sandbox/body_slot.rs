//! Bodies that the host holds for a guest: it reads them by a handle, or has them passed on.

use std::mem;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use wasmtime_wasi_http::{Error, WasiBody};

/// A body that can be taken away from its reader.
#[derive(Clone)]
pub(super) struct BodySlot(Arc<Mutex<Slot>>);

/// What a guest has a handle to. It is gone when the guest drops the handle.
#[derive(Default)]
pub(super) struct WeakSlot(Weak<Mutex<Slot>>);

struct Slot {
    content: Content,
    /// Waits for the next frame.
    reader: Option<Waker>,
}

enum Content {
    Body(WasiBody),
    /// It goes another way now.
    Taken,
    /// It was broken off, which its reader has not seen yet.
    Aborted,
}

impl BodySlot {
    pub(super) fn new(body: WasiBody) -> Self {
        Self(Arc::new(Mutex::new(Slot { content: Content::Body(body), reader: None })))
    }

    /// Reads the body for as long as it is in its slot.
    pub(super) fn reader(&self) -> WasiBody {
        Reader(self.clone()).boxed_unsync()
    }

    pub(super) fn downgrade(&self) -> WeakSlot {
        WeakSlot(Arc::downgrade(&self.0))
    }

    /// Drops the body. Its reader gets an error.
    fn abort(&self) {
        let mut slot = self.lock();
        let body = match mem::replace(&mut slot.content, Content::Aborted) {
            Content::Body(body) => Some(body),
            Content::Taken | Content::Aborted => None,
        };
        let reader = slot.reader.take();
        drop(slot);
        drop(body);
        if let Some(reader) = reader {
            reader.wake();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Slot> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl WeakSlot {
    /// Takes the body away from its handle; `None` if that is gone.
    pub(super) fn take(&self) -> Option<WasiBody> {
        let slot = BodySlot(self.0.upgrade()?);
        let mut slot = slot.lock();
        match mem::replace(&mut slot.content, Content::Taken) {
            Content::Body(body) => Some(body),
            Content::Taken | Content::Aborted => None,
        }
    }
}

/// A body that the host passes on. It breaks off when this is dropped.
pub(super) struct PassedOn(BodySlot);

impl PassedOn {
    /// Returns the body as its new reader gets it.
    pub(super) fn new(body: WasiBody) -> (Self, WasiBody) {
        let slot = BodySlot::new(body);
        let reader = slot.reader();
        (Self(slot), reader)
    }
}

impl Drop for PassedOn {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The bodies of one call that the host passes on, also when the guest is gone. They break off when
/// this is dropped.
#[derive(Default)]
pub(super) struct Passed {
    pub(super) response: Option<PassedOn>,
    /// Those of requests.
    pub(super) uploads: Vec<PassedOn>,
}

struct Reader(BodySlot);

impl Body for Reader {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let mut slot = self.0.lock();
        let slot = &mut *slot;
        match &mut slot.content {
            Content::Body(body) => {
                let frame = Pin::new(body).poll_frame(cx);
                if frame.is_pending() {
                    match &mut slot.reader {
                        Some(reader) => reader.clone_from(cx.waker()),
                        none => *none = Some(cx.waker().clone()),
                    }
                }
                frame
            }
            Content::Taken => Poll::Ready(None),
            Content::Aborted => {
                slot.content = Content::Taken;
                Poll::Ready(Some(Err(Error::ConnectionTerminated)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0.lock().content {
            Content::Body(body) => body.is_end_stream(),
            Content::Taken => true,
            Content::Aborted => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0.lock().content {
            Content::Body(body) => body.size_hint(),
            Content::Taken => SizeHint::with_exact(0),
            Content::Aborted => SizeHint::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(text: &'static str) -> WasiBody {
        crate::wasi_body::whole(Bytes::from_static(text.as_bytes()))
    }

    #[tokio::test]
    async fn a_body_has_one_reader() {
        let slot = BodySlot::new(whole("text"));
        let (handle, weak) = (slot.reader(), slot.downgrade());
        drop(slot);
        let taken = weak.take().unwrap().collect().await.unwrap().to_bytes();
        assert_eq!(taken, "text");
        assert!(handle.collect().await.unwrap().to_bytes().is_empty());
        assert!(weak.take().is_none());
    }

    #[test]
    fn a_body_whose_handle_is_dropped_is_gone() {
        let slot = BodySlot::new(whole("text"));
        let (handle, weak) = (slot.reader(), slot.downgrade());
        drop((slot, handle));
        assert!(weak.take().is_none());
    }

    #[tokio::test]
    async fn a_reader_that_waits_is_told_when_the_body_breaks_off() {
        struct Waits;

        impl Body for Waits {
            type Data = Bytes;
            type Error = Error;

            fn poll_frame(
                self: Pin<&mut Self>,
                _: &mut Context<'_>,
            ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
                Poll::Pending
            }
        }

        let (passed, mut reader) = PassedOn::new(Waits.boxed_unsync());
        let read = async { reader.frame().await };
        let (frame, ()) = tokio::join!(read, async { drop(passed) });
        assert!(frame.unwrap().is_err());
        assert!(reader.frame().await.is_none());
    }
}
