//! Responses that a fault has changed.

use std::io::{self, Read};
use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::{HeaderName, HeaderValue};
use http_body_util::BodyExt;
use http_body_util::channel::Channel;

use crate::content::Content;
use crate::faults::{FaultKind, Faults};
use crate::messages::{Request, Response, ResponseBody, chunks};

/// The response of a service, changed by a fault. An error closes the connection.
pub(crate) fn respond_with_fault(
    fault: FaultKind,
    response: Response,
    request: &Request,
    faults: &Faults,
) -> io::Result<http::Response<ResponseBody>> {
    let body = response.body.clone();
    let with_length = |body: ResponseBody, length: u64| {
        let mut response = response.clone().into_http().map(|_| body);
        response.headers_mut().insert(CONTENT_LENGTH, length.into());
        response
    };
    let compressed = |body: &[u8], chunk_size: usize| {
        let compressed = Bytes::from(gzip(body));
        let mut response = with_length(split(&compressed, chunk_size), compressed.len() as u64);
        response.headers_mut().insert("content-encoding", HeaderValue::from_static("gzip"));
        response
    };
    Ok(match fault {
        FaultKind::Close => return Err(io::Error::other("closed on purpose")),
        FaultKind::Respond { status, headers, body } => {
            let mut response = Response::new(status);
            for (name, value) in headers {
                if let (Ok(name), Ok(value)) =
                    (name.parse::<HeaderName>(), HeaderValue::from_str(&value))
                {
                    response.headers.insert(name, value);
                }
            }
            response.body = body.into();
            response.into_http()
        }
        FaultKind::Html => {
            let mut response = Response::new(200).header("content-type", "text/html");
            response.body = "<!doctype html><title>A page</title>".into();
            response.into_http()
        }
        FaultKind::Truncate(bytes) => {
            with_length(truncated_body(body.slice(0, bytes as u64)), body.len())
        }
        FaultKind::HalfBody => {
            let half = body.slice(0, body.len() / 2);
            let length = half.len();
            with_length(chunks(half.into_chunks()), length)
        }
        FaultKind::Stall(bytes) => {
            with_length(stalling_body(body.slice(0, bytes as u64), faults), body.len())
        }
        FaultKind::Echo(chunk_size) => {
            let bearer = request.header("authorization").unwrap_or_default().to_owned();
            let text = format!("{{\"you sent\": \"{bearer}\", \"and again\": \"{bearer}\"}}");
            let mut response = with_length(split(text.as_bytes(), chunk_size), text.len() as u64);
            if let Ok(value) = HeaderValue::from_str(&bearer) {
                response.headers_mut().insert("x-echo", value);
            }
            response
        }
        FaultKind::EchoCompressed(chunk_size) => {
            let bearer = request.header("authorization").unwrap_or_default();
            compressed(format!("{{\"you sent\": \"{bearer}\"}}").as_bytes(), chunk_size)
        }
        FaultKind::Gzip => compressed(&body.into_chunks().concat(), usize::MAX),
        FaultKind::Bytes(count) => {
            let mut response = with_length(zeros_body(count), count);
            let content_type = HeaderValue::from_static("application/octet-stream");
            response.headers_mut().insert("content-type", content_type);
            response
        }
        // These take effect before the service responds, or at the database server.
        FaultKind::Delay(_)
        | FaultKind::Hang
        | FaultKind::HoldBody
        | FaultKind::DiscardBody
        | FaultKind::CloseAfterRequestBytes(_)
        | FaultKind::RespondEarly { .. }
        | FaultKind::Redirect(_)
        | FaultKind::SqlError(_)
        | FaultKind::SqlRoute { .. } => response.into_http(),
    })
}

/// A body of these bytes, in chunks of this size.
fn split(bytes: &[u8], chunk_size: usize) -> ResponseBody {
    chunks(bytes.chunks(chunk_size.max(1)).map(Bytes::copy_from_slice).collect())
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut compressed = Vec::new();
    let mut encoder = flate2::read::GzEncoder::new(text, flate2::Compression::best());
    // Reading from memory does not fail.
    drop(encoder.read_to_end(&mut compressed));
    compressed
}

/// A body that stops after these bytes until the faults change, and then fails.
fn stalling_body(content: Content, faults: &Faults) -> ResponseBody {
    let mut changes = faults.changes();
    let (sender, body) = Channel::<Bytes, io::Error>::new(1);
    tokio::spawn(async move {
        let mut sender = sender;
        for chunk in content.into_chunks() {
            drop(sender.send_data(chunk).await);
        }
        drop(changes.changed().await);
        sender.abort(io::Error::other("stalled on purpose"));
    });
    body.boxed_unsync()
}

/// A body that fails after these bytes, which closes the connection.
fn truncated_body(content: Content) -> ResponseBody {
    /// hyper drops what it has not written yet when a body fails.
    const WRITTEN: Duration = Duration::from_millis(20);
    let (sender, body) = Channel::<Bytes, io::Error>::new(1);
    tokio::spawn(async move {
        let mut sender = sender;
        for chunk in content.into_chunks() {
            drop(sender.send_data(chunk).await);
        }
        tokio::time::sleep(WRITTEN).await;
        sender.abort(io::Error::other("truncated on purpose"));
    });
    body.boxed_unsync()
}

/// A body of zeros, in large chunks.
fn zeros_body(count: u64) -> ResponseBody {
    const CHUNK: usize = 256 << 10;
    static ZEROS: [u8; CHUNK] = [0; CHUNK];
    let (sender, body) = Channel::<Bytes, io::Error>::new(2);
    tokio::spawn(async move {
        let (mut sender, mut remaining) = (sender, count);
        while remaining > 0 {
            let length = usize::try_from(remaining).unwrap_or(CHUNK).min(CHUNK);
            let Some(bytes) = ZEROS.get(..length) else {
                return;
            };
            if sender.send_data(Bytes::from_static(bytes)).await.is_err() {
                return;
            }
            remaining -= length as u64;
        }
    });
    body.boxed_unsync()
}
