//! Sends a request that the rules have passed: the token takes the surrogate's place, and the answer is watched.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, AUTHORIZATION, CONTENT_LENGTH, COOKIE};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri};
use http_body::Body;
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper_util::client::legacy;
use keyward_identity::AccessToken;
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody};
use zeroize::Zeroizing;

use super::body::{FromService, Search, ToService};
use super::coding::{self, CodedScanner, CodingError};
use super::error::{ConnectError, find, innermost};
use super::fault;
use super::minting;
use super::redirect;
use super::rejected;
use super::rules::{self, Passed, Refusal, Spend};
use super::scan::Scanner;
use super::sealed;
use crate::audit::Upstream;
use crate::call::{Call, UpstreamNote};
use crate::error::{CallError, Limit};
use crate::seal::SealedValue;

/// What the host tells the plugin about its mount, and nobody else.
const FORWARDED: [&str; 4] = ["forwarded", "x-forwarded-host", "x-forwarded-prefix", "x-forwarded-proto"];

/// Judges a request. A refusal fails the whole call: the caller is told why, whatever the plugin answers.
pub(super) fn admit<B>(call: &Arc<Call>, request: &Request<B>) -> Result<Passed, Error> {
    let mount = call.mount();
    if call.count_request() > mount.limits.requests {
        call.fail(CallError::limit(&mount.name, Limit::Requests(mount.limits.requests)));
        return Err(Error::HttpRequestDenied);
    }
    match rules::judge(request, &mount.grants, call.surrogates()) {
        Ok(passed) => Ok(passed),
        Err(refusal) => {
            let error = match (redirect::denied(call, request.uri(), &refusal), &refusal) {
                (Some(denied), _) => CallError::Redirect(Box::new(denied)),
                (None, Refusal::Misuse(misuse)) if fault::is_callers(call, request, misuse) => {
                    CallError::Caller { mount: mount.name.clone(), misuse: misuse.clone() }
                }
                (None, Refusal::Misuse(_) | Refusal::NotCovered { .. } | Refusal::Minting { .. }) => {
                    CallError::refused(mount, &refusal)
                }
            };
            call.note_refused(request, error.rule());
            call.fail(error);
            Err(Error::HttpRequestDenied)
        }
    }
}

/// Sends a request, and waits for the head of its answer.
pub(super) async fn send(
    call: &Arc<Call>,
    request: Request<WasiBody>,
    passed: Passed,
    options: RequestOptions,
) -> Result<Response<WasiBody>, Error> {
    let note = call.note_upstream(passed.grant, request.method(), &passed.uri, &passed.spend);
    note.update(|upstream: &mut Upstream| upstream.mints = passed.minted.map(|minted| minted.operation));
    let sent = send_looked_at(call, request, passed, options, &note).await;
    if let Err(error) = &sent {
        note.update(|upstream: &mut Upstream| upstream.error = Some(error.to_string()));
    }
    sent
}

async fn send_looked_at(
    call: &Arc<Call>,
    request: Request<WasiBody>,
    passed: Passed,
    options: RequestOptions,
    note: &UpstreamNote,
) -> Result<Response<WasiBody>, Error> {
    let (seals, minted) = (minting::seals(&call.mount().grants, passed.grant, passed.minted.as_ref()), passed.minted);
    let plain = minted.filter(|minted| minted.is_plain(&seals));
    let request = minting::look_into(call, request, &passed, plain.is_some(), note).await?;
    let response = if seals.is_empty() {
        exchange(call, request, passed, options, note).await?
    } else {
        sealed::exchange(call, request, passed, seals, options, note).await?
    };
    if let Some(minted) = plain.filter(|_| response.status().is_success()) {
        call.record_export(response.status(), minted.operation);
    }
    Ok(response)
}

async fn exchange(
    call: &Arc<Call>,
    request: Request<WasiBody>,
    passed: Passed,
    options: RequestOptions,
    note: &UpstreamNote,
) -> Result<Response<WasiBody>, Error> {
    let mount = call.mount();
    let (mut parts, body) = request.into_parts();
    parts.uri = passed.uri;
    strip(&mut parts.headers, &parts.method);

    let mut token = None;
    let mut scanner = match &passed.spend {
        Spend::Nothing => {
            // A surrogate that is not spent, at a redirect's host. HTTP clients leave out cookies there too.
            if parts.headers.remove(AUTHORIZATION).is_some() {
                parts.headers.remove(COOKIE);
            }
            None
        }
        Spend::Token => {
            let spent = token.insert(authorize(call, passed.grant, &mut parts.headers).await?);
            Some(Scanner::new([spent.expose_secret()]))
        }
        Spend::Query(value) => {
            parts.uri = with_query(&parts.uri, value).ok_or(Error::HttpRequestUriInvalid)?;
            parts.headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
            Some(Scanner::new(value.forms()))
        }
    };

    let body = ToService::new(body, Arc::clone(call));
    let again = token.as_ref().and_then(|_| rejected::repeatable(&parts, !body.is_end_stream()));
    let mut response = transmit(call, Request::from_parts(parts, body.boxed_unsync()), &options).await?;
    if let Some(token) = token.filter(|_| rejected::is_rejection(response.status(), response.headers())) {
        note.update(|upstream: &mut Upstream| upstream.token_rejected = true);
        if let Some((again, fresh)) = rejected::replace(call, passed.grant, &token, again).await {
            // The service has seen both.
            scanner = Some(Scanner::new([fresh.expose_secret(), token.expose_secret()]));
            let body = Empty::new().map_err(|never: Infallible| match never {}).boxed_unsync();
            response = transmit(call, again.map(|()| body), &options).await?;
        }
    }

    let (mut parts, body) = response.into_parts();
    note.update(|upstream: &mut Upstream| upstream.status = Some(parts.status.as_u16()));
    if let Spend::Query(value) = &passed.spend
        && matches!(parts.status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN)
    {
        mount.kept.forget(value);
    }
    if let Some(scanner) = &scanner
        && blank_headers(&mut parts.headers, scanner)
    {
        call.note_echo();
    }
    if let Some(to) = redirect::target(parts.status, &parts.headers) {
        call.redirects().note(passed.grant, to);
    }
    let search = match scanner {
        None => Search::Off,
        // What has no body has nothing to decode: a response to HEAD, 204, 304.
        Some(scanner) if body.is_end_stream() => Search::Plain(scanner),
        Some(scanner) => {
            let stored = mount.grants.get(passed.grant).is_some_and(|grant| grant.returns_stored_content);
            match coding::of(&parts, stored).map_err(|error| unsearchable(call, &error))? {
                None => Search::Plain(scanner),
                Some(coding) => Search::Coded(CodedScanner::new(coding, scanner)),
            }
        }
    };
    let body = FromService::new(body, search, Arc::clone(call), note.clone());
    Ok(Response::from_parts(parts, body.boxed_unsync()))
}

/// Puts a grant's token into `authorization`, and returns it.
pub(super) async fn authorize(call: &Call, grant: usize, headers: &mut HeaderMap) -> Result<AccessToken, Error> {
    let token = call.mount().tokens.get(grant).ok_or(Error::ConfigurationError)?;
    let token = token.get().await.map_err(|error| Error::InternalError(Some(error.to_string())))?;
    headers.insert(AUTHORIZATION, token.authorization());
    // A token that is sent back is blanked out, and in a compressed response it cannot be.
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    Ok(token)
}

/// Ends the call over a compressed response that must not go on.
pub(super) fn unsearchable(call: &Call, error: &CodingError) -> Error {
    if *error == CodingError::Token {
        call.note_echo();
    }
    call.fail(CallError::Unsearchable { mount: call.mount().name.clone(), why: error.to_string() });
    Error::HttpResponseContentCoding(None)
}

/// Sends a request as it is, and waits for the head of its answer.
pub(super) async fn transmit(
    call: &Call,
    request: Request<WasiBody>,
    options: &RequestOptions,
) -> Result<Response<Incoming>, Error> {
    let sending = call.mount().client.send(request);
    let sent = match options.first_byte_timeout {
        Some(timeout) => tokio::time::timeout(timeout, sending).await.map_err(|_| Error::ConnectionReadTimeout)?,
        None => sending.await,
    };
    let response = sent.map_err(|error| failed(call, &error))?;
    call.progress();
    Ok(response)
}

/// A URI with a sealed value behind its query.
fn with_query(uri: &Uri, value: &SealedValue) -> Option<Uri> {
    let mut parts = uri.clone().into_parts();
    let path_and_query = uri.path_and_query()?.as_str();
    let separator = if path_and_query.contains('?') { b'&' } else { b'?' };
    let whole = Zeroizing::new([path_and_query.as_bytes(), &[separator], value.expose_secret()].concat());
    parts.path_and_query = Some(PathAndQuery::from_maybe_shared(Bytes::from_owner(whole)).ok()?);
    Uri::from_parts(parts).ok()
}

/// Takes out what is not the service's business.
fn strip(headers: &mut HeaderMap, method: &Method) {
    for name in FORWARDED {
        headers.remove(name);
    }
    let bodiless = matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS | Method::DELETE);
    if bodiless && headers.get(CONTENT_LENGTH).is_some_and(|length| length == "0") {
        headers.remove(CONTENT_LENGTH);
    }
}

/// Blanks out a token in the header fields; says whether there was one.
pub(super) fn blank_headers(headers: &mut HeaderMap, scanner: &Scanner) -> bool {
    let mut found = false;
    for value in headers.values_mut() {
        if let Some(blanked) = scanner.blanked(value.as_bytes()) {
            *value = HeaderValue::from_bytes(&blanked).unwrap_or_else(|_| HeaderValue::from_static("*"));
            found = true;
        }
    }
    // A name is in lower case, and a token in lower case is none any more; it goes all the same.
    let odd: Vec<HeaderName> =
        headers.keys().filter(|name| scanner.has_ignoring_case(name.as_str())).cloned().collect();
    for name in odd {
        headers.remove(name);
        found = true;
    }
    found
}

/// What a request without an answer means to the plugin. An address that is forbidden fails the call.
fn failed(call: &Call, error: &legacy::Error) -> Error {
    let mount = call.mount();
    if let Some(connect) = find::<ConnectError>(error) {
        tracing::debug!(mount = %mount.name, error = %connect, "no connection");
        if let ConnectError::Forbidden { .. } = connect {
            call.fail(CallError::forbidden_address(&mount.name, connect.to_string()));
        }
        return connect.to_wasi();
    }
    let cause = innermost(error);
    tracing::debug!(mount = %mount.name, error = %cause, "no answer");
    if let Some(own) = find::<Error>(error) {
        // The body that the plugin sent was cut off by a rule or by its own end.
        return Error::InternalError(Some(own.to_string()));
    }
    match find::<hyper::Error>(error) {
        Some(error) if error.is_incomplete_message() => Error::ConnectionTerminated,
        Some(error) if error.is_parse() => Error::HttpProtocolError,
        _ => Error::InternalError(Some(cause.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn a_token_that_comes_back_in_a_header_is_blanked_out() {
        let scanner = Scanner::new([Bytes::from_static(b"eyJ.Secret")]);
        let mut headers = HeaderMap::new();
        headers.insert("x-echo", HeaderValue::from_static("Bearer eyJ.Secret."));
        headers.insert("x-eyj.secret", HeaderValue::from_static("a name"));
        headers.insert("x-other", HeaderValue::from_static("stays"));
        assert!(blank_headers(&mut headers, &scanner));
        assert_eq!(headers.get("x-echo").unwrap(), "Bearer **********.");
        assert_eq!(headers.get("x-other").unwrap(), "stays");
        assert_eq!(headers.len(), 2);
        assert!(!blank_headers(&mut headers, &scanner));
    }
}
