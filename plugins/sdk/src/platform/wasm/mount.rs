//! Configuration, tokens and requests of the host.

use std::cell::Cell;
use std::mem::ManuallyDrop;
use std::rc::Rc;

use super::pump::{Pumped, pump_request};
use crate::body::{Body, Content};
use crate::headers::Headers;
use crate::host::bindings::keyward::broker::{caller_state, forwarding, identity};
use crate::host::bindings::wasi::config::store;
use crate::host::bindings::wasi::http::outgoing_handler;
use crate::host::bindings::wasi::http::types::{
    self, ErrorCode, IncomingRequest, IncomingResponse, OutgoingBody, OutgoingRequest,
};
use crate::host::{Fields, Incoming, Message, ResponseHandle, leave};
use crate::method::Method;
use crate::outgoing::{Outgoing, SendError};
use crate::problem::Problem;
use crate::response::Response;
use crate::token::Token;

/// The mount of one call. Nothing is cached: a call to the host takes a quarter of a microsecond,
/// and most plugins make few.
#[derive(Debug)]
pub(crate) struct Mount {
    request: Rc<IncomingRequest>,
    /// Whether a request was sent before.
    has_sent: Cell<bool>,
}

impl Mount {
    pub(crate) fn of(request: Rc<IncomingRequest>) -> Self {
        Self { request, has_sent: Cell::new(false) }
    }

    /// The caller's `x-forwarded-<name>`, which the host sets.
    pub(crate) fn forwarded(&self, name: &str) -> String {
        let values = self.request.headers().get(&format!("x-forwarded-{name}"));
        values
            .into_iter()
            .next()
            .and_then(|value| String::from_utf8(value).ok())
            .unwrap_or_default()
    }

    pub(crate) fn config(&self, key: &str) -> Option<String> {
        store::get(key).ok().flatten()
    }

    pub(crate) fn token(&self, audience: &str) -> Result<Token, Problem> {
        match identity::get_token(audience) {
            Ok(token) => Ok(Token { bearer: token.bearer, expires_on: token.expires_on }),
            Err(identity::Error::NotDeclared) => Err(Problem::not_declared(audience)),
            Err(identity::Error::NotGranted(why)) => Err(Problem::not_granted(audience, Some(why))),
            Err(identity::Error::Unavailable(why)) => Err(Problem::token_unavailable(why)),
            Err(identity::Error::Throttled(seconds)) => Err(Problem::token_throttled(seconds)),
        }
    }

    pub(crate) fn seal(&self, state: &str) -> Option<String> {
        caller_state::seal(state).ok()
    }

    pub(crate) fn open(&self, sealed: &str) -> Option<String> {
        caller_state::open(sealed)
    }

    pub(crate) fn send(&self, outgoing: Outgoing) -> Result<Response, SendError> {
        let is_head = outgoing.method == Method::Head;
        let fields = &outgoing.headers.fields;
        let of = fields.message().cloned();
        let caller = of.as_ref().and_then(Message::as_request);
        // A request cannot be forwarded with the fields of a response.
        let known = caller.is_some() == of.is_some();
        let keeps_body = outgoing.body.is_whole(of.as_ref());
        if !known
            || !(keeps_body || outgoing.body.is_in_memory())
            || !fields.can_forward(keeps_body)
        {
            let (response, unfinished) = self.send_in_steps(outgoing)?;
            return Ok(self.received(response.status(), response, is_head, unfinished));
        }
        let request = forwarding::Outgoing {
            method: wasi_method(outgoing.method),
            authority: outgoing.authority,
            path_with_query: outgoing.path_and_query,
            changes: outgoing.headers.fields.into_changes(),
            body: host_body(outgoing.body),
        };
        let received = forwarding::forward(caller, &request).map_err(send_error)?;
        Ok(self.received(received.status, received.response, is_head, None))
    }

    fn received(
        &self,
        status: u16,
        response: IncomingResponse,
        is_head: bool,
        unfinished: Option<OutgoingBody>,
    ) -> Response {
        let handle = if self.has_sent.replace(true) {
            // A plugin that sends many requests would exceed the limit on handles.
            ResponseHandle::Dropped(response)
        } else {
            ResponseHandle::Left(leave(response))
        };
        let message = Message::Response(Rc::new(handle));
        let headers = Headers { fields: Fields::of(message.clone()) };
        // Responses to HEAD, and with these statuses, may announce a length but have no body.
        let bodiless = is_head || status == 204 || status == 304;
        let body = if bodiless {
            Body::empty()
        } else {
            Body(Content::Stream(Incoming::of(message, unfinished)))
        };
        Response { status, headers, body }
    }

    /// Sends a request whose body the plugin writes.
    fn send_in_steps(
        &self,
        outgoing: Outgoing,
    ) -> Result<(IncomingResponse, Option<OutgoingBody>), SendError> {
        let malformed =
            |what: &str| SendError::Failed(format!("the plugin's request has no valid {what}"));
        let has_body = !outgoing.body.is_empty();
        let mut fields = outgoing.headers.fields;
        if let Content::Bytes(bytes) = &outgoing.body.0
            && has_body
        {
            fields
                .set("content-length", bytes.len().to_string().as_bytes())
                .map_err(|()| malformed("length"))?;
        }
        let request = OutgoingRequest::new(fields.into_handle());
        // The default of a request is GET over https.
        if outgoing.method != Method::Get {
            request.set_method(&wasi_method(outgoing.method)).map_err(|()| malformed("method"))?;
        }
        request.set_authority(Some(&outgoing.authority)).map_err(|()| malformed("authority"))?;
        request
            .set_path_with_query(Some(&outgoing.path_and_query))
            .map_err(|()| malformed("path"))?;

        let (future, unfinished) = if has_body {
            let body = request.body().map_err(|()| malformed("body"))?;
            let future = outgoing_handler::handle(request, None).map_err(send_error)?;
            let unfinished = send_body(outgoing.body, body, &future)?;
            (future, unfinished)
        } else {
            (outgoing_handler::handle(request, None).map_err(send_error)?, None)
        };

        let future = leave(future);
        let ready = leave(future.subscribe());
        ready.block();
        let response = future.get();
        if self.has_sent.get() {
            drop(ManuallyDrop::into_inner(ready));
            drop(ManuallyDrop::into_inner(future));
        }
        match response {
            Some(Ok(Ok(response))) => Ok((response, unfinished)),
            Some(Ok(Err(code))) => Err(send_error(code)),
            Some(Err(())) | None => {
                Err(SendError::Failed("the response was already taken".to_owned()))
            }
        }
    }
}

impl Body {
    /// Whether this is the whole body of a message, which the host can pass on.
    pub(crate) fn is_whole(&self, of: Option<&Message>) -> bool {
        match &self.0 {
            Content::Stream(incoming) => of.is_some_and(|message| incoming.is_whole(message)),
            Content::Empty | Content::Bytes(_) | Content::Filtered(..) | Content::Chunks(_) => {
                false
            }
        }
    }

    /// Whether the plugin has all of it.
    pub(crate) fn is_in_memory(&self) -> bool {
        matches!(self.0, Content::Empty | Content::Bytes(_))
    }
}

/// A body that is whole or in memory, for the host.
pub(crate) fn host_body(body: Body) -> forwarding::Body {
    match body.0 {
        Content::Empty => forwarding::Body::Empty,
        Content::Bytes(bytes) if bytes.is_empty() => forwarding::Body::Empty,
        Content::Bytes(bytes) => forwarding::Body::Bytes(bytes),
        Content::Stream(_) | Content::Filtered(..) | Content::Chunks(_) => {
            forwarding::Body::Unchanged
        }
    }
}

fn send_body(
    body: Body,
    outgoing: OutgoingBody,
    response: &types::FutureIncomingResponse,
) -> Result<Option<OutgoingBody>, SendError> {
    let Ok(stream) = outgoing.write() else {
        return Err(SendError::Failed("the body of the request was already taken".to_owned()));
    };
    let pumped = pump_request(body, &stream, response);
    drop(stream);
    match pumped {
        Ok(Pumped::Complete | Pumped::ReaderClosed) => match OutgoingBody::finish(outgoing, None) {
            Ok(()) => Ok(None),
            // The service closed its side. Its response, if any, gives the reason.
            Err(ErrorCode::HttpRequestBodySize(_)) => Ok(None),
            Err(code) => Err(send_error(code)),
        },
        Ok(Pumped::EarlyResponse) => Ok(Some(outgoing)),
        Err(error) => Err(SendError::Failed(error.to_string())),
    }
}

fn wasi_method(method: Method) -> types::Method {
    match method {
        Method::Get => types::Method::Get,
        Method::Head => types::Method::Head,
        Method::Post => types::Method::Post,
        Method::Put => types::Method::Put,
        Method::Delete => types::Method::Delete,
        Method::Options => types::Method::Options,
        Method::Patch => types::Method::Patch,
        Method::Other(name) => types::Method::Other(name),
    }
}

fn send_error(code: ErrorCode) -> SendError {
    match code {
        ErrorCode::HttpRequestDenied | ErrorCode::DestinationIpProhibited => SendError::Denied,
        ErrorCode::DnsTimeout
        | ErrorCode::ConnectionTimeout
        | ErrorCode::ConnectionReadTimeout
        | ErrorCode::ConnectionWriteTimeout
        | ErrorCode::HttpResponseTimeout => SendError::TimedOut(code.to_string()),
        ErrorCode::InternalError(Some(what)) => SendError::Failed(what),
        other => SendError::Failed(other.to_string()),
    }
}
