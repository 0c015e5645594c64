//! Requests whose response is a credential, and requests that give rights away.
//!
//! The table of [`Operations`] has the operations that mint credentials. Such a request is allowed
//! if the mount hands out its credential, or if the host seals the whole credential. On Resource
//! Manager, a `POST` that the table does not know and a write that gives rights away need a pattern
//! of `allow` that names them. [`signature`](super::signature) checks the body of a request for a
//! signature.

use std::sync::Arc;

use http::{HeaderMap, Method};

use super::denied::{Denied, DeniedRequest, MintingRule};
use super::override_fields;
use super::violation::Violation;
use crate::cloud::{
    FoldedRequest, MatchedOperation, Operation, Operations, SignatureScope, folded_segments,
};
use crate::grant::{CallerAllow, Grant, Seal};
use crate::manifest::SpendPlace;
use crate::path::NormalPath;
use crate::percent::fully_decoded;
use crate::request_head::RequestHead;

/// Methods that every server recognizes, in this spelling only.
const PLAIN_METHODS: [Method; 7] = [
    Method::GET,
    Method::HEAD,
    Method::OPTIONS,
    Method::DELETE,
    Method::POST,
    Method::PUT,
    Method::PATCH,
];

/// The credential that an authorized request mints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Minted {
    /// The operation's name in the table.
    pub operation: &'static str,
    /// The scope of the signature that it requests; `None` if it requests none.
    pub signs: Option<SignatureScope>,
    /// Whether the mount hands its credential out.
    pub handed_out: bool,
    /// The only secret field of the response.
    secret: Option<&'static str>,
}

/// A request that a grant covers.
pub(super) struct CoveredRequest<'r> {
    pub(super) head: RequestHead<'r>,
    /// The path, without the endpoint's prefix.
    pub(super) path: &'r NormalPath,
    /// A sealed value that is appended to the query.
    pub(super) sealed: Option<&'r [u8]>,
    pub(super) headers: &'r HeaderMap,
}

/// Checks a request that `grant` covers. `grants` are all those of the mount. Returns what the
/// request mints, if anything.
pub(super) fn check<G: AsRef<Grant>>(
    grants: &[G],
    grant: &Grant,
    request: &CoveredRequest<'_>,
) -> Result<Option<Minted>, Denied> {
    let denied = |reason: MintingRule| {
        Denied::Minting(DeniedRequest::new(grant, &request.head, request.path, reason))
    };
    let prefix = grant.endpoint.prefix.as_str();
    if !grant.minting.services.is_empty()
        && let Some(name) = override_fields::find_of(override_fields::PATHS, request.headers)
    {
        return Err(Violation::Ambiguous(name).into());
    }
    let overridden = override_fields::find_of(override_fields::METHODS, request.headers).is_some();
    // Some servers ignore the case of methods, so that one in lower case may be any.
    let method =
        Some(request.head.method).filter(|method| !overridden && PLAIN_METHODS.contains(method));
    let sealed = request.sealed.map(String::from_utf8_lossy).unwrap_or_default();
    let mut mints = None;
    for table in grant.minting.tables() {
        let parameters = parameters([request.head.query.unwrap_or_default(), &*sealed], table)?;
        let folded = |path: &str| FoldedRequest {
            method,
            segments: folded_segments(path),
            parameters: parameters.clone(),
        };
        for reading in request.path.readings() {
            let whole = folded(&format!("{prefix}{reading}"));
            let without_prefix = || (!prefix.is_empty()).then(|| folded(reading));
            match table.find(&whole).or_else(|| table.find(&without_prefix()?)) {
                Some(found) => {
                    let found = minted(grants, grant, found).map_err(denied)?;
                    mints.get_or_insert(found);
                }
                None if table.lists_harmless() => {
                    check_action(grant, table, &whole, &request.head, reading).map_err(denied)?;
                }
                None => {}
            }
        }
    }
    Ok(mints)
}

/// Checks that the credential of a minting operation is handed out or sealed.
fn minted<G: AsRef<Grant>>(
    grants: &[G],
    grant: &Grant,
    found: MatchedOperation<'static>,
) -> Result<Minted, MintingRule> {
    let not_handed_out = || MintingRule::NotHandedOut(found.name());
    let handed_out = grant.minting.hands_out(found.name());
    let minted = |operation: Option<&'static Operation>| Minted {
        operation: found.name(),
        signs: operation.and_then(|operation| operation.signs),
        handed_out,
        secret: operation.and_then(|operation| operation.secret.as_deref()),
    };
    match found {
        MatchedOperation::Batch(_) if grant.is_narrowed() => Err(MintingRule::Batch),
        // Signatures are compared with what the caller may do; other credentials cannot be.
        MatchedOperation::Batch(_) | MatchedOperation::Action(_) | MatchedOperation::Listed(_)
            if handed_out
                && !found.is_signature()
                && let Some(narrowed) = narrowed_elsewhere(grants, grant) =>
        {
            let caller = Arc::clone(&narrowed.caller);
            Err(MintingRule::BeyondCaller { operation: found.name(), caller })
        }
        MatchedOperation::Batch(_) | MatchedOperation::Action(_) if handed_out => Ok(minted(None)),
        MatchedOperation::Batch(_) | MatchedOperation::Action(_) => Err(not_handed_out()),
        MatchedOperation::Listed(operation) => {
            let minted = minted(Some(operation));
            let is_sealed =
                || seals(grants, grant, Some(&minted)).iter().any(|seal| minted.is_sealed_by(seal));
            if handed_out || is_sealed() { Ok(minted) } else { Err(not_handed_out()) }
        }
    }
}

/// The `allow` of the caller, if it narrows another grant than this one.
fn narrowed_elsewhere<'g, G: AsRef<Grant>>(
    grants: &'g [G],
    grant: &Grant,
) -> Option<&'g CallerAllow> {
    if grant.for_caller.is_some() {
        return None;
    }
    grants.iter().find_map(|other| other.as_ref().for_caller.as_ref())
}

impl Minted {
    fn is_sealed_by(&self, seal: &Seal) -> bool {
        self.secret == Some(seal.field.as_str())
    }

    /// Whether the plugin gets the response with the credential unsealed.
    #[must_use]
    pub fn is_plain(&self, seals: &[Seal]) -> bool {
        self.handed_out && !seals.iter().any(|seal| self.is_sealed_by(seal))
    }
}

/// The fields of a response at `grant` that are sealed: those of the manifest, and the secret field
/// of a minted signature if the mount has an endpoint to spend it at. `grants` are all those of the
/// mount.
#[must_use]
pub fn seals<G: AsRef<Grant>>(grants: &[G], grant: &Grant, minted: Option<&Minted>) -> Vec<Seal> {
    let mut seals = grant.seals.clone();
    let Some(minted) = minted.filter(|minted| !minted.handed_out) else { return seals };
    let mut storage = grants.iter().map(AsRef::as_ref).filter(|grant| grant.minting.is_storage());
    let spend = storage.next().filter(|_| minted.signs.is_some());
    if let (Some(field), Some(spend)) = (minted.secret, spend)
        && !seals.iter().any(|seal| minted.is_sealed_by(seal))
    {
        let (field, spend, place) = (field.to_owned(), Some(spend.name.clone()), SpendPlace::Query);
        seals.push(Seal { field, spend, place, keep: None, export: None, imposed: true });
    }
    seals
}

/// Checks that `allow` names an action that is not harmless, and a write that gives rights away.
/// `reading` is without the endpoint's prefix.
fn check_action(
    grant: &Grant,
    table: &Operations,
    whole: &FoldedRequest<'_>,
    head: &RequestHead<'_>,
    reading: &str,
) -> Result<(), MintingRule> {
    let segments = folded_segments(reading);
    let written: Vec<&str> = reading.split('/').filter(|segment| !segment.is_empty()).collect();
    let shown = |index: usize| written.get(index).copied().unwrap_or_default().to_owned();
    if whole.may_be(&Method::POST) && !table.is_harmless(&whole.segments) {
        // The operator named a path that is only the endpoint's prefix.
        let last = segments.len().checked_sub(1);
        let post = RequestHead { method: &Method::POST, ..*head };
        let named = |last: usize| grant.allows_literally(&post, reading, last);
        if let Some(last) = last.filter(|last| !named(*last)) {
            return Err(MintingRule::UnknownAction(shown(last)));
        }
    }
    let others = [Method::GET, Method::HEAD, Method::OPTIONS, Method::DELETE, Method::POST];
    if whole.method.is_some_and(|method| others.contains(method)) {
        return Ok(());
    }
    let unnamed = |index: &usize| !grant.allows_literally(head, reading, *index);
    match table.privileged(&segments).find(unnamed) {
        Some(index) => Err(MintingRule::Privileged(shown(index))),
        None => Ok(()),
    }
}

/// The query parameters that select an operation. One that is present twice, or spelled so that two
/// servers may read it differently, is an error.
fn parameters(
    queries: [&str; 2],
    table: &'static Operations,
) -> Result<Vec<(String, String)>, Violation> {
    let mut found: Vec<(String, String)> = Vec::new();
    if table.selectors().next().is_none() {
        return Ok(found);
    }
    for pair in queries.into_iter().flat_map(|query| query.split(['&', ';'])) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let letters = letters(name);
        let Some(selector) = table.selectors().find(|selector| *selector == letters) else {
            continue;
        };
        let is_plain = name.eq_ignore_ascii_case(selector)
            && value.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if !is_plain || found.iter().any(|(known, _)| known == selector) {
            return Err(Violation::Ambiguous(selector));
        }
        found.push((selector.to_owned(), value.to_ascii_lowercase()));
    }
    Ok(found)
}

/// Whether two servers may read different operations from a query at a grant's endpoint.
#[must_use]
pub fn is_ambiguous(grant: &Grant, query: &str) -> bool {
    grant.minting.tables().any(|table| parameters([query, ""], table).is_err())
}

/// The letters and digits of a name, fully decoded and in lower case.
fn letters(name: &str) -> String {
    let lower = fully_decoded(name).to_uppercase().to_lowercase();
    lower.chars().filter(char::is_ascii_alphanumeric).collect()
}

#[cfg(test)]
mod minting_tests;
