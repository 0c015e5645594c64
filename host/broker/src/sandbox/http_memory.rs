//! The functions of `wasi:http` by which a guest makes the host hold memory, counted.
//!
//! Each calls the function of `wasmtime_wasi_http` that it replaces. Bytes are counted before they
//! are held: by these functions, since nothing else tells that a handle grows.

use std::sync::Arc;

use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, Resource};
use wasmtime_wasi_http::p2::bindings::http::outgoing_handler::Host as _;
use wasmtime_wasi_http::p2::bindings::http::types::{
    self, ErrorCode, HeaderError, Host as _, HostFields as _, HostOutgoingRequest as _, Method,
    Scheme,
};
use wasmtime_wasi_http::p2::body::HostOutgoingBody;
use wasmtime_wasi_http::p2::types::{
    HostFutureIncomingResponse, HostOutgoingRequest, HostOutgoingResponse,
};
use wasmtime_wasi_http::p2::{HeaderResult, HttpResult};
use wasmtime_wasi_http::{FieldMap, RequestOptions, WasiHttpView};

use super::state::State;
use crate::call::{HeldMemory, HoldingBody, field_bytes, header_bytes};
use crate::egress::{queued_bytes, request_bytes};
use crate::error::Limit;

/// The interfaces, in the version of `wasi:http` that `wasmtime_wasi_http` and `wit/deps` have.
const TYPES: &str = "wasi:http/types@0.2.12";
const OUTGOING_HANDLER: &str = "wasi:http/outgoing-handler@0.2.12";

/// The store of the guest that calls.
type Store<'s> = StoreContextMut<'s, State>;

/// A result of a function without a reason for its errors.
type Done = wasmtime::Result<(Result<(), ()>,)>;

/// Replaces functions of `wasi:http`, which are there already.
pub(super) fn add_to_linker(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    fields(linker)?;
    messages(linker)?;
    linker.instance(OUTGOING_HANDLER)?.func_wrap("handle", handle)?;
    linker.allow_shadowing(false);
    Ok(())
}

fn fields(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    let mut types = linker.instance(TYPES)?;
    types.func_wrap(
        "[static]fields.from-list",
        |mut store: Store<'_>, (entries,): (Vec<(String, Vec<u8>)>,)| {
            let bytes = entries.iter().map(|(name, value)| field_bytes(name.len(), value.len()));
            store.data_mut().hold(bytes.sum())?;
            let fields = store.data_mut().http().from_list(entries);
            header_result(&mut store, fields)
        },
    )?;
    types.func_wrap(
        "[method]fields.set",
        |mut store: Store<'_>,
         (fields, name, values): (Resource<FieldMap>, String, Vec<Vec<u8>>)| {
            let bytes = values.iter().map(|value| field_bytes(name.len(), value.len()));
            store.data_mut().hold(bytes.sum())?;
            let set = store.data_mut().http().set(fields, name, values);
            header_result(&mut store, set)
        },
    )?;
    types.func_wrap(
        "[method]fields.append",
        |mut store: Store<'_>, (fields, name, value): (Resource<FieldMap>, String, Vec<u8>)| {
            store.data_mut().hold(field_bytes(name.len(), value.len()))?;
            let appended = store.data_mut().http().append(fields, name, value);
            header_result(&mut store, appended)
        },
    )?;
    types.func_wrap(
        "[method]fields.clone",
        |mut store: Store<'_>, (fields,): (Resource<FieldMap>,)| {
            let bytes = header_bytes(store.data_mut().table.get(&fields)?);
            store.data_mut().hold(bytes)?;
            Ok((store.data_mut().http().clone(fields)?,))
        },
    )
}

/// Requests and responses, and their bodies.
fn messages(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    type Request = Resource<HostOutgoingRequest>;
    type Body = wasmtime::Result<(Result<Resource<HostOutgoingBody>, ()>,)>;

    let mut types = linker.instance(TYPES)?;
    types.func_wrap(
        "[method]outgoing-request.set-method",
        |mut store: Store<'_>, (request, method): (Request, Method)| -> Done {
            if let Method::Other(name) = &method {
                store.data_mut().hold(name.len() as u64)?;
            }
            Ok((store.data_mut().http().set_method(request, method)?,))
        },
    )?;
    types.func_wrap(
        "[method]outgoing-request.set-scheme",
        |mut store: Store<'_>, (request, scheme): (Request, Option<Scheme>)| -> Done {
            if let Some(Scheme::Other(name)) = &scheme {
                store.data_mut().hold(name.len() as u64)?;
            }
            Ok((store.data_mut().http().set_scheme(request, scheme)?,))
        },
    )?;
    types.func_wrap(
        "[method]outgoing-request.set-authority",
        |mut store: Store<'_>, (request, authority): (Request, Option<String>)| -> Done {
            store.data_mut().hold(authority.as_deref().map_or(0, str::len) as u64)?;
            Ok((store.data_mut().http().set_authority(request, authority)?,))
        },
    )?;
    types.func_wrap(
        "[method]outgoing-request.set-path-with-query",
        |mut store: Store<'_>, (request, path): (Request, Option<String>)| -> Done {
            store.data_mut().hold(path.as_deref().map_or(0, str::len) as u64)?;
            Ok((store.data_mut().http().set_path_with_query(request, path)?,))
        },
    )?;
    types.func_wrap(
        "[method]outgoing-request.body",
        |mut store: Store<'_>, (request,): (Request,)| -> Body {
            let memory = hold_queue(store.data_mut())?;
            let id = Resource::new_borrow(request.rep());
            let begun = types::HostOutgoingRequest::body(&mut store.data_mut().http(), request)?;
            if begun.is_ok() {
                let request: &mut HostOutgoingRequest = store.data_mut().table.get_mut(&id)?;
                request.body = request.body.take().map(|body| HoldingBody::boxed(body, memory));
            }
            Ok((begun,))
        },
    )?;
    types.func_wrap(
        "[method]outgoing-response.body",
        |mut store: Store<'_>, (response,): (Resource<HostOutgoingResponse>,)| -> Body {
            let memory = hold_queue(store.data_mut())?;
            let id = Resource::new_borrow(response.rep());
            let begun = types::HostOutgoingResponse::body(&mut store.data_mut().http(), response)?;
            if begun.is_ok() {
                let response: &mut HostOutgoingResponse = store.data_mut().table.get_mut(&id)?;
                response.body = response.body.take().map(|body| HoldingBody::boxed(body, memory));
            }
            Ok((begun,))
        },
    )?;
    types.func_wrap("[static]outgoing-body.finish", finish)
}

/// Counts what waits of a body until the body is dropped: a guest may hold one that it has ended.
fn hold_queue(state: &mut State) -> Result<HeldMemory, Limit> {
    let memory = Arc::clone(state.call.memory());
    let bytes = queued_bytes(&memory);
    state.take(bytes)?;
    Ok(HeldMemory::of_taken(memory, bytes))
}

/// Ends a body. Its trailers count until the call ends.
fn finish(
    mut store: Store<'_>,
    (body, trailers): (Resource<HostOutgoingBody>, Option<Resource<FieldMap>>),
) -> wasmtime::Result<(Result<(), ErrorCode>,)> {
    if let Some(trailers) = &trailers {
        let bytes = header_bytes(store.data_mut().table.get(trailers)?);
        store.data_mut().take(bytes)?;
    }
    let finished = types::HostOutgoingBody::finish(&mut store.data_mut().http(), body, trailers);
    error_code(&mut store, finished)
}

type Sent = Resource<HostFutureIncomingResponse>;

/// Sends a request, for which there must be room.
fn handle(
    mut store: Store<'_>,
    (request, options): (Resource<HostOutgoingRequest>, Option<Resource<RequestOptions>>),
) -> wasmtime::Result<(Result<Sent, ErrorCode>,)> {
    let state = store.data_mut();
    let HostOutgoingRequest { headers, path_with_query, .. } = state.table.get(&request)?;
    let bytes = request_bytes(headers, path_with_query.as_deref().map_or(0, str::len));
    state.make_room(bytes)?;
    let sent = state.http().handle(request, options);
    error_code(&mut store, sent)
}

fn error_code<T>(
    store: &mut Store<'_>,
    result: HttpResult<T>,
) -> wasmtime::Result<(Result<T, ErrorCode>,)> {
    match result {
        Ok(value) => Ok((Ok(value),)),
        Err(error) => Ok((Err(store.data_mut().http().convert_error_code(error)?),)),
    }
}

fn header_result<T>(
    store: &mut Store<'_>,
    result: HeaderResult<T>,
) -> wasmtime::Result<(Result<T, HeaderError>,)> {
    match result {
        Ok(value) => Ok((Ok(value),)),
        Err(error) => Ok((Err(store.data_mut().http().convert_header_error(error)?),)),
    }
}
