//! The body of a plugin's request, on its way to a service.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use http::Method;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use keyward_policy::authorize::{Violation, must_be_empty};
use keyward_policy::surrogate;
use wasmtime_wasi_http::{Error, WasiBody};

use super::Authorized;
use crate::call::Call;
use crate::wasi_body;

/// The body of a plugin's request. It ends the call where a surrogate is in it, of whatever call,
/// or where the request must have no body.
pub(super) struct RequestBody {
    inner: WasiBody,
    call: Arc<Call>,
    /// What may be the beginning of a surrogate, until what follows shows whether it is.
    held: BytesMut,
    /// The method of a request that must have no body.
    must_be_empty: Option<Method>,
    ended: bool,
}

impl RequestBody {
    pub(super) fn new(
        inner: WasiBody,
        call: &Arc<Call>,
        authorized: &Authorized,
        method: &Method,
    ) -> Self {
        let must_be_empty = must_be_empty(&authorized.grant, method).then(|| method.clone());
        let call = Arc::clone(call);
        Self { inner, call, held: BytesMut::new(), must_be_empty, ended: false }
    }

    /// Whether the request must have no body, and may have one.
    pub(super) fn must_be_empty(&self) -> bool {
        self.must_be_empty.is_some() && !self.is_end_stream()
    }

    /// An empty body in place of this one, which must be empty. It is read all the same, as it
    /// comes, so that bytes in it end the call. The client would not read it: it sends no body with
    /// a GET or HEAD that announces none.
    #[allow(
        clippy::disallowed_methods,
        reason = "it ends with the body, whose end the guest holds"
    )]
    pub(super) fn watched(mut self) -> WasiBody {
        tokio::spawn(async move { while let Some(Ok(_)) = self.frame().await {} });
        wasi_body::empty()
    }

    /// Ends the body and the call.
    fn deny(&mut self, violation: Violation) -> Error {
        self.ended = true;
        let error = match violation {
            Violation::Body(_) if self.call.has_request_body() => {
                self.call.violation_of_caller(violation)
            }
            violation => self.call.denied(violation.into()),
        };
        self.call.fail(error);
        Error::HttpRequestDenied
    }
}

/// Takes the next bytes of a body. Returns those that may go on, and keeps the others in `held`;
/// `None` if there is a surrogate.
fn search(held: &mut BytesMut, data: Bytes) -> Option<Bytes> {
    let mut bytes = if held.is_empty() {
        data
    } else {
        held.extend_from_slice(&data);
        held.split().freeze()
    };
    if surrogate::is_in(&bytes) {
        return None;
    }
    let prefix = bytes.split_off(bytes.len() - surrogate::possible_prefix(&bytes));
    held.extend_from_slice(&prefix);
    Some(bytes)
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
                let rest = this.held.split().freeze();
                return Poll::Ready(rest.has_remaining().then(|| Ok(Frame::data(rest))));
            };
            let data = match frame?.into_data() {
                Ok(data) => data,
                // Trailers are header fields that no rule has looked at.
                Err(_trailers) => continue,
            };
            this.call.progress();
            if let Some(method) = this.must_be_empty.take_if(|_| data.has_remaining()) {
                return Poll::Ready(Some(Err(this.deny(Violation::Body(method)))));
            }
            let Some(bytes) = search(&mut this.held, data) else {
                let denied = this.deny(Violation::MisplacedSurrogate("body"));
                return Poll::Ready(Some(Err(denied)));
            };
            if bytes.has_remaining() {
                return Poll::Ready(Some(Ok(Frame::data(bytes))));
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.ended || (self.inner.is_end_stream() && self.held.is_empty())
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What goes on of a body that comes in pieces of this length; `None` if it is stopped.
    fn searched(text: &str, piece: usize) -> Option<(String, usize)> {
        let (mut held, mut passed) = (BytesMut::new(), Vec::new());
        for chunk in text.as_bytes().chunks(piece) {
            passed.extend_from_slice(&search(&mut held, Bytes::copy_from_slice(chunk))?);
        }
        let waiting = held.len();
        passed.extend_from_slice(&held);
        Some((String::from_utf8(passed).unwrap(), waiting))
    }

    #[test]
    fn a_surrogate_is_found_wherever_a_body_is_cut() {
        let surrogate = format!("{}{}", surrogate::PREFIX, "aB3-_xYz".repeat(6).split_at(43).0);
        let text = format!("keyward-surrogate- is a prefix, and {surrogate} one, and more");
        for piece in 1..=text.len() {
            assert_eq!(searched(&text, piece), None, "{piece}");
        }
    }

    #[test]
    fn a_body_without_a_surrogate_passes_unchanged() {
        for text in
            ["keyward-surrogate-", "a keyward-surrogate-log, keyward-surr", "", "keykeyward"]
        {
            for piece in 1..=text.len().max(1) {
                assert_eq!(searched(text, piece).unwrap().0, text);
            }
        }
        assert_eq!(searched("some text", 4).unwrap().1, 0, "nothing of it waits");
        assert_eq!(searched("some k", 4).unwrap().1, 1);
    }
}
