//! Where `wasi:http` hands a plugin's request to the host.

use std::sync::Arc;

use http::header::{self, HeaderName};
use http::uri::Scheme;
use wasmtime_wasi_http::{
    DEFAULT_FORBIDDEN_HEADERS, Error, ForbiddenHeaderFilter, RequestOptions, Result,
};
use wasmtime_wasi_http::{WasiBody, WasiHttpHooks};

use super::admit::admit;
use super::pipeline::send;
use super::upload::{Upload, streams};
use crate::call::Call;

/// How many bytes a guest may write at once.
const CHUNK: usize = 128 << 10;

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

    /// How much of a body waits between guest and peer. With the default, a mebibyte, sixteen large
    /// transfers took 70 MiB.
    fn p2_outgoing_body_chunk_size(&mut self) -> usize {
        CHUNK
    }

    fn send_request(
        &mut self,
        request: http::Request<WasiBody>,
        options: Option<RequestOptions>,
        _: Box<dyn Future<Output = Result<(), Error>> + Send>,
    ) -> Sending {
        let call = Arc::clone(&self.0);
        let authorized = admit(&call, &request);
        let can_wait = authorized.as_ref().is_ok_and(streams);
        let (request, upload) = Upload::watch(&call, request, can_wait);
        Box::new(async move {
            let response = send(&call, request, authorized?, options.unwrap_or_default()).await?;
            if let Some(upload) = upload {
                upload.answered(response.status());
            }
            Ok((response, Box::new(async { Ok(()) }) as Box<dyn Future<Output = _> + Send>))
        })
    }
}

/// Fields of the connection, which are the host's: a plugin neither sees nor sends them.
fn is_forbidden(name: &HeaderName) -> bool {
    const ALSO: [HeaderName; 3] = [header::EXPECT, header::TE, header::TRAILER];
    DEFAULT_FORBIDDEN_HEADERS.contains(name) || ALSO.contains(name)
}
