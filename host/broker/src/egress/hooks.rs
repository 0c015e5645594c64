//! Where `wasi:http` hands a plugin's request to the host.

use std::sync::Arc;

use http::header::{self, HeaderMap, HeaderName};
use http::uri::Scheme;
use wasmtime_wasi_http::{
    DEFAULT_FORBIDDEN_HEADERS, Error, ForbiddenHeaderFilter, RequestOptions, Result,
};
use wasmtime_wasi_http::{WasiBody, WasiHttpHooks};

use super::admit::admit;
use super::pipeline::send;
use super::upload::{BodyOf, Upload, streams};
use crate::call::{Call, CallMemory, HeldMemory, header_bytes};

/// How many bytes a guest may write to a body at once, at most.
const MAX_CHUNK: u64 = 128 << 10;

/// How many bytes it may write at once when hardly any memory is left.
const MIN_CHUNK: u64 = 4 << 10;

/// How many writes wait of a body between a guest and its peer, at most: one that
/// `wasmtime_wasi_http` buffers, and one more for which it has room.
const QUEUED_CHUNKS: u64 = 2;

/// What a request that is under way holds, in bytes, beside its header fields and its body: an
/// estimate of its connection's buffers. A batch of 256 requests at once fits in the default limit.
const REQUEST_BYTES: u64 = 48 << 10;

/// How many bytes a guest may write at once to a body that it begins now. The less memory is left,
/// the less it is, so that many bodies at once fit in: each takes at most 1/128 of what is left.
fn chunk_size(memory: &CallMemory) -> u64 {
    (memory.left() / (128 * QUEUED_CHUNKS)).clamp(MIN_CHUNK, MAX_CHUNK)
}

/// What waits at most of a body that a guest begins now, in bytes.
pub(crate) fn queued_bytes(memory: &CallMemory) -> u64 {
    QUEUED_CHUNKS * chunk_size(memory)
}

/// The hooks of one call.
pub(crate) struct EgressHooks(pub(crate) Arc<Call>);

/// What `wasi:http` asks for: the response, and a task that goes on while its body is read, of
/// which there is none here.
type Sending = Box<
    dyn Future<
            Output = Result<(
                http::Response<WasiBody>,
                Box<dyn Future<Output = Result<(), Error>> + Send>,
            )>,
        > + Send,
>;

impl WasiHttpHooks for EgressHooks {
    fn forbidden_header_filter(&mut self) -> ForbiddenHeaderFilter {
        Arc::new(is_forbidden)
    }

    fn is_forbidden_header(&mut self, name: &HeaderName) -> bool {
        is_forbidden(name)
    }

    /// Every scheme gets as far as the rules, which refuse all but one and say so.
    fn is_supported_scheme(&mut self, _: &Scheme) -> bool {
        true
    }

    /// The client writes it, from the endpoint.
    fn set_host_header(&mut self) -> bool {
        false
    }

    /// With the default, a mebibyte, sixteen large transfers took 70 MiB.
    fn p2_outgoing_body_chunk_size(&mut self) -> usize {
        usize::try_from(chunk_size(self.0.memory())).unwrap_or(usize::MAX)
    }

    fn send_request(
        &mut self,
        request: http::Request<WasiBody>,
        options: Option<RequestOptions>,
        _: Box<dyn Future<Output = Result<(), Error>> + Send>,
    ) -> Sending {
        let sending = exchange(&self.0, request, options.unwrap_or_default(), BodyOf::Guest);
        Box::new(async move {
            let response = sending.await?;
            Ok((response, Box::new(async { Ok(()) }) as Box<dyn Future<Output = _> + Send>))
        })
    }
}

/// Sends a plugin's request if it may leave, which is decided at once. Returns a future that waits
/// for the head of its response.
pub(crate) fn exchange(
    call: &Arc<Call>,
    request: http::Request<WasiBody>,
    options: RequestOptions,
    body_of: BodyOf,
) -> impl Future<Output = Result<http::Response<WasiBody>>> + Send + use<> {
    let call = Arc::clone(call);
    let authorized = admit(&call, &request);
    let memory = HeldMemory::take(&call, bytes_of(&request));
    let can_wait = authorized.as_ref().is_ok_and(streams);
    let (request, upload) = Upload::watch(&call, request, can_wait, body_of);
    async move {
        let memory = memory.map_err(|_| Error::HttpRequestDenied)?;
        let response = send(&call, request, authorized?, options, memory).await?;
        if let Some(upload) = upload {
            upload.answered(response.status());
        }
        Ok(response)
    }
}

/// What a request holds until its response has been read, in bytes, beside its body.
fn bytes_of(request: &http::Request<WasiBody>) -> u64 {
    let path = request.uri().path_and_query().map_or(0, |path| path.as_str().len());
    request_bytes(request.headers(), path)
}

/// What a request with these header fields, and a path with so many bytes, holds until its response
/// has been read, in bytes, beside its body.
pub(crate) fn request_bytes(headers: &HeaderMap, path: usize) -> u64 {
    REQUEST_BYTES + header_bytes(headers) + path as u64
}

/// Fields of the connection, which are the host's: a plugin neither sees nor sends them.
fn is_forbidden(name: &HeaderName) -> bool {
    const ALSO: [HeaderName; 3] = [header::EXPECT, header::TE, header::TRAILER];
    DEFAULT_FORBIDDEN_HEADERS.contains(name) || ALSO.contains(name)
}
