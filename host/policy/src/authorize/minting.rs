//! Requests whose response is a credential, and requests that give rights away.
//!
//! What mints is data of the cloud table ([`Operations`]). Such a request leaves where the mount
//! hands out its credential, or where the host seals the whole of it. On Resource Manager a `POST`
//! that the table does not know, and a write that gives rights away, need a line of `allow` that
//! names them. [`signature`](super::signature) checks the body of a request for a signature.

use http::{HeaderMap, Method};

use super::denied::{Denied, DeniedRequest, MintingRule};
use super::override_fields;
use super::violation::Violation;
use crate::cloud::{Found, Looked, Operation, Operations, Signs, folded_segments};
use crate::grant::{Grant, Seal};
use crate::manifest::SpendPlace;
use crate::path::NormalPath;
use crate::percent::fully_decoded;

/// Methods that every server reads alike.
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
    /// The kind of signature that it asks for, where its body is to be checked.
    pub signs: Option<Signs>,
    /// Whether the mount hands its credential out.
    pub handed_out: bool,
    /// The field of the response that is all of the credential.
    secret: Option<&'static str>,
}

/// A request that a grant covers.
pub(super) struct CoveredRequest<'r> {
    pub(super) method: &'r Method,
    /// The path behind the endpoint's prefix.
    pub(super) path: &'r NormalPath,
    pub(super) query: Option<&'r str>,
    /// A sealed value that is appended to the query.
    pub(super) sealed: Option<&'r [u8]>,
    pub(super) headers: &'r HeaderMap,
}

/// Checks a request that `grant`, one of the mount's, covers. Returns what it mints, if anything.
pub(super) fn check<G: AsRef<Grant>>(
    grants: &[G],
    grant: &Grant,
    request: &CoveredRequest<'_>,
) -> Result<Option<Minted>, Denied> {
    let denied = |why: MintingRule| {
        Denied::Minting(DeniedRequest::new(grant, request.method, request.path, why))
    };
    let prefix = grant.endpoint.prefix.as_str();
    if !grant.minting.services.is_empty()
        && let Some(name) = override_fields::find_of(override_fields::PATHS, request.headers)
    {
        return Err(Violation::Ambiguous(name).into());
    }
    let overridden = override_fields::find_of(override_fields::METHODS, request.headers).is_some();
    // Some servers compare methods without regard to case, so that one in other letters may be any.
    let method =
        Some(request.method).filter(|method| !overridden && PLAIN_METHODS.contains(method));
    let sealed = request.sealed.map(String::from_utf8_lossy).unwrap_or_default();
    let mut mints = None;
    for table in grant.minting.tables() {
        let parameters = parameters([request.query.unwrap_or_default(), &*sealed], table)?;
        let looked = |path: &str| Looked {
            method,
            segments: folded_segments(path),
            parameters: parameters.clone(),
        };
        for reading in request.path.readings() {
            let whole = looked(&format!("{prefix}{reading}"));
            let behind = || (!prefix.is_empty()).then(|| looked(reading));
            match table.find(&whole).or_else(|| behind().and_then(|behind| table.find(&behind))) {
                Some(found) => {
                    let found = minted(grants, grant, found).map_err(denied)?;
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
fn minted<G: AsRef<Grant>>(
    grants: &[G],
    grant: &Grant,
    found: Found<'static>,
) -> Result<Minted, MintingRule> {
    let refused = || MintingRule::NotHandedOut(found.name());
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
            let is_sealed =
                || seals(grants, grant, Some(&minted)).iter().any(|seal| minted.is_sealed_by(seal));
            if handed_out || is_sealed() { Ok(minted) } else { Err(refused()) }
        }
    }
}

impl Minted {
    fn is_sealed_by(&self, seal: &Seal) -> bool {
        self.secret == Some(seal.field.as_str())
    }

    /// Whether the response goes to the plugin unsealed, with the credential in it.
    #[must_use]
    pub fn is_plain(&self, seals: &[Seal]) -> bool {
        self.handed_out && !seals.iter().any(|seal| self.is_sealed_by(seal))
    }
}

/// What is sealed of a response at `grant`, one of the mount's: what the manifest says, and what
/// the table says where the manifest leaves it out and the mount has an endpoint to spend the value
/// at.
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

/// Where actions are listed: what is not harmless must be named by the operator. `reading` is
/// behind the endpoint's prefix.
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

/// The parameters that select an operation. One that is there twice, or written so that two readers
/// may differ on what it is, is an error.
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
        let squeezed = squeezed(name);
        let Some(selector) = table.selectors().find(|selector| *selector == squeezed) else {
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

/// Whether two servers may differ on which operation a query selects at a grant's endpoint.
#[must_use]
pub fn is_ambiguous(grant: &Grant, query: &str) -> bool {
    grant.minting.tables().any(|table| parameters([query, ""], table).is_err())
}

/// The letters and digits of a name, in lower case, however often it is encoded.
fn squeezed(name: &str) -> String {
    let lower = fully_decoded(name).to_uppercase().to_lowercase();
    lower.chars().filter(char::is_ascii_alphanumeric).collect()
}

#[cfg(test)]
mod minting_tests;
