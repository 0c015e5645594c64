//! Entry point of a call: converts the host's request and response.

use std::rc::Rc;

use crate::body::{Body, Content};
use crate::context::Context;
use crate::headers::Headers;
use crate::host::bindings::keyward::broker::forwarding;
use crate::host::bindings::wasi::http::types::{
    self, IncomingRequest, OutgoingBody, OutgoingResponse, ResponseOutparam,
};
use crate::host::{Fields, Incoming, Message, leave, log_panics};
use crate::method::Method;
use crate::platform::{Mount, host_body, pump};
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
    let request = Rc::new(request);
    let message = incoming(&request);
    let is_head = message.method == Method::Head;
    let context = leave(Context { mount: Mount::of(request) });
    let response = handle(message, &context).unwrap_or_else(Problem::into_response);
    respond(response, is_head, out);
}

fn incoming(request: &Rc<IncomingRequest>) -> Request {
    let head = forwarding::head_of(request);
    let method = match head.method {
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
    let message = Message::Request(Rc::clone(request));
    let headers = Headers { fields: Fields::of(message.clone()) };
    let body = if head.has_body {
        Body(Content::Stream(Incoming::of(message, None)))
    } else {
        Body::empty()
    };
    Request { method, path_and_query: head.path_with_query, headers, body }
}

fn respond(response: Response, is_head: bool, out: ResponseOutparam) {
    let Response { status, headers, body } = response;
    let mut fields = headers.fields;
    let bodiless = is_head || status == 204 || status == 304;
    let body = if bodiless { Body::empty() } else { body };
    // An invalid status is 200.
    let status = if (100..1000).contains(&status) { status } else { 200 };
    let of = fields.message().cloned();
    let from_service = of.as_ref().and_then(Message::as_response);
    // A reply cannot have the fields of a request.
    let known = from_service.is_some() == of.is_some();
    let keeps_body = body.is_whole(of.as_ref());
    if known && (keeps_body || body.is_in_memory()) && fields.can_forward(keeps_body || bodiless) {
        forwarding::reply(from_service, status, &fields.into_changes(), &host_body(body), out);
        return;
    }
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
    // The default is 200.
    if status != 200 {
        let _ = response.set_status_code(status);
    }
    if matches!(body.0, Content::Empty) {
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
