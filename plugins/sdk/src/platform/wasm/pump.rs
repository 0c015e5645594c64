//! Sends bodies, from the sandbox's memory or directly between streams of the host.

use crate::body::{Body, Chunks, Content, Filter};
use crate::body_error::BodyError;
use crate::host::bindings::wasi::http::types::FutureIncomingResponse;
use crate::host::bindings::wasi::io::poll::{Pollable, poll};
use crate::host::bindings::wasi::io::streams::{OutputStream, StreamError};
use crate::host::{Incoming, leave, stream_error};

/// Maximum number of bytes that one `splice` moves. The host moves what it has, without copying.
const SPLICE_SIZE: u64 = 1024 * 1024;

/// How sending a body ended.
pub(super) enum Pumped {
    /// All of it was sent.
    Complete,
    /// The response arrived before the end of the body.
    EarlyResponse,
    /// The reader closed the stream.
    ReaderClosed,
}

/// Sends a whole body.
pub(crate) fn pump(body: Body, out: &OutputStream) -> Result<(), BodyError> {
    match body.0 {
        Content::Empty => Ok(()),
        Content::Bytes(bytes) => write(&bytes, out, None).map(drop),
        Content::Stream(incoming) => {
            let incoming = leave(incoming);
            let Some(stream) = incoming.stream() else { return Ok(()) };
            loop {
                match out.blocking_splice(stream, SPLICE_SIZE) {
                    Ok(_) => {}
                    Err(error) => return end(error),
                }
            }
        }
        Content::Filtered(incoming, mut filter) => {
            filtered(&leave(incoming), filter.as_mut(), out, None).map(drop)
        }
        Content::Chunks(chunks) => {
            // The chunks before the error are still delivered, if the reader is there.
            self::chunks(chunks, out, None).map(drop).inspect_err(|_| drop(out.blocking_flush()))
        }
    }
}

/// Sends the body of a request, and stops if the response arrives first.
pub(super) fn pump_request(
    body: Body,
    out: &OutputStream,
    response: &FutureIncomingResponse,
) -> Result<Pumped, BodyError> {
    let responded = response.subscribe();
    match body.0 {
        Content::Empty => Ok(Pumped::Complete),
        Content::Bytes(bytes) => write(&bytes, out, Some(&responded)),
        Content::Filtered(incoming, mut filter) => {
            filtered(&incoming, filter.as_mut(), out, Some(&responded))
        }
        Content::Chunks(chunks) => self::chunks(chunks, out, Some(&responded)),
        Content::Stream(incoming) => {
            let Some(stream) = incoming.stream() else { return Ok(Pumped::Complete) };
            let (readable, writable) = (stream.subscribe(), out.subscribe());
            loop {
                match out.splice(stream, SPLICE_SIZE) {
                    Ok(0) => {}
                    Ok(_) => continue,
                    Err(error) => return end(error).map(|()| Pumped::Complete),
                }
                let wait_for = match out.check_write() {
                    Ok(0) => &writable,
                    Ok(_) => &readable,
                    Err(error) => return end(error).map(|()| Pumped::Complete),
                };
                poll(&[wait_for, &responded]);
                if responded.ready() {
                    return Ok(Pumped::EarlyResponse);
                }
            }
        }
    }
}

fn chunks(
    chunks: Chunks,
    out: &OutputStream,
    responded: Option<&Pollable>,
) -> Result<Pumped, BodyError> {
    for chunk in chunks {
        match write(&chunk?, out, responded)? {
            Pumped::Complete => {}
            early => return Ok(early),
        }
    }
    Ok(Pumped::Complete)
}

fn filtered(
    incoming: &Incoming,
    filter: &mut dyn Filter,
    out: &OutputStream,
    responded: Option<&Pollable>,
) -> Result<Pumped, BodyError> {
    let mut buffer = Vec::new();
    while let Some(bytes) = incoming.read()? {
        buffer.clear();
        filter.push(&bytes, &mut buffer);
        match write(&buffer, out, responded)? {
            Pumped::Complete => {}
            early => return Ok(early),
        }
    }
    buffer.clear();
    filter.finish(&mut buffer);
    write(&buffer, out, responded)
}

fn write(
    mut bytes: &[u8],
    out: &OutputStream,
    responded: Option<&Pollable>,
) -> Result<Pumped, BodyError> {
    while !bytes.is_empty() {
        let room = match out.check_write() {
            Ok(room) => usize::try_from(room).unwrap_or(usize::MAX),
            Err(error) => return end(error).map(|()| Pumped::ReaderClosed),
        };
        if room == 0 {
            let writable = out.subscribe();
            match responded {
                None => writable.block(),
                Some(responded) => {
                    poll(&[&writable, responded]);
                    if responded.ready() {
                        return Ok(Pumped::EarlyResponse);
                    }
                }
            }
            continue;
        }
        let (now, later) = bytes.split_at(room.min(bytes.len()));
        if let Err(error) = out.write(now) {
            return end(error).map(|()| Pumped::ReaderClosed);
        }
        bytes = later;
    }
    Ok(Pumped::Complete)
}

/// Handles the end of a stream. `closed` means that the input ended or that the reader closed the
/// output: either way nothing is left to send. The host compares the bytes sent with the announced
/// length.
fn end(error: StreamError) -> Result<(), BodyError> {
    match error {
        StreamError::Closed => Ok(()),
        StreamError::LastOperationFailed(error) => Err(stream_error(&error)),
    }
}
