//! Requests whose response is a credential: which of them leave, and what becomes of the response.
//!
//! What mints is data of the cloud table ([`Operations`]). Such a request leaves where the mount hands out its credential, or
//! where the host seals the whole of it. On Resource Manager a `POST` that the table does not know, and a write that gives
//! rights away, need a line of `allow` that names them. [`signature`](super::signature) looks at what is to be signed.

use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method};
use http_body_util::{BodyExt, Full, Limited};
use wasmtime_wasi_http::{Error, WasiBody};

use super::body::ToService;
use super::rules::{Misuse, Passed, Refusal};
use super::{overrides, sealed, signature};
use crate::audit::Upstream;
use crate::call::{Call, UpstreamNote};
use crate::cloud::{Found, Looked, Operation, Operations, Signs, folded_segments};
use crate::config::bare;
use crate::error::CallError;
use crate::grant::{Endpoint, Grant, NormalPath, Seal};
use crate::manifest::SpendPlace;
use crate::percent::fully_decoded;

/// Methods that every reader reads alike.
const PLAIN_METHODS: [Method; 7] =
    [Method::GET, Method::HEAD, Method::OPTIONS, Method::DELETE, Method::POST, Method::PUT, Method::PATCH];

/// A request that passed, whose response is a credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Minted {
    /// The operation's name in the table.
    pub(crate) operation: &'static str,
    /// What it signs, where that is to be looked at.
    pub(crate) signs: Option<Signs>,
    /// Whether the mount hands its credential out.
    pub(crate) handed_out: bool,
    /// The field of the response that is all of the credential.
    secret: Option<&'static str>,
}

/// A request that would mint a credential, or give rights away, and may not leave.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MintingDenied {
    /// The mount.
    pub mount: String,
    /// The audience's name, where it is not the plugin's first.
    pub audience: Option<String>,
    /// The method.
    pub method: Method,
    /// The path behind the endpoint.
    pub path: NormalPath,
    /// The endpoint.
    pub endpoint: Endpoint,
    /// Why not.
    pub why: MintingRule,
}

/// Why a request may not leave that mints a credential or gives rights away.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MintingRule {
    /// The response is a credential, and the mount does not hand it out.
    NotHandedOut(&'static str),
    /// The request carries others in its body, and the grant is narrowed.
    Carrier,
    /// An action that is not known to be harmless, and that no pattern names.
    UnknownAction(String),
    /// A write that gives rights away, and that no pattern names.
    Privileged(String),
    /// What is to be signed is more than the mount's storage grant covers.
    Signature(super::SignatureRule),
}

impl MintingRule {
    /// A short name of the rule, for the audit.
    #[must_use]
    pub fn rule(&self) -> &'static str {
        match self {
            Self::NotHandedOut(_) => "hand-out",
            Self::Carrier => "batch",
            Self::UnknownAction(_) => "action",
            Self::Privileged(_) => "privileged",
            Self::Signature(_) => "signature",
        }
    }
}

impl fmt::Display for MintingDenied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { mount, audience, method, path, endpoint, why } = self;
        let of_mount = format!("[mount.{}]", bare(mount));
        let section = match audience {
            None => of_mount.clone(),
            Some(audience) => format!("[mount.{}.audience.{}]", bare(mount), bare(audience)),
        };
        write!(f, "mount `{mount}` may not send {method} {path} to {endpoint}: ")?;
        match why {
            MintingRule::NotHandedOut(operation) => write!(
                f,
                "the response of `{operation}` is a credential. To hand it out to callers, write \
                 hand_out = [\"{operation}\"] in {of_mount}"
            ),
            MintingRule::Carrier => {
                write!(f, "it carries other requests in its body, which `allow` cannot check. Send them one by one")
            }
            MintingRule::UnknownAction(action) => write!(
                f,
                "`{action}` is not known to be harmless. To allow it, name it in `allow` of {section}: \
                 \"{method} {path}\", where `*` may stand for other segments than the last"
            ),
            MintingRule::Privileged(segment) => write!(
                f,
                "writing `{segment}` can give rights away. To allow it, name it in `allow` of {section}: \
                 \"{method} {path}\", where `*` may stand for other segments than `{segment}`"
            ),
            MintingRule::Signature(rule) => write!(f, "{rule}"),
        }
    }
}

impl std::error::Error for MintingDenied {}

/// A request that a grant covers, to be looked at.
pub(super) struct Request<'r> {
    pub(super) method: &'r Method,
    /// The endpoint's prefix.
    pub(super) prefix: &'r str,
    /// The path behind it.
    pub(super) path: &'r NormalPath,
    pub(super) query: Option<&'r str>,
    /// A sealed value that is appended to the query.
    pub(super) sealed: Option<&'r [u8]>,
    pub(super) headers: &'r HeaderMap,
}

/// Checks a request that the grant of this number covers. Returns what it mints, where it does.
pub(super) fn check(grants: &[Grant], number: usize, request: &Request<'_>) -> Result<Option<Minted>, Refusal> {
    let Some(grant) = grants.get(number) else { return Ok(None) };
    let denied = |why: MintingRule| {
        let (method, path) = (request.method.clone(), request.path.clone());
        Refusal::Minting { grant: number, method, path, why: Box::new(why) }
    };
    if !grant.minting.services.is_empty()
        && let Some(name) = overrides::find_of(overrides::PATHS, request.headers)
    {
        return Err(Misuse::Ambiguous(name).into());
    }
    let overridden = overrides::find_of(overrides::METHODS, request.headers).is_some();
    // Some servers compare methods without regard to case, so that one in other letters may be any.
    let method = Some(request.method).filter(|method| !overridden && PLAIN_METHODS.contains(method));
    let sealed = request.sealed.map(String::from_utf8_lossy).unwrap_or_default();
    let mut mints = None;
    for table in grant.minting.tables() {
        let parameters = parameters([request.query.unwrap_or_default(), &*sealed], table)?;
        let looked = |path: &str| Looked { method, segments: folded_segments(path), parameters: parameters.clone() };
        for reading in request.path.readings() {
            let whole = looked(&format!("{}{reading}", request.prefix));
            let behind = || (!request.prefix.is_empty()).then(|| looked(reading));
            match table.find(&whole).or_else(|| behind().and_then(|behind| table.find(&behind))) {
                Some(found) => {
                    let found = minted(grants, number, found).map_err(denied)?;
                    mints.get_or_insert(found);
                }
                None if table.lists_harmless() => {
                    listed(grant, table, &whole, request.method, reading).map_err(denied)?;
                }
                None => {}
            }
        }
    }
    Ok(mints)
}

/// What a request mints, where its credential is handed out or sealed.
fn minted(grants: &[Grant], number: usize, found: Found<'static>) -> Result<Minted, MintingRule> {
    let refused = || MintingRule::NotHandedOut(found.name());
    let grant = grants.get(number).ok_or_else(refused)?;
    let handed_out = grant.minting.hands_out(found.name());
    let minted = |operation: Option<&'static Operation>| Minted {
        operation: found.name(),
        signs: operation.and_then(|operation| operation.signs),
        handed_out,
        secret: operation.and_then(|operation| operation.secret.as_deref()),
    };
    match found {
        Found::Carrier(_) if grant.is_narrowed() => Err(MintingRule::Carrier),
        Found::Carrier(_) | Found::Action(_) if handed_out => Ok(minted(None)),
        Found::Carrier(_) | Found::Action(_) => Err(refused()),
        Found::Listed(operation) => {
            let minted = minted(Some(operation));
            let is_sealed = || seals(grants, number, Some(&minted)).iter().any(|seal| minted.is_sealed_by(seal));
            if handed_out || is_sealed() { Ok(minted) } else { Err(refused()) }
        }
    }
}

impl Minted {
    fn is_sealed_by(&self, seal: &Seal) -> bool {
        self.secret == Some(seal.field.as_str())
    }

    /// Whether its response goes to the plugin as it is, the credential with it.
    pub(crate) fn is_plain(&self, seals: &[Seal]) -> bool {
        self.handed_out && !seals.iter().any(|seal| self.is_sealed_by(seal))
    }
}

/// What is sealed of a response: what the manifest says, and what the table says where the manifest leaves it out and the
/// mount has an endpoint to spend the value at.
pub(super) fn seals(grants: &[Grant], number: usize, minted: Option<&Minted>) -> Vec<Seal> {
    let mut seals = grants.get(number).map(|grant| grant.seals.clone()).unwrap_or_default();
    let Some(minted) = minted.filter(|minted| !minted.handed_out) else { return seals };
    let spend = grants.iter().position(|grant| minted.signs.is_some() && grant.minting.is_storage());
    if let (Some(field), Some(spend)) = (minted.secret, spend)
        && !seals.iter().any(|seal| minted.is_sealed_by(seal))
    {
        let (field, place) = (field.to_owned(), SpendPlace::Query);
        seals.push(Seal { field, spend, place, keep: None, export: None, imposed: true });
    }
    seals
}

/// Looks into the body of a request for a signature, and returns the request as it is to be sent. `exported` says that the
/// response goes to the plugin as it is; that a caller asks for it says the same.
pub(super) async fn look_into(
    call: &Arc<Call>,
    request: http::Request<WasiBody>,
    passed: &Passed,
    exported: bool,
    note: &UpstreamNote,
) -> Result<http::Request<WasiBody>, Error> {
    let Some((minted, signs)) = passed.minted.and_then(|minted| Some((minted, minted.signs?))) else {
        return Ok(request);
    };
    let (mut parts, body) = request.into_parts();
    let body = Limited::new(ToService::new(body, Arc::clone(call)), sealed::LONGEST).collect().await;
    let body = body.map_err(|error| Error::InternalError(Some(error.to_string())))?.to_bytes();
    let mount = call.mount();
    let leaves = exported || (minted.handed_out && call.is_exporting());
    let looked = if leaves {
        signature::check_exported(signs, passed.uri.path(), &body, &mount.grants).map(Bytes::from)
    } else {
        signature::check_sealed(&body).map(|()| body)
    };
    let body = looked.map_err(|rule| {
        let (method, why) = (parts.method.clone(), Box::new(MintingRule::Signature(rule)));
        let grant = mount.grants.get(passed.grant);
        let refusal = match grant.and_then(|grant| grant.read(passed.uri.path()).ok().flatten()) {
            Some(path) => Refusal::Minting { grant: passed.grant, method, path, why },
            None => Misuse::OutsidePrefix.into(),
        };
        let error = CallError::refused(mount, &refusal);
        note.update(|upstream: &mut Upstream| upstream.refused = Some(error.rule()));
        call.fail(error);
        Error::HttpRequestDenied
    })?;
    // In the one encoding that was looked at.
    parts.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    parts.headers.insert(CONTENT_LENGTH, body.len().into());
    let body = Full::new(body).map_err(|never: Infallible| match never {});
    Ok(http::Request::from_parts(parts, body.boxed_unsync()))
}

/// Where actions are listed: what is not harmless must be named by the operator. `reading` is behind the endpoint's prefix.
fn listed(
    grant: &Grant,
    table: &Operations,
    whole: &Looked<'_>,
    method: &Method,
    reading: &str,
) -> Result<(), MintingRule> {
    let behind = folded_segments(reading);
    let written: Vec<&str> = reading.split('/').filter(|segment| !segment.is_empty()).collect();
    let shown = |number: usize| written.get(number).copied().unwrap_or_default().to_owned();
    if whole.may_be(&Method::POST) && !table.is_harmless(&whole.segments) {
        // A path that is all prefix was written out by the operator.
        let last = behind.len().checked_sub(1);
        let named = |last: usize| grant.allows_literally(&Method::POST, reading, last);
        if let Some(last) = last.filter(|last| !named(*last)) {
            return Err(MintingRule::UnknownAction(shown(last)));
        }
    }
    let others = [Method::GET, Method::HEAD, Method::OPTIONS, Method::DELETE, Method::POST];
    if whole.method.is_some_and(|method| others.contains(method)) {
        return Ok(());
    }
    let unnamed = |number: &usize| !grant.allows_literally(method, reading, *number);
    match table.privileged(&behind).find(unnamed) {
        Some(number) => Err(MintingRule::Privileged(shown(number))),
        None => Ok(()),
    }
}

/// The parameters that select an operation. One that is there twice, or written so that two readers may differ on what it is,
/// is an error.
fn parameters(queries: [&str; 2], table: &'static Operations) -> Result<Vec<(String, String)>, Misuse> {
    let mut found: Vec<(String, String)> = Vec::new();
    if table.selectors().next().is_none() {
        return Ok(found);
    }
    for pair in queries.into_iter().flat_map(|query| query.split(['&', ';'])) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let squeezed = squeezed(name);
        let Some(selector) = table.selectors().find(|selector| *selector == squeezed) else { continue };
        let is_plain = name.eq_ignore_ascii_case(selector) && value.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if !is_plain || found.iter().any(|(known, _)| known == selector) {
            return Err(Misuse::Ambiguous(selector));
        }
        found.push((selector.to_owned(), value.to_ascii_lowercase()));
    }
    Ok(found)
}

/// Whether two readers of a query may differ on what it selects at a grant's endpoint.
pub(super) fn is_ambiguous(grant: &Grant, query: &str) -> bool {
    grant.minting.tables().any(|table| parameters([query, ""], table).is_err())
}

/// The letters and digits of a name, in lower case, however often it is encoded.
fn squeezed(name: &str) -> String {
    let lower = fully_decoded(name).to_uppercase().to_lowercase();
    lower.chars().filter(char::is_ascii_alphanumeric).collect()
}

#[cfg(test)]
mod tests;
