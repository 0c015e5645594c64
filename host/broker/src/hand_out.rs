//! Handing a sealed value out, to callers that may have it.
//!
//! That is another thing than sealing, wanted at times: a browser that is to upload by itself, say.
//! It takes a route of the plugin's, named in its manifest, and the operation that mints the value
//! in `hand_out` of the mount; and it leaves an audit record of its own.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_LENGTH};
use http::{HeaderValue, Request, Response};
use http_body_util::{BodyExt, Limited};
use zeroize::Zeroizing;

use crate::body::Body;
use crate::call::Call;
use crate::error::CallError;
use keyward_policy::cloud::Operations;
use keyward_policy::manifest::{DeclaredAudience, DeclaredSeal, DeclaredService};
use keyward_policy::path::{PathReading, Purpose};
use keyward_policy::pattern::Pattern;

/// The longest response that hands out a value, in bytes.
const LONGEST: usize = 64 << 10;

/// Whether a request's answer may hold a sealed value itself.
///
/// # Errors
///
/// It asks for one, and the configuration does not say that callers may have it.
pub(crate) fn is_requested<B>(call: &Call, request: &Request<B>) -> Result<bool, CallError> {
    let mount = call.mount();
    if !mount
        .manifest
        .audiences
        .iter()
        .flat_map(|declared| &declared.seal)
        .any(|seal| seal.export.is_some())
    {
        return Ok(false);
    }
    // The route is the plugin's, and behind it is a name: what a pattern of a route cannot take
    // apart is in there.
    let route = PathReading::Names { after: 1 };
    let Ok(Some(path)) = route.read(request.uri().path(), "", Purpose::Compare) else {
        return Ok(false);
    };
    let mut denied = None;
    let matches = |export: &Option<Pattern>| {
        export
            .as_ref()
            .is_some_and(|pattern| pattern.matches_reading(request.method(), path.as_str(), false))
    };
    for grant in call.grants() {
        for seal in grant.seals.iter().filter(|seal| matches(&seal.export)) {
            let operation = grant.minting.operation_with_secret(&seal.field);
            if operation.is_some_and(|operation| grant.minting.hands_out(&operation.name)) {
                return Ok(true);
            }
            let operation = operation.map(|operation| operation.name.clone());
            let mount = mount.name.clone();
            denied.get_or_insert(CallError::ExportOff { mount, operation, audience: None });
        }
    }
    for declared in
        mount.manifest.audiences.iter().filter(|declared| mount.grant(&declared.name).is_none())
    {
        for seal in declared.seal.iter().filter(|seal| matches(&seal.export)) {
            let (mount, operation) = (mount.name.clone(), operation_of(declared, seal));
            let audience = Some(declared.name.clone());
            denied.get_or_insert(CallError::ExportOff { mount, operation, audience });
        }
    }
    denied.map_or(Ok(false), Err)
}

/// The operation that mints what would be sealed, if its audience were granted.
fn operation_of(declared: &DeclaredAudience, seal: &DeclaredSeal) -> Option<String> {
    let services = match &declared.service {
        DeclaredService::Cloud(services) => services.as_slice(),
        DeclaredService::Own { .. } => &[],
    };
    let mut operations = services
        .iter()
        .filter_map(|service| Operations::of(service))
        .flat_map(Operations::sealable);
    let minting =
        operations.find(|operation| operation.secret.as_deref() == Some(seal.field.as_str()));
    minting.map(|operation| operation.name.clone())
}

/// Puts the values into the places of their surrogates, in the response to a caller who may have
/// them.
///
/// # Errors
///
/// The response is truncated or too long.
pub(crate) async fn unseal(
    call: &Arc<Call>,
    response: Response<Body>,
) -> Result<Response<Body>, CallError> {
    if !response.status().is_success() {
        return Ok(response);
    }
    let (mut parts, body) = response.into_parts();
    let collected = Limited::new(body, LONGEST).collect().await;
    if let Some(verdict) = call.verdict() {
        return Err(verdict.clone());
    }
    let broken = |why: String| CallError::Truncated { mount: call.mount().name.clone(), why };
    let body = collected.map_err(|error| broken(error.to_string()))?.to_bytes();
    let mut text = Zeroizing::new(body.to_vec());
    let mut handed_out = None;
    // Only what was minted by an operation that is handed out; whatever else the plugin has got
    // stays sealed.
    let exportable = call.exportable();
    for (surrogate, value) in call.surrogates().sealed() {
        let operation = exportable
            .iter()
            .find(|(_, own)| Arc::ptr_eq(own, &value))
            .map(|(operation, _)| *operation);
        let Some(operation) = operation else { continue };
        let whole = memchr::memmem::find(&text, surrogate.as_str().as_bytes());
        if let Some(start) = whole {
            let end = start + surrogate.as_str().len();
            text = Zeroizing::new(
                [text.get(..start), Some(value.expose_secret()), text.get(end..)]
                    .into_iter()
                    .flatten()
                    .collect::<Vec<_>>()
                    .concat(),
            );
            handed_out = Some(operation);
        }
    }
    if let Some(operation) = handed_out {
        call.record_export(parts.status, operation);
        parts.headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    parts.headers.insert(CONTENT_LENGTH, text.len().into());
    call.set_delivered();
    Ok(Response::from_parts(parts, Body::whole(Bytes::from_owner(text))))
}
