//! Tokens that a service rejects before their time, because it revoked them or because they lack a
//! claim.
//!
//! Such a token is replaced: see
//! [`CachedToken::reject`](keyward_identity::cache::CachedToken::reject), which limits how often.
//! The request is repeated with the new one only where nothing can run twice: a `GET` or `HEAD`
//! without a body.

use http::header::{AUTHORIZATION, HeaderMap, WWW_AUTHENTICATE};
use http::request::Parts;
use http::{HeaderName, Method, Request, StatusCode};
use keyward_identity::AccessToken;

use super::attach_credential::put_token;
use crate::running_grant::RunningGrant;

/// The errors of a bearer challenge that another token may cure: RFC 6750, and continuous access
/// evaluation.
const ERRORS: [&str; 2] = ["invalid_token", "insufficient_claims"];

/// Storage's field, and its code for a token that it does not take.
const STORAGE_CODE: HeaderName = HeaderName::from_static("x-ms-error-code");
const STORAGE_ERROR: &str = "InvalidAuthenticationInfo";

/// Whether a response rejects the token itself.
pub(super) fn is_rejection(status: StatusCode, headers: &HeaderMap) -> bool {
    if status != StatusCode::UNAUTHORIZED {
        return false;
    }
    let challenges =
        headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
    let says_so = |error: String| ERRORS.iter().any(|known| error.eq_ignore_ascii_case(known));
    challenges.flat_map(errors).any(says_so)
        || headers
            .get(STORAGE_CODE)
            .is_some_and(|code| code.as_bytes().eq_ignore_ascii_case(STORAGE_ERROR.as_bytes()))
}

/// The head of a request that may be sent twice, without its token.
pub(super) fn repeatable(parts: &Parts, has_body: bool) -> Option<Request<()>> {
    if has_body || !matches!(parts.method, Method::GET | Method::HEAD) {
        return None;
    }
    let mut request = Request::new(());
    *request.method_mut() = parts.method.clone();
    *request.uri_mut() = parts.uri.clone();
    *request.headers_mut() = parts.headers.clone();
    request.headers_mut().remove(AUTHORIZATION);
    Some(request)
}

/// Has a rejected token replaced. Returns the request again, with the new token, where it may be
/// repeated and there is one.
pub(super) async fn replace(
    grant: &RunningGrant,
    rejected: &AccessToken,
    again: Option<Request<()>>,
) -> Option<(Request<()>, AccessToken)> {
    let token = grant.token();
    let Some(mut request) = again else {
        token.reject(rejected);
        return None;
    };
    let fresh = token.replacement(rejected).await?;
    put_token(&fresh, request.headers_mut());
    Some((request, fresh))
}

/// The values of the parameters named `error` in a challenge. Quoted strings are skipped as a
/// whole: a description may have anything in it.
fn errors(challenge: &str) -> Vec<String> {
    let mut errors = Vec::new();
    let mut characters = challenge.chars().peekable();
    let mut word = String::new();
    while let Some(character) = characters.next() {
        match character {
            '=' => {
                let mut value = String::new();
                if characters.next_if_eq(&'"').is_some() {
                    while let Some(character) =
                        characters.next().filter(|character| *character != '"')
                    {
                        let escaped = if character == '\\' { characters.next() } else { None };
                        value.push(escaped.unwrap_or(character));
                    }
                } else {
                    while let Some(character) =
                        characters.next_if(|next| !matches!(next, ' ' | '\t' | ','))
                    {
                        value.push(character);
                    }
                }
                if word.eq_ignore_ascii_case("error") {
                    errors.push(value);
                }
                word.clear();
            }
            ' ' | '\t' | ',' => word.clear(),
            '"' => {
                // A quoted string that belongs to no name.
                while characters.next().is_some_and(|character| character != '"') {}
                word.clear();
            }
            _ => word.push(character),
        }
    }
    errors
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_rejected(field: &'static str, value: &str) -> bool {
        let headers =
            HeaderMap::from_iter([(HeaderName::from_static(field), value.parse().unwrap())]);
        assert!(
            !is_rejection(StatusCode::FORBIDDEN, &headers)
                && !is_rejection(StatusCode::OK, &headers)
        );
        is_rejection(StatusCode::UNAUTHORIZED, &headers)
    }

    #[test]
    fn a_challenge_that_rejects_the_token_is_recognised() {
        for challenge in [
            "Bearer error=\"invalid_token\"",
            "Bearer authorization_uri=\"https://login.windows.net/t\", error=\"invalid_token\", \
             error_description=\"\"",
            "bearer realm=\"\",ERROR=invalid_token",
            "Bearer realm=\"a \\\" b\", error=\"insufficient_claims\", claims=\"eyJ\"",
            "Basic realm=\"x\", Bearer error=\"Invalid_Token\"",
        ] {
            assert!(is_rejected("www-authenticate", challenge), "{challenge}");
        }
        assert!(is_rejected("x-ms-error-code", "InvalidAuthenticationInfo"));
    }

    #[test]
    fn a_challenge_of_another_kind_is_not() {
        for challenge in [
            "Bearer authorization=\"https://login.windows.net/t\", \
             resource=\"https://vault.azure.net\"",
            "Bearer error=\"insufficient_scope\"",
            "Bearer error_description=\"error=invalid_token\"",
            "Bearer realm=\"x, error=\\\"invalid_token\\\"\"",
            "Bearer realm=\"x error=invalid_token",
            "Bearer error_uri=invalid_token",
            "Bearer error=",
            "",
        ] {
            assert!(!is_rejected("www-authenticate", challenge), "{challenge}");
        }
        assert!(!is_rejected("x-ms-error-code", "AuthenticationFailed"));
    }

    #[test]
    fn only_what_runs_once_however_often_it_is_sent_is_repeatable() {
        let parts = |method: Method| {
            Request::builder().method(method).uri("/x").body(()).unwrap().into_parts().0
        };
        assert!(
            repeatable(&parts(Method::GET), false).is_some()
                && repeatable(&parts(Method::HEAD), false).is_some()
        );
        assert!(repeatable(&parts(Method::GET), true).is_none());
        for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::OPTIONS] {
            assert!(repeatable(&parts(method.clone()), false).is_none(), "{method}");
        }
    }
}
