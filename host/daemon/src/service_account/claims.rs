//! The claims of a service account token.

use std::time::Duration;

use serde::Deserialize;

use super::error::TokenError;

/// How far the clocks of the API server and of this machine may differ: a token is accepted this
/// long before its `nbf` and `iat`. There is no leeway for `exp`, since a kubelet replaces a token
/// when 80 % of its lifetime have passed.
pub(super) const LEEWAY: Duration = Duration::from_secs(60);

/// The longest name of a namespace, a DNS label.
const MAX_LABEL: usize = 63;

/// The longest name of a service account or pod, a DNS subdomain.
const MAX_SUBDOMAIN: usize = 253;

/// A Kubernetes service account, proved by a token.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ServiceAccount {
    /// Its namespace.
    pub(crate) namespace: String,
    /// Its name.
    pub(crate) name: String,
    /// The pod that the token is bound to. Tokens of `kubectl create token` are not, by default.
    pub(crate) pod: Option<String>,
}

/// The claims that are read. A duplicate is an error, and so is a missing one that is not an
/// `Option`.
#[derive(Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: Audience,
    exp: u64,
    nbf: Option<u64>,
    iat: Option<u64>,
    #[serde(rename = "kubernetes.io")]
    kubernetes: Option<Kubernetes>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

#[derive(Deserialize)]
struct Kubernetes {
    namespace: Option<String>,
    serviceaccount: Option<Object>,
    pod: Option<Object>,
}

#[derive(Deserialize)]
struct Object {
    name: String,
}

/// What claims are compared with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Expected<'a> {
    pub(super) issuer: &'a str,
    pub(super) audience: &'a str,
    /// The time since 1970-01-01T00:00:00Z.
    pub(super) now: Duration,
}

/// A service account, and until when its token is valid.
#[derive(Debug)]
pub(super) struct Proved {
    pub(super) service_account: ServiceAccount,
    /// Since 1970-01-01T00:00:00Z.
    pub(super) expires: Duration,
}

/// Checks the claims of a token whose signature is valid.
pub(super) fn check(payload: &[u8], expected: Expected<'_>) -> Result<Proved, TokenError> {
    let claims: Claims = serde_json::from_slice(payload).map_err(|_| TokenError::Claims)?;
    if claims.iss != expected.issuer {
        return Err(TokenError::WrongIssuer { expected: expected.issuer.to_owned() });
    }
    let is_for_this = match &claims.aud {
        Audience::One(audience) => audience == expected.audience,
        Audience::Several(audiences) => audiences.iter().any(|one| one == expected.audience),
    };
    if !is_for_this {
        return Err(TokenError::WrongAudience { expected: expected.audience.to_owned() });
    }
    let expires = Duration::from_secs(claims.exp);
    if expected.now >= expires {
        return Err(TokenError::Expired);
    }
    let earliest = claims.nbf.max(claims.iat).map(Duration::from_secs);
    if earliest.is_some_and(|earliest| expected.now + LEEWAY < earliest) {
        return Err(TokenError::NotYetValid);
    }
    let service_account = service_account(claims.kubernetes)?;
    let ServiceAccount { namespace, name, .. } = &service_account;
    if claims.sub != format!("system:serviceaccount:{namespace}:{name}") {
        return Err(TokenError::SubjectMismatch);
    }
    Ok(Proved { service_account, expires })
}

/// Names are checked although the issuer has signed them: policies and audit records consist of
/// them, and may use `:` and `/` to separate them.
fn service_account(kubernetes: Option<Kubernetes>) -> Result<ServiceAccount, TokenError> {
    let kubernetes = kubernetes.ok_or(TokenError::NoServiceAccount)?;
    let namespace = kubernetes.namespace.ok_or(TokenError::NoServiceAccount)?;
    let name = kubernetes.serviceaccount.ok_or(TokenError::NoServiceAccount)?.name;
    let pod = kubernetes.pod.map(|pod| pod.name);
    let invalid = |of| Err(TokenError::InvalidName { of });
    if namespace.len() > MAX_LABEL || !is_label(&namespace) {
        return invalid("its namespace");
    }
    if !is_subdomain(&name) {
        return invalid("its service account");
    }
    if pod.as_deref().is_some_and(|pod| !is_subdomain(pod)) {
        return invalid("its pod");
    }
    Ok(ServiceAccount { namespace, name, pod })
}

fn is_subdomain(name: &str) -> bool {
    name.len() <= MAX_SUBDOMAIN && name.split('.').all(is_label)
}

/// Whether a part of a name is one that Kubernetes permits, regardless of its length.
fn is_label(label: &str) -> bool {
    let is_inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !label.is_empty()
        && label.bytes().all(is_inner)
        && !label.starts_with('-')
        && !label.ends_with('-')
}
