//! `x-keyward-token`: the token by which a pod proves its service account, in each request.

use std::sync::Arc;

use http::{HeaderMap, HeaderName, StatusCode};
use keyward::caller::{Proof, ServiceAccount};
use keyward::{Caller, Rejection};

use super::site::Site;
use crate::service_account::{self, Verifier};

/// The field. The broker passes it to no plugin.
const TOKEN: HeaderName = HeaderName::from_static("x-keyward-token");

/// The caller of a request: that of the connection, with the service account of the request's token.
///
/// # Errors
///
/// The token is invalid, or cannot be verified; or other machines can reach the listener and nothing
/// says who calls.
pub(super) async fn identify(
    caller: &Caller,
    headers: &mut HeaderMap,
    site: &Site,
    verifier: Option<&Arc<Verifier>>,
) -> Result<Caller, Rejection> {
    let mut fields = headers.get_all(&TOKEN).iter();
    let (token, second) = (fields.next().cloned(), fields.next().is_some());
    headers.remove(&TOKEN);
    let Some(token) = token else {
        return if site.is_remote() && !caller.proof().identifies() {
            Err(unproved())
        } else {
            Ok(caller.clone())
        };
    };
    if second {
        return Err(rejection("more than one `x-keyward-token`", "send one"));
    }
    let Some(verifier) = verifier else {
        let help = "add a section [listen.kubernetes] with its issuer, or do not send the field";
        return Err(rejection("this daemon verifies no tokens of callers", help));
    };
    let Ok(token) = token.to_str() else {
        return Err(rejection("the token is not ASCII", "send the token as it is in its file"));
    };
    let account = verifier.verify(token).await.map_err(|error| invalid(&error))?;
    let service_account::ServiceAccount { namespace, name, pod } = &*account;
    let service_account =
        ServiceAccount { namespace: namespace.clone(), name: name.clone(), pod: pod.clone() };
    let service_account = Some(service_account);
    Ok(Proof { service_account, ..caller.proof().clone() }.into())
}

fn invalid(error: &service_account::TokenError) -> Rejection {
    let is_ours = matches!(error, service_account::TokenError::KeysUnavailable(_));
    if !is_ours {
        return rejection(&error.to_string(), error.help());
    }
    tracing::warn!(%error, "the tokens of callers cannot be verified");
    let detail = format!("{error}. {}", error.help());
    let title = "The token cannot be verified";
    Rejection::failed(StatusCode::SERVICE_UNAVAILABLE, "caller-token", title, detail)
}

fn rejection(message: &str, help: &str) -> Rejection {
    denied("The token is not accepted", format!("{message}. To be accepted: {help}"))
}

fn unproved() -> Rejection {
    let detail = "other machines can reach this listener, so every caller proves who it is: by a \
                  client certificate, or by a service account token in `x-keyward-token`";
    denied("The caller is unknown", detail.to_owned())
}

fn denied(title: &'static str, detail: String) -> Rejection {
    Rejection::denied(StatusCode::FORBIDDEN, "caller-token", title, "caller-token", detail)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn site(address: &str) -> Site {
        Site::tcp("https", address.parse().unwrap(), &[], &[])
    }

    async fn identify_at(address: &str, proof: Proof, token: Option<&str>) -> Result<Caller, u16> {
        let mut headers = HeaderMap::new();
        if let Some(token) = token {
            headers.insert(TOKEN, HeaderValue::from_str(token).unwrap());
        }
        let identified = identify(&proof.into(), &mut headers, &site(address), None).await;
        assert!(!headers.contains_key(TOKEN));
        identified.map_err(|rejection| rejection.status.as_u16())
    }

    #[tokio::test]
    async fn a_caller_beyond_loopback_proves_who_it_is() {
        let peer = Some("10.0.0.9:4000".parse().unwrap());
        let anybody = Proof { peer, ..Proof::default() };
        assert_eq!(identify_at("10.0.0.7:8443", anybody.clone(), None).await, Err(403));
        assert!(identify_at("127.0.0.1:8443", anybody.clone(), None).await.is_ok());
        let with_certificate = Proof { certificate: Some(Default::default()), ..anybody };
        assert!(identify_at("10.0.0.7:8443", with_certificate, None).await.is_ok());
    }

    #[tokio::test]
    async fn a_token_that_nothing_verifies_is_not_ignored() {
        assert_eq!(identify_at("127.0.0.1:8443", Proof::default(), Some("x")).await, Err(403));
    }
}
