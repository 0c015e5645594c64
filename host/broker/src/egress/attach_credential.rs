//! Second stage: the credential of an authorized request goes on the wire.
//!
//! [`put_token`] is the one place where a token leaves the broker.

use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, AUTHORIZATION, COOKIE};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Uri};
use keyward_identity::AccessToken;
use wasmtime_wasi_http::Error;
use zeroize::Zeroizing;

use super::Authorized;
use crate::mount::Mount;
use crate::redact::Scanner;
use crate::running_grant::RunningGrant;
use crate::sealed_value::{SealedValue, Spend};

/// What a request was sent with.
pub(super) struct Attached {
    /// The token, where it carries one.
    pub(super) token: Option<AccessToken>,
    /// Finds the mount's tokens and the request's credential in the response.
    pub(super) scanner: Scanner,
}

/// Puts the credential of an authorized request into its head.
pub(super) async fn attach(
    mount: &Mount,
    authorized: &Authorized,
    parts: &mut Parts,
) -> Result<Attached, Error> {
    request_identity_coding(&mut parts.headers);
    match &authorized.spend {
        Spend::Nothing => {
            // A surrogate that is not spent, at a redirect's host. HTTP clients leave out cookies
            // there too.
            if parts.headers.remove(AUTHORIZATION).is_some() {
                parts.headers.remove(COOKIE);
            }
            Ok(Attached { token: None, scanner: mount.scanner(None) })
        }
        Spend::Token => {
            let token = fetch_and_put_token(&authorized.grant, &mut parts.headers).await?;
            mount.known_tokens.add(&authorized.grant.name, &token);
            Ok(Attached { token: Some(token), scanner: mount.scanner(None) })
        }
        Spend::Query(value) => {
            parts.uri = with_query(&parts.uri, value).ok_or(Error::HttpRequestUriInvalid)?;
            Ok(Attached { token: None, scanner: mount.scanner(Some(value.index())) })
        }
    }
}

/// Gets a grant's token, puts it into `authorization`, and returns it.
pub(super) async fn fetch_and_put_token(
    grant: &RunningGrant,
    headers: &mut HeaderMap,
) -> Result<AccessToken, Error> {
    let token = grant.token().get().await;
    let token = token.map_err(|error| Error::InternalError(Some(error.message_and_help())))?;
    put_token(&token, headers);
    request_identity_coding(headers);
    Ok(token)
}

/// Puts a token into `authorization`.
pub(super) fn put_token(token: &AccessToken, headers: &mut HeaderMap) {
    headers.insert(AUTHORIZATION, token.authorization());
}

/// A token that is sent back is redacted, which needs a response that is not compressed.
fn request_identity_coding(headers: &mut HeaderMap) {
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
}

/// A URI with a sealed value behind its query.
fn with_query(uri: &Uri, value: &SealedValue) -> Option<Uri> {
    let mut parts = uri.clone().into_parts();
    let path_and_query = uri.path_and_query()?.as_str();
    let separator = if path_and_query.contains('?') { b'&' } else { b'?' };
    let whole =
        Zeroizing::new([path_and_query.as_bytes(), &[separator], value.expose_secret()].concat());
    parts.path_and_query = Some(PathAndQuery::from_maybe_shared(Bytes::from_owner(whole)).ok()?);
    Uri::from_parts(parts).ok()
}
