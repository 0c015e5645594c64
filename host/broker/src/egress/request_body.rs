//! The body of a plugin's request, on its way to a service.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use http_body::{Body, Frame, SizeHint};
use keyward_policy::authorize::Violation;
use wasmtime_wasi_http::{Error, WasiBody};

use crate::call::Call;
use crate::error::CallError;
use crate::redact::Scanner;

/// The body of a plugin's request. It ends the call where a surrogate is in it, and never ends well
/// where the plugin did not end it itself.
pub(super) struct RequestBody {
    inner: WasiBody,
    call: Arc<Call>,
    scanner: Option<Scanner>,
    ended: bool,
}

impl RequestBody {
    pub(super) fn new(inner: WasiBody, call: Arc<Call>) -> Self {
        let surrogates = call.surrogates().all();
        let secrets = surrogates
            .iter()
            .map(|surrogate| Bytes::copy_from_slice(surrogate.as_str().as_bytes()));
        // A body that is known to be empty needs no looking at.
        let scanner =
            (!surrogates.is_empty() && !inner.is_end_stream()).then(|| Scanner::new(secrets));
        Self { inner, call, scanner, ended: false }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = &mut *self;
        if this.ended {
            return Poll::Ready(None);
        }
        loop {
            let Some(frame) = ready!(Pin::new(&mut this.inner).poll_frame(cx)) else {
                this.ended = true;
                // A guest that is gone leaves an end behind that looks like any other.
                if this.call.has_ended() {
                    return Poll::Ready(Some(Err(Error::ConnectionTerminated)));
                }
                let rest = this.scanner.as_mut().map(Scanner::finish).filter(Buf::has_remaining);
                return Poll::Ready(rest.map(|rest| Ok(Frame::data(rest))));
            };
            let data = match frame?.into_data() {
                Ok(data) => data,
                // Trailers are header fields that no rule has looked at.
                Err(_trailers) => continue,
            };
            this.call.progress();
            let Some(scanner) = &mut this.scanner else {
                return Poll::Ready(Some(Ok(Frame::data(data))));
            };
            let scanned = scanner.push(data);
            if scanned.found {
                this.ended = true;
                this.call.fail(CallError::violation(
                    &this.call.mount().name,
                    Violation::MisplacedSurrogate("body"),
                ));
                return Poll::Ready(Some(Err(Error::HttpRequestDenied)));
            }
            if scanned.bytes.has_remaining() {
                return Poll::Ready(Some(Ok(Frame::data(scanned.bytes))));
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.ended
            || (self.inner.is_end_stream()
                && self.scanner.as_ref().is_none_or(|scanner| scanner.held() == 0))
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
