//! Who sends a request: the caller of the connection, with the service account that a token in
//! `x-keyward-token` proves.

use std::sync::Arc;
use std::time::SystemTime;

use http::{HeaderMap, HeaderName, StatusCode};
use keyward::caller::{Proof, ServiceAccount};
use keyward::{Caller, Rejection};

use super::Identified;
use super::site::Site;
use crate::log_limit::LogLimit;
use crate::service_account::{self, Verifier};

/// The field. The broker passes it to no plugin.
const TOKEN: HeaderName = HeaderName::from_static("x-keyward-token");

/// Lines about the keys of tokens.
static NOT_VERIFIED: LogLimit = LogLimit::new();

/// The caller of a request: that of the connection, with the service account of the request's token.
///
/// # Errors
///
/// The token is invalid, or cannot be verified; the certificate of the connection has expired; or
/// other machines can reach the listener, and there is neither a certificate nor a token.
pub(super) async fn identify(
    identified: &Identified,
    headers: &mut HeaderMap,
    site: &Site,
    verifier: Option<&Arc<Verifier>>,
    now: SystemTime,
) -> Result<Caller, Rejection> {
    let caller = &identified.caller;
    let mut fields = headers.get_all(&TOKEN).iter();
    let (token, second) = (fields.next().cloned(), fields.next().is_some());
    headers.remove(&TOKEN);
    if identified.has_expired(now) {
        return Err(expired());
    }
    let Some(token) = token else {
        return if site.is_remote() && caller.proof().certificate.is_none() {
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
    if let Some(left_out) = NOT_VERIFIED.permit() {
        tracing::warn!(%error, left_out, "the tokens of callers cannot be verified");
    }
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

fn expired() -> Rejection {
    let detail = "the client certificate of this connection has expired: connect again with a valid \
                  one";
    let (title, rule) = ("The client certificate has expired", "caller-certificate");
    Rejection::denied(StatusCode::FORBIDDEN, "caller-certificate", title, rule, detail)
}

/// The rejection of a caller that has as many connections as it may.
pub(super) fn too_many_connections() -> Rejection {
    let detail = "the caller has three quarters of all `connections` in [listen]: use those that \
                  are open";
    let title = "Too many connections";
    Rejection::failed(StatusCode::TOO_MANY_REQUESTS, "connections", title, detail)
}

fn denied(title: &'static str, detail: String) -> Rejection {
    Rejection::denied(StatusCode::FORBIDDEN, "caller-token", title, "caller-token", detail)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

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
        let (connection, now) = (Identified::now(proof.into()), SystemTime::now());
        let identified = identify(&connection, &mut headers, &site(address), None, now).await;
        assert!(!headers.contains_key(TOKEN));
        identified.map_err(|rejection| rejection.status.as_u16())
    }

    #[tokio::test]
    async fn a_caller_beyond_loopback_proves_who_it_is() {
        let peer = Some("10.0.0.9:4000".parse().unwrap());
        let anybody = Proof { peer, ..Proof::default() };
        let user = Proof { uid: Some(33), ..anybody.clone() };
        for proof in [anybody.clone(), user] {
            assert_eq!(identify_at("10.0.0.7:8443", proof.clone(), None).await, Err(403));
            assert_eq!(identify_at("0.0.0.0:8443", proof.clone(), None).await, Err(403));
            assert!(identify_at("127.0.0.1:8443", proof, None).await.is_ok());
        }
        let with_certificate = Proof { certificate: Some(Default::default()), ..anybody };
        assert!(identify_at("10.0.0.7:8443", with_certificate, None).await.is_ok());
    }

    #[tokio::test]
    async fn a_certificate_counts_until_it_expires() {
        let certificate = Some(Default::default());
        let caller: Caller = Proof { certificate, ..Proof::default() }.into();
        let expires = SystemTime::UNIX_EPOCH + Duration::from_secs(1_900_000_000);
        let connection = Identified { caller, expires: Some(expires) };
        let at = async |now| {
            let site = site("127.0.0.1:8443");
            identify(&connection, &mut HeaderMap::new(), &site, None, now).await
        };
        assert!(at(expires).await.is_ok());
        let rejection = at(expires + Duration::from_secs(1)).await.unwrap_err();
        assert_eq!((rejection.status.as_u16(), rejection.rule), (403, "caller-certificate"));
    }

    #[tokio::test]
    async fn a_token_that_nothing_verifies_is_not_ignored() {
        assert_eq!(identify_at("127.0.0.1:8443", Proof::default(), Some("x")).await, Err(403));
    }
}
