//! Third stage: a request is sent, and the head of its response awaited.

use http::{Request, Response};
use hyper::body::Incoming;
use hyper_util::client::legacy;
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody};

use crate::call::Call;
use crate::error::CallError;
use crate::upstream::{ConnectError, find, innermost};

/// Sends a request unchanged, and waits for the head of its response.
pub(super) async fn transmit(
    call: &Call,
    request: Request<WasiBody>,
    options: &RequestOptions,
) -> Result<Response<Incoming>, Error> {
    // The last moment before a credential is on the wire.
    call.check_lock().map_err(|_| Error::HttpRequestDenied)?;
    let sending = call.mount().client.send(request);
    let sent = match options.first_byte_timeout {
        Some(timeout) => tokio::time::timeout(timeout, sending)
            .await
            .map_err(|_| Error::ConnectionReadTimeout)?,
        None => sending.await,
    };
    let response = sent.map_err(|error| failed(call, &error))?;
    call.progress();
    Ok(response)
}

/// The error that the plugin gets for a request without a response. A forbidden address fails the
/// call.
fn failed(call: &Call, error: &legacy::Error) -> Error {
    let mount = call.mount();
    if let Some(connect) = find::<ConnectError>(error) {
        tracing::debug!(mount = %mount.name, error = %connect, "no connection");
        if let ConnectError::Forbidden { .. } = connect {
            call.fail(CallError::forbidden_address(&mount.name, connect.to_string()));
        }
        return connect.to_wasi();
    }
    let cause = innermost(error);
    tracing::debug!(mount = %mount.name, error = %cause, "no answer");
    if let Some(own) = find::<Error>(error) {
        // The body that the plugin sent was cut off by a rule or by its own end.
        return Error::InternalError(Some(own.to_string()));
    }
    match find::<hyper::Error>(error) {
        Some(error) if error.is_incomplete_message() => Error::ConnectionTerminated,
        Some(error) if error.is_parse() => Error::HttpProtocolError,
        _ => Error::InternalError(Some(cause.to_string())),
    }
}
