//! The way of a request out of the sandbox, stage by stage: [`admit`](super::admit), attach the
//! credential, transmit, filter the response.

use std::sync::Arc;

use http::header::CONTENT_LENGTH;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body::Body;
use http_body_util::BodyExt;
use keyward_policy::authorize::minting;
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody};

use super::attach_credential::{Attached, attach};
use super::filter_response::filter;
use super::request_body::RequestBody;
use super::transmit::transmit;
use super::{Authorized, rejected, sealed, signature_request};
use crate::audit::Upstream;
use crate::call::{Call, HeldMemory, HoldingBody, UpstreamNote};
use crate::sealed_value::Spend;
use crate::wasi_body;

/// Fields by which the host describes the mount to the plugin. They are not for services.
const FORWARDED: [&str; 4] =
    ["forwarded", "x-forwarded-host", "x-forwarded-prefix", "x-forwarded-proto"];

/// Sends an authorized request, and waits for the head of its response. `memory` is what the call
/// holds for it.
pub(super) async fn send(
    call: &Arc<Call>,
    request: Request<WasiBody>,
    authorized: Authorized,
    options: RequestOptions,
    memory: HeldMemory,
) -> Result<Response<WasiBody>, Error> {
    let note =
        call.note_upstream(&authorized.grant, request.method(), &authorized.uri, &authorized.spend);
    let mints = authorized.minted.map(|minted| minted.operation);
    note.update(|upstream: &mut Upstream| upstream.mints = mints);
    let sent = send_noted(call, request, authorized, options, &note, memory).await;
    if let Err(error) = &sent {
        note.update(|upstream: &mut Upstream| upstream.error = Some(error.to_string()));
    }
    sent
}

async fn send_noted(
    call: &Arc<Call>,
    request: Request<WasiBody>,
    authorized: Authorized,
    options: RequestOptions,
    note: &UpstreamNote,
    mut memory: HeldMemory,
) -> Result<Response<WasiBody>, Error> {
    let minted = authorized.minted;
    let seals = minting::seals(call.grants(), &authorized.grant, minted.as_ref());
    let plain = minted.filter(|minted| minted.is_plain(&seals));
    if minted.is_some_and(|minted| minted.signs.is_some()) {
        memory.grow(call, sealed::LONGEST as u64).map_err(|_| Error::HttpRequestDenied)?;
    }
    let request =
        signature_request::check(call, request, &authorized, plain.is_some(), note).await?;
    let response = if seals.is_empty() {
        exchange(call, request, authorized, options, note, memory).await?
    } else {
        // The request and the response are read whole.
        memory.grow(call, 2 * sealed::LONGEST as u64).map_err(|_| Error::HttpRequestDenied)?;
        let response = sealed::exchange(call, request, authorized, seals, options, note).await?;
        response.map(|body| HoldingBody::boxed(body, memory))
    };
    if let Some(minted) = plain.filter(|_| response.status().is_success()) {
        call.record_export(response.status(), minted.operation);
    }
    Ok(response)
}

async fn exchange(
    call: &Arc<Call>,
    request: Request<WasiBody>,
    authorized: Authorized,
    options: RequestOptions,
    note: &UpstreamNote,
    memory: HeldMemory,
) -> Result<Response<WasiBody>, Error> {
    let (mut parts, body) = request.into_parts();
    parts.uri = authorized.uri.clone();
    strip(&mut parts.headers, &parts.method);
    let Attached { token, mut scanner } = attach(call.mount(), &authorized, &mut parts).await?;

    let body = RequestBody::new(body, call, &authorized, &parts.method);
    let again = token.as_ref().and_then(|_| rejected::repeatable(&parts, !body.is_end_stream()));
    let body = if body.must_be_empty() { body.watched() } else { body.boxed_unsync() };
    let request = Request::from_parts(parts, body);
    let mut response = transmit(call, request, &options).await?;
    let is_rejected =
        |response: &Response<_>| rejected::is_rejection(response.status(), response.headers());
    if let Some(token) = token.filter(|_| is_rejected(&response)) {
        note.update(|upstream: &mut Upstream| upstream.token_rejected = true);
        if let Some((again, fresh)) = rejected::replace(&authorized.grant, &token, again).await {
            call.mount().known_tokens.add(&authorized.grant.name, &fresh);
            scanner = call.mount().scanner(None);
            response = transmit(call, again.map(|()| wasi_body::empty()), &options).await?;
        }
    }

    let status = response.status();
    note.update(|upstream: &mut Upstream| upstream.status = Some(status.as_u16()));
    if let Spend::Query(value) = &authorized.spend
        && matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN)
    {
        call.mount().sealed_responses.forget(value);
    }
    filter(call, &authorized, response, scanner, note, memory)
}

/// Removes header fields that are not for the service.
fn strip(headers: &mut HeaderMap, method: &Method) {
    for name in FORWARDED {
        headers.remove(name);
    }
    let bodiless = matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS | Method::DELETE);
    if bodiless && headers.get(CONTENT_LENGTH).is_some_and(|length| length == "0") {
        headers.remove(CONTENT_LENGTH);
    }
}
