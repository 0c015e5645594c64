//! Requests for a shared access signature: the host reads their body, and sends what it has read.

use std::sync::Arc;

use bytes::Bytes;
use http::HeaderValue;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http_body_util::{BodyExt, Limited};
use keyward_policy::authorize::{Denied, DeniedRequest, MintingRule, Violation, signature};
use keyward_policy::request_head::RequestHead;
use wasmtime_wasi_http::{Error, WasiBody};

use super::request_body::RequestBody;
use super::{Authorized, sealed};
use crate::audit::Upstream;
use crate::call::{Call, UpstreamNote};
use crate::wasi_body;

/// Checks the body of a request for a signature, and returns the request as it is to be sent.
/// `exported` is whether the response goes to the plugin unsealed. The same checks apply where a
/// caller has asked to be handed the signature.
pub(super) async fn check(
    call: &Arc<Call>,
    request: http::Request<WasiBody>,
    authorized: &Authorized,
    exported: bool,
    note: &UpstreamNote,
) -> Result<http::Request<WasiBody>, Error> {
    let Some((minted, signs)) = authorized.minted.and_then(|minted| Some((minted, minted.signs?)))
    else {
        return Ok(request);
    };
    let (mut parts, body) = request.into_parts();
    let body = RequestBody::new(body, call, authorized, &parts.method);
    let body = Limited::new(body, sealed::LONGEST).collect().await;
    let body = body.map_err(|error| Error::InternalError(Some(error.to_string())))?.to_bytes();
    let leaves = exported || (minted.handed_out && call.is_exporting());
    let looked = if leaves {
        let path = authorized.uri.path();
        signature::check_exported(signs, path, &body, call.grants(), &authorized.grant)
            .map(Bytes::from)
    } else {
        signature::check_sealed(&body).map(|()| body)
    };
    let body = looked.map_err(|rule| {
        let denied = match authorized.grant.read(authorized.uri.path()) {
            Ok(Some(path)) => {
                let (grant, head) = (&authorized.grant, RequestHead::of_method(&parts.method));
                let reason = MintingRule::Signature(rule);
                let mut denied = DeniedRequest::new(grant, &head, &path, reason);
                // It was compared with the grant that the caller's `allow` narrows.
                let narrowed = call.grants().iter().find_map(|grant| grant.for_caller.as_ref());
                denied.narrowed_for = narrowed.map(|narrowed| Arc::clone(&narrowed.caller));
                Denied::Minting(denied)
            }
            Ok(None) => Violation::OutsidePrefix.into(),
            Err(error) => Violation::Path(error).into(),
        };
        let error = call.denied(denied);
        note.update(|upstream: &mut Upstream| upstream.denied = Some(error.rule()));
        call.fail(error);
        Error::HttpRequestDenied
    })?;
    // In the one encoding that was looked at.
    parts.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    parts.headers.insert(CONTENT_LENGTH, body.len().into());
    Ok(http::Request::from_parts(parts, wasi_body::whole(body)))
}
