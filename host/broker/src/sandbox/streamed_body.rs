//! Bodies that `wasi:http` gives as streams only.

use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame};
use http_body_util::BodyExt;
use wasmtime_wasi::p2::{InputStream, Pollable, StreamError};
use wasmtime_wasi_http::p2::body::HostIncomingBodyStream;
use wasmtime_wasi_http::{Error, WasiBody};

/// The most bytes of a frame. A stream has what came at once.
const FRAME: usize = 1 << 20;

/// The body behind a stream.
pub(super) struct StreamedBody(HostIncomingBodyStream);

impl StreamedBody {
    pub(super) fn boxed(stream: HostIncomingBodyStream) -> WasiBody {
        Self(stream).boxed_unsync()
    }
}

impl Body for StreamedBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        loop {
            match self.0.read(FRAME) {
                Ok(bytes) if bytes.is_empty() => ready!(pin!(self.0.ready()).poll(cx)),
                Ok(bytes) => return Poll::Ready(Some(Ok(Frame::data(bytes)))),
                Err(StreamError::Closed) => return Poll::Ready(None),
                Err(StreamError::LastOperationFailed(error) | StreamError::Trap(error)) => {
                    let error = error.downcast::<Error>();
                    let error =
                        error.unwrap_or_else(|other| Error::InternalError(Some(other.to_string())));
                    return Poll::Ready(Some(Err(error)));
                }
            }
        }
    }
}
