//! Authorization of plugins' requests: whether one may be sent, and with which credential.
//!
//! [`authorize`] checks HTTP requests, [`authorize_login`] logins to database servers. The error of
//! both is a [`Denied`]; a request that breaks a rule of the boundary itself is a [`Violation`].

#[cfg(test)]
mod authorize_tests;
mod credential;
mod denied;
mod login;
pub mod minting;
mod origin;
pub mod override_fields;
mod query;
pub(crate) mod referenced_paths;
mod request_body;
pub mod signature;
mod violation;

use http::header::{AUTHORIZATION, HeaderMap};
use http::uri::{Authority, Scheme};
use http::{Method, Request, Uri};

pub use credential::{Credential, SealedCredential, Spend, Surrogates};
pub use denied::{Denied, DeniedRequest, MintingRule};
pub use login::{
    Authorized as AuthorizedLogin, Credentials as LoginCredentials, Login, authorize_database,
    authorize_login,
};
pub use minting::Minted;
pub use request_body::must_be_empty;
pub use signature::SignatureRule;
pub use violation::Violation;

use crate::grant::Grant;
use crate::request_head::RequestHead;
use crate::surrogate;
use origin::{origin_of, origins};
use query::Query;

/// A request that may be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authorized<G, S> {
    /// The grant that covers it.
    pub grant: G,
    /// The credential that the host adds.
    pub spend: Spend<S>,
    /// The URI that it is sent to: scheme, host and port of the endpoint, the normalized path, and
    /// the query without the surrogate of a sealed value.
    pub uri: Uri,
    /// The credential that it mints.
    pub minted: Option<Minted>,
}

/// Decides whether a request may be sent. `grants` are those of its mount.
///
/// The rules are evaluated in this order, and the first that denies is reported:
///
/// 1. the method, the scheme;
/// 2. the surrogates: at most one credential, and no surrogate where none is accepted;
/// 3. the authority: an endpoint of the mount, or an origin that its service may redirect to;
/// 4. for each grant with that authority (with a surrogate: for its own), the path as the service
///    reads it, then the patterns, declared and allowed;
/// 5. for the first grant that covers the request: whether the origin takes the credential,
///    override fields, a body that it must not have, referenced paths, and what the request mints.
///
/// # Errors
///
/// The rule that denies it; that of the last grant, if several grants are candidates.
pub fn authorize<G: AsRef<Grant> + Clone, S: Surrogates, B>(
    request: &Request<B>,
    grants: &[G],
    surrogates: &S,
) -> Result<Authorized<G, S::Sealed>, Denied> {
    let uri = request.uri();
    if matches!(*request.method(), Method::CONNECT | Method::TRACE) {
        return Err(Violation::Method(request.method().clone()).into());
    }
    if uri.scheme() != Some(&Scheme::HTTPS) {
        return Err(Violation::Scheme.into());
    }
    let query = Query::parse(uri.query(), surrogates)?;
    let (spent, spend) = match (bearer_audience(request.headers(), surrogates)?, query.spent) {
        (Some(_), Some(_)) => return Err(Violation::SeveralCredentials.into()),
        (Some(audience), None) => (Some(audience), Spend::Token),
        (None, Some((audience, value))) => (Some(audience), Spend::Query(value)),
        (None, None) => (None, Spend::Nothing),
    };
    deny_misplaced_surrogates(request.method(), uri, request.headers())?;

    let authority = uri.authority().ok_or(Violation::NoHost)?.as_str();
    if authority.contains('@') {
        return Err(Violation::UserInfo.into());
    }
    if grants.iter().all(|grant| origin_of(authority, grant.as_ref()).is_none()) {
        let endpoints = grants.iter().flat_map(|grant| origins(grant.as_ref()));
        let endpoints: Vec<String> = endpoints.map(|origin| origin.endpoint.to_string()).collect();
        let authority = authority.chars().take(200).collect();
        return Err(Violation::OtherHost { authority, endpoints: endpoints.join(", ") }.into());
    }

    // Without a surrogate, any grant with this origin may cover the request; with one, only the
    // surrogate's grant.
    let is_candidate =
        |grant: &&G| spent.as_ref().is_none_or(|audience| *audience == grant.as_ref().name);
    let mut denied = Denied::Violation(Violation::OutsidePrefix);
    if let Some(audience) = &spent
        && !grants
            .iter()
            .filter(is_candidate)
            .any(|own| origin_of(authority, own.as_ref()).is_some())
    {
        return Err(Violation::OtherAudience { audience: audience.to_string() }.into());
    }
    let head = RequestHead {
        method: request.method(),
        query: uri.query(),
        headers: Some(request.headers()),
    };
    for candidate in grants.iter().filter(is_candidate) {
        let grant = candidate.as_ref();
        let Some(origin) = origin_of(authority, grant) else { continue };
        let path = match grant.read(uri.path()) {
            Ok(Some(path)) => path,
            Ok(None) => continue,
            Err(error) => {
                denied = Violation::Path(error).into();
                continue;
            }
        };
        if let Err(reason) = grant.covers(&head, &path) {
            denied = Denied::not_covered(grant, &head, &path, reason);
            continue;
        }
        let spend = if origin.takes_token { spend } else { without_credential(spend, grant)? };
        override_fields::check(grant, request.headers())?;
        request_body::check(grant, request.method(), request.headers())?;
        referenced_paths::check(grant, &head, request.headers())?;
        let minted = minting::check(
            grants,
            grant,
            &minting::CoveredRequest {
                head,
                path: &path,
                sealed: spend.sealed(),
                headers: request.headers(),
            },
        )?;
        // The prefix alone is read as `/`, and is sent without that slash.
        let is_prefix = path.as_str() == "/" && !uri.path().ends_with('/');
        let sent = if is_prefix { "" } else { path.as_str() };
        let uri = origin.uri(&grant.endpoint.prefix, sent, query.rest.as_deref());
        return Ok(Authorized {
            grant: candidate.clone(),
            spend,
            uri: uri.ok_or(Violation::NoHost)?,
            minted,
        });
    }
    Err(denied)
}

/// Whether requests of a grant may be sent to this authority, with or without its credentials.
#[must_use]
pub fn is_origin_of(authority: Option<&Authority>, grant: &Grant) -> bool {
    authority.is_some_and(|authority| origin_of(authority.as_str(), grant).is_some())
}

/// The audience whose token the `authorization` field spends.
fn bearer_audience<S: Surrogates>(
    headers: &HeaderMap,
    surrogates: &S,
) -> Result<Option<std::sync::Arc<str>>, Violation> {
    let mut fields = headers.get_all(AUTHORIZATION).iter();
    let Some(field) = fields.next() else { return Ok(None) };
    if fields.next().is_some() {
        return Err(Violation::SeveralAuthorizations);
    }
    let bearer =
        field.as_bytes().strip_prefix(b"Bearer ").ok_or(Violation::ForeignAuthorization)?;
    match surrogates.resolve(bearer) {
        Some(Credential::Token(audience)) => Ok(Some(audience)),
        Some(Credential::Sealed(..)) => Err(Violation::MisplacedSurrogate("authorization")),
        None => Err(Violation::ForeignAuthorization),
    }
}

/// Denies a request with a surrogate, of any call, in its method, its path, its authority, or a
/// header field other than `authorization`.
fn deny_misplaced_surrogates(
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
) -> Result<(), Violation> {
    if surrogate::is_in(method.as_str().as_bytes()) {
        return Err(Violation::MisplacedSurrogate("method"));
    }
    if surrogate::is_in(uri.path().as_bytes()) {
        return Err(Violation::MisplacedSurrogate("path"));
    }
    if uri.authority().is_some_and(|authority| surrogate::is_in(authority.as_str().as_bytes())) {
        return Err(Violation::MisplacedSurrogate("host"));
    }
    for (name, value) in headers {
        if name != AUTHORIZATION
            && (surrogate::is_in(value.as_bytes()) || surrogate::is_in(name.as_str().as_bytes()))
        {
            return Err(Violation::MisplacedSurrogate("header fields"));
        }
    }
    Ok(())
}

/// The credential for an origin that must not receive the grant's. A plugin that follows a redirect
/// adds its token again, so the host removes it, as HTTP clients do. A sealed value is denied.
fn without_credential<S>(spend: Spend<S>, grant: &Grant) -> Result<Spend<S>, Violation> {
    match spend {
        Spend::Nothing | Spend::Token => Ok(Spend::Nothing),
        Spend::Query(_) => Err(Violation::OtherAudience { audience: grant.name.to_string() }),
    }
}
