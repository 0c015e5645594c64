//! The rules of the boundary: whether a plugin's request may leave, and with whose token.

use std::borrow::Cow;
use std::sync::Arc;

use http::header::{AUTHORIZATION, HeaderMap};
use http::uri::{PathAndQuery, Scheme};
use http::{Method, Request, Uri};

use super::minting::{self, Minted, MintingRule};
use super::{overrides, second_path};
use crate::cloud::Protocol;
use crate::grant::{Endpoint, Grant, NormalPath, NotCovered, PathError};
use crate::manifest::SpendPlace;
use crate::seal::SealedValue;
use crate::surrogate::{self, StandsFor, Surrogates};

/// A request that a plugin may not send, whatever the configuration says: something that no well-meaning plugin does.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Misuse {
    /// Another scheme than `https`.
    #[error("its scheme is not https")]
    Scheme,
    /// A URI without a host.
    #[error("it has no host")]
    NoHost,
    /// `user@host`.
    #[error("its URL contains user information")]
    UserInfo,
    /// A host or a port that is no endpoint of this mount, or not in the endpoint's spelling.
    #[error("`{authority}` is no endpoint of this mount ({endpoints})")]
    Elsewhere {
        /// What was asked for.
        authority: String,
        /// The mount's endpoints.
        endpoints: String,
    },
    /// A path that can be read in two ways.
    #[error("ambiguous path: {0}")]
    Path(#[from] PathError),
    /// A path outside the endpoint's prefix.
    #[error("its path is outside the endpoint's")]
    OutsidePrefix,
    /// More than one `authorization` field.
    #[error("it has more than one authorization field")]
    SeveralAuthorizations,
    /// An `authorization` field that is not one surrogate of this call.
    #[error("its authorization is not a surrogate of this call")]
    ForeignAuthorization,
    /// A surrogate where none may be.
    #[error("it has a surrogate in its {0}, where none is accepted")]
    SurrogateElsewhere(&'static str),
    /// A sealed value beside other credentials.
    #[error("it spends a sealed value beside another credential")]
    SeveralCredentials,
    /// A surrogate at the endpoint of another audience.
    #[error("the surrogate is for audience `{audience}`, and this is not its endpoint")]
    OtherAudience {
        /// The audience's name.
        audience: String,
    },
    /// A second path that patterns cannot check.
    #[error("its `{0}` refers to a second path that `allow` cannot check; without `allow` it is permitted")]
    SecondPath(String),
    /// A second path that can be read in two ways.
    #[error("the path in its `{place}` can be read in more than one way: {error}")]
    SecondPathForm {
        /// The header field, or the parameter of the query.
        place: String,
        /// Why.
        error: PathError,
    },
    /// A second path at another place than the endpoint.
    #[error("its `{place}` refers to a path at `{authority}`, which `allow` of {endpoint} cannot cover")]
    SecondPathElsewhere {
        /// The header field, or the parameter of the query.
        place: String,
        /// The authority that it names.
        authority: String,
        /// The endpoint.
        endpoint: String,
    },
    /// A parameter or a header field on whose meaning two readers of the request may differ.
    #[error("its `{0}` is ambiguous: expected once, in plain letters")]
    Ambiguous(&'static str),
    /// A header field that overrides its method or URL, where the grant is narrowed.
    #[error("its header field `{0}` overrides its method or URL, which `allow` cannot check")]
    Override(&'static str),
    /// A login to a database server with something that is no surrogate for one.
    #[error("it logs in to a database with something other than a surrogate of this call for a login")]
    ForeignLogin,
    /// A database's name that can be read in two ways.
    #[error("ambiguous database name")]
    Database,
    /// A method that opens a tunnel.
    #[error("the method {0} is not permitted")]
    Method(Method),
}

impl Misuse {
    /// A short name of the rule, for the audit.
    #[must_use]
    pub fn rule(&self) -> &'static str {
        match self {
            Self::Scheme => "scheme",
            Self::NoHost => "host",
            Self::UserInfo => "userinfo",
            Self::Elsewhere { .. } => "endpoint",
            Self::Path(_) => "path",
            Self::OutsidePrefix => "prefix",
            Self::SecondPath(_) | Self::SecondPathForm { .. } | Self::SecondPathElsewhere { .. } => "second-path",
            Self::Ambiguous(_) => "ambiguous",
            Self::Override(_) => "override",
            Self::SeveralAuthorizations | Self::ForeignAuthorization => "authorization",
            Self::SurrogateElsewhere(_) | Self::SeveralCredentials => "surrogate",
            Self::OtherAudience { .. } => "audience",
            Self::ForeignLogin => "login",
            Self::Database => "database",
            Self::Method(_) => "method",
        }
    }
}

/// Why a request may not leave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    Misuse(Misuse),
    /// No grant covers it. The path is the one behind the endpoint.
    NotCovered {
        grant: usize,
        method: Method,
        path: NormalPath,
        why: NotCovered,
    },
    /// It would mint a credential that does not leave, or give rights away.
    Minting {
        grant: usize,
        method: Method,
        path: NormalPath,
        why: Box<MintingRule>,
    },
}

impl<M: Into<Misuse>> From<M> for Refusal {
    fn from(misuse: M) -> Self {
        Self::Misuse(misuse.into())
    }
}

/// A request that may leave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Passed {
    /// The grant that covers it.
    pub(crate) grant: usize,
    /// The credential that goes with it.
    pub(crate) spend: Spend,
    /// Where it goes: scheme, host and port of the endpoint, the path as the service reads it, the query as it was, without
    /// the surrogate of a sealed value.
    pub(crate) uri: Uri,
    /// The credential that it mints.
    pub(crate) minted: Option<Minted>,
}

/// A credential that goes with a request.
#[derive(Clone, Debug, Default)]
pub(crate) enum Spend {
    #[default]
    Nothing,
    /// The grant's token, in `authorization`.
    Token,
    /// A sealed value, in the query.
    Query(Arc<SealedValue>),
}

impl Spend {
    /// The sealed value that is appended to the query.
    fn sealed(&self) -> Option<&[u8]> {
        match self {
            Self::Query(value) => Some(value.expose_secret()),
            Self::Nothing | Self::Token => None,
        }
    }
}

impl PartialEq for Spend {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Nothing, Self::Nothing) | (Self::Token, Self::Token) => true,
            (Self::Query(one), Self::Query(other)) => Arc::ptr_eq(one, other),
            _ => false,
        }
    }
}

impl Eq for Spend {}

/// Judges a request.
pub(crate) fn judge<B>(request: &Request<B>, grants: &[Grant], surrogates: &Surrogates) -> Result<Passed, Refusal> {
    let uri = request.uri();
    if matches!(*request.method(), Method::CONNECT | Method::TRACE) {
        return Err(Misuse::Method(request.method().clone()).into());
    }
    if uri.scheme() != Some(&Scheme::HTTPS) {
        return Err(Misuse::Scheme.into());
    }
    let query = Query::parse(uri.query(), surrogates)?;
    let (spent, spend) = match (spent_surrogate(request.headers(), surrogates)?, query.spent) {
        (Some(_), Some(_)) => return Err(Misuse::SeveralCredentials.into()),
        (Some(grant), None) => (Some(grant), Spend::Token),
        (None, Some((grant, value))) => (Some(grant), Spend::Query(value)),
        (None, None) => (None, Spend::Nothing),
    };
    nowhere_else(uri, request.headers())?;

    let authority = uri.authority().ok_or(Misuse::NoHost)?.as_str();
    if authority.contains('@') {
        return Err(Misuse::UserInfo.into());
    }
    if grants.iter().all(|grant| origin_of(authority, grant).is_none()) {
        let endpoints = grants.iter().flat_map(origins).map(|origin| origin.endpoint.to_string());
        let endpoints: Vec<String> = endpoints.collect();
        let authority = authority.chars().take(200).collect();
        return Err(Misuse::Elsewhere { authority, endpoints: endpoints.join(", ") }.into());
    }

    // Without a surrogate any grant at this origin may cover it; with one, its own must.
    let candidates = grants.iter().enumerate().filter(|(number, _)| spent.is_none_or(|spent| spent == *number));
    let mut refusal = match spent.and_then(|spent| grants.get(spent)) {
        Some(grant) if origin_of(authority, grant).is_none() => {
            return Err(Misuse::OtherAudience { audience: grant.name.to_string() }.into());
        }
        _ => Refusal::Misuse(Misuse::OutsidePrefix),
    };
    for (number, grant) in candidates {
        let Some(origin) = origin_of(authority, grant) else { continue };
        let behind = match grant.read(uri.path()) {
            Ok(Some(behind)) => behind,
            Ok(None) => continue,
            Err(error) => {
                refusal = Misuse::Path(error).into();
                continue;
            }
        };
        match grant.covers(request.method(), &behind) {
            Ok(()) => {
                let spend = if origin.takes_token { spend } else { withheld(spend, grant)? };
                overrides::check(grant, request.headers())?;
                second_path::check(number, grant, request.method(), uri.query(), request.headers())?;
                let looked = minting::Request {
                    method: request.method(),
                    prefix: &grant.endpoint.prefix,
                    path: &behind,
                    query: uri.query(),
                    sealed: spend.sealed(),
                    headers: request.headers(),
                };
                let minted = minting::check(grants, number, &looked)?;
                // The prefix by itself has `/` behind it, and is sent without.
                let is_prefix = behind.as_str() == "/" && !uri.path().ends_with('/');
                let sent = if is_prefix { "" } else { behind.as_str() };
                let uri = target(origin, &grant.endpoint.prefix, sent, query.rest.as_deref()).ok_or(Misuse::NoHost)?;
                return Ok(Passed { grant: number, spend, uri, minted });
            }
            Err(why) => {
                let method = request.method().clone();
                refusal = Refusal::NotCovered { grant: number, method, path: behind, why };
            }
        }
    }
    Err(refusal)
}

/// The grant whose surrogate the `authorization` field spends.
fn spent_surrogate(headers: &HeaderMap, surrogates: &Surrogates) -> Result<Option<usize>, Misuse> {
    let mut fields = headers.get_all(AUTHORIZATION).iter();
    let Some(field) = fields.next() else { return Ok(None) };
    if fields.next().is_some() {
        return Err(Misuse::SeveralAuthorizations);
    }
    let bearer = field.as_bytes().strip_prefix(b"Bearer ").ok_or(Misuse::ForeignAuthorization)?;
    match surrogates.stands_for(bearer) {
        Some(StandsFor::Token(grant)) => Ok(Some(grant)),
        Some(StandsFor::Sealed(..)) => Err(Misuse::SurrogateElsewhere("authorization")),
        None => Err(Misuse::ForeignAuthorization),
    }
}

/// A query, with the sealed value that it spends set apart.
struct Query<'q> {
    /// The grant at whose endpoint it may be spent, and the value.
    spent: Option<(usize, Arc<SealedValue>)>,
    /// The other parameters.
    rest: Option<Cow<'q, str>>,
}

impl<'q> Query<'q> {
    /// The surrogate of a value that is sealed for queries stands for whole parameters, between `&` and `&`.
    fn parse(query: Option<&'q str>, surrogates: &Surrogates) -> Result<Self, Misuse> {
        let elsewhere = Misuse::SurrogateElsewhere("query");
        let Some(query) = query else { return Ok(Self { spent: None, rest: None }) };
        if !surrogate::is_in(query.as_bytes()) {
            return Ok(Self { spent: None, rest: Some(Cow::Borrowed(query)) });
        }
        let (mut spent, mut rest) = (None, Vec::new());
        for part in query.split('&') {
            match surrogates.stands_for(part.as_bytes()) {
                Some(StandsFor::Sealed(grant, value)) if value.place() == SpendPlace::Query => {
                    if spent.replace((grant, value)).is_some() {
                        return Err(Misuse::SeveralCredentials);
                    }
                }
                Some(StandsFor::Sealed(..) | StandsFor::Token(_)) => return Err(elsewhere),
                None if surrogate::is_in(part.as_bytes()) => return Err(elsewhere),
                None => rest.push(part),
            }
        }
        Ok(Self { spent, rest: (!rest.is_empty()).then(|| Cow::Owned(rest.join("&"))) })
    }
}

/// A surrogate in a place where none may be spent fails the request, whatever call it is from.
fn nowhere_else(uri: &Uri, headers: &HeaderMap) -> Result<(), Misuse> {
    if surrogate::is_in(uri.path().as_bytes()) {
        return Err(Misuse::SurrogateElsewhere("path"));
    }
    if uri.authority().is_some_and(|authority| surrogate::is_in(authority.as_str().as_bytes())) {
        return Err(Misuse::SurrogateElsewhere("host"));
    }
    for (name, value) in headers {
        if name != AUTHORIZATION && (surrogate::is_in(value.as_bytes()) || surrogate::is_in(name.as_str().as_bytes())) {
            return Err(Misuse::SurrogateElsewhere("header fields"));
        }
    }
    Ok(())
}

/// An origin that a grant's requests may be sent to.
#[derive(Clone, Copy)]
pub(super) struct Origin<'g> {
    endpoint: &'g Endpoint,
    /// Whether the grant's credentials may be sent there.
    pub(super) takes_token: bool,
}

/// The endpoint, and the origins that its service may redirect to.
fn origins(grant: &Grant) -> impl Iterator<Item = Origin<'_>> {
    let redirects = grant.redirects.iter();
    let redirects =
        redirects.map(|redirect| Origin { endpoint: &redirect.endpoint, takes_token: redirect.takes_token });
    std::iter::once(Origin { endpoint: &grant.endpoint, takes_token: true }).chain(redirects)
}

/// The origin of a grant that has this authority.
pub(super) fn origin_of<'g>(authority: &str, grant: &'g Grant) -> Option<Origin<'g>> {
    origins(grant).find(|origin| is_authority(authority, origin.endpoint))
}

/// What is left of a credential at a redirect's host that may not have it. A plugin authorizes the request that follows
/// a redirect as it did the first, so a token is left out, as HTTP clients do; a sealed value is no such habit.
fn withheld(spend: Spend, grant: &Grant) -> Result<Spend, Misuse> {
    match spend {
        Spend::Nothing | Spend::Token => Ok(Spend::Nothing),
        Spend::Query(_) => Err(Misuse::OtherAudience { audience: grant.name.to_string() }),
    }
}

/// Whether an authority is an endpoint's, letter for letter. The port may be written where it is the usual one.
fn is_authority(authority: &str, endpoint: &Endpoint) -> bool {
    if endpoint.protocol != Protocol::Https {
        return false;
    }
    let rest = authority.strip_prefix(endpoint.host.as_str());
    match rest {
        Some("") => endpoint.port == 443,
        Some(port) => port.strip_prefix(':').is_some_and(|port| port == endpoint.port.to_string()),
        None => false,
    }
}

/// The URI of a request to a path behind the endpoint's prefix.
fn target(origin: Origin<'_>, prefix: &str, path: &str, query: Option<&str>) -> Option<Uri> {
    let path_and_query = match query {
        Some(query) => format!("{prefix}{path}?{query}"),
        None => format!("{prefix}{path}"),
    };
    let path_and_query = PathAndQuery::try_from(path_and_query).ok()?;
    Uri::builder()
        .scheme(Scheme::HTTPS)
        .authority(origin.endpoint.authority())
        .path_and_query(path_and_query)
        .build()
        .ok()
}

#[cfg(test)]
mod tests;
