//! The body of a response.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::Response;
use http::header::CONTENT_LENGTH;
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::Full;
use wasmtime_wasi_http::WasiBody;

use crate::call::Call;
use crate::error::CallError;
use crate::sandbox::{Guest, PluginResponse, ReadAhead};

/// The body of a response, streaming. Dropping it before its end stops the plugin and what it does
/// upstream.
pub struct Body(Content);

enum Content {
    Whole(Full<Bytes>),
    Plugin(FromPlugin),
}

/// A response's body broke off: the plugin failed, or the service did. What came before is not the
/// whole.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the response is truncated: {0}")]
pub struct BodyError(String);

impl Body {
    /// No bytes.
    #[must_use]
    pub fn empty() -> Self {
        Self::whole(Bytes::new())
    }

    /// These bytes.
    #[must_use]
    pub fn whole(bytes: Bytes) -> Self {
        Self(Content::Whole(Full::new(bytes)))
    }

    /// The response of a plugin, with its body.
    pub(crate) fn from_plugin(response: PluginResponse, call: Arc<Call>) -> Response<Self> {
        let PluginResponse { response, ahead, guest } = response;
        let length = response.headers().get(CONTENT_LENGTH);
        let left = length.and_then(|length| length.to_str().ok()?.parse().ok());
        let guest = Some(guest);
        response.map(|inner| {
            Self(Content::Plugin(FromPlugin { inner, ahead, left, call, guest, ended: false }))
        })
    }
}

/// What a plugin writes. It is the end only where the plugin said so: a guest that traps leaves an
/// end behind that looks like any other, and so the call is asked.
struct FromPlugin {
    inner: WasiBody,
    ahead: ReadAhead,
    /// How many bytes are still to come, where a length was announced.
    left: Option<u64>,
    call: Arc<Call>,
    /// Stops the guest when it is dropped.
    guest: Option<Guest>,
    ended: bool,
}

impl FromPlugin {
    fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let frame = ready!(self.ahead.poll_frame(&mut self.inner, cx));
        if let Some(verdict) = self.call.verdict() {
            self.ended = true;
            return Poll::Ready(Some(Err(BodyError(verdict.detail()))));
        }
        match frame {
            Some(Ok(frame)) => {
                if let Some(data) = frame.data_ref() {
                    self.call.count_out(data.len());
                    self.left = self.left.map(|left| left.saturating_sub(data.len() as u64));
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Some(Err(error)) => {
                self.ended = true;
                let (mount, why) = (self.call.mount().name.clone(), error.to_string());
                self.call.fail(CallError::Truncated { mount, why: why.clone() });
                Poll::Ready(Some(Err(BodyError(why))))
            }
            None => {
                self.finish();
                Poll::Ready(None)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.ahead.is_end_stream(&self.inner)
    }

    fn size_hint(&self) -> SizeHint {
        self.ahead.size_hint(&self.inner)
    }

    /// The caller has it all; what the guest still does, it may finish.
    fn finish(&mut self) {
        self.ended = true;
        self.call.set_delivered();
        if let Some(guest) = self.guest.take() {
            guest.let_finish();
        }
    }
}

impl Drop for FromPlugin {
    fn drop(&mut self) {
        // A server drops a body whose announced length it has sent, without asking for the end.
        let is_whole = self.left == Some(0) || self.is_end_stream();
        if !self.ended && is_whole && self.call.verdict().is_none() {
            self.finish();
        }
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match &mut self.0 {
            Content::Whole(full) => Pin::new(full).poll_frame(cx).map_err(|never| match never {}),
            Content::Plugin(body) => body.poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Content::Whole(full) => full.is_end_stream(),
            Content::Plugin(body) => body.ended || body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Content::Whole(full) => full.size_hint(),
            Content::Plugin(body) => body.size_hint(),
        }
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Content::Whole(_) => f.write_str("Body(whole)"),
            Content::Plugin(_) => f.write_str("Body(streaming)"),
        }
    }
}
