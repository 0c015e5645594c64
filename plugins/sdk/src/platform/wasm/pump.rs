//! Moves a body out of the sandbox, or past it.

use crate::body::{Body, Chunks, Content, Filter};
use crate::body_error::BodyError;
use crate::host::bindings::wasi::http::types::FutureIncomingResponse;
use crate::host::bindings::wasi::io::poll::{Pollable, poll};
use crate::host::bindings::wasi::io::streams::{OutputStream, StreamError};
use crate::host::{Incoming, leave, stream_error};

/// How many bytes one `splice` may move. The host moves what it has, without copying.
const SPLICE: u64 = 1024 * 1024;

/// How a body left.
pub(super) enum Pumped {
    /// All of it.
    Whole,
    /// The answer was there before the end.
    AnsweredEarly,
    /// Nobody reads it any more.
    Unwanted,
}

/// Sends a body whole.
pub(crate) fn pump(body: Body, out: &OutputStream) -> Result<(), BodyError> {
    match body.0 {
        Content::Empty => Ok(()),
        Content::Bytes(bytes) => write(&bytes, out, None).map(drop),
        Content::Stream(incoming) => {
            let incoming = leave(incoming);
            loop {
                match out.blocking_splice(&incoming.stream, SPLICE) {
                    Ok(_) => {}
                    Err(error) => return end(error),
                }
            }
        }
        Content::Filtered(incoming, mut filter) => {
            filtered(&leave(incoming), filter.as_mut(), out, None).map(drop)
        }
        Content::Chunks(chunks) => {
            // What was made before the error shall be read, as far as the reader is there.
            self::chunks(chunks, out, None).map(drop).inspect_err(|_| drop(out.blocking_flush()))
        }
    }
}

/// Sends the body of a request, and stops where its answer is there first.
pub(super) fn pump_request(
    body: Body,
    out: &OutputStream,
    answer: &FutureIncomingResponse,
) -> Result<Pumped, BodyError> {
    let answered = answer.subscribe();
    match body.0 {
        Content::Empty => Ok(Pumped::Whole),
        Content::Bytes(bytes) => write(&bytes, out, Some(&answered)),
        Content::Filtered(incoming, mut filter) => {
            filtered(&incoming, filter.as_mut(), out, Some(&answered))
        }
        Content::Chunks(chunks) => self::chunks(chunks, out, Some(&answered)),
        Content::Stream(incoming) => {
            let (readable, writable) = (incoming.stream.subscribe(), out.subscribe());
            loop {
                match out.splice(&incoming.stream, SPLICE) {
                    Ok(0) => {}
                    Ok(_) => continue,
                    Err(error) => return end(error).map(|()| Pumped::Whole),
                }
                let wait_for = match out.check_write() {
                    Ok(0) => &writable,
                    Ok(_) => &readable,
                    Err(error) => return end(error).map(|()| Pumped::Whole),
                };
                poll(&[wait_for, &answered]);
                if answered.ready() {
                    return Ok(Pumped::AnsweredEarly);
                }
            }
        }
    }
}

fn chunks(
    chunks: Chunks,
    out: &OutputStream,
    answered: Option<&Pollable>,
) -> Result<Pumped, BodyError> {
    for chunk in chunks {
        match write(&chunk?, out, answered)? {
            Pumped::Whole => {}
            early => return Ok(early),
        }
    }
    Ok(Pumped::Whole)
}

fn filtered(
    incoming: &Incoming,
    filter: &mut dyn Filter,
    out: &OutputStream,
    answered: Option<&Pollable>,
) -> Result<Pumped, BodyError> {
    let mut buffer = Vec::new();
    while let Some(bytes) = incoming.read()? {
        buffer.clear();
        filter.push(&bytes, &mut buffer);
        match write(&buffer, out, answered)? {
            Pumped::Whole => {}
            early => return Ok(early),
        }
    }
    buffer.clear();
    filter.finish(&mut buffer);
    write(&buffer, out, answered)
}

fn write(
    mut bytes: &[u8],
    out: &OutputStream,
    answered: Option<&Pollable>,
) -> Result<Pumped, BodyError> {
    while !bytes.is_empty() {
        let room = match out.check_write() {
            Ok(room) => usize::try_from(room).unwrap_or(usize::MAX),
            Err(error) => return end(error).map(|()| Pumped::Unwanted),
        };
        if room == 0 {
            let writable = out.subscribe();
            match answered {
                None => writable.block(),
                Some(answered) => {
                    poll(&[&writable, answered]);
                    if answered.ready() {
                        return Ok(Pumped::AnsweredEarly);
                    }
                }
            }
            continue;
        }
        let (now, later) = bytes.split_at(room.min(bytes.len()));
        if let Err(error) = out.write(now) {
            return end(error).map(|()| Pumped::Unwanted);
        }
        bytes = later;
    }
    Ok(Pumped::Whole)
}

/// `closed` is the end of what is read, or a reader that wants no more: either way there is nothing
/// left to do. Whether the reader has all of it is checked by the host against the length that was
/// announced.
fn end(error: StreamError) -> Result<(), BodyError> {
    match error {
        StreamError::Closed => Ok(()),
        StreamError::LastOperationFailed(error) => Err(stream_error(&error)),
    }
}
