//! Requests whose answers have a credential in them: see [`seal`](crate::seal).
//!
//! Nothing streams here. The request is made again of what identifies it, so that a plugin can ask
//! for no range, no encoding and no field that a service repeats; the response is read whole, taken
//! apart, and put together for this call.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::{BodyExt, Limited};
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody};

use super::Authorized;
use super::attach_credential::fetch_and_put_token;
use super::rejected;
use super::request_body::RequestBody;
use super::transmit::transmit;
use crate::audit::Upstream;
use crate::call::{Call, UpstreamNote};
use crate::error::CallError;
use crate::redact::{coding_of, decode_whole};
use crate::seal::{Key, SealedResponse};
use crate::sealed_value::Spend;
use crate::upstream::innermost;
use crate::wasi_body;
use keyward_policy::grant::Seal;

/// The longest request and the longest response, in bytes. Those that were seen are of one
/// kilobyte.
pub(super) const LONGEST: usize = 256 << 10;

pub(super) async fn exchange(
    call: &Arc<Call>,
    request: Request<WasiBody>,
    authorized: Authorized,
    seals: Vec<Seal>,
    options: RequestOptions,
    note: &UpstreamNote,
) -> Result<Response<WasiBody>, Error> {
    let (parts, body) = request.into_parts();
    let body = RequestBody::new(body, call, &authorized, &parts.method);
    let body = Limited::new(body, LONGEST).collect().await;
    let body = body.map_err(|error| Error::InternalError(Some(error.to_string())))?.to_bytes();
    let mut headers = HeaderMap::new();
    for name in [CONTENT_TYPE, ACCEPT] {
        if let Some(value) = parts.headers.get(&name) {
            headers.insert(name, value.clone());
        }
    }
    let audience = authorized.grant.name.as_bytes();
    let with = [u8::from(matches!(authorized.spend, Spend::Token))];
    let field = |name| headers.get(name).map_or(&[][..], HeaderValue::as_bytes);
    let uri = authorized.uri.to_string();
    let key = Key::of([
        audience,
        &with,
        parts.method.as_str().as_bytes(),
        uri.as_bytes(),
        field(CONTENT_TYPE),
        field(ACCEPT),
        &body,
    ]);

    let mut request = Request::new(body);
    (*request.method_mut(), *request.uri_mut(), *request.headers_mut()) =
        (parts.method, authorized.uri.clone(), headers);
    let ask = async { ask(call, request, &authorized, &seals, &options, note).await.map(Arc::new) };
    let (answer, kept) = call.mount().sealed_responses.get(key, ask).await?;
    call.progress();
    note.update(|upstream: &mut Upstream| {
        upstream.cached = kept;
        upstream.status = Some(answer.status.as_u16());
    });
    if answer.redacted && !kept {
        call.note_redacted();
    }
    if let Some(minted) = authorized.minted.filter(|minted| minted.handed_out) {
        call.allow_export(minted.operation, answer.values());
    }
    let mut response = Response::new(wasi_body::whole(answer.for_call(call.surrogates())));
    *response.status_mut() = answer.status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(seconds) = answer.retry_after {
        response.headers_mut().insert(RETRY_AFTER, seconds.into());
    }
    Ok(response)
}

/// Asks the service, and takes its response apart.
async fn ask(
    call: &Arc<Call>,
    request: Request<Bytes>,
    authorized: &Authorized,
    seals: &[Seal],
    options: &RequestOptions,
    note: &UpstreamNote,
) -> Result<SealedResponse, Error> {
    let (mut parts, body) = request.into_parts();
    let spent = match &authorized.spend {
        Spend::Token => Some(fetch_and_put_token(&authorized.grant, &mut parts.headers).await?),
        Spend::Nothing => None,
        Spend::Query(_) => return Err(Error::HttpRequestDenied),
    };
    if let Some(spent) = &spent {
        call.mount().known_tokens.add(&authorized.grant.name, spent);
    }
    let token = call.mount().scanner(None);
    let request = Request::from_parts(parts, wasi_body::whole(body));
    let response = transmit(call, request, options).await?;
    if let Some(spent) =
        spent.filter(|_| rejected::is_rejection(response.status(), response.headers()))
    {
        note.update(|upstream: &mut Upstream| upstream.token_rejected = true);
        rejected::replace(&authorized.grant, &spent, None).await;
    }

    let unsealable = |why: String| {
        let grant = &authorized.grant;
        let why = match grant.seals.iter().any(|seal| seal.imposed) {
            true => format!(
                "{why}. Secrets of a further Key Vault are sealed; `unseal = true` in \
                 [mount.{}.audience.{}] shows them to \
                 the plugin",
                call.mount().name,
                grant.name
            ),
            false => why,
        };
        call.fail(CallError::Unsealable { mount: call.mount().name.clone(), why });
        Error::HttpRequestDenied
    };
    let (parts, body) = response.into_parts();
    let body = Limited::new(body, LONGEST).collect().await.map_err(|error| {
        match error.downcast_ref::<hyper::Error>() {
            Some(error) if error.is_incomplete_message() => Error::HttpResponseIncomplete,
            Some(error) => Error::InternalError(Some(innermost(error).to_string())),
            None => unsealable(format!("it is longer than {LONGEST} bytes")),
        }
    });
    let mut body = body?.to_bytes();
    note.update(|upstream: &mut Upstream| upstream.bytes = body.len() as u64);
    if !body.is_empty() {
        let decoded = coding_of(&parts, false).and_then(|coding| match coding {
            Some(coding) => decode_whole(coding, &body, LONGEST),
            None => Ok(body),
        });
        body = decoded.map_err(|why| unsealable(why.to_string()))?;
    }
    let mut answer = SealedResponse::take_apart(parts.status, &body, seals, &token)
        .map_err(|why| unsealable(why.to_string()))?;
    answer.retry_after =
        parts.headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    Ok(answer)
}
