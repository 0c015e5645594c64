//! Uploads and the answers that overtake them.
//!
//! A service may answer before it has the whole body of a request. A plugin that has the answer has
//! no reason to send the rest, so a body that it leaves unfinished then is not its failure: the
//! call counts such uploads.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{HeaderValue, Request, header};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use wasmtime_wasi_http::{Error, WasiBody};

use super::rules::Passed;
use crate::call::Call;

const ANSWERED: u8 = 1;
const ENDED: u8 = 2;

/// The upload of one request, as the host watches it.
#[derive(Clone)]
pub(super) struct Upload {
    call: Arc<Call>,
    state: Arc<AtomicU8>,
}

impl Upload {
    /// Watches the body of a request, where it has one. `can_wait` is whether the request is sent
    /// before its body is at hand: then a caller that expects `100 Continue` waits for the service's.
    pub(super) fn watch(
        call: &Arc<Call>,
        request: Request<WasiBody>,
        can_wait: bool,
    ) -> (Request<WasiBody>, Option<Self>) {
        if request.body().is_end_stream() {
            return (request, None);
        }
        let upload = Self { call: Arc::clone(call), state: Arc::default() };
        let watched = upload.clone();
        let mut request = request.map(|inner| Watched { inner, upload: watched }.boxed_unsync());
        if can_wait && call.expectation().hold() {
            request.headers_mut().insert(header::EXPECT, HeaderValue::from_static("100-continue"));
            let call = Arc::clone(call);
            hyper::ext::on_informational(&mut request, move |response| {
                if response.status() == http::StatusCode::CONTINUE {
                    call.expectation().proceed();
                }
            });
        }
        (request, Some(upload))
    }

    /// The answer has arrived.
    pub(super) fn answered(&self) {
        if self.state.fetch_or(ANSWERED, Ordering::Relaxed) & ENDED == 0 {
            self.call.count_overtaken(1);
        }
    }

    fn ended(&self) {
        if self.state.fetch_or(ENDED, Ordering::Relaxed) & ANSWERED != 0 {
            self.call.count_overtaken(-1);
        }
    }
}

/// Whether a request is sent while its body comes. Where a credential may be in its answer, the host has the body first.
pub(super) fn streams(call: &Call, passed: &Passed) -> bool {
    let is_sealed = call.mount().grants.get(passed.grant).is_some_and(|grant| !grant.seals.is_empty());
    passed.minted.is_none() && !is_sealed
}

struct Watched {
    inner: WasiBody,
    upload: Upload,
}

impl Body for Watched {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let frame = ready!(Pin::new(&mut self.inner).poll_frame(cx));
        if frame.is_none() {
            self.upload.ended();
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
