//! The interface `forwarding`: whole requests and responses, in one call each.

use std::sync::Arc;

use http::header::CONTENT_LENGTH;
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri};
use wasmtime::component::{HasData, Linker, Resource};
use wasmtime_wasi_http::p2::bindings::http::types::{self, ErrorCode, HostIncomingRequest as _};
use wasmtime_wasi_http::p2::body::HostIncomingBody;
use wasmtime_wasi_http::p2::types::{
    HostFutureIncomingResponse, HostIncomingRequest, HostIncomingResponse, HostResponseOutparam,
};
use wasmtime_wasi_http::{Error, FieldMap, FieldMapError, RequestOptions, WasiBody, WasiHttpView};

use super::bindings::forwarding::{self, Change, Outgoing, Received, RequestHead};
use super::body_slot::{BodySlot, PassedOn};
use super::responder::GuestResponse;
use super::state::State;
use super::streamed_body::StreamedBody;
use crate::call::{HeldMemory, HoldingBody, header_bytes};
use crate::egress::{BodyOf, exchange, request_bytes};
use crate::error::Limit;
use crate::wasi_body;

struct Forwarding;

impl HasData for Forwarding {
    type Data<'a> = View<'a>;
}

struct View<'a>(&'a mut State);

pub(super) fn add_to_linker(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    forwarding::add_to_linker::<State, Forwarding>(linker, |state| View(state))
}

impl forwarding::Host for View<'_> {
    fn head_of(&mut self, _: Resource<HostIncomingRequest>) -> wasmtime::Result<RequestHead> {
        // A sandbox has one request.
        let request = &self.0.request;
        let path = request.uri.path_and_query().map_or("/", |path| path.as_str());
        Ok(RequestHead {
            method: request.method.clone().into(),
            path_with_query: path.to_owned(),
            has_body: request.has_body,
        })
    }

    async fn forward(
        &mut self,
        request: Option<Resource<HostIncomingRequest>>,
        outgoing: Outgoing,
    ) -> wasmtime::Result<Result<Received, ErrorCode>> {
        let request = match self.request(request, outgoing) {
            Ok(request) => request,
            Err(Refused::Error(code)) => return Ok(Err(code)),
            Err(Refused::Trap(error)) => return Err(error),
        };
        let path = request.uri().path_and_query().map_or(0, |path| path.as_str().len());
        self.0.make_room(request_bytes(request.headers(), path))?;
        let call = Arc::clone(&self.0.call);
        let sent = exchange(&call, request, RequestOptions::default(), BodyOf::Host).await;
        match sent {
            Ok(response) => Ok(Ok(self.received(response)?)),
            Err(error) => Ok(Err(self.error_code(error)?)),
        }
    }

    fn reply(
        &mut self,
        response: Option<Resource<HostIncomingResponse>>,
        status: u16,
        changes: Vec<Change>,
        body: forwarding::Body,
        out: Resource<HostResponseOutparam>,
    ) -> wasmtime::Result<()> {
        self.0.table.delete(out)?;
        let status = StatusCode::from_u16(status)?;
        let (fields, rep) = match &response {
            Some(response) => {
                let received = self.0.table.get_mut(response)?;
                (std::mem::take(&mut received.headers), Some(response.rep()))
            }
            None => (FieldMap::default(), None),
        };
        let mut headers = self.changed(fields, changes)?;
        let has_body = self.0.request.method != Method::HEAD
            && !matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        let (body, is_passed_on) = match body {
            forwarding::Body::Unchanged => {
                let body = rep.and_then(|rep| self.response_body(rep));
                let body = body.ok_or_else(|| no_body("response"))?;
                let (passed_on, body) = PassedOn::new(body);
                self.0.passed.response = Some(passed_on);
                (body, true)
            }
            forwarding::Body::Bytes(bytes) if has_body => {
                headers.insert(CONTENT_LENGTH, bytes.len().into());
                (self.bytes(bytes)?, false)
            }
            forwarding::Body::Empty if has_body => {
                headers.insert(CONTENT_LENGTH, 0.into());
                (wasi_body::empty(), false)
            }
            forwarding::Body::Bytes(_) | forwarding::Body::Empty => (wasi_body::empty(), false),
        };
        let mut response = Response::new(body);
        (*response.status_mut(), *response.headers_mut()) = (status, headers);
        self.0.responder.respond(GuestResponse { result: Ok(response), is_passed_on });
        Ok(())
    }
}

/// Why a message cannot be made.
enum Refused {
    /// The guest gets an error.
    Error(ErrorCode),
    /// The guest is ended.
    Trap(wasmtime::Error),
}

impl Refused {
    fn internal(why: String) -> Self {
        Self::Error(ErrorCode::InternalError(Some(why)))
    }
}

/// For a function that has no errors: the guest is ended.
impl From<Refused> for wasmtime::Error {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Error(ErrorCode::InternalError(Some(why))) => Self::msg(why),
            Refused::Error(code) => Self::msg(code.to_string()),
            Refused::Trap(error) => error,
        }
    }
}

impl From<wasmtime::Error> for Refused {
    fn from(error: wasmtime::Error) -> Self {
        Self::Trap(error)
    }
}

impl From<wasmtime::component::ResourceTableError> for Refused {
    fn from(error: wasmtime::component::ResourceTableError) -> Self {
        Self::Trap(error.into())
    }
}

impl From<Limit> for Refused {
    fn from(limit: Limit) -> Self {
        Self::Trap(limit.into())
    }
}

impl View<'_> {
    /// Makes the request that a guest wants to send.
    fn request(
        &mut self,
        of: Option<Resource<HostIncomingRequest>>,
        outgoing: Outgoing,
    ) -> Result<Request<WasiBody>, Refused> {
        let Outgoing { method, authority, path_with_query, changes, body } = outgoing;
        let method: Result<Method, _> = method.try_into();
        let method = method.map_err(|_| Refused::Error(ErrorCode::HttpRequestMethodInvalid))?;
        let uri =
            Uri::builder().scheme("https").authority(authority).path_and_query(path_with_query);
        let uri = uri.build().map_err(|_| Refused::Error(ErrorCode::HttpRequestUriInvalid))?;
        let fields = match &of {
            Some(request) => self.caller_fields(request)?,
            None => FieldMap::default(),
        };
        let mut headers = self.changed(fields, changes)?;
        let body = match body {
            forwarding::Body::Empty => {
                headers.insert(CONTENT_LENGTH, 0.into());
                wasi_body::empty()
            }
            forwarding::Body::Bytes(bytes) => {
                headers.insert(CONTENT_LENGTH, bytes.len().into());
                self.bytes(bytes)?
            }
            forwarding::Body::Unchanged => {
                let body = of.as_ref().and_then(|request| self.caller_body(request));
                let body = body.ok_or_else(|| no_body("request"))?;
                let (passed_on, body) = PassedOn::new(body);
                self.0.passed.uploads.push(passed_on);
                body
            }
        };
        let mut request = Request::new(body);
        (*request.method_mut(), *request.uri_mut(), *request.headers_mut()) =
            (method, uri, headers);
        Ok(request)
    }

    /// The header fields of the caller's request.
    fn caller_fields(
        &mut self,
        request: &Resource<HostIncomingRequest>,
    ) -> wasmtime::Result<FieldMap> {
        let borrowed = Resource::new_borrow(request.rep());
        let fields = self.0.http().headers(borrowed)?;
        Ok(self.0.table.delete(fields)?)
    }

    /// The body of the caller's request, if it is still there.
    fn caller_body(&mut self, request: &Resource<HostIncomingRequest>) -> Option<WasiBody> {
        // Dropping the handle drops what is behind it.
        let _handle = self.0.table.get_mut(request).ok()?.body.take()?;
        if self.0.request.has_body { self.0.request.body.take() } else { Some(wasi_body::empty()) }
    }

    /// The body of a response, if it is still there.
    fn response_body(&mut self, rep: u32) -> Option<WasiBody> {
        let response = Resource::<HostIncomingResponse>::new_borrow(rep);
        let mut handle = self.0.table.get_mut(&response).ok()?.body.take()?;
        match self.0.responses.iter().find(|(of, _)| *of == rep) {
            Some((_, slot)) => slot.take(),
            // It was received by `outgoing-handler`.
            None => handle.take_stream().map(StreamedBody::boxed),
        }
    }

    /// Header fields with changes.
    fn changed(
        &mut self,
        mut fields: FieldMap,
        changes: Vec<Change>,
    ) -> Result<HeaderMap, Refused> {
        let limit = self.0.call.mount().limits.header_bytes;
        fields.set_mutable(usize::try_from(limit).unwrap_or(usize::MAX));
        let hooks = self.0.hooks();
        for change in changes {
            let (Change::Set((name, _)) | Change::Append((name, _)) | Change::Remove(name)) =
                &change;
            if name.eq_ignore_ascii_case(CONTENT_LENGTH.as_str()) {
                return Err(invalid(name, "it follows from the body"));
            }
            let name = name.clone();
            let changed = match change {
                Change::Set((name, value)) => fields.set(hooks, name, vec![value]),
                Change::Append((name, value)) => fields.append(hooks, name, value).map(drop),
                Change::Remove(name) => fields.remove_all(hooks, name).map(drop),
            };
            match changed {
                Ok(()) => {}
                Err(error @ (FieldMapError::TotalSizeTooBig | FieldMapError::TooManyFields)) => {
                    return Err(Refused::Trap(error.into()));
                }
                Err(error) => return Err(invalid(&name, &error.to_string())),
            }
        }
        Ok(fields.into())
    }

    /// The error that the guest gets, as `wasi:http` has it.
    fn error_code(&mut self, error: Error) -> wasmtime::Result<ErrorCode> {
        // Only a function of the interface converts it.
        let future = self.0.table.push(HostFutureIncomingResponse::Ready(Err(error)))?;
        let borrowed = Resource::new_borrow(future.rep());
        let converted = types::HostFutureIncomingResponse::get(&mut self.0.http(), borrowed)?;
        self.0.table.delete(future)?;
        Ok(match converted {
            Some(Ok(Err(code))) => code,
            Some(Ok(Ok(_)) | Err(())) | None => ErrorCode::InternalError(None),
        })
    }

    /// A body of bytes, which count until it is dropped.
    fn bytes(&mut self, bytes: Vec<u8>) -> Result<WasiBody, Limit> {
        let length = bytes.len() as u64;
        self.0.take(length)?;
        let held = HeldMemory::of_taken(Arc::clone(self.0.call.memory()), length);
        Ok(HoldingBody::boxed(wasi_body::whole(bytes.into()), held))
    }

    /// The guest's handle to a response.
    fn received(&mut self, response: Response<WasiBody>) -> wasmtime::Result<Received> {
        let (parts, body) = response.into_parts();
        self.0.hold(header_bytes(&parts.headers))?;
        let slot = BodySlot::new(body);
        let status = parts.status.as_u16();
        let response = HostIncomingResponse {
            status,
            headers: FieldMap::new_immutable(self.0.hooks(), parts.headers),
            body: Some(HostIncomingBody::new(slot.reader())),
        };
        let response = self.0.table.push(response)?;
        // A number is used again when its handle is dropped.
        self.0.responses.retain(|(rep, _)| *rep != response.rep());
        self.0.responses.push((response.rep(), slot.downgrade()));
        Ok(Received { status, response })
    }
}

fn invalid(name: &str, why: &str) -> Refused {
    let name: String = name.chars().take(100).collect();
    Refused::internal(format!("the header field {name:?} cannot be changed: {why}"))
}

fn no_body(of: &str) -> Refused {
    Refused::internal(format!("the body of the {of} was read or sent before"))
}
