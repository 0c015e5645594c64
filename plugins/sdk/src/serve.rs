//! Entry point of a call: converts the host's request and response.

use crate::body::{Body, Content};
use crate::context::Context;
use crate::headers::Headers;
use crate::host::bindings::wasi::http::types::{
    self, IncomingRequest, OutgoingBody, OutgoingResponse, ResponseOutparam,
};
use crate::host::{Fields, Incoming, leave, log_panics};
use crate::method::Method;
use crate::platform::{Mount, pump};
use crate::problem::Problem;
use crate::request::Request;
use crate::response::Response;

/// Runs a plugin's handler on a request. The macro [`export!`](crate::export) calls this.
pub fn serve(
    request: IncomingRequest,
    out: ResponseOutparam,
    handle: fn(Request, &Context) -> Result<Response, Problem>,
) {
    log_panics();
    let (message, mount) = (incoming(&request), Mount::of(request));
    let is_head = message.method == Method::Head;
    let context = leave(Context { mount });
    let response = handle(message, &context).unwrap_or_else(Problem::into_response);
    respond(response, is_head, out);
}

fn incoming(request: &IncomingRequest) -> Request {
    let method = match request.method() {
        types::Method::Get => Method::Get,
        types::Method::Head => Method::Head,
        types::Method::Post => Method::Post,
        types::Method::Put => Method::Put,
        types::Method::Delete => Method::Delete,
        types::Method::Options => Method::Options,
        types::Method::Patch => Method::Patch,
        types::Method::Connect => Method::Other("CONNECT".to_owned()),
        types::Method::Trace => Method::Other("TRACE".to_owned()),
        types::Method::Other(name) => Method::Other(name),
    };
    let path_and_query = request.path_with_query().unwrap_or_else(|| "/".to_owned());
    let headers = Headers { fields: Fields::shared(request.headers()) };
    // The host sets `content-length: 0` on every request without a body.
    let has_body = headers.get("content-length").is_none_or(|length| length != "0");
    let body = if has_body {
        let incoming = request.consume().ok().and_then(|body| Incoming::new(body, None));
        incoming.map_or_else(Body::empty, |incoming| Body(Content::Stream(incoming)))
    } else {
        Body::empty()
    };
    Request { method, path_and_query, headers, body }
}

fn respond(response: Response, is_head: bool, out: ResponseOutparam) {
    let Response { status, headers, body } = response;
    let mut fields = headers.fields;
    let bodiless = is_head || status == 204 || status == 304;
    if !bodiless {
        let length = match &body.0 {
            Content::Empty => Some(0),
            Content::Bytes(bytes) => Some(bytes.len()),
            Content::Stream(_) | Content::Filtered(..) | Content::Chunks(_) => None,
        };
        if let Some(length) = length {
            // Fails only for immutable fields, which these are not.
            let _ = fields.set("content-length", length.to_string().as_bytes());
        }
    }
    let response = OutgoingResponse::new(fields.into_handle());
    // The default is 200, also if the plugin's status is invalid.
    if status != 200 {
        let _ = response.set_status_code(status);
    }
    if bodiless || matches!(body.0, Content::Empty) {
        ResponseOutparam::set(out, Ok(response));
        return;
    }
    let Ok(outgoing) = response.body() else {
        ResponseOutparam::set(out, Ok(response));
        return;
    };
    ResponseOutparam::set(out, Ok(response));
    let Ok(stream) = outgoing.write() else { return };
    let pumped = pump(body, &stream);
    drop(stream);
    match pumped {
        Ok(()) => drop(OutgoingBody::finish(outgoing, None)),
        // Dropped without `finish`: the host aborts the caller's response, so that it does not look
        // complete.
        Err(_) => drop(outgoing),
    }
}
