//! Incoming bodies: streams that the host owns.

use super::bindings::wasi::http::types::{IncomingBody, OutgoingBody};
use super::bindings::wasi::io::error::Error;
use super::bindings::wasi::io::streams::{InputStream, StreamError};
use crate::body_error::BodyError;

/// Maximum number of bytes that one `read` copies into the sandbox.
const READ_SIZE: u64 = 64 * 1024;

/// Converts a stream's error to its first line. Hosts may append causes and backtraces.
pub(crate) fn stream_error(error: &Error) -> BodyError {
    let text = error.to_debug_string();
    BodyError::Broken(text.lines().next().unwrap_or_default().chars().take(300).collect())
}

/// An incoming body. Its fields are declared in drop order: the stream is a child of the body.
pub(crate) struct Incoming {
    pub(crate) stream: InputStream,
    _body: IncomingBody,
    /// The body of a request whose response arrived before it was sent completely. It is aborted
    /// only once the response is read.
    _unfinished: Option<OutgoingBody>,
}

impl Incoming {
    pub(crate) fn new(body: IncomingBody, unfinished: Option<OutgoingBody>) -> Option<Self> {
        let stream = body.stream().ok()?;
        Some(Self { stream, _body: body, _unfinished: unfinished })
    }

    /// Waits for the next bytes and returns them, or `None` at the end.
    pub(crate) fn read(&self) -> Result<Option<Vec<u8>>, BodyError> {
        loop {
            match self.stream.blocking_read(READ_SIZE) {
                Ok(bytes) if bytes.is_empty() => {}
                Ok(bytes) => return Ok(Some(bytes)),
                Err(StreamError::Closed) => return Ok(None),
                Err(StreamError::LastOperationFailed(error)) => return Err(stream_error(&error)),
            }
        }
    }
}
