//! Handing a sealed value out, to callers that may have it.
//!
//! That is another thing than sealing, wanted at times: a browser that is to upload by itself, say. It takes a route of the
//! plugin's, named in its manifest, and `sas_export = true` in the configuration; and it leaves an audit record of its own.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_LENGTH};
use http::{HeaderValue, Request, Response};
use http_body_util::{BodyExt, Limited};
use zeroize::Zeroizing;

use crate::body::Body;
use crate::call::Call;
use crate::error::CallError;
use crate::grant::NormalPath;
use crate::mount::Mount;

/// The longest answer that hands out a value, in bytes.
const LONGEST: usize = 64 << 10;

/// Whether a request's answer may hold a sealed value itself.
///
/// # Errors
///
/// It asks for one, and the configuration does not say that callers may have it.
pub(crate) fn is_asked<B>(mount: &Mount, request: &Request<B>) -> Result<bool, CallError> {
    let mut exports =
        mount.grants.iter().flat_map(|grant| &grant.seals).filter_map(|seal| seal.export.as_ref()).peekable();
    if exports.peek().is_none() {
        return Ok(false);
    }
    let Ok(path) = NormalPath::parse(request.uri().path()) else { return Ok(false) };
    if !exports.any(|pattern| pattern.matches(request.method(), &path, false)) {
        return Ok(false);
    }
    if mount.sas_export { Ok(true) } else { Err(CallError::ExportOff { mount: mount.name.clone() }) }
}

/// Puts the values into the places of their surrogates, in the answer to a caller who may have them.
///
/// # Errors
///
/// The answer broke off, or is too long.
pub(crate) async fn unseal(call: &Arc<Call>, response: Response<Body>) -> Result<Response<Body>, CallError> {
    if !response.status().is_success() {
        return Ok(response);
    }
    let (mut parts, body) = response.into_parts();
    let collected = Limited::new(body, LONGEST).collect().await;
    if let Some(verdict) = call.verdict() {
        return Err(verdict.clone());
    }
    let broken = |why: String| CallError::BrokenOff { mount: call.mount().name.clone(), why };
    let body = collected.map_err(|error| broken(error.to_string()))?.to_bytes();
    let mut text = Zeroizing::new(body.to_vec());
    let mut handed_out = false;
    for (surrogate, value) in call.surrogates().sealed() {
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
            handed_out = true;
        }
    }
    if handed_out {
        call.record_export(parts.status);
        parts.headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    parts.headers.insert(CONTENT_LENGTH, text.len().into());
    call.set_delivered();
    Ok(Response::from_parts(parts, Body::whole(Bytes::from_owner(text))))
}
