//! Incoming bodies: streams that the host owns.

use std::cell::OnceCell;

use super::bindings::wasi::http::types::{IncomingBody, OutgoingBody};
use super::bindings::wasi::io::error::Error;
use super::bindings::wasi::io::streams::{InputStream, StreamError};
use super::message::Message;
use crate::body_error::BodyError;

/// Maximum number of bytes that one `read` copies into the sandbox.
const READ_SIZE: u64 = 64 * 1024;

/// Converts a stream's error to its first line. Hosts may append causes and backtraces.
pub(crate) fn stream_error(error: &Error) -> BodyError {
    let text = error.to_debug_string();
    BodyError::Broken(text.lines().next().unwrap_or_default().chars().take(300).collect())
}

/// An incoming body. It stays with its message until it is read.
pub(crate) struct Incoming {
    stream: OnceCell<Option<Stream>>,
    message: Message,
    /// The body of a request whose response arrived before it was sent completely. It is aborted
    /// only once the response is read.
    unfinished: Option<OutgoingBody>,
}

/// A stream, and the body that it is of. The fields are declared in drop order: the stream is a
/// child of the body.
struct Stream {
    stream: InputStream,
    _body: IncomingBody,
}

impl Incoming {
    pub(crate) fn of(message: Message, unfinished: Option<OutgoingBody>) -> Self {
        Self { stream: OnceCell::new(), message, unfinished }
    }

    /// Whether this is the whole body of a message, which the host can pass on.
    pub(crate) fn is_whole(&self, message: &Message) -> bool {
        self.stream.get().is_none() && self.unfinished.is_none() && self.message.is(message)
    }

    /// The stream; `None` if the message has no body any more.
    pub(crate) fn stream(&self) -> Option<&InputStream> {
        let open = || {
            let body = self.message.consume()?;
            Some(Stream { stream: body.stream().ok()?, _body: body })
        };
        self.stream.get_or_init(open).as_ref().map(|stream| &stream.stream)
    }

    /// Waits for the next bytes and returns them, or `None` at the end.
    pub(crate) fn read(&self) -> Result<Option<Vec<u8>>, BodyError> {
        let Some(stream) = self.stream() else { return Ok(None) };
        loop {
            match stream.blocking_read(READ_SIZE) {
                Ok(bytes) if bytes.is_empty() => {}
                Ok(bytes) => return Ok(Some(bytes)),
                Err(StreamError::Closed) => return Ok(None),
                Err(StreamError::LastOperationFailed(error)) => return Err(stream_error(&error)),
            }
        }
    }
}
