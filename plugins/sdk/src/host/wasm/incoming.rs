//! A body from outside: a stream that the host holds.

use super::bindings::wasi::http::types::{IncomingBody, OutgoingBody};
use super::bindings::wasi::io::error::Error;
use super::bindings::wasi::io::streams::{InputStream, StreamError};
use crate::body_error::BodyError;

/// How many bytes at most one `read` brings into the sandbox.
const READ: u64 = 64 * 1024;

/// A stream's error, in a line: hosts write all that they know of it, and where it came from.
pub(crate) fn stream_error(error: &Error) -> BodyError {
    let text = error.to_debug_string();
    BodyError::Broken(text.lines().next().unwrap_or_default().chars().take(300).collect())
}

/// The fields are in the order in which they must be dropped: the stream is a child of the body.
pub(crate) struct Incoming {
    pub(crate) stream: InputStream,
    _body: IncomingBody,
    /// A request whose answer came before all of it was sent: it is cut off no sooner than the
    /// answer has been read.
    _unfinished: Option<OutgoingBody>,
}

impl Incoming {
    pub(crate) fn new(body: IncomingBody, unfinished: Option<OutgoingBody>) -> Option<Self> {
        let stream = body.stream().ok()?;
        Some(Self { stream, _body: body, _unfinished: unfinished })
    }

    /// The next bytes, waiting for them; `None` at the end.
    pub(crate) fn read(&self) -> Result<Option<Vec<u8>>, BodyError> {
        loop {
            match self.stream.blocking_read(READ) {
                Ok(bytes) if bytes.is_empty() => {}
                Ok(bytes) => return Ok(Some(bytes)),
                Err(StreamError::Closed) => return Ok(None),
                Err(StreamError::LastOperationFailed(error)) => return Err(stream_error(&error)),
            }
        }
    }
}
