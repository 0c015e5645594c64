//! Uploads and the responses that overtake them.
//!
//! A service may answer before it has the whole body of a request. A plugin that has the response
//! has no reason to send the rest, so a body that it leaves unfinished then is not its failure: the
//! call counts such uploads.
//!
//! Nor does such a service need the connection any more. Where the response is not a success, or
//! came before the body's end, the service may be about to close it with bytes that it has not
//! read, and another request on it would get no response. So it is not used again.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{HeaderValue, Request, StatusCode, header};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper_util::client::legacy::connect::{CaptureConnection, capture_connection};
use wasmtime_wasi_http::{Error, WasiBody};

use super::Authorized;
use crate::call::Call;

const ANSWERED: u8 = 1;
/// The client has all bytes.
const SENT: u8 = 2;
/// The plugin has ended the body, and the client has seen it.
const ENDED: u8 = 4;

/// The upload of one request, as the host watches it.
pub(super) struct Upload {
    progress: Progress,
    /// The connection, once the client has chosen one.
    connection: CaptureConnection,
}

#[derive(Clone)]
struct Progress {
    call: Arc<Call>,
    state: Arc<AtomicU8>,
}

impl Upload {
    /// Watches the body of a request, where it has one. `can_wait` is whether the request is sent
    /// before its body is at hand: then a caller that expects `100 Continue` waits for the
    /// service's.
    pub(super) fn watch(
        call: &Arc<Call>,
        request: Request<WasiBody>,
        can_wait: bool,
        body_of: BodyOf,
    ) -> (Request<WasiBody>, Option<Self>) {
        if request.body().is_end_stream() {
            return (request, None);
        }
        let progress = Progress { call: Arc::clone(call), state: Arc::default() };
        let watched = progress.clone();
        let length = request.headers().get(header::CONTENT_LENGTH);
        let left = length.and_then(|length| length.to_str().ok()?.parse().ok());
        let mut request =
            request.map(|inner| Watched { inner, left, progress: watched, body_of }.boxed_unsync());
        let connection = capture_connection(&mut request);
        if can_wait && call.expectation().hold() {
            request.headers_mut().insert(header::EXPECT, HeaderValue::from_static("100-continue"));
            let call = Arc::clone(call);
            hyper::ext::on_informational(&mut request, move |response| {
                if response.status() == StatusCode::CONTINUE {
                    call.expectation().proceed();
                }
            });
        }
        (request, Some(Self { progress, connection }))
    }

    /// The response has arrived.
    pub(super) fn answered(&self, status: StatusCode) {
        let is_overtaken = self.progress.answered();
        if (is_overtaken || !status.is_success())
            && let Some(connection) = self.connection.connection_metadata().as_ref()
        {
            connection.poison();
        }
    }
}

impl Progress {
    /// Returns whether the response came before all bytes were sent.
    fn answered(&self) -> bool {
        let state = self.state.fetch_or(ANSWERED, Ordering::Relaxed);
        if state & ENDED == 0 {
            self.call.count_overtaken(1);
        }
        state & SENT == 0
    }

    fn sent(&self) {
        self.state.fetch_or(SENT, Ordering::Relaxed);
    }

    fn ended(&self) {
        let state = self.state.fetch_or(SENT | ENDED, Ordering::Relaxed);
        if state & (ANSWERED | ENDED) == ANSWERED {
            self.call.count_overtaken(-1);
        }
    }
}

/// Whether a request is sent while its body comes. Where a credential may be in its response, the
/// host has the body first.
pub(super) fn streams(authorized: &Authorized) -> bool {
    let is_sealed = !authorized.grant.seals.is_empty();
    authorized.minted.is_none() && !is_sealed
}

struct Watched {
    inner: WasiBody,
    /// How many bytes are still to come, where a length was announced. The client does not ask for
    /// the end then.
    left: Option<u64>,
    progress: Progress,
    body_of: BodyOf,
}

/// Who makes a body.
#[derive(Clone, Copy, Debug)]
pub(crate) enum BodyOf {
    /// A guest writes it, and its end counts only while the guest lives.
    Guest,
    /// The host has it.
    Host,
}

impl Body for Watched {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let frame = ready!(Pin::new(&mut self.inner).poll_frame(cx));
        if let Some(Ok(frame)) = &frame {
            let count = frame.data_ref().map_or(0, |data| data.len() as u64);
            self.left = self.left.map(|left| left.saturating_sub(count));
        }
        if frame.is_none() {
            self.progress.ended();
            // A guest that is gone leaves an end behind that looks like any other.
            if matches!(self.body_of, BodyOf::Guest) && self.progress.call.has_ended() {
                return Poll::Ready(Some(Err(Error::ConnectionTerminated)));
            }
        } else if self.left == Some(0) {
            self.progress.sent();
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
